"""A fit that is killed goes on from its file, to the same bits."""

import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from scipy import sparse
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.utils.fixes import parse_version
from skorch.callbacks import LRScheduler

from skmtl import Checkpoint, MultiTaskNetClassifierRegressor, MultiTaskNetRegressor
from skmtl._documents import FileError
from skmtl._documents._file import write_whole
from skmtl._strategy import strategies
from skmtl.estimators import _checkpoint
from skmtl.export import save
from skmtl.model_selection import MultiTaskGridSearchCV
from skmtl.training import _net
from skmtl.trunks import ModuleTrunk
from skmtl.weighting import MetaBalance, Weighting

RANDOM = np.random.default_rng(0)
X = pd.DataFrame(RANDOM.normal(size=(80, 4)), columns=list("abcd"))
Y = pd.DataFrame(
    {"price": X["a"] + RANDOM.normal(size=80), "sold": np.where(X["b"] > 0, "yes", "no")}
)
NUMBERS = Y[["price"]].assign(other=X["b"] ** 2)


class Killed(BaseException):
    """What a fit does not survive."""


def estimator(kind=MultiTaskNetClassifierRegressor, **params):
    defaults = {"hidden_layer_sizes": (6,), "max_epochs": 9, "random_state": 0, "n_members": 2}
    return kind(**defaults | params)


@pytest.fixture
def dies(monkeypatch):
    """Have every fit die once it has written its file so many times."""
    write = _checkpoint.Run._write

    def set_up(after):
        written = []

        def write_and_die(self, training):
            write(self, training)
            written.append(self)
            if len(written) == after:
                raise Killed

        monkeypatch.setattr(_checkpoint.Run, "_write", write_and_die)

    yield set_up
    monkeypatch.undo()


def resumed(make, dies, after=3, y=Y):
    """Fit until a fit comes to its end; return the estimator and how many died."""
    for n_died in range(100):
        est = make()
        dies(after)
        try:
            return est.fit(X, y), n_died
        except Killed:
            assert not hasattr(est, "net_")
    raise AssertionError("No fit came to its end.")


