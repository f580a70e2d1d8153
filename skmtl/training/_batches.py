"""Rows on the device, and their batches as slices of one permutation per epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from skmtl.heads import Layout

#: Entries that are gathered in one go: enough that the calls cost nothing, few enough that
#: they are still in the cache when they are used (1 MB in float32), and that a shuffled copy
#: of the whole table never exists.  A GPU has no such cache and dearer calls.
CHUNK_ENTRIES = {"cpu": 1 << 18, "cuda": 1 << 26}


class BatchTargets(NamedTuple):
    """Targets of one batch.

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
    x : Tensor of shape (sample, ...)
        Features.
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
    scale : Tensor of shape (task,)
        What the losses of the tasks are multiplied by.
    """

    x: Any
    y: Tensor
    w: Tensor
    layout: Layout
    is_complete: bool
    scale: Tensor

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
                y.append(group.head.encode(cells, group.width).to(device, dtype))
                task_weights = weights[:, columns[task]]
                w.append(torch.as_tensor(task_weights).to(device, dtype))
        features = x if sparse.issparse(x) else torch.as_tensor(x).to(device, dtype)
        is_complete = bool((np.asarray(weights) == 1).all())
        scale = torch.ones(layout.n_tasks, device=device, dtype=dtype)
        return cls(features, torch.cat(y, dim=1), torch.cat(w, dim=1), layout, is_complete, scale)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.y)

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

    Parameters
    ----------
    dataset : TaskData
        The table.
    batch_size : int
        The largest size of a batch.
    generator : torch.Generator, default=None
        Draws the permutations, on the CPU.  None: rows in their order.
    """

    def __init__(
        self, dataset: TaskData, batch_size: int, generator: torch.Generator | None = None
    ) -> None:
        self.dataset = dataset
        self.batch_size = min(batch_size, len(dataset))
        self.generator = generator
        self._task_of_weight = torch.as_tensor(
            dataset.layout.task_of_weight, device=dataset.w.device
        )
        self._whole: list[Batch] | None = None

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Iterate over one epoch."""
        if len(self) == 1:
            # One batch of all rows: their order is without effect, so gather them once.
            if self._whole is None:
                rows = torch.arange(len(self.dataset), device=self.dataset.y.device)
                self._whole = list(self._chunk(rows, len(rows)))
            return iter(self._whole)
        return self._batches()

    def _batches(self) -> Iterator[Batch]:
        n, n_batches = len(self.dataset), len(self)
        order = torch.arange(n)
        if self.generator is not None:
            order = torch.randperm(n, generator=self.generator)
        device = self.dataset.y.device
        order = order.to(device)
        per_row = self.dataset.y.shape[1] + _n_features(self.dataset.x)
        small, n_large = divmod(n, n_batches)
        start = 0
        for size, count in ((small + 1, n_large), (small, n_batches - n_large)):
            step = max(1, CHUNK_ENTRIES.get(device.type, 1 << 18) // (size * per_row))
            for first in range(0, count, step):
                rows = min(step, count - first) * size
                yield from self._chunk(order[start : start + rows], size)
                start += rows

    def _chunk(self, rows: Tensor, size: int) -> Iterator[Batch]:
        data = self.dataset
        n = len(rows) // size
        x = data.features(rows).unflatten(0, (n, size))
        y = data.y.index_select(0, rows).unflatten(0, (n, size)).transpose(1, 2).contiguous()
        if data.is_complete:
            # One number stands for all: every cell has a label of weight 1.
            w = data.w.new_full((1, data.w.shape[1], 1), 1.0).expand(n, -1, -1)
            cells = data.w.new_full((1, data.w.shape[1]), float(size)).expand(n, -1)
        else:
            w = data.w.index_select(0, rows).unflatten(0, (n, size)).transpose(1, 2).contiguous()
            cells = (w > 0).sum(-1).to(w.dtype)  # (batch, weight row)
        n_labelled = cells.new_zeros(n, data.layout.n_tasks)
        n_labelled.index_add_(1, self._task_of_weight, cells)
        share = data.scale / n_labelled.clamp_min(1.0)
        w = w * share.index_select(1, self._task_of_weight).unsqueeze(-1)
        groups = data.layout.groups
        ys = zip(*(group.outputs(y).unbind() for group in groups), strict=True)
        ws = zip(*(group.weights_of(w).unbind() for group in groups), strict=True)
        counts = n_labelled.unbind(), (n_labelled > 0).unbind()
        for batch in zip(x.unbind(), ys, ws, *counts, strict=True):
            yield Batch(batch[0], BatchTargets(*batch[1:]))


def _n_features(x: Any) -> int:
    return int(np.prod(x.shape[1:]))
