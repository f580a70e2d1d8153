"""What the benchmarks share."""

from benchmarks import measuring


def test_a_ratio_is_the_median_of_the_ratios_within_a_round():
    assert measuring.ratio([2.0, 4.0, 9.0, None], [1.0, 2.0, 3.0, 1.0]) == 2.0


def test_every_measure_takes_its_turn_and_slow_ones_rest():
    calls = []
    measures = {
        "slow": lambda: calls.append("slow") or 1.0,
        "quick": lambda: calls.append("quick") or 0.1,
    }
    times = measuring.take_turns(measures, rounds=5)
    assert times["slow"] == [1.0, None, None, None, 1.0]
    assert times["quick"] == [0.1] * 5
    assert calls[-2:] == ["quick", "slow"]  # each round starts with another one
