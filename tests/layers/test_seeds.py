import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from skmtl.layers import Seeds, global_generators


def drawn(seeds):
    return (
        torch.rand(3, generator=seeds.weights).tolist(),
        torch.rand(3, generator=seeds.shuffle).tolist(),
        [seeds.draw() for _ in range(3)],
    )


def test_the_same_state_gives_the_same_sources():
    assert drawn(Seeds.spawn(np.random.RandomState(0))) == drawn(
        Seeds.spawn(np.random.RandomState(0))
    )
    assert drawn(Seeds.spawn(np.random.RandomState(0))) != drawn(
        Seeds.spawn(np.random.RandomState(1))
    )


def test_the_sources_differ_from_each_other():
    weights, shuffle, _ = drawn(Seeds.spawn(np.random.RandomState(0)))
    assert weights != shuffle


def test_it_draws_exactly_three_numbers():
    state, oracle = np.random.RandomState(5), np.random.RandomState(5)
    Seeds.spawn(state)
    for _ in range(3):
        oracle.randint(2**31 - 1)
    assert state.randint(10**6) == oracle.randint(10**6)


def test_by_hand():
    seeds = Seeds.spawn(np.random.RandomState(0))
    first, second, third = (np.random.RandomState(0).randint(2**31 - 1, size=3)).tolist()
    assert seeds.weights.initial_seed() == first
    assert seeds.shuffle.initial_seed() == second
    assert seeds.draw() == np.random.RandomState(third).randint(2**31 - 1)


def test_draws_are_plain_integers_that_seed_a_generator():
    seeds = Seeds.spawn(np.random.RandomState(0))
    first, second = seeds.draw(), seeds.draw()
    assert type(first) is int
    assert first != second
    torch.Generator().manual_seed(first)


def test_global_generators_are_left_alone():
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    drawn(Seeds.spawn(np.random.RandomState(0)))
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_it_is_frozen():
    with pytest.raises(FrozenInstanceError, match="weights"):
        Seeds.spawn(np.random.RandomState(0)).weights = None


def test_threads_borrow_the_global_generators_one_after_the_other():
    before = torch.random.get_rng_state()

    def draw(seed):
        with global_generators() as seed_with:
            seed_with(seed)
            return [torch.rand(()).item() for _ in range(20)]

    expected = [draw(seed) for seed in range(40)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(draw, range(40))) == expected
    finally:
        sys.setswitchinterval(interval)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_global_generators_come_back_after_an_error():
    before = torch.random.get_rng_state()

    def fail():
        with global_generators() as seed_with:
            seed_with(5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert torch.equal(torch.random.get_rng_state(), before)
