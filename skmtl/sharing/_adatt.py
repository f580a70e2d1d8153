"""Adaptive task-to-task fusion."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skmtl.layers import Block, Inputs, Seeds, Stack, check_whole
from skmtl.sharing._base import Body, Sharing
from skmtl.sharing._gate import Gate, mix
from skmtl.sharing._hard import HardBody
from skmtl.sharing._levels import levels


class AdaTT(Sharing):
    """Experts of each task, which every task reads through a gate beside its own directly.

    At each level ``f_t = sum_e g_te(x_t) e(x) + sum_k v_tk e_tk(x_t)``: a gate over the experts
    of all tasks, and learned weights v of the task's own experts.  Costs a trunk per expert of
    every task, and fusion that grows with the square of the number of tasks: for a few tasks.

    Parameters
    ----------
    n_levels : int, default=None
        Number of levels, at most the number of the trunk's blocks; None: one for each block.
    n_task_experts : int, default=1
        Experts of each task at each level.

    Notes
    -----
    This is AdaTT-sp, with experts of tasks only; shared experts are what :class:`PLE` has.
    Departure: v is learned for a single own expert too, and starts at one over their number.

    References
    ----------
    D. Li, Z. Zhang, S. Yuan, M. Gao, W. Zhang, C. Yang, X. Liu, J. Yang: AdaTT: Adaptive
    Task-to-Task Fusion Network for Multitask Learning in Recommendations, KDD 2023
    (arXiv 2304.04959), AdaTT-sp.

    Examples
    --------
    >>> from skmtl.sharing import AdaTT
    >>> AdaTT(n_task_experts=2)
    AdaTT(n_task_experts=2)
    """

    alias = "adatt"

    def __init__(self, n_levels: int | None = None, n_task_experts: int = 1) -> None:
        self.n_levels = n_levels
        self.n_task_experts = n_task_experts

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"n_task_experts": 2}]

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build experts and fusion units; a trunk without a layer has nothing to fuse."""
        n_own = check_whole(self.n_task_experts, "n_task_experts")
        if self.n_levels is not None:
            check_whole(self.n_levels, "n_levels")
        blocks = trunk.blocks(inputs)
        if not blocks:
            return HardBody(trunk.build(inputs, n_members, seeds))
        size = (n_members, layout.n_tasks, n_own)
        return _AdaTTBody(levels(blocks, inputs, self.n_levels), size, seeds)


class _AdaTTBody(Body):
    mixing_names = ("native",)

    def __init__(
        self,
        parts: list[tuple[list[Block], Inputs]],
        size: tuple[int, int, int],
        seeds: Seeds,
    ) -> None:
        super().__init__()
        n_members, n_tasks, n_own = size
        self.trunk, self.gates = nn.ModuleList(), nn.ModuleList()
        for blocks, inputs in parts:
            self.trunk.append(Stack(blocks, inputs, n_members * n_tasks * n_own, seeds))
            self.gates.append(Gate(n_members, n_tasks, inputs, n_tasks * n_own, seeds))
        # (member, level, task, expert)
        self.native = nn.Parameter(
            torch.full((n_members, len(parts), n_tasks, n_own), 1 / n_own, dtype=torch.float32)
        )
        self.out_features = parts[-1][0][-1].output_shape[0]

    def forward(self, x: Tensor) -> Tensor:
        n_members, _, n_tasks, n_own = self.native.shape
        own_input = x  # then (member and task, sample, ...)
        for experts, gate, native in zip(
            self.trunk, self.gates, self.native.unbind(1), strict=True
        ):
            repeats = own_input is not x and n_own > 1
            read = own_input.repeat_interleave(n_own, 0) if repeats else own_input
            own = experts(read).unflatten(0, (n_members, n_tasks, n_own))
            fused = mix(gate(own_input), own.flatten(1, 2))  # (member, task, sample, ...)
            direct = torch.matmul(native.unsqueeze(2), own.flatten(3)).squeeze(2)
            fused = fused + direct.view(fused.shape)
            own_input = fused.flatten(0, 1)
        return fused
