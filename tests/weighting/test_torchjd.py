import pickle
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torchjd import aggregation, scalarization

from skmtl import MultiTaskNetClassifierRegressor, MultiTaskNetRegressor
from skmtl.heads import HeadSpec, Layout
from skmtl.weighting import DBMTL, MGDA, TorchJD, resolve_weighting
from tests.oracle import new_seeds, numbers
from tests.weighting.batches import batch, direct, made

NAMES = ("a", "b", "c")
AGGREGATORS = [
    aggregation.MGDA(),
    aggregation.IMTLG(),
    aggregation.AlignedMTL(),
    aggregation.ConFIG(),
    aggregation.TrimmedMean(1),
    aggregation.Mean(),
    aggregation.Constant(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)),
    aggregation.GramianWeightedAggregator(aggregation.MGDAWeighting()),
]
WEIGHTINGS = [
    (aggregation.MGDAWeighting(), True),
    (aggregation.IMTLGWeighting(), True),
    (aggregation.MeanWeighting(), False),
    (aggregation.SumWeighting(), False),
]
SCALARIZERS = [
    scalarization.Mean(),
    scalarization.GeometricMean(),
    scalarization.STCH(mu=0.3),
    scalarization.UW(3),
    scalarization.IMTLL(3),
    scalarization.DWA(),
    scalarization.FAMO(3),
]
STATEFUL = [
    (aggregation.GradVac(), "a method of skmtl.weighting|`loss_weights='gradvac'`"),
    (aggregation.ExcessMTL(), "`loss_weights='excess_mtl'`"),
    (aggregation.PCD(), "a method of skmtl.weighting"),
    (
        aggregation.GramianWeightedAggregator(
            aggregation.CRMOGMWeighting(aggregation.MGDAWeighting())
        ),
        "a method of skmtl.weighting",
    ),
    (scalarization.UW(3), "`loss_weights='uncertainty'`"),
    (scalarization.IMTLL(3), "`loss_weights='imtl_l'`"),
    (scalarization.FAMO(3), "`loss_weights='famo'`"),
    (scalarization.DWA(), "`loss_weights='dwa'`"),
]


def built(weighting, n_members=1, names=NAMES, **params):
    return TorchJD(weighting, **params).build(numbers(*names), n_members, new_seeds()).double()


def weights_of(module, one):
    """Take a step, by gradients or losses."""
    return direct(module, one)[0] if module.needs_gradients else module.scales(one[0], one[1])


def test_by_hand():
    """The min-norm point of (2, 0) and (0, 1) has weights 1/5 and 4/5."""
    exact = aggregation.MGDA(epsilon=1e-12, max_iters=1000)
    one = batch([1.0, 1.0], [[2.0, 0.0], [0.0, 1.0]])
    weights, direction = direct(built(exact, names="ab"), one)
    torch.testing.assert_close(weights, torch.tensor([[0.2, 0.8]], dtype=torch.float64))
    torch.testing.assert_close(direction, torch.tensor([[0.4, 0.8]], dtype=torch.float64))


@pytest.mark.parametrize("aggregator", AGGREGATORS, ids=str)
def test_aggregators_find_what_they_find_by_themselves(aggregator):
    module = built(aggregator)
    for one in made(n=4, missing=0.0):
        _, direction = direct(module, one)
        torch.testing.assert_close(direction[0], aggregator(one[2][0]))


@pytest.mark.parametrize(("weighting", "reads_gramian"), WEIGHTINGS, ids=str)
def test_weightings_find_what_they_find_by_themselves(weighting, reads_gramian):
    module = built(weighting)
    for one in made(n=4, missing=0.0):
        weights, _ = direct(module, one)
        rows = one[2][0]
        torch.testing.assert_close(weights[0], weighting(rows @ rows.T if reads_gramian else rows))


@pytest.mark.parametrize("scalarizer", SCALARIZERS, ids=str)
def test_scalarizers_find_what_they_find_by_themselves(scalarizer):
    module = built(scalarizer)
    losses, present, _ = made(n=1)[0]
    leaf = losses[0].clone().requires_grad_()
    total = scalarizer.double()(leaf)
    (expected,) = torch.autograd.grad(total, leaf)
    torch.testing.assert_close(module(losses, present), total.detach().reshape(1))
    torch.testing.assert_close(module.scales(losses, present)[0], expected)
    assert not module.needs_gradients


