"""Scales of numbers that a few wild values cannot spoil."""

from __future__ import annotations

import numpy as np

#: Rows that quantiles are taken of, evenly spaced, for more would cost seconds.
QUANTILE_ROWS = 100_000

#: What the scaled numbers stay within.
BOUND = 3.0

#: Scales that the middle 98% may be wide: of a normal distribution 3.4 interquartile ranges.
WIDTH = 4.0

#: Interquartile ranges that a scale is at most: codes such as -9999 for gaps are no tail.
WIDEST = 8.0


def robust_scales(numbers: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return a middle and a scale of each column.

    The scale is the interquartile range, or, where tails are heavy, a quarter of the range of the
    middle 98%: else what lies beyond would all be bent to the same.  It is no more than the range of
    the middle 90% and eight interquartile ranges, so that wild values take little from the others.

    Parameters
    ----------
    numbers : ndarray of shape (n_samples, n_columns)
        NaN where missing; no column without any number.
    weights : ndarray of shape (n_samples,) or None
        Weights of the rows; a weight of 2 is a row twice.

    Returns
    -------
    center : ndarray of shape (n_columns,)
        Medians.
    scale : ndarray of shape (n_columns,)
        Scales; where the interquartile range is 0, half the whole range; 1 for a constant.
    """
    step = -(-len(numbers) // QUANTILE_ROWS)
    numbers = numbers[::step]
    weights = np.ones(len(numbers)) if weights is None else weights[::step]
    first, fifth, low, center, high, last_fifth, last = np.nanquantile(
        numbers,
        [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99],
        axis=0,
        weights=_spread(weights, numbers),
        method="inverted_cdf",
    )
    counted = np.where(weights[:, None] > 0, numbers, np.nan)
    half = (np.nanmax(counted, axis=0) - np.nanmin(counted, axis=0)) / 2
    middle = high - low
    tails = np.minimum((last - first) / WIDTH, np.minimum(last_fifth - fifth, WIDEST * middle))
    scale = np.where(middle > 0, np.maximum(middle, tails), half)
    return center, np.where(scale > 0, scale, 1.0)


def _spread(weights: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return weights by cell: all alike would be those of columns whose labelled rows weigh 0."""
    by_cell = np.broadcast_to(weights[:, None], numbers.shape)
    has_weight = (by_cell * ~np.isnan(numbers)).any(axis=0)
    return np.where(has_weight, by_cell, 1.0)


def smooth_clip(numbers: np.ndarray) -> np.ndarray:
    """Bend numbers into ``(-3, 3)``: nearly the same around 0, and still in their order.

    Parameters
    ----------
    numbers : ndarray
        Scaled.

    Returns
    -------
    ndarray
        ``x / sqrt(1 + (x / 3)^2)``.

    References
    ----------
    D. Holzmueller, L. Grinsztajn, I. Steinwart: Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data, NeurIPS 2024, arXiv:2407.04491, section 3 (robust scaling
    and smooth clipping).
    """
    return numbers / np.hypot(1.0, numbers / BOUND)
