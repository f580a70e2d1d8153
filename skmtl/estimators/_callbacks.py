"""scikit-learn's callbacks (1.9 and newer), or nothing where it has none."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from skmtl.training import split_callbacks

__all__ = ["CallbackSupportMixin", "epoch_callbacks", "listeners", "with_callbacks"]

F = TypeVar("F", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    HAS_CALLBACKS = True
except ImportError:  # scikit-learn < 1.9
    HAS_CALLBACKS = False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for the mixin of scikit-learn 1.9."""

    def with_callbacks(method: F) -> F:
        """Return the method as it is."""
        return method


#: How the attributes begin that scikit-learn's callbacks leave on an estimator.
OF_CALLBACKS = ("_callback", "_skl_callback", "_parent_callback")


def listeners(estimator: Any) -> list[Any]:
    """List scikit-learn's callbacks that are heard in a fit.

    Parameters
    ----------
    estimator : estimator
        Whose they are.

    Returns
    -------
    list
        Those from ``set_callbacks``, then those from the ``callbacks`` parameter.
    """
    return [*getattr(estimator, "_skl_callbacks", []), *split_callbacks(estimator.callbacks)[1]]


@contextmanager
def epoch_callbacks(
    estimator: Any, max_epochs: int, X: Any, y: Any
) -> Iterator[Callable[[Any], bool] | None]:
    """Tell scikit-learn's callbacks that a fit begins, and that it ended.

    Parameters
    ----------
    estimator : estimator
        The estimator that is being fitted.
    max_epochs : int
        The largest number of epochs.
    X, y : object
        The data, for callbacks that ask for them.

    Yields
    ------
    callable or None
        To be called with the net after each epoch; True asks to stop.  None if nobody
        listens.

    Raises
    ------
    ValueError
        If there are callbacks, but scikit-learn is too old for them.
    """
    listening = listeners(estimator)
    if not HAS_CALLBACKS:
        if listening:
            raise ValueError(
                f"Callbacks of scikit-learn need scikit-learn 1.9 or newer. Found {listening!r}."
            )
        yield None
        return
    set_before = list(getattr(estimator, "_skl_callbacks", []))
    estimator.set_callbacks(*listening)
    try:
        context = estimator._init_callback_context(max_subtasks=max_epochs)
        context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
        yield partial(_after_epoch, estimator, context, X, y) if listening else None
        context.call_on_fit_task_end(estimator=estimator, X=X, y=y)
    finally:
        estimator.set_callbacks(*set_before)


def _after_epoch(estimator: Any, context: Any, X: Any, y: Any, net: Any) -> bool:
    epoch = context.subcontext("epoch")
    epoch.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    stop = epoch.call_on_fit_task_end(
        estimator=estimator,
        X=X,
        y=y,
        # Lazy: most callbacks never ask for the model of the epoch.
        reconstruction_attributes=lambda: {"net_": copy.deepcopy(net)},
    )
    return bool(stop)
