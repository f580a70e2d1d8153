"""Fixtures of the tests; the seed and the threads stand in the conftest.py above."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def device():
    """The device that the suite runs on: SKMTL_TEST_DEVICE, or the CPU."""
    return os.environ.get("SKMTL_TEST_DEVICE", "cpu")


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data sets next to the repository."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"needs the shared data sets, and there is no folder {path}")
    return path