def assert_same(est, again):
    for one, other in zip(
        est.net_.module_.state_dict().values(),
        again.net_.module_.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(one, other)
    pd.testing.assert_frame_equal(est.history_, again.history_, check_exact=True)
    pd.testing.assert_frame_equal(est.task_weights_, again.task_weights_, check_exact=True)
    assert est.best_epoch_ == again.best_epoch_
    assert est.predict(X).equals(again.predict(X))


CASES = {
    "default": {},
    "no early stopping": {"early_stopping": False},
    "stops early": {"n_iter_no_change": 2, "max_epochs": 40, "lr": 0.1},
    "dropout": {"dropout": 0.2, "early_stopping": False},
    "no averages": {"ema_decay": 0.0},
    "one": {"n_members": 1},
    "sgd": {"optimizer": "sgd", "lr": 0.01},
    "adam of torch": {"optimizer": torch.optim.Adam},
    "independent": {"sharing": "independent"},
    "experts": {"sharing": "mmoe"},
    "candidates": {"preset": "best", "max_epochs": 4},
    "auto": {"sharing": "auto", "max_epochs": 4},
    "calibrated": {"calibration": "temperature", "class_weight": "balanced"},
    "float64": {"dtype": "float64"},
}


@pytest.mark.parametrize("name", CASES)
def test_a_fit_that_died_ends_as_one_that_did_not(name, dies, tmp_path):
    checkpoint = Checkpoint(tmp_path / "fit", every=2)
    est = estimator(**CASES[name]).fit(X, Y)
    again, n_died = resumed(lambda: estimator(**CASES[name], checkpoint=checkpoint), dies)
    assert n_died >= 2
    assert_same(est, again)
    if est._conformity is not None:
        np.testing.assert_equal(again.predict_interval(X), est.predict_interval(X))
    # And what comes after it: the optimiser is as it was.
    again.set_params(checkpoint=None)
    if "best" not in CASES[name].values() and "auto" not in CASES[name].values():
        for each in (est, again):
            if each.class_weight is None:
                each.partial_fit(X, Y)
        assert est.predict(X).equals(again.predict(X))


@pytest.mark.parametrize("alias", sorted(strategies(Weighting).keys() - {"torchjd"}))
def test_what_every_weighting_has_learnt_is_kept(alias, dies, tmp_path):
    weighting = strategies(Weighting)[alias](**strategies(Weighting)[alias].test_params()[0])
    weighting = {
        "fixed": {"price": 2.0, "other": 1.0},
        "metabalance": MetaBalance(main="price"),
    }.get(alias, weighting)
    params = {"loss_weights": weighting, "n_members": 1, "early_stopping": False}
    est = estimator(MultiTaskNetRegressor, **params).fit(X, NUMBERS)
    checkpoint = Checkpoint(tmp_path / "fit", every=3)
    again, n_died = resumed(
        lambda: estimator(MultiTaskNetRegressor, **params, checkpoint=checkpoint), dies, 2, NUMBERS
    )
    assert n_died >= 2
    assert_same(est, again)


def test_a_fit_that_came_to_its_end_is_only_read(tmp_path, monkeypatch):
    params = {"checkpoint": tmp_path / "fit", "max_epochs": 12}
    est = estimator(**params).fit(X, Y)
    monkeypatch.setattr("skmtl.training._net.train_epoch", None)
    again = estimator(**params).fit(X, Y)
    assert_same(est, again)
    assert [file.name for file in tmp_path.iterdir()] == ["fit"]


def test_a_file_is_written_every_so_many_epochs(tmp_path, monkeypatch):
    lengths = []
    monkeypatch.setattr(
        _checkpoint.Run,
        "_write",
        lambda _, training: lengths.append(training and len(training.net.history)),
    )
    params = {"max_epochs": 7, "early_stopping": False}
    estimator(checkpoint=Checkpoint(tmp_path / "fit", every=3), **params).fit(X, Y)
    assert lengths == [0, 3, 6, None]
    lengths.clear()
    estimator(checkpoint=str(tmp_path / "fit"), **params | {"max_epochs": 21}).fit(X, Y)
    assert lengths == [0, 10, 20, None]


DIFFERENCES = {
    "X": lambda est: est.fit(X + 1, Y),
    "y": lambda est: est.fit(X, Y.assign(price=0.5)),
    "sample_weight": lambda est: est.fit(X, Y, np.ones(80)),
    "groups": lambda est: est.fit(X, Y, groups=np.arange(80) // 2),
    "X_val": lambda est: est.fit(X, Y, X_val=X, y_val=Y),
    "parameter `lr` (0.003 then, 0.5 now)": lambda est: est.set_params(lr=0.5).fit(X, Y),
    "parameter `random_state` (0 then, 1 now)": lambda est: est.set_params(random_state=1).fit(
        X, Y
    ),
    "parameter `loss_weights`": lambda est: est.set_params(loss_weights="uncertainty").fit(X, Y),
    "parameter `hidden_layer_sizes`": lambda est: est.set_params(hidden_layer_sizes=(3,)).fit(X, Y),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_checkpoint_of_another_fit_is_refused(name, tmp_path):
    path = tmp_path / "fit"
    est = estimator(checkpoint=path, max_epochs=2).fit(X, Y)
    before, content = est.predict(X), path.read_bytes()
    with pytest.raises(ValueError, match="is of another fit, which differs in") as caught:
        DIFFERENCES[name](est)
    assert f"differs in {name}" in str(caught.value)
    assert path.read_bytes() == content
    assert est.predict(X).equals(before)


def test_other_versions_and_classes_are_refused(tmp_path, monkeypatch):
    params = {"checkpoint": tmp_path / "fit", "max_epochs": 2}
    estimator(MultiTaskNetRegressor, **params).fit(X, NUMBERS)
    with pytest.raises(ValueError, match="differs in the estimator"):
        estimator(**params).fit(X, NUMBERS)
    monkeypatch.setattr(_checkpoint, "version", lambda name: "0.1" if name == "torch" else "9")
    with pytest.raises(ValueError, match="differs in the version of"):
        estimator(MultiTaskNetRegressor, **params).fit(X, NUMBERS)


def test_what_does_not_matter_may_change(tmp_path):
    path = tmp_path / "fit"
    est = estimator(checkpoint=path).fit(X, Y)
    again = estimator(checkpoint=Checkpoint(str(path), every=3), verbose=0, warm_start=True)
    assert_same(est, again.fit(X.copy(), Y.copy()))


@pytest.mark.parametrize(
    "change",
    [
        np.asarray,
        lambda X: X.to_numpy(np.float32),
        pl.from_pandas,
        sparse.csr_array,
        lambda X: torch.tensor(X.to_numpy()),
        lambda X: torch.tensor(X.to_numpy()).bfloat16(),
        lambda X: X.assign(word=["a", None] * 40, when=pd.Timestamp("2020-01-01")),
    ],
)
def test_features_of_any_kind_are_told_apart(change, tmp_path):
    features = change(X)
    params = {"checkpoint": tmp_path / "fit", "max_epochs": 2}
    est = estimator(**params).fit(features, Y)
    assert est.predict(features).equals(estimator(**params).fit(change(X), Y).predict(features))
    with pytest.raises(ValueError, match="differs in X"):
        estimator(**params).fit(change(X * 2), Y)


def test_what_a_sparse_matrix_has_looked_at_does_not_matter(tmp_path):
    rows = sparse.csr_array(X.to_numpy())
    params = {"checkpoint": tmp_path / "fit", "max_epochs": 2}
    estimator(**params).fit(rows, Y)
    assert rows.has_canonical_format  # notes so in the matrix
    estimator(**params).fit(rows, Y)


@pytest.mark.parametrize("change", [{"categories": ["no", "yes"]}, {"ordered": True}])
def test_the_order_of_categories_is_told_apart(change, tmp_path):
    """It is that of the classes: a net of the other order would predict the wrong ones."""

    def labels(categories=("yes", "no"), ordered=False):
        return pd.DataFrame({"sold": pd.Categorical(Y["sold"], categories, ordered)})

    params = {"checkpoint": tmp_path / "fit", "max_epochs": 2}
    estimator(**params).fit(X, labels())
    estimator(**params).fit(X, labels())
    with pytest.raises(ValueError, match="differs in y"):
        estimator(**params).fit(X, labels(**change))


def test_targets_are_told_apart_by_their_order_and_their_gaps(tmp_path):
    a, b = np.arange(80.0), np.arange(80.0) ** 2
    params = {"checkpoint": tmp_path / "keys", "max_epochs": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dicts, which only `fit` reads
        estimator(**params).fit(X, {"a": a, "b": b})
        with pytest.raises(ValueError, match="differs in y"):
            estimator(**params).fit(X, {"b": b, "a": a})
    params["checkpoint"] = tmp_path / "masks"
    estimator(**params).fit(X, np.ma.array(a, mask=a > 40))
    with pytest.raises(ValueError, match="differs in y"):
        estimator(**params).fit(X, np.ma.array(a, mask=a < 0))


def test_functions_are_told_apart_by_what_they_do(tmp_path):
    def trunk(width):
        return ModuleTrunk(lambda: torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU()))

    params = {
        "checkpoint": tmp_path / "fit",
        "max_epochs": 2,
        "random_state": 0,
        "preprocess": None,
    }
    MultiTaskNetClassifierRegressor(**params, trunk=trunk(8)).fit(X, Y)
    MultiTaskNetClassifierRegressor(**params, trunk=trunk(8)).fit(X, Y)
    with pytest.raises(ValueError, match="differs in parameter `trunk`"):
        MultiTaskNetClassifierRegressor(**params, trunk=trunk(16)).fit(X, Y)


class Ends:
    """Of scikit-learn's kind; ends a fit after its first epoch."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, **kwargs):
        return True


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")  # of a single epoch
@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="scikit-learn has callbacks from 1.9 on",
)
def test_a_fit_that_a_callback_has_ended_is_not_taken_for_a_whole_one(tmp_path):
    params = {"checkpoint": tmp_path / "fit", "max_epochs": 5}
    assert estimator(**params, callbacks=[Ends()]).fit(X, Y).n_iter_ == 1
    with pytest.raises(ValueError, match=r"differs in parameter `callbacks` \(\['Ends'\] then"):
        estimator(**params).fit(X, Y)


def test_a_module_that_draws_from_the_global_generator_is_refused(tmp_path):
    def trunk(p, draws=torch.nn.Dropout):
        return ModuleTrunk(lambda: torch.nn.Sequential(torch.nn.Linear(4, 8), draws(p)))

    params = {
        "checkpoint": tmp_path / "fit",
        "max_epochs": 2,
        "random_state": 0,
        "preprocess": None,
    }
    with pytest.raises(ValueError, match="cannot go on with torch's Dropout"):
        MultiTaskNetClassifierRegressor(**params, trunk=trunk(0.5)).fit(X, Y)
    with pytest.raises(ValueError, match="cannot go on with torch's RReLU"):
        MultiTaskNetClassifierRegressor(**params, trunk=trunk(0.1, torch.nn.RReLU)).fit(X, Y)
    assert list(tmp_path.iterdir()) == []
    MultiTaskNetClassifierRegressor(**params, trunk=trunk(0.0)).fit(X, Y)


def test_memory_that_does_not_suffice_is_halved_with_a_checkpoint_too(tmp_path, monkeypatch):
    train, sizes = _net.train_epoch, []

    def small(network, objective, optimizer, batches, *rest):
        sizes.append(batches.batch_size)
        if batches.batch_size > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return train(network, objective, optimizer, batches, *rest)

    monkeypatch.setattr(_net, "train_epoch", small)
    params = {"batch_size": "halving", "max_epochs": 2, "early_stopping": False}
    with (
        pytest.warns(UserWarning, match="Fitting anew with `batch_size = 16`"),
        pytest.warns(UserWarning, match="Fitting anew with `batch_size = 8`"),
    ):
        est = estimator(checkpoint=tmp_path / "fit", **params).fit(X, Y)
    assert sizes == [32, 16, 8, 8]
    monkeypatch.undo()
    assert_same(est, estimator(**{**params, "batch_size": 8}).fit(X, Y))


def test_other_files_are_left_alone(tmp_path):
    path = tmp_path / "model"
    est = estimator(max_epochs=2).fit(X, Y)
    save(est, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"is no checkpoint\. Choose another"):
        estimator(checkpoint=path).fit(X, Y)
    assert path.read_bytes() == before
    path.write_text("notes")
    with pytest.raises(FileError, match=r"Delete the file to fit from the start"):
        estimator(checkpoint=path).fit(X, Y)
    assert path.read_text() == "notes"


def test_what_was_left_of_a_file_is_removed(tmp_path):
    """But not what a process writes that lives, such as our parent."""
    names = {f".fit.{pid}.1a2b.part" for pid in (99_999_999, os.getppid())}
    for name in names:
        (tmp_path / name).write_bytes(b"half")
    estimator(checkpoint=tmp_path / "fit", max_epochs=2).fit(X, Y)
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {"fit", f".fit.{os.getppid()}.1a2b.part"}


def test_threads_that_write_one_file_do_not_get_in_each_others_way(tmp_path):
    path, contents = tmp_path / "fit", [bytes([k]) * 100_000 for k in range(4)]

    def write(content):
        for _ in range(40):
            write_whole(path, content)
            seen = path.read_bytes()
            assert len(seen) == 100_000
            assert len(set(seen)) == 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, contents))
    assert [file.name for file in tmp_path.iterdir()] == ["fit"]


def test_what_cannot_be_resumed_is_refused_before_training(tmp_path):
    est = estimator(checkpoint=tmp_path / "fit", max_epochs=2)
    with pytest.raises(ValueError, match="needs a whole number as `random_state`"):
        estimator(checkpoint=tmp_path / "fit", random_state=None).fit(X, Y)
    with pytest.raises(ValueError, match="cannot go on with callbacks of skorch"):
        estimator(checkpoint=tmp_path / "fit", callbacks=[LRScheduler()]).fit(X, Y)
    for checkpoint in (3, Checkpoint(None)):
        with pytest.raises(TypeError, match="must be None, a path or"):
            estimator(checkpoint=checkpoint).fit(X, Y)
    for every in (0, 1.5, "a"):
        with pytest.raises(ValueError, match="`every` of a Checkpoint"):
            estimator(checkpoint=Checkpoint("a", every=every)).fit(X, Y)
    with pytest.raises(ValueError, match="is for a `fit` from the start"):
        est.partial_fit(X, Y)
    est.set_params(warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match=r"use `skmtl.export.save"):
        est.fit(X, Y)


class OwnModule(torch.nn.Linear):
    """Of a class that no file can name."""

    def __init__(self):
        super().__init__(4, 3)


def test_a_network_that_a_file_cannot_hold_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("skmtl.training._net.train_epoch", None)
    est = MultiTaskNetRegressor(
        trunk=ModuleTrunk(OwnModule),
        preprocess=None,
        random_state=0,
        checkpoint=tmp_path / "fit",
    )
    with pytest.raises(TypeError, match="OwnModule"):
        est.fit(X.to_numpy(), NUMBERS)
    assert not hasattr(est, "net_")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("search", [GridSearchCV, MultiTaskGridSearchCV])
def test_searches_go_on_in_a_folder(search, dies, tmp_path):
    grid = {"lr": [0.01, 0.1], "sharing": ["hard", "independent"]}
    cv = KFold(2, shuffle=True, random_state=0)

    def make(folder):
        return search(estimator(max_epochs=4, checkpoint=f"{folder}/"), grid, cv=cv)

    whole = make(tmp_path / "whole").fit(X, Y)
    again, n_died = resumed(lambda: make(tmp_path / "died"), dies, 7)
    assert n_died >= 2
    assert_same(whole.best_estimator_, again.best_estimator_)
    for name in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_array_equal(whole.cv_results_[name], again.cv_results_[name])
    names = [sorted(file.name for file in folder.iterdir()) for folder in tmp_path.iterdir()]
    assert names[0] == names[1]
    assert len(names[0]) == 9


def test_processes_share_a_folder(tmp_path):
    est = estimator(max_epochs=3)
    alone = cross_val_score(est, X, Y, cv=3)
    est.set_params(checkpoint=tmp_path)
    for _ in range(2):
        np.testing.assert_array_equal(cross_val_score(est, X, Y, cv=3, n_jobs=2), alone)
    assert len(list(tmp_path.iterdir())) == 3


KILLS = Path(__file__).parent / "kill_fits.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_fits_and_searches_that_are_killed_at_random_moments(tmp_path):
    """SIGKILL, 50 times: the results are those of a fit that nobody killed."""
    command = [sys.executable, "-W", "ignore", str(KILLS), str(tmp_path), "50"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kills"] >= 50
    assert told["kills while files were there"] >= 25
    assert told["fits"] >= 3
    assert told["differences"] == []
