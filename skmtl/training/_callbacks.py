"""What happens between epochs: judging, keeping the best weights, stopping, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from skmtl.training._batches import TaskData


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


class ValidationScore(Callback):
    """Records ``valid_score``: mean over tasks of ``1 - loss / loss of the best constant``.

    The loss is measured on the validation rows, that of the constant on the training rows,
    which are more: the few validation labels of a rare task may all lie near its mean.
    Tasks count by their fixed weight, those without a label among the validation rows not at
    all.  0 is as good as a constant, 1 perfect.

    Parameters
    ----------
    train, valid : TaskData
        The rows.
    weights : ndarray of shape (n_tasks,)
        Weight of each task in the mean.
    """

    def __init__(self, train: TaskData, valid: TaskData, weights: np.ndarray) -> None:
        null = null_losses(train).cpu().numpy()
        judged = has_labels(valid).cpu().numpy() & np.isfinite(null) & (null > 0)
        self.weights = np.where(judged, weights, 0.0)
        self.null = np.where(self.weights > 0, null, 1.0)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Score the epoch."""
        record = net.history[-1]
        names = net.criterion_.layout.names
        losses = np.array([record.get(f"valid_loss_{name}", np.nan) for name in names])
        counted = self.weights > 0
        score = np.nan
        if counted.any():
            skill = 1 - losses[counted] / self.null[counted]
            score = float(np.average(skill, weights=self.weights[counted]))
        net.history.record("valid_score", score)


class EarlyStopping(Callback):
    """Stops when ``valid_score`` no longer rises, and puts the best weights back.

    Parameters
    ----------
    patience : int
        Epochs without a rise before the fit ends.
    tol : float
        What counts as a rise.
    """

    def __init__(self, patience: int, tol: float) -> None:
        self.patience = patience
        self.tol = tol

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Forget earlier fits."""
        self.best_score_ = self.best_epoch_ = None
        self.best_: list[Tensor] | None = None
        self._level = -np.inf  # what a rise is measured from
        self._waited = 0

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Keep the weights if they are the best so far; count the wait otherwise."""
        score = net.history[-1, "valid_score"]
        if self.best_score_ is None or score > self.best_score_:
            self.best_score_ = score
            self.best_epoch_ = net.history[-1, "epoch"]
            self.best_ = _snapshot(net)
        if score > self._level + self.tol:
            self._level = score
            self._waited = 0
            return
        self._waited += 1
        net.stops_ = net.stops_ or self._waited >= self.patience

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Put the best weights back."""
        self.restore(net)

    def restore(self, net: Any) -> bool:
        """Put the best weights back.

        Parameters
        ----------
        net : TaskNet
            The net.

        Returns
        -------
        bool
            Whether there were any.
        """
        if self.best_ is None:
            return False
        with torch.no_grad():
            for tensor, kept in zip(_state(net), self.best_, strict=True):
                tensor.copy_(kept)
        self.best_ = None
        return True


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


def null_losses(data: TaskData) -> Tensor:
    """Compute the losses of the best constant model on its own rows.

    Parameters
    ----------
    data : TaskData
        The rows.

    Returns
    -------
    Tensor of shape (task,)
        Losses; NaN for a task without a label.
    """
    losses = []
    for group in data.layout.groups:
        y, w = group.outputs(data.y.T), group.weights_of(data.w.T)
        # As BatchIterator does it: weights over the number of labelled cells of the task.
        cells = (w > 0).sum((-2, -1), keepdim=True)
        z = group.head.null_outputs(y, w).expand(-1, -1, y.shape[-1]).unsqueeze(0)
        loss, _ = group.head.loss_and_gradient(z, y, w / cells.clamp_min(1))
        losses.append(torch.where(cells.flatten() > 0, loss[0], torch.nan))
    return torch.cat(losses)


def has_labels(data: TaskData) -> Tensor:
    """Tell which tasks have a label of positive weight.

    Parameters
    ----------
    data : TaskData
        The rows.

    Returns
    -------
    Tensor of shape (task,), bool
        In the order of the layout.
    """
    groups = data.layout.groups
    return torch.cat([(group.weights_of(data.w.T) > 0).flatten(1).any(1) for group in groups])


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
    ours, sklearn = [], []
    for item in callbacks or []:
        callback = item[1] if isinstance(item, tuple) and len(item) == 2 else item
        if isinstance(callback, Callback) or (
            isinstance(callback, type) and issubclass(callback, Callback)
        ):
            ours.append(item)
        elif hasattr(callback, "on_fit_task_end") and not isinstance(callback, type):
            sklearn.append(item)
        else:
            raise TypeError(
                "Parameter `callbacks` takes callbacks of skorch and of scikit-learn 1.9 or "
                f"newer. Found {item!r}."
            )
    return ours, sklearn


def _state(net: Any) -> list[Tensor]:
    modules = (net.module_, net.criterion_)
    return [tensor for module in modules for tensor in module.state_dict().values()]


def _snapshot(net: Any) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in _state(net)]
