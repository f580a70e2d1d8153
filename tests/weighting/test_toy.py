"""Weightings reach the Pareto front of two losses, where a sum of losses is late."""

import math

import numpy as np
import pytest
import torch

from benchmarks import toy_problem
from benchmarks.toy_problem import METHODS, NEAR, STARTS, distance, follow, front, losses

#: Methods that come to the front from wherever they start.
ARRIVE = (
    "PCGrad",
    "MGDA",
    "IMTL-G",
    "Nash-MTL",
    "FairGrad, alpha = 2",
    "Aligned-MTL",
    "UPGrad",
    "FAMO",
)
#: Those that take the valley of the third starting point as slowly as equal weights do.
ARRIVE_BUT_FOR_THE_THIRD = ("CAGrad", "ConFIG", "GradVac")
N_STEPS = 12_000
LR = 0.01


def points(*rows):
    return torch.tensor(np.array(rows), dtype=torch.float64)


def by_the_paper(a, b):
    """Both losses of one point, in plain Python, from the formulas of CAGrad's appendix."""
    upper, lower = max(math.tanh(b / 2), 0), max(math.tanh(-b / 2), 0)
    first = math.log(max(abs(0.5 * (-a - 7) - math.tanh(-b)), 5e-6)) + 6
    second = math.log(max(abs(0.5 * (-a + 3) + math.tanh(-b) + 2), 5e-6)) + 6
    first_bowl = ((-a + 7) ** 2 + 0.1 * (-b - 8) ** 2) / 10 - 20
    second_bowl = ((-a - 7) ** 2 + 0.1 * (-b - 8) ** 2) / 10 - 20
    return 0.1 * (upper * first + lower * first_bowl), upper * second + lower * second_bowl


def test_the_losses():
    drawn = np.random.RandomState(0).uniform(-10, 10, size=(50, 2))
    expected = [by_the_paper(*row) for row in drawn]
    np.testing.assert_allclose(losses(points(*drawn)), expected, rtol=1e-12)
    assert (losses(points(*drawn)) > points(toy_problem.BOUNDS)).all()


def test_the_gradients():
    x = points((-8.5, 7.5), (9.0, -1.0), (1.0, -6.0))
    _, gradients = toy_problem.losses_and_gradients(x)
    for k in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[k] = 1e-6
        slope = (losses(x + step) - losses(x - step)) / 2e-6
        torch.testing.assert_close(gradients[:, :, k], slope, rtol=1e-6, atol=1e-8)


def test_the_front():
    """On it, a mean of both gradients vanishes, and no step makes both losses smaller."""
    x = torch.tensor(front(40))
    assert toy_problem.shortest_mean(x).max() < 1e-9
    assert distance(x).max() < NEAR
    random = np.random.RandomState(0).uniform(-10, 10, size=(4000, 2))
    others = losses(points(*random))
    for values in losses(x):
        assert not (others < values).all(1).any()


def test_a_short_way():
    way = follow(METHODS["MGDA"], points(STARTS[3]), 1500, lr=0.03)
    assert distance(way.end).max() < NEAR
    assert toy_problem.shortest_mean(way.end).max() < 1e-3
    assert way.points.shape == (76, 1, 2)


@pytest.mark.slow
def test_equal_weights_are_late_where_mgda_has_arrived():
    starts = points(STARTS[2])
    assert distance(follow(METHODS["MGDA"], starts, 4000, lr=LR).end) < 1.0
    assert distance(follow(METHODS["equal weights"], starts, 4000, lr=LR).end) > 8.0


def assert_arrives(name, *starts):
    way = follow(METHODS[name], points(*starts), N_STEPS, lr=LR)
    assert distance(way.end).max() < NEAR
    assert toy_problem.shortest_mean(way.end).max() < 2e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ARRIVE)
def test_methods_arrive_from_beyond_the_valleys(name):
    assert_arrives(name, STARTS[0], STARTS[2])


@pytest.mark.slow
@pytest.mark.parametrize("name", ARRIVE_BUT_FOR_THE_THIRD)
def test_methods_arrive_from_beyond_one_valley(name):
    assert_arrives(name, STARTS[0], STARTS[4])


@pytest.mark.slow
def test_equal_weights_do_not_arrive_from_beyond_both_valleys():
    way = follow(METHODS["equal weights"], points(STARTS[0], STARTS[2]), N_STEPS, lr=LR)
    assert (distance(way.end) < NEAR).tolist() == [True, False]
    assert toy_problem.shortest_mean(way.end)[1] > 0.1


def test_starting_points_do_not_meet():
    together = follow(METHODS["CAGrad"], points(*STARTS), 50)
    alone = follow(METHODS["CAGrad"], points(STARTS[1]), 50)
    torch.testing.assert_close(together.end[1:2], alone.end, rtol=0, atol=1e-9)


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    chosen = list(METHODS.items())[:5]
    ways = {name: follow(method, points(*STARTS), 5) for name, method in chosen}
    toy_problem.draw(ways, tmp_path / "toy.png")
    assert (tmp_path / "toy.png").stat().st_size > 10_000
