"""The script agrees with itself on the CPU, counts what is counted by hand, and stops at a lie."""

import numpy as np
import pytest

from benchmarks import gpu
from benchmarks.fit_variants import HIDDEN, Job


def test_costs_by_hand():
    """20 features, layers of 64 and 64, 5 + 3 + 2 * 3 outputs, a batch of 256."""
    job = Job.make(10, n=300)
    assert HIDDEN == (64, 64)
    operations, n_bytes = gpu.step_costs(job, 2)
    forward = 20 * 64 + 64 * 64 + 64 * 14
    by_inputs = 64 * 64 + 64 * 14
    assert operations == 2 * 2 * 256 * (2 * forward + by_inputs)
    weights = forward + 64 + 64 + 14
    rows = 3 * 256 * (20 + 64 + 64 + 64 + 64 + 14)
    assert n_bytes == 2 * 4 * (rows + 10 * weights)


def test_a_device_that_gives_other_numbers_is_not_timed(monkeypatch):
    monkeypatch.setattr(gpu, "largest_difference", lambda *_, **__: 1e-3)
    with pytest.raises(SystemExit, match=r"one network: cpu and the CPU differ by 1\.0e-03"):
        gpu.check("cpu")
    monkeypatch.setattr(gpu, "largest_difference", lambda *_, **__: np.nan)
    with pytest.raises(SystemExit):
        gpu.check("cpu")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_the_device_gives_what_the_cpu_gives(device):
    assert "mmoe" in gpu.check(device)


def test_all_ways_are_timed():
    text = "\n".join(gpu.tables("cpu", 600, (1, 2), rounds=1))
    for name in ("skmtl", "skmtl, 2 members", "tight torch loop", "naive torch loop", "skorch"):
        assert f"| {name}" in text
