"""Features -> numbers: what the estimators' ``preprocess`` means."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing

from skmtl.features import FeatureEncoder


def fit_preprocessing(
    preprocess: Any, X: Any, row_weights: np.ndarray, rows: np.ndarray | None = None
) -> Any:
    """Fit what turns features into numbers, on training rows.

    Parameters
    ----------
    preprocess : "auto", None or transformer
        The estimator's parameter.
    X : DataFrame, ndarray or sparse matrix of shape (n_read, ...)
        Rows.
    row_weights : ndarray of shape (n_samples,)
        Weights of the training rows, for means and scales.
    rows : ndarray of shape (n_samples,), int64, default=None
        Which are training rows; None: all.

    Returns
    -------
    transformer or None
        Fitted.

    Raises
    ------
    ValueError
        If `preprocess` is none of these.
    """
    if preprocess is None or (isinstance(preprocess, str) and getattr(X, "ndim", 2) > 2):
        return None
    is_auto = isinstance(preprocess, str) and preprocess == "auto"
    if is_auto or (type(preprocess) is FeatureEncoder and getattr(X, "ndim", 2) == 2):
        # Equal weights are no weights, to the last bit.
        weights = None if (row_weights == row_weights[0]).all() else row_weights
        encoder = FeatureEncoder() if is_auto else clone(preprocess)
        return encoder.learn(X, weights, rows)  # X has been read
    if hasattr(preprocess, "fit") and hasattr(preprocess, "transform"):
        fitted, own = clone(preprocess), _taken(X, rows)
        # A frozen one does nothing, but wants y.
        return fitted.fit(own, None) if isinstance(fitted, FrozenEstimator) else fitted.fit(own)
    raise ValueError(
        "Parameter `preprocess` must be 'auto', None or a transformer. Found "
        f"`preprocess = {preprocess!r}`."
    )


def encode_features(
    preprocess: Any, X: Any, dtype: str = "float64", rows: np.ndarray | None = None
) -> Any:
    """Turn features into numbers.

    Parameters
    ----------
    preprocess : transformer or None
        From :func:`fit_preprocessing`.
    X : DataFrame, ndarray or sparse matrix of shape (n_read, ...)
        Features.
    dtype : {"float32", "float64"}, default="float64"
        What :class:`skmtl.features.FeatureEncoder` rounds to, which saves memory; others give
        what they give.
    rows : ndarray of shape (n_samples,), int64, default=None
        Which rows; None: all.

    Returns
    -------
    ndarray or sparse matrix of shape (n_samples, ...)
        Numbers.

    Raises
    ------
    ValueError
        If a column of a frame is not numeric, and nothing makes it so.
    """
    if isinstance(preprocess, FeatureEncoder):
        encoded: Any = preprocess.encode(X, dtype, rows)  # X has been read
    else:
        X = _taken(X, rows)
        encoded = X if preprocess is None else preprocess.transform(X)
    if sparse.issparse(encoded):
        return encoded.tocsr()
    if hasattr(encoded, "columns"):
        words = [str(c) for c in encoded.columns if encoded[c].dtype.kind not in "biuf"]
        if words:
            raise ValueError(
                f"Columns {words} of X are not numeric, and `preprocess = None` does not encode "
                "them. Use preprocess='auto' or encode them first."
            )
        encoded = encoded.to_numpy(dtype=np.float64)
    encoded = np.asarray(encoded)
    if not encoded.flags.writeable:
        encoded = encoded.copy()  # torch warns of memory that it may not write to
    # Without a transformer they are what was read, which is finite.
    is_made = preprocess is not None and encoded.dtype.kind == "f"
    if is_made and not np.isfinite(encoded.sum()):
        _check_complete(encoded, getattr(X, "columns", None))
    return encoded


def _taken(X: Any, rows: np.ndarray | None) -> Any:
    """Copy the rows that are wanted, if not all are."""
    return X if rows is None else _safe_indexing(X, rows)


def _check_complete(encoded: np.ndarray, names: Any) -> None:
    """Raise if a transformer of the user's left missing or infinite numbers."""
    bad = ~np.isfinite(encoded)
    if not bad.any():
        return
    columns = np.flatnonzero(bad.reshape(-1, bad.shape[-1]).any(axis=0))[:5].tolist()
    if names is not None and len(names) == encoded.shape[1]:
        columns = [str(names[i]) for i in columns]
    raise ValueError(
        f"After `preprocess`, X has NaN or infinite numbers in columns {columns}. Impute them "
        "there, or use preprocess='auto'; scale numbers beyond 1e300 yourself."
    )
