"""What the sharing schemes do to scores on test rows, against a network per task.

    python -m benchmarks.sharing_quality --data FOLDER            # half an hour; goes on where
    python -m benchmarks.sharing_quality --data FOLDER --write    # it was stopped

FOLDER holds tables and a `catalog.json` that says which columns are features and which tasks.
Each set is split five times: 20 % of the rows for the test (whole groups of rows where the
catalog names some), and of the others at most a stated number, a quarter of them to stop early.
All schemes get the same rows, initial seeds and settings, those of the package but for two
hidden layers of 64 and a bound on the number of epochs; each scheme has its default
parameters.  Nothing is chosen on test rows.

The score is the estimator's: the mean over tasks of R2 or D2 log loss; 1 is perfect, 0 as good
as the best constant.  Wins and losses against `independent` on one set are those of a corrected
resampled t-test over the five splits (Nadeau and Bengio 2003; two-sided, 5 %, for a quarter as
many test rows as others), which is strict with five; over the sets, a Wilcoxon signed-rank test on the mean scores, with Holm's correction
for the number of schemes.  `chosen on validation` takes, for each split, the scheme with the best
score on the rows that stopped it.  That is kind to `independent`, which stops each task by itself
on these rows; a grid search judges by rows that stopped nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.model_selection import GroupShuffleSplit

from benchmarks.fit_speed import machine, markdown
from skmtl import MultiTaskNetClassifierRegressor
from skmtl._strategy import strategies
from skmtl.model_selection import TaskStratifiedShuffleSplit
from skmtl.sharing import Sharing

RESULTS = Path(__file__).parent / "results" / "sharing_quality.md"
ROWS = RESULTS.with_suffix(".csv")
SCHEMES = sorted(strategies(Sharing))
BASE, CHOSEN = "independent", "chosen on validation"
N_SEEDS = 5
TEST, VALIDATION = 0.2, 0.25
LEVEL = 0.05
MOST_TEST_ROWS = 4_000
COSTLY = 2.0  # CPU seconds of a fit of one epoch from which on a probed scheme is not run

FEW = ("hard", "independent", "structure", "grouped", "mmoe")


@dataclass(frozen=True)
class Setting:
    """What is bounded on one set, for all schemes."""

    rows: int = 2_000  # training and validation rows together
    max_epochs: int = 60
    schemes: tuple[str, ...] | None = None
    probe: bool = False  # whether to time a fit of one epoch first


SETS = {
    "slump": Setting(max_epochs=200),
    "jura": Setting(max_epochs=200),
    "automobile": Setting(max_epochs=200),
    "atp1d": Setting(max_epochs=200),
    "emotions": Setting(max_epochs=200),
    "student": Setting(),
    "nhefs": Setting(),
    "acs12": Setting(),
    "yeast": Setting(),
    "ames_housing": Setting(),
    "sarcos_4449": Setting(),
    "air_quality_uci": Setting(),
    "scm20d": Setting(),
    "tox21": Setting(),
    "physchem_union": Setting(),
    "diamonds": Setting(),
    "school": Setting(rows=20_000, max_epochs=20, probe=True),
    "credit_default": Setting(rows=50_000, max_epochs=15, schemes=FEW),
}


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


# ---- fits --------------------------------------------------------------------------------------


def estimator(table: Table, scheme: str, seed: int, max_epochs: int) -> Any:
    return MultiTaskNetClassifierRegressor(
        table.tasks,
        sharing=scheme,
        hidden_layer_sizes=(64, 64),
        max_epochs=max_epochs,
        random_state=seed,
    )


def run_one(
    table: Table, scheme: str, seed: int, setting: Setting, parts: Sequence[np.ndarray]
) -> Row:
    """Fit one scheme on one split."""
    train, valid, test = ((table.X.iloc[rows], table.Y.iloc[rows]) for rows in parts)
    sizes = {"n_fit": len(parts[0]) + len(parts[1]), "n_test": len(parts[2])}
    key = {"dataset": table.name, "scheme": scheme, "seed": seed}
    none = {"score": np.nan, "valid": np.nan, "epochs": 0}

    def fit(max_epochs: int) -> tuple[Any, float]:
        start = time.process_time()
        model = estimator(table, scheme, seed, max_epochs)
        model.fit(*train, X_val=valid[0], y_val=valid[1])
        return model, round(time.process_time() - start, 2)

    try:
        if setting.probe and scheme != BASE:
            seconds = fit(1)[1]
            if seconds > COSTLY:
                return Row(**key, status="cost", **none, seconds=seconds, **sizes)
        model, seconds = fit(setting.max_epochs)
    except ValueError as error:
        text = " ".join(str(error).split())
        return Row(**key, status=f"error: {text}"[:150], **none, seconds=0.0, **sizes)
    return Row(
        **key,
        status="ok",
        score=round(model.score(*test), 5),
        valid=round(model.score(*valid), 5),
        seconds=seconds,
        epochs=len(model.history_),
        **sizes,
    )


def run(folder: Path, path: Path, chosen: Sequence[str], n_seeds: int) -> None:
    """Run what is not in the file yet, all sets with the first seed first."""
    entries = {e["name"]: e for e in json.loads((folder / "catalog.json").read_text())["datasets"]}
    done = read(path)
    seen = set(zip(done["dataset"], done["scheme"], done["seed"], strict=True))
    # What was too slow or not possible on the first split is so on the others.
    out = set(
        zip(*done.loc[done["status"] != "ok", ["dataset", "scheme"]].T.to_numpy(), strict=True)
    )
    for seed in range(n_seeds):
        for name in chosen:
            setting = SETS[name]
            schemes = setting.schemes or SCHEMES
            todo = [s for s in schemes if (name, s, seed) not in seen and (name, s) not in out]
            if not todo:
                continue
            table = Table.load(folder, entries[name])
            parts = table.split(seed, setting.rows)
            for scheme in todo:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # rare classes, epochs at their bound
                    row = run_one(table, scheme, seed, setting, parts)
                append(path, row)
                if row.status != "ok":
                    out.add((name, scheme))
                print(asdict(row), flush=True)


def append(path: Path, row: Row) -> None:
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(Row.__annotations__))
        if is_new:
            writer.writeheader()
        writer.writerow(asdict(row))


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=list(Row.__annotations__))


# ---- comparison --------------------------------------------------------------------------------


def corrected_t_test(differences: np.ndarray, share: float) -> float:
    """Return the two-sided p-value of paired differences over splits that share rows.

    `share` is the number of test rows for each other row; the variance of the mean is
    ``(1 / n + share) var``.
    """
    variance = differences.var(ddof=1)
    if variance == 0:
        return float(not differences.any())
    t = differences.mean() / np.sqrt((1 / len(differences) + share) * variance)
    return float(2 * stats.t.sf(abs(t), len(differences) - 1))


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust p-values for their number, the smallest most."""
    order = np.argsort(p)
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(raised, 1)
    return adjusted


