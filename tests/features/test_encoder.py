import datetime as dt

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skmtl.features import FeatureEncoder, FeatureWarning

RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(5, 3, size=(50, 3))
WORDS = pd.DataFrame(
    {"town": RANDOM.choice(list("abc"), 50), "size": RANDOM.choice(["s", "m"], 50)}
)


def test_by_hand():
    X = pd.DataFrame({"size": [1.0, None, 3.0], "town": ["a", "b", "a"]})
    encoded = FeatureEncoder(numbers="standard").fit_transform(X)
    # size with mean 2 and deviation 1, whether it is missing, town a, town b
    np.testing.assert_allclose(encoded, [[-1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])
    assert encoded.dtype == np.float64


def test_numbers_as_the_standard_scaler():
    expected = StandardScaler().fit_transform(NUMBERS)
    np.testing.assert_allclose(FeatureEncoder(numbers="standard").fit_transform(NUMBERS), expected)
    np.testing.assert_allclose(
        FeatureEncoder(numbers="standard").fit_transform(pd.DataFrame(NUMBERS)), expected
    )


def test_weights_as_the_standard_scaler():
    weights = RANDOM.integers(1, 4, 50)
    expected = StandardScaler().fit(NUMBERS, sample_weight=weights).transform(NUMBERS)
    encoder = FeatureEncoder(numbers="standard").fit(NUMBERS, sample_weight=weights)
    np.testing.assert_allclose(encoder.transform(NUMBERS), expected)


def test_words_as_the_one_hot_encoder():
    expected = OneHotEncoder(sparse_output=False).fit_transform(WORDS)
    np.testing.assert_array_equal(FeatureEncoder().fit_transform(WORDS), expected)


def test_sparse_is_scaled_and_stays_sparse():
    X = sparse.csr_array(np.where(NUMBERS > 5, NUMBERS, 0))
    encoded = FeatureEncoder().fit_transform(X)
    assert sparse.issparse(encoded)
    expected = StandardScaler(with_mean=False).fit_transform(X).toarray()
    np.testing.assert_allclose(encoded.toarray(), expected)


def test_numbers_come_first_then_what_is_missing_then_words():
    X = pd.DataFrame({"w": ["a", "b"], "n": [None, 3.0], "m": [0.0, 2.0]})
    encoder = FeatureEncoder(numbers="standard").fit(X)
    np.testing.assert_allclose(encoder.transform(X), [[0, -1, 1, 1, 0], [0, 1, 0, 0, 1]])
    assert encoder.n_features_out_ == 5


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([True, False], [1, 0]),
        (pd.array([True, False], dtype="boolean"), [1, 0]),
        (pd.Series([True, False], dtype=object), [1, 0]),
        (pd.Series([True, False], dtype="bool[pyarrow]"), [1, 0]),
        (pd.array([4, 2], dtype="Int8"), [1, -1]),
        (pd.Series([4, 2.0], dtype=object), [1, -1]),
    ],
)
def test_columns_that_are_read_as_numbers(cells, expected):
    encoded = FeatureEncoder(numbers="standard").fit_transform(pd.DataFrame({"c": cells}))
    np.testing.assert_allclose(encoded[:, 0], expected)
    assert encoded.shape == (2, 1)


def test_flags_stay_as_they_are_and_missing_ones_become_their_mean():
    X = np.array([[0, 1.0], [0, 0.0], [0, np.nan], [1, 1.0]])
    encoded = FeatureEncoder().fit(X).transform(np.array([[1, 0], [0, np.nan]]))
    np.testing.assert_allclose(encoded, [[1, 0, 0], [0, 2 / 3, 1]])


@pytest.mark.parametrize(
    "cells",
    [
        ["a", "b"],
        pd.Categorical([1, 2]),
        pd.array(["a", "b"], dtype="string"),
        pd.Series([1, "b"], dtype=object),
        pd.Categorical([True, False]),
    ],
)
def test_columns_that_are_read_as_words(cells):
    encoded = FeatureEncoder().fit_transform(pd.DataFrame({"c": cells}))
    assert sorted(map(tuple, encoded)) == [(0, 1), (1, 0)]


