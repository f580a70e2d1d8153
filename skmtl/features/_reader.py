"""X in any container -> a pandas frame, a numeric array or a sparse matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils.validation import validate_data

from skmtl._frames import check_eager, frame_to_pandas, is_frame
from skmtl.features._columns import check_finite, holds_numbers


def read_features(estimator: Any, X: Any, *, reset: bool, allow_nan: bool) -> Any:
    """Validate X as scikit-learn does, and bring it into one of three forms.

    Parameters
    ----------
    estimator : estimator
        Gets, or is checked against, ``n_features_in_`` and ``feature_names_in_``.
    X : frame, ndarray, sparse matrix, tensor or list of shape (n_samples, ...)
        The features.
    reset : bool
        Whether to set the estimator's attributes (`fit`) or to check them.
    allow_nan : bool
        Whether missing values may occur.

    Returns
    -------
    pandas.DataFrame, ndarray or csr_array
        A frame if X is one or holds words; otherwise numbers, float32 or float64.  Arrays
        with more than two axes stay as they are.

    Raises
    ------
    ValueError
        For empty, infinite, complex, or wrongly shaped X, doubled column names, and columns other
        than those of `fit`, by name or order.
    TypeError
        If X is a lazy frame.
    """
    if not reset and (_is_plain(X, estimator) or _is_plain_frame(X, estimator, allow_nan)):
        return X
    _check_container(X)
    if type(X).__module__.split(".")[0] == "torch":
        X = X.detach().cpu()
        # numpy has no bfloat16.
        X = (X.float() if X.is_floating_point() and X.itemsize < 4 else X).numpy()
    if isinstance(X, np.ma.MaskedArray):
        X = _unmasked(X)
    check_eager(X, "X")
    if is_frame(X):
        return _read_frame(estimator, frame_to_pandas(X), reset=reset, allow_nan=allow_nan)
    may_hold_words = (
        isinstance(X, list | tuple) or getattr(X, "dtype", np.dtype(float)).kind in "OSTU"
    )
    # Where `fit` met words, numbers are not tried: all words of a few rows may look like some.
    tries_numbers = reset or not may_hold_words or not getattr(estimator, "_reads_words", False)
    if tries_numbers:
        options = {
            "dtype": [np.float64, np.float32],
            "accept_sparse": "csr",
            "allow_nd": True,
            "ensure_all_finite": "allow-nan" if allow_nan and not sparse.issparse(X) else True,
            "reset": reset,
        }
        try:
            numbers = validate_data(estimator, X, **options)
        except (TypeError, ValueError) as error:
            if not may_hold_words or not any(words in str(error) for words in _NO_NUMBERS):
                raise
        else:
            if reset:
                estimator._reads_words = False
            return numbers
    frame = pd.DataFrame(np.asarray(X, dtype=object)).infer_objects()
    return _read_frame(estimator, frame, reset=reset, allow_nan=allow_nan)


#: How NumPy says that words, or dates, are no numbers.
_NO_NUMBERS = (
    "could not convert string",
    *(f"not '{name}'" for name in ("Timestamp", "Timedelta", "NaTType", "Period")),
    *(f"not 'datetime.{name}'" for name in ("datetime", "date", "timedelta")),
)


def _check_container(X: Any) -> None:
    """Raise an error for what is no table, where numpy's own would not say so."""
    if getattr(X, "is_meta", False):
        raise TypeError("X is a tensor on the device 'meta', which holds no numbers.")
    has_fields = getattr(getattr(X, "dtype", None), "fields", None) is not None
    holds_dicts = isinstance(X, list | tuple) and len(X) > 0 and isinstance(X[0], Mapping)
    if X is None or has_fields or holds_dicts or isinstance(X, str | bytes | Mapping | Iterator):
        what = "a structured array" if has_fields else type(X).__name__
        what += f" of {type(X[0]).__name__}" if holds_dicts else ""
        raise TypeError(
            "X must be a frame, or an array, list of rows, sparse matrix or tensor of shape "
            f"(n_samples, n_features). Found {what}. pandas.DataFrame makes a frame of dicts and records."
        )


