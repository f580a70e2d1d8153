"""Does sharing help?  One shared net against a net of its own for each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state
from sklearn.utils.parallel import Parallel, delayed

from skmtl._strategy import did_you_mean
from skmtl.inspection._inner import fitted_encoder, inner_net, with_groups
from skmtl.inspection._own import own_estimator, with_tasks
from skmtl.inspection._paired import corrected_t_test, holm
from skmtl.inspection._plots import plot_sharing_report
from skmtl.metrics import TaskScoring
from skmtl.tasks import Targets, Task, read_groups, read_table, stratified_folds

HELPS, HURTS, NOTHING_SHOWN = "sharing helps", "sharing hurts", "no difference shown"


@dataclass(frozen=True, eq=False)
class SharingReport:
    """What :func:`sharing_report` found.

    Parameters
    ----------
    table : DataFrame of shape (n_tasks, 8)
        By task: mean scores ``shared`` and ``own``, mean ``gain`` (shared - own), its
        confidence interval ``lower`` to ``upper``, ``p_value``, ``p_corrected`` (for the
        number of tasks) and ``verdict``.
    scores : DataFrame
        One row for each ``fold``, ``task`` and ``model`` ("shared" or "own"), with the
        ``score``, NaN where the task had no label.
    confidence : float, default=0.95
        Of the intervals and verdicts.
    """

    table: pd.DataFrame
    scores: pd.DataFrame
    confidence: float = 0.95

    @property
    def mean_gain(self) -> float:
        """Mean gain over the tasks that could be scored."""
        return float(self.table["gain"].mean())

    def plot(self, ax: Any = None) -> Any:
        """Draw the gain of each task, see :func:`plot_sharing_report`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw.  None: a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        return plot_sharing_report(self, ax)

    @property
    def _summary(self) -> str:
        n_folds = self.scores["fold"].nunique()
        counts = self.table["verdict"].value_counts()
        found = ", ".join(f"{verdict}: {n}" for verdict, n in counts.items())
        return (
            f"Shared net against own nets, {len(self.table)} tasks, {n_folds} folds: mean gain "
            f"{self.mean_gain:+.3f}; {found} (at {self.confidence:.0%})."
        )

    def __repr__(self) -> str:
        """Return a summary and the table."""
        return f"{self._summary}\n{self.table.round(3).to_string()}"

    def _repr_html_(self) -> str:
        return f"<p>{self._summary}</p>\n{self.table.round(3).to_html()}"


