"""Relations between tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from skmtl._frames import frame_to_pandas, is_frame
from skmtl._strategy import did_you_mean
from skmtl.layers import check_choice, trace_norm
from skmtl.penalties._base import Penalty, PenaltyModule

FORMS = ("smoothness", "product")


class TaskRelations(Penalty):
    """Pulls related tasks together, by their heads' weights or by their losses.

    ``"smoothness"``: ``Omega = strength * sum_(s<t) r_st |w_s - w_t|^2`` on the weights of the
    heads, for tasks with as many outputs.  ``"product"``:
    ``Omega = strength * sum_(s<t) r_st L_s L_t`` on the losses, which weighs a task the more the
    worse its relatives do.  With relations learned, ``Omega = strength * tr(W R^-1 W^T)`` over
    the best R with trace 1, which is the square of the trace norm of W.

    Parameters
    ----------
    relations : "learned", frame, array or mapping, default="learned"
        r_st, at least 0 and symmetric: a frame with task names on both axes (those it does not
        name have none; rows of polars, which have no names, in the order of its columns), an
        array in the order of the tasks, or a mapping from pairs of names, each given once.
        Learned relations are read from a fitted estimator by
        :func:`skmtl.inspection.task_relations`.
    form : {"smoothness", "product"}, default="smoothness"
        What the relations weigh.
    strength : float, default=1e-3
        Factor, at least 0.
    part : {"heads"}, default="heads"
        The output layer of the heads.

    Notes
    -----
    Weights of heads can only be compared where all heads read the same features, as they do
    under ``"hard"``, ``"chain"``, ``"mmoe"``, ``"dselect_k"`` and ``"attention"``; with trunks of
    their own, tasks are related by their losses alone (``form="product"``).

    A task without a label in a batch has no part in the product there.
    :func:`skmtl.inspection.sharing_report` leaves this penalty out of a task's own net.

    References
    ----------
    T. Evgeniou, C. A. Micchelli, M. Pontil: Learning Multiple Tasks with Kernel Methods, JMLR
    6, 2005 (graph regularisation).
    Y. Zhang, D.-Y. Yeung: A Convex Formulation for Learning Task Relationships in Multi-Task
    Learning, UAI 2010 (learned relations).

    Examples
    --------
    >>> from skmtl.penalties import TaskRelations
    >>> TaskRelations({("price", "rent"): 1.0}, strength=0.01)
    TaskRelations(relations={('price', 'rent'): 1.0}, strength=0.01)
    """

    alias = "task_relations"
    parts: ClassVar[tuple[str, ...]] = ("heads",)
    relates_tasks = True

    def __init__(
        self,
        relations: Any = "learned",
        form: str = "smoothness",
        strength: float = 1e-3,
        part: str = "heads",
    ) -> None:
        self.relations = relations
        self.form = form
        self.strength = strength
        self.part = part

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        pairs = {("price", "size"): 1.0, ("sold", "size"): 0.5}
        return [{}, {"relations": pairs}, {"relations": pairs, "form": "product"}]

    def check(self) -> None:
        """Check the parameters that do not depend on the tasks."""
        super().check()
        check_choice(self.form, "form", FORMS)
        if isinstance(self.relations, str) and self.relations != "learned":
            raise ValueError(
                "Parameter `relations` must be 'learned', a frame, an array or a mapping. Found "
                f"`relations = {self.relations!r}`.{did_you_mean(self.relations, ['learned'])}"
            )
        if isinstance(self.relations, str) and self.form == "product":
            raise ValueError("`form = 'product'` needs given relations. Found 'learned'.")

    def build(self, layout: Any, n_members: int) -> PenaltyModule:
        """Build the term."""
        self.check()
        if isinstance(self.relations, str):
            return _Learned(self, n_members)
        names = layout.names
        relations = _matrix(self.relations, [names[i] for i in np.argsort(layout.order)])
        relations = relations[np.ix_(layout.order, layout.order)]
        if self.form == "product":
            return _Product(self, n_members, relations)
        return _Smoothness(self, n_members, relations, layout)


def _matrix(relations: Any, names: list[str]) -> np.ndarray:
    """Return the relations in the user's order of tasks, checked."""
    if isinstance(relations, Mapping):
        matrix = _of_pairs(relations, names)
    elif is_frame(relations):
        matrix = _of_frame(relations, names)
    else:
        matrix = _numbers(relations)
        if matrix.shape != (len(names), len(names)):
            raise ValueError(
                f"`relations` must be of shape {(len(names), len(names))}, a row and a column for "
                f"each of the tasks {names}. Found shape {matrix.shape}."
            )
    np.fill_diagonal(matrix, 0.0)
    for rule, is_wrong in (
        ("finite", ~np.isfinite(matrix)),
        ("at least 0 (0: no relation)", matrix < 0),
        ("symmetric", ~np.isclose(matrix, matrix.T)),
    ):
        if is_wrong.any():
            i, j = (int(place) for place in np.argwhere(is_wrong)[0])
            other = f", and {matrix[j, i]:g} the other way round" if rule == "symmetric" else ""
            raise ValueError(
                f"`relations` must be {rule}. Found {matrix[i, j]:g} for tasks {names[i]!r} and "
                f"{names[j]!r}{other}."
            )
    return matrix


