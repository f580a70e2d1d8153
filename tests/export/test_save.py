"""What a file keeps: everything that an estimator says and does."""

import copy
import warnings
from inspect import signature

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    StandardScaler,
    TargetEncoder,
)
from skorch.callbacks import LRScheduler

from skmtl import MultiTaskNetClassifier, MultiTaskNetClassifierRegressor, MultiTaskNetRegressor
from skmtl._documents._known import _SKLEARN
from skmtl._strategy import strategies
from skmtl.export import load, save
from skmtl.penalties import Penalty
from skmtl.sharing import Sharing
from skmtl.tasks import Task
from skmtl.trunks import CNN, MLP, ModuleTrunk, ResNet, TabM
from skmtl.weighting import MetaBalance, Weighting


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "number": rng.normal(size=60),
            "gap": np.where(rng.random(60) < 0.2, np.nan, rng.normal(size=60)),
            "word": rng.choice(["a", "b", None], 60),
            "when": pd.date_range("2024-01-01", periods=60),
            "grade": pd.Categorical(rng.choice(["x", "y"], 60)),
        }
    )
    Y = pd.DataFrame(
        {
            "price": X["number"] * 3 + 1,
            "sold": np.where(X["number"] > 0, "yes", "no"),
            "colour": pd.Categorical(rng.choice(["r", "g", "b"], 60)),
            "whole": pd.array(rng.integers(0, 2, 60), dtype="Int64"),
        }
    )
    return X, Y.mask(rng.random(Y.shape) < 0.2)


def small(kind=MultiTaskNetClassifierRegressor, **params):
    defaults = {"hidden_layer_sizes": (6,), "max_epochs": 2, "n_members": 2, "random_state": 0}
    return kind(**defaults | params)


def plain(kind=MultiTaskNetClassifierRegressor, **params):
    """An estimator whose trunk has parameters of its own."""
    return kind(**{"max_epochs": 2, "random_state": 0} | params)


def through_file(est, folder, **options):
    path = folder / "model.skmtl"
    save(est, path, **options)
    return load(path)


def same(first, second):
    """Compare frames, arrays, and dicts or lists of them, bit for bit."""
    if isinstance(first, dict):
        assert list(first) == list(second)
        for name in first:
            same(first[name], second[name])
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            same(one, other)
    elif isinstance(first, pd.DataFrame | pd.Series):
        assert first.equals(second)
        assert str(first.dtypes) == str(second.dtypes)
    else:
        np.testing.assert_array_equal(np.asarray(first), np.asarray(second))
        assert type(first) is type(second)


def same_estimators(est, again, X, Y):
    assert type(again) is type(est)
    if not isinstance(est.random_state, np.random.RandomState):
        assert repr(again) == repr(est)
    same(est.predict(X), again.predict(X))
    same(est.history_, again.history_)
    same(est.task_weights_, again.task_weights_)
    assert est.score(X, Y) == again.score(X, Y)


def cases(base):
    return [
        pytest.param(cls, params, id=f"{alias}-{params}")
        for alias, cls in sorted(strategies(base).items())
        for params in cls.test_params()[:2]
    ]


@pytest.mark.parametrize(("cls", "params"), cases(Sharing))
def test_every_way_to_share(cls, params, table, tmp_path):
    X, Y = table
    numbers = Y[["price", "whole"]].astype(float).assign(third=Y["price"] - 1, fourth=Y["price"])
    est = small(MultiTaskNetRegressor, sharing=cls(**params)).fit(X, numbers)
    again = through_file(est, tmp_path)
    same_estimators(est, again, X, numbers)


@pytest.mark.parametrize("alias", sorted(strategies(Weighting).keys() - {"torchjd"}))
def test_every_weighting(alias, table, tmp_path):
    X, Y = table
    numbers = Y[["price"]].assign(other=Y["price"] ** 2)
    weighting = strategies(Weighting)[alias]
    weights = weighting(**weighting.test_params()[0])
    est = small(MultiTaskNetRegressor, loss_weights=weights, n_members=1)
    if alias in {"fixed", "metabalance"}:  # which name tasks
        named = {"fixed": {"price": 2.0, "other": 1.0}, "metabalance": MetaBalance(main="price")}
        est.set_params(loss_weights=named[alias])
    est.fit(X, numbers)
    again = through_file(est, tmp_path, include_optimizer=True)
    same_estimators(est, again, X, numbers)
    # Also what a method has learnt of the tasks: both go on alike.
    same(est.partial_fit(X, numbers).predict(X), again.partial_fit(X, numbers).predict(X))