def _is_plain(X: Any, estimator: Any) -> bool:
    """Tell whether X is what validation would give back, which takes longer than a prediction."""
    if type(X) is not np.ndarray or X.ndim != 2 or hasattr(estimator, "feature_names_in_"):
        return False
    if X.dtype not in (np.float64, np.float32) or X.shape[1] != estimator.n_features_in_:
        return False
    with np.errstate(all="ignore"):
        return len(X) > 0 and bool(np.isfinite(X.sum()))


#: Rows of a frame of numbers that are looked at as a whole: more of them would be a large copy.
_FEW_ROWS = 1_000


def _is_plain_frame(X: Any, estimator: Any, allow_nan: bool) -> bool:
    """Tell whether X is a frame that validation would give back as it is, for the same reason."""
    names = getattr(estimator, "feature_names_in_", None)
    if type(X) is not pd.DataFrame or names is None or not 0 < len(X) <= _FEW_ROWS:
        return False
    if X.columns.tolist() != names.tolist() or not holds_numbers(X):
        return False
    numbers = X.to_numpy(np.float64)
    return not np.isinf(numbers).any() and (allow_nan or not np.isnan(numbers).any())


def _read_frame(estimator: Any, X: pd.DataFrame, *, reset: bool, allow_nan: bool) -> pd.DataFrame:
    _check_size(X)
    X = _dense(_inferred(X) if (X.dtypes == object).any() else X)
    for label, column in X.select_dtypes("number").items():
        if column.dtype.kind == "c":
            raise ValueError(f"Complex data not supported: column {label!r} of X.")
        check_finite(column, column.to_numpy(dtype=np.float64, na_value=np.nan))
    if not allow_nan and X.isna().to_numpy().any():
        labels = [str(label) for label in X.columns[X.isna().any()]]
        raise ValueError(
            f"Input X contains NaN, in columns {labels}, and `preprocess=None` does not fill "
            "them. Use preprocess='auto' or impute them first."
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    _check_labels(estimator, X, reset=reset)
    if reset:
        is_number = [pd.api.types.is_numeric_dtype(dtype) for dtype in X.dtypes]
        estimator._reads_words = not all(is_number)
    return X


def _check_labels(estimator: Any, X: pd.DataFrame, *, reset: bool) -> None:
    """Hold columns against those of `fit` where scikit-learn does not: names that are no words."""
    if reset:
        are_words = all(isinstance(label, str) for label in X.columns)
        estimator._column_labels = None if are_words else [str(label) for label in X.columns]
        return
    known = getattr(estimator, "_column_labels", None)
    if known is None:
        return
    found = [str(label) for label in X.columns]
    if found != known:
        differ = [(own, other) for own, other in zip(known, found, strict=True) if own != other]
        raise ValueError(
            "The columns of X must be those of `fit`, in their order. Found other names at "
            f"{len(differ)} places, first {differ[0][1]} where `fit` had {differ[0][0]}."
        )


def _inferred(X: pd.DataFrame) -> pd.DataFrame:
    try:
        return X.infer_objects()
    except OverflowError:  # pandas 2, of an integer beyond 1e308: who reads the column names it
        return X


def _check_size(X: pd.DataFrame) -> None:
    if X.shape[1] == 0:
        raise ValueError(f"X must have at least one column. Found shape {X.shape}.")
    if X.shape[0] == 0:
        raise ValueError(f"X must have at least one row. Found shape {X.shape}.")
    if not X.columns.is_unique:
        doubled = sorted({str(label) for label in X.columns[X.columns.duplicated()]})
        raise ValueError(f"The columns of X must have different names. Found twice: {doubled}.")


def _dense(X: pd.DataFrame) -> pd.DataFrame:
    types = {c: t.subtype for c, t in X.dtypes.items() if isinstance(t, pd.SparseDtype)}
    return X.astype(types) if types else X


def _unmasked(X: np.ma.MaskedArray) -> np.ndarray:
    """Return the data with missing values where masked."""
    mask = np.ma.getmaskarray(X)
    if not mask.any():
        return X.data
    if X.dtype.kind in "biuf":
        return np.where(mask, np.nan, X.data)
    values = X.data.astype(object)
    values[mask] = None
    return values
