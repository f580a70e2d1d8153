"""A net that waits to be trained, and how it is trained by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from skmtl.estimators._callbacks import OF_CALLBACKS, epoch_callbacks
from skmtl.training import (
    DivergedError,
    EarlyStopping,
    EpochHook,
    ProgressLine,
    TaskData,
    TaskNet,
    ValidationScore,
    WatchLosses,
    check_weights,
    deterministic_algorithms,
    memory_advice,
    torch_settings,
)

#: Decay of ``ema_decay="auto"``, where averages are judged in each epoch.
EMA_DECAY = 0.99


@dataclass(frozen=True)
class Course:
    """How the training of each net of a fit goes.

    Parameters
    ----------
    max_epochs : int
        The largest number of epochs.
    data : tuple
        X and y as the user gave them, for scikit-learn's callbacks.
    continues : bool
        Whether to go on with the fitted net.
    checkpoint : Run or None
        The file of the fit.
    """

    max_epochs: int
    data: tuple[Any, Any]
    continues: bool
    checkpoint: Any


@dataclass
class Training:
    """A net that waits to be trained.

    Parameters
    ----------
    estimator : estimator
        Whose parameters count.
    net : TaskNet
        Initialised.
    train, valid : TaskData
        Rows on the device; no validation if the latter is None.
    stops : bool
        Whether to stop early.
    course : Course
        How the training goes.
    like : callable or None
        Takes a number of members, and builds a net of this kind with that many and fresh weights;
        None for a net that goes on.
    n_done : int, default=0
        Epochs that the net was trained before, in the same fit.
    error : DivergedError or None, default=None
        If training diverged and the net has the best weights before.
    """

    estimator: Any
    net: TaskNet
    train: TaskData
    valid: TaskData | None
    stops: bool
    course: Course
    like: Callable[[int], TaskNet] | None
    n_done: int = 0
    error: DivergedError | None = None


def train(training: Training) -> None:
    """Train a net by itself.

    Parameters
    ----------
    training : Training
        The net is changed in place.

    Raises
    ------
    DivergedError
        If training diverged and there are no weights from before.
    ValueError
        If no task can be judged by the validation rows.
    """
    estimator, checkpoint = training.estimator, training.course.checkpoint
    if checkpoint is not None and checkpoint.resume(training):
        return
    net = training.net
    n_epochs = 0 if training.n_done and net.stops_ else training.course.max_epochs - training.n_done
    with (
        torch_settings(estimator.n_threads),
        deterministic_algorithms(estimator.deterministic),
        epoch_callbacks(estimator, n_epochs, *training.course.data) as after_epoch,
    ):
        hooks = [] if after_epoch is None else [("sklearn", EpochHook(after_epoch))]
        if estimator.verbose:
            hooks.append(("progress", ProgressLine(n_epochs)))
        if checkpoint is not None:
            hooks.append(("checkpoint", EpochHook(checkpoint.after_epoch(training))))
        with set_up(training, hooks), memory_advice(less_memory(training)):
            try:
                net.partial_fit((training.train, training.valid), epochs=n_epochs)
                check_weights(net)
            except DivergedError as error:
                settle(training, error)
    if checkpoint is not None:
        checkpoint.finish(training)


def less_memory(training: Training) -> str:
    """Say how a fit could take less memory.

    Parameters
    ----------
    training : Training
        The fit.

    Returns
    -------
    str
        Sentences for the user.
    """
    return (
        f"A fit takes less of it with a smaller `batch_size` (now {training.net.batch_size}), fewer "
        f"`n_members` (now {training.estimator.n_members_}), smaller `hidden_layer_sizes`, or a "
        "device that has more. The estimator is as it was before."
    )


def settle(training: Training, error: DivergedError) -> None:
    """Go back to the best weights before a divergence.

    Parameters
    ----------
    training : Training
        The net is changed in place.
    error : DivergedError
        Raised if there are no such weights, else kept.
    """
    stopping = training.net.stopping_
    if stopping is None or not stopping.restore(training.net):
        raise error
    training.error = error


@contextmanager
def set_up(training: Training, hooks: list[tuple[str, Any]]) -> Iterator[None]:
    """Give a net our callbacks for the time of its training, before the user's.

    Parameters
    ----------
    training : Training
        The net is changed in place.
    hooks : list of (str, callback)
        Further ones, after those that judge.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        If no task can be judged by the validation rows.
    """
    estimator, net = training.estimator, training.net
    ours: list[tuple[str, Any]] = [("watch", WatchLosses())]
    stopping = None
    if training.valid is not None:
        score = ValidationScore(training.train, training.valid, _fixed_weights(net))
        ours.append(("valid_score", score))
        if _stops(training, score):
            stopping = EarlyStopping(estimator.n_iter_no_change, estimator.tol, score)
            if training.n_done:
                stopping.go_on_from(net.stopping_, net)
            ours.append(("early_stopping", stopping))
    users = list(net.callbacks_)
    chosen = 0.0 if stopping is None else EMA_DECAY
    net.ema_decay = chosen if estimator.ema_decay == "auto" else estimator.ema_decay
    # Ours come first, so that the user's see the scores of the epoch.
    net.callbacks_ = [*ours, *hooks, *users]
    net.stopping_ = stopping
    try:
        yield
    finally:
        net.callbacks_ = users
        net.module_.eval()


def _stops(training: Training, score: ValidationScore) -> bool:
    """Tell whether to stop when the validation score no longer rises, with the best weights."""
    if not training.stops or score.weights.any():
        return training.stops
    if training.estimator.early_stopping == "auto":
        return False
    raise ValueError(
        "Early stopping finds no task to judge by: none has a weight above 0, a label "
        "among the validation rows, and a spread. Set `early_stopping=False`."
    )


def _fixed_weights(net: TaskNet) -> np.ndarray:
    """Return the tasks' weights in the validation score: the fixed ones, or equal ones."""
    weighting = net.criterion_.weighting
    if not weighting.is_constant:
        return np.ones(net.criterion_.layout.n_tasks)
    weights: np.ndarray = weighting.weights[0].double().cpu().numpy()
    return weights


@contextmanager
def all_or_nothing(estimator: Any) -> Iterator[None]:
    """Give the estimator its former state back if an error ends the block.

    Parameters
    ----------
    estimator : estimator
        Whose attributes to guard.  scikit-learn's callback attributes are left to it.

    Yields
    ------
    None
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        for name in [name for name in vars(estimator) if not name.startswith(OF_CALLBACKS)]:
            del vars(estimator)[name]
        ours = {k: v for k, v in before.items() if not k.startswith(OF_CALLBACKS)}
        vars(estimator).update(ours)
        raise
