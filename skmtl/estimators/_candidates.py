"""Which networks ``preset="best"`` and ``sharing="auto"`` stand for, and their fits."""

from __future__ import annotations

import copy
from collections.abc import Generator
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import clone

from skmtl.estimators._blending import blend, select_weights
from skmtl.estimators._building import choose_bins, resolve_trunk
from skmtl.estimators._calibration import fit_temperatures, with_temperatures
from skmtl.estimators._conformal import Conformity
from skmtl.estimators._fitting import Fitted, fit_net
from skmtl.estimators._preparing import Memo, Prepared
from skmtl.estimators._rows import Rows
from skmtl.estimators._training import Course, Training
from skmtl.tasks import TaskOutput
from skmtl.trunks import MLP
from skmtl.weighting import Equal, Fixed, resolve_weighting

#: Numbers that a trunk embeds, at most: each has weights of its own.
MOST_EMBEDDED = 512


def has_candidates(estimator: Any) -> bool:
    """Tell whether the parameters stand for several networks.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read.

    Returns
    -------
    bool
        Whether inner validation is to choose.
    """
    chooses = isinstance(estimator.sharing, str) and estimator.sharing == "auto"
    return chooses or estimator.preset == "best"


def plan(estimator: Any, train: Rows, *, judges: bool) -> dict[str, dict[str, Any]]:
    """Return the networks to choose from, each by the parameters that it changes.

    Parameters
    ----------
    estimator : estimator
        With tasks and preprocessing.
    train : Rows
        Rows to learn from.
    judges : bool
        Whether there are rows to judge by.

    Returns
    -------
    dict of str to dict
        Changes by name; the first is the network that the others are compared with, and the only
        one if there is nothing to judge by.
    """
    is_best, sharing = estimator.preset == "best", estimator.sharing
    if not isinstance(sharing, str) or sharing not in {"auto", "hard"}:
        schemes: dict[str, Any] = {str(sharing): sharing}
    elif sharing == "hard" and not is_best:
        schemes = {"hard": "hard"}
    else:
        # A task alone has nobody to share with.
        names = ["hard", "independent"] if len(estimator.tasks_) > 1 else ["hard"]
        schemes = {name: name for name in names}
    numbers = getattr(estimator._preprocess, "number_columns_", None)
    weighting = resolve_weighting(estimator.loss_weights, [task.name for task in estimator.tasks_])
    found: dict[str, dict[str, Any]] = {}
    for scheme, value in schemes.items():
        changes: dict[str, Any] = {"sharing": value}
        is_own = scheme == "independent"
        if is_own and not isinstance(weighting, Equal | Fixed):
            changes["loss_weights"] = None  # a net per task has nothing to weigh
        found[scheme] = changes
        if (
            is_best
            and numbers
            and choose_bins(estimator, numbers, is_sparse=sparse.issparse(train.X))
        ):
            found[f"{scheme}, numbers alone"] = {**changes, "n_bins": 0}
            embedded = (
                _embeddings(estimator) if len(numbers) <= MOST_EMBEDDED and not is_own else None
            )
            if embedded is not None:
                found[f"{scheme}, embeddings"] = {**changes, **embedded}
    return found if judges else dict([next(iter(found.items()))])


def _embeddings(estimator: Any) -> dict[str, Any] | None:
    """Return what makes the trunk embed numbers, or None if it is no MLP."""
    trunk = resolve_trunk(estimator)
    if type(trunk) is not MLP:
        return None
    embedded = clone(trunk).set_params(num_embeddings="piecewise_linear")
    # The object has its own in place of the flat parameters.
    flat = {n: v for n, v in MLP().get_params().items() if hasattr(estimator, n)}
    if estimator.head_layer_sizes != ():
        del flat["activation"]  # the heads read it too
    return {"trunk": embedded, "n_bins": 0, **flat}


