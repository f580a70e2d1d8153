"""Chains: tasks that read other tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from skmtl._frames import is_frame, is_series
from skmtl._strategy import did_you_mean
from skmtl.layers import Inputs, Seeds, check_choice, check_flag
from skmtl.sharing._base import Body, Sharing
from skmtl.sharing._chain_bodies import FeatureChainBody, OutputChainBody
from skmtl.sharing._hard import HardBody
from skmtl.tasks import column_spans

PASSES = ("outputs", "features")

_RULE = (
    "Parameter `order` must be 'auto', task names in a list, or a mapping from a task to the tasks "
    "that it reads."
)


class Chain(Sharing):
    """One trunk, and tasks that also read what earlier tasks say.

    With ``passes="outputs"``, ``z_t = head_t(h) + sum_s V_st o_s`` over the tasks s that t reads:
    o is a number, or the probabilities of classes.  With ``passes="features"``, the head of t
    reads ``u_t = h + P_t mean_s silu(u_s)``.  Where one target is a step towards another.
    Without hidden layers, ``"outputs"`` with labels is a chain of linear models, scikit-learn's
    ``ClassifierChain`` and ``RegressorChain``.

    Parameters
    ----------
    order : "auto", sequence of str, or mapping, default="auto"
        Names in an order in which each task reads all before it; tasks that are not named
        read none and are read by none.  Or a mapping from a task to the tasks that it reads,
        without a circle.  ``"auto"``: the task with most labels first, then in the order of
        the columns; what was chosen stands in the estimator's ``sharing_.order``.
    passes : {"outputs", "features"}, default="outputs"
        What a task reads of another.
    teacher_forcing : bool, default=True
        For outputs, in training: read the other task's label, and its prediction where the
        label is missing.  False: always its prediction, through which gradients flow.  In
        prediction there are only predictions.

    Notes
    -----
    Outputs that are numbers pass on what is linear in the representation already: such a chain
    is of use where the later task has few labels, less where all tasks have all of theirs.

    Departure: where Read et al. pass on hard labels of classes in prediction, probabilities are
    passed, as scikit-learn's ``chain_method="predict_proba"`` does; features are averaged over
    the tasks that are read, with one matrix for each task that reads, where Rusu et al. have one
    for each pair.  What stands for a missing label gets no gradient.

    With teacher forcing and complete labels a step costs one more product for all tasks; with
    missing labels or predictions, tasks are computed one after the other, as deep as the
    order is.

    References
    ----------
    J. Read, B. Pfahringer, G. Holmes, E. Frank: Classifier Chains for Multi-label
    Classification, Machine Learning 85, 2011, section 3.
    A. A. Rusu et al.: Progressive Neural Networks, arXiv 1606.04671, 2016, equation (1), for
    features of earlier tasks.

    Examples
    --------
    >>> from skmtl.sharing import Chain
    >>> Chain(["size", "price"])
    Chain(order=['size', 'price'])
    """

    alias = "chain"

    def __init__(
        self, order: Any = "auto", passes: str = "outputs", teacher_forcing: bool = True
    ) -> None:
        self.order = order
        self.passes = passes
        self.teacher_forcing = teacher_forcing

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"passes": "features"}, {"teacher_forcing": False}]

    def adapt(self, values: np.ndarray, mask: np.ndarray, tasks: Any) -> Sharing:
        """Choose the order by the number of labels."""
        if not isinstance(self.order, str):
            return self
        if self.order != "auto":
            hint = did_you_mean(self.order, ["auto"])
            raise ValueError(f"{_RULE} Found `order = {self.order!r}`.{hint}")
        counts = {
            task.name: int(mask[:, span].any(axis=1).sum())
            for task, span in zip(tasks, column_spans(tasks), strict=True)
        }
        order = sorted(counts, key=lambda name: -counts[name])  # stable
        return clone(self).set_params(order=order)

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build the trunk and the links between tasks."""
        passes = check_choice(self.passes, "passes", PASSES)
        teacher_forcing = check_flag(self.teacher_forcing, "teacher_forcing")
        reads = _adjacency(self.order, layout.names)
        stack = trunk.build(inputs, n_members, seeds)
        if not reads.any():
            return HardBody(stack)
        depths = _depths(reads, layout.names)
        if passes == "features":
            return FeatureChainBody(stack, reads, depths)
        links = n_members * trunk.n_submodels
        return OutputChainBody(stack, layout, links, reads, depths, teacher_forcing)


def _adjacency(order: Any, names: Sequence[str]) -> np.ndarray:
    """Return which task (column) reads which (row), shape (task, task), bool."""
    if isinstance(order, str):
        raise ValueError("`order = 'auto'` is chosen in `fit`: call `adapt` with labels first.")
    place = {name: i for i, name in enumerate(names)}
    reads = np.zeros((len(names), len(names)), dtype=bool)
    for task, read in _parents(order):
        for name in (task, *read):
            if not isinstance(name, str) or name not in place:
                raise ValueError(
                    f"`order` names {name!r}, which is no task. The tasks are {list(names)}."
                    f"{did_you_mean(name, names)}"
                )
        reads[[place[name] for name in read], place[task]] = True
    return reads


def _parents(order: Any) -> list[tuple[Any, list[Any]]]:
    """Return the tasks, each with those that it reads."""
    if isinstance(order, Mapping):
        parents = []
        for task, read in order.items():
            if not isinstance(read, Collection) or isinstance(read, bytes | Mapping):
                raise ValueError(
                    "A mapping of `order` must lead from a task to the names of the tasks that it "
                    f"reads, `[]` for none. Found {read!r} for {task!r}."
                )
            parents.append((task, [read] if isinstance(read, str) else list(read)))
        return parents
    if is_frame(order) or is_series(order):
        raise ValueError(
            f"{_RULE} Found a {type(order).__name__}, in which it is not clear who reads whom. "
            "Give the names as a list, or a mapping."
        )
    if isinstance(order, set | frozenset):
        raise ValueError(f"{_RULE} Found `order = {order!r}`, a set, which has no order.")
    if not isinstance(order, Collection) or getattr(order, "ndim", 1) == 0:
        raise ValueError(f"{_RULE} Found `order = {order!r}`.")
    listed = list(order)
    doubled = [task for task in listed if isinstance(task, str) and listed.count(task) > 1]
    if doubled:
        raise ValueError(f"`order` must name each task once. Found {doubled[0]!r} twice.")
    return [(task, listed[:i]) for i, task in enumerate(listed)]


def _depths(reads: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the number of steps before each task, shape (task,)."""
    depths = np.full(len(reads), -1)
    done = np.zeros(len(reads), dtype=bool)
    for depth in range(len(reads)):
        ready = ~done & ~reads[~done].any(axis=0)
        if not ready.any():
            circle = [names[int(i)] for i in np.flatnonzero(~done)]
            raise ValueError(
                f"`order` must not go in a circle. Tasks {circle} wait for one another."
            )
        depths[ready] = depth
        done |= ready
        if done.all():
            break
    return depths
