"""How long a search takes: 16 candidates on 5 folds, trained together and one by one.

    python -m benchmarks.search_speed --quick     # 500 rows, a minute
    python -m benchmarks.search_speed --write     # 20 minutes; fills results/search_speed.md

The job: 20 features, 10 tasks (five regressions, three with two classes, two with three), two
hidden layers of 64 ReLU, a grid of four learning rates, two weight decays and equal or learned
(`"uncertainty"`) loss weights, five folds: 80 fits of so many epochs that the rows are seen as
often as the table says.  Numbers are read as they are (`n_bins=0`, no moving average, one member,
no early stopping), so that plain skorch can train the same module.  Scores are part of the search;
the last fit of the best candidate is not.

Seconds on the clock, medians over the rounds; ratios are medians of the ratios to ours within a
round.  One thread for each process.  `GridSearchCV` is scikit-learn's over the same estimator, by
itself and with two processes (whose start is part of the time).  `skorch` is `skorch.NeuralNet` as
it comes, with its DataLoader and torch's Adam on stacked heads, unscored: one fit on four fifths of
the rows, times 80.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from benchmarks.fit_variants import HIDDEN, Job, StackedSkorch
from benchmarks.measuring import machine, markdown, median, ratio, take_turns
from benchmarks.recording import write_report
from skmtl import MultiTaskNetClassifierRegressor
from skmtl.model_selection import MultiTaskGridSearchCV

RESULTS = Path(__file__).parent / "results" / "search_speed.md"
GRID = {
    "lr": [3e-4, 1e-3, 3e-3, 1e-2],
    "weight_decay": [0.0, 1e-2],
    "loss_weights": [None, "uncertainty"],
}
N_FOLDS, N_FITS = 5, 80
EPOCHS = {500: 40, 5_000: 12, 20_000: 3}
BATCHES = (64, 256, 1024)
#: The least ratio of GridSearchCV(n_jobs=2), and of plain skorch, to ours; of issue 6.
GOALS = {64: (2.0, 30.0), 256: (1.4, 15.0), 1024: (1.0, None)}
OURS, OURS_2 = "skmtl", "skmtl, n_jobs=2"
THEIRS, THEIRS_2 = "GridSearchCV", "GridSearchCV, n_jobs=2"
SKORCH = "skorch, one by one"
WAYS = (OURS, OURS_2, THEIRS, THEIRS_2, SKORCH)


def estimator(job: Job, batch_size: int, epochs: int) -> Any:
    """The estimator of all searches."""
    return MultiTaskNetClassifierRegressor(
        dict(zip(job.frame, job.kinds, strict=True)),
        hidden_layer_sizes=HIDDEN,
        n_members=1,
        n_bins=0,
        ema_decay=0.0,
        early_stopping=False,
        batch_size=batch_size,
        max_epochs=epochs,
        random_state=0,
    )


def search(way: str, job: Job, batch_size: int, epochs: int) -> Any:
    """Run one search."""
    kind = MultiTaskGridSearchCV if way in {OURS, OURS_2} else GridSearchCV
    n_jobs = 2 if way in {OURS_2, THEIRS_2} else None
    model = estimator(job, batch_size, epochs)
    return kind(model, GRID, cv=N_FOLDS, refit=False, n_jobs=n_jobs).fit(job.X, job.frame)


def seconds_of(way: str, job: Job, batch_size: int, epochs: int) -> Callable[[], float]:
    """What measures one way once."""

    def measure() -> float:
        start = time.perf_counter()
        if way != SKORCH:
            search(way, job, batch_size, epochs)
            return time.perf_counter() - start
        rows = np.arange(len(job.X)) % N_FOLDS > 0
        part = Job(job.X[rows], job.Y[rows], job.n_real, job.n_binary, job.n_three)
        net = StackedSkorch(part, batch_size)
        net.net.partial_fit(net.X, net.Y, epochs=epochs)
        return (time.perf_counter() - start) * N_FITS

    return measure


def tables(sizes: list[int], rounds: int) -> list[str]:
    """Measure all searches."""
    keys = [(n, b) for n in sizes for b in BATCHES]
    measures: dict[Any, Callable[[], float]] = {}
    for n, b in keys:
        job = Job.make(10, n=n)
        measures |= {(n, b, way): seconds_of(way, job, b, EPOCHS[n]) for way in WAYS}
    times = take_turns(measures, rounds, slow=float("inf"))
    rows, goals = [], []
    for n, b in keys:
        ours = times[n, b, OURS]
        ratios = {way: ratio(times[n, b, way], ours) for way in WAYS}
        cells = [f"{median(times[n, b, way]):.1f} ({ratios[way]:.2f})" for way in WAYS]
        rows.append([f"{n:,}", str(b), str(EPOCHS[n]), *cells])
        two = ratio(times[n, b, THEIRS_2], times[n, b, OURS_2])
        for what, found, goal in (
            (f"{THEIRS_2} / skmtl, one process", ratios[THEIRS_2], GOALS[b][0]),
            (f"{THEIRS_2} / {OURS_2}", two, GOALS[b][0]),
            ("skorch / skmtl, one process", ratios[SKORCH], GOALS[b][1]),
        ):
            if goal is not None:
                verdict = "yes" if found >= goal else "no"
                place = f"{what}, {n:,} rows, batch {b}"
                goals.append([place, f"at least {goal:g}", f"{found:.2f}", verdict])
    head = ["rows", "batch", "epochs", *WAYS]
    return [
        f"### Seconds of a search (ratio to skmtl in one process)\n\n{markdown(head, rows)}",
        "### Goals\n\n" + markdown(["ratio", "goal", "measured", "holds"], goals),
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="500 rows, one round")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    # For the processes of both searches, too.
    os.environ["OMP_NUM_THREADS"] = "1"
    loads = [os.getloadavg()[0]]
    with threadpool_limits(1):
        warm = Job.make(10, n=200)  # what the first call of a process imports
        search(OURS, warm, 64, 1)
        StackedSkorch(warm, 64).epochs(1)
        sections = tables([500] if arguments.quick else list(EPOCHS), 1 if arguments.quick else 3)
    loads.append(os.getloadavg()[0])
    sections.insert(0, machine(loads, time.process_time()))
    print("\n\n".join(sections))
    if arguments.write:
        write_report(RESULTS, "Speed of a search", __doc__, sections)


if __name__ == "__main__":
    main()