@pytest.mark.parametrize("alias", sorted(strategies(Penalty)))
def test_every_penalty(alias, table, tmp_path):
    X, Y = table
    numbers = Y[["price"]].assign(other=Y["price"] ** 2)
    est = small(MultiTaskNetRegressor, penalty=alias, n_bins=0).fit(X, numbers)
    same_estimators(est, through_file(est, tmp_path), X, numbers)


TRUNKS = {
    "resnet": ResNet(n_blocks=1, width=6),
    "tabm": TabM((6,), k=3),
    "periodic": MLP((6,), num_embeddings="periodic"),
    "bins": MLP((6,), num_embeddings="piecewise_linear", cat_embeddings=2),
}


@pytest.mark.parametrize("name", TRUNKS)
def test_trunks(name, table, tmp_path):
    X, Y = table
    est = plain(trunk=TRUNKS[name], n_members=1).fit(X, Y)
    same_estimators(est, through_file(est, tmp_path), X, Y)


def test_images(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 1, 8, 8))
    y = X.mean((1, 2, 3))
    est = plain(MultiTaskNetRegressor, trunk=CNN(), n_members=1).fit(X, y)
    again = through_file(est, tmp_path)
    np.testing.assert_array_equal(again.predict(X), est.predict(X))


@pytest.mark.parametrize(
    "params",
    [
        {"dropout": 0.2},
        {"head_layer_sizes": (4,)},
        {"optimizer": "sgd", "lr": 0.01},
        {"optimizer": torch.optim.RMSprop, "activation": torch.nn.GELU},
        {"class_weight": "balanced", "calibration": "temperature"},
        {"sharing": "auto", "n_members": "auto"},
        {"preset": "best"},
        {"dtype": "float64", "ema_decay": 0.5},
        {"random_state": np.random.RandomState(3)},
        {"net_params": {"optimizer__eps": 1e-6}},
        {"loss_weights": {"price": 2.0, "sold": np.float64(0.5), "colour": 1, "whole": 1}},
    ],
    ids=lambda params: next(iter(params)),
)
def test_parameters(params, table, tmp_path):
    X, Y = table
    est = small(**params).fit(X, Y)
    again = through_file(est, tmp_path)
    same_estimators(est, again, X, Y)
    same(est.predict_proba(X), again.predict_proba(X))
    same(est.predict_interval(X), again.predict_interval(X))
    same(est.predict_set(X, joint=True), again.predict_set(X, joint=True))
    assert again.best_epoch_ == est.best_epoch_
    assert again.n_members_ == est.n_members_
    assert list(again.feature_names_in_) == list(est.feature_names_in_)
    assert again.tasks_ == est.tasks_


def test_kinds_of_task(table, tmp_path):
    X, _ = table
    rng = np.random.default_rng(0)
    Y = pd.DataFrame(rng.integers(0, 3, (60, 7)), columns=list("abcdefg"))
    Y[["d", "e"]] = rng.integers(0, 2, (60, 2))
    tasks = [
        Task("v", "regression", columns=["a", "b"], loss="huber"),
        Task("c", "quantile", quantiles=(0.1, 0.5, 0.9)),
        Task("m", "multilabel", columns=["d", "e"]),
        Task("f", "count"),
        Task("g", "ordinal"),
    ]
    est = small(tasks=tasks).fit(X, Y)
    again = through_file(est, tmp_path)
    same_estimators(est, again, X, Y)
    same(est.predict_quantiles(X), again.predict_quantiles(X))


