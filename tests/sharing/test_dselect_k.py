import math

import numpy as np
import pytest
import torch

from skmtl.sharing import DSelectK, Hard
from skmtl.sharing._dselect_k import smooth_step
from skmtl.trunks import MLP
from tests.sharing.oracle import (
    assert_tight,
    body_of,
    each_trunk,
    one_and_two_members,
    rows_for,
    trunk_by_hand,
)

N_TASKS = 3


def step_by_hand(t, gamma):
    """Equation (3) of the paper."""
    if t <= -gamma / 2:
        return 0.0
    if t >= gamma / 2:
        return 1.0
    return -2 / gamma**3 * t**3 + 3 / (2 * gamma) * t + 1 / 2


def selectors_by_hand(body, member, task, gamma=1.0):
    """``r(z)`` of each selector over all numbers that the digits can write."""
    found = []
    for code in body.codes[member, task].tolist():
        steps = [step_by_hand(z, gamma) for z in code]
        found.append(
            [
                math.prod(s if number >> b & 1 else 1 - s for b, s in enumerate(steps))
                for number in range(2 ** len(steps))
            ]
        )
    return found


def shares_by_hand(body, member, task):
    if body.shares is None:
        return [1.0]
    return torch.softmax(body.shares[member, task], dim=0).tolist()


@pytest.mark.parametrize("gamma", [0.5, 1.0, 3.0])
def test_smooth_step_by_hand(gamma):
    z = torch.linspace(-2, 2, 41, dtype=torch.float64)
    expected = [step_by_hand(t, gamma) for t in z.tolist()]
    np.testing.assert_allclose(smooth_step(z, gamma), expected, rtol=0, atol=1e-14)
    ends = torch.tensor([-0.5, 0.0, 0.5], dtype=torch.float64) * gamma
    assert smooth_step(ends, gamma).tolist() == [0.0, 0.5, 1.0]
    ends.requires_grad_()
    smooth_step(ends, gamma).sum().backward()
    assert ends.grad[0] == ends.grad[2] == 0  # flat where it ends


@each_trunk
@one_and_two_members
@pytest.mark.parametrize(("n_experts", "n_selected"), [(4, 2), (3, 1), (5, 3)])
def test_each_task_mixes_experts_by_its_selectors(trunk, n_members, n_experts, n_selected):
    body = body_of(DSelectK(n_experts, n_selected), trunk, n_members=n_members)
    x = rows_for(trunk)
    h = body(x)
    for m in range(n_members):
        experts = [trunk_by_hand(body.trunk.blocks, m * n_experts + e, x) for e in range(n_experts)]
        for t in range(N_TASKS):
            expected = torch.zeros_like(experts[0])
            pairs = zip(shares_by_hand(body, m, t), selectors_by_hand(body, m, t), strict=True)
            for share, selector in pairs:
                for number, weight in enumerate(selector):
                    # Numbers left over stand for the first experts again.
                    expected += share * weight * experts[number % n_experts]
            assert_tight(h[m, t], expected)


@pytest.mark.parametrize("n_experts", range(2, 18))
@pytest.mark.parametrize("n_selected", [1, 3])
def test_weights_of_any_number_of_experts_sum_to_1(n_experts, n_selected):
    body = body_of(DSelectK(n_experts, n_selected), MLP((2,)), n_members=2)
    weights = body.selection()
    assert weights.shape == (2, N_TASKS, n_experts)
    assert (weights >= 0).all()
    assert_tight(weights.sum(-1), torch.ones(2, N_TASKS, dtype=torch.float64))


def choose(body, chosen):
    """Set the codes to the numbers of experts, shape (task, selector)."""
    n_digits = body.codes.shape[-1]
    with torch.no_grad():
        for task, numbers in enumerate(chosen):
            for j, number in enumerate(numbers):
                digits = [1.0 if number >> b & 1 else -1.0 for b in range(n_digits)]
                body.codes[0, task, j] = torch.tensor(digits)


def test_saturated_codes_choose_experts_exactly():
    body = body_of(DSelectK(6, 2, entropy=1.0))
    choose(body, [(0, 0), (5, 5), (2, 4)])
    x = rows_for()
    experts = [trunk_by_hand(body.trunk.blocks, e, x) for e in range(6)]
    h = body(x)
    assert_tight(h[0, 0], experts[0])
    assert_tight(h[0, 1], experts[5])
    first, second = shares_by_hand(body, 0, 2)
    assert_tight(h[0, 2], first * experts[2] + second * experts[4])
    assert (body.selection() > 0).sum(-1).tolist() == [[1, 1, 2]]
    penalty = body.penalty()
    assert penalty == 0
    (gradient,) = torch.autograd.grad(penalty, body.codes)
    assert torch.isfinite(gradient).all()


def test_an_expert_that_nobody_selects_gets_no_gradient():
    body = body_of(DSelectK(4, 1))
    choose(body, [(1,), (1,), (3,)])
    body(rows_for()).sum().backward()
    reached = body.trunk.blocks[0].linear.weight.grad.flatten(1).any(1)
    assert reached.tolist() == [False, True, False, True]


@one_and_two_members
@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_entropy_by_hand(n_members, gamma):
    scheme = DSelectK(5, 2, entropy=0.7, step_width=gamma)
    body = body_of(scheme, MLP((2,)), n_members=n_members)
    expected = 0.0
    for m in range(n_members):
        for t in range(N_TASKS):
            for selector in selectors_by_hand(body, m, t, gamma):
                experts = [sum(selector[e::5]) for e in range(5)]  # of the numbers 0 to 7
                expected -= sum(weight * math.log(weight) for weight in experts if weight > 0)
    assert body.penalty().item() == pytest.approx(0.7 * expected, rel=1e-12)


def test_undecided_selectors_have_the_largest_entropy():
    body = body_of(DSelectK(4, 2, entropy=1.0), MLP((2,)), ["a"])
    with torch.no_grad():
        body.codes.zero_()
    assert body.penalty().item() == pytest.approx(2 * math.log(4))


@each_trunk
def test_one_expert_is_hard_sharing(trunk):
    x = rows_for(trunk)
    ours = body_of(DSelectK(1), trunk, moved=False)
    assert torch.equal(ours(x), body_of(Hard(), trunk, moved=False)(x))


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_experts": 0}, r"`n_experts` .* at least 1\. Found `n_experts = 0`"),
        ({"n_selected": 0}, r"`n_selected` .* at least 1\. Found `n_selected = 0`"),
        ({"step_width": 0}, r"`step_width` .* number above 0\. Found `step_width = 0`"),
        ({"step_width": -1}, r"`step_width` .* number above 0\. Found `step_width = -1`"),
        ({"entropy": -1.0}, r"`entropy` .* at least 0\. Found `entropy = -1.0`"),
    ],
)
def test_bad_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        body_of(DSelectK(**params))
