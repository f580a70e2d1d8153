"""How good predictions are, against what one would take instead, on all sets of a catalogue.

    python -m benchmarks.accuracy --data FOLDER                  # hours; goes on where it stopped
    python -m benchmarks.accuracy --data FOLDER --models "skmtl default,rf,histgb" --sets jura,acs12
    python -m benchmarks.accuracy --data FOLDER --repeats 0 --write     # the report alone

FOLDER holds tables and a `catalog.json` that says which columns are features and which tasks.

**Rows.** Of each set at most 6,000 rows are used (`--whole`: all), a quarter of them to test.  Sets
under 1,000 rows are split five times, others three times.  Where the catalogue names a split, the
training rows are drawn from its training side and the test rows from its test side, at most nine
tenths of each, so that the repeats differ; where it names groups (a patient, a day, a batch), whole
groups are dealt to four folds of about as many rows, one of which is tested; rows in the order of
time with neither are cut into five blocks, one of them to test; else it is the most even in labels
and classes of 30 random splits.  Rows hang on the name of the set and the repeat alone and are the
same for all models; a file of rows that were made with other splits is refused.

**Models.** Each peer at its library's defaults, and `tuned`: the best of at most six settings (the
defaults among them) by the error below, on training rows alone: three folds under 1,000 training
rows, else a quarter of them held out; whole groups where there are groups; chosen for each column
where each column has its own model.  One thread, no GPU.  `constant` is the mean and the class
shares.  `ridge` is ridge for numbers and logistic regression for classes.  `rf`, `et` and
`catboost` fit all columns at once where all are numbers and, for the forests, no label is missing;
all else is fitted for each column, to the rows that have its label.  Each peer gets the frame
prepared as it needs it: categories or codes or one column a level, gaps filled, columns
standardised (`accuracy_peers.py` says it in code).  `mlp` is scikit-learn's, on standardised
targets; `realmlp` and `tabm` are RealMLP-TD and TabM-D of pytabkit.  RealMLP's own defaults smooth
the labels of classes and stop by accuracy, which its authors advise against where probabilities
count; its grid has the other choice.  `skmtl default` is `MultiTaskNetClassifierRegressor`, told
the kinds of the tasks, on the frames as they are, and which rows are of a group where the catalogue
says so (peers' searches hold out whole groups, too; what RealMLP and TabM hold out is random);
`fast` and `best` are its presets, `auto sharing` is `sharing="auto"`, and `own nets` is
`sharing="independent"`, a net per task.

**Time.** A fit may take `--cap` seconds of CPU time for all columns, five times that with a search;
it is stopped then, or as soon as three columns show that it will not do.  That is a row "n/a
(time)", and the model is not tried on other repeats of that set.  What raises an error is a row
too.  Neither is left out: the report names them.  A table that cannot be read or split is told
of and left, and tried again by the next run; infinite features are missing ones, for all models.

**Error.** Per task, relative to the constant on the same test rows, lower is better: for numbers the
root mean squared error over that of the training mean; for classes the mean of log loss over that
of the training shares (probabilities at least 1e-6, for all) and 1 - AUC over 0.5 (mean of one
against the rest over the classes among the test rows; log loss alone where there is but one).
Tasks with fewer than 10 training or 5 test labels, or one value, are not scored, for any model.
The error of a set is the mean over its tasks, then over repeats.

**Tests.** Within a set, a corrected resampled t-test over the repeats (Nadeau and Bengio 2003;
two-sided, 5 %), which with three to five repeats finds only large differences; where the catalogue
gives one split, repeats share more rows than it assumes.  Over sets, Wilcoxon's signed-rank test on
mean errors with Holm's correction for the number of peers; ranks by Friedman's test and Nemenyi's
critical difference (Demsar 2006).  A model that failed on one repeat of a set has no result there;
one that has none on more than a fifth of the sets is compared on those it has, but not ranked.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from benchmarks import accuracy_report
from benchmarks.accuracy_models import Model, Ours, OutOfTimeError, limited, task_errors
from benchmarks.accuracy_peers import TUNED, peers, why_missing
from benchmarks.accuracy_splits import MOST_ROWS, Parts, Table, fingerprint, n_repeats, split
from benchmarks.quality import catalog
from benchmarks.recording import append_row, read_rows, write_report
from skmtl import MultiTaskNetClassifierRegressor

RESULTS = Path(__file__).parent / "results" / "accuracy.md"
CAP = 1_800.0
SEARCH = 5  # times the cap, for a fit with a search
OUT_OF_TIME = "n/a (time)"

# What ours are, from the kinds of the tasks and a seed.  A variant is one more line.
OURS: dict[str, Callable[[Mapping[str, str], int], Any]] = {
    "skmtl default": lambda tasks, seed: MultiTaskNetClassifierRegressor(tasks, random_state=seed),
    "skmtl fast": lambda tasks, seed: MultiTaskNetClassifierRegressor(
        tasks, preset="fast", random_state=seed
    ),
    "skmtl best": lambda tasks, seed: MultiTaskNetClassifierRegressor(
        tasks, preset="best", random_state=seed
    ),
    "skmtl auto sharing": lambda tasks, seed: MultiTaskNetClassifierRegressor(
        tasks, sharing="auto", random_state=seed
    ),
    "skmtl own nets": lambda tasks, seed: MultiTaskNetClassifierRegressor(
        tasks, sharing="independent", random_state=seed
    ),
}


@dataclass(frozen=True)
class Row:
    """One fit; what is told of each task stands in the order of the catalogue, NaN: not scored."""

    dataset: str
    repeat: int
    model: str
    status: str  # "ok", OUT_OF_TIME or the error
    error: float  # mean over the tasks
    fit_seconds: float
    predict_seconds: float
    fit_cpu: float
    predict_cpu: float
    n_train: int
    n_test: int
    split: str  # by which rows of other splits are found out
    errors: str = ""
    log_losses: str = ""
    aucs: str = ""


def models() -> dict[str, Callable[[Mapping[str, str], int], Model]]:
    """Return all models by name, ours first."""
    ours = {
        name: (lambda tasks, seed, make=make: Ours(make(tasks, seed)))
        for name, make in OURS.items()
    }
    return {**ours, **peers()}


def in_order_of_cost(entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of the sets, those first that are fitted soon."""

    def cost(name: str) -> float:
        entry = entries[name]
        return min(entry["n_rows"], MOST_ROWS) * entry["n_tasks"] * entry["n_features"]

    return sorted(entries, key=cost)