def test_missing_word_is_a_category_of_its_own():
    X = pd.DataFrame({"w": ["a", None, "a"]})
    assert FeatureEncoder().fit_transform(X).tolist() == [[1, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize("dtype", [object, "category", "string"])
@pytest.mark.parametrize("n_words", [2, 60])
def test_a_row_is_encoded_alike_whatever_the_rows_beside_it(dtype, n_words):
    rng = np.random.default_rng(0)
    words = np.array([*(f"w{i}" for i in range(n_words)), None], dtype=object)
    X = pd.DataFrame({"n": rng.normal(size=200), "w": rng.choice(words, 200), "v": None})
    X.loc[::2, "v"] = "seen"
    X = X.astype({"w": dtype, "v": dtype})
    encoder = FeatureEncoder().fit(X)
    whole = encoder.transform(X)
    alone = np.concatenate([encoder.transform(X.iloc[[i]]) for i in range(len(X))])
    np.testing.assert_array_equal(alone, whole)
    gaps = X["w"].isna() & X["v"].isna()  # of which a call may hold nothing else
    np.testing.assert_array_equal(encoder.transform(X[gaps]), whole[gaps])


def test_unknown_word_is_all_zeros():
    encoder = FeatureEncoder().fit(pd.DataFrame({"w": ["a", "b"]}))
    assert encoder.transform(pd.DataFrame({"w": ["c", None]})).tolist() == [[0, 0], [0, 0]]


def test_rare_and_unknown_words_share_a_column():
    X = pd.DataFrame({"w": ["a"] * 5 + ["b"] * 3 + ["c", "d"]})
    encoder = FeatureEncoder(max_categories=3).fit(X)
    new = encoder.transform(pd.DataFrame({"w": ["a", "b", "c", "d", "e"]}))
    assert new.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]]


def test_new_gap_becomes_the_mean():
    encoder = FeatureEncoder(numbers="standard").fit(NUMBERS)
    new = NUMBERS.copy()
    new[:5, 1] = np.nan
    expected = StandardScaler().fit_transform(NUMBERS)
    expected[:5, 1] = 0
    np.testing.assert_allclose(encoder.transform(new), expected)


@pytest.mark.parametrize("frame", [False, True])
def test_column_without_a_number_stays_empty(frame):
    X = NUMBERS.copy()
    X[:, 1] = np.nan
    new = X.copy()
    new[:, 1] = 1e6
    X, new = (pd.DataFrame(X), pd.DataFrame(new)) if frame else (X, new)
    encoder = FeatureEncoder().fit(X)
    encoded = encoder.transform(new)
    assert encoded.shape == (50, 4)
    assert (encoded[:, 1] == 0).all()
    np.testing.assert_array_equal(encoded, encoder.transform(X))


def test_column_of_nothing_takes_any_cell_later():
    encoder = FeatureEncoder().fit(pd.DataFrame({"c": pd.Series([None, None], dtype=object)}))
    for cells in (["a", "b"], [1.5, 2.5], [None, pd.Timestamp("2024")]):
        assert encoder.transform(pd.DataFrame({"c": cells})).shape == (2, 1)


def test_dates_become_seven_numbers_and_durations_one():
    when = pd.Series(pd.date_range("2024-01-01", periods=9, freq="5h"))
    assert FeatureEncoder().fit_transform(pd.DataFrame({"d": when})).shape == (9, 7)
    assert FeatureEncoder().fit_transform(pd.DataFrame({"d": when - when[0]})).shape == (9, 1)


