import copy
import io
import pickle

import numpy as np
import pytest
import torch

from skmtl import MultiTaskNetRegressor
from skmtl._strategy import resolve
from skmtl.weighting import Weighting
from skmtl.weighting._task_rows import TaskAverages, TaskRows
from tests.oracle import new_seeds, numbers
from tests.weighting.batches import direct, made

#: Methods that keep something by coordinate of the gradient.
KEEPING = ["db_mtl", "moco", "excess_mtl"]
every_method = pytest.mark.parametrize("method", KEEPING)


def built(method):
    strategy = resolve(method, Weighting, "loss_weights")
    if "update_every" in strategy.get_params():
        strategy.set_params(update_every=1)
    return strategy.build(numbers("a", "b", "c"), 1, new_seeds()).double()


def rows_of(module):
    """What the module keeps with tasks second to last, and how wide it is."""
    return {
        name: value.clone()
        for name, value in module.state_dict().items()
        if value.dim() == 3 and value.shape[1] == 3
    }


def test_averages_by_hand():
    """0, then half of the way to 2, then to 4: 1, 2.5, over what ones would give: 0.5, 0.75."""
    averages = TaskAverages(1, 2).double()
    first, second = torch.tensor([[[2.0], [8.0]]]).double(), torch.tensor([[[4.0], [0.0]]]).double()
    both, one = torch.tensor([True, True]), torch.tensor([True, False])

    def half(count):
        return torch.full_like(count, 0.5)

    assert averages.step(first, both, half).tolist() == [[[2.0], [8.0]]]
    found = averages.step(second, one, half)
    torch.testing.assert_close(found, torch.tensor([[[2.5 / 0.75], [0.0]]]).double())
    assert averages.rows.values.tolist() == [[[2.5], [4.0]]]
    assert averages.count.tolist() == [[2, 1]]


def test_a_rate_of_one_forgets():
    averages = TaskAverages(1, 3).double()
    for _, present, gradients in made(missing=0.5):
        found = averages.step(gradients, present, torch.ones_like)
        torch.testing.assert_close(found, gradients)


def test_rates_go_by_each_tasks_own_count():
    averages, seen = TaskAverages(1, 2), []

    def rate(count):
        seen.extend(count.tolist())
        return 1 / count

    for present in ([True, False], [True, True], [False, True]):
        averages.step(torch.ones(1, 2, 4), torch.tensor(present), rate)
    assert seen == [[1, 1], [2, 1], [2, 2]]


@every_method
@pytest.mark.parametrize("absent", [[1], [0, 2], [0, 1, 2]], ids=str)
def test_rows_of_absent_tasks_stand_still(method, absent):
    module = built(method)
    for one in made(n=4, missing=0.0):
        direct(module, one)
    before = rows_of(module)
    assert before
    others = [i for i in range(3) if i not in absent]
    for losses, present, gradients in made(n=4, missing=0.0, seed=1):
        present[absent] = False
        direct(module, (losses * present, present, gradients * present[:, None]))
    for name, rows in rows_of(module).items():
        assert torch.equal(rows[:, absent], before[name][:, absent])
        assert (rows[:, others] != before[name][:, others]).all()


@every_method
def test_the_state_goes_into_a_new_module(method):
    batches = made(n=8)
    module = built(method)
    keys = list(module.state_dict())
    for one in batches[:4]:
        direct(module, one)
    assert list(module.state_dict()) == keys
    saved = io.BytesIO()
    torch.save(module.state_dict(), saved)
    saved.seek(0)
    twin = built(method)
    twin.load_state_dict(torch.load(saved))
    for one in batches[4:]:
        expected, found = direct(module, one), direct(twin, one)
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1], expected[1])


def test_the_width_may_not_change():
    rows = TaskRows(1, 2)
    rows.like(torch.zeros(1, 2, 5))
    with pytest.raises(ValueError, match=r"by 5 numbers that the tasks share, .* share 4\. Freeze"):
        rows.like(torch.zeros(1, 2, 4))


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4))
    Y = np.tanh(X @ rng.normal(size=(4, 3))) + 0.1 * rng.normal(size=(120, 3))
    return X, np.where(rng.random(Y.shape) < 0.6, np.nan, Y)


@every_method
def test_a_fit_keeps_them_through_stopping_copies_and_more_epochs(method, table):
    X, Y = table
    est = MultiTaskNetRegressor(
        loss_weights=method, hidden_layer_sizes=(6,), max_epochs=30, batch_size=8, random_state=0
    )
    est.set_params(early_stopping=True, n_members=1, n_iter_no_change=3).fit(X, Y)
    shared = sum(p.numel() for p in est.net_.module_.body.parameters())
    rows = rows_of(est.net_.criterion_.weighting)
    assert {value.shape for value in rows.values()} == {(1, 3, shared)}
    twins = [copy.deepcopy(est), pickle.loads(pickle.dumps(est))]
    expected = est.partial_fit(X, Y).predict(X)
    for twin in twins:
        np.testing.assert_array_equal(twin.partial_fit(X, Y).predict(X), expected)
    assert np.isfinite(expected).all()