# ---- fits --------------------------------------------------------------------------------------


def run_one(table: Table, parts: Parts, name: str, repeat: int, cap: float = CAP) -> Row:
    """Fit one model on one split; whatever it raises is a row."""
    train, test = parts
    known, judged = table.take(train), table.take(test)
    key = {"dataset": table.name, "repeat": repeat, "model": name}
    sizes = {"n_train": len(train), "n_test": len(test), "split": fingerprint(train, test)}
    start = time.perf_counter(), time.process_time()
    times = {"fit_seconds": np.nan, "predict_seconds": np.nan}
    times |= {"fit_cpu": np.nan, "predict_cpu": np.nan}

    def failed(status: str) -> Row:
        spent = {"fit_seconds": time.perf_counter() - start[0]}
        spent["fit_cpu"] = time.process_time() - start[1]
        return Row(**key, status=status, error=np.nan, **rounded({**times, **spent}), **sizes)

    try:
        model = models()[name](table.tasks, repeat)
        start = time.perf_counter(), time.process_time()  # without the import of a library
        with limited(cap * SEARCH if name.endswith(TUNED) else cap):
            model.fit(known)
            middle = time.perf_counter(), time.process_time()
            predicted = model.predict(judged.X)
        end = time.perf_counter(), time.process_time()
        found = task_errors(known, judged, predicted)
    except OutOfTimeError:
        return failed(OUT_OF_TIME)
    except Exception as error:  # noqa: BLE001, a peer may raise anything, and the others go on
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return failed(f"error: {text}"[:200])
    times = {"fit_seconds": middle[0] - start[0], "predict_seconds": end[0] - middle[0]}
    times |= {"fit_cpu": middle[1] - start[1], "predict_cpu": end[1] - middle[1]}
    texts = {
        "errors": joined(e.error for e in found),
        "log_losses": joined(e.log_loss for e in found),
        "aucs": joined(e.auc for e in found),
    }
    mean = round(float(np.nanmean([e.error for e in found])), 5)
    return Row(**key, status="ok", error=mean, **rounded(times), **sizes, **texts)


def rounded(times: Mapping[str, float]) -> dict[str, float]:
    return {name: round(seconds, 3) for name, seconds in times.items()}


def joined(numbers: Any) -> str:
    return " ".join(f"{number:.4f}" for number in numbers)


