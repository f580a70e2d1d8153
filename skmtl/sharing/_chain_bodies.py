"""What a chain builds: a trunk, and links between tasks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skmtl.layers import Stack, spread_members
from skmtl.sharing._base import Body


class OutputChainBody(Body):
    """A trunk; outputs of tasks go into those of later ones.

    Parameters
    ----------
    trunk : Stack
        Built, one copy per member.
    layout : Layout
        Tasks and their output rows.
    n_members : int
        Number of networks, times submodels.
    reads : ndarray of shape (task, task), bool
        Which task (column) reads which (row).
    depths : ndarray of shape (task,)
        Number of steps before each task.
    teacher_forcing : bool
        Whether labels stand for outputs in training.
    """

    has_common_features = True

    is_read: Tensor
    order: Tensor
    place: Tensor

    def __init__(
        self,
        trunk: Stack,
        layout: Any,
        n_members: int,
        reads: np.ndarray,
        depths: np.ndarray,
        teacher_forcing: bool,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.out_features = trunk.out_features
        self.layout = layout
        self.teacher_forcing = teacher_forcing
        rows = layout.task_of_row
        self.register_buffer(
            "is_read", torch.as_tensor(reads[np.ix_(rows, rows)]), persistent=False
        )
        # (member, row that is read, row that reads); at 0 the network starts as hard sharing.
        self.by_row = nn.Parameter(torch.zeros(n_members, layout.n_rows, layout.n_rows))
        # The rows by depth, in which the tasks of one depth and group are a slice.
        self.steps, order = _steps(layout, depths)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("place", order.argsort(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the trunk."""
        return self.trunk(x).unsqueeze(1)  # (member, task=1, sample, feature)

    def finish(self, z: Tensor, targets: Any) -> Tensor:
        """Add what tasks read of earlier ones."""
        # (member and submodel, row that reads, row that is read)
        links = spread_members((self.by_row * self.is_read).mT, len(z))
        if targets is None or not self.training or not self.teacher_forcing:
            return self._in_turn(z, links, None, None)[0]
        # (row, sample), or with the members before that
        y = torch.cat([y.flatten(-3, -2) for y in targets.y], dim=-2)
        y = spread_members(y, len(z)) if y.dim() == 3 else y
        if _is_complete(targets):
            return z + links @ y
        pairs = zip(targets.w, targets.y, strict=True)
        labelled = torch.cat([(w > 0).expand_as(y).flatten(-3, -2) for w, y in pairs], dim=-2)
        labelled = spread_members(labelled, len(z)) if labelled.dim() == 3 else labelled
        with torch.no_grad():  # what stands for a label is no output to be trained
            read = self._in_turn(z, links, y, labelled)[1]
        return z + links @ read

    def _in_turn(
        self, z: Tensor, links: Tensor, y: Tensor | None, labelled: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Compute outputs depth by depth, and what is read of them."""
        z = z.index_select(1, self.order)
        links = links.index_select(1, self.order).index_select(2, self.order)
        if y is not None and labelled is not None:
            y, labelled = y.index_select(-2, self.order), labelled.index_select(-2, self.order)
        outputs, read = [], []
        known = z.new_empty(len(z), 0, z.shape[-1])
        for step in self.steps:
            start = known.shape[1]
            for group, rows in step:
                own = z[:, rows]
                if start:
                    own = own + links[:, rows, :start] @ known
                outputs.append(own)
                linked = group.head.link(own.unflatten(1, (-1, group.width)))
                # Of two probabilities the last says all.
                passed = linked[:, :, -group.width :].flatten(1, 2)
                if y is not None and labelled is not None:
                    passed = torch.where(labelled[..., rows, :], y[..., rows, :], passed)
                read.append(passed)
            # Tasks of one depth do not read one another.
            known = torch.cat(read, dim=1)
        mixed = torch.cat(outputs, dim=1).index_select(1, self.place)
        return mixed, known.index_select(1, self.place)


def _is_complete(targets: Any) -> bool:
    """Tell whether all labels are there, as far as that is known without a look at a GPU."""
    n_samples = targets.y[0].shape[-1]
    if n_samples > 1 and all(w.shape[-1] == 1 for w in targets.w):
        return True  # one weight stands for all samples
    return targets.present.device.type == "cpu" and all(bool((w > 0).all()) for w in targets.w)


def _steps(layout: Any, depths: np.ndarray) -> tuple[list[list[tuple[Any, slice]]], Tensor]:
    """List the groups of heads of each depth with their slice of the rows, and the rows' order."""
    steps: list[list[tuple[Any, slice]]] = []
    order: list[int] = []
    for depth in range(depths.max() + 1):
        step = []
        for group in layout.groups:
            tasks = np.flatnonzero(depths[group.tasks] == depth)
            if len(tasks):
                rows = group.rows.start + (tasks[:, None] * group.width + np.arange(group.width))
                step.append((group, slice(len(order), len(order) + rows.size)))
                order += rows.ravel().tolist()
        steps.append(step)
    return steps, torch.as_tensor(order)


class FeatureChainBody(Body):
    """A trunk; last features of tasks go into those of later ones.

    Parameters
    ----------
    trunk : Stack
        Built, one copy per member.
    reads : ndarray of shape (task, task), bool
        Which task (column) reads which (row).
    depths : ndarray of shape (task,)
        Number of steps before each task.
    """

    has_common_features = True

    order: Tensor
    place: Tensor
    shares: Tensor

    def __init__(self, trunk: Stack, reads: np.ndarray, depths: np.ndarray) -> None:
        super().__init__()
        self.trunk = trunk
        self.out_features = trunk.out_features
        n_tasks, width = len(reads), trunk.out_features
        # (member, task, feature, feature); at 0 the network starts as hard sharing.
        self.passed = nn.Parameter(torch.zeros(trunk.n_copies, n_tasks, width, width))
        # Tasks by depth, of which those of one depth are a slice.
        order = np.argsort(depths, kind="stable")
        self.stops = np.cumsum(np.bincount(depths)).tolist()
        shares = reads.T[np.ix_(order, order)] / np.maximum(reads.sum(0)[order, None], 1)
        for name, values in (("order", order), ("place", order.argsort()), ("shares", shares)):
            self.register_buffer(name, torch.as_tensor(values), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the trunk, and pass features on."""
        h = self.trunk(x).unsqueeze(1)  # (member, 1, sample, feature)
        passed = self.passed.index_select(1, self.order)
        shares = self.shares.to(h.dtype)  # (task that reads, task that is read)
        u = [h.expand(-1, self.stops[0], -1, -1)]
        read = [F.silu(h).expand(-1, self.stops[0], -1, -1)]
        for start, stop in pairwise(self.stops):
            mean = torch.einsum("ts,msnf->mtnf", shares[start:stop, :start], torch.cat(read, dim=1))
            own = h + torch.matmul(mean, passed[:, start:stop])
            u.append(own)
            read.append(F.silu(own))
        return torch.cat(u, dim=1).index_select(1, self.place)
