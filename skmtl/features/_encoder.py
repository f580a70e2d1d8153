"""X of any supported container -> one numeric array."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from skmtl.features._columns import (
    DATE_PARTS,
    Zones,
    column_kinds,
    column_zones,
    number_blocks,
    split_columns,
    word_columns,
)
from skmtl.features._reader import read_features
from skmtl.features._scaling import robust_scales, smooth_clip, standard_scales
from skmtl.features._warnings import warn_of_words

#: Entries that are worked on at once.
_ENTRIES = 2**19


class FeatureEncoder(TransformerMixin, BaseEstimator):
    """Encodes a table as one numeric array.

    Numbers, durations and dates (as elapsed days and the phase in the year, week and day)
    are scaled, booleans and other columns of 0 and 1 stay as they are, missing numbers become
    the median (or mean) and get an indicator column, strings and categories are one-hot encoded
    with a column for missing cells.  Categories that were not seen in `fit`, and missing cells
    in columns that had none, do not fail: the former become the infrequent category or all
    zeros, the latter the median (or mean).  A column without any number in `fit` is ignored.

    Parameters
    ----------
    max_categories : int, default=200
        The largest number of one-hot columns for a column of strings or categories; the
        rarest categories share one.  Each takes 4 bytes a row: of a million rows and many such
        columns fewer may have to do.
    numbers : {"robust", "standard"}, default="robust"
        How numbers are scaled: by median and interquartile range (of heavy tails by up to
        eight of these), and bent into (-3, 3), so that no wild value takes a net where no training
        row was; or by mean and standard
        deviation.  A sparse matrix is divided by the standard deviation in any case.

    Attributes
    ----------
    n_features_out_ : int
        Number of columns of the encoded array.
    number_columns_ : tuple of int
        Encoded columns that hold numbers, as against flags and categories.
    category_columns_ : tuple of (int, int)
        First encoded column, and the column after the last, of each column of words.
    mean_, scale_ : ndarray of shape (n_numbers,)
        Medians and robust scales, or means and standard deviations, of the columns of numbers that X
        comes to (a date has several); 0 and 1 for flags.
    fill_ : ndarray of shape (n_numbers,)
        What stands, scaled, for a missing number.
    missing_columns_ : ndarray of shape (n_indicators,)
        The columns of numbers with an indicator of missing cells.
    categories_ : OneHotEncoder
        For the columns of words, if there are any.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if X had names.

    References
    ----------
    D. Holzmueller, L. Grinsztajn, I. Steinwart: Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data, NeurIPS 2024, arXiv:2407.04491, section 3 (robust scaling
    and smooth clipping).  Departure: scales of heavy tails are wider.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmtl.features import FeatureEncoder
    >>> X = pd.DataFrame({"size": [1.0, None, 3.0], "town": ["a", "b", "a"]})
    >>> FeatureEncoder().fit(X).transform(X).shape
    (3, 4)
    """

    _zones: Zones | None = None  # files of version 1 have none

    def __init__(self, max_categories: int = 200, numbers: str = "robust") -> None:
        self.max_categories = max_categories
        self.numbers = numbers

    def fit(self, X: Any, y: Any = None, sample_weight: np.ndarray | None = None) -> FeatureEncoder:
        """Learn means, scales and categories.

        Parameters
        ----------
        X : pandas.DataFrame, ndarray or sparse matrix of shape (n_samples, n_features)
            Training rows.
        y : None
            Ignored.
        sample_weight : ndarray of shape (n_samples,), default=None
            Weights for means and scales.

        Returns
        -------
        FeatureEncoder
            self.

        Raises
        ------
        ValueError
            If `numbers` is unknown, or a cell is infinite or complex.
        TypeError
            If a cell is of a type that cannot be read.

        Warns
        -----
        FeatureWarning
            If a column of words holds numbers or dates for the most part, or a word of its own in
            nearly each row.
        """
        return self.learn(read_features(self, X, reset=True, allow_nan=True), sample_weight)

    def learn(
        self, X: Any, sample_weight: np.ndarray | None = None, rows: np.ndarray | None = None
    ) -> FeatureEncoder:
        """Learn from rows that :func:`read_features` has read already.

        Parameters
        ----------
        X : pandas.DataFrame, ndarray or sparse matrix of shape (n_read, n_features)
            All of them say what a column is: numbers, dates or words.
        sample_weight : ndarray of shape (n_samples,), default=None
            Weights for means and scales.
        rows : ndarray of shape (n_samples,), int64, default=None
            Which are training rows, that means, scales and categories are of; None: all.

        Returns
        -------
        FeatureEncoder
            self.

        Raises
        ------
        ValueError
            If `numbers` is unknown.

        Warns
        -----
        FeatureWarning
            If a column of words holds numbers or dates for the most part, or a word of its own in
            nearly each row.
        """
        if self.numbers not in {"robust", "standard"}:
            raise ValueError(
                "Parameter `numbers` must be 'robust' or 'standard'. Found "
                f"`numbers = {self.numbers!r}`."
            )
        validate_data(self, X, reset=True, skip_check_array=True)  # for the names of its columns
        self._is_sparse = sparse.issparse(X)
        self.category_columns_: tuple[tuple[int, int], ...] = ()
        if self._is_sparse:
            X = X if rows is None else X[rows]
            self.scaler_ = StandardScaler(with_mean=False).fit(X, sample_weight=sample_weight)
            self.n_features_out_ = X.shape[1]
            other = np.unique(X.indices[X.data != 1])  # columns of 0 and 1 are flags
            self.number_columns_ = tuple(other.tolist())
            return self
        self._kinds = column_kinds(X) if isinstance(X, pd.DataFrame) else None
        self._zones = None if self._kinds is None else column_zones(X, self._kinds)
        is_word = np.array(self._kinds or []) == "word"
        for position in np.flatnonzero(is_word):
            warn_of_words(X.iloc[:, position])
        n_rows = X.shape[0] if rows is None else len(rows)
        # A few columns at a time: what this takes along the way is several times their size.
        width = max(1, _ENTRIES // n_rows)
        blocks = number_blocks(X, self._kinds, self._zones, width, rows)
        self._learn_numbers(self._learn_columns(block, sample_weight) for block in blocks)
        self.n_features_out_ = len(self.mean_) + len(self.missing_columns_)
        if self._kinds is not None and is_word.any():
            self.categories_ = OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                max_categories=self.max_categories,
                sparse_output=False,
            ).fit(word_columns(X, self._kinds, rows))
            widths = _widths(self.categories_)
            ends = self.n_features_out_ + np.cumsum([0, *widths])
            self.category_columns_ = tuple(pairwise(ends.tolist()))
            self.n_features_out_ += sum(widths)
        return self

    def _learn_numbers(self, parts: Iterable[tuple[np.ndarray, ...]]) -> None:
        joined = [np.concatenate(values) for values in zip(*parts, strict=True)]
        self.mean_, self.scale_, self.fill_, has_missing, self._is_empty, is_flag = joined
        self.missing_columns_ = np.flatnonzero(has_missing)
        self.number_columns_ = tuple(np.flatnonzero(~is_flag & ~self._is_empty).tolist())

    def _learn_columns(
        self, numbers: np.ndarray, sample_weight: np.ndarray | None
    ) -> tuple[np.ndarray, ...]:
        missing = np.isnan(numbers)
        # A column without a number has no mean: what it holds later on is ignored too.
        is_empty = missing.all(axis=0)
        means = center = np.zeros(numbers.shape[1])
        scale = np.ones(numbers.shape[1])
        if numbers.shape[1]:
            filled = np.where(is_empty, 0.0, numbers)
            means, scale = standard_scales(filled, sample_weight)
            center = means
            if self.numbers == "robust":
                center, scale = robust_scales(filled, sample_weight)
        # Scaled, a rare flag would be a huge number in the few rows that have it.
        is_flag = (missing | (numbers == 0) | (numbers == 1)).all(axis=0)
        fill = np.where(is_flag, means, 0.0)
        center, scale = np.where(is_flag, 0.0, center), np.where(is_flag, 1.0, scale)
        return center, scale, fill, missing.any(axis=0), is_empty, is_flag

    def transform(self, X: Any) -> np.ndarray | sparse.csr_array:
        """Encode rows.

        Parameters
        ----------
        X : pandas.DataFrame, ndarray or sparse matrix of shape (n_samples, n_features)
            Rows with the columns seen in `fit`.

        Returns
        -------
        ndarray or sparse matrix of shape (n_samples, n_encoded), float64
            Without missing values; sparse if X is.

        Raises
        ------
        ValueError
            If columns differ from those of `fit`, by name, number, type or time zone.
        """
        check_is_fitted(self)
        return self.encode(read_features(self, X, reset=False, allow_nan=True))

    def encode(self, X: Any, dtype: str = "float64", rows: np.ndarray | None = None) -> Any:
        """Encode rows that :func:`read_features` has read already.

        Parameters
        ----------
        X : pandas.DataFrame, ndarray or sparse matrix of shape (n_read, n_features)
            Rows with the columns seen in `fit`.
        dtype : {"float32", "float64"}, default="float64"
            What the result is rounded to; a sparse matrix keeps its type.
        rows : ndarray of shape (n_samples,), int64, default=None
            Which rows; None: all.

        Returns
        -------
        ndarray or sparse matrix of shape (n_samples, n_encoded)
            As from :meth:`transform`.  Beside it there is no copy of more than a part of X.
        """
        table = X.iloc if isinstance(X, pd.DataFrame) else X
        if self._is_sparse:
            return self.scaler_.transform(X if rows is None else table[rows])
        n_rows = X.shape[0] if rows is None else len(rows)
        step = max(1, _ENTRIES // max(1, self.n_features_out_))
        if n_rows <= step:
            return self._encode(X if rows is None else table[rows]).astype(dtype, copy=False)
        encoded = np.empty((n_rows, self.n_features_out_), dtype)
        for start in range(0, n_rows, step):
            part = slice(start, start + step)
            encoded[part] = self._encode(table[part if rows is None else rows[part]])
        return encoded

    def _encode(self, X: Any) -> np.ndarray:
        numbers, words = split_columns(
            X.toarray() if sparse.issparse(X) else X, self._kinds, self._zones
        )
        missing = np.isnan(numbers) | self._is_empty
        scaled = (numbers - self.mean_) / self.scale_
        if self.numbers == "robust":
            if len(self.number_columns_) == scaled.shape[1]:
                scaled = smooth_clip(scaled)
            else:
                bent = list(self.number_columns_)
                scaled[:, bent] = smooth_clip(scaled[:, bent])
        if missing.any():
            scaled = np.where(missing, self.fill_, scaled)
        parts = [scaled]
        if len(self.missing_columns_):
            parts.append(missing[:, self.missing_columns_].astype(np.float64))
        if words.shape[1]:
            parts.append(self.categories_.transform(words))
        return np.concatenate(parts, axis=1) if len(parts) > 1 else scaled

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the encoded columns.

        Parameters
        ----------
        input_features : None
            Ignored; the names are those of X, or ``x0``, ``x1``, ... where X had none.

        Returns
        -------
        ndarray of str of shape (n_encoded,)
            The column's name, followed by ``_days``, ``_year_sin``, ... for dates,
            ``_missing`` for indicators, and by the category.
        """
        check_is_fitted(self)
        generic = [f"x{i}" for i in range(self.n_features_in_)]
        given = [str(name) for name in getattr(self, "feature_names_in_", generic)]
        kinds = self._kinds if not self._is_sparse and self._kinds else ["number"] * len(given)
        numbers, words = [], []
        for name, kind in zip(given, kinds, strict=True):
            if kind == "word":
                words.append(name)
            else:
                parts = DATE_PARTS.get(kind, ("",))
                numbers += [f"{name}_{part}" if part else name for part in parts]
        if not self._is_sparse:
            numbers += [f"{numbers[i]}_missing" for i in self.missing_columns_]
        if words:
            numbers += self.categories_.get_feature_names_out(words).tolist()
        return np.asarray(numbers, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether `fit` has been called."""
        return hasattr(self, "n_features_out_")

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn may expect."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _widths(encoder: OneHotEncoder) -> list[int]:
    """Return the number of columns that each word column becomes."""
    infrequent = encoder.infrequent_categories_
    pairs = zip(encoder.categories_, infrequent, strict=True)
    # The infrequent categories of a column share one.
    return [len(found) - (0 if rare is None else len(rare) - 1) for found, rare in pairs]
