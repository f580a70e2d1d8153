"""What happens between epochs: watching the losses, hooks, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback


class StopTraining(Exception):  # noqa: N818 - a signal, not an error
    """Ends a fit before ``max_epochs``; nothing went wrong."""


class DivergedError(FloatingPointError):
    """The loss of a task became NaN or infinite."""


class WatchLosses(Callback):
    """Ends a fit whose loss is no longer a number, and names the tasks.

    Raises
    ------
    DivergedError
        After the first epoch in which the loss of a task is NaN or infinite.
    """

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Look at the epoch's losses."""
        record = net.history[-1]
        if np.isfinite([record["train_loss"], record.get("valid_loss", 0.0)]).all():
            return
        bad = [
            name
            for name in net.criterion_.layout.names
            if not np.isfinite(record.get(f"train_loss_{name}", 0.0))
            or not np.isfinite(record.get(f"valid_loss_{name}", 0.0))
        ]
        raise DivergedError(
            f"The loss of task {', '.join(map(repr, bad[:5]))}"
            f"{' and others' if len(bad) > 5 else ''} became NaN or infinite in epoch "
            f"{record['epoch']}. Lower `lr`, standardise the features, or look for extreme "
            "values in X and y."
        )


def check_weights(net: Any) -> None:
    """Look at the weights after the last step, which no loss has seen.

    Parameters
    ----------
    net : TaskNet
        Trained.

    Raises
    ------
    DivergedError
        If a weight is NaN or infinite.
    """
    if not all(bool(torch.isfinite(weight).all()) for weight in net.module_.parameters()):
        raise DivergedError(
            "The weights became NaN or infinite in the last step. Lower `lr`, standardise the "
            "features, or look for extreme values in X and y."
        )


class EpochHook(Callback):
    """Calls a function after each epoch.

    Parameters
    ----------
    function : callable
        Called with the net; ends the fit by returning True.
    """

    def __init__(self, function: Callable[[Any], bool]) -> None:
        self.function = function

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Call the function."""
        net.stops_ = self.function(net) or net.stops_


class ProgressLine(Callback):
    """One line on stderr that shows epoch, loss and the time left.

    Parameters
    ----------
    max_epochs : int
        Epochs of this fit.
    """

    def __init__(self, max_epochs: int) -> None:
        self.max_epochs = max_epochs

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Start the clock."""
        self._start = self._shown = time.monotonic()
        self._done = 0

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Show the state, at most ten times a second."""
        self._done += 1
        now = time.monotonic()
        if now - self._shown < 0.1 and self._done < self.max_epochs:
            return
        self._shown = now
        left = (now - self._start) / self._done * (self.max_epochs - self._done)
        record = net.history[-1]
        score = f"  valid_score {record['valid_score']:.4f}" if "valid_score" in record else ""
        filled = round(20 * self._done / self.max_epochs)
        sys.stderr.write(
            f"\repoch {self._done}/{self.max_epochs} [{'=' * filled:<20}] "
            f"{left:5.1f} s left  train_loss {record['train_loss']:.4f}{score}"
        )
        sys.stderr.flush()

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """End the line."""
        sys.stderr.write("\n")


def split_callbacks(callbacks: Any) -> tuple[list[Any], list[Any]]:
    """Part a user's callbacks into skorch's and scikit-learn's.

    Parameters
    ----------
    callbacks : None or list
        skorch callbacks (instances, classes, or pairs of name and callback), and callbacks
        of scikit-learn 1.9 or newer.

    Returns
    -------
    skorch, sklearn : list
        The two kinds.

    Raises
    ------
    TypeError
        If something is neither.
    """
    if callbacks is not None and not isinstance(callbacks, list | tuple):
        raise TypeError(
            f"Parameter `callbacks` must be None or a list. Found `callbacks = {callbacks!r}`."
        )
    of_skorch, sklearn = [], []
    for item in callbacks or []:
        callback = item[1] if isinstance(item, tuple) and len(item) == 2 else item
        if isinstance(callback, Callback) or (
            isinstance(callback, type) and issubclass(callback, Callback)
        ):
            of_skorch.append(item)
        elif hasattr(callback, "on_fit_task_end") and not isinstance(callback, type):
            sklearn.append(item)
        else:
            raise TypeError(
                "Parameter `callbacks` takes callbacks of skorch and of scikit-learn 1.9 or "
                f"newer. Found {item!r}."
            )
    return of_skorch, sklearn
