"""Networks that share nothing read the rows of their own labels, and come to the same."""

import warnings
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV, KFold
from torch import nn

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.estimators._batch_size import batch_size_by_task
from skmtl.heads import Layout
from skmtl.inspection._probes import draw_rows
from skmtl.layers import Inputs
from skmtl.model_selection import MultiTaskGridSearchCV
from skmtl.sharing import Hard, Independent
from skmtl.training import BatchIterator, NetworkSpec, Objective, _orders, pays_by_task
from skmtl.training._orders import LabelledRows
from skmtl.training._written import WrittenBackward
from skmtl.trunks import MLP, ModuleTrunk, TabM
from skmtl.weighting import Fixed
from tests.oracle import MIXED, Table, loop_losses, new_seeds


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(counts, n=60):
    """Labels of tasks in so many rows by chance, and the rows of two members, some of them twice."""
    random = np.random.default_rng(sum(counts))
    labelled = torch.zeros(len(counts), n, dtype=torch.bool)
    for row, count in zip(labelled, counts, strict=True):
        row[random.permutation(n)[:count]] = True
    return labelled, (torch.arange(n), torch.as_tensor(random.integers(n, size=n)))


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any),
    n_batches=st.integers(1, 15),
    is_drawn=st.booleans(),
)
def test_each_labelled_row_comes_once_and_tasks_are_spread_evenly(counts, n_batches, is_drawn):
    labelled, members = drawn(counts)
    rows = LabelledRows.of(labelled, members)
    order = rows.order(n_batches, generator() if is_drawn else None)
    assert order.rows.shape == order.counts.shape == (2 * len(counts), order.rows.shape[1])
    size = order.rows.shape[1] // n_batches
    assert size == -(-rows.most // n_batches)
    for copy, (found, counted) in enumerate(zip(order.rows, order.counts, strict=True)):
        member, task = divmod(copy, len(counts))
        expected = [row for row in members[member].tolist() if labelled[task, row]]
        assert Counter(found[counted].tolist()) == Counter(expected)
        if not is_drawn:
            assert found[counted].tolist() == expected
        per_batch = counted.unflatten(0, (n_batches, size)).sum(1)
        assert per_batch.max() - per_batch.min() <= 1


def test_the_order_is_the_generators():
    labelled, members = drawn([30, 20])
    rows = LabelledRows.of(labelled, members)
    first, again, other = (rows.order(3, generator(seed)).rows for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    given = generator()
    assert not torch.equal(rows.order(3, given).rows, rows.order(3, given).rows)


@pytest.mark.parametrize(("n_labelled", "pays"), [(0, True), (30, True), (31, False), (60, False)])
def test_they_do_so_where_labels_are_few(n_labelled, pays):
    assert pays_by_task(60, n_labelled) == pays


def sparse_table(n=50, **options):
    """A table whose first feature is the number of the row, with labels in a fifth of the cells."""
    table = Table.made(n=n, missing=0.8, **options)
    table.x[:, 0] = np.arange(n)
    return table


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("batch_size", [3, 100])
def test_batches_hold_rows_labels_and_weights_of_their_tasks(n_members, batch_size):
    table = sparse_table()
    layout = Layout.of(table.specs)
    data = table.pack(layout).by_task(n_members)
    assert data.is_by_task
    assert data.n_rows == int(data.labelled.sum(1).max())
    seen = np.zeros((n_members, layout.n_tasks, 50), dtype=int)
    batches = list(BatchIterator(data, batch_size, generator()))
    assert len(batches) == -(-data.n_rows // batch_size)
    for batch in batches:
        x = batch.x.unflatten(0, (n_members, layout.n_tasks))
        for member in range(n_members):
            for group, ys, ws in zip(layout.groups, batch.targets.y, batch.targets.w, strict=True):
                for i, task in enumerate(range(group.tasks.start, group.tasks.stop)):
                    rows = x[member, task, :, 0].long().numpy()
                    counted = (ws[member, i] > 0).any(0).numpy()
                    np.add.at(seen[member, task], rows[counted], 1)
                    columns = table.columns(layout.names[task])
                    values, weights = table.values[rows, columns], table.weights[rows, columns]
                    n_labelled = int((weights[counted] > 0).sum())
                    assert batch.targets.n_labelled[member, task] == n_labelled
                    assert batch.targets.present[member, task] == bool(n_labelled)
                    expected = torch.as_tensor(weights).T * torch.as_tensor(counted)
                    torch.testing.assert_close(ws[member, i], expected / max(n_labelled, 1))
                    if group.head.weight_per_output or values.shape[1] == 1:
                        encoded = group.head.encode(torch.as_tensor(values), group.width).T
                        torch.testing.assert_close(
                            ys[member, i][:, counted], encoded[:, counted].double()
                        )
    assert (seen == data.labelled.numpy()).all()


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("trunk", [MLP((6, 5)), MLP((6,), "silu"), TabM((6,), k=2, dropout=0.0)])
def test_losses_and_gradients_are_those_of_a_loop_over_labelled_cells(trunk, n_members):
    table = sparse_table()
    table.x[:, 0] /= 50
    layout = Layout.of(table.specs)
    spec = NetworkSpec(Independent(), trunk, (), "relu")
    network = spec.build(Inputs((5,)), layout, new_seeds(), n_members).double()
    weighting = Fixed({layout.names[0]: 3.0}).build(layout, n_members, new_seeds())
    objective = Objective(layout, weighting).double()
    batch = next(iter(BatchIterator(table.pack(layout).by_task(n_members), 100, generator())))

    k = network.n_submodels
    z = network(torch.as_tensor(table.x))
    expected = loop_losses(table, layout, z).unflatten(0, (n_members, k)).mean(1)
    (expected * weighting.weights).sum().backward()
    by_loop = [p.grad.clone() for p in network.parameters()]
    written = WrittenBackward.of(network, objective)
    ways = [lambda: objective.backward(network(batch.x), batch.targets, network)[0]]
    ways += [] if written is None else [lambda: written(*batch).losses]
    for step in ways:
        network.zero_grad()
        torch.testing.assert_close(step(), expected.detach(), rtol=1e-12, atol=1e-12)
        for parameter, gradient in zip(network.parameters(), by_loop, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-12)


def test_who_may_read_rows_of_its_own():
    layout, inputs = Layout.of(MIXED), Inputs((5,))

    def reads(sharing, trunk):
        spec = NetworkSpec(sharing, trunk, (), "relu")
        return spec.build(inputs, layout, new_seeds()).reads_by_task

    assert reads(Independent(), MLP((4,)))
    assert not reads(Hard(), MLP((4,)))
    with_batch_norm = ModuleTrunk(lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)))
    without_weights = ModuleTrunk(
        lambda: nn.BatchNorm1d(5, affine=False, track_running_stats=False)
    )
    assert not reads(Independent(), with_batch_norm)
    assert not reads(Independent(), without_weights)


# ------------------------------------------------------------------------------------------------
# In a fit
# ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sites():
    """Four sites that have each measured their own rows; one is small."""
    random = np.random.default_rng(0)
    n = 160
    X = pd.DataFrame(random.normal(size=(n, 4)), columns=list("abcd"))
    site = random.choice(4, n, p=[0.35, 0.35, 0.2, 0.1])
    number, word = X.a + 0.1 * random.normal(size=n), np.where(X.b > 0, "yes", "no")
    Y = pd.DataFrame(
        {
            "north": np.where(site == 0, number, np.nan),
            "south": np.where(site == 1, word, None),
            "east": np.where(site == 2, -number, np.nan),
            "west": np.where(site == 3, number**2, np.nan),
        }
    )
    return X, Y


def make(**params):
    fixed = {"sharing": "independent", "hidden_layer_sizes": (8,), "dtype": "float64"}
    fixed |= {"max_epochs": 6, "random_state": 0, "n_members": 1, "early_stopping": False}
    return MultiTaskNetClassifierRegressor(**{**fixed, **params})


def over_all_rows(monkeypatch):
    monkeypatch.setattr(_orders, "MOST_LABELLED", -1.0)


def assert_alike(ours, theirs, X):
    for left, right in zip(
        ours.net_.module_.parameters(), theirs.net_.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(left, right, rtol=1e-8, atol=1e-10)
    numbers = ["north", "east", "west"]
    pd.testing.assert_frame_equal(
        ours.predict(X)[numbers].astype(float), theirs.predict(X)[numbers].astype(float)
    )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"n_members": 3},
        {"loss_weights": {"west": 0.5}},
        {"loss_weights": "dwa"},
        {"activation": "silu"},
        {"head_layer_sizes": (3,)},
        {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 15},
    ],
    ids=str,
)
def test_whole_batches_are_those_over_all_rows(sites, monkeypatch, params):
    est = make(batch_size=-1, **params).fit(*sites)
    over_all_rows(monkeypatch)
    other = make(batch_size=-1, **params).fit(*sites)
    assert_alike(est, other, sites[0])
    ours, theirs = est.history_, other.history_
    losses = [name for name in theirs if "loss" in name or "score" in name]
    pd.testing.assert_frame_equal(ours[losses], theirs[losses], rtol=1e-8)


