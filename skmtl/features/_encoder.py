"""X of any supported container -> one numeric array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.impute import MissingIndicator
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted

from skmtl.features._datetime import datetime_features


class FeatureEncoder(TransformerMixin, BaseEstimator):
    """Encodes a table as one numeric array.

    Numbers and dates are standardised, missing numbers become the mean and get an
    indicator column, booleans become 0/1, strings and categories are one-hot encoded.
    Categories that were not seen in `fit`, and missing cells in columns that had none, do
    not fail: the former become the infrequent category or all zeros, the latter the mean.

    Parameters
    ----------
    max_categories : int, default=50
        The largest number of one-hot columns for a column of strings or categories; the
        rarest categories share one.

    Attributes
    ----------
    n_features_out_ : int
        Number of columns of the encoded array.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmtl.features import FeatureEncoder
    >>> X = pd.DataFrame({"size": [1.0, None, 3.0], "town": ["a", "b", "a"]})
    >>> FeatureEncoder().fit(X).transform(X).shape
    (3, 4)
    """

    def __init__(self, max_categories: int = 50) -> None:
        self.max_categories = max_categories

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
        """
        self._is_sparse = sparse.issparse(X)
        if self._is_sparse:
            self.scaler_ = StandardScaler(with_mean=False).fit(X, sample_weight=sample_weight)
            self.n_features_out_ = X.shape[1]
            return self
        numbers, words = _split(X, fit_as=None)
        self._word_columns = list(words.columns)
        self._n_numbers = numbers.shape[1]
        if self._n_numbers:
            self.scaler_ = StandardScaler().fit(numbers, sample_weight=sample_weight)
            self.indicator_ = MissingIndicator(features="missing-only", error_on_new=False)
            self.indicator_.fit(numbers)
        if self._word_columns:
            self.categories_ = OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                max_categories=self.max_categories,
                sparse_output=False,
            ).fit(words)
        n_words = len(self.categories_.get_feature_names_out()) if self._word_columns else 0
        n_missing = len(self.indicator_.features_) if self._n_numbers else 0
        self.n_features_out_ = self._n_numbers + n_missing + n_words
        return self

    def transform(self, X: Any) -> np.ndarray | sparse.csr_array:
        """Encode rows.

        Parameters
        ----------
        X : pandas.DataFrame, ndarray or sparse matrix of shape (n_samples, n_features)
            Rows with the columns seen in `fit`.

        Returns
        -------
        ndarray or sparse matrix of shape (n_samples, n_features_out_), float64
            Without missing values; sparse if X is.
        """
        check_is_fitted(self)
        if self._is_sparse:
            return self.scaler_.transform(X)
        numbers, words = _split(X, fit_as=self._word_columns)
        parts = []
        if self._n_numbers:
            missing = self.indicator_.transform(numbers)
            scaled = self.scaler_.transform(numbers)
            parts += [np.nan_to_num(scaled, nan=0.0, copy=False), missing]
        if self._word_columns:
            parts.append(self.categories_.transform(words))
        return np.concatenate(parts, axis=1, dtype=np.float64)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether `fit` has been called."""
        return hasattr(self, "n_features_out_")


def _split(X: Any, fit_as: list[Any] | None) -> tuple[np.ndarray, pd.DataFrame]:
    """Split a table into numbers, shape (n_samples, n_numbers), and columns of words."""
    if not isinstance(X, pd.DataFrame):
        return np.asarray(X, dtype=np.float64), pd.DataFrame(index=range(len(X)))
    numbers, words = [], {}
    for position, label in enumerate(X.columns):
        column = X.iloc[:, position]
        is_word = not _is_number(column) if fit_as is None else position in fit_as
        if is_word:
            words[position] = _words(column)
        elif column.dtype.kind in "mM" or isinstance(column.dtype, pd.DatetimeTZDtype):
            numbers.extend(datetime_features(column).values())
        else:
            numbers.append(_numbers(column, label))
    stacked = np.column_stack(numbers) if numbers else np.empty((len(X), 0))
    return stacked, pd.DataFrame(words, index=range(len(X)) if not words else None)


def _is_number(column: pd.Series) -> bool:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return False
    if dtype == object:
        column = column.infer_objects()
        dtype = column.dtype
    is_date = dtype.kind in "mM" or isinstance(dtype, pd.DatetimeTZDtype)
    return bool(pd.api.types.is_numeric_dtype(dtype) or is_date or column.isna().all())


def _numbers(column: pd.Series, label: Any) -> np.ndarray:
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Column {label!r} of X held numbers in fit. Found {column.dtype} values such as "
            f"{column.dropna().iloc[0]!r}."
        ) from error


def _words(column: pd.Series) -> np.ndarray:
    """Return strings, with None where missing: one type, so that any mixture can be sorted."""
    texts = column.astype(object).astype(str).to_numpy(dtype=object, copy=True)
    texts[column.isna().to_numpy()] = None
    return texts