def differences(rows: pd.DataFrame, name: str, scheme: str) -> np.ndarray:
    """Return score minus that of `independent` for each split that has both."""
    of_set = rows[(rows["dataset"] == name) & (rows["status"] == "ok")]
    by_seed = of_set.pivot_table(index="seed", columns="scheme", values="score")
    if not {scheme, BASE} <= set(by_seed):
        return np.array([])
    return (by_seed[scheme] - by_seed[BASE]).dropna().to_numpy()


def verdict(rows: pd.DataFrame, name: str, scheme: str) -> int:
    """Return 1 for a win against `independent` on a set, -1 for a loss, 0 for a tie."""
    by_seed = differences(rows, name, scheme)
    if len(by_seed) < 2:
        return 0
    p = corrected_t_test(by_seed, TEST / (1 - TEST))
    return int(np.sign(by_seed.mean())) if p < LEVEL else 0


def chosen_on_validation(rows: pd.DataFrame) -> pd.DataFrame:
    """Return, for each set and seed, the row with the best validation score."""
    best = rows[rows["status"] == "ok"].groupby(["dataset", "seed"], sort=False)["valid"].idxmax()
    return rows.loc[best].assign(scheme=CHOSEN)


# ---- report ------------------------------------------------------------------------------------


def sets_table(rows: pd.DataFrame, folder: Path) -> str:
    """Say what the sets are and how many rows were used."""
    entries = {e["name"]: e for e in json.loads((folder / "catalog.json").read_text())["datasets"]}
    lines = []
    for name in rows["dataset"].unique():
        entry, of_set = entries[name], rows[rows["dataset"] == name]
        kinds = pd.Series([task["kind"] for task in entry["tasks"]]).value_counts()
        missing = sum(task["n_missing"] for task in entry["tasks"])
        share = missing / entry["n_rows"] / entry["n_tasks"]
        counts = (entry["n_rows"], of_set["n_fit"].iloc[0], of_set["n_test"].iloc[0])
        lines.append(
            [
                name,
                ", ".join(f"{n} {kind}" for kind, n in kinds.items()),
                str(entry["n_features"]),
                f"{100 * share:.0f} %",
                *(f"{count:,}" for count in counts),
                str(SETS[name].max_epochs),
                str(of_set["seed"].nunique()),
            ]
        )
    head = ["set", "tasks", "columns of X", "labels missing", "rows"]
    head += ["rows to fit and stop", "test rows", "epochs at most", "splits"]
    return f"### Sets\n\n{markdown(head, lines)}"