def test_bagged_members_are_those_over_all_rows_too(sites, monkeypatch):
    params = {"n_members": "auto", "early_stopping": True, "batch_size": -1, "n_iter_no_change": 3}
    est = make(**params).fit(*sites)
    over_all_rows(monkeypatch)
    other = make(**params).fit(*sites)
    assert est.n_members_ == other.n_members_ == 8
    # Members of fewer rows begin anew there, so that the weights of their rows differ a little.
    assert est.score(*sites) == pytest.approx(other.score(*sites), abs=0.05)


def test_batches_are_counted_by_the_labels_of_the_largest_task(sites):
    X, Y = sites
    est = make(batch_size=8).fit(X, Y)
    most = int(Y.notna().sum().max())
    steps = est.net_.optimizer_.state[next(est.net_.module_.parameters())]["step"]
    assert float(steps.max()) == 6 * -(-most // 8)
    assert make().fit(X, Y).net_.batch_size == most // 10
    assert make(sharing="hard").fit(X, Y).net_.batch_size == 32


@pytest.mark.parametrize(
    ("n_labelled", "size"), [(2, 4), (39, 4), (60, 6), (250, 25), (1_000, 32), (9_000, 256)]
)
def test_an_epoch_of_few_labels_has_ten_steps(n_labelled, size):
    assert batch_size_by_task(n_labelled) == size


def test_rows_that_judge_may_have_all_labels_or_those_of_one_task(sites):
    X, Y = sites
    dense = pd.DataFrame({name: Y[name].dropna().iloc[:10].to_numpy() for name in Y})
    params = {"early_stopping": "auto", "max_epochs": 3}
    for Y_val in (dense, dense[["north"]].reindex(columns=Y.columns)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # three tasks are not judged
            est = make(**params).fit(X, Y, X_val=X.iloc[:10], y_val=Y_val)
        assert est.history_["valid_loss_north"].notna().all()


def test_rows_are_drawn_of_a_table_by_task():
    data = sparse_table().pack().by_task(1)
    batch = draw_rows(data, 30, generator())
    assert batch.x.shape == (30, 5)


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"dropout": 0.2}], ids=str)
def test_a_stacked_search_gives_the_answers_of_single_fits(sites, params):
    X, Y = sites
    grid = {"lr": [1e-3, 1e-2], "loss_weights": ["equal", {"west": 2.0}], "batch_size": [4, 16]}
    cv = KFold(3, shuffle=True, random_state=0)
    ours = MultiTaskGridSearchCV(make(**params), grid, cv=cv).fit(X, Y)
    theirs = GridSearchCV(make(**params), grid, cv=cv).fit(X, Y)
    for split in range(3):
        name = f"split{split}_test_score"
        np.testing.assert_allclose(ours.cv_results_[name], theirs.cv_results_[name], rtol=1e-6)


