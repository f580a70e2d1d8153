"""Telling of tasks that a fit did not learn, or could not judge."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from skmtl.tasks import TaskWarning
from skmtl.training import TaskNet


def warn_of_tasks(nets: Sequence[TaskNet]) -> None:
    """Warn of tasks that no net learned, and of those that nothing was held out of.

    Only of fits that came to their own end: one that ``max_epochs`` ends may not have got so far.

    Parameters
    ----------
    nets : sequence of TaskNet
        Trained; more than one if there are candidates.

    Warns
    -----
    TaskWarning
        With the name of the task.
    """
    if not all(net.stops_ and net.stopping_ is not None for net in nets):
        return
    names = nets[0].criterion_.layout.names
    skills = np.fmax.reduce([_best_skills(net) for net in nets])
    useless = [name for name, skill in zip(names, skills, strict=True) if skill <= 0]
    if useless:
        warnings.warn(
            f"{_listed(useless)}: in no epoch better than the best constant, on "
            "rows that were held out. The features may not tell it, or these rows are too few to "
            "show that they do: compare `score` on rows of your own, bring features that tell more "
            "or more labels, or leave it out.",
            TaskWarning,
            stacklevel=2,
        )
    lacks = nets[0].stopping_.score.lacks_labels
    unjudged = [name for name, lacking in zip(names, lacks, strict=True) if lacking]
    if unjudged:
        warnings.warn(
            f"{_listed(unjudged)}: not judged, for want of a label among the rows that were held "
            "out. The weights are those of the epoch that is best for the others. Bring more labels, "
            "or X_val and y_val with some.",
            TaskWarning,
            stacklevel=2,
        )


def _listed(names: Sequence[str]) -> str:
    named = ", ".join(map(repr, names[:5]))
    if len(names) == 1:
        return f"Task {named}"
    return f"{len(names)} tasks, {named}{', ...' * (len(names) > 5)}"


def _best_skills(net: TaskNet) -> np.ndarray:
    """Return 1 - loss / loss of the best constant in each task's best epoch; NaN: not judged."""
    score, names = net.stopping_.score, net.criterion_.layout.names
    losses = [[epoch.get(f"valid_loss_{name}", np.nan) for name in names] for epoch in net.history]
    skills: np.ndarray = 1 - np.fmin.reduce(losses) / score.null
    return np.where(score.weights > 0, skills, np.nan)