def score_tables(rows: pd.DataFrame) -> Iterator[str]:
    """Yield scores by set and scheme, in two halves that a page can hold."""
    schemes = [BASE, *(s for s in SCHEMES if s != BASE), CHOSEN]
    half = (len(schemes) + 1) // 2
    for part in (schemes[:half], schemes[half:]):
        lines = [
            [name, *(cell(rows, name, scheme) for scheme in part)]
            for name in rows["dataset"].unique()
        ]
        yield markdown(["set", *part], lines)


def cell(rows: pd.DataFrame, name: str, scheme: str) -> str:
    """Return the mean score, with a sign where it differs, or why there is none."""
    found = rows[(rows["dataset"] == name) & (rows["scheme"] == scheme)]
    if found.empty:
        planned = SETS[name].schemes
        return "not yet run" if planned is None or scheme in planned else "not run (cost)"
    first = found.iloc[0]
    if first["status"] == "cost":
        return f"not run (cost: {first['seconds']:.1f} s for one epoch)"
    if first["status"] != "ok":
        return "n/a"
    sign = {1: " **+**", 0: "", -1: " **-**"}[verdict(rows, name, scheme)]
    return f"{found['score'].mean():.3f}{sign}"


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean scores, sets by schemes."""
    ok = rows[rows["status"] == "ok"]
    return ok.pivot_table(index="dataset", columns="scheme", values="score", sort=False)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what each scheme comes to over the sets."""
    table = means(rows)
    complete = table.dropna()
    others = [s for s in (*SCHEMES, CHOSEN) if s != BASE and s in table]
    gains = {s: (table[s] - table[BASE]).dropna() for s in others}
    ok = rows[rows["status"] == "ok"]
    seconds = ok.pivot_table(index="dataset", columns="scheme", values="seconds")
    found = pd.DataFrame(index=[BASE, *others])
    found["mean score"] = complete.mean()
    # What chooses among the schemes is no scheme to be ranked with them.
    found["mean rank"] = complete.drop(columns=CHOSEN).rank(axis=1, ascending=False).mean()
    found["sets"] = table.notna().sum()
    for column, sign in (("wins", 1), ("losses", -1)):
        found[column] = pd.Series(
            {s: sum(verdict(rows, name, s) == sign for name in gains[s].index) for s in others}
        )
    found["ties"] = found["sets"] - found["wins"] - found["losses"]
    found["higher mean"] = pd.Series({s: int((gains[s] > 0).sum()) for s in others})
    found["median gain"] = pd.Series({s: gains[s].median() for s in others})
    found["p"] = pd.Series({s: stats.wilcoxon(gains[s]).pvalue for s in others})
    found.loc[others, "p, Holm"] = holm(found.loc[others, "p"].to_numpy())
    found["seconds"] = (seconds.div(seconds[BASE], axis=0)).median()
    return found.sort_values("mean rank")


