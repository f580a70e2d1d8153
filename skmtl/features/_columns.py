"""What each column of a table holds, and how its cells are read."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skmtl.features._datetime import datetime_features


def column_kinds(X: pd.DataFrame) -> list[str]:
    """Tell what each column holds.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
        The table.

    Returns
    -------
    list of {"number", "date", "duration", "word"}
        One for each column.
    """
    return [_kind(X.iloc[:, position]) for position in range(X.shape[1])]


def _kind(column: pd.Series) -> str:
    dtype = column.dtype
    # Arrow's booleans are not numeric, others are.
    if pd.api.types.is_numeric_dtype(dtype) or dtype.kind == "b":
        return "number"
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
DATE_PARTS = {
    "date": ("days", *(f"{span}_{f}" for span in ("year", "week", "day") for f in ("sin", "cos"))),
    "duration": ("days",),
}


#: In place of the name of a zone: whatever the column has, as files of version 1 know it.
ANY_ZONE = "any"

#: The name of the time zone of each column; None: no dates, or dates without a zone.
Zones = list[str | None]


def column_zones(X: pd.DataFrame, kinds: list[str]) -> Zones:
    """Tell by which clock the dates of each column are read.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
        The table.
    kinds : list of str
        From :func:`column_kinds`.

    Returns
    -------
    list of str or None
        Name of the time zone of each column of dates that has one; ``ANY_ZONE`` for a column without
        a date, which is ignored whatever comes later.
    """
    dates = [_times(X.iloc[:, i], kind) if kind == "date" else None for i, kind in enumerate(kinds)]
    return [None if column is None else _zone(column) for column in dates]


def holds_numbers(X: pd.DataFrame) -> bool:
    """Tell whether all columns are NumPy's numbers or flags, which are read without a look at the cells.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
        The table.

    Returns
    -------
    bool
        False for pandas' own types, objects, dates and complex numbers.
    """
    return all(isinstance(dtype, np.dtype) and dtype.kind in "fiub" for dtype in X.dtypes)


def number_blocks(
    X: Any,
    kinds: list[str] | None,
    zones: Zones | None,
    width: int,
    rows: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Read the numbers of a table, a few columns at a time.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_read, n_features)
        The table.
    kinds : list of str or None
        From :func:`column_kinds`; None for an array.
    zones : list of str or None
        From :func:`column_zones`; None: each column by its own clock.
    width : int
        Columns of a block; those of a date stay together.
    rows : ndarray of shape (n_samples,), int64, default=None
        Which rows; None: all.

    Yields
    ------
    ndarray of shape (n_samples, n_columns), float64
        NaN where missing; one block at least, be it without a column.
    """
    every = slice(None) if rows is None else rows
    if kinds is None:
        for start in range(0, max(X.shape[1], 1), width):
            yield X[:, start : start + width][every].astype(np.float64)
        return
    is_whole = rows is None and width >= len(kinds)
    if is_whole and set(kinds) == {"number"} and holds_numbers(X):
        yield np.ascontiguousarray(X.to_numpy(np.float64))  # takes a tenth of the time
        return
    block: list[np.ndarray] = [np.empty((len(X) if rows is None else len(rows), 0))]
    n_columns = 0
    for position, kind in enumerate(kinds):
        if kind != "word":
            zone = ANY_ZONE if zones is None else zones[position]
            found = _columns_of(_column(X, position, rows), kind, zone)
            if n_columns and n_columns + len(found) > width:
                yield np.column_stack(block)
                block, n_columns = [], 0
            block, n_columns = block + found, n_columns + len(found)
    yield np.column_stack(block)


def word_columns(X: pd.DataFrame, kinds: list[str], rows: np.ndarray | None = None) -> pd.DataFrame:
    """Read the columns of words of a table.

    Parameters
    ----------
    X : DataFrame of shape (n_read, n_features)
        The table.
    kinds : list of str
        From :func:`column_kinds`.
    rows : ndarray of shape (n_samples,), int64, default=None
        Which rows; None: all.

    Returns
    -------
    DataFrame of shape (n_samples, n_word_columns)
        Objects by position: strings, NaN where missing.
    """
    positions = [position for position, kind in enumerate(kinds) if kind == "word"]
    words = {position: _words(_column(X, position, rows)) for position in positions}
    # Of this type whatever the cells: pandas would give a column of nothing but gaps another one than
    # a column of words, with another gap, and OneHotEncoder tells these apart.
    return pd.DataFrame(words, index=range(len(X) if rows is None else len(rows)), dtype=object)


def _column(X: pd.DataFrame, position: int, rows: np.ndarray | None) -> pd.Series:
    column = X.iloc[:, position]
    return column if rows is None else column.iloc[rows]


#: In place of the words of a table that has none.
_NO_WORDS = pd.DataFrame()


def split_columns(
    X: Any, kinds: list[str] | None, zones: Zones | None
) -> tuple[np.ndarray, pd.DataFrame]:
    """Split a table into numbers and columns of words.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
        The table.
    kinds : list of str or None
        From :func:`column_kinds`, of the table of `fit`; None if that was an array.
    zones : list of str or None
        From :func:`column_zones`, of the table of `fit`; None: each column by its own clock.

    Returns
    -------
    numbers : ndarray of shape (n_samples, n_numbers)
        NaN where missing.
    words : DataFrame of shape (n_samples, n_word_columns)
        Objects by position: strings, NaN where missing.
    """
    if kinds is None:
        if isinstance(X, pd.DataFrame):  # beside an array
            X = np.column_stack([_numbers(X.iloc[:, i]) for i in range(X.shape[1])])
        return X, _NO_WORDS
    X = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X)  # an array beside a frame
    words = word_columns(X, kinds) if "word" in kinds else _NO_WORDS
    return next(number_blocks(X, kinds, zones, _ALL_COLUMNS)), words


