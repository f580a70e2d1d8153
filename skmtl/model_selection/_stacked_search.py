"""What our searches do in another way than scikit-learn's: the fits."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd
from joblib import parallel_config
from sklearn.base import is_classifier
from sklearn.model_selection import ParameterGrid, check_cv
from sklearn.utils import indexable
from sklearn.utils.validation import _check_method_params

from skmtl.metrics import TaskScoring
from skmtl.model_selection._batch import Data, Job, fit_jobs, plan_jobs
from skmtl.model_selection._plan import plain_plan
from skmtl.model_selection._shelf import Shelf
from skmtl.model_selection._stackable import why_plain


class StackedSearchMixin:
    """What our searches do in another way than scikit-learn's: the fits."""

    estimator: Any
    n_jobs: int | None
    cv: Any
    max_memory: float | None

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Run the search.

        Parameters
        ----------
        X, y : as in the estimator's `fit`
            All rows.
        **params : dict of str to object
            For the estimator's `fit`, the scorer and the splitter, as in scikit-learn's searches.

        Returns
        -------
        search
            self.

        Raises
        ------
        ValueError
            As scikit-learn's searches do; this one is left as it was.
        """
        # In a copy, so that an error leaves this one as it was.
        theirs: Any = self
        if isinstance(theirs.scoring, TaskScoring) and theirs.refit is True:
            raise ValueError(
                "TaskScoring gives several scores, so that `refit` has to name the one by which the "
                "best candidate is chosen. Set `refit='score'`, their mean, the name of a task, or False."
            )
        inner: Any = copy.copy(self)
        vars(inner).pop("plan_", None)
        fit = super(StackedSearchMixin, inner).fit  # type: ignore[misc]
        data, split_params = inner._routed(X, y, params)
        why = why_plain(self.estimator, data.fit_params)
        if why is not None:
            fit(X, y, **params)
            candidates, splits = inner.cv_results_["params"], range(inner.n_splits_)
            jobs = [Job(i, k, p, None) for i, p in enumerate(candidates) for k in splits]
            inner.plan_ = plain_plan(jobs, why)
        else:
            inner._shelf = shelf = Shelf(self.estimator, data, split_params, self.n_jobs)
            inner.estimator = shelf.taking()
            inner.n_jobs = 1  # processes are for the training
            # Once, for an iterator is used up.
            inner.cv = check_cv(self.cv, data.y, classifier=is_classifier(self.estimator))
            with parallel_config(backend="sequential"):  # fits are handed out in order
                fit(X, y, **params)
            shelf.tell_times(inner.cv_results_)
            shelf.close()  # scorers may hold what takes from it
            del inner._shelf
        vars(inner).update(estimator=self.estimator, n_jobs=self.n_jobs, cv=self.cv)
        vars(self).clear()
        vars(self).update(vars(inner))
        return self

    def explain_plan(self, X: Any = None, y: Any = None, **params: Any) -> pd.DataFrame:
        """Tell what is trained together, and why the rest is not.

        Parameters
        ----------
        X, y, **params : as in `fit`
            The data; without it, what the last `fit` has done.  With it nothing is trained, but
            the preprocessing is fitted.  Of a halving search, this is the first round, as if on
            all rows; of ``preset="best"`` and ``sharing="auto"`` the first candidate.  Where
            `random_state` or the splitter's is None, the fit draws others.

        Returns
        -------
        DataFrame
            A row per program: ``how`` ("stacked" or "single"; "error": parameters or data are not
            valid, and ``why`` says how), ``why`` it is single, the positions of its
            ``candidates`` and ``splits``, ``n_fits`` that have a net in it, ``n_members``
            (networks; 0 where scikit-learn makes the fits) and ``memory_mb`` (weights, moments and the tensors of a step of a stack, counted
            from their shapes; without the tables).

        Raises
        ------
        ValueError
            If `cv` is an iterator.
        AttributeError
            If there is neither data nor a fit.
        """
        if X is None:
            if not hasattr(self, "plan_"):
                raise AttributeError("There is no plan yet: pass X and y, or call `fit` first.")
            plan: pd.DataFrame = self.plan_
            return plan
        if hasattr(self.cv, "__next__"):
            raise ValueError(
                "`cv` is an iterator, which a plan would use up before the fit. Make it a list."
            )
        data, split_params = self._routed(X, y, params)
        cv = copy.deepcopy(self.cv)  # a splitter may hold a generator, which the fit draws from
        splitter = check_cv(cv, data.y, classifier=is_classifier(self.estimator))
        splits = list(splitter.split(data.X, data.y, **split_params))
        jobs = _jobs(self._candidates(), splits)
        why = why_plain(self.estimator, data.fit_params)
        if why is not None:
            return plain_plan(jobs, why)
        return plan_jobs(self.estimator, data, jobs, self.max_memory)

    def _candidates(self) -> list[dict[str, Any]]:
        """Return the candidates of the first round."""
        theirs: Any = self
        return list(ParameterGrid(theirs.param_grid))

    def _routed(self, X: Any, y: Any, params: dict[str, Any]) -> tuple[Data, dict[str, Any]]:
        """Part what is for the estimator's `fit` from what is for the splitter."""
        X, y = indexable(X, y)
        theirs: Any = self
        with warnings.catch_warnings():  # which scikit-learn's own `fit` tells
            warnings.simplefilter("ignore")
            routed = theirs._get_routed_params_for_fit(_check_method_params(X, params=params))
        return Data(X, y, dict(routed.estimator.fit)), dict(routed.splitter.split)

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any = None) -> None:
        theirs: Any = super()
        has_context = "callback_ctx" in inspect.signature(theirs._run_search).parameters
        context = {"callback_ctx": callback_ctx} if has_context else {}
        run: Any = evaluate_candidates
        if hasattr(self, "_shelf"):
            run = _Evaluation(self, evaluate_candidates)
        theirs._run_search(run, **context)


class _Evaluation:
    """scikit-learn's evaluation of candidates, with their fits before it."""

    def __init__(self, search: Any, evaluate_candidates: Any) -> None:
        self.search = search
        self.evaluate_candidates = evaluate_candidates

    def __call__(
        self, candidate_params: Any, cv: Any = None, more_results: Any = None, **context: Any
    ) -> Any:
        search, shelf = self.search, self.search._shelf
        candidates = list(candidate_params)
        data = shelf.data
        splits = list((cv or search.cv).split(data.X, data.y, **shelf.split_params))
        jobs = _jobs(candidates, splits)
        with shelf.joblib_as_it_was():
            outcomes, plan = fit_jobs(
                shelf.estimator, data, jobs, n_jobs=shelf.n_jobs, max_memory=search.max_memory
            )
        plans = [search.plan_] if hasattr(search, "plan_") else []
        search.plan_ = pd.concat([*plans, plan], ignore_index=True)
        shelf.put([outcomes.pop((job.candidate, job.split)) for job in jobs])
        return self.evaluate_candidates(candidates, _Listed(splits), more_results, **context)


class _Listed:
    """Splits that have been drawn."""

    def __init__(self, splits: Sequence[Any]) -> None:
        self._splits = splits

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Any:
        return iter(self._splits)


def _jobs(candidates: Sequence[dict[str, Any]], splits: Sequence[Any]) -> list[Job]:
    return [
        Job(i, k, params, train)
        for i, params in enumerate(candidates)
        for k, (train, _) in enumerate(splits)
    ]