def test_partial_fit_weights_of_zero_and_sparse_features_go_along(sites):
    from scipy import sparse

    X, Y = sites
    weight = np.where(np.arange(len(X)) < 40, 0.0, 1.0)
    est = make(batch_size=8).fit(X, Y, sample_weight=weight)
    garbled = Y.copy()
    garbled.loc[garbled.index < 40, "north"] = garbled.loc[garbled.index < 40, "north"] * 9
    again = make(batch_size=8).fit(X, garbled, sample_weight=weight)
    np.testing.assert_array_equal(est.predict(X)["east"], again.predict(X)["east"])
    est.partial_fit(X, Y)
    dense = X.to_numpy().round()
    on_sparse = make(preprocess=None, batch_size=8).fit(sparse.csr_array(dense), Y)
    on_dense = make(preprocess=None, batch_size=8, n_bins=0).fit(dense, Y)
    left, right = on_sparse.predict(dense)["north"], on_dense.predict(dense)["north"]
    np.testing.assert_allclose(left.astype(float), right.astype(float), rtol=1e-8)


def test_steps_of_different_numbers_of_tasks_are_pairwise_alike(sites):
    """A task's rows, not its neighbours, decide what it learns from in a step."""
    X, Y = sites
    orders = []
    for tasks in (["north", "east"], ["north", "east", "west"]):
        labelled = torch.tensor(Y[tasks].notna().to_numpy().T)
        orders.append(LabelledRows.of(labelled, [torch.arange(len(X))]).order(4, None))
    for first, second in pairwise(orders):
        assert torch.equal(first.rows[:2], second.rows[:2])
