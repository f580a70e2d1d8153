"""y in any container -> a pandas frame, and predictions back into that container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from skmtl._frames import (
    check_eager,
    empty_like,
    frame_to_pandas,
    is_frame,
    is_series,
    pandas_to_backend,
    series_of,
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
    name : hashable, default=None
        The name of a pandas Series.
    dtype : numpy.dtype or torch.dtype, default=None
        Type of a structured array, of an array of strings, or of a floating tensor.
    template : frame of shape (0, n_columns), default=None
        Library, names and types of a frame or series that is not a pandas one.
    """

    form: str
    n_dims: int = 2
    name: Any = None
    dtype: Any = None
    template: Any = None

    def lists_categories(self, position: int) -> bool:
        """Tell whether the type of a category column lists all its categories.

        Parameters
        ----------
        position : int
            Which column of y.

        Returns
        -------
        bool
            True for categories of pandas and Enum of polars; False for Categorical of polars
            and dictionaries of pyarrow, which know what occurs only.
        """
        if self.template is None:
            return True
        dtypes = list(getattr(self.template, "dtypes", []))
        return bool(dtypes) and type(dtypes[position]).__name__ in {"Enum", "CategoricalDtype"}

    def wide_enough(self, classes: Mapping[Any, Sequence[Any]]) -> Container:
        """Return a container whose strings are as long as the longest class needs.

        Parameters
        ----------
        classes : mapping of hashable to sequence
            The classes by column.

        Returns
        -------
        Container
            A copy, or this one if it is no array of strings.
        """
        if self.form == "array" and self.dtype is not None:
            labels = [label for listed in classes.values() for label in listed]
            return replace(self, dtype=_widened(self.dtype, labels))
        if self.form == "records":
            names = self.dtype.names
            fields = [(name, _widened(self.dtype[name], classes.get(name, ()))) for name in names]
            return replace(self, dtype=np.dtype(fields))
        return self

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
        if self.template is not None:
            native = pandas_to_backend(frame, self.template, is_number)
            return native if self.form == "frame" else series_of(native)
        if self.form == "frame":
            return frame
        if self.form == "series":
            return frame.iloc[:, 0].rename(self.name)
        if self.form == "records":
            return _to_records(frame, self.dtype)
        values = _to_array(frame)
        values = values[:, 0] if self.n_dims == 1 else values
        if self.form == "tensor":
            import sys

            tensor = sys.modules["torch"].from_numpy(np.ascontiguousarray(values))
            return tensor if self.dtype is None else tensor.to(self.dtype)
        is_text = self.dtype is not None and not frame.isna().to_numpy().any()
        return values.astype(self.dtype) if is_text else values


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
    TypeError
        If y is a lazy frame.
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
    check_eager(y, "y")
    if isinstance(y, pd.DataFrame):
        return y, Container("frame")
    if is_frame(y):
        return frame_to_pandas(y), Container("frame", template=empty_like(y))
    if is_series(y):
        return _read_series(y)
    if isinstance(y, pd.api.extensions.ExtensionArray | pd.Index):
        return pd.Series(y).to_frame("y"), Container("array", 1)
    return _read_array(y)


def _read_dict(y: Mapping[Any, Any]) -> pd.DataFrame:
    if not y:
        raise ValueError("y must have at least one column. Found an empty dict.")
    columns = {}
    for name, values in y.items():
        frame, _ = read_table(values)
        if frame.shape[1] != 1:
            raise ValueError(
                f"A target in a dict must be one column. Found {frame.shape[1]} columns under "
                f"{name!r}."
            )
        columns[name] = frame.iloc[:, 0].reset_index(drop=True)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"All targets in a dict must have the same length. Found {lengths}.")
    return pd.DataFrame(columns)


def _read_series(y: Any) -> tuple[pd.DataFrame, Container]:
    series = series_to_pandas(y)
    frame = series.to_frame("y" if series.name is None else series.name)
    if isinstance(y, pd.Series):
        return frame, Container("series", 1, name=y.name)
    return frame, Container("series", 1, template=empty_like(y))


def _read_array(y: Any) -> tuple[pd.DataFrame, Container]:
    if type(y).__module__.split(".")[0] == "torch":
        return _read_tensor(y)
    if isinstance(y, list | tuple):
        y = _rows_to_array(y)
    array = y if isinstance(y, np.ma.MaskedArray) else np.asarray(y)
    if array.dtype.names is not None and array.ndim == 1:
        # Views of the fields: the one conversion that keeps each field's own type.
        fields = {name: _column(array[name]) for name in array.dtype.names}
        return pd.DataFrame(fields), Container("records", dtype=array.dtype)
    if array.ndim not in {1, 2}:
        raise ValueError(
            f"y must have shape (n_samples,) or (n_samples, n_columns). Found shape {array.shape}."
        )
    dtype = array.dtype if array.dtype.kind in "SU" else None
    if array.ndim == 1:
        return pd.DataFrame({"y": _column(array)}), Container("array", 1, dtype=dtype)
    columns = {f"y{i}": _column(array[:, i]) for i in range(array.shape[1])}
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(array)))
    return frame, Container("array", 2, dtype=dtype)