def test_only_present_tasks_are_passed_on():
    module = built(aggregation.Mean())
    one = batch([1.0, 1.0, 1.0], [[1.0], [2.0], [4.0]], absent=[1])
    weights, direction = direct(module, one)
    assert weights.tolist() == [[0.5, 0.0, 0.5]]
    assert direction.item() == 2.5
    mean = built(scalarization.Mean())
    assert mean.scales(one[0], one[1]).tolist() == [[0.5, 0.0, 0.5]]


def test_vectors_inside_objects_are_in_the_order_of_the_columns():
    """The network has tasks of one kind next to each other."""
    sold, price, paid = (
        HeadSpec("sold", "binary", 1, 2),
        HeadSpec("price", "regression", 1, 0),
        HeadSpec("paid", "binary", 1, 2),
    )
    layout = Layout.of([sold, price, paid])
    assert layout.names == ("sold", "paid", "price")
    values = torch.tensor([10.0, 20.0, 30.0], dtype=torch.float64)
    one = batch([1.0, 1.0, 1.0], [[1.0], [1.0], [1.0]])
    for weighting in (aggregation.Constant(values), scalarization.Constant(values)):
        module = TorchJD(weighting).build(layout, 1, new_seeds()).double()
        assert weights_of(module, one).tolist() == [[10.0, 30.0, 20.0]]


@pytest.mark.parametrize(("weighting", "remedy"), STATEFUL, ids=str)
def test_what_keeps_a_state_needs_all_labels(weighting, remedy):
    module = built(weighting)
    batches = made(n=3, missing=0.0)
    for one in batches:
        weights_of(module, one)
    losses, _, gradients = batches[0]
    present = torch.tensor([True, False, True])
    match = rf"needs labels of all tasks .* without a label of 'b'\. Use ({remedy})"
    with pytest.raises(ValueError, match=match):
        weights_of(module, (losses * present, present, gradients * present[:, None]))


def test_a_vector_of_all_tasks_needs_all_labels():
    one = batch([1.0, 1.0, 1.0], [[1.0], [2.0], [4.0]], absent=[0, 1])
    for weighting in (aggregation.Constant(torch.ones(3)), scalarization.Constant(torch.ones(3))):
        module = built(weighting)
        with pytest.raises(ValueError, match=r"without a label of 'a', 'b'\..* It says: Parameter"):
            weights_of(module, one)


def test_objects_for_another_number_of_tasks():
    one = made(n=1)[0]
    match = r"UW of TorchJD does not take the tasks \['a', 'b', 'c'\]\. It says: .*shape \(2,\)"
    with pytest.raises(ValueError, match=match):
        built(scalarization.UW(2)).scales(one[0], one[1])
    with pytest.raises(ValueError, match=r"MoDoWeighting of TorchJD does not take the tasks"):
        direct(built(aggregation.MoDoWeighting()), one)


def test_members_have_objects_of_their_own():
    module = built(aggregation.ExcessMTL(), n_members=2)
    alone = [built(aggregation.ExcessMTL()) for _ in range(2)]
    for losses, present, gradients in made(n=6, missing=0.0, n_members=2):
        both = direct(module, (losses, present, gradients))[0]
        for i, single in enumerate(alone):
            one = losses[i : i + 1], present, gradients[i : i + 1]
            torch.testing.assert_close(both[i : i + 1], direct(single, one)[0])


def test_the_users_object_is_not_changed():
    user = aggregation.ExcessMTL()
    module = built(user)
    direct(module, made(n=1)[0])
    assert not user.state_dict()
    assert module.calls.members[0].state_dict()


def test_what_objects_draw_comes_from_the_seed():
    one = made(n=1)[0]
    before = torch.get_rng_state()
    first, second = built(aggregation.Random()), built(aggregation.Random())
    found = [direct(first, one)[0] for _ in range(2)]
    assert torch.equal(direct(second, one)[0], found[0])
    assert not torch.equal(*found)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_look_at_the_loss_draws_and_changes_nothing():
    losses, present, _ = made(n=1)[0]
    for scalarizer in (scalarization.Random(), scalarization.DWA(), scalarization.FAMO(3)):
        module, twin = built(scalarizer), built(scalarizer)
        total = module(losses, present)
        assert torch.equal(module(losses, present), total)
        assert torch.equal(module.scales(losses, present), twin.scales(losses, present))
        member = module.calls.members[0]
        assert getattr(member, "_n_batches", 1) == 1


