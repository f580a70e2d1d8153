"""Frames of any library, and pandas: the one place that knows narwhals."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

#: What is no frame, told apart without narwhals: that takes longer to say so than a prediction
#: takes, and the first time a tenth of a second, to look for plugins.
_NO_FRAMES = (np.ndarray, list, tuple)


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
    if isinstance(data, _NO_FRAMES):
        return False
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
    if isinstance(data, _NO_FRAMES):
        return False
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
    dtype = series.dtype
    if isinstance(dtype, nw.Categorical | nw.Enum):
        return pd.Series(
            pd.Categorical(series.to_list(), categories=_categories(series)), name=name
        )
    if dtype == nw.Boolean:
        has_null = series.null_count() > 0
        return pd.Series(series.to_list(), dtype="boolean" if has_null else "bool", name=name)
    if dtype.is_integer() and series.null_count() > 0:
        return pd.Series(pd.array(series.to_list(), dtype="Int64"), name=name)
    if dtype.is_numeric() or dtype.is_temporal():
        column = pd.Series(np.array(series.to_numpy()), name=name)
        zone = getattr(dtype, "time_zone", None)
        return column if zone is None else column.dt.tz_localize("UTC").dt.tz_convert(zone)
    return pd.Series(np.array([*series.to_list(), None], dtype=object)[:-1], name=name)


def _categories(series: nw.Series[Any]) -> list[Any]:
    if isinstance(series.dtype, nw.Enum):
        return list(series.dtype.categories)
    known = series.cat.get_categories().to_list()
    # A Categorical of polars has no list of its own: what occurs, in no particular order.
    return sorted(known) if series.implementation.is_polars() else known


def empty_like(data: Any) -> Any:
    """Return a frame with the columns and types of a frame or series, and no rows.

    Parameters
    ----------
    data : frame or series
        Of any library that narwhals reads.

    Returns
    -------
    frame of shape (0, n_columns)
        Of the same library.
    """
    native = nw.from_native(data, eager_only=True, allow_series=True)
    frame = native.to_frame() if isinstance(native, nw.Series) else native
    return frame.head(0).to_native()


#: Types of a column that their name says all of.
_NAMED_TYPES = frozenset(
    {f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)}
    | {"Float32", "Float64", "Boolean", "String", "Categorical"}
)


def describe_empty(template: Any) -> dict[str, Any]:
    """Say in words what :func:`empty_like` returned.

    Parameters
    ----------
    template : frame of shape (0, n_columns)
        Of polars or pyarrow.

    Returns
    -------
    dict
        For :func:`empty_from`: text, and lists and dicts of it.

    Raises
    ------
    TypeError
        If it is of another library, or a column of a type that words cannot say.
    """
    frame = nw.from_native(template, eager_only=True)
    if frame.implementation.is_pyarrow():
        columns = [[field.name, _arrow_words(field.type)] for field in template.schema]
    else:
        columns = [
            [name, list(dtype.categories) if isinstance(dtype, nw.Enum) else str(dtype)]
            for name, dtype in frame.schema.items()
        ]
    described = {"library": frame.implementation.value, "columns": columns}
    try:
        is_same = empty_from(described).schema == template.schema
    except (ValueError, TypeError):
        is_same = False
    if not is_same:
        raise TypeError(f"A frame of such columns cannot be described: {dict(frame.schema)}.")
    return described


def empty_from(described: dict[str, Any]) -> Any:
    """Make a frame without rows as it was described.

    Parameters
    ----------
    described : dict
        From :func:`describe_empty`.

    Returns
    -------
    frame of shape (0, n_columns)
        Of polars or pyarrow.

    Raises
    ------
    ValueError
        If it names another library or a type that there is not.
    """
    library, columns = described["library"], described["columns"]
    if library == "pyarrow":
        import pyarrow as pa

        fields = [(str(name), _arrow_type(words)) for name, words in columns]
        return pa.schema(fields).empty_table()
    if library != "polars":
        raise ValueError(f"Frames of {library!r} cannot be described, polars and pyarrow can.")
    schema = {str(name): _named_type(words) for name, words in columns}
    return nw.from_dict({name: [] for name in schema}, schema, backend=library).to_native()


def _named_type(words: Any) -> Any:
    if isinstance(words, list):
        return nw.Enum([str(category) for category in words])
    if words not in _NAMED_TYPES:
        raise ValueError(f"{words!r} is no type of a column.")
    return getattr(nw, words)()


def _arrow_words(dtype: Any) -> Any:
    import pyarrow as pa

    if isinstance(dtype, pa.DictionaryType):
        return [str(dtype.index_type), str(dtype.value_type), dtype.ordered]
    return str(dtype)


def _arrow_type(words: Any) -> Any:
    import pyarrow as pa

    if isinstance(words, list):
        index, values, ordered = words
        types = pa.type_for_alias(str(index)), pa.type_for_alias(str(values))
        return pa.dictionary(*types, ordered=ordered is True)
    return pa.type_for_alias(str(words))


def pandas_to_backend(frame: pd.DataFrame, template: Any, is_number: list[bool]) -> Any:
    """Convert a pandas frame to the frame of another library.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n_rows, n_columns)
        The table.
    template : frame of shape (0, n_columns)
        The library, names and types that the columns shall have, from :func:`empty_like`.
    is_number : list of bool
        Which columns are regression targets: floats, whatever the template says.

    Returns
    -------
    frame
        The same table in the other library; missing cells become nulls.
    """
    like = nw.from_native(template, eager_only=True)
    columns = {}
    for position, (name, dtype) in enumerate(like.schema.items()):
        values = frame.iloc[:, position].astype(object)
        cells = values.where(~pd.isna(values), None).tolist()
        known = nw.Float64() if is_number[position] and not dtype.is_float() else dtype
        known = None if known == nw.Unknown else known  # a column of nulls has no type
        columns[name] = nw.new_series(name, cells, known, backend=like.implementation)
    result = nw.from_dict(columns).to_native()
    if not like.implementation.is_pyarrow():
        return result
    schema = result.schema
    for position, field in enumerate(template.schema):
        if not is_number[position]:
            # narwhals does not tell large strings or the index types of dictionaries.
            schema = schema.set(position, field.with_nullable(True))
    return result.cast(schema)


def series_of(frame: Any) -> Any:
    """Return the only column of a frame.

    Parameters
    ----------
    frame : frame of shape (n_rows, 1)
        Of any library that narwhals reads.

    Returns
    -------
    series of shape (n_rows,)
        Of the same library.
    """
    return nw.from_native(frame, eager_only=True)[:, 0].to_native()


def check_eager(data: Any, name: str) -> None:
    """Raise an error for a frame that is only a plan.

    Parameters
    ----------
    data : object
        Anything.
    name : str
        What to call it: "X" or "y".

    Raises
    ------
    TypeError
        If `data` is a lazy frame.
    """
    # narwhals minds doubled names of pandas; what reads the columns says so better
    if isinstance(data, (pd.DataFrame, *_NO_FRAMES)):
        return
    if isinstance(nw.from_native(data, pass_through=True), nw.LazyFrame):
        raise TypeError(f"{name} is a lazy frame, which holds no rows yet. Call its collect().")
