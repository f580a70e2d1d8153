"""Intervals and sets that hold the truth with a given frequency, by rows that were held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmtl._numbers import is_number
from skmtl.estimators._predicting import PredictionMixin, has_class_task, has_number_task
from skmtl.tasks import TaskOutput, column_spans


@dataclass(frozen=True)
class Conformity:
    """How far held-out labels were from what was predicted.

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n_rows, n_columns)
        By task; NaN where there is no label.  Numbers: the distance from the prediction, in the
        units of y; classes: 1 - the probability of the true one; quantiles: the distance
        outside of the outer levels, negative within.
    """

    scores: dict[str, np.ndarray]

    @classmethod
    def of(cls, outputs: list[TaskOutput], values: np.ndarray, mask: np.ndarray) -> Conformity:
        """Score predictions of held-out rows.

        Parameters
        ----------
        outputs : list of TaskOutput
            Predictions.
        values : ndarray of shape (n_rows, n_columns)
            Numbers in the units of y and class codes.
        mask : ndarray of shape (n_rows, n_columns), bool
            Which cells have a label.

        Returns
        -------
        Conformity
            The scores.
        """
        scores = {}
        for output, span in zip(outputs, column_spans(o.task for o in outputs), strict=True):
            found = _distance(output, values[:, span])
            scores[output.task.name] = np.where(mask[:, span], found, np.nan)
        return cls(scores)

    def reaches(self, coverage: float, *, joint: bool) -> dict[str, np.ndarray]:
        """Return the scores that the truth stays below with a given frequency.

        Parameters
        ----------
        coverage : float
            The frequency, for each column of y by itself.
        joint : bool
            Whether all columns of all tasks together shall reach it.

        Returns
        -------
        dict of str to ndarray of shape (n_columns,)
            By task; infinite where there are too few labels for the frequency.
        """
        share = self._joint_share(coverage) if joint else coverage
        return {
            task: np.array([_quantile(column[~np.isnan(column)], share) for column in scores.T])
            for task, scores in self.scores.items()
        }

    def _joint_share(self, coverage: float) -> float:
        """Return the frequency per column at which all columns together reach `coverage`."""
        cells = np.column_stack(list(self.scores.values()))
        is_missing = np.isnan(cells)
        # A column without any label, whose scores are infinite, is no reason to widen the others.
        complete = cells[:, ~is_missing.all(axis=0)]
        complete = complete[~np.isnan(complete).any(axis=1)]
        n_rows, n_columns = complete.shape
        if n_columns <= 1:
            return coverage
        if (n_rows + 1) * (1 - coverage) < _LEAST_BEYOND:
            # Too few rows with all labels to see them together: Bonferroni.
            return 1 - (1 - coverage) / n_columns
        order = np.sort(complete, axis=0)
        ranks = [np.searchsorted(order[:, c], complete[:, c], "right") for c in range(n_columns)]
        worst = np.max(ranks, axis=0)  # of each row
        return min(_quantile(worst, coverage) / (n_rows + 1), 1.0)


#: Complete rows that must lie beyond the joint quantile.
_LEAST_BEYOND = 5


class ConformalMixin(PredictionMixin):
    """Predictions with a promised coverage."""

    _conformity: Conformity | None

    @available_if(has_number_task)
    def predict_interval(self, X: Any, coverage: float = 0.9, *, joint: bool = False) -> Any:
        """Predict intervals that hold the truth with a given frequency.

        By conformal prediction: the interval of a number is the prediction plus and minus the
        distance that the given share of the held-out labels kept, the same in all rows; that of
        a quantile task runs between its outer levels, moved outwards or inwards by such a distance,
        but never past their middle.  Held out are each member's own fold, the rows parted off for early stopping, or
        X_val and y_val.

        Parameters
        ----------
        X : as in `fit`
            Features.
        coverage : float, default=0.9
            The frequency, in (0, 1), for each column of y by itself.
        joint : bool, default=False
            Whether the intervals and sets of all tasks of a row shall all hold the truth with
            that frequency.

        Returns
        -------
        dict of str to ndarray of shape (n_samples, 2) or (n_samples, n_columns, 2)
            Lower and upper ends by task that predicts numbers, in the units of y.  For a single
            1-D target the array alone.  Infinite if too few labels were held out: fewer than
            ``coverage / (1 - coverage)``.

        Raises
        ------
        ValueError
            If no rows were held out in `fit`, or `coverage` is out of range.

        Notes
        -----
        New rows have to be like the training rows: coverage holds on average over them, not for
        each kind of row.  With folds, the scores are of single members and the prediction is
        the mean of all, which is a little better, so that intervals tend to be a little wide;
        early stopping has seen the rows, which acts the other way.  Rows count alike, whatever
        their sample weight.

        Jointly, each held-out row that has all labels gets the worst rank ``r_i = max_c rank(s_ic)`` of
        its scores, each among the n of its column, and every column is to reach the share
        ``q / (n + 1)``, with q the quantile of the ``r_i`` for the coverage: the empirical copula, at
        the same level for all columns.  Where such rows are few, it is
        ``1 - (1 - coverage) / n_columns``, by Bonferroni's inequality.

        References
        ----------
        R. F. Barber, E. J. Candes, A. Ramdas, R. J. Tibshirani: Predictive Inference with the
        Jackknife+, Annals of Statistics 49, 2021 (cross-validation).  Y. Romano, E. Patterson,
        E. J. Candes: Conformalized Quantile Regression, NeurIPS 2019.  S. Messoudi, S. Destercke,
        S. Rousseau: Copula-based Conformal Prediction for Multi-Target Regression, Pattern
        Recognition 120, 2021, arXiv:2101.12002 (the empirical copula).
        """
        reaches = self._reaches(coverage, joint)
        found = {}
        for output in self.predict_outputs(X):
            if output.task.has_classes:
                continue
            lower, upper = _outer(output)
            reach, middle = reaches[output.task.name], (lower + upper) / 2
            # Levels further apart than they need be come nearer, and meet in the middle at most.
            low, high = np.minimum(lower - reach, middle), np.maximum(upper + reach, middle)
            ends = np.stack([low, high], axis=2)
            if output.task.kind == "count":
                ends = ends.clip(0.0)
            found[output.task.name] = ends[:, 0] if output.task.n_columns == 1 else ends
        return self._by_task(found)

    @available_if(has_class_task)
    def predict_set(self, X: Any, coverage: float = 0.9, *, joint: bool = False) -> Any:
        """Predict sets of classes that hold the true one with a given frequency.

        A class is in the set if ``1 - its probability`` is no larger than that of the true
        class was in the given share of the held-out rows; the likeliest one always is.

        Parameters
        ----------
        X : as in `fit`
            Features.
        coverage : float, default=0.9
            The frequency, in (0, 1), for each column of y by itself.
        joint : bool, default=False
            Whether the intervals and sets of all tasks of a row shall all hold the truth with
            that frequency.

        Returns
        -------
        dict of str to ndarray of shape (n_samples, n_classes), bool
            By class task; columns in the order of ``classes_``.  For a single 1-D target the
            array alone.  A multilabel task has shape (n_samples, n_columns, n_classes).

        Raises
        ------
        ValueError
            If no rows were held out in `fit`, or `coverage` is out of range.

        Notes
        -----
        As for :meth:`predict_interval`.

        References
        ----------
        M. Sadinle, J. Lei, L. Wasserman: Least Ambiguous Set-Valued Classifiers with Bounded
        Error Levels, JASA 114, 2019.
        """
        reaches = self._reaches(coverage, joint)
        found = {}
        for output in self.predict_outputs(X):
            if not output.task.has_classes:
                continue
            p = output.probabilities  # (sample, column, class)
            far = 1 - p > reaches[output.task.name][:, None]
            chosen = ~far | (p == p.max(axis=2, keepdims=True, initial=0.0))
            found[output.task.name] = chosen if output.task.kind == "multilabel" else chosen[:, 0]
        return self._by_task(found)

    def _reaches(self, coverage: Any, joint: bool) -> dict[str, np.ndarray]:
        check_is_fitted(self, "net_")
        if not is_number(coverage) or not 0 < float(coverage) < 1:
            raise ValueError(
                "Parameter `coverage` must be a number between 0 and 1. Found "
                f"`coverage = {coverage!r}`."
            )
        if self._conformity is None:
            raise ValueError(
                "Intervals and sets are judged by rows that `fit` held out, and none were: there was "
                "no early stopping, or there were too few rows or groups for it, or `partial_fit` went on, "
                "which holds out nothing. Fit with `early_stopping=True`, or with X_val and y_val."
            )
        return self._conformity.reaches(float(coverage), joint=joint)


def _distance(output: TaskOutput, truth: np.ndarray) -> np.ndarray:
    """Return how far labels are from a prediction, shape (n_rows, n_columns)."""
    if output.task.has_classes:
        p = output.probabilities  # (row, column, class)
        if p.shape[2] == 0:  # a task without any label
            return np.full(truth.shape, np.nan)
        codes = np.nan_to_num(truth).astype(np.intp).clip(0, max(p.shape[2] - 1, 0))
        distance: np.ndarray = 1 - np.take_along_axis(p, codes[:, :, None], axis=2)[:, :, 0]
        return distance
    lower, upper = _outer(output)
    return np.maximum(lower - truth, truth - upper)


def _outer(output: TaskOutput) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends from which distances count, each of shape (n_rows, n_columns)."""
    if output.task.kind == "quantile":
        return output.values[:, :1], output.values[:, -1:]
    return output.values, output.values


def _quantile(scores: np.ndarray, share: float) -> float:
    """Return the score with the given share of n + 1 below or at it; infinite beyond the last."""
    position = int(np.ceil(share * (len(scores) + 1) - 1e-9))
    return float(np.sort(scores)[position - 1]) if position <= len(scores) else np.inf
