"""Is one model better than another on the same folds?  Tests that know folds overlap."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr, stdtrit


def corrected_t_test(
    gains: np.ndarray, ratio: float, confidence: float
) -> tuple[float, float, float]:
    r"""Test whether a mean gain over folds is zero: the corrected resampled t-test.

    With k gains of variance :math:`s^2` (divisor k - 1), it compares the mean with
    :math:`s \sqrt{1/k + n_{test}/n_{train}}` by Student's t with k - 1 degrees of freedom.
    The second term is there because training sets overlap, so that gains are not
    independent; without it far too many differences are found.

    Parameters
    ----------
    gains : ndarray of shape (n_folds,)
        Difference of two models' scores, fold by fold, without NaN.
    ratio : float
        ``n_test / n_train``.
    confidence : float
        Of the interval, in (0, 1).

    Returns
    -------
    lower, upper : float
        Confidence interval of the mean gain.
    p_value : float
        Two-sided.  All three are NaN for fewer than two folds.

    References
    ----------
    C. Nadeau, Y. Bengio: Inference for the Generalization Error, Machine Learning 52, 2003,
    section 5.
    """
    k = len(gains)
    if k < 2:
        return np.nan, np.nan, np.nan
    mean = float(gains.mean())
    error = float(gains.std(ddof=1)) * np.sqrt(1 / k + ratio)
    if error == 0:  # the same gain in every fold
        return mean, mean, float(mean == 0)
    half = error * stdtrit(k - 1, (1 + confidence) / 2)
    return mean - half, mean + half, float(2 * stdtr(k - 1, -abs(mean) / error))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p-values for their number, by Holm's step-down method.

    Parameters
    ----------
    p_values : ndarray of shape (n_tests,)
        NaN for tests that could not be made; they do not count.

    Returns
    -------
    ndarray of shape (n_tests,)
        Such that all below alpha may be called significant, with a chance of at most alpha
        that any of them is by accident.

    References
    ----------
    S. Holm: A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of
    Statistics 6, 1979.
    """
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1.0)
    return corrected
