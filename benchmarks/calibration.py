"""Whether probabilities and intervals come true, on all sets of a catalogue.

    python -m benchmarks.calibration --data FOLDER                 # goes on where it stopped
    python -m benchmarks.calibration --data FOLDER --repeats 0 --write      # the report alone

**Rows.** Sets and splits are those of `benchmarks.accuracy` (at most 6,000 rows, a quarter to test).

**Coverage.** Of intervals (`predict_interval`) and sets (`predict_set`) that promise 90 %: the share
of test labels that they hold, mean over the columns that are scored; `joint`: the share of rows with
all labels of which all are held, with `joint=True`.  A set always holds the likeliest class, so where
that is right more often than promised, sets hold the truth more often, too; `threshold` is the
coverage without that rule.  The promise is for rows like the training rows.  So the sets are told apart by their split: random rows keep the promise's condition; other days and
given test sides need not.  Where the catalogue names groups, `fit` gets them (without them the
intervals on the five sets split by groups held 50 %).  `width`: the mean width of intervals over the distance from the
5 % to the 95 % quantile of the training labels; `size`: the mean number of classes in a set.

**Calibration.** Of class tasks, means over the tasks: the expected calibration error of the
likeliest class in 15 bins of as many rows each (Guo et al. 2017, eq. 3, whose bins are of equal
width: those are nearly empty where a network is sure), and the log loss over that of the training
shares.  `default` is the estimator as it is, `temperature` with `calibration="temperature"`; both are
one fit, since a temperature changes nothing before it.  `rf` is scikit-learn's forest per column.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from benchmarks.accuracy import in_order_of_cost
from benchmarks.accuracy_errors import is_scored
from benchmarks.accuracy_models import Ours, Predictions, task_errors
from benchmarks.accuracy_peers import peers
from benchmarks.accuracy_splits import Table, split, split_kind
from benchmarks.comparison import signed_rank_test
from benchmarks.measuring import machine, markdown
from benchmarks.quality import catalog
from benchmarks.recording import append_row, read_rows, write_report
from skmtl import MultiTaskNetClassifierRegressor

RESULTS = Path(__file__).parent / "results" / "calibration.md"
COVERAGE = 0.9
N_BINS = 15
MODELS = ("default", "temperature", "rf")


@dataclass(frozen=True)
class Row:
    """One set and repeat; NaN where there is nothing to measure."""

    dataset: str
    repeat: int
    split: str
    status: str
    intervals: float = np.nan
    sets: float = np.nan
    threshold: float = np.nan
    joint: float = np.nan
    width: float = np.nan
    size: float = np.nan
    ece_default: float = np.nan
    ece_temperature: float = np.nan
    ece_rf: float = np.nan
    loss_default: float = np.nan
    loss_temperature: float = np.nan
    loss_rf: float = np.nan


# ---- measures ----------------------------------------------------------------------------------


def calibration_error(codes: np.ndarray, shares: np.ndarray, n_bins: int = N_BINS) -> float:
    """Return the expected calibration error of the likeliest class, in bins of as many rows."""
    sure, right = shares.max(axis=1), shares.argmax(axis=1) == codes
    order = np.argsort(sure, kind="stable")
    parts = [part for part in np.array_split(order, n_bins) if len(part)]
    gaps = [len(part) * abs(sure[part].mean() - right[part].mean()) for part in parts]
    return float(sum(gaps) / len(codes))


def intervals_and_sets(
    est: Any, test: Table, *, joint: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return what is promised of the tasks that predict numbers, and of those with classes."""
    kinds = {task.has_classes for task in est.tasks_}  # what there is no task for is no method
    return (
        est.predict_interval(test.X, COVERAGE, joint=joint) if False in kinds else {},
        est.predict_set(test.X, COVERAGE, joint=joint) if True in kinds else {},
    )


def held(est: Any, test: Table, *, joint: bool) -> pd.DataFrame:
    """Return which labels intervals and sets hold: 1, 0, or NaN without a label."""
    kinds = {task.name: task for task in est.tasks_}
    ends, sets = intervals_and_sets(est, test, joint=joint)
    found = {}
    for name, truth in zip(test.tasks, test.targets.T, strict=True):
        if name in ends:
            inside = (ends[name][:, 0] <= truth) & (truth <= ends[name][:, 1])
        else:
            codes = pd.Index(kinds[name].classes).get_indexer(pd.Index(test.Y[name]))
            inside = sets[name][np.arange(len(truth)), codes] & (codes >= 0)
        found[name] = np.where(np.isnan(truth), np.nan, inside)
    return pd.DataFrame(found)