def _read_tensor(y: Any) -> tuple[pd.DataFrame, Container]:
    if y.is_meta:
        raise TypeError("y is a tensor on the device 'meta', which holds no labels.")
    y = y.detach().cpu()
    dtype = y.dtype if y.is_floating_point() else None
    # numpy has no bfloat16.
    frame, container = _read_array(
        (y.float() if dtype is not None and y.itemsize < 4 else y).numpy()
    )
    return frame, Container("tensor", container.n_dims, dtype=dtype)


def _rows_to_array(rows: Any) -> np.ndarray:
    # A masked cell is an array too, to NumPy.
    is_row = [
        row is not np.ma.masked and isinstance(row, list | tuple | np.ndarray) for row in rows
    ]
    if not any(is_row):
        cells = [None if cell is np.ma.masked else cell for cell in rows]
        array = np.asarray(cells)
        return array if array.dtype.kind in "biuf" else np.array([*cells, None], dtype=object)[:-1]
    lengths = {len(row) for row, is_list in zip(rows, is_row, strict=True) if is_list}
    if len(lengths) > 1 or not all(is_row):
        raise ValueError(
            "The rows of y must have the same length. Found lengths "
            f"{sorted(lengths)}{'' if all(is_row) else ' and single cells'}."
        )
    # Cell by cell: np.asarray would turn the numbers beside a string into strings.
    array = np.empty((len(rows), lengths.pop()), dtype=object)
    for i, row in enumerate(rows):
        array[i] = [None if cell is np.ma.masked else cell for cell in row]
    return array


def _column(values: np.ndarray) -> pd.Series:
    """Return a column of its own memory; masked cells are missing, and the type stays."""
    if values.ndim != 1:
        raise ValueError(
            f"A field of a structured y must hold one value per row. Found shape {values.shape}."
        )
    if values.dtype.kind == "T":
        values = values.astype(object)
    if not isinstance(values, np.ma.MaskedArray):
        return pd.Series(np.array(values, copy=True))
    mask = np.ma.getmaskarray(values).copy()
    data = np.array(values.data, copy=True)
    if data.dtype.kind in "iu":
        return pd.Series(pd.arrays.IntegerArray(data, mask))
    if data.dtype.kind == "b":
        return pd.Series(pd.arrays.BooleanArray(data, mask))
    if data.dtype.kind == "f":
        return pd.Series(np.where(mask, np.nan, data).astype(data.dtype))
    data = data.astype(object)
    data[mask] = None
    return pd.Series(data)


def _cells(column: pd.Series) -> np.ndarray:
    """Return a column as an array of its own numpy type, if it has one."""
    dtype = column.dtype
    if not isinstance(dtype, np.dtype):
        # An Int64 or boolean column comes from a masked array.
        dtype = getattr(dtype, "numpy_dtype", np.dtype(object))
        dtype = np.dtype(object) if column.isna().any() else dtype
    return column.to_numpy(dtype=dtype)


def _widened(dtype: np.dtype, labels: Sequence[Any]) -> np.dtype:
    texts = [label for label in labels if isinstance(label, str | bytes)]
    return np.result_type(dtype, np.array(texts)) if dtype.kind in "SU" and texts else dtype


def _to_array(frame: pd.DataFrame) -> np.ndarray:
    columns = [_cells(frame.iloc[:, i]) for i in range(frame.shape[1])]
    dtypes = {column.dtype for column in columns}
    if len(dtypes) > 1:
        is_number = all(dtype.kind in "iuf" for dtype in dtypes)
        common = np.result_type(*dtypes, np.float64) if is_number else np.dtype(object)
        columns = [column.astype(common) for column in columns]
    return np.column_stack(columns)


def _to_records(frame: pd.DataFrame, like: np.dtype) -> np.ndarray:
    columns = {str(name): _cells(frame[name]) for name in frame.columns}
    types = []
    for name, column in columns.items():
        is_text = like[name].kind in "SU" and not frame[name].isna().any()
        types.append((name, like[name] if is_text else column.dtype))
    records = np.empty(len(frame), dtype=types)
    for name, column in columns.items():
        records[name] = column
    return records
