"""Task attention over shared features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skmtl.layers import Block, Inputs, Seeds, StackedLinear, check_whole
from skmtl.sharing._base import Body, Sharing
from skmtl.sharing._hard import HardBody
from skmtl.sharing._levels import for_copies


class Attention(Sharing):
    """One trunk for all tasks, and a mask per task over the features of each of its blocks.

    ``a_tl = sigmoid(g_tl(relu(f_tl([u_l, a_t(l-1) u_(l-1)]))))`` with ``u_l`` the shared features
    after block l; the head of task t reads ``a_tL u_L``.  Own parameters are two layers per block
    and task: far fewer than those of a trunk of convolutions, which the paper has in mind, but
    about as many as those of a small perceptron.

    Parameters
    ----------
    reduction : int, default=4
        The masks' hidden layer has the block's number of channels divided by this.

    Notes
    -----
    For any trunk: the layers of the masks act on the channels, at each position of an image.
    Departure: a mask reads the features that it is laid over, where the paper reads an earlier
    layer of the block, and has no batch normalisation; what a task attended to goes to the next block's masks as it is, averaged to
    the size of the next image, without the paper's further shared convolution.

    References
    ----------
    S. Liu, E. Johns, A. J. Davison: End-to-End Multi-Task Learning with Attention, CVPR 2019,
    equations (1) and (2).

    Examples
    --------
    >>> from skmtl.sharing import Attention
    >>> Attention(reduction=2)
    Attention(reduction=2)
    """

    alias = "attention"

    def __init__(self, reduction: int = 4) -> None:
        self.reduction = reduction

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{"reduction": 1}]

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build the trunk and the masks; a trunk without a layer has nothing to attend to."""
        reduction = check_whole(self.reduction, "reduction")
        blocks = trunk.blocks(inputs)
        if not blocks:
            return HardBody(trunk.build(inputs, n_members, seeds))
        return _AttentionBody(blocks, layout.n_tasks, n_members, reduction, seeds)


class _AttentionBody(Body):
    has_common_features = True

    def __init__(
        self, blocks: list[Block], n_tasks: int, n_members: int, reduction: int, seeds: Seeds
    ) -> None:
        super().__init__()
        self.size = (n_members, n_tasks)
        self.trunk = nn.ModuleList(block.build(n_members, seeds) for block in blocks)
        self.masks = nn.ModuleList()
        before = 0
        for block in blocks:
            channels = block.output_shape[0]
            hidden, copies = -(-channels // reduction), n_members * n_tasks
            first = StackedLinear(copies, channels + before, hidden, seeds.weights)
            self.masks.append(
                nn.Sequential(
                    first, nn.ReLU(), StackedLinear(copies, hidden, channels, seeds.weights)
                )
            )
            before = channels
        self.out_features = before

    def forward(self, x: Tensor) -> Tensor:
        u, attended = x, None
        for block, mask in zip(self.trunk, self.masks, strict=True):
            u = block(u)  # (member, sample, channel, ...)
            shape = u.shape[3:]
            shared = for_copies(_by_position(u), self.size[1])
            if attended is not None:
                before = _by_position(_resized(attended, shape))
                wide = shared.expand(len(before), *shared.shape[-2:])
                shared = torch.cat([wide, before], dim=-1)
            a = torch.sigmoid(mask(shared))  # (member and task, sample and position, channel)
            a = a.view(*self.size, u.shape[1], *shape, u.shape[2]).movedim(-1, 3)
            attended = (a * u.unsqueeze(1)).flatten(0, 1)  # (member and task, sample, channel, ...)
        assert attended is not None
        return attended.unflatten(0, self.size)  # (member, task, sample, feature)


def _by_position(h: Tensor) -> Tensor:
    """Turn (copy, sample, channel, ...) into (copy, sample and position, channel)."""
    return h.movedim(2, -1).flatten(1, -2)


def _resized(h: Tensor, shape: torch.Size) -> Tensor:
    """Average (copy, sample, channel, ...) to images of another shape."""
    if h.shape[3:] == shape:
        return h
    if not shape:
        return h.flatten(3).mean(3)
    height, width = shape
    return F.adaptive_avg_pool2d(h.flatten(0, 1), (height, width)).unflatten(0, h.shape[:2])
