"""The gradients of a step, against one autograd pass for each task."""

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.heads import Layout
from skmtl.layers import Inputs
from skmtl.penalties import L2, TaskRelations
from skmtl.sharing import PLE, Chain, Hard, MMoE
from skmtl.training import BatchIterator, NetworkSpec, Objective, autograd_backward
from skmtl.training._backward import RepresentationBackward
from skmtl.training._written import WrittenBackward
from skmtl.trunks import MLP, TabM
from skmtl.weighting import Direction, WeightingModule
from tests.oracle import MIXED, Table, new_seeds, tasks_of

WEIGHTS = torch.tensor([[0.5, 0.0, 2.0, 1.0, 3.0, 0.1, 1.5]], dtype=torch.float64)


class Given(WeightingModule):
    """Weights that a test gives, or the sum of the gradients as a direction of its own."""

    needs_gradients = True

    def __init__(self, wrt="auto", *, reads=True, as_vector=False):
        super().__init__()
        self.wrt, self.reads, self.as_vector = wrt, reads, as_vector

    def forward(self, losses, present):
        return (WEIGHTS * losses).sum(1)

    def direction(self, losses, present, gradients):
        weights = WEIGHTS.expand(len(losses), -1) * present
        if self.as_vector:
            vector = (weights.unsqueeze(1) @ gradients.jacobian).squeeze(1)
            return Direction(torch.full_like(weights, torch.nan), vector)
        if self.reads:
            assert gradients.gramian.shape == (len(losses), 7, 7)
        return Direction(weights)


def setting(weighting, sharing=None, trunk=None, *, heads=(), n_members=1, penalties=()):
    table = Table.made().without_labels_of("size")
    layout = Layout.of(table.specs)
    scheme = (sharing or Hard()).adapt(table.values, table.weights > 0, tasks_of(MIXED))
    spec = NetworkSpec(scheme, trunk or MLP((6, 5)), heads, "tanh")
    network = spec.build(Inputs((5,)), layout, new_seeds(), n_members).double()
    modules = [penalty.build(layout, n_members) for penalty in penalties]
    objective = Objective(layout, weighting, modules).double()
    data = table.pack(layout)
    return network, objective, next(iter(BatchIterator(data, len(data))))


def by_hand(network, objective, batch, extra=None):
    """Heads follow their own losses; all else the weighted sum, one pass for each task."""
    z = network(batch.x, batch.targets)
    losses = objective.task_losses(z, batch.targets)
    weights = WEIGHTS.expand(len(losses), -1) * batch.targets.present
    own = torch.ones_like(weights)
    if extra is not None:
        weights, own = weights + extra, own + extra
    body, heads = list(network.body.parameters()), list(network.heads.parameters())
    for parameters, factors in ((heads, own), (body, weights)):
        for p in parameters:
            p.grad = torch.zeros_like(p)
        for task in range(losses.shape[1]):
            total = (factors[:, task] * losses[:, task]).sum()
            grads = torch.autograd.grad(
                total, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            for p, grad in zip(parameters, grads, strict=True):
                p.grad += grad
    omega = objective.omega(network)
    if omega is not None:
        omega.backward()
    return losses.detach(), [p.grad.clone() for p in network.parameters()]


def step_of(network, objective, batch, backward):
    network.zero_grad(set_to_none=True)
    step = backward(*batch)
    return step, [p.grad.clone() for p in network.parameters()]


NETWORKS = {
    "hard": (Hard(), None, ()),
    "hidden_heads": (Hard(), MLP((6,), "silu"), (4,)),
    "submodels": (Hard(), TabM((6, 5), k=3, dropout=0.0), ()),
    "submodels_hidden": (Hard(), TabM((6,), k=2, dropout=0.0), (3,)),
    "mmoe": (MMoE(2), None, ()),
    "ple": (PLE(), MLP((6, 5)), (3,)),
    "chain": (Chain(), None, ()),
}


@pytest.mark.parametrize("name", [name for name in NETWORKS if "submodels" not in name])
@pytest.mark.parametrize("wrt", ["auto", "parameters"])
@pytest.mark.parametrize("kind", ["gramian", "known", "vector"])
@pytest.mark.parametrize("n_members", [1, 2])
def test_heads_follow_their_own_losses_and_the_rest_the_direction(name, wrt, kind, n_members):
    sharing, trunk, heads = NETWORKS[name]
    weighting = Given(wrt, reads=kind == "gramian", as_vector=kind == "vector")
    network, objective, batch = setting(
        weighting, sharing, trunk, heads=heads, n_members=n_members, penalties=(L2(0.1),)
    )
    losses, expected = by_hand(network, objective, batch)
    backward = autograd_backward(network, objective)
    is_by_representation = isinstance(backward, RepresentationBackward)
    assert is_by_representation == (wrt == "auto" and network.body.has_one_representation)
    step, found = step_of(network, objective, batch, backward)
    torch.testing.assert_close(step.losses, losses, rtol=0, atol=1e-12)
    assert not step.z.requires_grad
    if kind != "vector":
        weights = WEIGHTS.expand(n_members, -1) * batch.targets.present
        torch.testing.assert_close(step.weights, weights, rtol=0, atol=0)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["submodels", "submodels_hidden"])