def test_parameters_get_gradients():
    module = built(scalarization.UW(3))
    losses, present, _ = made(n=1)[0]
    module.scales(losses, present)
    (log_var,) = module.parameters()
    torch.testing.assert_close(log_var.grad, 0.5 - 0.5 * losses[0])


def test_famo_looks_back():
    losses, present, _ = batch([1.0, 1.0, 1.0], [[1.0]] * 3)
    module = built(scalarization.FAMO(3, lr=0.1))
    assert module.needs_losses_after_step
    module.scales(losses, present)
    module.after_step(losses * torch.tensor([0.5, 0.9, 0.9]), present)
    weights = module.scales(losses, present)[0]
    assert weights[0] < weights[1]
    torch.testing.assert_close(weights[1], weights[2])


def test_dwa_counts_epochs():
    present = torch.ones(2, dtype=torch.bool)
    module = built(scalarization.DWA(), names="ab")
    assert not module.needs_losses_after_step
    for losses in ([2.0, 2.0], [1.0, 2.0]):
        values = torch.tensor([losses], dtype=torch.float64)
        assert module.scales(values, present).tolist() == [[1, 1]]
        module.end_epoch(values, present)
    found = module.scales(torch.ones(1, 2, dtype=torch.float64), present)
    rates = torch.tensor([[0.5, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(found, 2 * torch.softmax(rates / 2, 1))


@pytest.mark.parametrize("weighting", [aggregation.MGDA(), scalarization.Mean()], ids=str)
def test_a_batch_without_labels(weighting):
    module = built(weighting)
    losses, present, gradients = batch([1.0] * 3, [[1.0]] * 3, absent=[0, 1, 2])
    assert module(losses, present).tolist() == [0.0]
    if module.needs_gradients:
        assert direct(module, (losses, present, gradients))[1].tolist() == [[0.0]]
    else:
        assert module.scales(losses, present).tolist() == [[0.0] * 3]


class _First(aggregation.Weighting):
    def forward(self, statistic):
        return torch.eye(len(statistic), dtype=statistic.dtype)[0]


def test_a_users_own_weighting():
    one = made(n=1)[0]
    with pytest.raises(
        ValueError, match=r"whether _First reads gradients .* Wrap it in a Weighted"
    ):
        built(_First())
    weights, _ = direct(built(aggregation.WeightedAggregator(_First())), one)
    assert weights.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("weighting", ["upgrad", torch.nn.Linear(1, 1), aggregation.MGDA, None])
def test_objects_that_are_none_of_torchjd(weighting):
    with pytest.raises(TypeError, match=r"`weighting` of TorchJD must be an Aggregator, Weighting"):
        built(weighting)


def test_what_users_write():
    for weighting in (aggregation.MGDA(), aggregation.MGDAWeighting(), scalarization.Mean()):
        found = resolve_weighting(weighting, NAMES)
        assert type(found) is TorchJD
        assert found.weighting is weighting
    with pytest.raises(TypeError, match=r"Call it: MGDA\(\)\."):
        resolve_weighting(aggregation.MGDA, NAMES)
    with pytest.raises(ValueError, match=r"`loss_weights = 'torchjd'` needs `weighting`"):
        resolve_weighting("torchjd", NAMES)


def test_without_torchjd(monkeypatch):
    strategy = TorchJD(aggregation.MGDA())
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchjd"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"needs `torchjd.*pip install 'skmtl\[torchjd\]'"):
        strategy.build(numbers(*NAMES), 1, new_seeds())


# ------------------------------------------------------------------------------------------------
# In an estimator
# ------------------------------------------------------------------------------------------------


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 4))
    return X, np.tanh(X @ rng.normal(size=(4, 3))) + 0.1 * rng.normal(size=(90, 3))


def make(**params):
    defaults = {
        "hidden_layer_sizes": (6,),
        "max_epochs": 6,
        "batch_size": 16,
        "random_state": 0,
        "dtype": "float64",
    }
    return MultiTaskNetRegressor(**{**defaults, **params})


def with_gaps(Y):
    return np.where(np.random.default_rng(1).random(Y.shape) < 0.4, np.nan, Y)


@pytest.mark.parametrize(
    "weighting",
    [
        aggregation.MGDA(),
        aggregation.ConFIG(),
        aggregation.PCGrad(),
        TorchJD(aggregation.GradDrop(), wrt="parameters"),
        aggregation.MeanWeighting(),
        scalarization.Random(),
        scalarization.STCH(mu=1.0),
    ],
    ids=lambda w: str(getattr(w, "weighting", w)).split("(")[0],
)
def test_fits_with_missing_labels(weighting, table):
    X, Y = table[0], with_gaps(table[1])
    est = make(loss_weights=weighting, batch_size=4).fit(X, Y)
    predicted = est.predict(X)
    assert np.isfinite(predicted).all()
    assert est.task_weights_.notna().all(axis=None)
    for twin in (clone(est).fit(X, Y), pickle.loads(pickle.dumps(est))):
        np.testing.assert_array_equal(twin.predict(X), predicted)


@pytest.mark.parametrize("wrt", ["representation", "parameters"])
def test_a_sum_by_torchjd_is_the_sum(wrt, table):
    X, Y = table[0], with_gaps(table[1])
    expected = make(loss_weights=None).fit(X, Y).predict(X)
    by_torchjd = make(loss_weights=TorchJD(aggregation.Sum(), wrt=wrt)).fit(X, Y)
    np.testing.assert_allclose(by_torchjd.predict(X), expected, atol=1e-9)
    losses = make(loss_weights=scalarization.Sum()).fit(X, Y)
    np.testing.assert_allclose(losses.predict(X), expected, atol=1e-9)


@pytest.mark.parametrize(
    "weighting",
    [
        aggregation.GradVac(),
        aggregation.PCD(),
        TorchJD(aggregation.ExcessMTL(n_warmup_steps=12), wrt="parameters"),
        scalarization.UW(3),
        scalarization.FAMO(3),
        scalarization.DWA(),
    ],
    ids=str,
)
def test_fits_with_a_state(weighting, table):
    X, Y = table
    est = make(loss_weights=weighting, early_stopping=True, n_iter_no_change=2, max_epochs=12)
    predicted = est.fit(X, Y).predict(X)
    twin = pickle.loads(pickle.dumps(est))
    expected = est.partial_fit(X, Y).predict(X)
    assert not np.array_equal(expected, predicted)
    np.testing.assert_array_equal(twin.partial_fit(X, Y).predict(X), expected)


def test_learned_parameters_are_trained_and_kept_from_decay(table):
    one = {"n_members": 1, "weight_decay": 0.1, "lr": 0.01}
    est = make(loss_weights=scalarization.UW(3), **one).fit(*table)
    (log_var,) = est.net_.criterion_.parameters()
    assert (log_var != 0).all()
    groups = est.net_.optimizer_.param_groups
    (group,) = [g for g in groups if any(p is log_var for p in g["params"])]
    assert group["weight_decay"] == 0


def test_a_state_with_missing_labels(table):
    X, Y = table[0], with_gaps(table[1])
    match = r"GradVac of TorchJD needs labels of all tasks in each batch\. .*`batch_size`"
    with pytest.raises(ValueError, match=match):
        make(loss_weights=aggregation.GradVac(), batch_size=2).fit(X, Y)


def test_mixed_tasks(table):
    X, Y = table
    sold, paid = (np.where(Y[:, i] > 0, "yes", "no") for i in (0, 2))
    frame = pd.DataFrame({"sold": sold, "price": Y[:, 1], "paid": paid})
    vector = torch.tensor([2.0, 0.5, 3.0], dtype=torch.float64)
    est = MultiTaskNetClassifierRegressor(
        loss_weights=aggregation.Constant(vector), max_epochs=3, dtype="float64", random_state=0
    )
    weights = est.fit(X, frame).task_weights_
    assert (weights == pd.Series({"sold": 2.0, "price": 0.5, "paid": 3.0})).all(axis=None)


def test_a_search_over_all_kinds_of_weights(table):
    choices = [
        None,
        "mgda",
        MGDA(normalize="l2"),
        aggregation.MGDA(),
        aggregation.ConFIG(),
        DBMTL(),
    ]
    search = GridSearchCV(make(max_epochs=2), {"loss_weights": choices}, cv=2).fit(*table)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert "loss_weights=ConFIG(" in repr(make(loss_weights=aggregation.ConFIG()))
    nested = make(loss_weights=TorchJD(aggregation.MGDA()))
    nested.set_params(loss_weights__wrt="parameters")
    assert nested.loss_weights.wrt == "parameters"
