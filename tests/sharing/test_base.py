"""What all schemes do."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone

from skmtl import MultiTaskNetClassifierRegressor
from skmtl._strategy import strategies
from skmtl.heads import HeadSpec, Layout
from skmtl.layers import Inputs, Seeds
from skmtl.sharing import Sharing, Soft
from skmtl.training import NetworkSpec
from tests.oracle import Table, tasks_of
from tests.sharing.oracle import TRUNKS, assert_tight, body_of, one_and_two_members, rows_for

SPECS = (
    HeadSpec("price", "regression", 1, 0),
    HeadSpec("sold", "binary", 1, 2),
    HeadSpec("colour", "multiclass", 1, 3),
)

CASES = [
    pytest.param(cls(**params), id=f"{cls.alias}-{i}")
    for cls in strategies(Sharing).values()
    for i, params in enumerate(cls.test_params())
]
every_scheme = pytest.mark.parametrize("sharing", CASES)


# ------------------------------------------------------------------------------------------------
# Outputs
# ------------------------------------------------------------------------------------------------


def network_of(sharing, trunk="mlp", n_members=1, heads=()):
    """A network of a scheme that has met the labels of a table."""
    trunk, shape = TRUNKS[trunk]
    table = Table.made(SPECS)
    scheme = sharing.adapt(table.values, table.weights > 0, tasks_of(SPECS))
    seeds = Seeds.spawn(np.random.RandomState(0))
    spec = NetworkSpec(scheme, trunk, heads, "silu")
    return spec.build(Inputs(shape), Layout.of(SPECS), seeds, n_members).double()


@pytest.mark.parametrize("trunk", ["mlp", "cnn"])
@one_and_two_members
@pytest.mark.parametrize("heads", [(), (3,)], ids=["plain_heads", "hidden_heads"])
@every_scheme
def test_outputs_are_those_of_the_heads_on_the_representations(sharing, trunk, n_members, heads):
    network = network_of(sharing, trunk, n_members, heads)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    x = rows_for(trunk)
    assert_tight(network.body.outputs(x, network.heads), network.heads(network.body(x)))


@pytest.mark.parametrize("trunk", TRUNKS)
@every_scheme
def test_parameters_may_be_numpys(sharing, trunk):
    """A search over ``np.arange`` hands in NumPy's numbers."""
    kinds = {int: np.int64, float: np.float64}
    as_numpy = {
        name: kinds[type(value)](value) if type(value) in kinds else value
        for name, value in sharing.get_params(deep=False).items()
    }
    scheme, table = type(sharing)(**as_numpy), Table.made(SPECS)
    args = table.values, table.weights > 0, tasks_of(SPECS)
    names = [spec.name for spec in SPECS]
    ours, theirs = (body_of(s.adapt(*args), trunk, names, moved=False) for s in (scheme, sharing))
    x = rows_for(trunk)
    assert torch.equal(ours(x), theirs(x))
    if theirs.penalty() is not None:
        assert ours.penalty() == theirs.penalty()


# ------------------------------------------------------------------------------------------------
# Penalties
# ------------------------------------------------------------------------------------------------


@every_scheme
def test_a_scheme_without_penalty_says_so(sharing):
    has_one = {"soft", "sluice", "dselect_k", "low_rank"}
    penalty = network_of(sharing).body.penalty()
    assert (penalty is not None) == (sharing.alias in has_one)
    if penalty is not None:
        assert penalty.shape == ()


def test_a_penalty_of_strength_0_is_none():
    for scheme in (
        Soft(strength=0.0),
        Soft("trace_norm", strength=0.0),
        strategies(Sharing)["sluice"](orthogonality=0.0),
        strategies(Sharing)["sluice"](n_subspaces=1),
        strategies(Sharing)["dselect_k"](entropy=0.0),
        strategies(Sharing)["low_rank"](sparsity=0.0),
    ):
        assert body_of(scheme).penalty() is None


# ------------------------------------------------------------------------------------------------
# In the estimator
# ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    """A small mixed frame in which a fifth of the labels is missing."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=["x", "y", "z"])
    X["town"] = rng.choice(["rome", "oslo"], size=60)
    Y = pd.DataFrame(
        {
            "price": 50 + 10 * X["x"],
            "sold": np.where(X["y"] > 0, "yes", "no"),
            "kind": np.digitize(X["z"], [-0.5, 0.5]),
        }
    )
    return X, Y.mask(rng.random(Y.shape) < 0.2)


def estimator(sharing, **params):
    defaults = {"hidden_layer_sizes": (6, 5), "max_epochs": 2, "lr": 0.01, "random_state": 0}
    return MultiTaskNetClassifierRegressor(
        {"kind": "multiclass"} if "tasks" not in params else params.pop("tasks"),
        sharing=sharing,
        **{**defaults, **params},
    )


def values_of(est, X):
    return [output.values for output in est.predict_outputs(X)]


@every_scheme
def test_fit_clone_and_pickle(sharing, table):
    X, Y = table
    est = estimator(sharing).fit(X, Y)
    expected = values_of(est, X)
    assert all(np.isfinite(values).all() for values in expected)
    assert np.isfinite(est.history_["train_loss"]).all()
    for twin in (pickle.loads(pickle.dumps(est)), clone(est).fit(X, Y)):
        for ours, theirs in zip(values_of(twin, X), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@every_scheme
def test_fit_on_a_sparse_matrix(sharing):
    rng = np.random.default_rng(0)
    X = sparse.random(50, 20, density=0.2, format="csr", rng=rng)
    Y = np.column_stack([X @ rng.normal(size=20), X @ rng.normal(size=20), rng.normal(size=50)])
    Y[rng.random(Y.shape) < 0.2] = np.nan
    thin = estimator(sharing, tasks=None, preprocess=None, dtype="float64").fit(X, Y)
    dense = clone(thin).fit(X.toarray(), Y)
    for ours, theirs in zip(values_of(thin, X), values_of(dense, X.toarray()), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
