"""Searches over parameters that train their networks as the members of few."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from joblib import parallel_config
from sklearn.base import is_classifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - halving is behind it
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    ParameterGrid,
    ParameterSampler,
    RandomizedSearchCV,
    check_cv,
)
from sklearn.utils import indexable
from sklearn.utils.validation import _check_method_params

from skmtl.model_selection._batch import Data, Job, fit_jobs, net_of, plan_jobs, takes
from skmtl.model_selection._shelf import Shelf


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
        inner: Any = copy.copy(self)
        vars(inner).pop("plan_", None)
        fit = super(StackedSearchMixin, inner).fit  # type: ignore[misc]
        data, split_params = inner._routed(X, y, params)
        if net_of(self.estimator) is None or not takes(self.estimator, data.fit_params):
            fit(X, y, **params)
        else:
            inner._shelf = shelf = Shelf(self.estimator, data, split_params, self.n_jobs)
            inner.estimator = shelf.taking()
            inner.n_jobs = 1  # processes are for the training
            with parallel_config(backend="sequential"):  # fits are handed out in order
                fit(X, y, **params)
            shelf.tell_times(inner.cv_results_)
            shelf.close()  # scorers may hold what takes from it
            del inner._shelf
        vars(inner).update(estimator=self.estimator, n_jobs=self.n_jobs)
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
            all rows.

        Returns
        -------
        DataFrame
            A row per program: ``how`` ("stacked" or "single"), ``why`` it is single, the
            positions of its ``candidates`` and ``splits``, ``n_fits``, ``n_members`` (networks)
            and ``memory_mb`` (weights, moments and the tensors of a step of a stack, counted
            from their shapes; without the tables).

        Raises
        ------
        AttributeError
            If there is neither data nor a fit.
        """
        if X is None:
            if not hasattr(self, "plan_"):
                raise AttributeError(
                    "There is no plan yet: pass X and y, or call `fit` first, with an estimator of "
                    "skmtl, or a Pipeline that ends in one."
                )
            plan: pd.DataFrame = self.plan_
            return plan
        data, split_params = self._routed(X, y, params)
        splitter = check_cv(self.cv, data.y, classifier=is_classifier(self.estimator))
        splits = list(splitter.split(data.X, data.y, **split_params))
        jobs = _jobs(self._candidates(), splits)
        return plan_jobs(self.estimator, data, jobs, self.max_memory)

    def _candidates(self) -> list[dict[str, Any]]:
        """Return the candidates of the first round."""
        raise NotImplementedError

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
        data, splitter = shelf.data, cv or getattr(search, "_checked_cv_orig", None)
        if splitter is None:  # scikit-learn < 1.9
            splitter = check_cv(search.cv, data.y, classifier=is_classifier(search.estimator))
        splits = list(splitter.split(data.X, data.y, **shelf.split_params))
        jobs = _jobs(candidates, splits)
        with shelf.joblib_as_it_was():
            outcomes, plan = fit_jobs(
                shelf.estimator, data, jobs, n_jobs=shelf.n_jobs, max_memory=search.max_memory
            )
        plans = [search.plan_] if hasattr(search, "plan_") else []
        search.plan_ = pd.concat([*plans, plan], ignore_index=True)
        shelf.put([outcomes[job.candidate, job.split] for job in jobs])
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


