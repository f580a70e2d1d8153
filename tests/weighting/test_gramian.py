import copy
import pickle

import numpy as np
import pytest
import torch

from skmtl.weighting._gramian import GramianWeights, factor_of, on_host
from tests.oracle import GivenGradients, layout_of
from tests.weighting.jacobians import each


def lengths(gramian):
    return np.sqrt(np.diagonal(gramian))


def built(solve=lengths, n_tasks=3, n_members=1, update_every=1, **more):
    layout = layout_of(["a", "b", "c"][:n_tasks])
    return GramianWeights(solve, layout, n_members, "auto", update_every, **more).double()


def step(module, diagonal, absent=()):
    """One step with orthogonal gradients of these lengths, (member, task)."""
    diagonal = torch.tensor(diagonal, dtype=torch.float64)
    present = torch.ones(diagonal.shape[1], dtype=torch.bool)
    present[list(absent)] = False
    rows = torch.diag_embed(diagonal) * present[:, None]
    losses = 10 * diagonal * present
    return module.direction(losses, present, GivenGradients(rows)).weights.tolist()


def test_the_solver_sees_the_present_tasks_of_each_member():
    module = built(lambda gramian: np.full(len(gramian), len(gramian)), n_members=2)
    assert step(module, [[1, 1, 1], [1, 1, 1]]) == [[3, 3, 3], [3, 3, 3]]
    assert step(module, [[1, 1, 1], [1, 1, 1]], absent=[1]) == [[2, 0, 2], [2, 0, 2]]


def test_a_gradient_of_zero_is_left_out_and_weighs_one():
    module = built(lambda gramian: np.full(len(gramian), len(gramian)))
    assert step(module, [[2, 0, 1]]) == [[2, 1, 2]]
    assert step(module, [[0, 0, 0]]) == [[1, 1, 1]]


def test_losses_are_given_to_those_that_read_them():
    module = built(lambda _, losses: losses, reads_losses=True)
    assert step(module, [[1, 2, 3]], absent=[0]) == [[0, 20, 30]]


def test_weights_are_kept_between_updates():
    module = built(update_every=3)
    assert step(module, [[1, 2, 3]]) == [[1, 2, 3]]
    assert step(module, [[4, 5, 6]]) == [[1, 2, 3]]
    assert step(module, [[4, 5, 6]], absent=[1]) == [[1, 0, 3]]
    assert step(module, [[4, 5, 6]]) == [[4, 5, 6]]


def test_a_task_without_a_label_keeps_its_weight_and_a_new_one_gets_the_usual():
    module = built(update_every=2)
    step(module, [[2, 4, 6]], absent=[1])
    assert module.weights.tolist() == [[2, 4, 6]]  # the mean of 2 and 6
    step(module, [[1, 1, 1]])
    step(module, [[3, 1, 5]], absent=[2])
    assert module.weights.tolist() == [[3, 1, 6]]


def test_gradients_that_are_no_numbers_change_nothing():
    module = built()
    step(module, [[1, 2, 3]])
    assert step(module, [[1, float("inf"), 3]]) == [[1, 2, 3]]
    assert step(module, [[float("nan"), 1, 3]]) == [[1, 2, 3]]


def test_a_member_that_diverges_keeps_its_weights_and_the_others_move_on():
    module = built(n_members=2)
    step(module, [[1, 2, 3], [4, 5, 6]])
    assert step(module, [[1, float("nan"), 3], [7, 8, 9]]) == [[1, 2, 3], [7, 8, 9]]


def test_the_usual_weight_of_a_new_task_is_that_of_its_own_member():
    module = built(n_members=2)
    step(module, [[2, 4, 6], [20, 40, 60]], absent=[1])
    assert module.weights.tolist() == [[2, 4, 6], [20, 40, 60]]


def test_a_batch_without_labels_changes_nothing():
    module = built()
    step(module, [[1, 2, 3]])
    assert step(module, [[4, 5, 6]], absent=[0, 1, 2]) == [[0, 0, 0]]
    assert module.weights.tolist() == [[1, 2, 3]]


def test_losses_are_combined_with_the_last_weights():
    module = built()
    step(module, [[1, 2, 3]])
    total = module(torch.tensor([[1.0, 1.0, 1.0]]), torch.tensor([True, False, True]))
    assert total.tolist() == [4.0]


def test_state_is_saved():
    module = built()
    step(module, [[1, 2, 3]])
    other = built()
    other.load_state_dict(module.state_dict())
    assert other.weights.tolist() == [[1, 2, 3]]
    assert other.is_known.all()
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert step(twin, [[4, 5, 6]]) == [[4, 5, 6]]


def test_the_solver_sees_products_without_the_order_of_their_factors():
    seen = []
    module = built(lambda gramian: seen.append(gramian) or lengths(gramian), n_tasks=2)
    given = torch.tensor([[[1.0, 0.5], [0.25, 1.0]]], dtype=torch.float64)
    present = torch.ones(2, dtype=torch.bool)
    module.direction(torch.ones(1, 2).double(), present, Products(given))
    assert seen[0].tolist() == [[1.0, 0.375], [0.375, 1.0]]


class Products(GivenGradients):
    """Given by themselves."""

    @property
    def gramian(self):
        return self._jacobian


def test_tensors_come_to_the_host_in_one_transfer(monkeypatch):
    transfers, cpu = [], torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: transfers.append(self) or cpu(self))
    shapes = [(2, 3, 3), (2, 3), (0,), ()]
    tensors = [torch.randn(shape, requires_grad=True) for shape in shapes]
    found = on_host(*tensors, torch.tensor([True, False]))
    assert len(transfers) == 1
    for array, tensor in zip(found[:-1], tensors, strict=True):
        np.testing.assert_array_equal(array, tensor.detach().numpy())
        assert array.dtype == np.float64
    assert found[-1].tolist() == [1.0, 0.0]
    found[0][:] = 0.0
    assert tensors[0].all()


def test_wrong_parameters():
    with pytest.raises(ValueError, match=r"`update_every` .*Found `update_every = 0`"):
        built(update_every=0)


@each()
def test_factors(rows):
    gramian = rows @ rows.T
    factor = factor_of(gramian)
    np.testing.assert_allclose(factor.T @ factor, gramian, atol=1e-12 * gramian.max())
