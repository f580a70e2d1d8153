"""X in any container -> a pandas frame, a numeric array or a sparse matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils.validation import check_array, validate_data

from skmtl._frames import check_eager, frame_to_pandas, is_frame


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
        For empty, infinite, complex, or wrongly shaped X.
    """
    if type(X).__module__.split(".")[0] == "torch":
        X = X.detach().cpu().numpy()
    check_eager(X, "X")
    if is_frame(X):
        return _read_frame(estimator, frame_to_pandas(X), reset=reset, allow_nan=allow_nan)
    finite = "allow-nan" if allow_nan and not sparse.issparse(X) else True
    options = {
        "dtype": [np.float64, np.float32],
        "accept_sparse": "csr",
        "allow_nd": True,
        "ensure_all_finite": finite,
        "reset": reset,
    }
    if getattr(X, "dtype", None) != object and not isinstance(X, list | tuple):
        return validate_data(estimator, X, **options)
    try:
        return validate_data(estimator, X, **options)
    except ValueError as error:
        if "could not convert string" not in str(error):
            raise
    frame = pd.DataFrame(np.asarray(X, dtype=object)).infer_objects()
    return _read_frame(estimator, frame, reset=reset, allow_nan=allow_nan)


def _read_frame(estimator: Any, X: pd.DataFrame, *, reset: bool, allow_nan: bool) -> pd.DataFrame:
    if any(isinstance(dtype, pd.SparseDtype) for dtype in X.dtypes):
        X = X.sparse.to_dense()
    numeric = X.select_dtypes("number")
    # The checks that need numbers, on the numbers; names and counts, on the whole.
    if X.shape[0] == 0 or X.shape[1] == 0:
        check_array(X, dtype=None, estimator=estimator, input_name="X")
    for label, column in numeric.items():
        values = column.to_numpy(dtype=np.complex128 if column.dtype.kind == "c" else np.float64,
                                 na_value=np.nan)
        if np.iscomplexobj(values):
            raise ValueError(f"Complex data not supported: column {label!r} of X.")
        if np.isinf(values).any():
            raise ValueError(f"Column {label!r} of X contains infinity.")
    if not allow_nan and X.isna().to_numpy().any():
        labels = [str(label) for label in X.columns[X.isna().any()]]
        raise ValueError(
            f"Input X contains NaN, in columns {labels}, and `preprocess=None` does not fill "
            "them. Use preprocess='auto' or impute them first."
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return X


