import numpy as np
import pytest
import torch
from torch import nn

from skmtl._strategy import resolve
from skmtl.layers import Inputs, Seeds
from skmtl.sharing import Independent, Sharing
from skmtl.trunks import MLP
from tests.oracle import layout_of


def build(names, n_members=1, trunk=None):
    seeds = Seeds.spawn(np.random.RandomState(0))
    body = Independent().build(
        trunk or MLP((6, 5)),
        inputs=Inputs((4,)),
        layout=layout_of(names),
        n_members=n_members,
        seeds=seeds,
    )
    return body.double()


@pytest.mark.parametrize("n_members", [1, 3])
def test_a_trunk_per_member_and_task(n_members):
    body = build(["a", "b"], n_members)
    x = torch.randn(7, 4, dtype=torch.float64)
    h = body(x)
    assert h.shape == (n_members, 2, 7, 5)
    first, second = (block.linear for block in body.trunk.blocks)
    for member in range(n_members):
        for task in range(2):
            copy = 2 * member + task  # (member, task) in one axis
            net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU()).double()
            with torch.no_grad():
                for ours, theirs in ((first, net[0]), (second, net[2])):
                    theirs.weight.copy_(ours.weight[copy].T)
                    theirs.bias.copy_(ours.bias[copy, 0])
            torch.testing.assert_close(h[member, task], net(x), rtol=0, atol=1e-14)


def test_by_hand():
    body = build(["a", "b"], trunk=MLP((1,)))
    with torch.no_grad():
        body.trunk.blocks[0].linear.weight.copy_(torch.tensor([[[1.0]] * 4, [[2.0]] * 4]))
        body.trunk.blocks[0].linear.bias.zero_()
    h = body(torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.float64))
    assert h.tolist() == [[[[10.0]], [[20.0]]]]


def test_one_task_does_not_read_the_weights_of_another():
    body = build(["a", "b"])
    h = body(torch.randn(7, 4, dtype=torch.float64))
    h[:, 0].sum().backward()
    for parameter in body.parameters():
        assert (parameter.grad[0] != 0).any()
        assert (parameter.grad[1] == 0).all()


def test_without_a_layer_all_tasks_read_the_features():
    body = build(["a", "b"], 3, MLP(()))
    x = torch.randn(7, 4, dtype=torch.float64)
    assert torch.equal(body(x), x.expand(3, 2, 7, 4))


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Did you mean 'independent'\?"):
        resolve("independant", Sharing, "sharing")
