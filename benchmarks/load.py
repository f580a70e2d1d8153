"""Many threads on one estimator, and memory over half an hour of fits and predictions.

    python -m benchmarks.load --minutes 0.5 --threads 4 --predictions 50    # two minutes
    python -m benchmarks.load --write       # 40 minutes; fills results/load.md

Threads: one estimator with default settings, fitted to a frame of numbers, words and gaps and six
targets of six kinds.  Each thread asks for predictions of 1 to 200 rows, `predict`,
`predict_proba` and `predict_interval` in turn, each thread in an order of its own; every answer is
compared with the one that a single thread had got before, bit for bit.  Then the same again while
one more thread fits another estimator over and over, whose predictions have to be those of the
same fit alone.

Soak: fits of many settings one after the other, among them some that fail, each followed by
predictions in the main thread and in four new ones.  A setting has to predict the same bits in
every round.  Resident memory (VmRSS), threads and open files are read from /proc after each turn.
What comes before a fifth of the time is warm-up: all settings have had their turns by then.  The
slope is that of a line through all later readings, whose noise is that of the settings: each takes
another amount of memory.

A prediction computes on one thread of torch, whoever asks.
"""

from __future__ import annotations

import argparse
import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from skorch.callbacks import Callback
from threadpoolctl import threadpool_limits

from benchmarks.measuring import machine, markdown
from benchmarks.recording import write_report
from skmtl import MultiTaskNetClassifierRegressor
from skmtl.training import DivergedError

RESULTS = Path(__file__).parent / "results" / "load.md"
METHODS = ("predict", "predict_proba", "predict_interval")
TASKS = {"visits": "count", "delay": "quantile", "grade": "ordinal"}
N_ROWS, LARGEST_REQUEST, N_REQUESTS = 800, 200, 240


class RaisesInTheThirdEpoch(Callback):
    """Ends a fit in its middle."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) == 3:
            raise InterruptedError("in the third epoch")


#: Settings of the soak's fits, each a dict of parameters.
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"preset": "fast"},
    {"n_members": 3, "bagging": None, "dropout": 0.1},
    {"sharing": "independent", "loss_weights": "uncertainty"},
    {"sharing": "mmoe", "loss_weights": "cagrad", "n_members": 1},
    {"sharing": "cross_stitch", "loss_weights": "dwa"},
    {"sharing": "low_rank", "n_members": 1},
    {"sharing": "ple", "loss_weights": "pcgrad", "n_members": 1},
    {"sharing": "soft", "penalty": "l1"},
    {"sharing": "chain", "calibration": "temperature"},
    {"sharing": "auto", "preset": "fast"},
    {"trunk": "tabm"},
    {"trunk": "resnet", "dtype": "float64", "n_members": 2},
    {"hidden_layer_sizes": (), "batch_size": -1, "penalty": "l2", "early_stopping": False},
)

Failing = tuple[dict[str, Any], type[Exception]]

#: Settings whose fits raise, and what.
FAILING: tuple[Failing, ...] = (
    ({"lr": 1e30, "early_stopping": False}, DivergedError),
    ({"sharing": "mmoo"}, ValueError),
    ({"class_weight": {"sold": {"perhaps": 2.0}}}, ValueError),
    ({"sharing": "soft", "loss_weights": "cagrad"}, ValueError),
    ({"callbacks": [RaisesInTheThirdEpoch()]}, InterruptedError),
)


def table(n: int = N_ROWS, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make features of several types and targets of six kinds; a tenth of the labels is missing."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(n, 6))
    X = pd.DataFrame(hidden, columns=[f"x{i}" for i in range(6)])
    X = X.mask(random.random(X.shape) < 0.05)
    X["place"] = random.choice(["north", "south", "east"], n)
    Y = pd.DataFrame(
        {
            "price": 50 + 10 * hidden[:, 0] + random.normal(size=n),
            "visits": random.poisson(np.exp(hidden[:, 1])).astype(float),
            "delay": hidden[:, 2] + np.exp(hidden[:, 3] / 2) * random.normal(size=n),
            "grade": np.digitize(hidden[:, 4], [-1.0, 0.0, 1.0]).astype(float),
            "sold": np.where(hidden[:, 1] + X["place"].eq("north") > 0, "yes", "no"),
            "kind": random.choice(["a", "b", "c"], n),
        }
    )
    return X, Y.mask(random.random(Y.shape) < 0.1)


def estimator(**params: Any) -> MultiTaskNetClassifierRegressor:
    """Make an estimator of default settings, but for `params`."""
    return MultiTaskNetClassifierRegressor(TASKS, **{"random_state": 0, **params})


# ---- answers that can be compared bit for bit --------------------------------------------------

Answer = list[tuple[str, str, bytes]]  # (name, type, cells)


def bits(found: Any) -> Answer:
    """Return all cells of what a prediction returned, as bytes."""
    named = {name: found[name] for name in found}
    arrays = {str(name): np.asarray(values) for name, values in named.items()}
    return [
        (name, str(a.dtype), repr(a.tolist()).encode() if a.dtype == object else a.tobytes())
        for name, a in arrays.items()
    ]


class Request(NamedTuple):
    """Some rows, and what to ask of them."""

    method: str
    X: pd.DataFrame

    def answer(self, est: Any) -> Answer:
        return bits(getattr(est, self.method)(self.X))


def requests_to(X: pd.DataFrame, n: int = N_REQUESTS) -> list[Request]:
    """Draw requests of 1 to 200 rows, the methods in turn."""
    random = np.random.default_rng(1)
    found = []
    for method, _ in zip(itertools.cycle(METHODS), range(n), strict=False):
        size = int(random.integers(1, min(LARGEST_REQUEST, len(X)) + 1))
        found.append(Request(method, X.iloc[random.choice(len(X), size)]))
    return found


# ---- threads -----------------------------------------------------------------------------------


@dataclass
class Tally:
    """What many predictions came to."""

    calls: int = 0
    differences: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def count(self, call: Callable[[], Answer], expected: Answer) -> None:
        self.calls += 1
        try:
            self.differences += call() != expected
        except Exception as error:  # noqa: BLE001, what a thread meets is counted, and told
            self.errors[f"{type(error).__name__}: {error}"] += 1

    def __add__(self, other: Tally) -> Tally:
        errors = self.errors + other.errors
        seconds = max(self.seconds, other.seconds)
        n = self.calls + other.calls
        return Tally(n, self.differences + other.differences, errors, seconds)


def ask(
    est: Any, requests: Sequence[Request], expected: Sequence[Answer], n: int, seed: int
) -> Tally:
    """Ask for `n` predictions, in an order of the seed's."""
    tally, start = Tally(), time.perf_counter()
    order = np.random.default_rng(seed).permutation(len(requests))
    for position in itertools.islice(itertools.cycle(order), n):
        tally.count(partial(requests[position].answer, est), expected[position])
    tally.seconds = time.perf_counter() - start
    return tally


