"""How long one epoch of a multi-task fit takes, against other ways to train the same network.

    python -m benchmarks.fit_speed --quick     # a minute: 1 and 10 tasks, few repeats
    python -m benchmarks.fit_speed --write     # ten minutes; fills benchmarks/results/fit_speed.md

The job: 20,000 rows, 20 features, two hidden layers of 64 ReLU, Adam with a learning rate of
0.001, 1 to 200 tasks (half regressions, a quarter with two classes, a quarter with three; one
task: a regression), one thread.  `fit_variants.py` holds the ways to train, and
`tests/benchmarks` shows that those by hand reach our losses and weights.

All variants take turns, round after round, so that a slow spell of the machine hits all of
them.  Times are CPU times of the process, medians over the rounds; ratios are medians of the
ratios to ours within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.fit_variants import (
    HIDDEN,
    Job,
    ListSkorch,
    NaiveLoop,
    Ours,
    ScikitLearn,
    StackedSkorch,
    TightLoop,
)
from benchmarks.measuring import Times, machine, markdown, median, ratio, take_turns
from benchmarks.recording import write_report

RESULTS = Path(__file__).parent / "results" / "fit_speed.md"
VARIANTS = (Ours, TightLoop, ScikitLearn, StackedSkorch, ListSkorch, NaiveLoop)
OURS = Ours.name

Cell = tuple[int, int, str]  # tasks, batch size, variant


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    n_tasks: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    rounds: int
    epochs: int
    starts: int


FULL = Plan((1, 10, 50, 200), (256, 1024), rounds=12, epochs=3, starts=5)
QUICK = Plan((1, 10), (256, 1024), rounds=5, epochs=2, starts=1)


# ---- epochs ------------------------------------------------------------------------------------


def time_epochs(plan: Plan) -> dict[Cell, Times]:
    """Time an epoch of every variant, number of tasks and batch size."""
    measures: dict[Cell, Callable[[], float]] = {}
    for n_tasks in plan.n_tasks:
        job = Job.make(n_tasks)
        for batch_size in plan.batch_sizes:
            for kind in VARIANTS:
                variant = kind(job, batch_size)
                measures[n_tasks, batch_size, kind.name] = _epochs_of(variant, plan.epochs)
    return take_turns(measures, plan.rounds)


def _epochs_of(variant: Any, epochs: int) -> Callable[[], float]:
    return lambda: variant.epochs(epochs)


def epoch_tables(times: dict[Cell, Times], plan: Plan) -> Iterator[str]:
    for batch_size in plan.batch_sizes:
        rows = []
        for kind in VARIANTS:
            cells = [kind.name]
            for n_tasks in plan.n_tasks:
                seen = times[n_tasks, batch_size, kind.name]
                factor = ratio(seen, times[n_tasks, batch_size, OURS])
                cells.append(f"{1e3 * median(seen):.1f} ({factor:.2f})")
            rows.append(cells)
        head = ["variant", *(f"{n} task{'s' if n > 1 else ''}" for n in plan.n_tasks)]
        yield f"### Batch {batch_size}: CPU ms per epoch (ratio to ours)\n\n{markdown(head, rows)}"


def goals(times: dict[Cell, Times], plan: Plan) -> str:
    """Compare ratios with what was asked for in issue 2."""
    rows = []

    def check(text: str, value: float, limit: float, *, at_most: bool) -> None:
        holds = value <= limit if at_most else value >= limit
        bound = f"{'at most' if at_most else 'at least'} {limit:g}"
        rows.append([text, bound, f"{value:.2f}", "yes" if holds else "NO"])

    def ours_to(n_tasks: int, batch_size: int, name: str) -> float:
        return ratio(times[n_tasks, batch_size, OURS], times[n_tasks, batch_size, name])

    for batch_size in plan.batch_sizes:
        for n in plan.n_tasks:
            text = f"ours / tight loop, {n} tasks, batch {batch_size}"
            check(text, ours_to(n, batch_size, TightLoop.name), 1.05, at_most=True)
    check(
        "ours / MLPRegressor, 10 tasks, batch 256",
        ours_to(10, 256, ScikitLearn.name),
        1.1,
        at_most=True,
    )
    for kind in (StackedSkorch, ListSkorch):
        text = f"{kind.name} / ours, 10 tasks, batch 256"
        check(text, 1 / ours_to(10, 256, kind.name), 5, at_most=False)
    if 50 in plan.n_tasks:
        text = "naive loop / ours, 50 tasks, batch 256"
        check(text, 1 / ours_to(50, 256, NaiveLoop.name), 8, at_most=False)
    if 200 in plan.n_tasks:
        value = ratio(times[200, 256, OURS], times[1, 256, OURS])
        check("200 tasks / 1 task, ours, batch 256", value, 4, at_most=True)
    return "### Goals\n\n" + markdown(["ratio", "goal", "measured", "holds"], rows)


# ---- independent networks ----------------------------------------------------------------------


def independent_table(plan: Plan, n_tasks: int = 10) -> str:
    """Time one stacked fit of a network per task against as many separate fits."""
    job = Job.make(n_tasks)
    single = [job.only(task) for task in range(n_tasks)]
    rows = []
    for batch_size in plan.batch_sizes:
        stacked = Ours(job, batch_size, sharing="independent")
        separate = [Ours(one, batch_size) for one in single]
        times = take_turns(
            {
                "stacked": lambda stacked=stacked: stacked.epochs(plan.epochs),
                "separate": lambda nets=separate: sum(net.epochs(plan.epochs) for net in nets),
            },
            max(3, plan.rounds // 2),
        )
        milliseconds = [f"{1e3 * median(times[key]):.1f}" for key in ("stacked", "separate")]
        factor = ratio(times["separate"], times["stacked"])
        rows.append([str(batch_size), *milliseconds, f"{factor:.2f}"])
    head = ["batch", 'sharing="independent"', f"{n_tasks} separate fits", "ratio"]
    return f"### A network per task, {n_tasks} tasks: CPU ms per epoch\n\n{markdown(head, rows)}"


# ---- the limit -------------------------------------------------------------------------------


def limit_table(plan: Plan, n_tasks: int = 10) -> str:
    """Compare an epoch of regressions with scikit-learn's, and with its matrix products alone."""
    made = Job.make(n_tasks)
    scores = np.random.default_rng(0).standard_normal(made.Y.shape)
    job = Job(made.X, scores, n_tasks, 0, 0)
    measures: dict[Any, Callable[[], float]] = {}
    for batch_size in plan.batch_sizes:
        for kind in (Ours, ScikitLearn):
            variant = kind(job, batch_size)
            measures[batch_size, kind.name] = _epochs_of(variant, plan.epochs)
        measures[batch_size, "floor"] = _floor(job, batch_size)
    times = take_turns(measures, plan.rounds)
    rows = []
    for batch_size, goal in zip(plan.batch_sizes, (3.5, 2.5), strict=True):
        ours, theirs, floor = (
            times[batch_size, name] for name in (OURS, ScikitLearn.name, "floor")
        )
        versus, limit = ratio(ours, theirs), ratio(ours, floor)
        asked = "0.7" if batch_size == 256 else ""
        rows.append(
            [
                str(batch_size),
                *(f"{1e3 * median(seen):.1f}" for seen in (ours, theirs, floor)),
                f"{versus:.2f}",
                asked,
                f"{limit:.2f}",
                f"{goal:g}",
            ]
        )
    head = ["batch", "skmtl", "MLPRegressor", "products alone", "ours / MLPRegressor", "goal"]
    head += ["ours / products", "goal"]
    return (
        f"### Near the limit: {n_tasks} regressions, CPU ms per epoch\n\n"
        "Products alone: the eight matrix products that forward and backward need, on tensors that "
        f"are there, by torch.\n\n{markdown(head, rows)}"
    )


