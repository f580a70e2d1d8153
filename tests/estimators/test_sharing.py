"""Sharing schemes and trunks through the estimators."""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn

from skmtl import MultiTaskNetClassifierRegressor, MultiTaskNetRegressor
from skmtl._strategy import strategies
from skmtl.estimators._fitting import on_device
from skmtl.estimators._rows import read_rows
from skmtl.penalties import L2
from skmtl.sharing import Chain, Grouped, Hard, MMoE, Sharing, Soft
from skmtl.training import BatchIterator, DivergedError
from skmtl.trunks import CNN, MLP, ModuleTrunk, ResNet, TabM, Trunk


class _Listener(Callback):
    """Listens to batches, so that skorch's own loop runs."""

    def on_batch_end(self, net, **kwargs):
        pass


def planted(seed, n=600):
    """Two groups of four tasks, each with a function of its own, in turns."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 8))
    f = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]
    g = 2 * np.abs(X[:, 4]) - X[:, 5] * X[:, 6]
    Y = {}
    for i in range(4):
        for name, values in (("f", f), ("g", g)):
            signed = values * (1 + 0.3 * i) * (-1) ** i
            Y[f"{name}{i}"] = signed + 0.3 * random.normal(size=n)
    return X, pd.DataFrame(Y)


def test_groups_that_were_planted_are_found_and_beat_one_trunk_for_all():
    gains = []
    for seed in range(3):
        X, Y = planted(seed)
        scores = {}
        for sharing in ("hard", "grouped"):
            est = MultiTaskNetRegressor(
                sharing=sharing, hidden_layer_sizes=(16, 16), lr=3e-3, max_epochs=80,
                random_state=seed,
            ).fit(X[:400], Y[:400])  # fmt: skip
            scores[sharing] = est.score(X[400:], Y[400:])
        assert est.sharing_.groups == [[f"{name}{i}" for i in range(4)] for name in "fg"]
        assert est.sharing == "grouped"  # the parameter stays as it was
        gains.append(scores["grouped"] - scores["hard"])
    assert min(gains) > 0
    assert np.mean(gains) > 0.02


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(120, 4)), columns=list("abcd"))
    Y = pd.DataFrame({"u": X.a + X.b, "v": X.a * X.c, "w": np.where(X.d > 0, "yes", "no")})
    Y.iloc[::4, 0] = np.nan
    Y.iloc[:90:2, 1] = np.nan
    return X, Y


def fit(table, **params):
    return MultiTaskNetClassifierRegressor(max_epochs=3, random_state=0, **params).fit(*table)


def test_the_task_with_most_labels_leads_a_chain(table):
    assert fit(table, sharing="chain").sharing_.order == ["w", "u", "v"]


def test_warm_start_keeps_what_was_chosen(table):
    est = fit(table, sharing="chain", warm_start=True)
    before = est.sharing_
    X, Y = table
    est.fit(X, Y.assign(w=Y.w.where(np.arange(len(Y)) % 9 == 0)))
    assert est.sharing_ is before


def test_unknown_tasks_of_a_scheme_leave_the_former_fit(table):
    est = fit(table)
    est.set_params(sharing=Grouped([["u", "v", "x"], ["w"]]))
    before = est.predict(table[0])
    with pytest.raises(ValueError, match=r"`groups` names 'x', which is no task"):
        est.fit(*table)
    pd.testing.assert_frame_equal(est.predict(table[0]), before)


def test_a_users_module_is_a_trunk(table):
    est = fit(table, trunk=_module, sharing=MMoE(2))
    assert len(est.net_.module_.body.trunk.blocks[0].copies) == 2
    again = fit(table, trunk=ModuleTrunk(_module), sharing=MMoE(2))
    pd.testing.assert_frame_equal(est.predict(table[0]), again.predict(table[0]))


def _module():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh())


#: Names and objects of each axis; those that cannot do without a parameter as objects alone.
CHOICES = {
    "sharing": [*strategies(Sharing), Chain(["w", "u"]), Hard()],
    "trunk": [
        *(alias for alias in strategies(Trunk) if alias not in {"cnn", "module"}),
        CNN((3,), hidden_layer_sizes=(4,), image_shape=(1, 2, 2)),
        ModuleTrunk(_module),
        _module,
        MLP((4,)),
        TabM((4,), k=2),
    ],
}


@pytest.mark.parametrize("axis", CHOICES)
def test_search_over_names_and_objects(table, axis):
    net = MultiTaskNetClassifierRegressor(max_epochs=1, random_state=0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), net),
        {f"multitasknetclassifierregressor__{axis}": CHOICES[axis]},
        cv=2,
        error_score="raise",
    ).fit(*table)
    assert len(search.cv_results_["params"]) == len(CHOICES[axis])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(table[0]).shape == (120, 3)


@pytest.mark.parametrize(
    ("axis", "choice", "name", "values"),
    [
        ("sharing", MMoE(), "n_experts", [1, 3]),
        ("trunk", TabM((4,)), "k", [1, 3]),
        ("trunk", ModuleTrunk(nn.LazyLinear), "module_params", [{"out_features": 3}]),
    ],
)
def test_search_over_a_parameter_of_an_object(table, axis, choice, name, values):
    net = MultiTaskNetClassifierRegressor(max_epochs=1, random_state=0, **{axis: choice})
    search = GridSearchCV(net, {f"{axis}__{name}": values}, cv=2, error_score="raise").fit(*table)
    assert getattr(getattr(search.best_estimator_, axis), name) in values


def test_a_module_that_is_built_is_no_trunk(table):
    with pytest.raises(TypeError, match=r"fresh weights: pass a class or a function"):
        fit(table, trunk=_module())


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"trunk": "resnet", "hidden_layer_sizes": (4,)}, r"Pass ResNet\(\.\.\.\)"),
        ({"trunk": MLP((4,)), "dropout": 0.5}, r"Set it on the object"),
        ({"trunk": _module, "dropout": 0.5}, r"`dropout = 0\.5` would have no effect"),
    ],
)
def test_parameters_that_a_trunk_does_not_take(table, params, match):
    with pytest.raises(ValueError, match=match):
        fit(table, **params)


def test_a_name_takes_the_flat_parameters_at_their_defaults_too(table):
    by_name = fit(table, trunk="tabm", hidden_layer_sizes=(6,))
    by_object = fit(table, trunk=TabM((6,), dropout=0.0))
    pd.testing.assert_frame_equal(by_name.predict(table[0]), by_object.predict(table[0]))


def test_a_name_takes_the_parameters_that_were_given(table):
    by_name = fit(table, trunk="resnet", dropout=0.3)
    by_object = fit(table, trunk=ResNet(dropout=0.3))
    pd.testing.assert_frame_equal(by_name.predict(table[0]), by_object.predict(table[0]))


def test_submodels_are_trained_by_the_mean_of_their_losses(table):
    """One submodel in three that are alike has the gradient of the net of one."""
    X, Y = table
    nets = {}
    for k in (1, 3):
        trunk = TabM((5,), k=k, dropout=0.0)
        est = MultiTaskNetClassifierRegressor(
            trunk=trunk, max_epochs=1, early_stopping=False, batch_size=-1, random_state=0,
            dtype="float64", optimizer="sgd", lr=0.1,
        )  # fmt: skip
        nets[k] = est
    one, three = (nets[k].fit(X, Y).net_ for k in (1, 3))
    with torch.no_grad():  # as if nothing had been trained: submodels equal to the one
        for ours, theirs in zip(three.module_.parameters(), one.module_.parameters(), strict=True):
            ours.copy_(theirs.expand_as(ours) if ours.shape != theirs.shape else theirs)
    data = _data_of(nets[1], X, Y)
    x, targets = next(iter(BatchIterator(data, len(data))))
    for net in (one, three):
        net.module_.zero_grad()
        losses, _ = net.criterion_.backward(net.module_(x), targets, net.module_)
        torch.testing.assert_close(losses, losses[:1].expand_as(losses))
    shared = [
        (p.grad, q.grad)
        for p, q in zip(one.module_.parameters(), three.module_.parameters(), strict=True)
        if p.shape == q.shape
    ]
    assert shared
    for ours, theirs in shared:
        torch.testing.assert_close(theirs, ours)


def _data_of(est, X, Y):
    rows = read_rows(est, X, Y, None, is_read=False)
    return on_device(est, rows, est.net_)


@pytest.fixture(scope="module")
def frame():
    """Numbers, a flag, words and gaps; labels are missing."""
    random = np.random.default_rng(1)
    X = pd.DataFrame(random.normal(size=(60, 2)), columns=["a", "b"])
    X["flag"] = (X.a > 0).astype(int)
    X["word"] = random.choice(["x", "y", "z"], 60)
    X.iloc[3, 1] = np.nan
    Y = pd.DataFrame({"u": X.a, "v": random.normal(size=60), "w": random.choice(["p", "q"], 60)})
    Y.iloc[::5, 0] = np.nan
    return X, Y


EMBEDDED = {
    "mlp": MLP((5, 4), num_embeddings="piecewise_linear", cat_embeddings="auto"),
    "resnet": ResNet(1, 5, num_embeddings="periodic", cat_embeddings=2),
    "tabm": TabM((5,), k=2, num_embeddings="piecewise_linear", cat_embeddings=2),
}


@pytest.mark.parametrize("trunk", EMBEDDED.values(), ids=EMBEDDED)
@pytest.mark.parametrize("sharing", strategies(Sharing))
def test_embeddings_under_every_scheme(frame, sharing, trunk):
    est = fit(frame, sharing=sharing, trunk=trunk, early_stopping=False)
    first = est.predict(frame[0])
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(est)).predict(frame[0]), first)
    assert first[["u", "v"]].notna().all(axis=None)


@pytest.mark.parametrize("trunk", [MLP((4,)), ModuleTrunk(_module)], ids=["mlp", "module"])
def test_predictions_in_threads_are_those_of_one(table, trunk):
    est = fit(table, sharing="low_rank", trunk=trunk)
    X = table[0]
    expected = est.predict(X)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: est.predict(X), range(40)))
    finally:
        sys.setswitchinterval(before)
    for frame in found:
        pd.testing.assert_frame_equal(frame, expected)


@pytest.mark.parametrize(
    "params",
    [
        {"penalty": "trace_norm"},
        {"penalty": "task_relations"},
        {"sharing": Soft("trace_norm")},
    ],
    ids=repr,
)
def test_divergence_is_named_whatever_the_penalty(table, params):
    with pytest.raises(DivergedError, match="loss"):
        fit(table, lr=1e30, early_stopping=False, **params)


def test_penalties_on_heads_do_not_grow_with_the_submodels(table):
    """The gradient of the penalty on one head, by that of the loss, is the same for any k."""
    shares = {}
    for k in (1, 8):
        est = fit(table, trunk=TabM((5,), k=k, dropout=0.0), penalty=L2(0.3, part="heads"))
        network, objective = est.net_.module_, est.net_.criterion_
        network.zero_grad()
        objective.omega(network).backward()
        weight = network.heads.output.weight
        shares[k] = (weight.grad / weight).mean().item() * k  # the loss is a mean over k
    assert shares[8] == pytest.approx(shares[1], rel=1e-4)
    assert shares[1] == pytest.approx(0.3, rel=1e-4)


def test_large_trunks_are_evaluated_in_smaller_pieces():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(40, 1, 20, 20)), random.normal(size=40)
    est = MultiTaskNetRegressor(trunk="cnn", max_epochs=1, random_state=0).fit(X, y)
    network = est.net_.module_
    assert network.row_size == 16 * 10 * 10
    assert network.evaluation_rows == (1 << 21) // 1600 < 4096
    network.row_size = (1 << 21) // 7  # seven rows at a time
    assert network.evaluation_rows == 7
    np.testing.assert_allclose(
        est.predict(X), est.predict(X[:5]).tolist() + est.predict(X[5:]).tolist()
    )


def test_what_the_history_says_of_submodels_is_their_mean(table):
    est = fit(table, trunk=TabM((5,), k=4), early_stopping=False)
    named = est.history_[[f"train_loss_{name}" for name in "uvw"]].sum(axis=1)
    np.testing.assert_allclose(est.history_["train_loss"], named, rtol=1e-5)


@pytest.mark.parametrize("callbacks", [None, [_Listener()]], ids=["fast", "skorch"])
def test_early_stopping_judges_the_mean_of_the_submodels(table, callbacks):
    X, Y = table
    est = MultiTaskNetClassifierRegressor(
        trunk=TabM((5,), k=6, dropout=0.0), max_epochs=3, random_state=0, callbacks=callbacks,
        normalize_losses=False,
    )  # fmt: skip
    est.fit(X[:90], Y[:90], X_val=X[90:], y_val=Y[90:])
    network, objective = est.net_.module_, est.net_.criterion_
    data = _data_of(est, X[90:], Y[90:])
    x, targets = next(iter(BatchIterator(data, len(data))))
    z = network(x)
    means = objective.ensemble(z, 6)
    losses = objective.task_losses(means, targets)
    best = est.history_.loc[est.best_epoch_]
    for name, loss in zip(objective.layout.names, losses[0].tolist(), strict=True):
        assert best[f"valid_loss_{name}"] == pytest.approx(loss, rel=1e-4)
    each = objective.task_losses(z, targets).mean(0)
    assert (losses[0] < each).all()  # the loss of the mean is below the mean of the losses


def test_a_chain_of_submodels(table):
    est = fit(table, trunk=TabM((5,), k=3), sharing=Chain(["u", "v", "w"]))
    assert est.net_.module_.body.by_row.shape[0] == 3
    assert np.isfinite(est.score(*table))
