"""Columns of words that look as if they should be something else."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

#: Share of the cells that has to look like numbers or dates: two of three.
MOSTLY = 2 / 3

#: And how many of them have to differ: a few may well be names of categories.
LEAST_DIFFERENT = 10

#: Words that tell of all: the most frequent ones.
MANY = 10_000

#: Signs around and within numbers: currencies, per cent, separators of thousands.
_SIGNS = r"[$€£¥%]|^\s+|\s+$|(?<=\d)[,'\s](?=\d{3}(?!\d))"

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


def count_words(column: pd.Series) -> pd.Series:
    """Count how often each word of a column occurs.

    Parameters
    ----------
    column : pandas.Series of shape (n_samples,)
        Any column.

    Returns
    -------
    pandas.Series of shape (n_words,)
        By word, frequent ones first; empty for a column of another type than words.
    """
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        return column.dropna().astype(str).value_counts()
    return pd.Series(dtype=int)


def look_of(counts: pd.Series) -> Look | None:
    """Tell whether words are numbers or dates for the most part.

    Parameters
    ----------
    counts : pandas.Series of shape (n_words,)
        From :func:`count_words`.

    Returns
    -------
    Look or None
        None: fewer than two such cells in three, or fewer than ten that differ.
    """
    for noun, are_such, remedy in _LOOKS:
        some = counts[:MANY]
        if not _is_most(some, are_such(pd.Series(some.index, dtype=object))):
            continue
        words = pd.Series(counts.index, dtype=object)
        such = are_such(words).to_numpy(bool)
        others = words[~such].tolist()
        but = f", but not {others[:3]}" if others else ""
        coerced = "(..., errors='coerce')" if others else ""
        found = f"of {counts.sum()} cells {counts[such].sum()} are {noun}s{but}"
        return Look(noun, found, others, remedy + coerced)
    return None


def _is_most(counts: pd.Series, are_such: pd.Series) -> bool:
    such = are_such.to_numpy(bool)
    return bool(such.sum() >= LEAST_DIFFERENT and counts[such].sum() >= MOSTLY * counts.sum())


def _are_numbers(words: pd.Series) -> pd.Series:
    return pd.to_numeric(words, errors="coerce").notna()


def _are_numbers_with_signs(words: pd.Series) -> pd.Series:
    return _are_numbers(words.str.replace(_SIGNS, "", regex=True))


def _are_dates(words: pd.Series) -> pd.Series:
    return words.str.fullmatch(_DATE)


_TO_NUMBERS = "Make the column numeric by pandas.to_numeric"
_WITHOUT_SIGNS = (
    "Take away signs such as $, % and the commas of thousands, as by "
    f'column.str.replace(r"{_SIGNS}", "", regex=True)'
)

#: What words may look like: the noun, which of them do, and the remedy.
_LOOKS = (
    ("number", _are_numbers, _TO_NUMBERS),
    ("number", _are_numbers_with_signs, f"{_WITHOUT_SIGNS}. {_TO_NUMBERS}"),
    ("date", _are_dates, "Make the column dates by pandas.to_datetime"),
)
