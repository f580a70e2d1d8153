import copy

import pytest
import torch

from skmtl.training import FusedAdamW
from skmtl.training._stacked_optimizer import StackedAdamW

SIZES = [2, 1, 3]
OPTIONS = [(1e-2, 0.0), (1e-2, 0.0), (1e-1, 0.3)]


def nets(steps_of=SIZES):
    """Parameters of three nets: a weight with two copies a member, and a bias."""
    draw = torch.Generator().manual_seed(0)
    shapes = [((2 * m, 3, 4), (m, 1, 4)) for m in steps_of]
    return [[torch.randn(shape, generator=draw) for shape in pair] for pair in shapes]


def optimizers(params):
    made = []
    for (weight, bias), (lr, decay) in zip(params, OPTIONS, strict=True):
        groups = [{"params": [weight], "weight_decay": decay}, {"params": [bias]}]
        made.append(FusedAdamW(groups, lr=lr))
    return made


def stacked(params):
    joined = [torch.cat(parts) for parts in zip(*params, strict=True)]
    return joined, StackedAdamW(joined, optimizers(params), params)


def gradients(step, idle=()):
    draw = torch.Generator().manual_seed(step)
    drawn = [[torch.randn(p.shape, generator=draw) for p in pair] for pair in nets()]
    return [[None if i in idle else g for i, g in enumerate(pair)] for pair in drawn]


def step_alone(params, made, grads):
    for own, optimizer, given in zip(params, made, grads, strict=True):
        for parameter, grad in zip(own, given, strict=True):
            parameter.grad = grad
        optimizer.step()


def step_stacked(joined, optimizer, grads):
    for parameter, parts in zip(joined, zip(*grads, strict=True), strict=True):
        parameter.grad = None if parts[0] is None else torch.cat(parts)
    optimizer.step()


@pytest.mark.parametrize("idle", [(), (1,)], ids=["all", "one parameter stands still at first"])
def test_each_net_moves_as_it_does_alone(idle):
    params = nets()
    made = optimizers(params)
    joined, optimizer = stacked(copy.deepcopy(params))
    for step in range(4):
        grads = gradients(step, idle if step < 2 else ())
        step_alone(params, made, grads)
        step_stacked(joined, optimizer, grads)
    for i, together in enumerate(joined):
        expected = torch.cat([own[i] for own in params])
        torch.testing.assert_close(together, expected, rtol=0, atol=0)


def test_nets_with_equal_options_are_one_call():
    _, optimizer = stacked(nets())
    spans = [sorted(places) for _, places in optimizer._runs]
    # The bias of the last net decays as the others do, but has its own learning rate.
    assert [(0, 0, 6), (1, 0, 3)] in spans
    assert len(spans) == 3


def test_some_nets_go_on_with_their_moments():
    params = nets()
    made = optimizers(params)
    joined, optimizer = stacked(copy.deepcopy(params))
    step_alone(params, made, gradients(0))
    step_stacked(joined, optimizer, gradients(0))
    kept = [
        torch.tensor([0, 1, 2, 3, *range(6, 12)]),
        torch.tensor([0, 1, 3, 4, 5]),
    ]  # not the second
    joined = [parameter[rows] for parameter, rows in zip(joined, kept, strict=True)]
    optimizer.keep(joined, kept)
    step_alone(params, made, gradients(1))
    step_stacked(joined, optimizer, [gradients(1)[i] for i in (0, 2)])
    for i, together in enumerate(joined):
        expected = torch.cat([params[k][i] for k in (0, 2)])
        torch.testing.assert_close(together, expected, rtol=0, atol=0)