CONTAINERS = {
    "frame": lambda Y: Y,
    "objects": lambda Y: Y.astype(object),
    "arrow strings": lambda Y: Y.assign(sold=Y["sold"].astype("string[python]")),
    "nullable": lambda Y: Y.assign(price=Y["price"].astype("Float32")),
    "array of objects": lambda Y: Y.astype(object).to_numpy(),
    "rows": lambda Y: Y.astype(object).where(Y.notna(), None).to_numpy().tolist(),
    "records": lambda Y: Y[["price"]].to_records(index=False),
    "polars": pl.from_pandas,
    "polars, enum": lambda Y: pl.from_pandas(Y).cast({"colour": pl.Enum(["r", "g", "b"])}),
    "polars series": lambda Y: pl.from_pandas(Y)["price"],
    "pyarrow": pa.Table.from_pandas,
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_of_y(name, table, tmp_path):
    X, Y = table
    y = CONTAINERS[name](Y)
    est = small().fit(X, y)
    again = through_file(est, tmp_path)
    prediction, other = est.predict(X), again.predict(X)
    if name.startswith(("polars", "pyarrow")):
        assert prediction.equals(other)
        assert getattr(prediction, "schema", None) == getattr(other, "schema", None)
    else:
        same(prediction, other)


@pytest.mark.parametrize("kind", [MultiTaskNetRegressor, MultiTaskNetClassifier])
def test_single_targets_and_arrays(kind, tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    for y in (X[:, 0].round(), torch.tensor(X[:, 0] > 0).long()):
        est = small(kind).fit(sparse.csr_array(X), y)
        again = through_file(est, tmp_path)
        prediction, other = est.predict(X), again.predict(X)
        assert type(prediction) is type(other)
        assert prediction.dtype == other.dtype
        np.testing.assert_array_equal(np.asarray(prediction), np.asarray(other))


def test_training_goes_on_as_if_there_had_been_no_file(table, tmp_path):
    X, Y = table
    est = small(dropout=0.2, loss_weights="uncertainty", max_epochs=3).fit(X, Y)
    again = through_file(est, tmp_path, include_optimizer=True)
    for each in (est, again):
        each.set_params(warm_start=True, max_epochs=2).fit(X, Y)
        each.partial_fit(X, Y)
    same_estimators(est, again, X, Y)
    without = through_file(small(dropout=0.2).fit(X, Y), tmp_path)
    assert without.net_.optimizer_.state_dict()["state"] == {}


def test_a_file_with_the_optimizer_is_larger(table, tmp_path):
    est = small(hidden_layer_sizes=(200,)).fit(*table)
    save(est, tmp_path / "a")
    save(est, tmp_path / "b", include_optimizer=True)
    assert (tmp_path / "b").stat().st_size > 2 * (tmp_path / "a").stat().st_size


def test_pipelines(table, tmp_path):
    X, Y = table
    encode = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["number", "gap"]),
        (OneHotEncoder(handle_unknown="ignore"), ["word"]),
    )
    pipeline = make_pipeline(encode, PCA(2), small(preprocess=StandardScaler())).fit(X, Y)
    again = through_file(pipeline, tmp_path)
    same(pipeline.predict(X), again.predict(X))
    assert list(again.named_steps) == list(pipeline.named_steps)


def test_columns_that_are_selected_by_their_type(table, tmp_path):
    X, Y = table
    encode = make_column_transformer(
        (SimpleImputer(), make_column_selector(dtype_include=np.number)),
        (OneHotEncoder(), make_column_selector("word", dtype_exclude="number")),
    )
    rest = make_column_transformer(
        (OneHotEncoder(), make_column_selector("word", dtype_exclude="number")),
        remainder="passthrough",
    )
    for front in (rest, encode):
        pipeline = make_pipeline(front, small()).fit(X, Y)
        again = through_file(pipeline, tmp_path)
        same(pipeline.predict(X), again.predict(X))
    same(again.fit(X, Y).predict(X), pipeline.predict(X))  # the selectors still select


WORDS = {DictVectorizer, FeatureHasher, CountVectorizer, HashingVectorizer, TfidfVectorizer}
WHOLE = {ColumnTransformer, FeatureUnion, Pipeline, TfidfTransformer, MissingIndicator}
WHOLE |= {make_column_selector}