#: More columns than any table has.
_ALL_COLUMNS = 2**31


def _columns_of(column: pd.Series, kind: str, zone: str | None) -> list[np.ndarray]:
    """Return the numbers that a column of numbers, dates or durations becomes."""
    if kind == "number":
        return [_numbers(column)]
    times = _times(column, kind)
    if kind == "date" and zone != ANY_ZONE:
        times = _by_the_clock_of(times, zone)
    return list(datetime_features(times).values())


def _zone(column: pd.Series) -> str | None:
    """Return the name of a column's time zone; UTC for one that goes by no name."""
    if column.isna().all():
        return ANY_ZONE
    zone = getattr(column.dtype, "tz", None)
    if zone is None:
        return None
    try:
        column.iloc[:1].dt.tz_convert(str(zone))
    except (KeyError, TypeError, ValueError):  # of the libraries that know zones
        return "UTC"
    return str(zone)


def _by_the_clock_of(column: pd.Series, zone: str | None) -> pd.Series:
    """Bring dates to the time zone of `fit`: the same moment is the same whatever its zone."""
    own = getattr(column.dtype, "tz", None)
    if own is not None and zone is not None:
        return column.dt.tz_convert(zone)
    if (own is None) != (zone is None) and column.notna().any():
        held = "without a time zone" if zone is None else f"with the time zone {zone!r}"
        found = "without one" if own is None else f"with the time zone {str(own)!r}"
        how = "tz_convert and dt.tz_localize(None)" if zone is None else f"tz_localize({zone!r})"
        raise ValueError(
            f"Column {column.name!r} of X held dates {held} in fit. Found dates {found}. Make them "
            f"alike, as by dt.{how}."
        )
    return column


def _numbers(column: pd.Series) -> np.ndarray:
    try:
        if column.dtype.kind in "mM":
            raise TypeError(column.dtype)
        numbers: np.ndarray = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except OverflowError as error:
        raise ValueError(
            f"Column {column.name!r} of X holds whole numbers beyond 1e308. Scale it, or take logarithms."
        ) from error
    except (TypeError, ValueError) as error:
        raise ValueError(_complaint(column, "numbers")) from error
    check_finite(column, numbers)
    return numbers


def check_finite(column: pd.Series, numbers: np.ndarray) -> None:
    """Refuse infinity.

    Parameters
    ----------
    column : Series of shape (n_samples,)
        For its name.
    numbers : ndarray of shape (n_samples,)
        What it holds; NaN where missing.

    Raises
    ------
    ValueError
        If a number is infinite.
    """
    infinite = np.isinf(numbers)
    if infinite.any():
        raise ValueError(
            f"Column {column.name!r} of X contains infinity, in {int(infinite.sum())} rows. Mark a "
            "missing value as NaN, or clip the column."
        )


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
        is_odd = np.array([isinstance(cell, str | Real) for cell in cells], dtype=bool)
        odd = cells[is_odd & cells.notna()]
        if len(odd):  # which pandas would read by the format of the first one
            column = odd
            raise TypeError(odd.iloc[0])
        return pd.to_datetime(cells) if kind == "date" else pd.to_timedelta(cells)
    except (TypeError, ValueError) as error:
        if kind == "date" and pd.api.types.infer_dtype(column, skipna=True) == "datetime":
            raise ValueError(
                f"Column {column.name!r} of X holds dates of several time zones, or with and without "
                "one. Bring them to one, as by pandas.to_datetime(..., utc=True)."
            ) from error
        raise ValueError(_complaint(column, f"{kind}s")) from error


def _complaint(column: pd.Series, held: str) -> str:
    return (
        f"Column {column.name!r} of X held {held} in fit. Found {column.dtype} values such as "
        f"{column.dropna().tolist()[0]!r}. Convert it to {held}."
    )


def _words(column: pd.Series) -> np.ndarray:
    """Return strings, with NaN where missing: one type, so that any mixture can be sorted."""
    try:
        codes, found = pd.factorize(column.astype(object))
    except TypeError as error:
        cells = column.dropna().tolist()
        odd = next((cell for cell in cells if not isinstance(cell, Hashable)), cells[0])
        raise TypeError(
            f"Column {column.name!r} of X must hold numbers, dates, strings or categories. Found "
            f"{odd!r:.80}."
        ) from error
    return np.array([*(_text(cell, column.dtype) for cell in found), np.nan], dtype=object)[codes]


def _text(cell: Any, dtype: Any) -> str:
    """Return a word: what is equal to pandas reads alike, whatever its type."""
    # 1.0 and True read as 1: whole numbers turn into floats where a cell of the column is missing.
    if isinstance(cell, bool | np.bool_) or (isinstance(cell, float) and cell.is_integer()):
        return str(int(cell))
    if isinstance(cell, float) and isinstance(dtype, np.dtype) and dtype.kind == "f":
        return str(dtype.type(cell))  # 0.1 in 32 bits, too
    return str(cell)
