"""Own and shared experts, level by level: what CGC and PLE build."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skmtl.layers import Block, Inputs, Seeds, Stack, check_whole
from skmtl.sharing._base import Body
from skmtl.sharing._gate import Gate, mix
from skmtl.sharing._hard import HardBody
from skmtl.sharing._levels import for_copies, levels


def extraction_body(
    trunk: Any,
    inputs: Inputs,
    n_tasks: int,
    n_members: int,
    seeds: Seeds,
    *,
    n_shared_experts: int,
    n_task_experts: int,
    n_levels: int | None,
) -> Body:
    """Build levels of experts with a gate per task.

    Parameters
    ----------
    trunk : Trunk
        Its blocks, split into levels, are the experts.
    inputs : Inputs
        What is known of the features.
    n_tasks, n_members : int
        Number of tasks and of networks.
    seeds : Seeds
        Sources of randomness.
    n_shared_experts, n_task_experts : int
        Experts that all tasks read, and experts of each task; one of them at least 1.
    n_levels : int or None
        Number of levels; None: one for each block.

    Returns
    -------
    Body
        Of hard sharing, if the trunk has no block.

    Raises
    ------
    ValueError
        If there is no expert, or there are more levels than blocks.
    """
    check_whole(n_shared_experts, "n_shared_experts", 0)
    check_whole(n_task_experts, "n_task_experts", 0)
    if not n_shared_experts and not n_task_experts:
        raise ValueError(
            "One of `n_shared_experts` and `n_task_experts` must be at least 1. Found 0 for both."
        )
    if n_levels is not None:
        check_whole(n_levels, "n_levels")
    blocks = trunk.blocks(inputs)
    if not blocks:
        return HardBody(trunk.build(inputs, n_members, seeds))
    size = (n_members, n_tasks, n_task_experts, n_shared_experts)
    return _ExtractionBody(levels(blocks, inputs, n_levels), size, seeds)


class _Gates(nn.Module):
    """The gates of one level: one per task and, before the last level, one for all."""

    def __init__(
        self, inputs: Inputs, size: tuple[int, int, int, int], seeds: Seeds, *, is_last: bool
    ) -> None:
        super().__init__()
        n_members, n_tasks, n_own, n_shared = size
        self.task = Gate(n_members, n_tasks, inputs, n_own + n_shared, seeds)
        self.shared = None
        if n_shared and not is_last:
            self.shared = Gate(n_members, 1, inputs, n_tasks * n_own + n_shared, seeds)


class _ExtractionBody(Body):
    def __init__(
        self,
        parts: list[tuple[list[Block], Inputs]],
        size: tuple[int, int, int, int],
        seeds: Seeds,
    ) -> None:
        super().__init__()
        self.size = size
        n_members, n_tasks, n_own, n_shared = size
        self.trunk = nn.ModuleList()
        self.gates = nn.ModuleList()
        for blocks, inputs in parts:
            pair = {}
            if n_own:
                pair["own"] = Stack(blocks, inputs, n_members * n_tasks * n_own, seeds)
            if n_shared:
                pair["shared"] = Stack(blocks, inputs, n_members * n_shared, seeds)
            self.trunk.append(nn.ModuleDict(pair))
            self.gates.append(_Gates(inputs, size, seeds, is_last=blocks is parts[-1][0]))
        self.out_features = parts[-1][0][-1].output_shape[0]

    def forward(self, x: Tensor) -> Tensor:
        n_members, n_tasks, n_own, n_shared = self.size
        own_input = shared_input = x  # then (member and task, sample, ...), (member, sample, ...)
        experts: Any
        gates: Any
        for experts, gates in zip(self.trunk, self.gates, strict=True):
            weights = gates.task(own_input)  # (member, own and shared expert, task, sample)
            parts, outputs = [], []
            if n_own:
                first = own_input is x
                read = own_input if first or n_own == 1 else own_input.repeat_interleave(n_own, 0)
                own = experts["own"](read).unflatten(0, (n_members, n_tasks, n_own))
                outputs.append(own.flatten(1, 2))  # (member, task and expert, sample, ...)
                parts.append(_mix_own(weights[:, :n_own], own))
            if n_shared:
                read = x if shared_input is x else for_copies(shared_input, n_shared)
                shared = experts["shared"](read).unflatten(0, (n_members, n_shared))
                outputs.append(shared)
                parts.append(mix(weights[:, n_own:], shared))
            mixed = parts[0] if len(parts) == 1 else parts[0] + parts[1]
            if gates.shared is not None:
                weights = gates.shared(shared_input)  # (member, expert, 1, sample)
                shared_input = mix(weights, torch.cat(outputs, dim=1))[:, 0]
            own_input = mixed.flatten(0, 1)
        return mixed  # (member, task, sample, feature)


def _mix_own(weights: Tensor, own: Tensor) -> Tensor:
    """Mix (member, task, expert, sample, ...) by (member, expert, task, sample)."""
    by_expert = weights.transpose(1, 2)
    by_expert = by_expert.reshape(*by_expert.shape, *[1] * (own.dim() - 4))
    return (by_expert * own).sum(2) if own.shape[2] > 1 else (by_expert * own)[:, :, 0]
