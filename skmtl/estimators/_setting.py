"""Setting and showing the estimator's parameters."""

from __future__ import annotations

import inspect
from typing import Any

from skmtl._strategy import Strategy, strategies
from skmtl.features import FeatureEncoder
from skmtl.penalties import Penalty
from skmtl.sharing import Sharing
from skmtl.trunks import NumEmbedding, Trunk
from skmtl.weighting import Weighting

#: What a name stands for, by parameter.
_AXES: dict[str, type[Strategy]] = {
    "sharing": Sharing,
    "loss_weights": Weighting,
    "trunk": Trunk,
    "penalty": Penalty,
    "num_embeddings": NumEmbedding,
}


class ParametersMixin:
    """What the estimators add to scikit-learn's handling of parameters."""

    def set_params(self, **params: Any) -> Any:
        """Set parameters, also those of objects in parameters: ``sharing__n_experts=8``.

        A name in place of an object, as in ``sharing="mmoe"`` and ``preprocess="auto"``, becomes the
        object that it stands for when a parameter of that is set.

        Parameters
        ----------
        **params : object
            Values by name.

        Returns
        -------
        estimator
            self.

        Raises
        ------
        ValueError
            If there is no such parameter, or no object that has it.
        """
        params = {**params, **_objects_of_names(self, params)}
        _check_nested(self, params)
        ours: Any = super()
        return ours.set_params(**params)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:  # noqa: N803 - scikit-learn's name
        """Return the parameters that differ from the defaults and, once fitted, the tasks."""
        theirs: Any = super()
        text: str = theirs.__repr__(N_CHAR_MAX)
        tasks: Any = getattr(self, "tasks_", None)
        if tasks is None:
            return text
        return f"{text}\n# tasks: {', '.join(map(repr, tasks[:8]))}{', ...' * (len(tasks) > 8)}"


def _objects_of_names(estimator: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Return the objects that names stand for, where a parameter of theirs is to be set."""
    known = estimator.get_params(deep=False)
    found: dict[str, Any] = {}
    nested = {key.partition("__")[0] for key in params if "__" in key}
    preprocess = params.get("preprocess", known.get("preprocess"))
    if "preprocess" in nested and isinstance(preprocess, str) and preprocess == "auto":
        found["preprocess"] = FeatureEncoder()
    for name in nested & _AXES.keys():
        value = params.get(name, known.get(name))
        strategy = strategies(_AXES[name]).get(value) if isinstance(value, str) else None
        if strategy is not None:
            needed = inspect.signature(strategy).parameters.values()
            if all(p.default is not p.empty for p in needed):
                found[name] = strategy()
    return found


def _check_nested(owner: Any, params: dict[str, Any], prefix: str = "") -> None:
    """Check that what has parameters set inside it is an object."""
    known = owner.get_params(deep=False)
    nested: dict[str, dict[str, Any]] = {}
    for key, value in params.items():
        name, is_nested, rest = key.partition("__")
        if is_nested and name in known:  # scikit-learn tells of a name that is unknown
            nested.setdefault(name, {})[rest] = value
    for name, inside in nested.items():
        value = params.get(name, known[name])
        if not hasattr(value, "set_params") or inspect.isclass(value):
            raise ValueError(_no_object(prefix, name, next(iter(inside)), value))
        if isinstance(value, Strategy):
            _check_nested(value, inside, f"{prefix}{name}__")


def _no_object(prefix: str, name: str, rest: str, value: Any) -> str:
    """Say which object there should be."""
    parameter = f"{prefix}{name}"
    axis = _AXES.get(name)
    classes = {} if axis is None else strategies(axis)
    if isinstance(value, str) and value in classes:
        needs, remedy = "in place of a name", f"Set `{parameter}={classes[value].__name__}()`"
    elif inspect.isclass(value) and axis is not None and issubclass(value, axis):
        needs, remedy = "in place of a class", f"Set `{parameter}={value.__name__}()`"
    elif isinstance(value, list | tuple) and axis is not None:
        needs = "in place of a list"
        remedy = f"Set `{parameter}` to a single object, or search over whole lists"
    else:
        needs, remedy = "with that parameter", f"Set `{parameter}` to such an object"
    return (
        f"`{parameter}__{rest}` needs an object {needs}. Found `{parameter} = {value!r}`. "
        f"{remedy}, before or in the same call."
    )
