"""What a prediction costs, an import, and the memory of a large fit.

    python -m benchmarks.prediction_speed --quick     # a minute, without the large fit
    python -m benchmarks.prediction_speed --write     # ten minutes; fills results/prediction_speed.md

Predictions: 20 features, 10 regressions, two hidden layers of 64 ReLU.  scikit-learn's
MLPRegressor has the same layers, in float32, and reads features as they are; so does `skmtl, features
as they are`; the other rows of `skmtl` are one network with the default's preprocessing, and the
default.  The module call is torch's alone, `network(X)` of the same network on all rows at once.
A frame has 20 columns of numbers, and five of three words each where it says so: there scikit-learn's has
OneHotEncoder and StandardScaler before it.
Our predictions are computed in float64, in parts that fit a core's cache, so that no row's
prediction depends on the rows beside it.

All take turns, round after round.  Times are CPU times, medians over the rounds; ratios are
medians of the ratios within a round.  One thread.  Imports and the large fit are fresh processes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.fit_variants import HIDDEN, Job, ScikitLearn
from benchmarks.measuring import machine, markdown, median, ratio, take_turns
from benchmarks.recording import write_report
from skmtl import MultiTaskNetRegressor

RESULTS = Path(__file__).parent / "results" / "prediction_speed.md"
THEIRS = "MLPRegressor"
PLAIN, ONE, DEFAULT = "skmtl, features as they are", "skmtl, one network", "skmtl, default"


def models(job: Job) -> dict[str, Any]:
    """Fit all by a pass or two: their weights are of no account here."""
    common = {"max_epochs": 2, "random_state": 0}
    one = {**common, "hidden_layer_sizes": HIDDEN, "n_members": 1, "early_stopping": False}
    return {
        THEIRS: ScikitLearn(job, 256).fit(1),
        PLAIN: MultiTaskNetRegressor(**one, preprocess=None).fit(job.X, job.Y),
        ONE: MultiTaskNetRegressor(**one).fit(job.X, job.Y),
        DEFAULT: MultiTaskNetRegressor(**common).fit(job.X, job.Y),
    }


def seconds_of(call: Callable[[], Any], calls: int) -> Callable[[], float]:
    """Return what measures a call by the mean of many."""

    def measure() -> float:
        start = time.process_time()
        for _ in range(calls):
            call()
        return (time.process_time() - start) / calls

    return measure


def regressions() -> Job:
    """The job with ten regressions."""
    made = Job.make(10)
    scores = np.random.default_rng(0).standard_normal(made.Y.shape)
    return Job(made.X.astype(np.float32), scores, 10, 0, 0)


def small_table(fitted: dict[str, Any], rounds: int) -> str:
    """Time predictions of single rows and small batches."""
    X = np.random.default_rng(1).standard_normal((100, 20)).astype(np.float32)
    rows = []
    for n in (1, 100):
        measures = {
            name: seconds_of(lambda model=model, n=n: model.predict(X[:n]), 200)
            for name, model in fitted.items()
        }
        times = take_turns(measures, rounds)
        for name in fitted:
            factor = ratio(times[name], times[THEIRS])
            rows.append([name, str(n), f"{1e6 * median(times[name]):.0f}", f"{factor:.2f}"])
    head = ["model", "rows", "microseconds a call", f"to {THEIRS}"]
    return f"### Few rows (goal: one row in at most the time of MLPRegressor)\n\n{markdown(head, rows)}"


def frames(n: int = 500) -> dict[str, pd.DataFrame]:
    """Tables with names: 20 numbers, and the same beside five columns of words."""
    random = np.random.default_rng(2)
    numbers = pd.DataFrame(random.standard_normal((n, 20)), columns=[f"x{i}" for i in range(20)])
    words = {f"w{i}": random.choice(["red", "green", "blue"], n) for i in range(5)}
    return {"20 numbers": numbers, "20 numbers, 5 words": numbers.assign(**words)}


def frame_table(rounds: int) -> str:
    """Time predictions of one row of a frame."""
    rows = []
    for what, X in frames().items():
        Y = X.iloc[:, :10].to_numpy()
        is_word = make_column_selector(dtype_exclude="number")
        encoder = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), is_word), remainder=StandardScaler()
        )
        network = MLPRegressor(hidden_layer_sizes=HIDDEN, max_iter=2, tol=0.0, random_state=0)
        theirs = make_pipeline(encoder, network) if "words" in what else network
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = {THEIRS if theirs is network else f"{THEIRS} in a Pipeline": theirs.fit(X, Y)}
        common = {"max_epochs": 2, "random_state": 0}
        one = {"hidden_layer_sizes": HIDDEN, "n_members": 1, "early_stopping": False}
        fitted[ONE] = MultiTaskNetRegressor(**common, **one).fit(X, Y)
        fitted[DEFAULT] = MultiTaskNetRegressor(**common).fit(X, Y)
        row = X[:1]
        measures = {
            name: seconds_of(lambda model=model, row=row: model.predict(row), 50)
            for name, model in fitted.items()
        }
        times = take_turns(measures, rounds)
        base = times[next(iter(fitted))]
        rows += [
            [what, name, f"{1e6 * median(times[name]):.0f}", f"{ratio(times[name], base):.2f}"]
            for name in fitted
        ]
    head = ["frame of one row", "model", "microseconds a call", f"to {THEIRS}"]
    return f"### A row of a frame\n\n{markdown(head, rows)}"


def large_table(fitted: dict[str, Any], rounds: int) -> str:
    """Time a prediction of 100,000 rows against one call of the module."""
    X = np.random.default_rng(1).standard_normal((100_000, 20)).astype(np.float32)
    modules = {}
    for dtype in ("float32", "float64"):
        same = MultiTaskNetRegressor(**fitted[PLAIN].get_params()).set_params(dtype=dtype)
        network = same.fit(X[:100], X[:100, :10]).net_.module_.eval()
        modules[f"module call, {dtype}"] = (network, torch.tensor(X, dtype=getattr(torch, dtype)))
    measures = {name: seconds_of(_call(*pair), 1) for name, pair in modules.items()}
    measures |= {
        name: seconds_of(lambda model=model: model.predict(X), 1) for name, model in fitted.items()
    }
    times = take_turns(measures, rounds, slow=float("inf"))
    base = times["module call, float64"]
    rows = [
        [name, f"{1e3 * median(seen):.1f}", f"{ratio(seen, base):.2f}"]
        for name, seen in times.items()
    ]
    head = ["100,000 rows", "milliseconds", "to the module in float64"]
    return (
        "### Many rows (goal: features as they are in at most 1.1 times the module call)\n\n"
        f"{markdown(head, rows)}"
    )


def _call(network: Any, X: torch.Tensor) -> Callable[[], Any]:
    @torch.inference_mode()
    def call() -> Any:
        return network(X)

    return call


# ---- fresh processes ---------------------------------------------------------------------------

IMPORT = """
import sys, time
start = time.perf_counter()
__import__(sys.argv[1])
print(time.perf_counter() - start)
"""

#: Peaks in copies of X: X is read from a file into memory of its own before the first of them.
LARGE_FIT = """
import json, sys, time
import numpy as np, torch
import skmtl
n, d, params = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
random = np.random.default_rng(0)
X = random.standard_normal((n, d), dtype=np.float32)
y = X[:, 0] + random.standard_normal(n, dtype=np.float32)
model = skmtl.MultiTaskNetRegressor(max_epochs=1, random_state=0, **params)
model.fit(X[:1000], y[:1000])
def memory(kind):  # ru_maxrss would begin with the peak of the process that started this one
    fields = dict(line.split(":") for line in open("/proc/self/status"))
    return 1024 * int(fields[kind].split()[0])
