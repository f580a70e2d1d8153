"""From checked rows to a net that waits to be trained, and what it says once it is."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse

from skmtl._strategy import resolve
from skmtl.estimators._building import (
    MOST_BINS,
    build_net,
    choose_bins,
    layout_of,
    resolve_trunk,
    width_of,
)
from skmtl.estimators._outputs import outputs_of
from skmtl.estimators._preparing import Memo, Prepared
from skmtl.estimators._preprocessing import encode_features
from skmtl.estimators._rows import Rows
from skmtl.estimators._training import Course, Training
from skmtl.features import FeatureEncoder, FeatureWarning
from skmtl.features._scaling import sampled_rows
from skmtl.layers import Inputs, PiecewiseLinearEncoding, Seeds, bin_edges
from skmtl.sharing import Sharing
from skmtl.tasks import TaskOutput
from skmtl.training import (
    LEAST_NULL,
    DivergedError,
    TaskData,
    TaskNet,
    held_out_outputs,
    null_losses,
    pays_by_task,
    torch_settings,
)
from skmtl.trunks import ModuleTrunk

#: Training rows that a trunk may look at before it is built, for quantiles; fewer, down to the
#: second number, where that would be more entries than the third.
SAMPLED_ROWS, LEAST_SAMPLED, SAMPLED_ENTRIES = 10_000, 1_000, 512 * 10_000

#: Root mean square of a column from which on a network learns badly.
LARGE = 100.0


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
    estimator: Any, prepared: Prepared, memo: Memo, course: Course
) -> Generator[Training, None, Fitted]:
    """Build a net, or take a copy of the fitted one, and judge it once it is trained.

    Parameters
    ----------
    estimator : estimator
        With tasks, preprocessing and target scales.
    prepared : Prepared
        Rows, and sources of randomness.
    memo : Memo
        Of fits to the same data.
    course : Course
        How the training goes.

    Yields
    ------
    Training
        To be trained by the caller.

    Returns
    -------
    Fitted
        The net, and what it says of the rows that were held out.
    """
    train, valid = prepared.train, prepared.valid
    with torch_settings(estimator.n_threads):
        like = None
        if course.continues:
            net = _copied_net(estimator)
        else:
            net, like = _new_net(estimator, train, prepared.seeds, memo)
        # By the rows, which live as long as the memo does.
        table = partial(_on_device_once, estimator, net=net, memo=memo)
        train_data, valid_data = table(train), None if valid is None else table(valid)
        null = partial(memo.once, ("null", id(train), estimator.dtype), partial(_null, train_data))
        _learn_null_losses(estimator, null, continues=course.continues)
        train_data = _normalized(estimator, train_data)
        valid_data = None if valid_data is None else _normalized(estimator, valid_data)
        if train.draws is not None:
            train_data, left_out = _bagged(train_data, train.draws)
            valid_data = left_out if prepared.stops and valid is None else valid_data
        reads_by_task = net.module_.reads_by_task
        if reads_by_task and pays_by_task(len(train), train.most_labels(estimator.tasks_)):
            n_members = net.module_.n_members
            train_data = train_data.by_task(n_members)
            valid_data = None if valid_data is None else valid_data.by_task(n_members)
    training = Training(estimator, net, train_data, valid_data, prepared.stops, course, like)
    yield training
    net = training.net  # a checkpoint may have had another
    held_out = None
    if valid_data is not None:
        with torch_settings(estimator.n_threads):
            z = held_out_outputs(net, valid_data)
            held_out = outputs_of(estimator, valid_data.layout, z, has_gaps=True)
    return Fitted(net, held_out, training.error)


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
        encode_features(estimator._preprocess, rows.X, width_of(estimator.dtype), rows.index),
        estimator._scaler.transform(rows.targets.values),
        rows.weights,
        layout_of(estimator.tasks_),
        parameter.device,
        parameter.dtype,
    )


def _on_device_once(estimator: Any, rows: Rows, *, net: TaskNet, memo: Memo) -> TaskData:
    """Encode rows and move them to the net's device, once for all nets that read them."""
    key = ("table", id(rows), estimator.device, estimator.dtype)
    data: TaskData = memo.once(key, lambda: on_device(estimator, rows, net))
    return data


def _null(train: TaskData) -> dict[str, float]:
    """Return the loss of the best constant, by task."""
    return dict(zip(train.layout.names, null_losses(train).tolist(), strict=True))


def _learn_null_losses(
    estimator: Any, measure: Callable[[], dict[str, float]], *, continues: bool
) -> None:
    """Learn the loss of the best constant on the training rows, by task.

    What the first fit measured stays for `partial_fit` and warm starts; a task whose labels
    come later, or were all alike so far, is measured then.
    """
    if not estimator.normalize_losses:
        if hasattr(estimator, "null_losses_"):
            del estimator.null_losses_
        return
    known, by_name = estimator.null_losses_ if continues else {}, {}
    measured = measure()
    for name in (task.name for task in estimator.tasks_):
        loss = measured[name]
        stays = name in known and (known[name] > LEAST_NULL or np.isnan(loss))
        by_name[name] = known[name] if stays else loss
    estimator.null_losses_ = {n: loss for n, loss in by_name.items() if not np.isnan(loss)}


