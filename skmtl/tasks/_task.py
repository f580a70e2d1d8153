"""What a task is: a name, a kind, and the columns of y that it reads."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any


class TaskWarning(UserWarning):
    """A task cannot be learned or judged as it stands: no label, or one class only."""


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
    )
}

#: A word that leaves open which kind of classification it is: the labels decide.
CLASSIFICATION = "classification"


@dataclass(frozen=True)
class Task:
    """One target to learn.

    Use it in ``tasks=`` where a word is not enough: to give a task a name of its own,
    to read several columns as one vector-valued task, or to fix the classes.

    Parameters
    ----------
    name : str
        The name under which predictions, scores and losses are reported.
    kind : {"regression", "binary", "multiclass", "classification"}, default=None
        What is learned.  None: inferred from the labels.
    columns : sequence of hashable, default=()
        The columns of y, by name or position.  Empty: the column called `name`.
    classes : sequence, default=()
        The class labels, in the order of the probability columns.  Empty: those that occur.

    Raises
    ------
    ValueError
        If the name is empty, the kind unknown, a class given twice, or several columns given
        to a class task.

    Examples
    --------
    >>> from skmtl.tasks import Task
    >>> Task("box", "regression", columns=["x", "y", "w", "h"]).n_columns
    4
    """

    name: str
    kind: str | None = None
    columns: Sequence[Hashable] = ()
    classes: Sequence[Any] = field(default=())

    def __post_init__(self) -> None:
        """Check the parts, and make them tuples."""
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"A task's name must be a non-empty string. Found {self.name!r}.")
        known = [*KINDS, CLASSIFICATION]
        if self.kind is not None and self.kind not in known:
            from skmtl._strategy import did_you_mean

            raise ValueError(
                f"Task {self.name!r}: the kind must be one of {known}. Found {self.kind!r}."
                f"{did_you_mean(self.kind, known)}"
            )
        columns = (self.columns,) if isinstance(self.columns, str | int) else tuple(self.columns)
        object.__setattr__(self, "columns", columns or (self.name,))
        object.__setattr__(self, "classes", tuple(self.classes))
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(
                f"Task {self.name!r}: the classes must differ from each other. Found "
                f"{list(self.classes)}."
            )
        if len(self.columns) > 1 and self.kind not in {None, "regression"}:
            raise ValueError(
                f"Task {self.name!r}: only a regression task may read several columns. "
                f"Found kind {self.kind!r} with columns {list(self.columns)}."
            )

    @property
    def n_columns(self) -> int:
        """Number of columns of y that the task reads."""
        return len(self.columns)

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 for a regression task."""
        return len(self.classes)

    @property
    def has_classes(self) -> bool:
        """Whether the labels are classes."""
        return self.kind is not None and (
            self.kind == CLASSIFICATION or KINDS[self.kind].has_classes
        )

    def __repr__(self) -> str:
        """Return a short form that leaves out what is at its default."""
        parts = [repr(self.name), repr(self.kind)]
        if self.columns != (self.name,):
            parts.append(f"columns={list(self.columns)}")
        if self.classes:
            labels = [getattr(label, "item", lambda label=label: label)() for label in self.classes]
            shown = ", ".join(map(repr, labels[:6])) + (", ..." if len(labels) > 6 else "")
            parts.append(f"classes=[{shown}]")
        return f"Task({', '.join(parts)})"