def _floor(job: Job, batch_size: int) -> Callable[[], float]:
    """Time the products of an epoch."""
    n_in, n_out, n_batches = job.X.shape[1], job.Y.shape[1], -(-len(job.X) // batch_size)
    first, second = HIDDEN
    x, h1, h2, z = (torch.randn(1, batch_size, n) for n in (n_in, first, second, n_out))
    w1, w2, w3 = (
        torch.randn(1, a, b) for a, b in ((n_in, first), (first, second), (second, n_out))
    )

    def measure() -> float:
        start = time.process_time()
        for _ in range(n_batches):
            for left, right in (
                *((x, w1), (h1, w2), (h2, w3)),
                *((z.mT, h2), (z, w3.mT), (h1.mT, h2), (h2, w2.mT), (x.mT, h1)),
            ):
                torch.bmm(left, right)
        return time.process_time() - start

    return measure


# ---- the first fit of a process ----------------------------------------------------------------

FIRST_FIT = """
import json, sys, time

def now():
    return time.perf_counter(), time.process_time()

start = now()
if sys.argv[1] == "imports":
    import pandas, sklearn.pipeline, sklearn.model_selection, skorch, torch
else:
    import skmtl
imported = now()
if sys.argv[1] != "imports":
    import numpy as np, torch
    random = np.random.default_rng(0)
    X, Y = random.standard_normal((500, 20)), random.standard_normal((500, 4))
    optimizer = torch.optim.AdamW if sys.argv[1] == "torch" else "adamw"
    model = skmtl.MultiTaskNetRegressor(n_members=1, optimizer=optimizer, max_epochs=20)
    ready = now()
    model.fit(X, Y)
    fitted = now()
else:
    ready = fitted = imported
spans = [*(b - a for a, b in zip(start, imported)), *(b - a for a, b in zip(ready, fitted))]
print(json.dumps([*spans, "torch._dynamo" in sys.modules]))
"""


def first_fit_table(plan: Plan) -> str:
    """Time import and first fit in fresh processes, with our AdamW and with torch.optim's."""
    labels = {
        "imports": "import torch, skorch, sklearn, pandas",
        "ours": 'import skmtl; fit, optimizer="adamw"',
        "torch": "import skmtl; fit, optimizer=torch.optim.AdamW",
    }
    seen: dict[str, list[list[Any]]] = {key: [] for key in labels}
    for _ in range(plan.starts + 1):
        for key in labels:
            seen[key].append(_start(key))
    rows = []
    for key, text in labels.items():
        warm = seen[key][1:]  # the first round reads the files from the disk
        spans = [statistics.median(column) for column in zip(*warm, strict=True)][:4]
        dynamo = "yes" if any(run[-1] for run in warm) else "no"
        rows.append([text, *(f"{span:.2f}" for span in spans), dynamo])
    if any(run[-1] for run in seen["ours"]):
        raise SystemExit("The default path imported torch._dynamo.")
    head = [
        "fresh process",
        "import: wall s",
        "CPU s",
        "first fit: wall s",
        "CPU s",
        "torch._dynamo",
    ]
    text = "First fit of a process: 500 rows, 20 features, 4 tasks, 20 epochs"
    return f"### {text}\n\n{markdown(head, rows)}"


def _start(key: str) -> list[Any]:
    command = [sys.executable, "-c", FIRST_FIT, key]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


# ---- report ------------------------------------------------------------------------------------


def report(plan: Plan) -> Iterator[str]:
    """Measure everything, one section after the other."""
    times = time_epochs(plan)
    yield from epoch_tables(times, plan)
    yield goals(times, plan)
    yield limit_table(plan)
    yield independent_table(plan)
    yield first_fit_table(plan)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1 and 10 tasks, few repeats")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    sections, loads = [], [os.getloadavg()[0]]
    with threadpool_limits(1):
        for section in report(plan):
            sections.append(section)
            loads.append(os.getloadavg()[0])
            print(f"{section}\n", flush=True)
    sections.insert(0, machine(loads, time.process_time()))
    print(sections[0])
    if arguments.write:
        write_report(RESULTS, "Speed of a fit", __doc__, sections)


if __name__ == "__main__":
    main()