def summary_table(rows: pd.DataFrame) -> str:
    lines = []
    for scheme, row in summary(rows).iterrows():
        compared = scheme != BASE
        rank = "" if scheme == CHOSEN else f"{row['mean rank']:.1f}"
        cells = [str(scheme), f"{row['mean score']:.4f}", rank]
        if compared:
            counts = "/".join(str(int(row[key])) for key in ("wins", "ties", "losses"))
            cells += [counts, f"{int(row['higher mean'])} of {int(row['sets'])}"]
            cells += [f"{row['median gain']:+.4f}", f"{row['p']:.3f}", f"{row['p, Holm']:.3f}"]
        else:
            cells += [""] * 5
        cells.append("" if scheme == CHOSEN else f"{row['seconds']:.1f}")
        lines.append(cells)
    n_complete = len(means(rows).dropna())
    head = ["scheme", "mean score", "mean rank", "wins/ties/losses by set", "higher mean"]
    head += ["median gain", "p over sets", "p, Holm", "times the seconds"]
    return (
        f"### All sets, against `{BASE}`\n\nMean score and rank: over the {n_complete} sets on "
        f"which every scheme ran.  All else: over the sets on which the scheme ran.\n\n"
        f"{markdown(head, lines)}"
    )


def sentences(rows: pd.DataFrame) -> str:
    """Say in words what the tables come to."""
    found, table = summary(rows), means(rows)
    others = found.drop(index=[BASE, CHOSEN])
    clear = others[others["p, Holm"] < LEVEL]["median gain"]
    better, worse = (", ".join(clear.index[part]) or "none" for part in (clear > 0, clear < 0))
    total, won, lost = (int(others[key].sum()) for key in ("sets", "wins", "losses"))
    lines = [
        (
            f"- Over the sets, schemes that differ from `{BASE}` after the correction: better "
            f"{better}; worse {worse}."
        ),
        (
            f"- Of {total} pairs of a set and a scheme, {won} are wins and {lost} losses by the "
            "test within a set; without any difference about 2.5 % of the pairs would be each."
        ),
    ]
    for name in table.index:
        scores = table.loc[name].drop([BASE, CHOSEN]).dropna()
        base = table.loc[name, BASE]
        verdicts = {s: verdict(rows, name, s) for s in scores.index}
        won, lost = (
            ", ".join(s for s, v in verdicts.items() if v == sign) or "none" for sign in (1, -1)
        )
        lines.append(
            f"- {name}: best `{scores.idxmax()}` ({scores.max() - base:+.3f}); "
            f"{int((scores > base).sum())} of {len(scores)} have a higher mean; wins: {won}; "
            f"losses: {lost}."
        )
    return "### In words\n\n" + "\n".join(lines)


def report(rows: pd.DataFrame, folder: Path) -> Iterator[str]:
    rows = rows.assign(order=rows["dataset"].map(list(SETS).index))
    rows = rows.sort_values(["order", "seed"], kind="stable").reset_index(drop=True)
    errors = rows[rows["status"].str.startswith("error")]
    both = pd.concat([rows, chosen_on_validation(rows)], ignore_index=True)
    yield sets_table(rows, folder)
    yield summary_table(both)
    first, second = score_tables(both)
    yield (
        "### Mean score on test rows by set\n\n**+** and **-**: better or worse than "
        f"`{BASE}` by the test within the set.\n\n{first}\n\n{second}"
    )
    if len(errors):
        texts = [f"- {e.dataset}, {e.scheme}: {e.status}" for e in errors.itertuples()]
        yield "n/a:\n\n" + "\n".join(texts)
    yield sentences(both)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of catalog.json")
    parser.add_argument("--rows", type=Path, default=ROWS, help="file of the scores, appended to")
    parser.add_argument("--sets", default=",".join(SETS), help="names, separated by commas")
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help="splits; 0: report only")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    loads = [os.getloadavg()[0]]
    names = arguments.sets.split(",")
    run(arguments.data, arguments.rows, names, arguments.seeds)
    loads.append(os.getloadavg()[0])
    rows = read(arguments.rows)
    rows = rows[rows["dataset"].isin(names)]
    seconds = float(rows["seconds"].sum())
    parts = [machine(loads, seconds), *report(rows, arguments.data)]
    text = "\n\n".join(parts)
    print(text)
    if arguments.write:
        explained = (__doc__ or "").split("\n\n", 2)[2].strip()
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(f"# What sharing does to scores\n\n{explained}\n\n{text}\n")


if __name__ == "__main__":
    main()