@pytest.mark.parametrize("kind", ["gramian", "vector"])
def test_submodels_by_representation_and_by_parameters_agree(name, kind):
    """Known weights: both ways are the weighted sum, so that each is the other's oracle."""
    sharing, trunk, heads = NETWORKS[name]
    found = []
    for wrt in ("representation", "parameters"):
        weighting = Given(wrt, as_vector=kind == "vector")
        network, objective, batch = setting(weighting, sharing, trunk, heads=heads)
        backward = autograd_backward(network, objective)
        found.append(step_of(network, objective, batch, backward))
    for ours, theirs in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["gramian", "known", "vector"])
@pytest.mark.parametrize("wrt", ["representation", "parameters"])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("sizes", [(6,), (6, 5)])
def test_the_written_out_step_takes_gradients_too(kind, wrt, n_members, sizes):
    weighting = Given(wrt, reads=kind == "gramian", as_vector=kind == "vector")
    network, objective, batch = setting(weighting, trunk=MLP(sizes), n_members=n_members)
    _, expected = by_hand(network, objective, batch)
    backward = WrittenBackward.of(network, objective)
    _, found = step_of(network, objective, batch, backward)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("wrt", ["representation", "parameters"])
@pytest.mark.parametrize("kind", ["gramian", "vector"])
def test_penalties_on_losses_are_added_to_the_weights(wrt, kind):
    relations = {("price", "sold"): 0.5, ("box", "make"): 0.25}
    penalties = (TaskRelations(relations, form="product", strength=0.3),)
    weighting = Given(wrt, as_vector=kind == "vector")
    network, objective, batch = setting(weighting, penalties=penalties)
    leaf = objective.task_losses(network(batch.x), batch.targets).detach().requires_grad_()
    objective.relations(leaf, batch.targets.present).backward()
    assert leaf.grad.abs().max() > 0.01
    _, expected = by_hand(network, objective, batch, extra=leaf.grad)
    backward = autograd_backward(network, objective)
    _, found = step_of(network, objective, batch, backward)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


# ------------------------------------------------------------------------------------------------
# In a fit
# ------------------------------------------------------------------------------------------------


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 5))
    Y = pd.DataFrame(
        {
            "price": X[:, 0] + 0.1 * rng.normal(size=90),
            "sold": np.where(X[:, 1] > 0, "yes", "no"),
            "kind": rng.choice(["a", "b", "c"], 90),
        }
    )
    return X, Y.mask(rng.random(Y.shape) < 0.3)


def make(**params):
    fixed = {"hidden_layer_sizes": (7, 6), "max_epochs": 4, "batch_size": 16, "random_state": 0}
    fixed |= {"dtype": "float64", "early_stopping": False, "preprocess": None}
    return MultiTaskNetClassifierRegressor(**{**fixed, **params})


class Listener(Callback):
    """Gets skorch's own loop."""

    def on_batch_end(self, net, **kwargs):
        pass


@pytest.mark.parametrize("sharing", ["hard", "mmoe"])
@pytest.mark.parametrize("loss_weights", ["mgda", "uncertainty", {"price": 2.0}])
def test_skorchs_own_loop_weighs_alike(table, sharing, loss_weights):
    ours, theirs = (
        make(sharing=sharing, loss_weights=loss_weights, callbacks=c).fit(*table)
        for c in (None, [Listener()])
    )
    pairs = zip(ours.net_.module_.parameters(), theirs.net_.module_.parameters(), strict=True)
    for left, right in pairs:
        torch.testing.assert_close(left, right, rtol=1e-8, atol=1e-10)
    pd.testing.assert_frame_equal(ours.task_weights_, theirs.task_weights_)


def test_task_weights_are_means_over_labels(table):
    X, Y = table
    constant = make(loss_weights={"sold": 2.0}).fit(X, Y).task_weights_
    assert constant.columns.tolist() == list(Y)
    assert constant.index.tolist() == [1, 2, 3, 4]
    assert (constant == [1.0, 2.0, 1.0]).all(axis=None)
    learned = make(loss_weights="uncertainty").fit(X, Y)
    history = learned.history_
    for name in Y:
        assert learned.task_weights_[name].equals(history[f"weight_{name}"].rename(name))
    # A half for squared errors and 1 for cross-entropies to begin with, then apart.
    assert learned.task_weights_.loc[1].to_numpy() == pytest.approx([0.5, 1.0, 1.0], rel=0.1)
    assert learned.task_weights_.loc[4].nunique() == 3
    unlabelled = Y.assign(price=Y.price.where(Y.price.notna().cumsum() == 1))
    some = make(loss_weights="mgda", max_epochs=1, batch_size=-1).fit(X, unlabelled)
    assert some.task_weights_.sum(axis=1).iloc[0] == pytest.approx(3.0)


def test_a_scheme_that_shares_nothing_says_so_before_it_trains(table):
    for sharing in ("independent", "soft"):
        est = make(sharing=sharing, loss_weights="mgda")
        with pytest.raises(ValueError, match=r"`loss_weights`: .* they share none"):
            est.fit(*table)
        assert not hasattr(est, "net_")
        make(sharing=sharing, loss_weights="uncertainty", max_epochs=1).fit(*table)


def test_what_a_weighting_has_learned_is_kept(table):
    X, Y = table
    est = make(loss_weights="uncertainty", warm_start=True, max_epochs=3).fit(X, Y)
    before = est.net_.criterion_.weighting.log_variance.clone()
    assert before.abs().min() > 0
    est.fit(X, Y)
    assert len(est.task_weights_) == 6
    first = est.task_weights_.loc[[3, 4]]
    assert (first.diff().iloc[1].abs() < 0.2).all()
    assert not torch.equal(est.net_.criterion_.weighting.log_variance, before)
