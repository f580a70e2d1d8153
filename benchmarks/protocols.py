"""How good predictions are, beside figures that others published, under their protocols.

    python -m benchmarks.protocols --data FOLDER --write         # goes on where it stopped
    python -m benchmarks.protocols --data FOLDER --only mulan --sets slump,edm --rows FILE.csv
    python -m benchmarks.protocols --data FOLDER --repeats 0 --write      # the report alone

FOLDER holds tables and a `catalog.json` that says which columns are features and which tasks.

**Models.** `skmtl default` is `MultiTaskNetClassifierRegressor` with nothing set but the kinds of
the tasks and a seed; `skmtl independent` is the same with `sharing="independent"`, a net per task.
`rf` and `ridge` are scikit-learn's at their defaults, prepared as `accuracy_peers.py` says; `rf` is
one forest of all columns on Mulan's sets, and a forest for each column where labels are missing;
`ridge` is logistic regression for classes, and a model for each column always.  `ridge pooled`, for
School alone, is one ridge over all pupils with an intercept for each school.  Nothing is tuned by
us; the parameters of published methods may have been.  A model gets the training rows
alone.  One thread, no GPU.  A fit may take `--cap` seconds of CPU time; what exceeds it is a row
"n/a (time)", and is not tried on other repeats of that set.

**School.** Exam marks of 15,362 pupils of 139 schools of the ILEA; a school is a task, each pupil
has a label of one.  Ten random splits; of each school three quarters of the pupils to learn from, a
quarter to test.  The literature reports "explained variance" in per cent.  Which variance a paper
means we could not read for ourselves, so there are three columns, each from squared errors E over
all test rows, and a published figure may belong to any of them:
*overall* is 1 - E / V, V the squared distances of test marks from the mean of all test marks;
*within* is 1 - E / W, W those from the mean of the test marks of the pupil's own school; *mean of
schools* takes the latter ratio school by school, and the plain mean of 139.  Overall is never
below within, since it rewards telling good schools from bad ones.  Published splits are random ones too, but others than ours.

**Tox21.** Twelve assays, 17 % of the labels missing: the mean over assays of the ROC-AUC on the
test rows that have the label.  MoleculeNet's protocol, three random splits of 80/10/10, of which
the tenth that is meant for tuning is used by none of ours.  No scaffold split: it would need RDKit.
Our features are 14 descriptors and 512 folded counts of Morgan fingerprints (radius 2), of 7,823
molecules, where the benchmark's fingerprints have 1,024 bits and its graph models read the
molecule itself.  The challenge of 2014 has other test molecules (the final 647), more features and
labels that MoleculeNet's version altered, so DeepTox is no more than a landmark.

**Mulan.** The multi-target regression sets of the catalogue, in ten random folds; scm20d, which
follows time, by its given split, the paper's (7,463 rows to learn from, 1,503 to test, all used).  RRMSE of
a target is sqrt(sum (y - p)^2 / sum (y - m)^2) over the test rows, m the mean of the training
rows; aRRMSE is its mean over the targets.  The main table has the mean of it over folds, as in the
authors' program; a second one pools squares over the folds before the root.  (The program pools
too, but with the mean of all rows.)  The two differ where a fold has few rows that vary: sf1 and
sf2 count rare flares, andro has folds of five rows.  Folds are not those of the paper.

**Published figures** stand in `protocols_report.py`, each with where it is from and how far that
was checked: *read* means that we read the number in the named place, *second-hand* that we read it
in a summary of the paper by others, *from memory, not checked* that we found no text to confirm it
by.  The last are there for orientation and must not be quoted.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks import protocols_report
from benchmarks.accuracy import OUT_OF_TIME, must_match, rounded
from benchmarks.accuracy_models import OutOfTimeError, limited
from benchmarks.accuracy_splits import Parts, Table, fingerprint
from benchmarks.protocols_parts import PARTS, Part, models
from benchmarks.quality import catalog
from benchmarks.recording import append_row, read_rows, write_report

RESULTS = Path(__file__).parent / "results" / "protocols.md"
CAP = 1_800.0


@dataclass(frozen=True)
class Row:
    """One fit; numbers of texts are apart by spaces, tasks in the order of the catalogue."""

    part: str
    dataset: str
    repeat: int
    model: str
    status: str  # "ok", OUT_OF_TIME or the error
    score: float
    fit_seconds: float
    predict_seconds: float
    fit_cpu: float
    predict_cpu: float
    n_train: int
    n_test: int
    split: str  # by which rows of other splits are found out
    others: str = ""
    errors: str = ""
    bases: str = ""


# ---- fits --------------------------------------------------------------------------------------


def run_one(part: Part, table: Table, rows: Parts, name: str, repeat: int, cap: float) -> Row:
    """Fit one model on one split; whatever it raises is a row."""
    train, test = rows
    known, judged = table.take(train), table.take(test)
    key = {"part": part.name, "dataset": table.name, "repeat": repeat, "model": name}
    sizes = {"n_train": len(train), "n_test": len(test), "split": fingerprint(train, test)}
    clocks = [now()]

    def failed(status: str) -> Row:
        spent = times([*clocks, now()][:2])
        return Row(**key, status=status, score=np.nan, **spent, **sizes)

    try:
        model = models()[name](table.tasks, repeat)
        clocks = [now()]  # without the import of a library
        with limited(cap):
            model.fit(known)
            clocks.append(now())
            predicted = model.predict(judged.X)
        clocks.append(now())
        found = part.score(known, judged, predicted)
    except OutOfTimeError:
        return failed(OUT_OF_TIME)
    except Exception as error:  # noqa: BLE001, a model may raise anything, and the others go on
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return failed(f"error: {text}"[:200])
    texts = {n: joined(getattr(found, n)) for n in ("others", "errors", "bases")}
    score = round(found.score, 6)
    return Row(**key, status="ok", score=score, **times(clocks), **sizes, **texts)


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def times(clocks: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return the seconds between readings of two clocks: start, after the fit, after predict."""
    spent = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(clocks)]
    spent += [(np.nan, np.nan)] * (2 - len(spent))
    (fit, fit_cpu), (predict, predict_cpu) = spent
    names = ("fit_seconds", "predict_seconds", "fit_cpu", "predict_cpu")
    return rounded(dict(zip(names, (fit, predict, fit_cpu, predict_cpu), strict=True)))