@pytest.mark.parametrize(
    "convert",
    [
        lambda when: when.astype(object),
        lambda when: when.dt.to_period("h"),
        lambda when: when.astype("timestamp[us][pyarrow]"),
    ],
    ids=["objects", "period", "arrow"],
)
def test_dates_of_any_type_are_encoded_alike(convert):
    when = pd.Series(pd.date_range("2024-01-01", periods=9, freq="5h"))
    encoder = FeatureEncoder().fit(pd.DataFrame({"d": when}))
    expected = encoder.transform(pd.DataFrame({"d": when}))
    other = pd.DataFrame({"d": convert(when)})
    np.testing.assert_allclose(encoder.transform(other), expected, atol=1e-12)
    np.testing.assert_allclose(FeatureEncoder().fit_transform(other), expected, atol=1e-12)


BERLIN = pd.Series(pd.date_range("2024-03-01", periods=200, freq="7h", tz="Europe/Berlin"))


@pytest.mark.parametrize(
    "convert",
    [
        lambda when: when.dt.tz_convert("UTC"),
        lambda when: when.dt.tz_convert("America/New_York"),
        lambda when: when.dt.tz_convert("UTC").astype(object),
        lambda when: when.astype("timestamp[us, tz=UTC][pyarrow]"),
    ],
    ids=["UTC", "New York", "objects", "arrow"],
)
def test_the_same_moment_is_the_same_in_every_time_zone(convert):
    """By the clock of the zone of `fit`, over a change to summer time."""
    encoder = FeatureEncoder(numbers="standard").fit(pd.DataFrame({"d": BERLIN}))
    expected = encoder.transform(pd.DataFrame({"d": BERLIN}))
    local = FeatureEncoder(numbers="standard").fit(pd.DataFrame({"d": BERLIN.dt.tz_localize(None)}))
    naive = local.transform(pd.DataFrame({"d": BERLIN.dt.tz_localize(None)}))
    np.testing.assert_allclose(expected, naive)
    other = pd.DataFrame({"d": convert(BERLIN)})
    np.testing.assert_allclose(encoder.transform(other), expected, atol=1e-12)


def test_a_zone_without_a_name_is_read_as_utc():
    zone = dt.timezone(dt.timedelta(hours=1), "somewhere")
    X = pd.DataFrame({"d": BERLIN.dt.tz_convert(zone)})
    expected = FeatureEncoder().fit_transform(pd.DataFrame({"d": BERLIN.dt.tz_convert("UTC")}))
    np.testing.assert_allclose(FeatureEncoder().fit_transform(X), expected)


def test_dates_with_and_without_a_time_zone_are_refused():
    zoned = pd.DataFrame({"d": BERLIN})
    naive = pd.DataFrame({"d": BERLIN.dt.tz_localize(None)})
    with pytest.raises(ValueError, match=r"'d' of X held dates with the time zone 'Europe/Berlin'"):
        FeatureEncoder().fit(zoned).transform(naive)
    with pytest.raises(ValueError, match=r"'d' of X held dates without a time zone in fit"):
        FeatureEncoder().fit(naive).transform(zoned)
    empty = pd.DataFrame({"d": pd.Series([None, None], dtype="datetime64[ns]")})
    assert FeatureEncoder().fit(zoned).transform(empty).shape == (2, 7)
    # A column without a date in `fit` is ignored, zone or not.
    assert not FeatureEncoder().fit(empty).transform(zoned)[:, :7].any()
    mixed = pd.DataFrame({"d": [*BERLIN[:5].dt.tz_convert("UTC"), *BERLIN[5:]]}, dtype=object)
    with pytest.raises(ValueError, match=r"'d' of X holds dates of several time zones"):
        FeatureEncoder().fit(mixed)


