"""scikit-learn's callbacks (1.9 and newer), or nothing where it has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    HAS_CALLBACKS = True
except ImportError:  # scikit-learn < 1.9
    HAS_CALLBACKS = False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for the mixin of scikit-learn 1.9."""

    def with_callbacks(method: F) -> F:  # type: ignore[no-redef]
        """Return the method as it is."""
        return method


def start_context(estimator: Any, callbacks: list[Any], max_epochs: int, X: Any, y: Any) -> Any:
    """Tell scikit-learn's callbacks that a fit begins.

    Parameters
    ----------
    estimator : estimator
        The estimator that is being fitted.
    callbacks : list
        Those from its ``callbacks`` parameter, beside those from ``set_callbacks``.
    max_epochs : int
        The largest number of epochs.
    X, y : object
        The data, for callbacks that ask for them.

    Returns
    -------
    CallbackContext or None
        None below scikit-learn 1.9.

    Raises
    ------
    ValueError
        If there are callbacks, but scikit-learn is too old for them.
    """
    if not HAS_CALLBACKS:
        if callbacks:
            raise ValueError(
                f"Callbacks of scikit-learn need scikit-learn 1.9 or newer. Found {callbacks!r}."
            )
        return None
    if callbacks:
        estimator.set_callbacks(*getattr(estimator, "_skl_callbacks", []), *callbacks)
    context = estimator._init_callback_context(max_subtasks=max_epochs)
    return context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
