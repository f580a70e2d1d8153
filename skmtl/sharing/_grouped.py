"""Tasks in groups, a trunk per group."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from torch import Tensor

from skmtl._frames import is_frame, is_series
from skmtl._strategy import did_you_mean
from skmtl.layers import Inputs, Seeds, Stack, check_whole
from skmtl.sharing._base import Body, Sharing
from skmtl.tasks import TaskWarning, group_tasks, label_affinity

_RULE = (
    "Parameter `groups` must be 'auto', a list with a list of task names for each group, or a "
    "mapping from tasks to groups."
)


class Grouped(Sharing):
    """One trunk for each group of tasks: ``h_it = trunk_g(t)(x_i)``.

    Where some tasks belong together and others harm one another.  One group is hard sharing,
    a group for each task independent nets.

    Parameters
    ----------
    groups : "auto", sequence of sequences of str, or mapping, default="auto"
        The tasks of each group by name (in lists, tuples or sets: no order matters), or the
        group of each task, as a mapping or a pandas Series.  ``"auto"``: chosen in
        `fit` by the correlation of labels on jointly labelled rows, as
        :func:`skmtl.inspection.group_tasks` does; what was chosen stands in the estimator's
        ``sharing_.groups``.  Pairs of tasks without such rows count as average ones, with a
        warning.
    n_groups : int, default=2
        Number of groups for ``"auto"``, or the number of tasks if that is smaller.

    References
    ----------
    T. Standley, A. R. Zamir, D. Chen, L. Guibas, J. Malik, S. Savarese: Which Tasks Should Be
    Learned Together in Multi-task Learning?, ICML 2020.
    C. Fifty, E. Amid, Z. Zhao, T. Yu, R. Anil, C. Finn: Efficiently Identifying Task Groupings
    for Multi-Task Learning, NeurIPS 2021.

    Examples
    --------
    >>> from skmtl.sharing import Grouped
    >>> Grouped([["price", "rent"], ["colour"]])
    Grouped(groups=[['price', 'rent'], ['colour']])
    """

    alias = "grouped"

    def __init__(self, groups: Any = "auto", n_groups: int = 2) -> None:
        self.groups = groups
        self.n_groups = n_groups

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"n_groups": 3}]

    def adapt(self, values: np.ndarray, mask: np.ndarray, tasks: Any) -> Sharing:
        """Choose the groups by the labels."""
        if not isinstance(self.groups, str):
            return self
        if self.groups != "auto":
            hint = did_you_mean(self.groups, ["auto"])
            raise ValueError(f"{_RULE} Found `groups = {self.groups!r}`.{hint}")
        names = [task.name for task in tasks]
        n_groups = min(check_whole(self.n_groups, "n_groups"), len(names))
        if n_groups in {1, len(names)}:
            found = [names] if n_groups == 1 else [[name] for name in names]
            return clone(self).set_params(groups=found)
        affinity = _without_gaps(label_affinity(values, mask, tasks), names)
        groups = [[names[i] for i in group] for group in group_tasks(affinity, n_groups)]
        return clone(self).set_params(groups=groups)

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build a trunk per group."""
        group_of_task, n_groups = _group_of_task(self.groups, layout.names)
        stack = trunk.build(inputs, n_members * n_groups, seeds)
        return _GroupedBody(stack, n_members, group_of_task)


def _without_gaps(affinity: np.ndarray, names: list[str]) -> np.ndarray:
    """Take pairs of tasks that never meet as average ones."""
    apart = ~np.eye(len(names), dtype=bool)
    unknown = np.isnan(affinity) & apart
    if not unknown.any():
        return affinity
    first, second = (names[i] for i in np.argwhere(unknown)[0])
    told = (
        f"Tasks {first!r} and {second!r} have fewer than three rows with labels of both, or one of "
        "them does not vary there"
    )
    if unknown[apart].all():
        raise ValueError(
            f"`groups = 'auto'` needs pairs of tasks with labels in the same rows. {told}, and so "
            "it is for every pair. Give `groups`; `skmtl.inspection.task_affinity` can find them "
            "by gradients."
        )
    n_pairs = int(unknown.sum()) // 2
    warnings.warn(
        f"{told}: for `groups = 'auto'` such a pair ({n_pairs} in all) counts as an average one.",
        TaskWarning,
        stacklevel=2,
    )
    return np.where(np.isnan(affinity), affinity[apart & ~unknown].mean(), affinity)


def _group_of_task(groups: Any, names: Sequence[str]) -> tuple[list[int], int]:
    """Return the position of each task's group, and the number of groups."""
    if isinstance(groups, str):
        raise ValueError("`groups = 'auto'` is chosen in `fit`: call `adapt` with labels first.")
    pairs = _pairs(groups)
    listed = [name for name, _ in pairs]
    for name in listed:
        if not isinstance(name, str) or name not in names:
            raise ValueError(
                f"`groups` names {name!r}, which is no task. The tasks are {list(names)}."
                f"{did_you_mean(name, names)}"
            )
    wrong = [name for name in names if listed.count(name) != 1]
    if wrong:
        raise ValueError(
            f"Each task must be in exactly one of `groups`. Task {wrong[0]!r} is in "
            f"{listed.count(wrong[0])}."
        )
    found = dict(pairs)
    # Numbered by their first name: the order of tasks does not change the network.
    used = list(dict.fromkeys(found[name] for name in sorted(names)))
    return [used.index(found[name]) for name in names], len(used)


def _is_listing(value: Any) -> bool:
    """Tell whether a value lists groups or names."""
    if isinstance(value, str | bytes | Mapping) or is_frame(value) or is_series(value):
        return False
    return isinstance(value, Collection) and getattr(value, "ndim", 1) > 0


def _pairs(groups: Any) -> list[tuple[Any, int]]:
    """Return the names of tasks, each with the number of its group."""
    is_series_of_pandas = isinstance(groups, pd.Series)
    if not is_series_of_pandas and not isinstance(groups, Mapping):
        if not _is_listing(groups) or not all(map(_is_listing, groups)):
            raise ValueError(f"{_RULE} Found `groups = {groups!r}`.")
        return [(name, i) for i, group in enumerate(groups) for name in group]
    items = list(groups.items())
    for name, label in items:
        if not isinstance(label, Hashable):
            raise ValueError(
                "A mapping of `groups` must lead from each task to its group, a word or a number. "
                f"Found {label!r} for {name!r}. Give the groups as a list of lists of names."
            )
        if pd.isna(label) and (is_series_of_pandas or label is not None):
            raise ValueError(f"`groups` must give each task a group. Found {label!r} for {name!r}.")
    labels = list(dict.fromkeys(label for _, label in items))
    return [(name, labels.index(label)) for name, label in items]


class _GroupedBody(Body):
    group_of_task: Tensor

    def __init__(self, trunk: Stack, n_members: int, group_of_task: list[int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.n_members = n_members
        self.out_features = trunk.out_features
        self.has_common_features = self.has_one_representation = len(set(group_of_task)) == 1
        self.shares_weights = len(set(group_of_task)) < len(group_of_task)
        positions = torch.as_tensor(group_of_task)
        self.register_buffer("group_of_task", positions, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.trunk(x).unflatten(0, (self.n_members, -1))  # (member, group, sample, feature)
        return h if h.shape[1] == 1 else h.index_select(1, self.group_of_task)