class MultiTaskGridSearchCV(StackedSearchMixin, GridSearchCV):
    """Grid search whose networks are trained as the members of few.

    A drop-in for scikit-learn's ``GridSearchCV``, with the same results: candidates that differ in
    numbers alone (`loss_weights`, `lr`, `weight_decay`, `dropout`, the strength of a `penalty`,
    `random_state`, epochs and patience) and the splits are members of one stack, each with its own
    order of rows, early stopping and history; candidates that differ in shape (`sharing`, widths)
    are stacks of their own; what cannot be stacked is fitted by itself.  Steps of a Pipeline before
    the network, and the network's own preprocessing, are fitted once for all candidates that do
    not change them.

    Parameters
    ----------
    estimator : estimator
        A net of skmtl, or a Pipeline that ends in one; any other estimator is searched over as
        scikit-learn does.
    param_grid : dict or list of dict
        Values by parameter.
    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn; :func:`skmtl.metrics.task_scorer` makes scorers of tasks.
    n_jobs : int, default=None
        Processes, among which the candidates are shared out.
    refit : bool, str or callable, default=True
        Whether, or by which score, to fit the best candidate on all rows.
    cv : int, splitter or iterable, default=None
        Splits; None: 5 folds.
    verbose : int, default=0
        As in scikit-learn.
    pre_dispatch : int or str, default="2*n_jobs"
        Read by scikit-learn alone, for estimators that are not of skmtl.
    error_score : "raise" or float, default=nan
        Score of a candidate whose fit fails.
    return_train_score : bool, default=False
        Whether to score the training rows, too.
    max_memory : float, default=None
        Bytes that tables and stacks may take in each process; None: stacks are as large as
        pays in time.

    Attributes
    ----------
    plan_ : DataFrame
        What was trained together, see :meth:`explain_plan`.
    cv_results_, best_estimator_, best_score_, best_params_, best_index_ : object
        As in scikit-learn.  A fit's time is its share of the program that it was part of.

    Notes
    -----
    Scores equal those of scikit-learn's search up to the rounding of sums: about 1e-12 in
    float64; in float32 a long fit may amplify it to the last digits shown.

    Examples
    --------
    >>> from skmtl import MultiTaskNetClassifierRegressor
    >>> from skmtl.datasets import load_automobile
    >>> from skmtl.model_selection import MultiTaskGridSearchCV
    >>> X, Y = load_automobile(return_X_y=True)
    >>> net = MultiTaskNetClassifierRegressor(n_members=1, max_epochs=5, random_state=0)
    >>> grid = {"sharing": ["hard", "independent"], "lr": [1e-3, 1e-2]}
    >>> search = MultiTaskGridSearchCV(net, grid, cv=3).fit(X, Y)
    >>> search.explain_plan()[["how", "n_fits"]].drop_duplicates()
           how  n_fits
    0  stacked       2
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        max_memory: float | None = None,
    ) -> None:
        super().__init__(
            estimator, param_grid, scoring=scoring, n_jobs=n_jobs, refit=refit, cv=cv,
            verbose=verbose, pre_dispatch=pre_dispatch, error_score=error_score,
            return_train_score=return_train_score,
        )  # fmt: skip
        self.max_memory = max_memory

    def _candidates(self) -> list[dict[str, Any]]:
        return list(ParameterGrid(self.param_grid))


class MultiTaskRandomizedSearchCV(StackedSearchMixin, RandomizedSearchCV):
    """Randomised search whose networks are trained as the members of few.

    A drop-in for scikit-learn's ``RandomizedSearchCV``, as :class:`MultiTaskGridSearchCV` is for
    ``GridSearchCV``.

    Parameters
    ----------
    estimator : estimator
        A net of skmtl, or a Pipeline that ends in one; any other estimator is searched over as
        scikit-learn does.
    param_distributions : dict or list of dict
        Lists or distributions by parameter.
    n_iter : int, default=10
        Number of candidates.
    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn.
    n_jobs : int, default=None
        Processes, among which the candidates are shared out.
    refit : bool, str or callable, default=True
        Whether, or by which score, to fit the best candidate on all rows.
    cv : int, splitter or iterable, default=None
        Splits; None: 5 folds.
    verbose : int, default=0
        As in scikit-learn.
    pre_dispatch : int or str, default="2*n_jobs"
        Read by scikit-learn alone, for estimators that are not of skmtl.
    random_state : int, RandomState or None, default=None
        Draws the candidates.
    error_score : "raise" or float, default=nan
        Score of a candidate whose fit fails.
    return_train_score : bool, default=False
        Whether to score the training rows, too.
    max_memory : float, default=None
        Bytes that tables and stacks may take in each process.

    Attributes
    ----------
    plan_ : DataFrame
        What was trained together, see :meth:`explain_plan`.
    cv_results_, best_estimator_, best_score_, best_params_, best_index_ : object
        As in scikit-learn.

    Examples
    --------
    >>> from skmtl import MultiTaskNetClassifierRegressor
    >>> from skmtl.model_selection import MultiTaskRandomizedSearchCV
    >>> net = MultiTaskNetClassifierRegressor(random_state=0)
    >>> MultiTaskRandomizedSearchCV(net, {"lr": [1e-3, 1e-2]}, n_iter=2).n_iter
    2
    """

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        max_memory: float | None = None,
    ) -> None:
        super().__init__(
            estimator, param_distributions, n_iter=n_iter, scoring=scoring, n_jobs=n_jobs,
            refit=refit, cv=cv, verbose=verbose, pre_dispatch=pre_dispatch,
            random_state=random_state, error_score=error_score,
            return_train_score=return_train_score,
        )  # fmt: skip
        self.max_memory = max_memory

    def _candidates(self) -> list[dict[str, Any]]:
        drawn = ParameterSampler(
            self.param_distributions, self.n_iter, random_state=self.random_state
        )
        return list(drawn)


class MultiTaskHalvingSearchCV(StackedSearchMixin, HalvingGridSearchCV):
    """Successive halving over a grid, whose networks are trained as the members of few.

    A drop-in for scikit-learn's ``HalvingGridSearchCV``, as :class:`MultiTaskGridSearchCV` is for
    ``GridSearchCV``; each round is planned anew.  With ``resource="max_epochs"`` the rounds differ
    in epochs, which needs ``early_stopping`` to be set by the caller.

    Parameters
    ----------
    estimator : estimator
        A net of skmtl, or a Pipeline that ends in one; any other estimator is searched over as
        scikit-learn does.
    param_grid : dict or list of dict
        Values by parameter.
    factor : int or float, default=3
        One in so many candidates goes on to the next round.
    resource : str, default="n_samples"
        What grows from round to round: rows, or a parameter of the estimator such as
        ``"max_epochs"``.
    max_resources : int or "auto", default="auto"
        Of the last round, at most.
    min_resources : int, "exhaust" or "smallest", default="exhaust"
        Of the first round.
    aggressive_elimination : bool, default=False
        As in scikit-learn.
    cv : int, splitter or iterable, default=5
        Splits.
    scoring : str, callable or None, default=None
        As in scikit-learn.
    refit : bool or callable, default=True
        Whether to fit the best candidate on all rows.
    error_score : "raise" or float, default=nan
        Score of a candidate whose fit fails.
    return_train_score : bool, default=True
        Whether to score the training rows, too.
    random_state : int, RandomState or None, default=None
        Draws the rows of a round.
    n_jobs : int, default=None
        Processes, among which the candidates are shared out.
    verbose : int, default=0
        As in scikit-learn.
    max_memory : float, default=None
        Bytes that tables and stacks may take in each process.

    Attributes
    ----------
    plan_ : DataFrame
        What was trained together, see :meth:`explain_plan`.
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, n_resources_ : object
        As in scikit-learn.

    Examples
    --------
    >>> from skmtl import MultiTaskNetClassifierRegressor
    >>> from skmtl.model_selection import MultiTaskHalvingSearchCV
    >>> net = MultiTaskNetClassifierRegressor(random_state=0)
    >>> MultiTaskHalvingSearchCV(net, {"lr": [1e-3, 1e-2, 1e-1]}).factor
    3
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        factor: float = 3,
        resource: str = "n_samples",
        max_resources: Any = "auto",
        min_resources: Any = "exhaust",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: Any = True,
        error_score: Any = np.nan,
        return_train_score: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        max_memory: float | None = None,
    ) -> None:
        super().__init__(
            estimator, param_grid, factor=factor, resource=resource,
            max_resources=max_resources, min_resources=min_resources,
            aggressive_elimination=aggressive_elimination, cv=cv, scoring=scoring, refit=refit,
            error_score=error_score, return_train_score=return_train_score,
            random_state=random_state, n_jobs=n_jobs, verbose=verbose,
        )  # fmt: skip
        self.max_memory = max_memory

    def _candidates(self) -> list[dict[str, Any]]:
        return list(ParameterGrid(self.param_grid))
