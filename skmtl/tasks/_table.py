"""y in any container -> a pandas frame, and predictions back into that container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skmtl._frames import (
    backend_of,
    frame_to_pandas,
    is_frame,
    is_series,
    pandas_to_backend,
    schema_of,
    series_to_pandas,
)


@dataclass(frozen=True)
class Container:
    """How y came in, so that predictions can go out alike.

    Parameters
    ----------
    form : {"frame", "series", "records", "array", "tensor"}
        The kind of container.
    n_dims : int
        1 for a single column, else 2.
    schema : dict, default=None
        Column types of a frame that is not a pandas one.
    backend : object, default=None
        The frame library; None stands for pandas.
    """

    form: str
    n_dims: int = 2
    schema: Any = None
    backend: Any = None

    def restore(self, frame: pd.DataFrame, is_number: list[bool]) -> Any:
        """Put predictions into the container that y came in.

        Parameters
        ----------
        frame : pandas.DataFrame of shape (n_samples, n_columns)
            Predicted labels and numbers, with y's names and types.
        is_number : list of bool
            Which columns are regression targets.

        Returns
        -------
        frame, series, tensor or ndarray
            1-D for a single 1-D target.
        """
        if self.backend is not None:
            return self._restore_backend(frame, is_number)
        if self.form == "frame":
            return frame
        if self.form == "series":
            return frame.iloc[:, 0]
        if self.form == "records":
            return frame.to_records(index=False).view(np.ndarray)
        values = _to_array(frame)
        values = values[:, 0] if self.n_dims == 1 else values
        if self.form == "tensor":
            import sys

            return sys.modules["torch"].from_numpy(np.ascontiguousarray(values))
        return values

    def _restore_backend(self, frame: pd.DataFrame, is_number: list[bool]) -> Any:
        import narwhals.stable.v2 as nw

        schema = {
            name: nw.Float64() if number else dtype
            for (name, dtype), number in zip(self.schema.items(), is_number, strict=True)
        }
        native = pandas_to_backend(frame, schema, self.backend)
        if self.form == "frame":
            return native
        return nw.from_native(native, eager_only=True)[:, 0].to_native()


def read_table(y: Any) -> tuple[pd.DataFrame, Container]:
    """Read y from any supported container.

    Parameters
    ----------
    y : frame, series, array, structured array, list of rows, tensor or dict
        Of shape (n_samples,) or (n_samples, n_columns).

    Returns
    -------
    frame : pandas.DataFrame of shape (n_samples, n_columns)
        One column per target; masked cells are missing.  Columns of an array are called
        ``"y0"``, ``"y1"``, ..., the only column of a 1-D target ``"y"``.
    container : Container
        How to put predictions back.

    Raises
    ------
    ValueError
        If y is None, empty, sparse, ragged or has more than two axes.
    """
    if y is None:
        raise ValueError("Fitting requires y to be passed, but the target y is None.")
    if hasattr(y, "toarray") and hasattr(y, "nnz"):
        raise ValueError(
            "Sparse targets are not supported, since a missing label and a zero would look "
            "alike. Pass a dense array or a frame."
        )
    if isinstance(y, Mapping):
        return _read_dict(y), Container("frame")
    if is_frame(y):
        if isinstance(y, pd.DataFrame):
            return y, Container("frame")
        return frame_to_pandas(y), Container(
            "frame", schema=schema_of(y), backend=backend_of(y)
        )
    if is_series(y):
        return _read_series(y)
    return _read_array(y)


def _read_dict(y: Mapping[Any, Any]) -> pd.DataFrame:
    lengths = {name: len(values) for name, values in y.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"All targets in a dict must have the same length. Found {lengths}.")
    return pd.DataFrame({name: _column(np.asarray(v)) for name, v in y.items()})


def _read_series(y: Any) -> tuple[pd.DataFrame, Container]:
    series = series_to_pandas(y)
    name = "y" if series.name is None else series.name
    frame = series.to_frame(name)
    if isinstance(y, pd.Series):
        return frame, Container("series", 1)
    import narwhals.stable.v2 as nw

    native = nw.from_native(y, series_only=True)
    return frame, Container("series", 1, {str(name): native.dtype}, backend_of(y))


def _read_array(y: Any) -> tuple[pd.DataFrame, Container]:
    form = "array"
    if type(y).__module__.split(".")[0] == "torch":
        y, form = y.detach().cpu().numpy(), "tensor"
    if isinstance(y, np.ma.MaskedArray):
        y = y.astype(object).filled(None)
    if isinstance(y, list | tuple):
        y = _rows_to_array(y)
    array = np.asarray(y)
    if array.dtype.names is not None:
        # Views of the fields: the one conversion that keeps each field's own type.
        fields = {name: array[name] for name in array.dtype.names}
        return pd.DataFrame({n: _column(v) for n, v in fields.items()}), Container("records")
    if array.ndim not in {1, 2}:
        raise ValueError(
            f"y must have shape (n_samples,) or (n_samples, n_columns). Found shape {array.shape}."
        )
    if array.ndim == 1:
        return pd.DataFrame({"y": _column(array)}), Container(form, 1)
    columns = {f"y{i}": _column(array[:, i]) for i in range(array.shape[1])}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(array))), Container(form, 2)


def _rows_to_array(rows: Any) -> np.ndarray:
    lengths = {len(row) if isinstance(row, list | tuple | np.ndarray) else None for row in rows}
    if len(lengths) > 1:
        raise ValueError(f"The rows of y must have the same length. Found lengths {lengths}.")
    if lengths <= {None}:
        array = np.asarray(rows)
        return array if array.dtype.kind in "biuf" else np.array([*rows, None], dtype=object)[:-1]
    # Cell by cell: np.asarray would turn the numbers beside a string into strings.
    array = np.empty((len(rows), lengths.pop()), dtype=object)
    for i, row in enumerate(rows):
        array[i] = list(row)
    return array


def _column(values: np.ndarray) -> pd.Series:
    return pd.Series(np.array(values, copy=True))


def _to_array(frame: pd.DataFrame) -> np.ndarray:
    dtypes = {np.dtype(t) if isinstance(t, np.dtype) else np.dtype(object) for t in frame.dtypes}
    if len(dtypes) == 1:
        return np.column_stack([np.asarray(frame.iloc[:, i]) for i in range(frame.shape[1])])
    if all(dtype.kind in "iuf" for dtype in dtypes):
        return frame.to_numpy(dtype=np.result_type(*dtypes, np.float64))
    return frame.to_numpy(dtype=object)