def test_encoding_a_part_at_a_time_is_encoding_the_whole(monkeypatch):
    X = WORDS.assign(
        n=NUMBERS[:, 0], flag=[0, 1] * 25, gap=np.where(np.arange(50) % 7, 1.5, np.nan)
    )
    whole, expected = FeatureEncoder().fit(X), FeatureEncoder().fit_transform(X)
    sparse_rows = sparse.csr_array(NUMBERS)
    dense = FeatureEncoder().fit(NUMBERS)
    monkeypatch.setattr("skmtl.features._encoder._ENTRIES", 8)
    np.testing.assert_array_equal(whole.encode(X), expected)
    assert whole.encode(X, "float32").dtype == np.float32
    np.testing.assert_array_equal(dense.encode(sparse_rows), dense.transform(NUMBERS))
    parts = FeatureEncoder().fit(X)  # a column at a time
    np.testing.assert_allclose(parts.transform(X), expected, rtol=1e-12)
    assert parts.number_columns_ == whole.number_columns_


@pytest.mark.parametrize("entries", [8, 100, 2**19])
@pytest.mark.parametrize("kind", ["frame", "array", "sparse"])
def test_some_of_the_rows_are_as_a_table_of_their_own(kind, entries, monkeypatch):
    monkeypatch.setattr("skmtl.features._encoder._ENTRIES", entries)
    when = pd.Series(pd.date_range("2024-01-01", periods=50, freq="5h"))
    frame = WORDS.assign(n=NUMBERS[:, 0], day=when, m=NUMBERS[:, 1], flag=[0, 1] * 25)
    X = {"frame": frame, "array": NUMBERS, "sparse": sparse.csr_array(NUMBERS)}[kind]
    rows, weights = np.arange(50)[::-1][::3], np.arange(17.0) % 4
    own = frame.iloc[rows] if kind == "frame" else X[rows]
    alone = FeatureEncoder().fit(own, sample_weight=weights)
    among = FeatureEncoder().learn(X, weights, rows)
    assert list(among.get_feature_names_out()) == list(alone.get_feature_names_out())
    assert among.number_columns_ == alone.number_columns_
    assert among.category_columns_ == alone.category_columns_
    for chosen in (None, rows, rows[:1]):
        taken = X if chosen is None else frame.iloc[chosen] if kind == "frame" else X[chosen]
        found, expected = among.encode(X, rows=chosen), alone.transform(taken)
        assert found.shape == expected.shape
        assert abs(found - expected).max() < 1e-12


def test_sparse_rows_for_an_encoder_of_dense_ones():
    encoder = FeatureEncoder().fit(NUMBERS)
    np.testing.assert_allclose(
        encoder.transform(sparse.csr_array(NUMBERS)), encoder.transform(NUMBERS)
    )


def test_input_is_not_changed():
    X = pd.DataFrame({"n": [1.0, np.nan], "w": ["a", None], "d": pd.to_datetime(["2024", None])})
    before = X.copy(deep=True)
    FeatureEncoder().fit_transform(X)
    pd.testing.assert_frame_equal(X, before)
    array = NUMBERS.copy()
    FeatureEncoder().fit_transform(array)
    np.testing.assert_array_equal(array, NUMBERS)


def test_clone_is_not_fitted():
    encoder = FeatureEncoder(max_categories=7).fit(NUMBERS)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        clone(encoder).transform(NUMBERS)
    assert clone(encoder).max_categories == 7


@pytest.mark.parametrize(
    ("fitted", "later", "message"),
    [
        ([1.0, 2.0], ["x", "y"], "Column 'c' of X held numbers in fit. Found .* such as 'x'"),
        ([1.0, 2.0], pd.to_datetime(["2024", None]), "held numbers in fit. Found datetime64"),
        (pd.to_datetime(["2024", None]), [1.0, 2.0], "held dates in fit. Found float64"),
        (pd.to_timedelta(["1D", None]), ["x", "y"], "held durations in fit. Found .* such as 'x'"),
    ],
)
def test_column_of_another_kind_is_an_error(fitted, later, message):
    encoder = FeatureEncoder().fit(pd.DataFrame({"c": fitted}))
    with pytest.raises(ValueError, match=message):
        encoder.transform(pd.DataFrame({"c": later}))


