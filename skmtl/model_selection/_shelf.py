"""Fitted estimators, handed to scikit-learn's searches where they ask for a fit."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import parallel_config
from joblib.parallel import get_active_backend
from sklearn.base import clone

from skmtl.model_selection._batch import Data, Outcome


class Shelf:
    """What was fitted together, in the order in which scikit-learn fits one by one.

    scikit-learn's searches clone an estimator for each candidate and split, set the candidate's
    parameters, call its `fit`, and score it.  Here the clones take a fitted state in place of the
    fit, so that all else (scores, errors, warnings, callbacks, refit) is scikit-learn's own.
    They are handed out in order, so scikit-learn has to ask in one process and one thread.

    Parameters
    ----------
    estimator : estimator
        Of the search.
    data : Data
        All rows.
    split_params : dict
        For the splitter.
    n_jobs : int or None
        Processes.
    """

    def __init__(
        self, estimator: Any, data: Data, split_params: dict[str, Any], n_jobs: int | None
    ) -> None:
        self.estimator = estimator
        self.data = data
        self.split_params = split_params
        self.n_jobs = n_jobs
        self._backend, self._context_jobs = get_active_backend()
        self._taking: list[Any] = []
        self._seconds: list[float] = []
        self._outcomes: deque[Outcome] = deque()

    def put(self, outcomes: Sequence[Outcome]) -> None:
        """Take what was fitted, candidates first, then splits.

        Parameters
        ----------
        outcomes : sequence of Outcome
            In the order of scikit-learn's fits.
        """
        self._seconds += [outcome.seconds for outcome in outcomes]
        self._outcomes = deque(outcomes)

    def joblib_as_it_was(self) -> Any:
        """Return a context in which joblib has the backend that was set when this was made."""
        return parallel_config(backend=self._backend, n_jobs=self._context_jobs)

    def taking(self) -> Any:
        """Return the estimator such that its clones take what is here in place of a fit."""
        estimator = clone(self.estimator)
        self._taking.append(estimator)
        estimator.__sklearn_clone__ = self.taking
        estimator.fit = lambda X, y=None, **params: self._take(estimator, X, y, params)
        return estimator

    def close(self) -> None:
        """Make estimators that were not fitted ordinary ones again."""
        for estimator in self._taking:
            _release(estimator)
        self._taking = []

    def _take(self, estimator: Any, X: Any, y: Any, params: dict[str, Any]) -> Any:
        _release(estimator)
        self._taking = [other for other in self._taking if other is not estimator]
        if not self._outcomes:  # the best candidate, on all rows
            return estimator.fit(X, y, **params)
        outcome = self._outcomes.popleft()  # whose net goes with the estimator that takes it
        if outcome.error is not None:
            raise outcome.error
        vars(estimator).update(vars(outcome.estimator))
        return estimator

    def tell_times(self, results: dict[str, Any]) -> None:
        """Write the seconds of the fits into a search's results.

        Parameters
        ----------
        results : dict
            ``cv_results_``; changed in place.
        """
        seconds = np.array(self._seconds).reshape(len(results["params"]), -1)
        results["mean_fit_time"] = seconds.mean(axis=1)
        results["std_fit_time"] = seconds.std(axis=1)


def _release(estimator: Any) -> None:
    for name in ("fit", "__sklearn_clone__"):
        vars(estimator).pop(name, None)
