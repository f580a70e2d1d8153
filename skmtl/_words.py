"""Columns of words that look as if they should be something else."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

#: Share of the cells that has to look like numbers or dates: two of three.
MOSTLY = 2 / 3

#: And how many of them have to differ: a few may well be names of categories.
LEAST_DIFFERENT = 10

#: Signs around and within numbers: currencies, per cent, separators of thousands.
_SIGNS = r"[$€£¥%]|^\s+|\s+$|(?<=\d)[,'\s](?=\d{3}(?!\d))"

_TO_NUMBERS = "Make the column numeric by pandas.to_numeric"
_WITHOUT_SIGNS = (
    "Take away signs such as $, % and the commas of thousands, as by "
    f'column.str.replace(r"{_SIGNS}", "", regex=True)'
)

_DATE = (
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/])\d{1,2}\3\d{2,4}|\d{1,2}\.\d{1,2}\.\d{4})([ T].*)?"
)


class Look(NamedTuple):
    """What words look like.

    Parameters
    ----------
    noun : str
        What each of them seems to be.
    found : str
        How many of them are.
    others : list of str
        Cells that are not.
    remedy : str
        How the column becomes what it seems to be.
    """

    noun: str
    found: str
    others: list[str]
    remedy: str


def look_of(column: pd.Series) -> Look | None:
    """Tell whether a column of words holds numbers or dates for the most part.

    Parameters
    ----------
    column : pandas.Series of shape (n_samples,)
        Any column.

    Returns
    -------
    Look or None
        None: another type, fewer than two such cells in three, or fewer than ten that differ.
    """
    if not (column.dtype == object or isinstance(column.dtype, pd.StringDtype)):
        return None
    counts = column.dropna().astype(str).value_counts()
    cells = pd.Series(counts.index, dtype=object)
    bare = cells.str.replace(_SIGNS, "", regex=True)
    looks = (
        ("number", _are_numbers(cells), _TO_NUMBERS),
        ("number", _are_numbers(bare), f"{_WITHOUT_SIGNS}. {_TO_NUMBERS}"),
        ("date", cells.str.fullmatch(_DATE), "Make the column dates by pandas.to_datetime"),
    )
    for noun, is_such, remedy in looks:
        such, n_cells = is_such.to_numpy(bool), int(counts.sum())
        n_such = int(counts[such].sum())
        if such.sum() < LEAST_DIFFERENT or n_such < MOSTLY * n_cells:
            continue
        others = cells[~such].tolist()
        but = f", but not {others[:3]}" if others else ""
        coerced = "(..., errors='coerce')" if others else ""
        found = f"of {n_cells} cells {n_such} are {noun}s{but}"
        return Look(noun, found, others, remedy + coerced)
    return None


def _are_numbers(cells: pd.Series) -> pd.Series:
    return pd.to_numeric(cells, errors="coerce").notna()