def test_columns_of_numbers_and_of_categories():
    X = pd.DataFrame(
        {
            "word": ["a", "b", None, "a"],
            "flag": [0.0, 1.0, np.nan, 1.0],
            "yes": [True, False, False, True],
            "size": [1.5, np.nan, 2.5, 3.5],
            "town": ["x", "x", "y", "y"],
            "count": [3, 1, 2, 5],
            "nothing": [np.nan] * 4,
        }
    )
    encoder = FeatureEncoder(numbers="standard").fit(X)
    # flag, yes, size, count, nothing; missing flag, size, nothing; word a, b, None; town x, y
    assert encoder.number_columns_ == (2, 3)
    assert encoder.category_columns_ == ((8, 11), (11, 13))
    assert encoder.n_features_out_ == 13
    encoded = encoder.transform(X)
    assert encoded.shape[1] == 13
    np.testing.assert_allclose(encoded[:, [2, 3]].mean(0), 0, atol=1e-12)
    for start, stop in encoder.category_columns_:
        assert (encoded[:, start:stop].sum(1) == 1).all()
    assert all(type(i) is int for i in encoder.number_columns_)
    assert all(type(i) is int for pair in encoder.category_columns_ for i in pair)


def test_infrequent_categories_share_the_last_column_of_their_block():
    X = pd.DataFrame({"w": ["a"] * 5 + ["b"] * 3 + ["c", "d"], "v": list("xy") * 5})
    encoder = FeatureEncoder(max_categories=3).fit(X)
    assert encoder.category_columns_ == ((0, 3), (3, 5))
    assert encoder.number_columns_ == ()
    new = encoder.transform(pd.DataFrame({"w": ["c", "new"], "v": ["x", "new"]}))
    assert new.tolist() == [[0, 0, 1, 1, 0], [0, 0, 1, 0, 0]]


def test_dates_are_numbers():
    when = pd.Series(pd.date_range("2020-03-01", periods=9, freq="37D5h"))
    encoder = FeatureEncoder().fit(pd.DataFrame({"w": list("ab") * 4 + ["a"], "d": when}))
    assert encoder.number_columns_ == tuple(range(7))
    assert encoder.category_columns_ == ((7, 9),)


@pytest.mark.parametrize("convert", [np.asarray, pd.DataFrame])
def test_tables_of_numbers_alone(convert):
    X = np.column_stack([NUMBERS, NUMBERS[:, 0] > 5])
    encoder = FeatureEncoder().fit(convert(X))
    assert encoder.number_columns_ == (0, 1, 2)
    assert encoder.category_columns_ == ()


def test_all_columns_of_sparse_rows_are_numbers():
    encoder = FeatureEncoder().fit(sparse.csr_array(np.where(NUMBERS > 5, NUMBERS, 0)))
    assert encoder.number_columns_ == (0, 1, 2)
    assert encoder.category_columns_ == ()


def test_names_of_the_encoded_columns():
    X = pd.DataFrame(
        {
            "size": [1.0, None, 3.0],
            "seen": pd.to_datetime(["2020-01-01", "2020-06-01", "2021-01-01"]),
            "town": ["a", "b", "a"],
            "flag": [0, 1, 1],
        }
    )
    encoder = FeatureEncoder().fit(X)
    names = encoder.get_feature_names_out().tolist()
    assert len(names) == encoder.n_features_out_ == encoder.transform(X).shape[1]
    assert names[:3] == ["size", "seen_days", "seen_year_sin"]
    assert names[8:] == ["flag", "size_missing", "town_a", "town_b"]
    arrays = FeatureEncoder().fit(np.array([[1.0, np.nan], [2.0, 3.0]]))
    assert arrays.get_feature_names_out().tolist() == ["x0", "x1", "x1_missing"]
    rows = FeatureEncoder().fit(sparse.csr_array(np.eye(3)))
    assert rows.get_feature_names_out().tolist() == ["x0", "x1", "x2"]


