"""Fits on real tables whose scores a benchmark compares: sets, splits, and a file of rows.

All schemes (of sharing, of weights) get the same rows and initial seeds.  The file of rows is
appended to after each fit, so that a run goes on where it was stopped, and all sets are run with
the first seed before any with the second.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit

from benchmarks.measuring import machine
from benchmarks.recording import append_row, read_rows, write_report
from skmtl.model_selection import TaskStratifiedShuffleSplit

N_SEEDS = 5
TEST, VALIDATION = 0.2, 0.25
MOST_TEST_ROWS = 4_000
COSTLY = 2.0  # CPU seconds of a fit of one epoch from which on a probed scheme is not run


@dataclass(frozen=True)
class Setting:
    """What is bounded on one set, for all schemes."""

    rows: int = 2_000  # training and validation rows together
    max_epochs: int = 60
    schemes: tuple[str, ...] | None = None
    probe: bool = False  # whether to time a fit of one epoch first


@dataclass(frozen=True)
class Row:
    """One fit."""

    dataset: str
    scheme: str
    seed: int
    status: str  # "ok", "cost" or the error
    score: float
    valid: float
    seconds: float
    epochs: int
    n_fit: int  # training and validation rows
    n_test: int


@dataclass(frozen=True)
class Study:
    """One benchmark: what is compared, and on what."""

    title: str
    text: str  # the docstring of its module
    results: Path  # the report; the rows lie beside it
    sets: Mapping[str, Setting]
    schemes: Sequence[str]
    base: str  # what all others are compared with
    estimator: Callable[[Table, str, int, int], Any]  # set, scheme, seed, max_epochs
    report: Callable[[pd.DataFrame, Path], Iterator[str]]  # of rows and the folder of data


# ---- data --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A set, and how to split it."""

    name: str
    X: pd.DataFrame
    Y: pd.DataFrame
    tasks: dict[str, str]
    groups: np.ndarray | None

    @classmethod
    def load(cls, folder: Path, entry: dict[str, Any]) -> Table:
        path = folder / entry["file"]
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        tasks = {task["column"]: task["kind"] for task in entry["tasks"]}
        group = entry.get("group_column")
        groups = None if group is None else frame[group].to_numpy()
        return cls(entry["name"], frame[entry["features"]], frame[list(tasks)], tasks, groups)

    def split(self, seed: int, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return training, validation and test rows."""
        random = np.random.default_rng(seed)
        rest, test = self._part(np.arange(len(self.X)), TEST, seed)
        if len(rest) > most:
            rest = random.permutation(rest)[:most]
        train, valid = self._part(rest, VALIDATION, seed)
        return train, valid, random.permutation(test)[:MOST_TEST_ROWS]

    def _part(self, rows: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        if self.groups is not None:
            splitter: Any = GroupShuffleSplit(1, test_size=share, random_state=seed)
            groups = self.groups[rows]
        else:
            splitter = TaskStratifiedShuffleSplit(
                1, test_size=share, tasks=self.tasks, random_state=seed
            )
            groups = None
        Y = self.Y.iloc[rows]
        first, second = next(iter(splitter.split(Y, Y, groups)))
        return rows[first], rows[second]


def catalog(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what is known of each set."""
    entries = json.loads((folder / "catalog.json").read_text())["datasets"]
    return {entry["name"]: entry for entry in entries}


def missing_share(entry: dict[str, Any]) -> float:
    """Return the share of labels that a set lacks."""
    missing = sum(task["n_missing"] for task in entry["tasks"])
    return missing / entry["n_rows"] / entry["n_tasks"]


# ---- fits --------------------------------------------------------------------------------------


def run_one(study: Study, table: Table, scheme: str, seed: int, parts: Sequence[np.ndarray]) -> Row:
    """Fit one scheme on one split."""
    train, valid, test = ((table.X.iloc[rows], table.Y.iloc[rows]) for rows in parts)
    sizes = {"n_fit": len(parts[0]) + len(parts[1]), "n_test": len(parts[2])}
    key = {"dataset": table.name, "scheme": scheme, "seed": seed}
    none = {"score": np.nan, "valid": np.nan, "epochs": 0}
    setting = study.sets[table.name]

    def fit(max_epochs: int) -> tuple[Any, float]:
        start = time.process_time()
        model = study.estimator(table, scheme, seed, max_epochs)
        model.fit(*train, X_val=valid[0], y_val=valid[1])
        return model, round(time.process_time() - start, 2)

    try:
        if setting.probe and scheme != study.base:
            seconds = fit(1)[1]
            if seconds > COSTLY:
                return Row(**key, status="cost", **none, seconds=seconds, **sizes)
        model, seconds = fit(setting.max_epochs)
        # Within the try: a network that diverged has no score.
        scores = {"score": round(model.score(*test), 5), "valid": round(model.score(*valid), 5)}
    except ValueError as error:
        text = " ".join(str(error).split())
        return Row(**key, status=f"error: {text}"[:150], **none, seconds=0.0, **sizes)
    epochs = len(model.history_)
    return Row(**key, status="ok", **scores, seconds=seconds, epochs=epochs, **sizes)


def run(study: Study, folder: Path, path: Path, names: Sequence[str], n_seeds: int) -> None:
    """Run what is not in the file yet, all sets with the first seed first."""
    entries = catalog(folder)
    done = read_rows(path, Row)
    seen = set(zip(done["dataset"], done["scheme"], done["seed"], strict=True))
    # What was too slow or not possible on the first split is so on the others.
    out = set(
        zip(*done.loc[done["status"] != "ok", ["dataset", "scheme"]].T.to_numpy(), strict=True)
    )
    for seed in range(n_seeds):
        for name in names:
            setting = study.sets[name]
            schemes = setting.schemes or study.schemes
            todo = [s for s in schemes if (name, s, seed) not in seen and (name, s) not in out]
            if not todo:
                continue
            table = Table.load(folder, entries[name])
            parts = table.split(seed, setting.rows)
            for scheme in todo:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # rare classes, epochs at their bound
                    row = run_one(study, table, scheme, seed, parts)
                append_row(path, row)
                if row.status != "ok":
                    out.add((name, scheme))
                print(asdict(row), flush=True)


# ---- command line ------------------------------------------------------------------------------


def main(study: Study) -> None:
    """Run, report, and write the report if asked to."""
    parser = argparse.ArgumentParser(
        description=study.text, formatter_class=argparse.RawTextHelpFormatter
    )
    rows_file = study.results.with_suffix(".csv")
    parser.add_argument("--data", type=Path, required=True, help="folder of catalog.json")
    parser.add_argument("--rows", type=Path, default=rows_file, help="of the scores, appended to")
    parser.add_argument("--sets", default=",".join(study.sets), help="names, by commas")
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help="splits; 0: report only")
    parser.add_argument("--write", action="store_true", help=f"write {study.results.name}")
    arguments = parser.parse_args()
    loads = [os.getloadavg()[0]]
    names = arguments.sets.split(",")
    run(study, arguments.data, arguments.rows, names, arguments.seeds)
    loads.append(os.getloadavg()[0])
    rows = in_order(read_rows(arguments.rows, Row), names, list(study.sets))
    seconds = float(rows["seconds"].sum())
    text = "\n\n".join([machine(loads, seconds), *study.report(rows, arguments.data)])
    print(text)
    if arguments.write:
        write_report(study.results, study.title, study.text, [text])


def in_order(rows: pd.DataFrame, names: Sequence[str], order: list[str]) -> pd.DataFrame:
    """Return the rows of some sets, by set and seed."""
    rows = rows[rows["dataset"].isin(names)]
    places = rows["dataset"].map(order.index)
    ordered = rows.assign(place=places).sort_values(["place", "seed"], kind="stable")
    return ordered.drop(columns="place").reset_index(drop=True)
