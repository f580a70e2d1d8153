"""What an epoch costs with each sharing scheme, against hard sharing and against Python loops.

    python -m benchmarks.sharing --quick     # a minute: 2 and 10 tasks, few repeats
    python -m benchmarks.sharing --write     # a quarter of an hour; fills results/sharing.md

The job is that of `fit_speed.py`: 20,000 rows, 20 features, two hidden layers of 64 ReLU, batches
of 256, AdamW, one thread, half regressions and half class tasks.  Each scheme has its default
parameters: MMoE and DSelect-k four experts, PLE and CGC one expert of each task and one shared.

The default, hard sharing of ReLU layers, takes a step with its gradient written out, and so do nets
of a task each (`independent`).  The row `hard, autograd` is hard sharing without that: what all
other schemes can be compared with, like with like.  The loops of `sharing_loops.py` compute the
same outputs and gradients from the same weights (`tests/benchmarks/test_sharing.py`), one layer of
one task or expert after the other, with torch's fused AdamW and a loss per task, on batches that
are slices as ours are.

A scheme with a trunk per task does in a loop the products that it does stacked, and these are most
of its time: for `independent` with 50 tasks about 7 of the 18 ms of a step as loops, so stacking
could win a factor of 2.5 at most there.  What stacking takes away is the cost of the calls.

All variants take turns, round after round, so that a slow spell of the machine hits all of
them.  Times are CPU times of the process, medians over the rounds; ratios are medians of the
ratios within a round.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from threadpoolctl import threadpool_limits

from benchmarks.fit_variants import Job, Ours
from benchmarks.measuring import Times, machine, markdown, median, ratio, take_turns
from benchmarks.recording import write_report
from benchmarks.sharing_loops import FORMS, LoopFit
from skmtl._strategy import strategies
from skmtl.sharing import Sharing
from skmtl.training._written import WrittenBackward

RESULTS = Path(__file__).parent / "results" / "sharing.md"
BATCH_SIZE = 256
HARD, AUTOGRAD = "hard", "hard, autograd"
Cell = tuple[int, str]  # tasks, scheme or loop


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    n_tasks: tuple[int, ...]
    loops: tuple[int, ...]
    rounds: int
    n_rows: int = 20_000


FULL = Plan((2, 10, 50), loops=(50,), rounds=5)
QUICK = Plan((2, 10), loops=(10,), rounds=3, n_rows=5_000)


def schemes() -> list[str]:
    """List the aliases, hard sharing first."""
    return [HARD, *(alias for alias in sorted(strategies(Sharing)) if alias != HARD)]


def loop_of(alias: str) -> str:
    return f"{alias}, loops"


class Autograd:
    """A scheme without the step that has its gradient written out."""

    def __init__(self, job: Job, batch_size: int, sharing: str) -> None:
        with patch.object(WrittenBackward, "of", return_value=None):
            self.ours = Ours(job, batch_size, sharing=sharing)

    def epochs(self, k: int) -> float:
        with patch.object(WrittenBackward, "of", return_value=None):
            return self.ours.epochs(k)


# ---- measure -----------------------------------------------------------------------------------


def time_epochs(plan: Plan) -> dict[Cell, Times]:
    """Time an epoch of every scheme, loop and number of tasks."""
    measures: dict[Cell, Callable[[], float]] = {}
    for n_tasks in plan.n_tasks:
        job = Job.make(n_tasks, n=plan.n_rows)
        fits: dict[str, Any] = {s: Ours(job, BATCH_SIZE, sharing=s) for s in schemes()}
        fits[AUTOGRAD] = Autograd(job, BATCH_SIZE, HARD)
        if n_tasks in plan.loops:
            fits |= {loop_of(alias): LoopFit(job, BATCH_SIZE, alias) for alias in FORMS}
        measures |= {(n_tasks, name): _epoch_of(fit) for name, fit in fits.items()}
    return take_turns(measures, plan.rounds)


def _epoch_of(fit: Any) -> Callable[[], float]:
    return lambda: fit.epochs(1)


# ---- report ------------------------------------------------------------------------------------


def cost_tables(times: dict[Cell, Times], plan: Plan) -> Iterator[str]:
    head = ["scheme", *(f"{n} tasks" for n in plan.n_tasks)]
    names = [HARD, AUTOGRAD, *schemes()[1:]]
    ms = [[s, *(f"{1e3 * median(times[n, s]):.0f}" for n in plan.n_tasks)] for s in names]
    yield f"### CPU ms per epoch\n\n{markdown(head, ms)}"
    for base in (HARD, AUTOGRAD):
        rows = [
            [s, *(f"{ratio(times[n, s], times[n, base]):.1f}" for n in plan.n_tasks)] for s in names
        ]
        yield f"### Times the epoch of `{base}`\n\n{markdown(head, rows)}"


def loop_table(times: dict[Cell, Times], plan: Plan) -> str:
    rows = []
    for alias in FORMS:
        cells = [alias]
        for n in plan.loops:
            seen = times[n, loop_of(alias)]
            cells.append(f"{1e3 * median(seen):.0f} ({ratio(seen, times[n, alias]):.1f})")
        rows.append(cells)
    head = ["scheme as Python loops", *(f"{n} tasks" for n in plan.loops)]
    return f"### Python loops: CPU ms per epoch (times ours)\n\n{markdown(head, rows)}"


def goals(times: dict[Cell, Times], plan: Plan) -> str:
    """Compare ratios with what was asked for."""
    rows = []

    def check(text: str, value: float, limit: float, *, at_most: bool) -> None:
        holds = value <= limit if at_most else value >= limit
        bound = f"{'at most' if at_most else 'at least'} {limit:g}"
        rows.append([text, bound, f"{value:.2f}", "held" if holds else "MISSED"])

    check("mmoe / hard, 10 tasks", ratio(times[10, "mmoe"], times[10, HARD]), 5, at_most=True)
    value = ratio(times[10, "mmoe"], times[10, AUTOGRAD])
    check("mmoe / hard without its written-out step, 10 tasks", value, 5, at_most=True)
    if 50 in plan.n_tasks:
        for s in schemes():
            value = ratio(times[50, s], times[10, s])
            goal = "" if s == "mmoe" else " (goal is for mmoe)"
            check(f"50 tasks / 10 tasks, {s}{goal}", value, 3, at_most=True)
    if 50 in plan.loops:
        for alias in FORMS:
            value = ratio(times[50, loop_of(alias)], times[50, alias])
            check(f"Python loops / ours, {alias}, 50 tasks", value, 3, at_most=False)
    return "### Goals\n\n" + markdown(["ratio", "goal", "measured", "goal is"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2 and 10 tasks, few rows and repeats")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    loads = [os.getloadavg()[0]]
    with threadpool_limits(1):
        times = time_epochs(plan)
    loads.append(os.getloadavg()[0])
    parts = [*cost_tables(times, plan), loop_table(times, plan), goals(times, plan)]
    parts.insert(0, machine(loads, time.process_time()))
    print("\n\n".join(parts))
    if arguments.write:
        write_report(RESULTS, "Cost of sharing schemes", __doc__, parts)


if __name__ == "__main__":
    main()