def run(
    folder: Path,
    path: Path,
    sets: Sequence[str],
    names: Sequence[str],
    repeats: int | None,
    most: float = MOST_ROWS,
    cap: float = CAP,
) -> None:
    """Fit what is not in the file yet: all sets once, then all of them again."""
    entries = catalog(folder)
    done = read_rows(path, Row)
    seen = set(zip(done["dataset"], done["repeat"], done["model"], strict=True))
    late = done[done["status"] == OUT_OF_TIME]
    out = set(zip(late["dataset"], late["model"], strict=True))
    planned = {n: n_repeats(entries[n]["n_rows"]) if repeats is None else repeats for n in sets}
    names = [name for name in names if why_missing(name) is None]
    for repeat in range(max(planned.values(), default=0)):
        for dataset in (n for n in sets if repeat < planned[n]):
            todo = [n for n in names if (dataset, repeat, n) not in seen]
            if not todo:
                continue
            try:
                table = Table.load(folder, entries[dataset])
                parts = split(table, repeat, most)
            except Exception as error:  # noqa: BLE001, a table that cannot be read, and others go on
                print(f"{dataset} {repeat}: not run: {type(error).__name__}: {error}", flush=True)
                continue
            must_match(done, table.name, repeat, parts)
            for name in todo:
                if (dataset, name) in out:
                    continue
                with warnings.catch_warnings(), threadpool_limits(1):
                    warnings.simplefilter("ignore")  # rounds at their bound, words not seen before
                    torch.set_num_threads(1)
                    row = run_one(table, parts, name, repeat, cap)
                append_row(path, row)
                if row.status == OUT_OF_TIME:
                    out.add((dataset, name))
                told = f"{row.error:.4f}" if row.status == "ok" else row.status
                print(f"{dataset} {repeat} {name}: {told}, {row.fit_cpu:.1f} s", flush=True)


def must_match(done: pd.DataFrame, name: str, repeat: int, parts: Parts) -> None:
    """Refuse rows that were made with another split."""
    old = done[(done["dataset"] == name) & (done["repeat"] == repeat)]
    if not (old["split"] == fingerprint(*parts)).all():
        raise ValueError(
            f"The file of rows has another split of {name!r}, repeat {repeat}: the data, `--whole` "
            "or the code of the splits differ. Give another file to `--rows`."
        )


# ---- command line ------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of catalog.json")
    parser.add_argument("--sets", help="names, by commas; else all, small ones first")
    parser.add_argument("--models", help="names, by commas; else all: " + ", ".join(models()))
    parser.add_argument(
        "--rows", type=Path, default=RESULTS.with_suffix(".csv"), help="appended to"
    )
    parser.add_argument("--repeats", type=int, help="of each set, else 3 or 5; 0: report only")
    parser.add_argument("--cap", type=float, default=CAP, help="CPU seconds of a fit")
    parser.add_argument("--whole", action="store_true", help="all rows of large sets")
    parser.add_argument(
        "--write", action="store_true", help=f"write {RESULTS.name}, its figure and tables"
    )
    given = parser.parse_args()
    entries = catalog(given.data)
    sets = given.sets.split(",") if given.sets else in_order_of_cost(entries)
    names = given.models.split(",") if given.models else list(models())
    for kind, asked, known in (("sets", sets, entries), ("models", names, models())):
        if unknown := sorted(set(asked) - set(known)):
            parser.error(f"no such {kind}: {', '.join(unknown)}; there are: {', '.join(known)}")
    for name in names:
        if reason := why_missing(name):
            print(f"{name}: not run: {reason}")
    most = np.inf if given.whole else MOST_ROWS
    loads = [os.getloadavg()[0]]
    run(given.data, given.rows, sets, names, given.repeats, most, given.cap)
    loads.append(os.getloadavg()[0])
    rows = read_rows(given.rows, Row)
    rows = rows[rows["dataset"].isin(sets) & rows["model"].isin(names)]
    if rows.empty:
        return
    reasons = {name: why_missing(name) or "not run" for name in names}
    study = accuracy_report.Study(rows, entries, reasons, next(iter(OURS)))
    text = "\n\n".join(accuracy_report.report(study, loads))
    print(text)
    if given.write:
        write_report(RESULTS, "Accuracy", __doc__, [text])
        if given.rows.resolve() != RESULTS.with_suffix(".csv"):  # which else would lose rows
            rows.to_csv(RESULTS.with_suffix(".csv"), index=False)
        accuracy_report.figure(study, RESULTS.with_suffix(".png"))
        accuracy_report.write_tables(study, RESULTS)


if __name__ == "__main__":
    main()