def _normalized(estimator: Any, data: TaskData) -> TaskData:
    """Scale the losses; one that a constant brings to about 0 stays as it is."""
    if not estimator.normalize_losses:
        return data
    null = dict(estimator.null_losses_)
    if estimator.normalize_losses == "numbers":
        null |= {task.name: 1.0 for task in estimator.tasks_ if task.has_classes}
    losses = [null.get(name, 1.0) for name in data.layout.names]
    losses = [loss if loss > LEAST_NULL else 1.0 for loss in losses]
    return replace(data, scale=1.0 / data.scale.new_tensor(losses))


def _bagged(data: TaskData, draws: np.ndarray) -> tuple[TaskData, TaskData]:
    """Give each member the rows that it learns from, and those that it is judged by."""
    device, every = data.y.device, np.arange(draws.shape[1])
    theirs = [np.repeat(every, own) for own in draws]
    left_out = [np.flatnonzero(own == 0) for own in draws]
    train, valid = (
        replace(data, members=tuple(torch.from_numpy(rows).to(device) for rows in of_members))
        for of_members in (theirs, left_out)
    )
    return train, valid


def _copied_net(estimator: Any) -> TaskNet:
    # A copy, so that an error leaves the fitted net as it was.
    net: TaskNet = copy.deepcopy(estimator.net_)
    return net.renew_optimizer().set_params(lr=estimator.lr)


def _new_net(
    estimator: Any, train: Rows, seeds: Seeds, memo: Memo
) -> tuple[TaskNet, Callable[[int], TaskNet]]:
    """Build a net, and what builds its like for other numbers of members."""
    scheme = resolve(estimator.sharing, Sharing, "sharing")
    estimator.sharing_ = scheme.adapt(train.targets.values, train.targets.mask, estimator.tasks_)
    inputs = memo.once(("inputs", id(train)), lambda: _inputs(estimator._preprocess, train))
    is_own = isinstance(
        resolve_trunk(estimator), ModuleTrunk
    )  # which may read codes, or scale itself
    if not is_own and not isinstance(estimator._preprocess, FeatureEncoder):
        memo.once(("scales", id(train)), lambda: _warn_of_scales(inputs, estimator.preprocess))
    encoding = _encoding(estimator, inputs, train, memo)
    most_labels = partial(train.most_labels, estimator.tasks_)

    def like(n_members: int, seeds: Seeds | None = None) -> TaskNet:
        seeds = seeds or Seeds.spawn(np.random.RandomState(0))
        part = copy.copy(estimator)
        part.n_members_ = n_members
        tasks, n_rows = estimator.tasks_, len(train)
        net = build_net(part, inputs, tasks, n_rows, most_labels, seeds, encoding)
        return net.initialize()

    return like(estimator.n_members_, seeds), like


def _inputs(preprocess: Any, train: Rows) -> Inputs:
    """Tell a trunk what is known of the features."""

    def encoded_rows(rows: np.ndarray) -> Any:
        return encode_features(preprocess, train.X, rows=train.take(rows).index)

    shape = tuple(encoded_rows(np.arange(1)).shape[1:])

    def sample() -> np.ndarray:
        encoded = encoded_rows(_sampled(train, shape))
        return encoded.toarray() if sparse.issparse(encoded) else encoded

    return Inputs(
        shape,
        getattr(preprocess, "number_columns_", None),
        getattr(preprocess, "category_columns_", None),
        sample,
    )


def _warn_of_scales(inputs: Inputs, preprocess: Any) -> None:
    """Warn of numbers that are far from 1, from which networks learn badly or not at all."""
    if inputs.sample is None:
        return
    squares = np.square(inputs.sample().reshape(-1, inputs.shape[-1]), dtype=np.float64)
    size = float(np.sqrt(squares.mean(axis=0).max(initial=0.0)))
    if size > LARGE:
        is_table = len(inputs.shape) == 1
        remedy = "by StandardScaler, or leave `preprocess='auto'`" if is_table else "X / 255"
        source = f", for `preprocess = {preprocess!r:.60}` leaves them so" if is_table else ""
        warnings.warn(
            f"The network reads numbers of up to about {size:.2g} (root mean square of a column)"
            f"{source}, and would learn badly from them. Scale them, as {remedy}.",
            FeatureWarning,
            stacklevel=2,
        )


def _sampled(train: Rows, shape: tuple[int, ...]) -> np.ndarray:
    """Return rows that stand for all."""
    most = max(LEAST_SAMPLED, SAMPLED_ENTRIES // max(1, math.prod(shape)))
    return sampled_rows(len(train), min(SAMPLED_ROWS, most))


def _encoding(
    estimator: Any, inputs: Inputs, train: Rows, memo: Memo
) -> PiecewiseLinearEncoding | None:
    """Plan the bins of the numbers, if there shall be any."""
    numbers = inputs.numbers
    n_bins = choose_bins(estimator, numbers, is_sparse=sparse.issparse(train.X))
    draw = inputs.sample
    if not n_bins or draw is None:
        return None
    columns = tuple(range(inputs.size)) if numbers is None else numbers

    def edges() -> list[np.ndarray]:
        sample, weights = draw()[:, columns], train.row_weights[_sampled(train, inputs.shape)]
        return bin_edges(sample, n_bins, weights) if columns else []

    found = memo.once(("bins", id(train), n_bins), edges)
    if estimator.n_bins == "auto" and sum(len(e) - 1 for e in found if len(e) > 2) > MOST_BINS:
        return None
    return PiecewiseLinearEncoding(inputs.size, columns, found)
