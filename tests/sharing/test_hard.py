import numpy as np
import pytest
import torch
from torch import nn

from skmtl._strategy import resolve
from skmtl.layers import Inputs, Seeds
from skmtl.sharing import Hard, Independent, Sharing
from skmtl.trunks import MLP
from tests.oracle import layout_of


def seeds(state=0):
    return Seeds.spawn(np.random.RandomState(state))


def build(names, n_members=1, trunk=None):
    trunk = trunk or MLP((6, 5))
    return Hard().build(
        trunk, inputs=Inputs((4,)), layout=layout_of(names), n_members=n_members, seeds=seeds()
    )


@pytest.mark.parametrize("n_members", [1, 3])
def test_the_trunk_of_each_member_serves_all_tasks(n_members):
    body = build(["a", "b", "c"], n_members)
    trunk = MLP((6, 5)).build(Inputs((4,)), n_members, seeds())
    x = torch.randn(7, 4)
    h = body(x)
    assert h.shape == (n_members, 1, 7, 5)
    assert body.out_features == 5
    assert torch.equal(h[:, 0], trunk(x))


def test_by_hand():
    body = build(["a", "b"], trunk=MLP((1,)))
    nn.init.constant_(body.trunk.blocks[0].linear.weight, 0.5)
    nn.init.constant_(body.trunk.blocks[0].linear.bias, 1.0)
    assert body(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).tolist() == [[[[6.0]]]]


def test_the_number_of_tasks_is_without_effect():
    one, many = build(["a"]), build(["a", "b", "c"])
    assert all(map(torch.equal, one.parameters(), many.parameters()))


def test_with_one_task_it_is_independent_nets():
    x = torch.randn(7, 4)
    other = Independent().build(
        MLP((6, 5)), inputs=Inputs((4,)), layout=layout_of(["a"]), n_members=1, seeds=seeds()
    )
    assert torch.equal(build(["a"])(x), other(x))


def test_unknown_name():
    with pytest.raises(ValueError, match=r"`sharing = 'hrad'`\. Did you mean 'hard'\?"):
        resolve("hrad", Sharing, "sharing")