def ask_from_threads(
    est: Any, requests: Sequence[Request], expected: Sequence[Answer], n_threads: int, n: int
) -> Tally:
    """Ask for `n` predictions from each thread, all at once."""
    start = threading.Barrier(n_threads)

    def work(seed: int) -> Tally:
        start.wait()
        return ask(est, requests, expected, n, seed)

    with ThreadPoolExecutor(n_threads) as pool:
        return sum(pool.map(work, range(n_threads)), Tally())


def fitting(fit: Callable[[], Answer], expected: Answer, stop: threading.Event) -> Tally:
    """Fit over and over, at least once, and compare what each fit predicts."""
    tally = Tally()
    while not tally.calls or not stop.is_set():
        tally.count(fit, expected)
    return tally


def threads_table(n_threads: int, n: int, **params: Any) -> str:
    """Compare predictions from many threads with those of one, alone and beside fits."""
    X, Y = table()
    est = estimator(**params).fit(X, Y)
    requests = requests_to(X)
    expected = [request.answer(est) for request in requests]
    serial = ask(est, requests, expected, n, seed=0)
    alone = ask_from_threads(est, requests, expected, n_threads, n)

    def fit() -> Answer:
        return bits(estimator(**{"max_epochs": 20, **params}).fit(X[:300], Y[:300]).predict(X))

    by_itself, stop = fit(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        fits = pool.submit(fitting, fit, by_itself, stop)
        try:
            beside = ask_from_threads(est, requests, expected, n_threads, n)
        finally:
            stop.set()
        fitted = fits.result()
    rows = [
        _row("one thread", serial),
        _row(f"{n_threads} threads", alone),
        _row(f"{n_threads} threads, and one that fits", beside),
        ["the fits of that thread", f"{fitted.calls:,}", str(fitted.differences),
         str(fitted.errors.total()), "-"],
    ]  # fmt: skip
    head = ["who asks", "predictions", "not the same bits", "errors", "predictions a second"]
    seen = serial.errors + alone.errors + beside.errors + fitted.errors
    listed = "".join(f"\n- {count} x {error}" for error, count in seen.most_common(10))
    return (
        f"### {n_threads} threads x {n:,} predictions on one estimator (goal: no difference, no "
        f"error)\n\n{markdown(head, rows)}\n{listed}".rstrip()
    )


def _row(name: str, tally: Tally) -> list[str]:
    speed = f"{tally.calls / tally.seconds:,.0f}"
    errors = str(tally.errors.total())
    return [name, f"{tally.calls:,}", str(tally.differences), errors, speed]


# ---- soak --------------------------------------------------------------------------------------


class Reading(NamedTuple):
    """The process at one time."""

    minutes: float
    fits: int
    failed: int
    predictions: int
    mebibytes: float
    threads: int
    files: int


@dataclass
class Soak:
    """Fits and predictions for a while, and what the process takes."""

    readings: list[Reading] = field(default_factory=list)
    fits: int = 0
    failed: int = 0
    predictions: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    _first: dict[str, list[Answer]] = field(default_factory=dict)

    def run(self, minutes: float, **params: Any) -> Soak:
        """Go through the settings until the time is over, and at least once."""
        X, Y = table(400)
        requests = requests_to(X, 30)
        stays = estimator(**params).fit(X, Y)
        expected = [request.answer(stays) for request in requests]
        start, short = time.perf_counter(), {"max_epochs": 15, **params}
        for n_turns, setting in enumerate(itertools.cycle(SETTINGS)):
            past = (time.perf_counter() - start) / 60
            if past >= minutes and n_turns >= len(SETTINGS):
                break
            self._fit({**short, **setting}, X, Y, requests)
            self._fail(short, FAILING[n_turns % len(FAILING)], X, Y)
            self._add(ask_from_threads(stays, requests, expected, 4, 10))
            self.readings.append(self._read((time.perf_counter() - start) / 60))
        return self

    def _fit(
        self, params: dict[str, Any], X: pd.DataFrame, Y: pd.DataFrame, requests: list[Request]
    ) -> None:
        est = estimator(**params).fit(X, Y)
        self.fits += 1
        asked = [r for r in requests if r.method != "predict_interval" or est.early_stopping]
        answers = [request.answer(est) for request in asked]
        self.predictions += len(answers)
        if self._first.setdefault(repr(params), answers) != answers:
            self.wrong[f"other bits than in the first round: {params}"] += 1

    def _fail(
        self, params: dict[str, Any], failing: Failing, X: pd.DataFrame, Y: pd.DataFrame
    ) -> None:
        setting, expected = failing
        self.failed += 1
        try:
            estimator(**{**params, **setting}).fit(X, Y)
        except expected:
            return
        self.wrong[f"no error from {setting}"] += 1

    def _add(self, tally: Tally) -> None:
        self.predictions += tally.calls
        self.wrong += tally.errors
        if tally.differences:
            self.wrong["a prediction of other bits"] += tally.differences

    def _read(self, minutes: float) -> Reading:
        return Reading(minutes, self.fits, self.failed, self.predictions, *process())


def process() -> tuple[float, int, int]:
    """Return resident mebibytes, threads and open files of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    resident = int(fields["VmRSS"].split()[0]) / 1024
    return resident, int(fields["Threads"]), len(list(Path("/proc/self/fd").iterdir()))


def soak_table(soak: Soak) -> str:
    """Tell how memory went."""
    end = soak.readings[-1].minutes
    rows = [
        [f"{r.minutes:.1f}", f"{r.fits:,}", f"{r.failed:,}", f"{r.predictions:,}",
         f"{r.mebibytes:.0f}", str(r.threads), str(r.files)]
        for r in _marks(soak.readings, 11)
    ]  # fmt: skip
    head = ["minute", "fits", "fits that raised", "predictions", "MiB", "threads", "open files"]
    later = [r for r in soak.readings if r.minutes >= end / 5] or soak.readings
    tenth = max(1, len(later) // 10)
    first, last = (np.median([r.mebibytes for r in p]) for p in (later[:tenth], later[-tenth:]))
    wrong = "".join(f"\n- {count} x {what}" for what, count in soak.wrong.most_common(10))
    return (
        f"### Soak of {end:.0f} minutes (goal: memory does not grow)\n\n{markdown(head, rows)}\n\n"
        f"After the warm-up {first:.0f} MiB, at the end {last:.0f} MiB (medians of a tenth of the "
        f"later readings each); slope {slope(later):+.1f} MiB an hour over {len(later)} readings. "
        f"What should not have happened: {soak.wrong.total()}.\n{wrong}".rstrip()
    )


def _marks(readings: Sequence[Reading], n: int) -> Iterator[Reading]:
    """Choose readings evenly over the time."""
    times = np.array([r.minutes for r in readings])
    wanted = np.linspace(times[0], times[-1], n)
    for at in sorted({int(np.abs(times - minute).argmin()) for minute in wanted}):
        yield readings[at]


def slope(readings: Sequence[Reading]) -> float:
    """Return the growth in mebibytes an hour, by least squares."""
    hours = np.array([r.minutes for r in readings]) / 60
    if len(readings) < 2:
        return 0.0
    return float(np.polyfit(hours, [r.mebibytes for r in readings], 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=16, help="threads that predict at once")
    parser.add_argument("--predictions", type=int, default=2_000, help="of each thread")
    parser.add_argument("--minutes", type=float, default=30.0, help="length of the soak")
    parser.add_argument("--note", default="", help="a word on what else the machine did")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    sections, loads = [], [os.getloadavg()[0]]
    with threadpool_limits(1):
        makers: list[Callable[[], str]] = [
            lambda: threads_table(arguments.threads, arguments.predictions),
            lambda: soak_table(Soak().run(arguments.minutes)),
        ]
        for make in makers:
            sections.append(make())
            loads.append(os.getloadavg()[0])
            print(f"{sections[-1]}\n", flush=True)
    sections.insert(0, f"{machine(loads, time.process_time())} {arguments.note}".rstrip())
    if arguments.write:
        write_report(RESULTS, "Under load", __doc__, sections)


if __name__ == "__main__":
    main()