def _of_pairs(relations: Mapping[Any, Any], names: list[str]) -> np.ndarray:
    """Return the matrix of a mapping from pairs of tasks."""
    matrix = np.zeros((len(names), len(names)))
    seen: set[frozenset[int]] = set()
    for pair, r in relations.items():
        listed = list(pair) if isinstance(pair, tuple | frozenset) else []
        if len(listed) != 2 or listed[0] == listed[1]:
            raise ValueError(
                "A mapping of `relations` must have pairs of two different tasks as keys, such as "
                f"('a', 'b'). Found the key {pair!r}."
            )
        if not isinstance(r, Real):
            raise ValueError(f"`relations` must hold numbers. Found {r!r} for {pair!r}.")
        i, j = (_position(name, names) for name in listed)
        if frozenset((i, j)) in seen and matrix[i, j] != r:
            raise ValueError(
                f"`relations` must be symmetric. Found {r:g} for {pair!r}, and {matrix[i, j]:g} "
                "the other way round. Give each pair once."
            )
        seen.add(frozenset((i, j)))
        matrix[i, j] = matrix[j, i] = float(r)
    return matrix


def _of_frame(relations: Any, names: list[str]) -> np.ndarray:
    """Return the matrix of a frame with task names on both axes."""
    frame = frame_to_pandas(relations)
    if frame is not relations and len(frame) == len(frame.columns):
        frame.index = frame.columns  # rows have names in pandas alone
    for axis, found in (("columns", frame.columns), ("rows", frame.index)):
        if not found.is_unique:
            raise ValueError(
                "A frame of `relations` must have each task once. Found "
                f"{found[found.duplicated()][0]!r} more than once among its {axis}."
            )
    if set(frame.index) != set(frame.columns):
        raise ValueError(
            "A frame of `relations` must have the same tasks as rows and as columns. Found the "
            f"rows {list(frame.index)} and the columns {list(frame.columns)}. Set the index of a "
            "pandas frame to the names of the tasks."
        )
    places = [_position(name, names) for name in frame.columns]
    matrix = np.zeros((len(names), len(names)))
    matrix[np.ix_(places, places)] = _numbers(frame.loc[frame.columns])
    return matrix


def _numbers(relations: Any) -> np.ndarray:
    """Return a copy as an array of float64."""
    try:
        found = np.asarray(relations)
        if found.dtype.kind not in "biufO":
            raise TypeError(f"its cells are of type {found.dtype}")
        return np.array(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        reason = "call its `toarray()`" if sparse.issparse(relations) else str(error)
        raise ValueError(
            "`relations` must be a dense table of numbers. Found a "
            f"{type(relations).__name__}: {reason}."
        ) from error


def _position(name: Any, names: list[str]) -> int:
    if name not in names:
        raise ValueError(
            f"`relations` names {name!r}, which is no task. The tasks are {names}."
            f"{did_you_mean(name, names)}"
        )
    return names.index(name)


class _Learned(PenaltyModule):
    def of_weights(self, weights: Sequence[Tensor]) -> Tensor:
        return trace_norm(weights[-1]).square().sum()


class _Smoothness(PenaltyModule):
    laplacian: Tensor

    def __init__(
        self, penalty: Penalty, n_members: int, relations: np.ndarray, layout: Any
    ) -> None:
        super().__init__(penalty, n_members)
        rows_of = [np.flatnonzero(layout.task_of_row == t) for t in range(layout.n_tasks)]
        weights = np.zeros((layout.n_rows, layout.n_rows))
        for s, t in np.argwhere(relations > 0):
            if len(rows_of[s]) != len(rows_of[t]):
                raise ValueError(
                    "Related tasks must have as many outputs as each other for `form = "
                    f"'smoothness'`. Task {layout.names[s]!r} has {len(rows_of[s])}, task "
                    f"{layout.names[t]!r} has {len(rows_of[t])}. Take the relation out, or use "
                    "form='product'."
                )
            weights[rows_of[s], rows_of[t]] = relations[s, t]
        # sum_(s<t) r_st |w_s - w_t|^2 = tr(W L W^T) with L = diag(R 1) - R
        laplacian = np.diag(weights.sum(axis=1)) - weights
        self.register_buffer("laplacian", torch.as_tensor(laplacian), persistent=False)

    def of_weights(self, weights: Sequence[Tensor]) -> Tensor:
        output = weights[-1]  # (member, feature, output row)
        return (output @ self.laplacian * output).sum()


class _Product(PenaltyModule):
    reads_losses = True
    relations: Tensor

    def __init__(self, penalty: Penalty, n_members: int, relations: np.ndarray) -> None:
        super().__init__(penalty, n_members)
        self.register_buffer("relations", torch.as_tensor(relations), persistent=False)

    def of_losses(self, losses: Tensor, present: Tensor) -> Tensor:
        return (losses @ self.relations * losses).sum() / 2
