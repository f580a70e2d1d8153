"""What is told of columns that are probably something else."""

from __future__ import annotations

import warnings

import pandas as pd

from skmtl._words import count_words, look_of


class FeatureWarning(UserWarning):
    """A column of X is probably not what it was taken for."""


#: Share of the words of a column that differ, from which on each row seems to have its own;
_MOSTLY_DIFFERENT = 0.9
#: of how many words at least.
_LEAST_WORDS = 50


def warn_of_words(column: pd.Series) -> None:
    """Tell of a column of words that looks as if it should be something else.

    Parameters
    ----------
    column : Series of shape (n_samples,)
        Strings, categories or objects.

    Warns
    -----
    FeatureWarning
        If it holds numbers or dates for the most part, or nearly each row has a word of its own.
    """
    counts, told = count_words(column), ""
    look = look_of(counts)
    if look is not None and (look.others or look.noun == "date" or not _are_codes(column)):
        told = f"one for each {look.noun} in it: {look.found}. {look.remedy}"
    elif look is None:
        n_words, n_cells = len(counts), counts.sum()
        if n_cells >= _LEAST_WORDS and n_words >= _MOSTLY_DIFFERENT * n_cells:
            told = (
                f"but of {n_cells} cells {n_words} differ: words of one row tell nothing of others. "
                "Leave the column out, make columns of what such words have in common"
            )
    if told:
        warnings.warn(
            f"Column {column.name!r} of X is taken for categories, {told}, or make the column a "
            "category type.",
            FeatureWarning,
            stacklevel=2,
        )


#: Different whole numbers as words that may be codes, such as postcodes; more of them are numbers.
_MOST_CODES = 50


def _are_codes(column: pd.Series) -> bool:
    """Tell whether words that are numbers may be names: whole numbers, and not very many."""
    words = pd.Series(column.dropna().astype(str).unique(), dtype=object)
    numbers = pd.to_numeric(words, errors="coerce")  # NaN: with signs around them
    return len(numbers) <= _MOST_CODES and bool((numbers % 1 == 0).all())