def sharing_report(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    baseline: Any = None,
    scoring: Any = None,
    confidence: float = 0.95,
    groups: Any = None,
    n_jobs: int | None = None,
) -> SharingReport:
    """Compare a shared net with a net of its own for each task, on the same folds.

    The question to ask before any choice of sharing scheme.  A task's own net is a separate
    fit of a clone of `estimator` with the same parameters, but ``sharing="hard"`` (there is
    nothing to share), no ``loss_weights`` and no penalty
    :class:`~skmtl.penalties.TaskRelations`, on the rows that have its label, with its own early
    stopping; the shared net is `estimator` itself.  A search leaves out for it what it goes
    through of these, such as ``sharing__n_experts``.  Both are scored on the same test
    rows.  Gains are tested by the corrected resampled t-test and the p-values corrected by
    Holm's method, so that among many tasks none looks significant by chance.

    Parameters
    ----------
    estimator : estimator
        A multi-task net, or a Pipeline or search that ends in one.  It is cloned.
    X, y : as in the estimator's `fit`
        Rows.
    cv : int, splitter or iterable of (train, test), default=5
        A number of folds, in which every task has its share of labels and classes (as by
        :class:`skmtl.model_selection.TaskStratifiedKFold`); a splitter; or pairs of row
        numbers.  Repeated or random splits test with more power.
    baseline : estimator, default=None
        Another multi-task estimator, fitted once per fold on all tasks, in place of the own
        nets; "own" are then its scores.
    scoring : TaskScoring, mapping of str to metric, metric, default=None
        A metric by task, or one for all tasks, as :class:`skmtl.TaskScoring` takes them.
        None: the skill of every task (:func:`skmtl.metrics.skill_score`).
    confidence : float, default=0.95
        Of the intervals and verdicts, in (0, 1).
    groups : array-like of shape (n_samples,), default=None
        Which rows belong together, as for the estimator's `fit`: the folds hold out whole groups,
        and within them so do the networks.  `estimator` is then a net, or a Pipeline that ends in
        one.
    n_jobs : int, default=None
        Number of fits at a time, as everywhere in scikit-learn.

    Returns
    -------
    SharingReport
        A table by task, all scores, a picture.

    Raises
    ------
    ValueError
        If `confidence` or `cv` is out of range, or `scoring` names no task.
    TypeError
        If `estimator` or `baseline` is no multi-task estimator, or `scoring` is no metric.

    Notes
    -----
    It costs ``n_folds * (n_tasks + 1)`` fits.  Kinds and classes of the tasks are decided
    once, on all of y, so that every fold agrees; nothing else is learned outside the training
    rows.  A task that cannot be scored in a fold is NaN there and left out; with fewer than
    two folds left, there is no interval, and no difference shown.

    The verdict is "sharing helps" or "sharing hurts" where ``p_corrected`` is below
    ``1 - confidence``, else "no difference shown", which is no proof of equality: five folds
    see large differences only.  The intervals are each task's own, not corrected.  The
    variance is the one of random resampling; for the folds of a cross-validation it is a
    common approximation.  ``n_test / n_train`` counts labelled rows.

    References
    ----------
    C. Nadeau, Y. Bengio: Inference for the Generalization Error, Machine Learning 52, 2003,
    section 5.

    S. Holm: A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of
    Statistics 6, 1979.

    Examples
    --------
    >>> from skmtl import MultiTaskNetClassifierRegressor
    >>> from skmtl.datasets import load_automobile
    >>> from skmtl.inspection import sharing_report
    >>> X, Y = load_automobile(return_X_y=True)
    >>> est = MultiTaskNetClassifierRegressor(max_epochs=20, random_state=0)
    >>> report = sharing_report(est, X, Y[["city_mpg", "num_doors"]], cv=3)
    >>> list(report.table)
    ['shared', 'own', 'gain', 'lower', 'upper', 'p_value', 'p_corrected', 'verdict']
    """
    if not isinstance(confidence, Real) or not 0 < float(confidence) < 1:
        raise ValueError(
            "Parameter `confidence` must be a number between 0 and 1. Found "
            f"`confidence = {confidence!r}`."
        )
    Y, _ = read_table(y)
    check_consistent_length(X, Y)
    net, _ = inner_net(estimator)
    encoder = fitted_encoder(net, Y)
    tasks, targets = encoder.tasks_, encoder.transform(Y)
    metrics = _metrics(scoring, [task.name for task in tasks])
    codes = None if groups is None else read_groups(groups, len(Y))
    folds = _folds(cv, clone(net), X, Y, targets, tasks, codes)
    models = _models(estimator, baseline, tasks, metrics)
    scores = _scores(models, X, Y, folds, codes, n_jobs)
    labelled = {
        task.name: Y[list(task.columns)].notna().any(axis=1).to_numpy()
        for task in tasks
        if task.name in metrics
    }
    return SharingReport(
        _table(scores, labelled, folds, float(confidence)), scores, float(confidence)
    )


def _metrics(scoring: Any, names: Sequence[str]) -> dict[str, str | Callable[..., float]]:
    """Return the metric of each task that is to be scored."""
    if isinstance(scoring, TaskScoring):
        scoring = scoring.metrics
    if scoring is None:
        scoring = "skill"
    if isinstance(scoring, str) or callable(scoring):
        return dict.fromkeys(names, scoring)
    if not isinstance(scoring, Mapping):
        raise TypeError(
            "Parameter `scoring` must be None, a TaskScoring, a mapping from tasks to metrics, or "
            f"one metric. Found `scoring = {scoring!r}`."
        )
    for name in scoring:
        if name not in names:
            raise ValueError(
                f"Parameter `scoring` names an unknown task {name!r}. The tasks are "
                f"{list(names)}.{did_you_mean(str(name), names)}"
            )
    return {name: scoring[name] for name in names if name in scoring}


