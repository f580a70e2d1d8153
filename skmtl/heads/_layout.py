"""Which rows of the stacked output layer belong to which task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from skmtl._strategy import resolve
from skmtl.heads._base import Head
from skmtl.tasks import Loss, column_spans


@dataclass(frozen=True)
class HeadGroup:
    """Tasks of one kind, loss and width, which are computed together.

    Parameters
    ----------
    head : Head
        Loss and link.
    width : int
        Outputs per task.
    tasks : slice
        Positions on the task axis.
    rows : slice
        Rows of the output layer, ``width`` per task.
    weights : slice
        Rows of the weights, ``width`` or 1 per task.
    """

    head: Head
    width: int
    tasks: slice
    rows: slice
    weights: slice

    @property
    def n_tasks(self) -> int:
        """Number of tasks in the group."""
        return self.tasks.stop - self.tasks.start

    def outputs(self, z: Tensor) -> Tensor:
        """View this group's rows of the outputs.

        Parameters
        ----------
        z : Tensor of shape (..., output row, sample)
            Outputs or targets of all tasks.

        Returns
        -------
        Tensor of shape (..., task, output, sample)
            A view.
        """
        rows = z.narrow(-2, self.rows.start, self.n_tasks * self.width)
        return rows.view(*z.shape[:-2], self.n_tasks, self.width, z.shape[-1])

    def weights_of(self, w: Tensor) -> Tensor:
        """View this group's rows of the weights.

        Parameters
        ----------
        w : Tensor of shape (..., weight row, sample)
            Weights of all tasks.

        Returns
        -------
        Tensor of shape (..., task, output or 1, sample)
            A view.
        """
        n_rows = self.weights.stop - self.weights.start
        rows = w.narrow(-2, self.weights.start, n_rows)
        return rows.view(*w.shape[:-2], self.n_tasks, n_rows // self.n_tasks, w.shape[-1])


@dataclass(frozen=True)
class HeadSpec:
    """What the output layer has to know of a task.

    Parameters
    ----------
    name : str
        The task.
    kind : str
        Its kind.
    n_columns : int
        Columns of y that it reads.
    n_classes : int
        Its classes; 0 for numbers.
    loss : Loss, default=None
        The loss that it is trained by.  None: the one of its kind.
    quantiles : tuple of float, default=()
        Its levels, if it is a quantile task.
    """

    name: str
    kind: str
    n_columns: int
    n_classes: int
    loss: Loss | None = None
    quantiles: tuple[float, ...] = ()

    def head(self) -> Head:
        """Make the head: the one of its kind and loss, with their parameters."""
        if self.loss is None:
            options = {"quantiles": self.quantiles} if self.quantiles else {}
            return resolve(self.kind, Head, "kind", **options)
        alias = f"{self.loss.alias}_{self.kind}"
        return resolve(alias, Head, "kind", **self.loss.parameters)


@dataclass(frozen=True)
class Layout:
    """The order of tasks, output rows and weight rows inside the network.

    Tasks of one kind, loss and width stand next to each other, so that each is one slice.

    Parameters
    ----------
    groups : tuple of HeadGroup
        Slices, in order.
    names : tuple of str
        Tasks in the order of the task axis.
    order : tuple of int
        Position of each of them in the user's order.
    columns : tuple of slice
        Columns of the encoded targets that each of them reads.
    """

    groups: tuple[HeadGroup, ...]
    names: tuple[str, ...]
    order: tuple[int, ...]
    columns: tuple[slice, ...]

    @classmethod
    def of(cls, specs: Sequence[HeadSpec]) -> Layout:
        """Lay out tasks.

        Parameters
        ----------
        specs : sequence of HeadSpec
            The tasks in the user's order.

        Returns
        -------
        Layout
            The same layout for the same tasks, however often it is made.
        """
        sorts = [(spec.kind, spec.loss, spec.quantiles) for spec in specs]
        heads = {sort: spec.head() for sort, spec in zip(sorts, specs, strict=True)}
        widths = [
            heads[sort].n_outputs(s.n_columns, s.n_classes)
            for sort, s in zip(sorts, specs, strict=True)
        ]
        rank = {sort: i for i, sort in enumerate(heads)}
        order = sorted(range(len(specs)), key=lambda i: (rank[sorts[i]], widths[i], i))
        groups: list[HeadGroup] = []
        task = row = weight = 0
        counts = Counter((sorts[i], widths[i]) for i in order)
        for (sort, width), n in counts.items():
            head = heads[sort]
            n_weights = n * (width if head.weight_per_output else 1)
            groups.append(
                HeadGroup(
                    head,
                    width,
                    slice(task, task + n),
                    slice(row, row + n * width),
                    slice(weight, weight + n_weights),
                )
            )
            task, row, weight = task + n, row + n * width, weight + n_weights
        columns = column_spans(specs)
        return cls(
            tuple(groups),
            tuple(specs[i].name for i in order),
            tuple(order),
            tuple(columns[i] for i in order),
        )

    @cached_property
    def columns_of_groups(self) -> tuple[np.ndarray, ...]:
        """Columns of the encoded targets by group, of shape (n_tasks, sample=1, n_columns)."""
        return tuple(
            np.array([np.arange(c.start, c.stop) for c in self.columns[group.tasks]])[:, None]
            for group in self.groups
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Layout:
        """Return the layout itself, which never changes."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields alone: a thread may come to know a cached property during a copy."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return len(self.names)

    @property
    def n_rows(self) -> int:
        """Number of rows of the output layer."""
        return self.groups[-1].rows.stop

    @property
    def task_of_row(self) -> np.ndarray:
        """Task position of each output row, shape (n_rows,)."""
        return self._spread("rows")

    @property
    def task_of_weight(self) -> np.ndarray:
        """Task position of each weight row, shape (n_weights,)."""
        return self._spread("weights")

    def _spread(self, attribute: str) -> np.ndarray:
        def sizes() -> Iterable[int]:
            for group in self.groups:
                rows = getattr(group, attribute)
                yield from [(rows.stop - rows.start) // group.n_tasks] * group.n_tasks

        return np.repeat(np.arange(self.n_tasks), list(sizes()))
