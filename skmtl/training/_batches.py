"""Rows on the device, and their batches as slices of one permutation per epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from skmtl.heads import Layout
from skmtl.training._orders import LabelledRows, Order, filled_up

#: Entries that are gathered in one go: enough that the calls cost nothing, few enough that
#: they are still in the cache when they are used (1 MB in float32), and that a shuffled copy
#: of the whole table never exists.  A GPU has no such cache and dearer calls.
CHUNK_ENTRIES = {"cpu": 1 << 18, "cuda": 1 << 26}


class BatchTargets(NamedTuple):
    """Targets of one batch.

    If members have rows of their own, all shapes have the members first.

    Parameters
    ----------
    y : tuple of Tensor of shape (task, output, sample), one per group of heads
        What the losses compare the outputs with.
    w : tuple of Tensor of shape (task, output or 1, sample or 1), one per group of heads
        Weights times the task's scale over its number of labelled cells in the batch; 0
        where there is no label.
    n_labelled : Tensor of shape (task,)
        Number of labelled cells of each task in the batch.
    present : Tensor of shape (task,), bool
        Which tasks have a label in the batch.
    """

    y: tuple[Tensor, ...]
    w: tuple[Tensor, ...]
    n_labelled: Tensor
    present: Tensor


class Batch(NamedTuple):
    """One batch, as skorch unpacks it.

    Parameters
    ----------
    x : Tensor of shape (sample, ...), or (member, sample, ...) for rows of their own
        Features; of shape (member and task, sample, ...) if tasks have rows of their own, too.
    targets : BatchTargets
        Targets and weights.
    """

    x: Tensor
    targets: BatchTargets


@dataclass(frozen=True)
class TaskData:
    """A table on the device.

    Parameters
    ----------
    x : Tensor of shape (sample, ...) or scipy sparse matrix
        Features; a sparse matrix stays on the CPU, and chunks of it become dense.
    y : Tensor of shape (sample, output row)
        Targets, encoded.
    w : Tensor of shape (sample, weight row)
        Weights; 0 where there is no label.
    layout : Layout
        Tasks and their rows.
    is_complete : bool
        Whether every cell has a label of weight 1.
    scale : Tensor of shape (task,), or (member, task)
        What the losses of the tasks are multiplied by.
    members : tuple of Tensor of shape (n,), int64, on the device, or None, default=None
        The rows of each member; None: all rows for all.
    task_rows : LabelledRows or None, default=None
        The rows of each task; None: all those of the member for all.
    """

    x: Any
    y: Tensor
    w: Tensor
    layout: Layout
    is_complete: bool
    scale: Tensor
    members: tuple[Tensor, ...] | None = None
    task_rows: LabelledRows | None = None

    @classmethod
    def pack(
        cls,
        x: Any,
        values: np.ndarray,
        weights: np.ndarray,
        layout: Layout,
        device: torch.device,
        dtype: torch.dtype,
    ) -> TaskData:
        """Encode targets and move everything to the device.

        Parameters
        ----------
        x : ndarray, Tensor or scipy sparse matrix of shape (n_samples, ...)
            Encoded features.
        values : ndarray of shape (n_samples, n_columns)
            Standardised numbers and class codes, columns in the order of the tasks.
        weights : ndarray of shape (n_samples, n_columns)
            Weights of the cells.
        layout : Layout
            Tasks and their rows.
        device : torch.device
            Where to.
        dtype : torch.dtype
            Type of features, targets and weights.

        Returns
        -------
        TaskData
            The table, with scales of 1.
        """
        columns = layout.columns
        y, w = [], []
        for group in layout.groups:
            for task in range(group.tasks.start, group.tasks.stop):
                cells = torch.as_tensor(values[:, columns[task]], dtype=torch.float64)
                y.append(group.head.encode(cells, group.width).to(dtype))
                w.append(torch.as_tensor(weights[:, columns[task]]).to(dtype))
        features = x if sparse.issparse(x) else torch.as_tensor(x).to(device, dtype)
        is_complete = bool((np.asarray(weights) == 1).all())
        scale = torch.ones(layout.n_tasks, device=device, dtype=dtype)
        targets, cells = (torch.cat(parts, dim=1).to(device) for parts in (y, w))
        return cls(features, targets, cells, layout, is_complete, scale)

    def by_task(self, n_members: int) -> TaskData:
        """Return the table for networks that share nothing: each reads the rows of its own labels.

        Parameters
        ----------
        n_members : int
            Networks of each task.

        Returns
        -------
        TaskData
            Itself, if there are no labels.
        """
        every = torch.arange(len(self), device=self.y.device)
        members = (every,) * n_members if self.members is None else self.members
        rows = LabelledRows.of(self.labelled, members)
        return replace(self, task_rows=rows) if rows.most else self

    @property
    def is_by_task(self) -> bool:
        """Whether each task has rows of its own."""
        return self.task_rows is not None

    @property
    def labelled(self) -> Tensor:
        """Which cells have a label of positive weight, of shape (task, sample)."""
        groups = self.layout.groups
        return torch.cat([(group.weights_of(self.w.T) > 0).any(1) for group in groups])

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.y)

    @property
    def n_rows(self) -> int:
        """How many rows of each member, or of the task that has most, an epoch takes."""
        if self.task_rows is not None:
            return self.task_rows.most
        return len(self) if self.members is None else max(map(len, self.members))

    def order(self, n_batches: int, generator: torch.Generator | None) -> Order:
        """Return the rows of an epoch.

        Parameters
        ----------
        n_batches : int
            Batches of the epoch.
        generator : torch.Generator or None
            Draws the order, on the CPU; None: rows in their order, those of the shorter
            members filled up.

        Returns
        -------
        Order
            Rows of the table.
        """
        device = self.y.device
        if self.task_rows is not None:
            return self.task_rows.order(n_batches, generator)
        if self.members is None:
            # In one batch of all rows, the order is without effect.
            if generator is None or n_batches == 1:
                return Order(torch.arange(len(self), device=device), None)
            return Order(torch.randperm(len(self), generator=generator).to(device), None)
        if generator is None:
            return filled_up(self.members)
        drawn = torch.empty(len(self.members), self.n_rows, dtype=torch.int64, device=device)
        for rows, own in zip(self.members, drawn, strict=True):
            orders = [
                torch.randperm(len(rows), generator=generator)
                for _ in range(-(-len(own) // len(rows)))
            ]
            torch.index_select(rows, 0, torch.cat(orders)[: len(own)].to(device), out=own)
        return Order(drawn, None)

    def features(self, rows: Tensor) -> Tensor:
        """Gather rows of X.

        Parameters
        ----------
        rows : Tensor of shape (n,), int64, on the device
            Which rows.

        Returns
        -------
        Tensor of shape (n, ...)
            Dense, on the device.
        """
        if sparse.issparse(self.x):
            dense = self.x[rows.cpu().numpy()].toarray()
            return torch.as_tensor(dense).to(device=self.y.device, dtype=self.y.dtype)
        return self.x.index_select(0, rows)


class BatchIterator:
    """Iterates over batches of nearly equal size, without work per row.

    Each epoch draws one permutation; chunks of many batches are gathered and transposed at
    once, and a batch is a slice of a chunk.  Sizes differ by one row at most: a small last
    batch would move the model as far as a full one.

    Members with rows of their own each have an order of their own.  In training all take as
    many rows as the one that has the most: the others begin anew, in another order, by chance
    with other rows in each epoch.  Else these are filled up with rows of weight 0.

    Tasks with rows of their own have them spread evenly over the batches, which are as many as
    the task with the most rows needs; the others are filled up with rows of weight 0.

    Parameters
    ----------
    dataset : TaskData or StackedData
        The table.
    batch_size : int
        The largest size of a batch.
    generator : torch.Generator, default=None
        Draws the permutations, on the CPU.  None: rows in their order.
    """

    def __init__(
        self, dataset: Any, batch_size: int, generator: torch.Generator | None = None
    ) -> None:
        self.dataset = dataset
        self.generator = generator
        self._n_rows = dataset.n_rows
        self.batch_size = min(batch_size, self._n_rows)
        self._task_of_weight, self._task_of_row = (
            torch.as_tensor(of, device=dataset.w.device)
            for of in (dataset.layout.task_of_weight, dataset.layout.task_of_row)
        )
        self._whole: list[Batch] | None = None

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-self._n_rows // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Iterate over one epoch."""
        if len(self) == 1 and self.dataset.members is None and not self.dataset.is_by_task:
            # Always the same batch, so gather it once.
            if self._whole is None:
                self._whole = list(self._batches())
            return iter(self._whole)
        return self._batches()

    def _batches(self) -> Iterator[Batch]:
        n_batches = len(self)
        order, counts = self.dataset.order(n_batches, self.generator)
        n, device = order.shape[-1], self.dataset.y.device
        per_row = self.dataset.y.shape[1] + _n_features(self.dataset.x)
        per_row *= 1 if order.dim() == 1 else len(order)  # at most, where tasks have their own
        small, n_large = divmod(n, n_batches)
        start = 0
        for size, count in ((small + 1, n_large), (small, n_batches - n_large)):
            step = max(1, CHUNK_ENTRIES.get(device.type, 1 << 18) // (size * per_row))
            for first in range(0, count, step):
                stop = start + min(step, count - first) * size
                counted = None if counts is None else counts[..., start:stop]
                yield from self._chunk(order[..., start:stop], counted, size)
                start = stop

    def _chunk(self, rows: Tensor, counted: Tensor | None, size: int) -> Iterator[Batch]:
        data, lead = self.dataset, rows.shape[:-1]
        n, axis = rows.shape[-1] // size, len(lead)
        # The batches first, then the members, if they have rows of their own.
        x = data.features(rows.flatten()).unflatten(0, (*lead, n, size)).movedim(axis, 0)
        y = self._cells(data.y, self._task_of_row, rows, size)
        if data.is_complete and counted is None:
            # One number stands for all: every cell has a label of weight 1.
            n_members = data.scale.shape[:-1]
            w = data.w.new_ones(()).expand(n, *n_members, data.w.shape[1], 1)
            cells = data.w.new_full((), float(size)).expand(w.shape[:-1])
        else:
            w = self._cells(data.w, self._task_of_weight, rows, size)
            if counted is not None:
                w = w * self._counts(counted, size)
            cells = (w > 0).sum(-1).to(w.dtype)  # (batch, .., weight row)
        n_labelled = cells.new_zeros(*cells.shape[:-1], data.layout.n_tasks)
        n_labelled.index_add_(-1, self._task_of_weight, cells)
        share = data.scale / n_labelled.clamp_min(1.0)
        w = w * share.index_select(-1, self._task_of_weight).unsqueeze(-1)
        groups = data.layout.groups
        ys = zip(*(group.outputs(y).unbind() for group in groups), strict=True)
        ws = zip(*(group.weights_of(w).unbind() for group in groups), strict=True)
        presence = n_labelled.unbind(), (n_labelled > 0).unbind()
        for batch in zip(x.unbind(), ys, ws, *presence, strict=True):
            yield Batch(batch[0], BatchTargets(*batch[1:]))

    def _cells(self, table: Tensor, tasks: Tensor, rows: Tensor, size: int) -> Tensor:
        """Gather (sample, row) into (batch, .., row, sample); `tasks` has the task of each row."""
        if self.dataset.is_by_task:
            of_rows = self._of_tasks(rows, tasks)  # (member, row, n)
            row = torch.arange(len(tasks), device=rows.device).unsqueeze(1)
            return table[of_rows, row].unflatten(-1, (-1, size)).movedim(-2, 0).contiguous()
        gathered = table.index_select(0, rows.flatten()).unflatten(0, (*rows.shape[:-1], -1, size))
        return gathered.transpose(-1, -2).movedim(rows.dim() - 1, 0).contiguous()

    def _counts(self, counted: Tensor, size: int) -> Tensor:
        """View which rows count as (batch, .., weight row or 1, sample)."""
        if self.dataset.is_by_task:
            counted = self._of_tasks(counted, self._task_of_weight)
        else:
            counted = counted.unsqueeze(-2)
        return counted.unflatten(-1, (-1, size)).movedim(-2, 0)

    def _of_tasks(self, part: Tensor, tasks: Tensor) -> Tensor:
        """Give rows of the table what their tasks have: (member and task, n) -> (member, row, n)."""
        return part.unflatten(0, (-1, self.dataset.layout.n_tasks)).index_select(1, tasks)


def _n_features(x: Any) -> int:
    return int(np.prod(x.shape[1:]))
