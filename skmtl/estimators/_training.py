"""From checked rows to a trained net: what happens between the first and the last epoch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse

from skmtl._strategy import resolve
from skmtl.estimators._building import build_net, choose_bins, layout_of
from skmtl.estimators._callbacks import epoch_callbacks
from skmtl.estimators._predicting import outputs_of
from skmtl.estimators._preprocessing import encode_features
from skmtl.estimators._rows import Rows
from skmtl.layers import Inputs, PiecewiseLinearEncoding, Seeds, bin_edges
from skmtl.sharing import Sharing
from skmtl.tasks import TaskOutput
from skmtl.training import (
    LEAST_NULL,
    DivergedError,
    EarlyStopping,
    EpochHook,
    ProgressLine,
    TaskData,
    TaskNet,
    ValidationScore,
    WatchLosses,
    check_weights,
    held_out_outputs,
    null_losses,
    split_callbacks,
    torch_threads,
)

#: Decay of ``ema_decay="auto"``, where averages are judged in each epoch.
EMA_DECAY = 0.99

#: Training rows that a trunk may look at before it is built, for quantiles.
SAMPLED_ROWS = 10_000


class Fitted(NamedTuple):
    """A trained net.

    Parameters
    ----------
    net : TaskNet
        Trained.
    held_out : list of TaskOutput or None
        What it says of rows that it did not learn from; None if there are none.
    error : DivergedError or None
        If training diverged and the net has the best weights before.
    """

    net: TaskNet
    held_out: list[TaskOutput] | None
    error: DivergedError | None


def fit_net(
    estimator: Any,
    train: Rows,
    valid: Rows | None,
    seeds: Seeds,
    *,
    continues: bool,
    stops: bool,
    max_epochs: int,
    data: tuple[Any, Any],
) -> Fitted:
    """Build a net, or take a copy of the fitted one, and train it.

    Parameters
    ----------
    estimator : estimator
        With tasks, preprocessing and target scales.
    train, valid : Rows
        Training rows, and validation rows or None.
    seeds : Seeds
        Sources of randomness.
    continues : bool
        Whether to go on with the fitted net.
    stops : bool
        Whether to stop early.
    max_epochs : int
        The largest number of epochs.
    data : tuple
        X and y as the user gave them, for scikit-learn's callbacks.

    Returns
    -------
    Fitted
        The net, and what it says of the rows that were held out.

    Raises
    ------
    DivergedError
        If training diverged and there are no such weights.
    """
    with torch_threads(estimator.n_threads):
        net = _copied_net(estimator) if continues else _new_net(estimator, train, seeds)
        train_data = on_device(estimator, train, net)
        valid_data = None if valid is None else on_device(estimator, valid, net)
        _learn_null_losses(estimator, train_data, continues=continues)
        train_data = _normalized(estimator, train_data)
        valid_data = valid_data and _normalized(estimator, valid_data)
        if train.folds is not None:
            train_data, valid_data = _bagged(train_data, train.folds)
        _, theirs = split_callbacks(estimator.callbacks)
        diverged = None
        with epoch_callbacks(estimator, theirs, max_epochs, *data) as after_epoch:
            try:
                train_net(
                    net,
                    train_data,
                    valid_data,
                    estimator=estimator,
                    max_epochs=max_epochs,
                    stops_early=stops,
                    after_epoch=after_epoch,
                )
            except DivergedError as error:
                if net.stopping_ is None or not net.stopping_.restore(net):
                    raise
                diverged = error
        held_out = None
        if valid_data is not None:
            z = held_out_outputs(net, valid_data)
            held_out = outputs_of(estimator, valid_data.layout, z)
    return Fitted(net, held_out, diverged)


def on_device(estimator: Any, rows: Rows, net: TaskNet) -> TaskData:
    """Encode rows and move them to the net's device.

    Parameters
    ----------
    estimator : estimator
        With preprocessing and target scales.
    rows : Rows
        The rows.
    net : TaskNet
        Initialised.

    Returns
    -------
    TaskData
        The rows as tensors.
    """
    parameter = next(net.module_.parameters())
    return TaskData.pack(
        encode_features(estimator._preprocess, rows.X),
        estimator._scaler.transform(rows.targets.values),
        rows.weights,
        layout_of(estimator.tasks_),
        parameter.device,
        parameter.dtype,
    )


def _learn_null_losses(estimator: Any, train: TaskData, *, continues: bool) -> None:
    """Learn the loss of the best constant on the training rows, by task.

    What the first fit measured stays for `partial_fit` and warm starts; a task whose labels
    come later, or were all alike so far, is measured then.
    """
    if not estimator.normalize_losses:
        if hasattr(estimator, "null_losses_"):
            del estimator.null_losses_
        return
    known, by_name = estimator.null_losses_ if continues else {}, {}
    measured = dict(zip(train.layout.names, null_losses(train).tolist(), strict=True))
    for name in (task.name for task in estimator.tasks_):
        loss = measured[name]
        stays = name in known and (known[name] > LEAST_NULL or np.isnan(loss))
        by_name[name] = known[name] if stays else loss
    estimator.null_losses_ = {n: loss for n, loss in by_name.items() if not np.isnan(loss)}


def _normalized(estimator: Any, data: TaskData) -> TaskData:
    """Scale the losses; one that a constant brings to about 0 stays as it is."""
    if not estimator.normalize_losses:
        return data
    null = estimator.null_losses_
    losses = [null.get(name, 1.0) for name in data.layout.names]
    losses = [loss if loss > LEAST_NULL else 1.0 for loss in losses]
    return replace(data, scale=1.0 / data.scale.new_tensor(losses))


def _bagged(data: TaskData, folds: np.ndarray) -> tuple[TaskData, TaskData]:
    """Give each member all folds but its own to train on, and its own to be judged by."""
    n_members, device = folds.max() + 1, data.y.device
    theirs = [np.flatnonzero(folds != member) for member in range(n_members)]
    own = [np.flatnonzero(folds == member) for member in range(n_members)]
    train, valid = (
        replace(data, members=tuple(torch.from_numpy(rows).to(device) for rows in of_members))
        for of_members in (theirs, own)
    )
    return train, valid


def _copied_net(estimator: Any) -> TaskNet:
    # A copy, so that an error leaves the fitted net as it was.
    net: TaskNet = copy.deepcopy(estimator.net_)
    return net.set_params(lr=estimator.lr)


def _new_net(estimator: Any, train: Rows, seeds: Seeds) -> TaskNet:
    scheme = resolve(estimator.sharing, Sharing, "sharing")
    labelled = train.targets.mask & (train.weights > 0)
    estimator.sharing_ = scheme.adapt(train.targets.values, labelled, estimator.tasks_)
    inputs = _inputs(estimator._preprocess, train)
    encoding = _encoding(estimator, inputs, train)
    net = build_net(estimator, inputs, estimator.tasks_, len(train), seeds, encoding)
    return net.initialize()


def _inputs(preprocess: Any, train: Rows) -> Inputs:
    """Tell a trunk what is known of the features."""
    one = encode_features(preprocess, train.take(np.arange(1)).X)

    def sample() -> np.ndarray:
        encoded = encode_features(preprocess, train.take(_sampled(train)).X)
        return encoded.toarray() if sparse.issparse(encoded) else encoded

    return Inputs(
        tuple(one.shape[1:]),
        getattr(preprocess, "number_columns_", None),
        getattr(preprocess, "category_columns_", None),
        sample,
    )


def _sampled(train: Rows) -> np.ndarray:
    """Return rows, evenly spaced, that stand for all."""
    return np.linspace(0, len(train) - 1, min(len(train), SAMPLED_ROWS)).astype(np.intp)


def _encoding(estimator: Any, inputs: Inputs, train: Rows) -> PiecewiseLinearEncoding | None:
    """Plan the bins of the numbers, if there shall be any."""
    numbers = inputs.numbers
    n_bins = choose_bins(estimator, numbers, is_sparse=sparse.issparse(train.X))
    if not n_bins or inputs.sample is None:
        return None
    columns = tuple(range(inputs.size)) if numbers is None else numbers
    sample, weights = inputs.sample()[:, columns], train.row_weights[_sampled(train)]
    edges = bin_edges(sample, n_bins, weights) if columns else []
    return PiecewiseLinearEncoding(inputs.size, columns, edges)


def train_net(
    net: TaskNet,
    train: TaskData,
    valid: TaskData | None,
    *,
    estimator: Any,
    max_epochs: int,
    stops_early: bool,
    after_epoch: Callable[[Any], bool] | None,
) -> None:
    """Train an initialised net, with our own callbacks beside the user's.

    Parameters
    ----------
    net : TaskNet
        Changed in place.
    train, valid : TaskData
        Rows on the device; no validation if the latter is None.
    estimator : estimator
        Whose parameters to read.
    max_epochs : int
        The largest number of epochs.
    stops_early : bool
        Whether to stop when the validation score no longer rises, with the best weights.
    after_epoch : callable or None
        Called with the net after each epoch; ends the fit by returning True.

    Raises
    ------
    DivergedError
        If the loss of a task, or a weight after the last step, is NaN or infinite.
    ValueError
        If no task can be judged by the validation rows.
    """
    ours: list[tuple[str, Any]] = [("watch", WatchLosses())]
    stopping = None
    if valid is not None:
        score = ValidationScore(train, valid, _fixed_weights(net))
        ours.append(("valid_score", score))
        if stops_early and not score.weights.any() and estimator.early_stopping == "auto":
            stops_early = False
        elif stops_early and not score.weights.any():
            raise ValueError(
                "Early stopping finds no task to judge by: none has a weight above 0, a label "
                "among the validation rows, and a spread. Set `early_stopping=False`."
            )
        if stops_early:
            stopping = EarlyStopping(estimator.n_iter_no_change, estimator.tol, score)
            ours.append(("early_stopping", stopping))
    if after_epoch is not None:
        ours.append(("sklearn", EpochHook(after_epoch)))
    if estimator.verbose:
        ours.append(("progress", ProgressLine(max_epochs)))
    users = list(net.callbacks_)
    chosen = EMA_DECAY if stops_early else 0.0
    net.ema_decay = chosen if estimator.ema_decay == "auto" else estimator.ema_decay
    # Ours come first, so that the user's see the scores of the epoch.
    net.callbacks_ = [*ours, *users]
    net.stopping_ = stopping
    try:
        net.partial_fit((train, valid), epochs=max_epochs)
        check_weights(net)
    finally:
        net.callbacks_ = users
        net.module_.eval()


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
        theirs = ("_callback", "_skl_callback", "_parent_callback")
        for name in [name for name in vars(estimator) if not name.startswith(theirs)]:
            del vars(estimator)[name]
        vars(estimator).update({k: v for k, v in before.items() if not k.startswith(theirs)})
        raise