def fit_one(
    estimator: Any, prepared: Prepared, memo: Memo, course: Course
) -> Generator[Training, None, Fitted]:
    """Train one net, and judge it by the rows that were held out.

    Parameters
    ----------
    estimator : estimator
        With tasks, preprocessing and target scales; changed in place.
    prepared, memo, course : as in :func:`skmtl.estimators._fitting.fit_net`
        Rows, what is known of them, and how the training goes.

    Yields
    ------
    Training
        To be trained by the caller.

    Returns
    -------
    Fitted
        The net, and what it says of the held-out rows.
    """
    fitted = yield from fit_net(estimator, prepared, memo, course)
    estimator.net_ = fitted.net
    estimator.n_iter_ = len(fitted.net.history)
    stopping = fitted.net.stopping_
    estimator.best_epoch_ = estimator.n_iter_ if stopping is None else stopping.best_epoch_
    judge(estimator, fitted.held_out, prepared.judged)
    return fitted


def fit_candidates(
    estimator: Any,
    prepared: Prepared,
    memo: Memo,
    course: Course,
    *,
    changes: dict[str, dict[str, Any]],
) -> Generator[Training, None, Fitted]:
    """Train several nets on the same rows, and weigh them for each task.

    Parameters
    ----------
    estimator : estimator
        With tasks, preprocessing and target scales; changed in place.
    prepared, memo, course : as in :func:`skmtl.estimators._fitting.fit_net`
        Rows and sources of randomness, the same for all, and how the training goes.
    changes : dict of str to dict
        From :func:`plan`.

    Yields
    ------
    Training
        To be trained by the caller.

    Returns
    -------
    Fitted
        The first net, what all say together of the held-out rows, and the first error.
    """
    parts, fits = {}, []
    for name, changed in changes.items():
        part = copy.copy(estimator)
        for parameter, value in {"preset": "default", **changed}.items():
            setattr(part, parameter, value)
        # A candidate is what an estimator of these parameters would be: same seeds, same folds.
        own = prepared._replace(seeds=copy.deepcopy(prepared.seeds))
        fits.append((yield from fit_one(part, own, memo, course)))
        parts[name] = part
    held_out = [fitted.held_out for fitted in fits if fitted.held_out is not None]
    weights, together = np.ones((1, len(estimator.tasks_))), None
    rows = prepared.judged
    if held_out:
        weights = select_weights(held_out, *rows.judged())
        together = blend(held_out, weights)
    first = next(iter(parts.values()))
    for name in ("net_", "sharing_", "n_iter_", "best_epoch_", "null_losses_"):
        if hasattr(first, name):
            setattr(estimator, name, getattr(first, name))
    estimator.candidates_ = parts
    estimator.candidate_weights_ = pd.DataFrame(
        weights.T, [task.name for task in estimator.tasks_], list(parts)
    )
    judge(estimator, together, rows)
    errors = [fitted.error for fitted in fits if fitted.error is not None]
    return Fitted(estimator.net_, together, errors[0] if errors else None)


def judge(estimator: Any, outputs: list[TaskOutput] | None, rows: Rows) -> None:
    """Learn temperatures and the reach of intervals from rows that were held out.

    Parameters
    ----------
    estimator : estimator
        Changed in place.
    outputs : list of TaskOutput or None
        What is said of the rows; None if none were held out.
    rows : Rows
        With their labels.

    Raises
    ------
    ValueError
        If probabilities are to be calibrated and no rows were held out.
    """
    estimator._temperatures, estimator._conformity = {}, None
    if outputs is None:
        if estimator.calibration is not None:
            raise ValueError(
                f"`calibration = {estimator.calibration!r}` needs rows that `fit` holds out, and it "
                "held out none. Fit with `early_stopping=True`, or with X_val and y_val."
            )
        return
    targets, weights = rows.judged()
    if estimator.calibration == "temperature":
        estimator._temperatures = fit_temperatures(outputs, targets, weights)
        outputs = with_temperatures(outputs, estimator._temperatures)
    estimator._conformity = Conformity.of(outputs, targets.values, targets.mask)