before, start = memory("VmRSS"), time.perf_counter()
assert memory("VmHWM") < 1.1 * before
model.fit(X, y)
seconds, fitted = time.perf_counter() - start, memory("VmHWM")
model.predict(X)
print(json.dumps([(at - before) / X.nbytes for at in (fitted, memory("VmHWM"))] + [seconds]))
"""


def _fresh(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def import_table(rounds: int) -> str:
    """Time imports in fresh processes, turn by turn."""
    seen: dict[str, list[float | None]] = {"skorch": [], "skmtl": []}
    for _ in range(rounds + 1):
        for name, times in seen.items():
            times.append(float(_fresh(IMPORT, name)))
    warm = {name: times[1:] for name, times in seen.items()}  # the first reads the disk
    rows = [
        [f"import {name}", f"{median(times):.2f}", f"{ratio(times, warm['skorch']):.2f}"]
        for name, times in warm.items()
    ]
    head = ["fresh process", "wall seconds", "to skorch"]
    return f"### Import (goal: at most 1.1 times skorch)\n\n{markdown(head, rows)}"


def memory_table(n: int, d: int = 100) -> str:
    """Measure the peak of a fit's memory, beside X itself."""
    variants = {
        "one network, features as they are": {"n_members": 1, "preprocess": None},
        "one network, `preprocess=None`, no validation": {
            "n_members": 1, "preprocess": None, "early_stopping": False,
        },
        "one network": {"n_members": 1},
        "default (8 members over folds)": {},
    }  # fmt: skip
    rows = []
    for name, params in variants.items():
        in_fit, after, seconds = json.loads(_fresh(LARGE_FIT, str(n), str(d), json.dumps(params)))
        rows.append([name, f"{in_fit:.2f}", f"{after:.2f}", f"{seconds:.0f}"])
    head = ["fit of an epoch", "peak of the fit", "and of predicting all rows", "seconds"]
    return (
        f"### Memory beside X, in copies of X: {n:,} rows, {d} float32 features (goal: 1)\n\n"
        f"{markdown(head, rows)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, no large fit")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    rounds = 3 if arguments.quick else 11
    sections, loads = [], [os.getloadavg()[0]]
    with threadpool_limits(1):
        fitted = models(regressions())
        makers = [
            lambda: small_table(fitted, rounds),
            lambda: frame_table(rounds),
            lambda: large_table(fitted, rounds),
            lambda: import_table(rounds),
            *([] if arguments.quick else [lambda: memory_table(1_000_000)]),
        ]
        for make in makers:
            sections.append(make())
            loads.append(os.getloadavg()[0])
            print(f"{sections[-1]}\n", flush=True)
    sections.insert(0, machine(loads, time.process_time()))
    if arguments.write:
        write_report(RESULTS, "Speed of predictions", __doc__, sections)


if __name__ == "__main__":
    main()