@pytest.mark.parametrize("step", sorted(set(_SKLEARN) - WHOLE, key=lambda cls: cls.__name__))
@pytest.mark.filterwarnings("ignore:Bins whose width")  # of KBinsDiscretizer
def test_every_transformer_that_is_listed(step, table, tmp_path):
    _, Y = table
    rng = np.random.default_rng(0)
    if step in WORDS:
        words = rng.choice(["red", "green", "blue house"], 60)
        X = [{word: 1} for word in words] if "text" not in step.__module__ else list(words)
    else:
        X = rng.random((60, 4))
    params = {"n_components": 2} if "n_components" in signature(step).parameters else {}
    params |= {"n_features": 8} if "n_features" in signature(step).parameters else {}
    params |= {"n_quantiles": 9} if "n_quantiles" in signature(step).parameters else {}
    y = Y["price"].fillna(0.0) if step is TargetEncoder else Y
    pipeline = make_pipeline(step(**params), small(preprocess=None)).fit(X, y)
    again = through_file(pipeline, tmp_path)
    if step is IncrementalPCA:  # its components are a part of an array, and products go by that
        np.testing.assert_allclose(pipeline[:-1].transform(X), again[:-1].transform(X), atol=1e-15)
        X = pipeline[:-1].transform(X)
        pipeline, again = pipeline[-1], again[-1]
    same(pipeline.predict(X), again.predict(X))


def test_steps_of_steps(table, tmp_path):
    _, Y = table
    X = list(np.random.default_rng(0).choice(["red", "green", "blue house"], 60))
    union = FeatureUnion(
        [("words", TfidfVectorizer()), ("letters", CountVectorizer(analyzer="char"))]
    )
    pipeline = make_pipeline(union, TfidfTransformer(), TruncatedSVD(3), small()).fit(X, Y)
    same(pipeline.predict(X), through_file(pipeline, tmp_path).predict(X))


def test_weights_are_shown_by_any_tool_for_safetensors(table, tmp_path):
    from safetensors.numpy import load_file

    est = small().fit(*table)
    save(est, tmp_path / "model")
    arrays = load_file(tmp_path / "model")
    weight = est.net_.module_.heads.output.weight.detach().numpy()
    assert any(np.array_equal(array, weight) for array in arrays.values())
    assert any("heads" in name and "weight" in name for name in arrays)


def test_loading_takes_no_memory_from_the_file(table, tmp_path):
    """What is loaded is the estimator's own: it can be trained, and the file deleted."""
    X, Y = table
    again = through_file(small().fit(X, Y), tmp_path)
    (tmp_path / "model.skmtl").unlink()
    before = again.predict(X)
    again.partial_fit(X, Y)
    assert not before.equals(again.predict(X))


