"""How much the tasks have in common: by their labels, and by what they do to shared weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

from skmtl._frames import frame_to_pandas, is_frame
from skmtl._strategy import did_you_mean
from skmtl.inspection._inner import fitted_encoder, inner_net
from skmtl.inspection._probes import Probe, Snapshots, cosines
from skmtl.tasks import Targets, Task, label_affinity, read_table
from skmtl.training import torch_settings

_METHODS = ("labels", "gradients", "lookahead")


@dataclass(frozen=True, eq=False)
class TaskAffinity:
    """What :func:`task_affinity` measured; None where it was not asked.

    Parameters
    ----------
    labels : DataFrame of shape (n_tasks, n_tasks), default=None
        Largest canonical correlation of the labels, in [0, 1].
    gradients : DataFrame of shape (n_tasks, n_tasks), default=None
        Mean cosine of the gradients by the shared weights, in [-1, 1].
    lookahead : DataFrame of shape (n_tasks, n_tasks), default=None
        Share of the column's loss that a step on the row's loss takes away.  Not symmetric;
        negative where the step does harm.
    epochs : tuple of int, default=()
        The epochs after which the net was probed.
    """

    labels: pd.DataFrame | None = None
    gradients: pd.DataFrame | None = None
    lookahead: pd.DataFrame | None = None
    epochs: tuple[int, ...] = ()

    def __repr__(self) -> str:
        """Return what was measured, of how many tasks, and when."""
        frames = {name: getattr(self, name) for name in _METHODS}
        known = {name: frame for name, frame in frames.items() if frame is not None}
        n_tasks = len(next(iter(known.values()))) if known else 0
        probed = f"; probed after epochs {', '.join(map(str, self.epochs))}" if self.epochs else ""
        return f"TaskAffinity({', '.join(known)} of {n_tasks} tasks{probed})"


def task_affinity(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    methods: str | Sequence[str] = _METHODS,
    n_probes: int = 10,
    sample_weight: Any = None,
) -> TaskAffinity:
    r"""Measure for every two tasks how much learning one helps the other.

    - ``"labels"``: the largest canonical correlation of their labels
      (:func:`skmtl.tasks.label_affinity`).  No training.
    - ``"gradients"``: the mean cosine
      :math:`g_s \cdot g_t / (\lVert g_s \rVert \lVert g_t \rVert)` of the gradients
      :math:`g_t` of their losses by the shared weights.
    - ``"lookahead"``: the inter-task affinity
      :math:`Z_{s \to t} = 1 - L_t(\theta - \eta g_s) / L_t(\theta)`, the share of t's loss
      that one step of gradient descent on the loss of s, by the shared weights alone, takes
      away.  Rows are the tasks that step, columns those that benefit.

    Give the result to :func:`group_tasks`.  The last two train one net with
    ``sharing="hard"``, whatever sharing `estimator` has, and take the mean over probes along
    its training; they see whether tasks want the same features, which labels alone do not
    show.  A small number is no proof that two tasks should be parted: for that, compare fits
    by :func:`sharing_report`.

    Parameters
    ----------
    estimator : estimator
        A multi-task net, or a Pipeline that ends in one.  It is cloned, never changed.
    X, y : as in the estimator's `fit`
        Rows.
    methods : str or sequence of str, default=('labels', 'gradients', 'lookahead')
        What to measure: one or more of these words.
    n_probes : int, default=10
        The largest number of probes: after epochs 1, 2, 3, 4, 6, 8, 11, 16, ..., up to that
        of the best weights, and evenly chosen among these where they are more.
    sample_weight : as in the estimator's `fit`, default=None
        Weights.  To the labels' affinity it only matters where they are 0.

    Returns
    -------
    TaskAffinity
        Frames with the tasks as rows and columns.

    Raises
    ------
    ValueError
        If a method is unknown, `n_probes` is below 1, or the trunk has no weight to share.
    TypeError
        If `estimator` is no multi-task net or Pipeline of one.

    Notes
    -----
    Costs: one fit, and per probe a backward pass for each task, and with look-ahead a
    forward pass for each task as well, on at most 4096 training rows drawn anew.  Memory: a
    copy of the weights for each kept epoch, 16 up to epoch 200, and one gradient per task.

    Departures: probes are a few, on more rows than a batch has, and most of them early, where
    the paper takes every tenth step: once the features are learned, gradients are noise, and
    evenly spaced probes find planted groups less often.  The step is plain gradient descent
    with the estimator's ``lr`` whatever its optimiser.  To first order the affinity is
    proportional to ``lr``, so that sizes compare within one frame only.  Losses are those of
    training, with row and class weights, but without ``loss_weights`` and penalties.  A task
    without a label among the rows of a probe has no part in that probe.

    References
    ----------
    C. Fifty, E. Amid, Z. Zhao, T. Yu, R. Anil, C. Finn: Efficiently Identifying Task
    Groupings for Multi-Task Learning, NeurIPS 2021, arXiv:2109.04617, equation 1.

    T. Yu, S. Kumar, A. Gupta, S. Levine, K. Hausman, C. Finn: Gradient Surgery for
    Multi-Task Learning, NeurIPS 2020, arXiv:2001.06782, definition 1 (cosines).

    Examples
    --------
    >>> from skmtl import MultiTaskNetClassifierRegressor
    >>> from skmtl.datasets import load_automobile
    >>> from skmtl.inspection import group_tasks, task_affinity
    >>> X, Y = load_automobile(return_X_y=True)
    >>> est = MultiTaskNetClassifierRegressor(max_epochs=20, random_state=0)
    >>> affinity = task_affinity(est, X, Y, n_probes=3)
    >>> affinity
    TaskAffinity(labels, gradients, lookahead of 7 tasks; probed after epochs ...)
    >>> affinity.labels.loc["price", ["city_mpg", "highway_mpg"]].round(2).tolist()
    [0.69, 0.7]
    >>> group_tasks(affinity.labels, 2)[0]
    ['price', 'city_mpg', 'highway_mpg']
    """
    asked = _check_methods(methods)
    if not isinstance(n_probes, Integral) or isinstance(n_probes, bool) or n_probes < 1:
        raise ValueError(
            "Parameter `n_probes` must be a whole number of at least 1. Found "
            f"`n_probes = {n_probes!r}`."
        )
    estimator = clone(estimator)
    net, prefix = inner_net(estimator)
    if "estimator__" in prefix:
        raise TypeError(
            "Parameter `estimator` must be one net or Pipeline. Found a search, "
            f"{type(estimator).__name__}. Give its best_estimator_."
        )
    found: dict[str, Any] = {}
    if "labels" in asked:
        found["labels"] = _of_labels(net, y, sample_weight)
    if asked != ("labels",):
        weights = {} if sample_weight is None else {f"{prefix}sample_weight": sample_weight}
        found.update(_along_a_fit(estimator, net, X, y, weights, asked, int(n_probes)))
    return TaskAffinity(**found)


def _check_methods(methods: Any) -> tuple[str, ...]:
    asked = (methods,) if isinstance(methods, str) else tuple(methods)
    for name in asked:
        if name not in _METHODS:
            raise ValueError(
                f"Parameter `methods` must name some of {list(_METHODS)}. Found {name!r}."
                f"{did_you_mean(str(name), _METHODS)}"
            )
    if not asked:
        raise ValueError(f"Parameter `methods` must name some of {list(_METHODS)}. Found none.")
    return tuple(name for name in _METHODS if name in asked)


def _of_labels(net: Any, y: Any, sample_weight: Any) -> pd.DataFrame:
    frame, _ = read_table(y)
    encoder = fitted_encoder(net, frame)
    targets, tasks = encoder.transform(frame), encoder.tasks_
    mask = targets.mask & _counts(sample_weight, targets, tasks)
    names = [task.name for task in tasks]
    return pd.DataFrame(label_affinity(targets.values, mask, tasks), index=names, columns=names)


def _counts(sample_weight: Any, targets: Targets, tasks: Sequence[Task]) -> np.ndarray:
    """Return which cells have a weight above 0, shape (n_samples, n_columns or 1)."""
    if sample_weight is None:
        return np.ones((len(targets), 1), dtype=bool)
    if is_frame(sample_weight):
        sample_weight = frame_to_pandas(sample_weight)
        sample_weight = sample_weight.rename(columns=str)[[task.name for task in tasks]]
    weights = np.asarray(sample_weight, dtype=np.float64).reshape(len(targets), -1)
    if weights.shape[1] == 1:
        return weights > 0
    return np.repeat(weights > 0, [task.n_columns for task in tasks], axis=1)


def _along_a_fit(
    estimator: Any,
    net: Any,
    X: Any,
    y: Any,
    weights: dict[str, Any],
    asked: tuple[str, ...],
    n_probes: int,
) -> dict[str, Any]:
    """Fit a hard-sharing net, and measure at snapshots of its weights."""
    snapshots = Snapshots()
    callbacks = [*(net.callbacks or []), snapshots]
    # One plain network: of 8 tables with planted groups its gradients tell the groups of 8, those
    # of averaged weights, behind bins, of 2.
    plain = {"n_bins": 0, "ema_decay": 0.0}
    plain = {name: value for name, value in plain.items() if getattr(net, name) == "auto"}
    net.set_params(sharing="hard", preset="default", n_members=1, callbacks=callbacks, **plain)
    estimator.fit(X, y, **weights)
    states = snapshots.up_to(net.best_epoch_, n_probes)
    seed = int(check_random_state(net.random_state).randint(2**31 - 1))
    measured: dict[str, list[np.ndarray]] = {name: [] for name in asked if name != "labels"}
    with torch_settings(net.n_threads):
        probe = Probe(net.net_, snapshots.rows, torch.Generator().manual_seed(seed))
        for state in states.values():
            batch = probe.go_to(state)
            gradients = probe.gradients(batch)
            if "gradients" in measured:
                measured["gradients"].append(cosines(gradients @ gradients.mT).cpu().numpy())
            if "lookahead" in measured:
                steps = probe.lookahead(batch, gradients, net.lr)
                measured["lookahead"].append(steps.cpu().numpy())
    names, of_net = [task.name for task in net.tasks_], net.net_.criterion_.layout.names
    frames = {
        name: pd.DataFrame(_mean(matrices), index=of_net, columns=of_net).loc[names, names]
        for name, matrices in measured.items()
    }
    return {**frames, "epochs": tuple(states)}


def _mean(matrices: list[np.ndarray]) -> np.ndarray:
    """Return the mean over probes, of those that are not NaN."""
    stacked = np.stack(matrices).astype(np.float64)  # (probe, task, task)
    counts = (~np.isnan(stacked)).sum(axis=0)
    return np.where(counts > 0, np.nansum(stacked, axis=0) / np.maximum(counts, 1), np.nan)
