"""Cross-stitch units."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skmtl.layers import Block, Inputs, Seeds, check_number
from skmtl.sharing._base import Body, Sharing
from skmtl.sharing._hard import HardBody
from skmtl.sharing._levels import near_identity


class CrossStitch(Sharing):
    """A trunk per task, whose activations are mixed after each block by learned weights.

    After block l, ``h_t <- sum_s alpha_lts h_s``: training decides how much each task takes
    from each other one.  Costs a trunk per task, as independent nets do, and a product with
    a small matrix per block.

    Parameters
    ----------
    self_weight : float, default=0.9
        Initial weight of a task's own activations, in [0, 1]; the others share the rest
        equally.  At 1, training starts from independent nets.

    Notes
    -----
    One matrix for each block, for all of its channels.

    References
    ----------
    I. Misra, A. Shrivastava, A. Gupta, M. Hebert: Cross-stitch Networks for Multi-task
    Learning, CVPR 2016, equation (1); section 5.1 for the initial weights.

    Examples
    --------
    >>> from skmtl.sharing import CrossStitch
    >>> CrossStitch(self_weight=0.8)
    CrossStitch(self_weight=0.8)
    """

    alias = "cross_stitch"

    def __init__(self, self_weight: float = 0.9) -> None:
        self.self_weight = self_weight

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}]

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build a trunk per task and the units; a trunk without a layer has none to mix."""
        self_weight = check_number(self.self_weight, "self_weight", most=1)
        blocks = trunk.blocks(inputs)
        if not blocks:
            return HardBody(trunk.build(inputs, n_members, seeds))
        return _CrossStitchBody(blocks, layout.n_tasks, n_members, self_weight, seeds)


class _CrossStitchBody(Body):
    mixing_names = ("stitches",)

    def __init__(
        self, blocks: list[Block], n_tasks: int, n_members: int, self_weight: float, seeds: Seeds
    ) -> None:
        super().__init__()
        self.trunk = nn.ModuleList(block.build(n_members * n_tasks, seeds) for block in blocks)
        start = near_identity(n_tasks, self_weight)
        # (member, block, task, task)
        self.stitches = nn.Parameter(start.repeat(n_members, len(blocks), 1, 1))
        self.out_features = blocks[-1].output_shape[0]

    def forward(self, x: Tensor) -> Tensor:
        n_members, _, n_tasks, _ = self.stitches.shape
        h = x
        for block, stitch in zip(self.trunk, self.stitches.unbind(1), strict=True):
            h = block(h)  # (member and task, sample, ...)
            flat = h.unflatten(0, (n_members, n_tasks)).flatten(2)
            h = torch.bmm(stitch, flat).view(h.shape)
        return h.unflatten(0, (n_members, n_tasks))  # (member, task, sample, feature)