def coverage(est: Any, known: Table, test: Table) -> dict[str, float]:
    """Return the coverage, widths and sizes of one fit."""
    scored = [
        name
        for name, learnt, truth in zip(test.tasks, known.targets.T, test.targets.T, strict=True)
        if is_scored(learnt, truth)
    ]
    single, joint = held(est, test, joint=False), held(est, test, joint=True)
    numbers = [name for name in scored if test.tasks[name] == "regression"]
    classes = [name for name in scored if test.tasks[name] != "regression"]
    complete = joint.dropna()
    ends, sets = intervals_and_sets(est, test)
    widths = []
    for name in numbers:
        low, high = np.nanquantile(known.Y[name].to_numpy(float), [0.05, 0.95])
        if high > low:
            widths.append(np.ptp(ends[name], axis=1).mean() / (high - low))
    return {
        "intervals": mean(single[numbers].mean()),
        "sets": mean(single[classes].mean()),
        "threshold": mean([within_reach(est, test, name) for name in classes]),
        "joint": float(complete.all(axis=1).mean()) if len(complete) >= 20 else np.nan,
        "width": mean(widths),
        "size": mean([sets[name].sum(axis=1).mean() for name in classes]),
    }


def within_reach(est: Any, test: Table, name: str) -> float:
    """Return the share of labels whose class is likely enough, were it not for the likeliest."""
    truth = test.targets.T[list(test.tasks).index(name)]
    there = ~np.isnan(truth)
    classes = next(task.classes for task in est.tasks_ if task.name == name)
    codes = pd.Index(classes).get_indexer(pd.Index(test.Y[name]))[there]
    output = next(o for o in est.predict_outputs(test.X) if o.task.name == name)
    own = output.values[there][np.arange(len(codes)), codes]
    reach = est._reaches(COVERAGE, False)[name][0]
    return float(((1 - own <= reach) & (codes >= 0)).mean())


def mean(values: Any) -> float:
    """Return the mean, NaN of nothing."""
    values = np.asarray(values, float)
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def of_classes(known: Table, test: Table, predicted: Predictions) -> tuple[float, float]:
    """Return the mean calibration error and log loss of the class tasks."""
    errors, losses = [], []
    for error, (name, kind), truth in zip(
        task_errors(known, test, predicted), test.tasks.items(), test.targets.T, strict=True
    ):
        if kind == "regression" or np.isnan(error.error):
            continue
        there = ~np.isnan(truth)
        errors.append(calibration_error(truth[there].astype(int), predicted[name][there]))
        losses.append(error.log_loss)
    return mean(errors), mean(losses)


# ---- fits --------------------------------------------------------------------------------------


def run_one(table: Table, kind: str, repeat: int) -> Row:
    """Fit and measure; whatever is raised is a row."""
    train, rows = split(table, repeat)
    known, test = table.take(train), table.take(rows)
    key = {"dataset": table.name, "repeat": repeat, "split": kind}
    try:
        est = MultiTaskNetClassifierRegressor(
            table.tasks, calibration="temperature", random_state=repeat
        )
        calibrated = Ours(est).fit(known)
        told: dict[str, float] = {}
        if any(kind != "regression" for kind in table.tasks.values()):
            forest = peers()["rf"](table.tasks, repeat)
            forest.fit(known)
            predicted = {"temperature": calibrated.predict(test.X), "rf": forest.predict(test.X)}
            est._temperatures = {}
            predicted["default"] = calibrated.predict(test.X)
            for model, values in predicted.items():
                told[f"ece_{model}"], told[f"loss_{model}"] = of_classes(known, test, values)
        plain = MultiTaskNetClassifierRegressor(table.tasks, random_state=repeat)
        told |= coverage(Ours(plain).fit(known).estimator, known, test)
    except Exception as error:  # noqa: BLE001, the others go on
        return Row(**key, status=" ".join(f"{type(error).__name__}: {error}".split())[:200])
    return Row(**key, status="ok", **{name: round(value, 4) for name, value in told.items()})


