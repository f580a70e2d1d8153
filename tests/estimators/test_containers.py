"""The container matrix: each container of y and of X, with each tool of scikit-learn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.model_selection import (
    GridSearchCV,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skmtl import (
    MultiTaskNetClassifier,
    MultiTaskNetClassifierRegressor,
    MultiTaskNetRegressor,
)
from skmtl.features import FeatureEncoder
from skmtl.metrics import TaskScoring
from skmtl.model_selection import TaskStratifiedKFold
from tests.oracle import WORDS

N = 60
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(N, 3))
FRAME = pd.DataFrame(X[:, :2], columns=["a", "b"]).assign(c=np.where(X[:, 2] > 0, "u", "v"))

NUMBER = X[:, 0] + 0.1 * RANDOM.normal(size=N)
FLAG = X[:, 1] > 0
WORD = np.where(FLAG, "yes", "no").astype(object)
CODE = np.digitize(X[:, 2], [-0.4, 0.4])
GAP = np.arange(N) % 5 == 0
OTHER_GAP = np.arange(N) % 7 == 3

SOME_NUMBER = np.where(GAP, np.nan, NUMBER)
SOME_WORD = np.where(OTHER_GAP, None, WORD)
CATEGORIES = ["never", "yes", "no"]


def some(values, gap=OTHER_GAP):
    """Python cells, with None in the gap."""
    return [None if missing else value for value, missing in zip(values.tolist(), gap, strict=True)]


def net(**params):
    return MultiTaskNetClassifierRegressor(
        **{
            "hidden_layer_sizes": (4,),
            "max_epochs": 2,
            "early_stopping": False,
            "random_state": 0,
            **params,
        }
    )


@dataclass
class Case:
    """A container of y, and something of the type that predictions shall have."""

    y: Any
    like: Any = None

    @property
    def expected(self):
        return signature(self.y if self.like is None else self.like)


def signature(data):  # noqa: PLR0911 - one line a container
    """What predictions must share with y: container, names, types and axes."""
    if isinstance(data, pd.DataFrame):
        return "pandas", list(data.columns), list(data.dtypes)
    if isinstance(data, pd.Series):
        return "pandas", data.name, data.dtype
    if isinstance(data, pl.DataFrame):
        return "polars", dict(data.schema)
    if isinstance(data, pl.Series):
        return "polars", data.name, data.dtype
    if isinstance(data, pa.Table):
        return "pyarrow", data.schema.names, data.schema.types
    if isinstance(data, pa.ChunkedArray):
        return "pyarrow", data.type
    if isinstance(data, torch.Tensor):
        return "torch", data.dtype, data.ndim
    assert type(data) is np.ndarray
    return "numpy", data.dtype, data.ndim


def masked(values, mask):
    return np.ma.array(values, mask=mask)


RECORDS = np.array(
    list(zip(SOME_NUMBER, WORD, FLAG, strict=True)),
    dtype=[("size", "f4"), ("word", "U3"), ("flag", "?")],
)
RECORDS_MASK = np.array(
    list(zip(GAP, OTHER_GAP, GAP, strict=True)), dtype=[(n, "?") for n in RECORDS.dtype.names]
)
OBJECTS = np.array([SOME_NUMBER, WORD], dtype=object).T
ARROW = pa.table(
    {
        "size": pa.array(some(NUMBER, GAP)),
        "small": pa.array(some(NUMBER, GAP), pa.float32()),
        "word": pa.array(some(WORD)),
        "kind": pa.array(some(WORD)).dictionary_encode(),
        "flag": pa.array(some(FLAG)),
        "code": pa.array(some(CODE), pa.int8()),
    }
)
POLARS = pl.DataFrame(
    {
        "size": pl.Series(some(NUMBER, GAP)),
        "small": pl.Series(some(NUMBER, GAP), dtype=pl.Float32),
        "word": pl.Series(some(WORD)),
        "kind": pl.Series(some(WORD), dtype=pl.Categorical),
        "level": pl.Series(some(WORD), dtype=pl.Enum(CATEGORIES)),
        "flag": pl.Series(some(FLAG)),
        "code": pl.Series(some(CODE), dtype=pl.Int16),
    }
)

CASES = {
    # pandas
    "frame": Case(pd.DataFrame({"size": NUMBER, "word": WORD})),
    "frame with missing": Case(pd.DataFrame({"size": SOME_NUMBER, "word": SOME_WORD})),
    "frame, float32": Case(pd.DataFrame({"size": SOME_NUMBER.astype("f4"), "word": WORD})),
    "frame, Float64": Case(
        pd.DataFrame({"size": pd.array(some(NUMBER, GAP), dtype="Float64"), "word": WORD})
    ),
    "frame, object": Case(
        pd.DataFrame({"size": NUMBER, "word": pd.Series(SOME_WORD, dtype=object)})
    ),
    "frame, string": Case(
        pd.DataFrame({"size": NUMBER, "word": pd.array(SOME_WORD, dtype="string")})
    ),
    "frame, category": Case(
        pd.DataFrame({"size": NUMBER, "kind": pd.Categorical(WORD, CATEGORIES)})
    ),
    "frame, category with missing": Case(
        pd.DataFrame({"size": SOME_NUMBER, "kind": pd.Categorical(SOME_WORD, CATEGORIES)})
    ),
    "frame, ordered": Case(
        pd.DataFrame({"size": NUMBER, "kind": pd.Categorical(WORD, CATEGORIES, ordered=True)})
    ),
    "frame, int": Case(pd.DataFrame({"code": CODE, "size": NUMBER})),
    "frame, Int64": Case(
        pd.DataFrame({"code": pd.array(some(CODE), dtype="Int64"), "size": SOME_NUMBER})
    ),
    "frame, bool": Case(pd.DataFrame({"flag": FLAG, "size": NUMBER})),
    "frame, boolean": Case(
        pd.DataFrame({"flag": pd.array(some(FLAG), dtype="boolean"), "size": SOME_NUMBER})
    ),
    "frame, arrow types": Case(ARROW.to_pandas(types_mapper=pd.ArrowDtype)),
    "frame, number labels": Case(pd.DataFrame({7: NUMBER, 3: WORD})),
    "series": Case(pd.Series(NUMBER, name="size")),
    "series without a name": Case(pd.Series(NUMBER)),
    "series of words": Case(pd.Series(WORD, name="word")),
    "series of categories": Case(pd.Series(pd.Categorical(WORD, CATEGORIES), name="kind")),
    # polars and pyarrow
    "polars": Case(POLARS),
    "polars without null": Case(
        POLARS.drop_nulls("size")
        .vstack(POLARS.filter(GAP))
        .fill_null(strategy="backward")
        .fill_null(strategy="forward")
    ),
    "polars series": Case(pl.Series("size", some(NUMBER, GAP))),
    "polars series of words": Case(pl.Series("word", WORD.tolist())),
    "pyarrow": Case(ARROW),
    # numpy
    "1-D float": Case(NUMBER),
    "1-D float with NaN": Case(SOME_NUMBER),
    "1-D int": Case(CODE),
    "1-D bool": Case(FLAG),
    "1-D strings": Case(WORD.astype(str)),
    "1-D objects": Case(WORD),
    "one column": Case(NUMBER[:, None]),
    "2-D float": Case(np.column_stack([NUMBER, X[:, 1]])),
    "2-D float32 with NaN": Case(np.column_stack([SOME_NUMBER, X[:, 1]]).astype("f4")),
    "2-D int": Case(np.column_stack([CODE, FLAG.astype(int)])),
    "2-D strings": Case(np.column_stack([WORD, WORD]).astype(str)),
    "2-D objects": Case(OBJECTS),
    "2-D objects with None": Case(np.array([some(NUMBER, GAP), SOME_WORD], dtype=object).T),
    "structured": Case(RECORDS),
    "masked": Case(
        masked(np.column_stack([NUMBER, FLAG]), np.column_stack([GAP, OTHER_GAP])),
        like=np.empty((1, 2)),
    ),
    "masked, with rubbish below": Case(masked(np.where(GAP, 1e30, NUMBER), GAP), like=np.empty(1)),
    "masked int": Case(masked(CODE.astype("i2"), GAP), like=np.empty(1, dtype="i2")),
    "masked bool": Case(masked(FLAG, GAP), like=np.empty(1, dtype=bool)),
    "masked records": Case(masked(RECORDS, RECORDS_MASK), like=RECORDS),
    # lists and tensors
    "list": Case(NUMBER.tolist(), like=NUMBER),
    "list of ints": Case(CODE.tolist(), like=CODE),
    "list of words": Case(WORD.tolist(), like=WORD),
    "list of lists": Case(OBJECTS.tolist(), like=OBJECTS),
    "list of tuples": Case([tuple(row) for row in OBJECTS], like=OBJECTS),
    "1-D tensor": Case(torch.tensor(NUMBER)),
    "1-D int tensor": Case(torch.tensor(CODE)),
    "2-D tensor": Case(torch.tensor(np.column_stack([SOME_NUMBER, X[:, 1]])).float()),
    "bfloat16 tensor": Case(torch.tensor(NUMBER).bfloat16()),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


def assert_predicts(model, features, case):
    """The container of y comes back, with a label or a number in every cell."""
    predicted = model.predict(features)
    assert signature(predicted) == case.expected
    assert len(predicted) == len(features)
    outputs = model[-1] if hasattr(model, "steps") else model
    for task in outputs.tasks_:
        assert task.n_classes != 1
    assert not pd.isna(as_cells(predicted)).any()


def as_cells(predicted):
    if isinstance(predicted, pl.DataFrame | pa.Table):
        columns = predicted.columns if isinstance(predicted, pa.Table) else predicted.iter_columns()
        return np.array(
            [
                column.to_pylist() if isinstance(column, pa.ChunkedArray) else column.to_list()
                for column in columns
            ],
            dtype=object,
        )
    if isinstance(predicted, torch.Tensor):
        predicted = predicted.float().numpy()
    if isinstance(predicted, np.ndarray) and predicted.dtype.names:
        predicted = predicted.tolist()
    return np.asarray(predicted, dtype=object)


def assert_scored(results, tasks):
    for task in tasks:
        scores = results[f"test_{task.name}"]
        assert np.isfinite(scores).all(), task
        assert (scores < 1).all(), task


def test_fit_and_predict(case):
    model = net().fit(X, case.y)
    assert_predicts(model, X, case)
    assert np.isfinite(model.score(X, case.y))


def test_cross_validate(case):
    results = cross_validate(
        net(), X, case.y, cv=3, scoring=TaskScoring(), error_score="raise", return_estimator=True
    )
    assert_scored(results, results["estimator"][0].tasks_)
    assert np.isfinite(results["test_score"]).all()


def test_grid_search(case):
    search = GridSearchCV(
        net(),
        {"sharing": ["hard", "independent"]},
        scoring=TaskScoring(),
        refit="score",
        cv=2,
        error_score="raise",
    ).fit(X, case.y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert_predicts(search.best_estimator_, X, case)


def test_pipeline(case):
    model = make_pipeline(StandardScaler(), net()).fit(X, case.y)
    assert_predicts(model, X, case)
    assert np.isfinite(model.score(X, case.y))


def test_column_transformer(case):
    columns = make_column_transformer(
        (StandardScaler(), ["a", "b"]), (OneHotEncoder(sparse_output=False), ["c"])
    )
    model = make_pipeline(columns, net())
    assert_predicts(model.fit(FRAME, case.y), FRAME, case)
    results = cross_validate(model, FRAME, case.y, cv=2, scoring=TaskScoring(), error_score="raise")
    assert_scored(results, model[-1].tasks_)


def test_train_test_split(case):
    X_train, X_test, y_train, y_test = train_test_split(X, case.y, test_size=0.4, random_state=0)
    model = net().fit(X_train, y_train)
    assert_predicts(model, X_test, case)
    assert np.isfinite(model.score(X_test, y_test))


def test_learning_curve(case):
    sizes, train, test = learning_curve(
        net(), X, case.y, train_sizes=[0.6, 1.0], cv=2, error_score="raise"
    )
    assert sizes.tolist() == [18, 30]
    assert np.isfinite(train).all()
    assert np.isfinite(test).all()


# ---- what the matrix leaves out --------------------------------------------------------------


def test_pandas_predictions_carry_the_index_of_x():
    frame = FRAME.set_axis(np.arange(N) + 100)
    predicted = net().fit(frame, CASES["frame"].y).predict(frame[:5])
    assert predicted.index.tolist() == [100, 101, 102, 103, 104]


def test_whole_number_regression_targets_are_predicted_as_floats():
    y = pd.DataFrame({"count": np.arange(N), "word": WORD})
    assert net().fit(X, y).predict(X)["count"].dtype == np.float64
    assert net().fit(X, pl.from_pandas(y)).predict(X).schema["count"] == pl.Float64
    assert net().fit(X, np.arange(N)).predict(X).dtype == np.float64


@pytest.mark.filterwarnings("ignore:y is a dict")
def test_container_does_not_change_what_is_learned():
    y = pd.DataFrame({"size": SOME_NUMBER, "word": SOME_WORD})
    expected = net().fit(X, y).predict(X)
    same = {
        "polars": pl.from_pandas(y),
        "pyarrow": pa.Table.from_pandas(y),
        "objects": np.array([SOME_NUMBER, SOME_WORD], dtype=object).T,
        "rows": list(zip(SOME_NUMBER, SOME_WORD, strict=True)),
        "dict": {"size": SOME_NUMBER, "word": SOME_WORD},
        "masked": masked(
            np.array([NUMBER, WORD], dtype=object).T, np.column_stack([GAP, OTHER_GAP])
        ),
    }
    for name, container in same.items():
        cells = as_cells(net().fit(X, container).predict(X))
        cells = cells.T if name in {"polars", "pyarrow"} else cells
        np.testing.assert_array_equal(cells[:, 1], expected["word"].to_numpy(dtype=object), name)
        np.testing.assert_array_equal(cells[:, 0].astype(float), expected["size"], name)


def test_probabilities_have_a_column_for_every_category():
    y = CASES["frame, category with missing"].y
    model = net().fit(X, y)
    assert model.classes_["kind"].tolist() == CATEGORIES
    probabilities = model.predict_proba(X)["kind"]
    assert probabilities.shape == (N, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_probabilities_have_a_column_for_every_level_of_a_polars_enum():
    assert net().fit(X, POLARS).classes_["level"].tolist() == CATEGORIES


def test_fit_takes_a_dict():
    y = {"size": SOME_NUMBER, "word": SOME_WORD, "kind": pd.Categorical(WORD, CATEGORIES)}
    with pytest.warns(UserWarning, match=r"cross-validation would take its keys.*DataFrame\(y\)"):
        model = net().fit(X, y)
    assert [task.kind for task in model.tasks_] == ["regression", "binary", "multiclass"]
    predicted = model.predict(X)
    assert signature(predicted) == signature(pd.DataFrame(y))


def test_dict_with_columns_of_different_lengths_is_an_error():
    with pytest.raises(ValueError, match=r"must have the same length. Found {'a': 60, 'b': 59}"):
        net().fit(X, {"a": NUMBER, "b": NUMBER[1:]})


@pytest.mark.parametrize("tool", [cross_validate, learning_curve])
def test_dict_in_cross_validation_fails_loudly(tool):
    # scikit-learn takes len(dict) as the number of rows, before the estimator sees it.
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 2\]"):
        tool(net(), X, {"size": NUMBER, "word": WORD})


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (MultiTaskNetClassifier, "frame of flags"),
        (MultiTaskNetClassifier, "polars of words"),
        (MultiTaskNetClassifier, "objects"),
        (MultiTaskNetRegressor, "2-D float32 with NaN"),
        (MultiTaskNetRegressor, "polars series"),
        (MultiTaskNetRegressor, "masked, with rubbish below"),
    ],
)
def test_estimators_of_one_kind(cls, name):
    extra = {
        "frame of flags": Case(
            pd.DataFrame({"flag": pd.array(some(FLAG), dtype="boolean"), "word": SOME_WORD})
        ),
        "polars of words": Case(POLARS.select("word", "kind", "level")),
        "objects": Case(np.column_stack([SOME_WORD, WORD])),
    }
    case = {**CASES, **extra}[name]
    model = cls(hidden_layer_sizes=(4,), max_epochs=2, early_stopping=False, random_state=0)
    assert_predicts(model.fit(X, case.y), X, case)
    # An int for cv makes scikit-learn look for classes in y itself, which missing labels forbid.
    folds = TaskStratifiedKFold(3, tasks=None, random_state=0)
    results = cross_validate(model, X, case.y, cv=folds, scoring=TaskScoring(), error_score="raise")
    assert_scored(results, model.tasks_)


@pytest.mark.parametrize("lazy", ["X", "y"])
def test_lazy_frame_is_an_error(lazy):
    data = {"X": X, "y": POLARS, lazy: POLARS.lazy()}
    with pytest.raises(TypeError, match=rf"{lazy} is a lazy frame.*collect\(\)"):
        net().fit(data["X"], data["y"])


# ---- X ---------------------------------------------------------------------------------------

Y = CASES["frame with missing"].y
DATES = pd.Series(pd.date_range("2024-01-01", periods=N, freq="31h")).mask(GAP)


def mixed_frame():
    return pd.DataFrame(
        {
            "float": SOME_NUMBER,
            "int": CODE,
            "Int64": pd.array(some(CODE), dtype="Int64"),
            "Float32": pd.array(some(NUMBER), dtype="Float32"),
            "bool": FLAG,
            "boolean": pd.array(some(FLAG), dtype="boolean"),
            "str": SOME_WORD,
            "string": pd.array(SOME_WORD, dtype="string"),
            "object": pd.Series([1 if i % 2 else w for i, w in enumerate(SOME_WORD)], dtype=object),
            "flags": pd.Series(some(FLAG), dtype=object),
            "category": pd.Categorical(SOME_WORD, CATEGORIES),
            "codes": pd.Categorical(some(CODE)),
            "date": DATES,
            "zoned": DATES.dt.tz_localize("Europe/Vienna"),
            "days": pd.Series(DATES.dt.date, dtype=object),
            "period": DATES.dt.to_period("M"),
            "duration": DATES - DATES[1],
            "empty": np.full(N, np.nan),
            "nothing": pd.Series([None] * N, dtype=object),
        }
    )


MIXED = mixed_frame()
POLARS_X = pl.DataFrame(
    {
        "float": pl.Series(some(NUMBER, GAP)),
        "int": pl.Series(some(CODE)),
        "flag": pl.Series(some(FLAG)),
        "str": pl.Series(some(WORD)),
        "kind": pl.Series(some(WORD), dtype=pl.Categorical),
        "level": pl.Series(some(WORD), dtype=pl.Enum(CATEGORIES)),
        "date": pl.Series(
            DATES.astype(object).where(DATES.notna(), None).tolist(), dtype=pl.Datetime
        ),
        "day": pl.Series(
            DATES.astype(object).where(DATES.notna(), None).tolist(), dtype=pl.Datetime
        ).cast(pl.Date),
        "price": pl.Series(some(CODE)).cast(pl.Decimal(10, 2)),
    }
)
FEATURES = {
    **{f"pandas {name}": MIXED[[name]] for name in MIXED},
    "pandas": MIXED,
    "polars": POLARS_X,
    "pyarrow": POLARS_X.to_arrow(),
    "pandas, arrow types": POLARS_X.to_arrow().to_pandas(types_mapper=pd.ArrowDtype),
    "pandas, sparse": pd.DataFrame.sparse.from_spmatrix(sparse.csr_array(X))
    .assign(w=WORD)
    .rename(columns=str),
    **{
        make.__name__: make(np.where(X > 0, X, 0))
        for make in (
            sparse.csr_matrix,
            sparse.csc_matrix,
            sparse.coo_matrix,
            sparse.csr_array,
            sparse.csc_array,
            sparse.coo_array,
        )
    },
    "array with NaN": np.column_stack([SOME_NUMBER, X]),
    "masked": masked(np.where(X > 1, 1e30, X), X > 1),
    "bool": X > 0,
    "tensor": torch.tensor(X),
    "bfloat16": torch.tensor(X).bfloat16(),
    "objects": OBJECTS,
    "strings": np.column_stack([WORD, WORD]).astype(str),
    "list": X.tolist(),
    "list with words": OBJECTS.tolist(),
}


@pytest.mark.parametrize("features", FEATURES.values(), ids=FEATURES.keys())
def test_features_of_any_container(features):
    model = net().fit(features, Y)
    predicted = model.predict(features)
    assert np.isfinite(predicted["size"]).all()
    assert predicted["word"].isin(["yes", "no"]).all()
    names = getattr(features, "columns", None)
    if isinstance(features, pd.DataFrame | pl.DataFrame):
        assert model.feature_names_in_.tolist() == list(names)
    assert model.n_features_in_ == (
        len(features[0]) if isinstance(features, list) else features.shape[1]
    )


@pytest.mark.parametrize("column", MIXED.columns.drop(["empty", "nothing"]))
def test_features_carry_information(column):
    """A target that is a function of the column is fitted better than by its mean."""
    cells = MIXED[column]
    y = pd.factorize(cells)[0] if cells.nunique() < 5 else cells.rank().fillna(0).to_numpy()
    y = y + 0.5 * (y == y[0]) + 0.25
    model = net(max_epochs=150, lr=0.02, hidden_layer_sizes=(16,), tasks="regression").fit(
        MIXED[[column]], y
    )
    assert model.score(MIXED[[column]], y) > 0.6


SWAPPED = {
    "float": [np.nan] * N,
    "int": [None, 1.5] * (N // 2),
    "bool": pd.array([None, True] * (N // 2), dtype="boolean"),
    "str": ["new"] * N,
    "string": [None] * N,
    "object": [2.5] * N,
    "category": pd.Categorical(["new"] * N),
    "codes": pd.Categorical([np.nan, 7.0] * (N // 2)),
    "date": [None] * N,
    "zoned": pd.Series([pd.NaT] * N).dt.tz_localize("UTC"),
    "duration": [pd.NaT] * N,
    "empty": [1e9] * N,
    "nothing": ["word"] * N,
}


@pytest.mark.parametrize("column", SWAPPED)
def test_new_categories_and_new_gaps_do_not_fail(column):
    model = net().fit(MIXED, Y)
    new = MIXED.assign(**{column: SWAPPED[column]})
    predicted = model.predict(new)
    assert np.isfinite(predicted["size"]).all()
    assert predicted["size"].abs().max() < 100  # nothing unscaled gets through


def test_what_an_empty_column_holds_later_is_ignored():
    model = net().fit(MIXED[["float", "empty"]], Y)
    new = MIXED[["float", "empty"]].assign(empty=1e9)
    pd.testing.assert_frame_equal(model.predict(new), model.predict(MIXED[["float", "empty"]]))


def test_number_in_a_category_reads_the_same_beside_a_missing_cell():
    frame = pd.DataFrame({"code": pd.Categorical(CODE)})
    model = net().fit(frame, Y)
    floats = pd.DataFrame({"code": np.where(np.arange(N) == 0, np.nan, CODE)})
    pd.testing.assert_frame_equal(model.predict(floats)[1:], model.predict(frame)[1:])


def test_masked_features_are_missing():
    gaps = np.where(X > 1, np.nan, X)
    expected = net().fit(gaps, NUMBER).predict(gaps)
    rubbish = masked(np.where(X > 1, 7.0, X), X > 1)
    np.testing.assert_array_equal(net().fit(rubbish, NUMBER).predict(rubbish), expected)


def test_sparse_and_dense_rows_are_read_alike_at_predict():
    model = net().fit(X, NUMBER)
    np.testing.assert_allclose(model.predict(sparse.csr_array(X)), model.predict(X), rtol=1e-6)
    model = net().fit(sparse.csr_array(X), NUMBER)
    np.testing.assert_allclose(model.predict(sparse.csr_array(X)), model.predict(X), rtol=1e-6)


def test_frame_of_another_library_at_predict():
    model = net().fit(POLARS_X, NUMBER)
    np.testing.assert_allclose(model.predict(POLARS_X.to_arrow()), model.predict(POLARS_X))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["b", "a", "c"], "must be in the same order"),
        (["a", "b"], "yet now missing:\n- c"),
        (["a", "b", "c", "d"], "unseen at fit time:\n- d"),
    ],
)
@pytest.mark.parametrize("convert", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas])
def test_columns_are_checked_at_predict(columns, message, convert):
    model = net().fit(convert(FRAME), NUMBER)
    with pytest.raises(ValueError, match=message):
        model.predict(convert(FRAME.assign(d=1.0)[columns]))


def test_array_of_another_width_at_predict_is_an_error():
    with pytest.raises(ValueError, match=r"X has 2 features, but .* is expecting 3 features"):
        net().fit(X, NUMBER).predict(X[:, :2])


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("float", ["x"] * N, f"'float' of X held numbers in fit. Found {WORDS} values such as 'x'"),
        ("float", DATES, "'float' of X held numbers in fit. Found datetime64"),
        ("date", ["x"] * N, f"'date' of X held dates in fit. Found {WORDS} values such as 'x'"),
        ("date", [1.0] * N, "'date' of X held dates in fit. Found float64 values such as 1.0"),
        ("duration", DATES, "'duration' of X held durations in fit"),
    ],
)
def test_column_of_another_kind_at_predict_is_an_error(column, cells, message):
    model = net().fit(MIXED, NUMBER)
    with pytest.raises(ValueError, match=message):
        model.predict(MIXED.assign(**{column: cells}))


@pytest.mark.parametrize("dtype", ["float64", "float32", "Float64", object])
def test_infinite_feature_is_an_error_that_names_the_column(dtype):
    frame = FRAME.assign(b=pd.Series(np.where(GAP, np.inf, NUMBER)).astype(dtype))
    with pytest.raises(ValueError, match="Column 'b' of X contains infinity, in 12 rows"):
        net().fit(frame, NUMBER)


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas])
def test_infinite_feature_in_other_frames(convert):
    with pytest.raises(ValueError, match="Column 'b' of X contains infinity"):
        net().fit(convert(FRAME.assign(b=np.inf)), NUMBER)


def test_infinite_feature_at_predict_is_an_error():
    with pytest.raises(ValueError, match="Column 'b' of X contains infinity"):
        net().fit(FRAME, NUMBER).predict(FRAME.assign(b=np.inf))


def test_doubled_feature_names_are_an_error():
    with pytest.raises(ValueError, match=r"columns of X must have different names.*\['a'\]"):
        net().fit(FRAME.set_axis(["a", "a", "c"], axis=1), NUMBER)


def test_frame_without_columns_is_an_error():
    with pytest.raises(ValueError, match=r"at least one column. Found shape \(60, 0\)"):
        net().fit(FRAME[[]], NUMBER)


def test_features_that_are_no_cells_are_an_error():
    with pytest.raises(TypeError, match=r"Column 'a' of X must hold .* Found \[1, 2\]"):
        net().fit(pd.DataFrame({"a": [[1, 2]] * N}), NUMBER)


def test_without_preprocessing_words_are_an_error_that_names_the_columns():
    with pytest.raises(ValueError, match=r"Columns \['c'\] of X are not numeric"):
        net(preprocess=None).fit(FRAME, NUMBER)


def test_without_preprocessing_missing_values_are_an_error_that_names_the_columns():
    with pytest.raises(ValueError, match=r"contains NaN, in columns \['float'\]"):
        net(preprocess=None).fit(MIXED[["float", "int"]], NUMBER)


def test_without_preprocessing_numbers_pass_as_they_are():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    still = {"max_epochs": 1, "lr": 1e-12, "optimizer": "sgd", "n_bins": 0}
    model = net(preprocess=None, **still).fit(frame, NUMBER)
    standardise = FeatureEncoder(numbers="standard")
    scaled = net(preprocess=standardise, **still).fit(frame, NUMBER)
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    np.testing.assert_allclose(
        model.predict(frame.assign(**dict(zip("abc", standard.T, strict=True)))),
        scaled.predict(frame),
        rtol=1e-4,
        atol=1e-5,
    )


def test_own_transformer_for_preprocessing():
    own = make_column_transformer((StandardScaler(), ["a"]), (OneHotEncoder(), ["c"]))
    model = net(preprocess=own).fit(FRAME, NUMBER)
    changed = FRAME.assign(b=-FRAME["b"])  # which the transformer leaves out
    np.testing.assert_array_equal(model.predict(changed), model.predict(FRAME))
    assert not hasattr(own, "transformers_"), "fitted a copy"