def test_sparse_columns_of_zeros_and_ones_are_no_numbers():
    X = sparse.csr_array([[1.0, 0.5], [0.0, 2.0], [1.0, 0.0]])
    assert FeatureEncoder().fit(X).number_columns_ == (1,)


def test_robust_numbers_by_hand():
    X = np.array(
        [[1.0, 0.0, 7.0], [2.0, 0.0, 7.0], [3.0, 0.0, 7.0], [4.0, 10.0, 7.0], [np.nan] * 3]
    )
    encoded = FeatureEncoder().fit_transform(X)
    # Quartiles that are entries: 1, 2 and 3; of the second, half the range: 5.
    scaled = (np.array([1.0, 2, 3, 4]) - 2) / 2
    np.testing.assert_allclose(encoded[:4, 0], scaled / np.sqrt(1 + (scaled / 3) ** 2))
    np.testing.assert_allclose(encoded[:4, 1], [0, 0, 0, 2 / np.sqrt(1 + 4 / 9)])
    np.testing.assert_array_equal(encoded[:, 2], 0)
    np.testing.assert_array_equal(encoded[4, :3], 0)
    np.testing.assert_array_equal(encoded[4, 3:], 1)


def test_robust_numbers_stay_within_bounds_and_in_order():
    X = np.random.default_rng(0).standard_cauchy(size=(500, 1))
    encoded = FeatureEncoder().fit_transform(X)
    assert np.abs(encoded).max() < 3
    assert (encoded[np.argsort(X[:, 0]), 0] == np.sort(encoded[:, 0])).all()
    far = FeatureEncoder().fit(X).transform(np.array([[1e300], [-1e300]]))
    np.testing.assert_allclose(far, [[3], [-3]])


def test_a_weight_of_two_is_a_row_twice():
    random = np.random.default_rng(0)
    X = random.normal(size=(40, 3))
    X[random.random(X.shape) < 0.2] = np.nan
    weights = random.integers(0, 3, size=40)
    weighted = FeatureEncoder().fit(X, sample_weight=weights.astype(float))
    repeated = FeatureEncoder().fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X))


def test_how_numbers_are_scaled_is_a_word():
    with pytest.raises(ValueError, match="`numbers` must be 'robust' or 'standard'"):
        FeatureEncoder(numbers="minmax").fit(np.ones((2, 1)))


def test_words_among_numbers_are_told_of():
    ages = pd.Series([*map(float, range(20, 70)), "unknown"], dtype=object)
    message = r"Column 'age' of X .* of 51 cells 50 are numbers, but not \['unknown'\]"
    with pytest.warns(FeatureWarning, match=message):
        FeatureEncoder().fit(pd.DataFrame({"age": ages}))
    with pytest.warns(FeatureWarning, match=message):
        FeatureEncoder().fit(pd.DataFrame({"age": ages.astype(str)}))


