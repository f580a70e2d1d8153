"""Searches over parameters that train their networks as the members of few."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - halving is behind it
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    ParameterSampler,
    RandomizedSearchCV,
)

from skmtl.model_selection._stacked_search import StackedSearchMixin


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
        As in scikit-learn.  A fit's time is its share of the programs that it was part of, by
        networks and epochs, and of what was done once for all fits.

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
        random_state = copy.deepcopy(self.random_state)  # which a fit is still to draw from
        return list(
            ParameterSampler(self.param_distributions, self.n_iter, random_state=random_state)
        )


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
