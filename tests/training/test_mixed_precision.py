"""Products in bfloat16, against the same network in float32."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.export import load, save
from skmtl.heads import Layout
from skmtl.layers import Inputs
from skmtl.model_selection import MultiTaskGridSearchCV
from skmtl.sharing import Hard, Independent, MMoE
from skmtl.training import BatchIterator, NetworkSpec, Objective, autograd_backward
from skmtl.training._written import WrittenBackward
from skmtl.trunks import MLP, TabM
from skmtl.weighting import Fixed, PCGrad
from tests.oracle import MIXED, Table, new_seeds, tasks_of

NETWORKS = {
    "hard": (Hard(), MLP((16, 12)), ()),
    "independent": (Independent(), MLP((16, 12)), ()),
    "experts": (MMoE(2), MLP((16, 12)), ()),
    "hidden heads": (Hard(), MLP((16,), "silu"), (6,)),
    "submodels": (Hard(), TabM((16, 12), k=3, dropout=0.0), ()),
}


def setting(name, weighting=None, n_members=2):
    """Return a network in float32, the same with products in bfloat16, an objective and a batch."""
    table = Table.made(n=64)
    layout = Layout.of(table.specs)
    sharing, trunk, heads = NETWORKS[name]
    scheme = sharing.adapt(table.values, table.weights > 0, tasks_of(MIXED))
    spec = NetworkSpec(scheme, trunk, heads, "relu")
    wide = spec.build(Inputs((5,)), layout, new_seeds(), n_members)
    narrow = copy.deepcopy(wide)
    narrow.mixed_precision = True
    weighting = (weighting or Fixed({layout.names[0]: 3.0})).build(layout, n_members, new_seeds())
    objective = Objective(layout, weighting).float()
    data = table.pack(layout, dtype=torch.float32)
    return wide, narrow, objective, next(iter(BatchIterator(data, 64)))


def gradients(network, backward, batch):
    network.zero_grad()
    step = backward(*batch)
    assert step.z.dtype == step.losses.dtype == torch.float32
    assert all(p.grad.dtype == torch.float32 for p in network.parameters())
    return torch.cat([p.grad.flatten() for p in network.parameters()]), step.losses


def assert_close_but_not_equal(narrow, wide):
    """A number in bfloat16 has eight bits; several layers of experts add up their roundings."""
    distance = float((narrow - wide).norm() / wide.norm())
    assert 0 < distance < 0.06


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_float32_but_for_eight_bits(name):
    wide, narrow, objective, batch = setting(name)
    expected, losses = gradients(wide, autograd_backward(wide, objective), batch)
    ways = [autograd_backward(narrow, objective), WrittenBackward.of(narrow, objective)]
    assert (ways[1] is not None) == (name in {"hard", "independent"})
    for backward in filter(None, ways):
        found, near = gradients(narrow, backward, batch)
        assert_close_but_not_equal(found, expected)
        assert_close_but_not_equal(near, losses)


@pytest.mark.parametrize("wrt", ["representation", "parameters"])
def test_weightings_read_gradients_in_float32(wrt):
    wide, narrow, objective, batch = setting("hard", PCGrad(wrt=wrt))
    expected, _ = gradients(wide, autograd_backward(wide, objective), batch)
    for way in (autograd_backward, WrittenBackward.of):
        assert_close_but_not_equal(gradients(narrow, way(narrow, objective), batch)[0], expected)


def test_what_judges_and_predicts_is_in_full_precision():
    wide, narrow, _, batch = setting("hard")
    assert not torch.equal(narrow(batch.x), wide(batch.x))
    narrow.eval(), wide.eval()
    assert torch.equal(narrow(batch.x), wide(batch.x))


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(300, 5)), columns=list("abcde"))
    Y = pd.DataFrame({"number": X.a - X.b, "word": np.where(X.c > 0, "yes", "no")})
    return X, Y.mask(random.random(Y.shape) < 0.2)


def make(**params):
    fixed = {"dtype": "bfloat16", "hidden_layer_sizes": (16,), "max_epochs": 30, "random_state": 0}
    return MultiTaskNetClassifierRegressor(**{**fixed, "n_members": 2, **params})


def test_a_fit_keeps_its_weights_in_float32_and_scores_alike(table, tmp_path):
    est = make().fit(*table)
    assert {p.dtype for p in est.net_.module_.parameters()} == {torch.float32}
    assert est.engine_ == "written"
    assert est.score(*table) == pytest.approx(
        make(dtype="float32").fit(*table).score(*table), abs=0.03
    )
    save(est, tmp_path / "it.skmtl")
    again = load(tmp_path / "it.skmtl")
    pd.testing.assert_frame_equal(again.predict(table[0]), est.predict(table[0]))
    assert again.net_.module_.mixed_precision


def test_precision_may_be_searched(table):
    grid = {"dtype": ["float32", "bfloat16"], "lr": [1e-3, 1e-2]}
    search = MultiTaskGridSearchCV(make(), grid, cv=3).fit(*table)
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    np.testing.assert_allclose(scores[0], scores[1], atol=0.05)
    assert (scores[0] != scores[1]).all()


@pytest.mark.parametrize("options", [{"enabled": False}, {"dtype": torch.bfloat16}], ids=str)
@pytest.mark.parametrize("sharing", ["hard", "mmoe"])
def test_a_block_of_the_users_does_not_keep_the_first_weights(table, sharing, options):
    """autograd's cache of narrow weights lives as long as the outermost block."""
    params = {"sharing": sharing, "max_epochs": 10}
    alone = make(**params).fit(*table)
    with torch.autocast("cpu", **options):
        within = make(**params).fit(*table)
    pd.testing.assert_frame_equal(within.predict(table[0]), alone.predict(table[0]))


@pytest.mark.cuda
@pytest.mark.parametrize("sharing", ["hard", "mmoe"])
def test_on_a_gpu_too(table, sharing):
    found = [
        make(dtype=d, device="cuda", sharing=sharing).fit(*table) for d in ("float32", "bfloat16")
    ]
    assert found[0].score(*table) == pytest.approx(found[1].score(*table), abs=0.05)


def test_torch_may_compile_what_autograd_trains(table):
    """By skorch; the backend that changes nothing stands for the slow ones."""
    params = {"sharing": "mmoe", "dtype": "float64", "max_epochs": 3}
    compiled = {"net_params": {"compile": True, "compile__backend": "eager"}}
    est, plain = make(**params, **compiled).fit(*table), make(**params).fit(*table)
    assert type(est.net_.module_).__name__ == "OptimizedModule"
    pd.testing.assert_frame_equal(est.predict(table[0]), plain.predict(table[0]))
    again = pickle.loads(pickle.dumps(est))
    pd.testing.assert_frame_equal(again.predict(table[0]), plain.predict(table[0]))
