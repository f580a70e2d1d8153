"""Scales of numbers that a few wild values cannot spoil."""

from __future__ import annotations

import numpy as np
from sklearn.preprocessing import StandardScaler

#: Rows that quantiles are taken of, for more would cost seconds.
QUANTILE_ROWS = 100_000

#: Numbers that a column needs among them to stand for all of its own.
LEAST_NUMBERS = 1_000

#: What the scaled numbers stay within.
BOUND = 3.0

#: Scales that the middle 98% may be wide: of a normal distribution 3.4 interquartile ranges.
WIDTH = 4.0

#: Interquartile ranges that a scale is at most: codes such as -9999 for gaps are no tail.
WIDEST = 8.0


def sampled_rows(n_rows: int, most: int) -> np.ndarray:
    """Draw rows that stand for all: always the same, and one by chance of each of as many stretches.

    Not every k-th, for rows may come in turns.

    Parameters
    ----------
    n_rows : int
        How many there are.
    most : int
        How many to draw at most.

    Returns
    -------
    ndarray of shape (n_sampled,), int64
        Positions of rows in their order, all of them if there are no more than `most`.
    """
    if n_rows <= most:
        return np.arange(n_rows)
    starts = np.arange(most + 1) * n_rows // most
    steps = np.random.default_rng(0).random(most) * np.diff(starts)
    return starts[:-1] + steps.astype(np.int64)


def robust_scales(numbers: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return a middle and a scale of each column, of no more than 100,000 of its numbers.

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
    if len(numbers) <= QUANTILE_ROWS:
        return _scales(numbers, np.ones(len(numbers)) if weights is None else weights)
    rows = sampled_rows(len(numbers), QUANTILE_ROWS)
    sample = numbers[rows]
    n_found = np.count_nonzero(~np.isnan(sample), axis=0)
    counts = np.ones(len(rows)) if weights is None else weights[rows]
    center, scale = _scales(np.where(n_found, sample, 0.0), counts)
    for column in np.flatnonzero(n_found < LEAST_NUMBERS):  # whose own numbers are other rows
        own = np.flatnonzero(~np.isnan(numbers[:, column]))
        found = robust_scales(numbers[own, column, None], None if weights is None else weights[own])
        center[column], scale[column] = (value.item() for value in found)
    return center, scale


def _scales(numbers: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    by_cell = _spread(weights, numbers)
    first, fifth, low, center, high, last_fifth, last = np.nanquantile(
        numbers,
        [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99],
        axis=0,
        weights=by_cell,
        method="inverted_cdf",
    )
    counted = np.where(by_cell > 0, numbers, np.nan)
    half = (np.nanmax(counted, axis=0) - np.nanmin(counted, axis=0)) / 2
    middle = high - low
    tails = np.minimum((last - first) / WIDTH, np.minimum(last_fifth - fifth, WIDEST * middle))
    scale = np.where(middle > 0, np.maximum(middle, tails), half)
    return center, np.where(scale > 0, scale, 1.0)


def standard_scales(
    numbers: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each column.

    Parameters
    ----------
    numbers : ndarray of shape (n_samples, n_columns)
        NaN where missing; no column without any number.
    weights : ndarray of shape (n_samples,) or None
        Weights of the rows; where all labelled rows of a column weigh 0, they count alike.

    Returns
    -------
    center : ndarray of shape (n_columns,)
        Means.
    scale : ndarray of shape (n_columns,)
        Standard deviations; 1 for a constant.
    """
    if weights is None:
        scaler = StandardScaler().fit(numbers)
        return scaler.mean_, scaler.scale_
    counts = ((weights > 0)[:, None] & ~np.isnan(numbers)).any(axis=0)
    center, scale = np.empty((2, numbers.shape[1]))
    for columns, of_rows in ((counts, weights), (~counts, None)):
        if columns.any():
            scaler = StandardScaler().fit(numbers[:, columns], sample_weight=of_rows)
            center[columns], scale[columns] = scaler.mean_, scaler.scale_
    return center, scale


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
