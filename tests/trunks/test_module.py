import threading

import numpy as np
import pytest
import torch
from torch import nn

from skmtl.layers import Inputs, Seeds
from skmtl.trunks import ModuleTrunk


def seeds(state=0):
    return Seeds.spawn(np.random.RandomState(state))


def images(channels=2):
    return nn.Sequential(nn.Conv2d(1, channels, 3), nn.ReLU(), nn.Flatten())


def test_copies_are_the_users_module_one_by_one():
    trunk = ModuleTrunk(images).build(Inputs((1, 5, 5)), 3, seeds())
    assert trunk.out_features == 2 * 3 * 3
    x = torch.randn(4, 1, 5, 5)
    h = trunk(x)
    assert h.shape == (3, 4, 18)
    for i, module in enumerate(trunk.blocks[0].copies):
        assert torch.equal(h[i], module(x))
    assert not torch.equal(h[0], h[1])


def test_each_copy_may_have_an_input_of_its_own():
    trunk = ModuleTrunk(images).build(Inputs((1, 5, 5)), 3, seeds())
    x = torch.randn(3, 4, 1, 5, 5)
    h = trunk(x)
    for i, module in enumerate(trunk.blocks[0].copies):
        assert torch.equal(h[i], module(x[i]))


def test_by_hand():
    def double():
        layer = nn.Linear(2, 1, bias=False)
        nn.init.constant_(layer.weight, 2.0)
        return layer

    trunk = ModuleTrunk(double).build(Inputs((2,)), 1, seeds())
    assert trunk(torch.tensor([[3.0, 4.0]])).tolist() == [[[14.0]]]


def test_the_identity_is_the_features():
    trunk = ModuleTrunk(nn.Identity).build(Inputs((3,)), 2, seeds())
    x = torch.randn(5, 3)
    assert torch.equal(trunk(x), x.expand(2, 5, 3))


def test_parameters_reach_the_module():
    trunk = ModuleTrunk(images, {"channels": 7}).build(Inputs((1, 3, 3)), 1, seeds())
    assert trunk.out_features == 7


def test_weights_come_from_the_seed_and_the_global_generator_stays():
    before = torch.random.get_rng_state()
    first = ModuleTrunk(images).build(Inputs((1, 5, 5)), 2, seeds())
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    again = ModuleTrunk(images).build(Inputs((1, 5, 5)), 2, seeds())
    other = ModuleTrunk(images).build(Inputs((1, 5, 5)), 2, seeds(1))
    assert all(map(torch.equal, first.parameters(), again.parameters()))
    assert not any(map(torch.equal, first.parameters(), other.parameters()))


def test_builds_in_several_threads_do_not_disturb_each_other():
    def slow():
        layers = nn.Sequential()
        for _ in range(20):
            layers.append(nn.Linear(8, 8))
        return layers

    def build(state, out):
        trunk = ModuleTrunk(slow).build(Inputs((8,)), 3, seeds(state))
        out[state] = [p.detach() for p in trunk.parameters()]

    alone, together = {}, {}
    for state in range(6):
        build(state, alone)
    threads = [threading.Thread(target=build, args=(state, together)) for state in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for state in range(6):
        assert all(map(torch.equal, alone[state], together[state]))


def test_looking_at_the_output_leaves_mode_and_statistics():
    def normed():
        return nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))

    trunk = ModuleTrunk(normed).build(Inputs((3,)), 1, seeds())
    norm = trunk.blocks[0].copies[0][0]
    assert norm.training
    assert norm.num_batches_tracked == 0
    assert torch.equal(norm.running_mean, torch.zeros(3))


@pytest.mark.parametrize("module", [None, "linear", nn.Linear(3, 2).weight])
def test_a_module_that_cannot_be_called(module):
    with pytest.raises(TypeError, match=r"`module` must be a class or function that returns a"):
        ModuleTrunk(module).build(Inputs((3,)), 1, seeds())


def test_a_function_that_returns_no_module():
    with pytest.raises(TypeError, match=r"must return a torch\.nn\.Module\. Found dict"):
        ModuleTrunk(dict).build(Inputs((3,)), 1, seeds())


@pytest.mark.parametrize(
    ("shape", "found"),
    [((3,), r"shape \(2, 3, 1\)"), ((), r"shape \(2, 1\)")],
)
def test_an_output_with_other_axes(shape, found):
    class Wider(nn.Module):
        def forward(self, x):
            return x.unsqueeze(-1)

    class First(nn.Module):
        def forward(self, x):
            return x[:1]

    with pytest.raises(ValueError, match=r"must map \(sample, \.\.\.\) to \(sample, feature\)"):
        ModuleTrunk(First).build(Inputs((3,)), 1, seeds())
    if shape == ():
        assert ModuleTrunk(Wider).build(Inputs(shape), 1, seeds()).out_features == 1
        return
    with pytest.raises(ValueError, match=f"For two samples of shape .* it returned {found}"):
        ModuleTrunk(Wider).build(Inputs(shape), 1, seeds())


def test_an_output_that_is_no_tensor():
    with pytest.raises(ValueError, match=r"it returned <class 'tuple'>"):
        ModuleTrunk(nn.LSTM, {"input_size": 3, "hidden_size": 2}).build(Inputs((4, 3)), 1, seeds())


def test_an_error_of_the_module_tells_the_shape():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        ModuleTrunk(nn.Linear, {"in_features": 5, "out_features": 2}).build(
            Inputs((3,)), 1, seeds()
        )
    assert "two samples of shape (3,)" in caught.value.__notes__[0]