def test_the_global_generators_stay(table, tmp_path):
    est = small().fit(*table)
    save(est, tmp_path / "model")
    states = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002 - it is asked
    load(tmp_path / "model")
    np.testing.assert_array_equal(states[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(states[1], torch.get_rng_state())


class OwnModule(torch.nn.Linear):
    def __init__(self):
        super().__init__(3, 4)


def refused(est, folder, named):
    with pytest.raises(TypeError, match=f"`.*{named}.*` cannot be saved") as caught:
        save(est, folder / "model")
    assert list(folder.iterdir()) == []
    return str(caught.value)


def test_what_cannot_be_saved_is_named(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 3))
    est = plain(MultiTaskNetRegressor, trunk=ModuleTrunk(OwnModule), preprocess=None)
    assert "OwnModule" in refused(est.fit(X, X[:, :2]), tmp_path, "trunk")
    est = small(MultiTaskNetRegressor).fit(X, X[:, :2])
    for params, named in (
        ({"callbacks": [LRScheduler()]}, "callbacks.0"),
        ({"net_params": {"iterator_train__batch_size": 5}}, "net_params.iterator_train"),
        ({"class_weight": {"y0": np.longdouble(2)}}, "class_weight.y0"),
        ({"preprocess": FunctionTransformer(np.abs)}, "preprocess"),
        ({"optimizer": type("Own", (torch.optim.SGD,), {})}, "optimizer"),
        ({"loss_weights": pd.Series([1.0, 2.0])}, "loss_weights"),
    ):
        refused(copy.deepcopy(est).set_params(**params), tmp_path, named)


def test_a_network_with_hooks_cannot_be_saved(table, tmp_path):
    est = small().fit(*table)
    est.net_.module_.heads.register_forward_hook(print)
    assert "hooks" in refused(est, tmp_path, "module")


def test_what_is_no_fitted_estimator(tmp_path):
    with pytest.raises(NotFittedError):
        save(small(), tmp_path / "model")
    with pytest.raises(TypeError, match="an estimator of skmtl"):
        save(StandardScaler(), tmp_path / "model")


def test_an_older_file_stays_until_the_new_one_is_complete(table, tmp_path, monkeypatch):
    X, Y = table
    path = tmp_path / "model"
    est = small().fit(X, Y)
    save(est, path)
    monkeypatch.setattr("skmtl._documents._file.os.fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(small(random_state=1).fit(X, Y), path)
    same(load(path).predict(X), est.predict(X))
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_what_joblib_keeps_and_a_file_does_not(table, tmp_path):
    """Pickle keeps functions and the optimiser too; both predict alike."""
    X, Y = table
    est = small().fit(X, Y)
    joblib.dump(est, tmp_path / "pickle")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickled = joblib.load(tmp_path / "pickle")
        saved = through_file(est, tmp_path)
    same(pickled.predict(X), saved.predict(X))
    assert pickled.net_.optimizer_.state_dict()["state"]
    assert not saved.net_.optimizer_.state_dict()["state"]


def test_a_model_of_cuda_loads_where_there_is_none(table, tmp_path):
    X, Y = table
    est = small(device="cpu").fit(X, Y)
    est.device = "auto"
    assert through_file(est, tmp_path).device == "auto"
    save(est, tmp_path / "model")
    assert load(tmp_path / "model", device="cpu").device == "cpu"
    with pytest.raises(ValueError, match="device"):
        load(tmp_path / "model", device="nowhere")


def test_a_folder_that_is_not_there_is_named(table, tmp_path):
    est = small().fit(*table)
    with pytest.raises(FileNotFoundError, match=r"There is no folder '.*/none' to write 'model'"):
        save(est, tmp_path / "none" / "model")


@pytest.mark.parametrize(
    ("changed", "include_optimizer"),
    [
        ({"optimizer": "sgd"}, False),
        ({"net_params": {"optimizer__momentum": 0.9}}, False),
        ({"weight_decay": 0.1}, True),
    ],
    ids=str,
)
def test_an_optimizer_that_the_net_was_not_built_with_is_told(tmp_path, changed, include_optimizer):
    """A file of it could not be read."""
    X = np.random.default_rng(0).normal(size=(30, 2))
    est = MultiTaskNetRegressor(max_epochs=1, random_state=0).fit(X, X).set_params(**changed)
    with pytest.raises(ValueError, match=f"which was built with `{next(iter(changed))} ="):
        save(est, tmp_path / "a", include_optimizer=include_optimizer)
    assert not (tmp_path / "a").exists()


def test_a_net_with_lbfgs_goes_on_in_memory_and_from_a_file(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3))
    est = MultiTaskNetRegressor(
        optimizer=torch.optim.LBFGS, lr=0.1, batch_size=-1, max_epochs=2, random_state=0,
        n_members=1, early_stopping=False, warm_start=True,
    ).fit(X, X[:, :2])  # fmt: skip
    save(est, tmp_path / "a", include_optimizer=True)
    again = load(tmp_path / "a").fit(X, X[:, :2])
    np.testing.assert_array_equal(again.predict(X), est.fit(X, X[:, :2]).predict(X))
    whole = clone(est).set_params(max_epochs=4).fit(X, X[:, :2])
    np.testing.assert_allclose(est.predict(X), whole.predict(X), rtol=1e-5)
