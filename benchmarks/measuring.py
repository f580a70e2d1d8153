"""What the benchmarks share: turns, medians and ratios, tables, and what the machine is."""

from __future__ import annotations

import datetime as dt
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import skorch
import torch

Times = list[float | None]  # one entry a round; None: sat out

SLOW = 0.5  # seconds from which on a measure sits out three rounds of four


def take_turns(
    measures: dict[Any, Callable[[], float]], rounds: int, slow: float = SLOW
) -> dict[Any, Times]:
    """Call every measure once a round, each round from another one on."""
    times: dict[Any, Times] = {key: [] for key in measures}
    keys = list(measures)
    for turn in range(rounds):
        first = turn * len(keys) // rounds
        for key in keys[first:] + keys[:first]:
            seen = times[key]
            rests = turn % 4 and seen[0] is not None and seen[0] > slow
            seen.append(None if rests else measures[key]())
    return times


def median(times: Times) -> float:
    return statistics.median(t for t in times if t is not None)


def ratio(times: Times, base: Times) -> float:
    """Return the median of the ratios within the rounds that have both."""
    pairs = zip(times, base, strict=True)
    return statistics.median(t / b for t, b in pairs if t is not None and b is not None)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def machine(loads: Sequence[float], seconds: float) -> str:
    """Say where and when this was measured."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(":")[1].strip() if names else cpu
    versions = {"torch": torch, "numpy": np, "scikit-learn": sklearn, "skorch": skorch}
    listed = ", ".join(f"{name} {module.__version__}" for name, module in versions.items())
    return (
        f"{dt.datetime.now(dt.UTC).date().isoformat()}; {cpu}, {os.cpu_count()} cores, "
        f"one thread; Python {platform.python_version()}, {listed}. Load of the machine "
        f"{min(loads):.1f} to {max(loads):.1f}; {seconds / 60:.0f} minutes of CPU time."
    )