def run(folder: Path, path: Path, sets: Sequence[str], repeats: int) -> None:
    """Fit what is not in the file yet."""
    entries = catalog(folder)
    done = read_rows(path, Row)
    seen = set(zip(done["dataset"], done["repeat"], strict=True))
    for repeat in range(repeats):
        for name in (name for name in sets if (name, repeat) not in seen):
            table = Table.load(folder, entries[name])
            with warnings.catch_warnings(), threadpool_limits(1):
                warnings.simplefilter("ignore")
                torch.set_num_threads(1)
                row = run_one(table, split_kind(entries[name]), repeat)
            append_row(path, row)
            print(name, repeat, row.status, row.intervals, row.sets, row.joint, flush=True)


# ---- report ------------------------------------------------------------------------------------


def report(rows: pd.DataFrame, loads: Sequence[float]) -> Iterator[str]:
    """Yield the parts of the report."""
    yield machine(loads, time.process_time())
    means = rows[rows["status"] == "ok"].drop(columns="status")
    means = means.groupby(["dataset", "split"], sort=False).mean(numeric_only=True).reset_index()
    yield by_split(means)
    yield by_model(means)
    columns = [c for c in means if c not in {"dataset", "split", "repeat"}]
    lines = [
        [row.dataset, row.split, *(shown(getattr(row, column)) for column in columns)]
        for row in means.itertuples()
    ]
    yield "### All sets\n\n" + markdown(["set", "split", *columns], lines)
    failed = rows[rows["status"] != "ok"]
    lines = [f"- {row.dataset}, repeat {row.repeat}: {row.status}" for row in failed.itertuples()]
    yield "### What failed\n\n" + ("\n".join(lines) or "Nothing.")


def by_split(means: pd.DataFrame) -> str:
    """Return the coverage by kind of split."""
    lines = []
    kinds = [*means["split"].unique(), "all"]
    for kind in kinds:
        part = means if kind == "all" else means[means["split"] == kind]
        cells = [
            f"{100 * part[c].mean():.1f} ({part[c].count()})"
            for c in ("intervals", "sets", "threshold", "joint")
        ]
        lines.append([kind, str(len(part)), *cells])
    head = ["split", "sets", "intervals", "sets of classes", "by the threshold alone", "joint"]
    return (
        f"### Coverage in per cent, {100 * COVERAGE:.0f} promised (number of sets of data)\n\n"
        + markdown(head, lines)
    )


def by_model(means: pd.DataFrame) -> str:
    """Return calibration error and log loss by model, against the default."""
    lines = []
    for model in MODELS:
        cells = []
        for measure in ("ece", "loss"):
            ours, theirs = means[f"{measure}_default"], means[f"{measure}_{model}"]
            apart = (theirs - ours).dropna()
            cells.append(f"{theirs[ours.notna()].mean():.4f}")
            cells.append("" if model == "default" else f"{(apart < 0).sum()} / {(apart > 0).sum()}")
            p = np.nan if model == "default" else signed_rank_test(apart.to_numpy())
            cells.append("" if np.isnan(p) else f"{p:.3f}")
        lines.append([model, *cells])
    head = ["model", "calibration error", "better / worse than default", "p"]
    return "### Probabilities\n\n" + markdown([*head, "log loss", *head[2:]], lines)


def shown(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of catalog.json")
    parser.add_argument("--sets", help="names, by commas; else all, small ones first")
    parser.add_argument("--rows", type=Path, default=RESULTS.with_suffix(".csv"))
    parser.add_argument("--repeats", type=int, default=1, help="0: report only")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    given = parser.parse_args()
    sets = given.sets.split(",") if given.sets else in_order_of_cost(catalog(given.data))
    loads = [os.getloadavg()[0]]
    run(given.data, given.rows, sets, given.repeats)
    loads.append(os.getloadavg()[0])
    text = "\n\n".join(report(read_rows(given.rows, Row), loads))
    print(text)
    if given.write:
        write_report(RESULTS, "Calibration and coverage", __doc__, [text])


if __name__ == "__main__":
    main()