def joined(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:.8g}" for number in numbers)


@dataclass(frozen=True)
class Plan:
    """What is asked for; None: all there is."""

    parts: Sequence[str]
    sets: Sequence[str] | None = None
    models: Sequence[str] | None = None
    repeats: int | None = None  # at most
    cap: float = CAP

    def sets_of(self, part: Part, entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
        return [n for n in part.sets(entries) if self.sets is None or n in self.sets]

    def models_of(self, part: Part) -> list[str]:
        if self.models is None:
            return list(part.models)
        return [n for n in part.models if n in self.models]

    def repeats_of(self, part: Part, entry: Mapping[str, Any]) -> int:
        most = part.n_repeats(entry)
        return most if self.repeats is None else min(most, self.repeats)


def run(folder: Path, path: Path, plan: Plan) -> None:
    """Fit what is not in the file yet, one set after the other."""
    entries = catalog(folder)
    for part in (PARTS[name] for name in plan.parts):
        for dataset in plan.sets_of(part, entries):
            table = None
            for repeat in range(plan.repeats_of(part, entries[dataset])):
                done = read_rows(path, Row)
                mine = done[done["dataset"] == dataset]
                seen = set(mine.loc[mine["repeat"] == repeat, "model"])
                seen |= set(mine.loc[mine["status"] == OUT_OF_TIME, "model"])
                todo = [name for name in plan.models_of(part) if name not in seen]
                if not todo:
                    continue
                table = Table.load(folder, entries[dataset]) if table is None else table
                run_split(part, table, repeat, todo, path, plan.cap)


def run_split(
    part: Part, table: Table, repeat: int, names: Sequence[str], path: Path, cap: float
) -> None:
    """Fit some models on one split and append their rows."""
    rows = part.split(table, repeat)
    must_match(read_rows(path, Row), table.name, repeat, rows)
    for name in names:
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")  # rounds at their bound, words not seen before
            torch.set_num_threads(1)
            row = run_one(part, table, rows, name, repeat, cap)
        append_row(path, row)
        told = f"{row.score:.4f}" if row.status == "ok" else row.status
        print(f"{table.name} {repeat} {name}: {told}, {row.fit_cpu:.1f} s", flush=True)


# ---- rows --------------------------------------------------------------------------------------


# ---- command line ------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = {"parts": list(PARTS), "models": list(models())}
    parser.add_argument("--data", type=Path, required=True, help="folder of catalog.json")
    parser.add_argument("--rows", type=Path, default=RESULTS.with_suffix(".csv"), help="appended")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, by commas")
    parser.add_argument("--sets", help="names, by commas; else all")
    parser.add_argument("--models", help="names, by commas; else all: " + ", ".join(models()))
    parser.add_argument("--repeats", type=int, help="at most; 0: report only")
    parser.add_argument("--cap", type=float, default=CAP, help="CPU seconds of a fit")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    given = parser.parse_args()
    entries = catalog(given.data)
    asked = {
        kind: value.split(",") if value else None
        for kind, value in (("parts", given.only), ("sets", given.sets), ("models", given.models))
    }
    for kind, known in (*names.items(), ("sets", list(entries))):
        if unknown := sorted(set(asked[kind] or ()) - set(known)):
            parser.error(f"no such {kind}: {', '.join(unknown)}; there are: {', '.join(known)}")
    parts = asked["parts"] or list(PARTS)
    plan = Plan(parts, asked["sets"], asked["models"], given.repeats, given.cap)
    loads = [os.getloadavg()[0]]
    run(given.data, given.rows, plan)
    loads.append(os.getloadavg()[0])
    rows = read_rows(given.rows, Row)
    rows = rows[rows["part"].isin(plan.parts)]
    if rows.empty:
        return
    text = "\n\n".join(protocols_report.report(rows, entries, loads))
    print(text)
    if given.write:
        write_report(RESULTS, "Beside published figures", __doc__, [text])
        if given.rows.resolve() != RESULTS.with_suffix(".csv"):  # which else would lose rows
            rows.to_csv(RESULTS.with_suffix(".csv"), index=False)


if __name__ == "__main__":
    main()
