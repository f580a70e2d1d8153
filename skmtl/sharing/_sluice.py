"""Sluice networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skmtl.layers import Block, Inputs, Seeds, check_number, check_whole
from skmtl.sharing._base import Body, Sharing
from skmtl.sharing._hard import HardBody
from skmtl.sharing._levels import near_identity


class Sluice(Sharing):
    """Cross-stitch between subspaces, a mixture over layers, and orthogonal subspaces.

    The channels of each task's block are cut into subspaces; after block l,
    ``h_ts <- sum_uv alpha_l(ts)(uv) h_uv`` over tasks u and their subspaces v.  A head reads
    ``sum_l beta_tl h_tl`` over the blocks whose outputs have the last one's shape.  The penalty
    ``orthogonality * sum |G_1^T G_2|_F^2`` keeps the subspaces of a linear layer apart, one
    for what is shared and one for what is not.

    Parameters
    ----------
    n_subspaces : int, default=2
        Subspaces of each block; the last may be smaller.
    self_weight : float, default=0.9
        Initial weight of a subspace's own activations, and of the last block in the mixture
        over layers, in [0, 1].
    orthogonality : float, default=1e-3
        Factor of the penalty on pairs of subspaces.

    Notes
    -----
    The penalty reads the weights of fully connected blocks: of MLP, of what follows a CNN's
    convolutions, and of the first block of ResNet; all others are left free.

    References
    ----------
    S. Ruder, J. Bingel, I. Augenstein, A. Søgaard: Latent Multi-task Architecture Learning,
    AAAI 2019 (arXiv 1705.08142), section 3.

    Examples
    --------
    >>> from skmtl.sharing import Sluice
    >>> Sluice(orthogonality=0.01)
    Sluice(orthogonality=0.01)
    """

    alias = "sluice"

    def __init__(
        self, n_subspaces: int = 2, self_weight: float = 0.9, orthogonality: float = 1e-3
    ) -> None:
        self.n_subspaces = n_subspaces
        self.self_weight = self_weight
        self.orthogonality = orthogonality

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"n_subspaces": 3}]

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build trunks and mixtures; a trunk without a layer has nothing to mix."""
        check_whole(self.n_subspaces, "n_subspaces")
        check_number(self.self_weight, "self_weight", most=1)
        check_number(self.orthogonality, "orthogonality")
        blocks = trunk.blocks(inputs)
        if not blocks:
            return HardBody(trunk.build(inputs, n_members, seeds))
        return _SluiceBody(blocks, layout.n_tasks, n_members, self, seeds)


class _SluiceBody(Body):
    mixing_names = ("mixing", "skips")

    def __init__(
        self, blocks: list[Block], n_tasks: int, n_members: int, scheme: Sluice, seeds: Seeds
    ) -> None:
        super().__init__()
        self.n_tasks, self.n_subspaces = n_tasks, int(scheme.n_subspaces)
        self.orthogonality = scheme.orthogonality
        self.trunk = nn.ModuleList(block.build(n_members * n_tasks, seeds) for block in blocks)
        start = near_identity(n_tasks * scheme.n_subspaces, scheme.self_weight)
        # (member, block, task and subspace, task and subspace)
        self.mixing = nn.Parameter(start.repeat(n_members, len(blocks), 1, 1))
        last = blocks[-1].output_shape
        self.is_read = [block.output_shape == last for block in blocks]
        skips = near_identity(sum(self.is_read), scheme.self_weight)[-1]
        self.skips = nn.Parameter(skips.repeat(n_members, n_tasks, 1))  # (member, task, block)
        self.out_features = last[0]

    def forward(self, x: Tensor) -> Tensor:
        h, read = x, []
        for block, mixing, is_read in zip(
            self.trunk, self.mixing.unbind(1), self.is_read, strict=True
        ):
            h = self._mixed(block(h), mixing)
            if is_read:
                read.append(h)
        layers = torch.stack(read, dim=1).unflatten(0, (-1, self.n_tasks))
        skips = self.skips.unsqueeze(2)  # (member, task, 1, block)
        mixed = torch.matmul(skips, layers.flatten(3)).squeeze(2)
        return mixed.unflatten(-1, h.shape[1:])  # (member, task, sample, feature)

    def _mixed(self, h: Tensor, mixing: Tensor) -> Tensor:
        """Mix the subspaces of (member and task, sample, channel, ...)."""
        n_channels = h.shape[2]
        short = -n_channels % self.n_subspaces
        padded = F.pad(h.movedim(2, 1), [0, 0] * (h.dim() - 2) + [0, short]) if short else None
        rows = h.movedim(2, 1) if padded is None else padded  # (copy, channel, sample, ...)
        flat = rows.reshape(len(mixing), mixing.shape[-1], -1)
        mixed = torch.bmm(mixing, flat).view(rows.shape)
        return mixed[:, :n_channels].movedim(1, 2)

    def penalty(self) -> Tensor | None:
        """Return the penalty on pairs of subspaces of each fully connected block."""
        if self.orthogonality == 0 or self.n_subspaces == 1:
            return None
        terms = []
        for block in self.trunk:
            linear = getattr(block, "linear", None)
            if linear is None:
                continue
            n_channels = linear.weight.shape[-1]
            parts = linear.weight.split(-(-n_channels // self.n_subspaces), dim=-1)
            terms += [
                (parts[i].mT @ parts[j]).square().sum()
                for i in range(len(parts))
                for j in range(i + 1, len(parts))
            ]
        return self.orthogonality * torch.stack(terms).sum() if terms else None
