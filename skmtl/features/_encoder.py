"""X of any supported container -> one numeric array."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted

from skmtl._frames import words_among_numbers
from skmtl.features._datetime import datetime_features
from skmtl.features._reader import read_features
from skmtl.features._scaling import robust_scales, smooth_clip

#: Entries that are worked on at once.
_ENTRIES = 2**19


class FeatureWarning(UserWarning):
    """A column of X is probably not what it was taken for."""


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
    max_categories : int, default=50
        The largest number of one-hot columns for a column of strings or categories; the
        rarest categories share one.
    numbers : {"robust", "standard"}, default="robust"
        How numbers are scaled: by median and interquartile range, and bent into (-3, 3), so
        that no wild value takes a net where no training row was; or by mean and standard
        deviation.  A sparse matrix is divided by the standard deviation in any case.

    Attributes
    ----------
    n_features_out_ : int
        Number of columns of the encoded array.
    number_columns_ : tuple of int
        Encoded columns that hold numbers, as against flags and categories.
    category_columns_ : tuple of (int, int)
        First encoded column, and the column after the last, of each column of words.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if X had names.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmtl.features import FeatureEncoder
    >>> X = pd.DataFrame({"size": [1.0, None, 3.0], "town": ["a", "b", "a"]})
    >>> FeatureEncoder().fit(X).transform(X).shape
    (3, 4)
    """

    def __init__(self, max_categories: int = 50, numbers: str = "robust") -> None:
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

        Warns
        -----
        FeatureWarning
            If a column of words holds numbers for the most part.
        """
        if self.numbers not in {"robust", "standard"}:
            raise ValueError(
                "Parameter `numbers` must be 'robust' or 'standard'. Found "
                f"`numbers = {self.numbers!r}`."
            )
        X = read_features(self, X, reset=True, allow_nan=True)
        self._is_sparse = sparse.issparse(X)
        self.category_columns_: tuple[tuple[int, int], ...] = ()
        if self._is_sparse:
            self.scaler_ = StandardScaler(with_mean=False).fit(X, sample_weight=sample_weight)
            self.n_features_out_ = X.shape[1]
            other = np.unique(X.indices[X.data != 1])  # columns of 0 and 1 are flags
            self.number_columns_ = tuple(other.tolist())
            return self
        self._kinds = _kinds(X) if isinstance(X, pd.DataFrame) else None
        for position in np.flatnonzero(np.array(self._kinds or []) == "word"):
            _warn_of_words(X.iloc[:, position])
        numbers, words = _split(X, self._kinds)
        self._learn_numbers(numbers, sample_weight)
        self.n_features_out_ = numbers.shape[1] + len(self.missing_columns_)
        if words.shape[1]:
            self.categories_ = OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                max_categories=self.max_categories,
                sparse_output=False,
            ).fit(words)
            widths = _widths(self.categories_)
            ends = self.n_features_out_ + np.cumsum([0, *widths])
            self.category_columns_ = tuple(pairwise(ends.tolist()))
            self.n_features_out_ += sum(widths)
        return self

    def _learn_numbers(self, numbers: np.ndarray, sample_weight: np.ndarray | None) -> None:
        # A few columns at a time: what this takes along the way is several times their size.
        width = max(1, _ENTRIES // len(numbers))
        starts = range(0, max(numbers.shape[1], 1), width)
        parts = [
            self._learn_columns(numbers[:, start : start + width].astype(np.float64), sample_weight)
            for start in starts
        ]
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
            scaler = StandardScaler().fit(filled, sample_weight=sample_weight)
            means, center, scale = scaler.mean_, scaler.mean_, scaler.scale_
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
        """
        check_is_fitted(self)
        return self.encode(read_features(self, X, reset=False, allow_nan=True))

    def encode(self, X: Any, dtype: str = "float64") -> Any:
        """Encode rows that :func:`read_features` has read already.

        Parameters
        ----------
        X : pandas.DataFrame, ndarray or sparse matrix of shape (n_samples, n_features)
            Rows with the columns seen in `fit`.
        dtype : {"float32", "float64"}, default="float64"
            What the result is rounded to.

        Returns
        -------
        ndarray or sparse matrix of shape (n_samples, n_encoded)
            As from :meth:`transform`.  Beside it there is no copy of more than a part of X.
        """
        if self._is_sparse:
            return self.scaler_.transform(X)
        n_rows, step = X.shape[0], max(1, _ENTRIES // max(1, self.n_features_out_))
        if n_rows <= step:
            return self._encode(X).astype(dtype, copy=False)
        encoded = np.empty((n_rows, self.n_features_out_), dtype)
        rows = X.iloc if isinstance(X, pd.DataFrame) else X
        for start in range(0, n_rows, step):
            encoded[start : start + step] = self._encode(rows[start : start + step])
        return encoded

    def _encode(self, X: Any) -> np.ndarray:
        numbers, words = _split(X.toarray() if sparse.issparse(X) else X, self._kinds)
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
                parts = _DATE_PARTS.get(kind, ("",))
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


def _warn_of_words(column: pd.Series) -> None:
    """Tell of a column of words that looks as if it should be numbers."""
    words, n_numbers, n_cells = words_among_numbers(column) or ([], 0, 0)
    if words:
        warnings.warn(
            f"Column {column.name!r} of X is taken for categories, one for each number in it: of "
            f"{n_cells} cells {n_numbers} are numbers, but not {words[:3]}. Mark these as missing, "
            "as by pandas.to_numeric(..., errors='coerce'), or make the column a category type.",
            FeatureWarning,
            stacklevel=2,
        )


def _kinds(X: pd.DataFrame) -> list[str]:
    """Return what each column holds: "number", "date", "duration" or "word"."""
    return [_kind(X.iloc[:, position]) for position in range(X.shape[1])]


def _kind(column: pd.Series) -> str:
    dtype = column.dtype
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"  # booleans too
    if isinstance(dtype, pd.PeriodDtype) or pd.api.types.is_datetime64_any_dtype(dtype):
        return "date"
    if dtype.kind == "m":
        return "duration"
    # A column of objects without a single cell: words, since any cell may follow.
    held = pd.api.types.infer_dtype(column, skipna=True) if dtype == object else ""
    return _HELD.get(held, "word")


#: The kind of a column of objects by pandas' word for what its cells are.
_HELD = {
    **dict.fromkeys(("floating", "integer", "mixed-integer-float", "boolean"), "number"),
    "decimal": "number",
    **dict.fromkeys(("date", "datetime", "datetime64", "period"), "date"),
    **dict.fromkeys(("timedelta", "timedelta64"), "duration"),
}


#: What a date or a duration becomes.
_DATE_PARTS = {
    "date": ("days", *(f"{span}_{f}" for span in ("year", "week", "day") for f in ("sin", "cos"))),
    "duration": ("days",),
}


#: In place of the words of a table that has none.
_NO_WORDS = pd.DataFrame()


def _split(X: Any, kinds: list[str] | None) -> tuple[np.ndarray, pd.DataFrame]:
    """Split a table into numbers, shape (n_samples, n_numbers), and columns of words."""
    if kinds is None:
        return np.asarray(X), _NO_WORDS
    X = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X)  # an array beside a frame
    numbers, words = [np.empty((len(X), 0))], {}
    for position, kind in enumerate(kinds):
        column = X.iloc[:, position]
        if kind == "word":
            words[position] = _words(column)
        elif kind == "number":
            numbers.append(_numbers(column))
        else:
            numbers.extend(datetime_features(_times(column, kind)).values())
    return np.column_stack(numbers), pd.DataFrame(words, index=range(len(X)))


