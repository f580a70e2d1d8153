"""The fits of a search: from candidates and splits to fitted estimators, many nets at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params

from skmtl.estimators._contents import contents
from skmtl.estimators._preparing import Given, Memo
from skmtl.estimators._stacking import Fit, Fits
from skmtl.model_selection._plan import errors_plan, groups_plan, plain_plan
from skmtl.model_selection._stackable import net_of, params_of_net, why_not_stacked
from skmtl.training import forget_frames

#: Share of the memory budget for the tables of the folds; the rest is for stacks.
TABLES = 0.5


@dataclass(frozen=True)
class Data:
    """What a search is given.

    Parameters
    ----------
    X, y : as in `fit`
        All rows.
    fit_params : dict
        Of the estimator's `fit`.
    """

    X: Any
    y: Any
    fit_params: dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One candidate on one split.

    Parameters
    ----------
    candidate, split : int
        Their positions.
    params : dict
        Parameters of the candidate.
    train : ndarray of int
        Training rows.
    """

    candidate: int
    split: int
    params: dict[str, Any]
    train: Any


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Parameters
    ----------
    estimator : estimator
        Fitted, if there is no error.
    error : Exception or None
        What its `fit` raised.
    seconds : float
        Its share of the time.
    """

    estimator: Any
    error: Exception | None
    seconds: float


def fit_jobs(
    estimator: Any,
    data: Data,
    jobs: Sequence[Job],
    *,
    n_jobs: int | None,
    max_memory: float | None,
) -> tuple[dict[tuple[int, int], Outcome], pd.DataFrame]:
    """Fit all candidates on all splits.

    Parameters
    ----------
    estimator : estimator
        Cloned for each job.
    data : Data
        All rows.
    jobs : sequence of Job
        Candidates and splits.
    n_jobs : int or None
        Processes, as joblib has it.
    max_memory : float or None
        Bytes for tables and stacks, of each process.

    Returns
    -------
    outcomes : dict of (int, int) to Outcome
        By candidate and split.
    plan : DataFrame
        What was trained together.
    """
    n = min(effective_n_jobs(n_jobs), len(jobs))
    # Candidates next to each other take about as long, so each process gets every n-th; of
    # few candidates every n-th fit.
    is_wide = len({job.candidate for job in jobs}) >= n
    turns = [job.candidate if is_wide else i for i, job in enumerate(jobs)]
    shares = [
        [job for job, turn in zip(jobs, turns, strict=True) if turn % n == k] for k in range(n)
    ]
    shares = [share for share in shares if share]
    done = Parallel(n_jobs=len(shares))(
        delayed(_fit_share)(estimator, data, share, max_memory) for share in shares
    )
    outcomes: dict[tuple[int, int], Outcome] = {}
    plans = []
    for share, (own, plan) in zip(shares, done, strict=True):
        outcomes |= {(j.candidate, j.split): o for j, o in zip(share, own, strict=True)}
        plans.append(plan)
    return outcomes, pd.concat(plans, ignore_index=True)


def plan_jobs(
    estimator: Any, data: Data, jobs: Sequence[Job], max_memory: float | None
) -> pd.DataFrame:
    """Tell what would be trained together, without training.

    Parameters
    ----------
    estimator, data, jobs, max_memory : as for :func:`fit_jobs`
        The search.

    Returns
    -------
    DataFrame
        As :func:`fit_jobs` returns it; of fits of several nets, one after the other, the first ones.
    """
    front = _Front(estimator, data)
    plans = []
    for chunk in _chunks(front, jobs, max_memory):
        fits = Fits([fit for _, fit in chunk], max_memory)
        plans += [groups_plan(fits.groups(), chunk), errors_plan(chunk)]
    plans += _plain_plans(front, jobs)
    return pd.concat(plans, ignore_index=True)


def _fit_share(
    estimator: Any, data: Data, jobs: Sequence[Job], max_memory: float | None
) -> tuple[list[Outcome], pd.DataFrame]:
    front = _Front(estimator, data)
    plans: list[pd.DataFrame] = []
    outcomes: dict[int, Outcome] = {}
    for chunk in _chunks(front, jobs, max_memory):
        outcomes |= _fit_chunk(front, chunk, max_memory, plans)
    others = [job for job in jobs if id(job) not in outcomes]
    for job in others:
        outcomes[id(job)] = front.fit_alone(job)
    plans += _plain_plans(front, others)
    return [outcomes[id(job)] for job in jobs], pd.concat(plans, ignore_index=True)


def _fit_chunk(
    front: _Front, chunk: list[tuple[Job, Fit]], max_memory: float | None, plans: list[pd.DataFrame]
) -> dict[int, Outcome]:
    """Fit a chunk, and empty it: its tables are gone before the next one is read."""
    start = time.perf_counter()
    fits = Fits([fit for _, fit in chunk], max_memory)
    plans.append(errors_plan(chunk))
    plans += [groups_plan(groups, chunk) for groups in fits.rounds()]
    trained = sum(fit.seconds for _, fit in chunk)
    beside = (time.perf_counter() - start - trained) / len(chunk)  # in common
    outcomes = {}
    while chunk:
        job, fit = chunk.pop()
        forget_frames(fit.error)
        whole = fit.estimator if fit.error else front.whole(job, fit.estimator)
        outcomes[id(job)] = Outcome(whole, fit.error, fit.seconds + beside)
    return outcomes


def _plain_plans(front: _Front, jobs: Sequence[Job]) -> list[pd.DataFrame]:
    """Tell of the jobs that scikit-learn has to fit, by why."""
    reasons: dict[str, list[Job]] = {}
    for job in jobs:
        if why := front.why_plain(job):
            reasons.setdefault(why, []).append(job)
    return [plain_plan(those, why) for why, those in reasons.items()]


def _chunks(
    front: _Front, jobs: Sequence[Job], max_memory: float | None
) -> Iterator[list[tuple[Job, Fit]]]:
    """Cut the jobs into those whose tables may be in memory together: whole splits."""
    by_split: dict[int, list[Job]] = {}
    for job in (job for job in jobs if front.why_plain(job) is None):
        by_split.setdefault(job.split, []).append(job)
    splits = list(by_split.values())
    n_splits = len(splits)
    if max_memory is not None:
        # Each table, and its place in what a stack joins.
        n_splits = max(1, int(TABLES * max_memory // (2 * front.n_bytes(splits[0][0]))))
    for start in range(0, len(splits), n_splits):
        chosen = [job for split in splits[start : start + n_splits] for job in split]
        yield [(job, front.start(job)) for job in chosen]
        front.forget()


class _Front:
    """What stands before the nets: data of the splits, and the steps of a Pipeline."""

    def __init__(self, estimator: Any, data: Data) -> None:
        self.estimator = estimator
        self.data = data
        self.forget()

    def forget(self) -> None:
        """Let go of the data of all splits."""
        self._memos: dict[Any, Memo] = {}
        self._given: dict[Any, tuple[Any, Given]] = {}

    def n_bytes(self, job: Job) -> int:
        """Return about what the rows of a split take as 32-bit numbers."""
        width = self.data.X.shape[1] if getattr(self.data.X, "ndim", 1) > 1 else 1
        n_targets = self.data.y.shape[1] if getattr(self.data.y, "ndim", 1) > 1 else 1
        return 4 * len(job.train) * (int(width) + 2 * int(n_targets))

    def why_plain(self, job: Job) -> str | None:
        """Tell why scikit-learn has to fit a job: its parameters may put another last step there."""
        if not isinstance(self.estimator, Pipeline):
            return None
        last = self.estimator.steps[-1][0]
        if not {last, "steps"} & job.params.keys():
            return None
        return why_not_stacked(self._whole(job).steps[-1][1])

    def fit_alone(self, job: Job) -> Outcome:
        """Fit what has no net of ours, as scikit-learn does."""
        whole, start, error = self._whole(job), time.perf_counter(), None
        X, y, params = self._rows(job, whole)
        try:
            whole.fit(X, y, **params)
        except Exception as raised:  # noqa: BLE001 - belongs to this fit, others go on
            error = raised
            forget_frames(error)
        return Outcome(whole, error, time.perf_counter() - start)

    def start(self, job: Job) -> Fit:
        """Return the fit of the net of a job."""
        whole = self._whole(job)
        memo = self._memos.setdefault(self._key(job, whole), Memo())
        try:
            _, given = self._before(job, whole)
        except Exception as error:  # noqa: BLE001 - of a step before the net, others go on
            return Fit(net_of(whole), Given(None, None, None, None), memo, error)
        return Fit(net_of(whole), given, memo)

    def whole(self, job: Job, net: Any) -> Any:
        """Return what the search would have fitted, around a fitted net."""
        if not isinstance(self.estimator, Pipeline):
            return net
        whole = self._whole(job)
        steps, _ = self._before(job, whole)
        whole.steps = [*steps, (whole.steps[-1][0], net)]
        return whole

    def _rows(self, job: Job, whole: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Return the training rows, and the parameters of `fit` that go with them."""
        data = self.data
        X, y = _safe_split(whole, data.X, data.y, job.train)
        return X, y, _check_method_params(data.X, params=data.fit_params, indices=job.train)

    def _whole(self, job: Job) -> Any:
        return clone(self.estimator).set_params(**clone(job.params, safe=False))

    def _key(self, job: Job, whole: Any) -> Any:
        """Return what jobs have in common whose nets read the same rows."""
        if not isinstance(whole, Pipeline):
            return job.split
        last = whole.steps[-1][0]
        theirs = {n: v for n, v in job.params.items() if n.partition("__")[0] != last}
        return job.split, contents(sorted(theirs.items(), key=lambda item: item[0]))

    def _before(self, job: Job, whole: Any) -> tuple[Any, Given]:
        """Return the fitted steps before the net, and what the net is given; once for all."""
        key = self._key(job, whole)
        if key not in self._given:
            X, y, params = self._rows(job, whole)
            params = params_of_net(whole, params) or {}
            steps: Any = []
            if isinstance(whole, Pipeline) and len(whole.steps) > 1:
                before = whole[:-1]
                X, steps = before.fit_transform(X, y), before.steps
            self._given[key] = (steps, Given.to_fit(X, y, **params))
        return self._given[key]