@pytest.mark.parametrize(
    "cells", [[*map(str, range(60))], [f"{i}.5" for i in range(20)]], ids=["many", "fractions"]
)
def test_numbers_as_words_are_told_of(cells):
    with pytest.warns(
        FeatureWarning,
        match=r"'a' of X .* are numbers. Make the column numeric by pandas.to_numeric, or",
    ):
        FeatureEncoder().fit(pd.DataFrame({"a": cells}))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([f"{i},{100 + i}" for i in range(20)], "of 20 cells 20 are numbers. Take away signs"),
        (
            [*(f"${i}.50" for i in range(20)), "free"],
            r"20 are numbers, but not \['free'\]. Take away",
        ),
        ([f"{i}%" for i in range(20)], "20 are numbers. Take away signs"),
        (
            [f"2020-01-{i:02}" for i in range(1, 21)],
            "one for each date .* by pandas.to_datetime, or",
        ),
        ([f"{i}/2/20 10:00" for i in range(1, 21)], "one for each date in it"),
        ([f"a{i}" for i in range(50)], "of 50 cells 50 differ"),
    ],
)
def test_words_that_should_be_something_else_are_told_of(cells, message):
    with pytest.warns(FeatureWarning, match=message):
        FeatureEncoder().fit(pd.DataFrame({"a": cells}))


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([f"a{i}" for i in range(50)], dtype="category"),
        pd.Series([f"a{i % 40}" for i in range(50)]),
        pd.Series([f"{i},{i % 10}5" for i in range(40)]),  # decimal commas: no signs to take away
        pd.Series([f"{i}.1.0{i % 9}" for i in range(40)]),  # versions: no dates
        pd.Series(["1", "2", "3", "other"] * 20),  # few numbers: names of categories
        pd.Series([*map(str, range(20)), *["word"] * 20]),
        pd.Series([*map(str, range(40)), "unknown"], dtype="category"),
        pd.Series([*map(str, range(40))]),  # codes such as postcodes
    ],
)
def test_columns_that_are_words_are_not_told_of(column):
    FeatureEncoder().fit(pd.DataFrame({"a": column}))


DAY = pd.Timestamp("2020-01-05")


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["03/02/2020"], "'03/02/2020'"),
        (["13/02/2020", DAY], "'13/02/2020'"),
        ([5, DAY, None], "5"),
    ],
)
def test_words_and_numbers_are_no_dates_whatever_is_beside_them(cells, found):
    encoder = FeatureEncoder().fit(pd.DataFrame({"d": pd.date_range("2020", periods=9)}))
    with pytest.raises(ValueError, match=f"held dates in fit. Found .* values such as {found}"):
        encoder.transform(pd.DataFrame({"d": pd.Series(cells, dtype=object)}))
    later = pd.DataFrame({"d": pd.Series([DAY, None, DAY.date()], dtype=object)})
    assert np.isfinite(encoder.transform(later)).all()


def test_words_that_are_equal_are_one_whatever_their_type():
    mixed = pd.DataFrame({"k": pd.Series([True, 1, "a", 1.0, True, "a"], dtype=object)})
    encoder = FeatureEncoder().fit(mixed)
    for order in ([1, 0, 2, 3], [0, 1, 2, 3], [3, 2, 0, 1]):
        encoded = encoder.transform(mixed.iloc[order])
        assert (encoded[[i != 2 for i in order]] == [1, 0]).all()
    flags = pd.DataFrame({"k": pd.Categorical([True, False, True])})
    encoder = FeatureEncoder().fit(flags)
    for dtype in (bool, "int8", float):
        later = flags.astype(bool).astype(dtype)
        np.testing.assert_array_equal(encoder.transform(later), encoder.transform(flags))
    tenths = pd.DataFrame({"k": pd.Categorical(np.array([0.1, 0.2, 3.0]))})
    encoder = FeatureEncoder().fit(tenths)
    later = tenths.astype("float32")
    np.testing.assert_array_equal(encoder.transform(later), encoder.transform(tenths))


def test_heavy_tails_are_not_bent_to_the_same():
    values = np.random.default_rng(0).lognormal(0.0, 2.5, size=1_000)
    found = FeatureEncoder().fit(values[:, None]).transform(np.quantile(values, [[0.9], [0.98]]))
    assert found[1, 0] - found[0, 0] > 1


@pytest.mark.parametrize(
    ("n_rows", "n_wild", "kept"), [(12, 1, 0.1), (60, 1, 0.4), (1000, 15, 0.3), (1000, 150, 0.1)]
)
def test_wild_values_take_little_from_the_others(n_rows, n_wild, kept):
    values = np.random.default_rng(0).normal(size=(n_rows, 1))
    before = FeatureEncoder().fit_transform(values)
    values[:n_wild] = -9999
    after = FeatureEncoder().fit_transform(values)
    assert after[n_wild:].std() > kept * before[n_wild:].std()
    assert (after[:n_wild] < -2.5).all()
