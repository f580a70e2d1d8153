"""The estimator that learns one task by itself, as the shared one would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline

from skmtl.inspection._inner import inner_net
from skmtl.penalties import resolve_penalties
from skmtl.tasks import Task

#: Parameters of the net that are others where a task is alone.
_CHANGED = ("sharing", "loss_weights", "class_weight", "penalty")

#: Where searches of scikit-learn, and of those that follow it, keep what they search over.
_GRIDS = ("param_grid", "param_distributions")


def with_tasks(estimator: Any, tasks: Sequence[Task]) -> Any:
    """Return a clone with declared tasks.

    Parameters
    ----------
    estimator : estimator
        A multi-task net, or a Pipeline or search that ends in one.
    tasks : sequence of Task
        All of them.

    Returns
    -------
    estimator
        Not fitted.
    """
    estimator = clone(estimator)
    inner_net(estimator)[0].set_params(tasks=list(tasks))
    return estimator


def own_estimator(estimator: Any, task: Task, n_tasks: int) -> Any:
    """Return a clone that learns one task by itself.

    Parameters
    ----------
    estimator : estimator
        A multi-task net, or a Pipeline or search that ends in one.
    task : Task
        The task.
    n_tasks : int
        Number of tasks of the shared net.

    Returns
    -------
    estimator
        With ``sharing="hard"`` and without weights of tasks and penalties on their relations,
        in the net and in what a search goes through.
    """
    estimator = with_tasks(estimator, [task])
    net, _ = inner_net(estimator)
    shared = {name: getattr(net, name) for name in _CHANGED}
    own = {name: _own(name, value, task, n_tasks) for name, value in shared.items()}
    net.set_params(**own)
    level = estimator
    while level is not net:
        for name in (name for name in _GRIDS if hasattr(level, name)):
            _set_grid(level, name, shared["penalty"], task, n_tasks)
        level = level.steps[-1][1] if isinstance(level, Pipeline) else level.estimator
    return estimator


def _own(name: str, value: Any, task: Task, n_tasks: int) -> Any:
    """Return what a parameter of the shared net is in a task's own net."""
    if name == "sharing":
        return "hard"
    if name == "loss_weights":
        return None
    if name == "penalty":
        penalties = resolve_penalties(value)
        kept = [penalty for penalty in penalties if not penalty.relates_tasks]
        return value if len(kept) == len(penalties) else kept or None
    if isinstance(value, Mapping) and n_tasks > 1:  # class weights of the tasks, else the classes
        return {key: weight for key, weight in value.items() if key == task.name} or None
    return value


def _set_grid(search: Any, grid_name: str, penalty: Any, task: Task, n_tasks: int) -> None:
    """Take what a task alone does not have out of what is searched over."""
    _, prefix = inner_net(search.estimator)
    before = getattr(search, grid_name)
    grids = [before] if isinstance(before, Mapping) else list(before)
    own = [_own_grid(grid, prefix, penalty, task, n_tasks) for grid in grids]
    search.set_params(**{grid_name: own[0] if isinstance(before, Mapping) else own})
    listed = not any(hasattr(values, "rvs") for grid in own for values in grid.values())
    if listed and isinstance(getattr(search, "n_iter", None), int):  # more candidates would warn
        search.set_params(n_iter=min(search.n_iter, len(ParameterGrid(own))))


def _own_grid(
    grid: Mapping[str, Any], prefix: str, penalty: Any, task: Task, n_tasks: int
) -> dict[str, Any]:
    """Return what is searched over for one task."""
    own = {}
    for key, values in grid.items():
        name, is_inside, _ = key.removeprefix(prefix).partition("__")
        if not key.startswith(prefix) or name not in _CHANGED:
            own[key] = values
        elif is_inside and name == "penalty":
            shared = grid.get(f"{prefix}penalty", [penalty])
            if all(_own(name, value, task, n_tasks) is value for value in _listed(shared)):
                own[key] = values
        elif not is_inside and name in {"class_weight", "penalty"}:
            own[key] = [_own(name, value, task, n_tasks) for value in _listed(values)]
    return own  # without `sharing` and `loss_weights`, which are set in the net


def _listed(values: Any) -> list[Any]:
    """Return the candidates of a grid; a distribution of them cannot be changed."""
    if hasattr(values, "rvs"):
        raise ValueError(
            "sharing_report changes what a search goes through, to fit a net of its own for each "
            f"task. Found the distribution {values!r} for `class_weight` or `penalty`. Give a list "
            "of values, or give `baseline`."
        )
    return list(values)
