"""Frames of any library, and pandas: the one place that knows narwhals."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd


def is_frame(data: Any) -> bool:
    """Tell whether `data` is a table with named columns (pandas, polars, pyarrow, ...).

    Parameters
    ----------
    data : object
        Anything.

    Returns
    -------
    bool
        True for an eager frame, False for a lazy one and for everything else.
    """
    return isinstance(data, pd.DataFrame) or isinstance(
        nw.from_native(data, eager_only=True, pass_through=True), nw.DataFrame
    )


def is_series(data: Any) -> bool:
    """Tell whether `data` is a named column (pandas or polars Series, pyarrow ChunkedArray).

    Parameters
    ----------
    data : object
        Anything.

    Returns
    -------
    bool
        True for a column.
    """
    return isinstance(data, pd.Series) or isinstance(
        nw.from_native(data, series_only=True, pass_through=True), nw.Series
    )


def frame_to_pandas(data: Any) -> pd.DataFrame:
    """Convert a frame of any library to pandas, keeping names, categories and missing cells.

    Parameters
    ----------
    data : frame of shape (n_rows, n_columns)
        pandas, polars, pyarrow or another frame that narwhals reads.

    Returns
    -------
    pandas.DataFrame of shape (n_rows, n_columns)
        The same object if it is a pandas frame already.
    """
    if isinstance(data, pd.DataFrame):
        return data
    frame = nw.from_native(data, eager_only=True)
    # Through a dict of positions: names may be doubled, and pandas shall see them as they are.
    columns = {i: series_to_pandas(frame[:, i]) for i in range(frame.shape[1])}
    result = pd.DataFrame(columns, index=pd.RangeIndex(frame.shape[0]))
    result.columns = pd.Index(frame.columns)
    return result


def series_to_pandas(data: Any) -> pd.Series:
    """Convert a column of any library to pandas without the help of pyarrow.

    Parameters
    ----------
    data : series of shape (n_rows,)
        pandas, polars, pyarrow or another series that narwhals reads.

    Returns
    -------
    pandas.Series of shape (n_rows,)
        Nulls become the missing value of the pandas type.
    """
    if isinstance(data, pd.Series):
        return data
    series = data if isinstance(data, nw.Series) else nw.from_native(data, series_only=True)
    name = series.name or None
    if series.dtype in {nw.Categorical, nw.Enum}:
        known = series.cat.get_categories().to_list()
        return pd.Series(pd.Categorical(series.to_list(), categories=known), name=name)
    if series.dtype == nw.Boolean:
        has_null = series.null_count() > 0
        return pd.Series(series.to_list(), dtype="boolean" if has_null else "bool", name=name)
    if series.dtype.is_integer() and series.null_count() > 0:
        return pd.Series(pd.array(series.to_list(), dtype="Int64"), name=name)
    if series.dtype.is_numeric() or series.dtype.is_temporal():
        return pd.Series(np.array(series.to_numpy()), name=name)
    return pd.Series(np.array([*series.to_list(), None], dtype=object)[:-1], name=name)


def pandas_to_backend(frame: pd.DataFrame, schema: Any, backend: Any) -> Any:
    """Convert a pandas frame to the frame of another library.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n_rows, n_columns)
        The table.
    schema : mapping of str to narwhals dtype
        The types that the columns shall have, by name.
    backend : narwhals.Implementation
        The library, as told by :func:`backend_of`.

    Returns
    -------
    frame
        The same table in the other library; missing cells become nulls.
    """
    columns = {}
    for position, name in enumerate(schema):
        values = frame.iloc[:, position].astype(object)
        columns[name] = values.where(~pd.isna(values), None).tolist()
    return nw.from_dict(columns, schema, backend=backend).to_native()


def schema_of(data: Any) -> dict[str, Any]:
    """Return the column types of a frame.

    Parameters
    ----------
    data : frame
        Of any library that narwhals reads.

    Returns
    -------
    dict of str to narwhals dtype
        In the order of the columns.
    """
    return dict(nw.from_native(data, eager_only=True).schema)


def backend_of(data: Any) -> Any:
    """Return the library of a frame or series.

    Parameters
    ----------
    data : frame or series
        Of any library that narwhals reads.

    Returns
    -------
    narwhals.Implementation
        The library.
    """
    return nw.from_native(data, eager_only=True, allow_series=True).implementation
