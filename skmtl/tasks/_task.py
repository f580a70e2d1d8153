"""What a task is: a name, a kind, and the columns of y that it reads."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from numbers import Real
from typing import Any

from skmtl._strategy import did_you_mean
from skmtl.tasks._loss import check_loss


class TaskWarning(UserWarning):
    """A task cannot be learned or judged as it stands.

    It has no label, or one class only; no label among the rows that were held out; or it was in no
    epoch better than its best constant on them.
    """


@dataclass(frozen=True)
class Kind:
    """Facts about a kind of task.

    Parameters
    ----------
    name : str
        The word that users write.
    has_classes : bool
        Whether the labels are classes; else they are numbers.
    many_columns : bool
        Whether one task may read several columns of y.
    """

    name: str
    has_classes: bool
    many_columns: bool


#: The kinds of tasks by name.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("regression", has_classes=False, many_columns=True),
        Kind("binary", has_classes=True, many_columns=False),
        Kind("multiclass", has_classes=True, many_columns=False),
        Kind("count", has_classes=False, many_columns=False),
        Kind("quantile", has_classes=False, many_columns=False),
        Kind("ordinal", has_classes=True, many_columns=False),
        Kind("multilabel", has_classes=True, many_columns=True),
    )
}

#: A word that leaves open which kind of classification it is: the labels decide.
CLASSIFICATION = "classification"

#: The levels of a quantile task that names none: an interval of 80% around the median.
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Task:
    """One target to learn.

    Use it in ``tasks=`` where a word is not enough: to give a task a name of its own,
    to read several columns as one task, or to fix the classes, the levels or the loss.

    Parameters
    ----------
    name : str
        The name under which predictions, scores and losses are reported.
    kind : str, default=None
        What is learned: ``"regression"``, ``"binary"``, ``"multiclass"``,
        ``"classification"`` (the number of classes decides between the two), ``"count"``,
        ``"quantile"``, ``"ordinal"`` or ``"multilabel"``.  None: inferred from the labels,
        which finds the first three only.
    columns : sequence of hashable, default=()
        The columns of y, by name or position.  Empty: the column called `name`.
    classes : sequence, default=()
        The class labels, in the order of the probability columns; of an ordinal task from the
        lowest to the highest, of a multilabel task "no" and "yes".  Empty: those that occur.
    loss : str or Loss, default=None
        ``"huber"`` or ``"absolute"`` for a regression, ``"focal"`` for binary and multiclass
        tasks, or an object with parameters: ``Huber(delta=0.5)``, ``Focal(gamma=1.0)``.
        None: the loss of the kind.
    quantiles : sequence of float, default=()
        The levels of a quantile task, rising, each in (0, 1).  Empty: 0.1, 0.5 and 0.9.

    Raises
    ------
    ValueError
        If the name is empty, the kind or the loss unknown, a class given twice, or something
        given that tasks of this kind do not have.

    Examples
    --------
    >>> from skmtl.tasks import Task
    >>> Task("box", "regression", columns=["x", "y", "w", "h"]).n_columns
    4
    >>> Task("delay", "quantile", quantiles=[0.05, 0.5, 0.95])
    Task('delay', 'quantile', quantiles=[0.05, 0.5, 0.95])
    """

    name: str
    kind: str | None = None
    columns: Sequence[Hashable] = ()
    classes: Sequence[Any] = field(default=())
    loss: Any = None
    quantiles: Sequence[float] = ()

    def __post_init__(self) -> None:
        """Check the parts, and make them tuples."""
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"A task's name must be a non-empty string. Found {self.name!r}.")
        known = [*KINDS, CLASSIFICATION]
        if self.kind is not None and self.kind not in known:
            raise ValueError(
                f"Task {self.name!r}: the kind must be one of {known}. Found {self.kind!r}."
                f"{did_you_mean(self.kind, known)}"
            )
        columns = (self.columns,) if isinstance(self.columns, str | int) else tuple(self.columns)
        object.__setattr__(self, "columns", columns or (self.name,))
        object.__setattr__(self, "classes", tuple(self.classes))
        object.__setattr__(self, "loss", check_loss(self.loss, self.name, self._possible_kinds))
        object.__setattr__(self, "quantiles", self._levels())
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(
                f"Task {self.name!r}: the classes must differ from each other. Found "
                f"{list(self.classes)}."
            )
        self._check_columns()

    def _check_columns(self) -> None:
        reads_one = self.kind == CLASSIFICATION or (
            self.kind is not None and not KINDS[self.kind].many_columns
        )
        if len(self.columns) > 1 and reads_one:
            several = [kind.name for kind in KINDS.values() if kind.many_columns]
            raise ValueError(
                f"Task {self.name!r}: only tasks of kind {' or '.join(map(repr, several))} may "
                f"read several columns. Found kind {self.kind!r} with columns "
                f"{list(self.columns)}."
            )
        if self.kind == "multilabel" and len(self.classes) > 2:
            raise ValueError(
                f"Task {self.name!r}: the classes of a multilabel task are two, 'no' and 'yes', "
                f"the same in all its columns. Found {list(self.classes)}."
            )

    @property
    def _possible_kinds(self) -> tuple[str, ...]:
        if self.kind == CLASSIFICATION:
            return (CLASSIFICATION, "binary", "multiclass")
        return () if self.kind is None else (self.kind,)

    def _levels(self) -> tuple[float, ...]:
        if self.kind != "quantile":
            if len(self.quantiles) > 0:
                raise ValueError(
                    f"Task {self.name!r}: only a task of kind 'quantile' has quantiles. Found "
                    f"kind {self.kind!r} with quantiles {list(self.quantiles)}."
                )
            return ()
        levels = tuple(self.quantiles) or QUANTILES
        if not all(isinstance(level, Real) and 0 < level < 1 for level in levels) or any(
            low >= high for low, high in pairwise(levels)
        ):
            raise ValueError(
                f"Task {self.name!r}: the quantiles must be rising numbers between 0 and 1. "
                f"Found {list(levels)}."
            )
        return tuple(float(level) for level in levels)

    @property
    def n_columns(self) -> int:
        """Number of columns of y that the task reads."""
        return len(self.columns)

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 for a task of numbers."""
        return len(self.classes)

    @property
    def has_classes(self) -> bool:
        """Whether the labels are classes."""
        return self.kind is not None and (
            self.kind == CLASSIFICATION or KINDS[self.kind].has_classes
        )

    @property
    def middle(self) -> list[int]:
        """Positions of the levels nearest to 0.5 among the quantiles, whose mean is predicted."""
        # Rounded: 0.4 and 0.6 are equally near, whatever their last bits say.
        gaps = [round(abs(level - 0.5), 12) for level in self.quantiles]
        return [position for position, gap in enumerate(gaps) if gap == min(gaps)]

    def __repr__(self) -> str:
        """Return a short form that leaves out what is at its default."""
        parts = [repr(self.name), repr(self.kind)]
        if self.columns != (self.name,):
            parts.append(f"columns={list(self.columns)}")
        if self.classes:
            labels = [getattr(label, "item", lambda label=label: label)() for label in self.classes]
            shown = ", ".join(map(repr, labels[:6])) + (", ..." if len(labels) > 6 else "")
            parts.append(f"classes=[{shown}]")
        if self.loss is not None:
            parts.append(f"loss={self.loss!r}")
        if self.quantiles not in {(), QUANTILES}:
            parts.append(f"quantiles={list(self.quantiles)}")
        return f"Task({', '.join(parts)})"


def column_spans(tasks: Iterable[Any]) -> list[slice]:
    """Return where the columns of each task stand among the columns of all.

    Parameters
    ----------
    tasks : iterable of Task
        Or of anything else with ``n_columns``.

    Returns
    -------
    list of slice
        In the order of the tasks.
    """
    edges = [0, *accumulate(task.n_columns for task in tasks)]
    return [slice(*pair) for pair in pairwise(edges)]