def _numbers(column: pd.Series) -> np.ndarray:
    try:
        if column.dtype.kind in "mM":
            raise TypeError(column.dtype)
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except OverflowError as error:
        raise ValueError(
            f"Column {column.name!r} of X holds whole numbers beyond 1e308. Scale it, or take logarithms."
        ) from error
    except (TypeError, ValueError) as error:
        raise ValueError(_complaint(column, "numbers")) from error


def _times(column: pd.Series, kind: str) -> pd.Series:
    """Return dates or durations as pandas' own type."""
    try:
        if isinstance(column.dtype, pd.PeriodDtype):
            return column.dt.to_timestamp()
        is_time = column.dtype.kind == ("M" if kind == "date" else "m")
        if is_time and not isinstance(column.dtype, pd.ArrowDtype):
            return column
        if not is_time and column.dtype != object and column.notna().any():
            raise TypeError(column.dtype)
        cells = column.astype(object)
        return pd.to_datetime(cells) if kind == "date" else pd.to_timedelta(cells)
    except (TypeError, ValueError) as error:
        raise ValueError(_complaint(column, f"{kind}s")) from error


def _complaint(column: pd.Series, held: str) -> str:
    return (
        f"Column {column.name!r} of X held {held} in fit. Found {column.dtype} values such as "
        f"{column.dropna().tolist()[0]!r}. Convert it to {held}."
    )


def _words(column: pd.Series) -> np.ndarray:
    """Return strings, with None where missing: one type, so that any mixture can be sorted."""
    try:
        codes, found = pd.factorize(column.astype(object))
    except TypeError as error:
        cells = column.dropna().tolist()
        odd = next((cell for cell in cells if not isinstance(cell, Hashable)), cells[0])
        raise TypeError(
            f"Column {column.name!r} of X must hold numbers, dates, strings or categories. Found "
            f"{odd!r:.80}."
        ) from error
    # 1.0 reads as 1: whole numbers turn into floats where a cell of the column is missing.
    texts = [
        str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
        for cell in found
    ]
    return np.array([*texts, None], dtype=object)[codes]
