"""Each kind of bad input works, or is an error that says what is wrong: as the docs have it."""

import csv
import re
import warnings

import numpy as np
import pandas as pd
import pytest

from tests.bad_input import CASES, HEAD, PAGE, outcome_of
from tests.bad_input.case import Case

#: Errors that a user may meet; anything else is a crash.
NAMED = {"ValueError", "TypeError", "NotFittedError", "AttributeError", "DivergedError"}
#: Attributes that scikit-learn lets an estimator have only when it can use them.
ABSENT = {"quantiles of no such task", "predict_quantiles", "the history"}


@pytest.fixture(scope="module")
def page():
    with PAGE.open(newline="") as file:
        return list(csv.reader(file))


def test_the_page_has_every_case(page):
    assert tuple(page[0]) == HEAD
    assert [row[:2] for row in page[1:]] == [[case.group, case.given] for case in CASES]
    assert len({(case.group, case.given) for case in CASES}) == len(CASES) >= 150


def id_of(case):
    return f"{case.group}: {case.given}" if isinstance(case, Case) else None


@pytest.mark.parametrize("number", range(len(CASES)), ids=[id_of(case) for case in CASES])
def test_what_comes_of_it(number, page):
    case, (*_, outcome, message) = CASES[number], page[number + 1]
    found, said, is_ours = outcome_of(case)
    assert found == outcome, said
    if outcome == "works":
        check(case)
        return
    assert found in NAMED
    assert (found == "AttributeError") == (case.given in ABSENT)
    assert len(said) > 20
    if is_ours:  # the words of others change with their versions
        assert named(said) == named(message)
    if case.group.startswith("parameter "):
        name = case.group.removeprefix("parameter ")
        assert name in said or name == "net_params"
        assert is_ours or name == "net_params"


def named(message):
    """Take pandas 2's names of types for those of pandas 3."""
    return re.sub(
        r"datetime64\[\w+\]", "datetime64", message.replace("object values", "str values")
    )


def check(case):
    """Look at predictions: complete, finite, and what they are for the same input in plain form."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = case.act()
        like = None if case.like is None else case.like()
    if isinstance(found, pd.DataFrame):
        for name, column in found.items():
            assert column.isna().all() == (name in case.blank)
            if column.dtype.kind == "f" and name not in case.blank:
                assert np.isfinite(column).all()
    elif case.like is None and isinstance(found, np.ndarray) and found.dtype.kind == "f":
        assert np.isfinite(found).all()
    if isinstance(like, pd.DataFrame):
        for name, column in like.items():
            same(found[name].to_numpy(), column.to_numpy())
    elif like is not None:
        same(np.asarray(found), np.asarray(like))


def same(found, expected):
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    else:
        np.testing.assert_array_equal(found, expected)