def _folds(
    cv: Any,
    net: Any,
    X: Any,
    Y: pd.DataFrame,
    targets: Targets,
    tasks: tuple[Task, ...],
    groups: np.ndarray | None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return row numbers of training and test rows, fold by fold."""
    if not isinstance(cv, Integral):
        splits = check_cv(cv).split(X, Y, groups)
        return [(np.asarray(train), np.asarray(test)) for train, test in splits]
    n, units = (len(Y), "rows") if groups is None else (len(np.unique(groups)), "groups")
    if isinstance(cv, bool) or not 2 <= int(cv) <= n:
        raise ValueError(
            "Parameter `cv` must be a splitter, or a whole number of at least 2 and at most the "
            f"number of {units}, {n}. Found `cv = {cv!r}`."
        )
    random = check_random_state(net.random_state)
    fold_of = stratified_folds(targets, tasks, np.full(int(cv), 1 / int(cv)), random, groups)
    return [
        (np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold))
        for fold in range(int(cv))
    ]


def _models(
    estimator: Any, baseline: Any, tasks: tuple[Task, ...], metrics: dict[str, Any]
) -> list[tuple[str, Any, list[Any], dict[str, Any]]]:
    """Return what to fit in each fold: model, estimator, columns of y, metric by task."""
    columns = [column for task in tasks for column in task.columns]
    models = [("shared", with_tasks(estimator, tasks), columns, metrics)]
    if baseline is not None:
        return [*models, ("own", with_tasks(baseline, tasks), columns, metrics)]
    return models + [
        ("own", own_estimator(estimator, task, len(tasks)), list(task.columns), {task.name: metric})
        for task in tasks
        for metric in [metrics.get(task.name)]
        if metric is not None
    ]


def _scores(
    models: Sequence[tuple[str, Any, list[Any], dict[str, Any]]],
    X: Any,
    Y: pd.DataFrame,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    groups: np.ndarray | None,
    n_jobs: int | None,
) -> pd.DataFrame:
    """Fit all models in all folds; return a row for each fold, task and model."""
    jobs = [(fold, name, *model) for fold in range(len(folds)) for name, *model in models]
    found = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_score)(
            model, X, Y[columns], *folds[fold], metrics, groups, f"{name} net, {fold=}"
        )
        for fold, name, model, columns, metrics in jobs
    )
    return pd.DataFrame(
        {"fold": job[0], "task": task, "model": job[1], "score": score}
        for job, scored in zip(jobs, found, strict=True)
        for task, score in scored.items()
    )


def _fit_and_score(
    estimator: Any,
    X: Any,
    Y: pd.DataFrame,
    train: np.ndarray,
    test: np.ndarray,
    metrics: dict[str, Any],
    groups: np.ndarray | None,
    what: str,
) -> dict[str, float]:
    """Fit a clone on the labelled training rows, and score its tasks on the test rows."""
    labelled = Y.notna().any(axis=1).to_numpy()
    train, test = train[labelled[train]], test[labelled[test]]
    if len(train) == 0 or len(test) == 0:
        return dict.fromkeys(metrics, np.nan)
    try:
        params = {} if groups is None else with_groups(estimator, groups[train])
        fitted = clone(estimator).fit(_safe_indexing(X, train), Y.iloc[train], **params)
        scores = TaskScoring(metrics)(fitted, _safe_indexing(X, test), Y.iloc[test])
    except Exception as error:
        error.add_note(f"In sharing_report: {what}, tasks {list(metrics)}.")
        raise
    *of_tasks, _ = scores.values()  # the mean is the last
    return dict(zip(metrics, of_tasks, strict=True))


def _table(
    scores: pd.DataFrame,
    labelled: Mapping[str, np.ndarray],
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    confidence: float,
) -> pd.DataFrame:
    """Judge the gains task by task."""
    wide = scores.pivot(index="fold", columns=["task", "model"], values="score")
    rows = []
    for name, has_label in labelled.items():
        both = wide[name].dropna()
        gains = (both["shared"] - both["own"]).to_numpy()
        used = [folds[fold] for fold in both.index]
        ratios = [has_label[test].sum() / has_label[train].sum() for train, test in used]
        ratio = float(np.mean(ratios)) if ratios else np.nan
        lower, upper, p_value = corrected_t_test(gains, ratio, confidence)
        rows.append([*both[["shared", "own"]].mean(), gains.mean() if used else np.nan,
                     lower, upper, p_value])  # fmt: skip
    columns = ["shared", "own", "gain", "lower", "upper", "p_value"]
    table = pd.DataFrame(rows, index=pd.Index(labelled, name="task"), columns=columns)
    table["p_corrected"] = holm(table["p_value"].to_numpy())
    is_shown = table["p_corrected"] < 1 - confidence
    direction = np.where(table["gain"] > 0, HELPS, HURTS)
    table["verdict"] = np.where(is_shown, direction, NOTHING_SHOWN)
    return table
