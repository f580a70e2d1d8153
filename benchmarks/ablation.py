"""What each choice of the default recipe is worth: the recipe with one of them changed at a time.

    python -m benchmarks.ablation --data FOLDER                # goes on where it stopped
    python -m benchmarks.ablation --data FOLDER --sets jura,acs12 --repeats 3
    python -m benchmarks.ablation --data FOLDER --repeats 0 --write          # the report alone

**Rows.** A choice is made on training rows alone, so this is a split within them: the training rows
of repeat 0 of `benchmarks.accuracy`, in their old order, are split again by the same rules (groups,
which `fit` is told, and order of time; a split that the catalogue names is already spent).  The test rows of that repeat 0
are never seen here.  Those of its later repeats are drawn anew, and are in part among the rows
here.  Without `--sets` only the 25 sets are run for which rows times tasks times features is least;
the report names the others.

**Variants.** `VARIANTS` says each in words and as parameters; all else is as the default has it.  A
variant that comes to the same parameters as the default, or as one before it, is left out.  All
variants get the same rows and the same seed, and are run one after the other on each set.  Without
folds there is no early stopping below 100 training rows, so on such sets "one network" and "members
by seeds" train for all epochs.  The file of rows holds a mark of the parameters: rows of another
default are refused, for they cannot be compared.  A change of the code that leaves the parameters
alone is not noticed.

**Error.** That of `benchmarks.accuracy`: per task, relative to the best constant, lower is better;
the mean over the tasks, then over the repeats.

**Tests.** A difference is the variant's error minus the default's, so above 0 the choice pays.  A
win is a set on which the variant is better, a loss one on which it is worse, by any amount.  The
p-values are of Wilcoxon's signed-rank test over the sets, Holm's correction is for the number of
variants.  A variant that failed on one repeat of a set has no result there; what raises an error is
a row, and the report names it.  Times are CPU seconds of the fit, on one thread.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from benchmarks.accuracy import in_order_of_cost, joined
from benchmarks.accuracy_models import Ours, errors_of
from benchmarks.accuracy_report import Study, cell, failures, number
from benchmarks.accuracy_splits import Parts, Table, fingerprint, split
from benchmarks.comparison import halves, holm, signed_rank_test
from benchmarks.measuring import machine, markdown
from benchmarks.quality import catalog
from benchmarks.recording import append_row, read_rows, write_report
from skmtl import MultiTaskNetClassifierRegressor
from skmtl.features import FeatureEncoder
from skmtl.trunks import MLP

RESULTS = Path(__file__).parent / "results" / "ablation.md"
N_SETS = 25  # the cheapest of the catalogue
BASE = "default"
N_MEMBERS = 8  # what `n_members="auto"` stands for

DEFAULT = MultiTaskNetClassifierRegressor().get_params(deep=False)
SIZES = DEFAULT["hidden_layer_sizes"]
LR = DEFAULT["lr"]

# Name -> what it shows, and the parameters that differ from the default.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    BASE: ("the recipe as it is", {}),
    "one network": ("without members, a tenth of the rows held out", {"n_members": 1}),
    "members by seeds": (
        "all members learn from the same rows, a tenth held out",
        {"bagging": None, "n_members": N_MEMBERS},
    ),
    "bootstrap": (
        "members draw their rows with replacement, and are judged by the others",
        {"bagging": "bootstrap"},
    ),
    "5 members": ("fewer members, larger folds", {"n_members": 5}),
    "16 members": ("more members, smaller folds", {"n_members": 16}),
    "standard features": (
        "numbers by mean and standard deviation, not robust and bent",
        {"preprocess": FeatureEncoder(numbers="standard")},
    ),
    "relative losses": (
        "losses of classes divided by the constant's, too",
        {"normalize_losses": True},
    ),
    "plain losses": ("no loss divided by the constant's", {"normalize_losses": False}),
    "independent": ("a net per task in place of one trunk", {"sharing": "independent"}),
    "no early stopping": (
        "all epochs on all rows, so members differ by seeds",
        {"early_stopping": False, "n_members": N_MEMBERS, "ema_decay": 0.99},
    ),
    "patience 10": ("stop 10 epochs after the best", {"n_iter_no_change": 10}),
    "patience 16": ("stop 16 epochs after the best", {"n_iter_no_change": 16}),
    "batch 256": ("one batch size for tables of all sizes", {"batch_size": 256}),
    "half lr": ("half the learning rate", {"lr": LR / 2}),
    "double lr": ("twice the learning rate", {"lr": LR * 2}),
    "lr 1e-3": ("learning rate 0.001", {"lr": 1e-3}),
    "lr 3e-3": ("learning rate 0.003", {"lr": 3e-3}),
    "no average of weights": ("the weights themselves predict", {"ema_decay": 0.0}),
    "two layers": ("two layers of the default's width", {"hidden_layer_sizes": SIZES[:1] * 2}),
    "three layers": ("three layers of the default's width", {"hidden_layer_sizes": SIZES[:1] * 3}),
    "width 64": ("as many layers of 64", {"hidden_layer_sizes": (64,) * len(SIZES)}),
    "width 256": ("as many layers of 256", {"hidden_layer_sizes": (256,) * len(SIZES)}),
    "dropout 0.1": ("a tenth of the activations dropped", {"dropout": 0.1}),
    "weight decay 1e-2": ("weights decay by lr times 0.01 in a step", {"weight_decay": 1e-2}),
    "silu": ("a smooth activation", {"activation": "silu"}),
    "no bins": ("the network reads each number alone", {"n_bins": 0}),
    "4 bins": ("fewer bins of each number", {"n_bins": 4}),
    "16 bins": ("more bins of each number", {"n_bins": 16}),
    "piecewise-linear features": (
        "each number embedded by its bins in the trunk, in place of bins before it",
        {"trunk": MLP(SIZES, DEFAULT["activation"], DEFAULT["dropout"], "piecewise_linear")},
    ),
}


@dataclass(frozen=True)
class Row:
    """One fit; the variant is called model, so that the tables of the accuracy read it too."""

    dataset: str
    repeat: int
    model: str
    status: str  # "ok" or the error
    error: float  # mean over the tasks
    fit_cpu: float
    predict_cpu: float
    epochs: float
    n_train: int
    n_test: int
    split: str  # by which rows of other splits are found out
    recipe: str  # by which rows of other parameters are found out
    errors: str = ""  # by task, NaN: not scored


# ---- variants ----------------------------------------------------------------------------------


def make(name: str, tasks: Mapping[str, str] | None = None, seed: int | None = None) -> Any:
    """Return the estimator of a variant."""
    return MultiTaskNetClassifierRegressor(tasks, random_state=seed, **VARIANTS[name][1])


def recipe(name: str) -> str:
    """Return a short mark of a variant's parameters; those of its objects count, not the objects.

    What is None or False is left out, so that a new parameter that is off leaves the mark alone.
    """
    params = {k: v for k, v in make(name).get_params().items() if v is not None and v is not False}
    text = "; ".join(f"{key}={value!r}" for key, value in sorted(params.items()))
    return f"{zlib.crc32(text.encode()):08x}"


def distinct() -> list[str]:
    """Return the names of the variants that no earlier one equals, the default first."""
    first: dict[str, str] = {}
    for name in VARIANTS:
        first.setdefault(recipe(name), name)
    return list(first.values())


# ---- fits --------------------------------------------------------------------------------------


def development(table: Table) -> Table:
    """Return the training rows of the accuracy's repeat 0 as a table of their own."""
    train, _ = split(table, 0)
    # Sorted, so that blocks of rows in the order of time stay blocks.
    return replace(table.take(np.sort(train)), given_test=None, name=f"{table.name}-dev")


def fit_one(table: Table, parts: Parts, dataset: str, name: str, repeat: int) -> Row:
    """Fit one variant on one split; whatever it raises is a row."""
    train, test = parts
    known, judged = table.take(train), table.take(test)
    status, error, texts, epochs = "ok", np.nan, "", np.nan
    clock = [time.process_time()]
    try:
        model = Ours(make(name, table.tasks, repeat)).fit(known)
        clock.append(time.process_time())
        predicted = model.predict(judged.X)
        clock.append(time.process_time())
        found = errors_of(known, judged, predicted)
        error, texts = round(float(np.nanmean(found)), 5), joined(found)
        epochs = model.estimator.n_iter_
    except Exception as raised:  # noqa: BLE001, a failure of one variant is told, and the others go on
        status = " ".join(f"error: {type(raised).__name__}: {raised}".split())[:200]
    fit_cpu, predict_cpu = (round(float(s), 3) for s in [*np.diff(clock), np.nan, np.nan][:2])
    key: dict[str, Any] = {"dataset": dataset, "repeat": repeat, "model": name, "status": status}
    key |= {"split": fingerprint(train, test), "recipe": recipe(name)}
    numbers: dict[str, Any] = {
        "error": error,
        "fit_cpu": fit_cpu,
        "predict_cpu": predict_cpu,
        "epochs": epochs,
    }
    return Row(**key, **numbers, n_train=len(train), n_test=len(test), errors=texts)


def run(
    folder: Path, path: Path, sets: Sequence[str], names: Sequence[str], repeats: int = 1
) -> None:
    """Fit what is not in the file yet: all variants of a set in a row, all sets, then again."""
    entries = catalog(folder)
    done = read(path)
    seen = set(zip(done["dataset"], done["repeat"], done["model"], strict=True))
    for repeat in range(repeats):
        for dataset in sets:
            todo = [name for name in names if (dataset, repeat, name) not in seen]
            if not todo:
                continue
            table = development(Table.load(folder, entries[dataset]))
            parts = split(table, repeat)
            old = done[(done["dataset"] == dataset) & (done["repeat"] == repeat)]
            must_be("split", old, fingerprint(*parts), f"{dataset!r}, repeat {repeat}")
            for name in todo:
                with warnings.catch_warnings(), threadpool_limits(1):
                    warnings.simplefilter("ignore")  # rounds at their bound, words not seen before
                    torch.set_num_threads(1)
                    row = fit_one(table, parts, dataset, name, repeat)
                append_row(path, row)
                told = f"{row.error:.4f}" if row.status == "ok" else row.status
                print(f"{dataset} {repeat} {name}: {told}, {row.fit_cpu:.1f} s", flush=True)


def read(path: Path) -> pd.DataFrame:
    """Return the rows of a file; those of other recipes are refused."""
    rows = read_rows(path, Row)
    for name, of_variant in rows.groupby("model"):
        if name in VARIANTS:
            must_be("recipe", of_variant, recipe(str(name)), f"variant {name!r}")
    return rows


def must_be(column: str, rows: pd.DataFrame, mark: str, what: str) -> None:
    """Refuse rows that were made with another split, or of other parameters."""
    if not (rows[column] == mark).all():
        raise ValueError(
            f"The file of rows has another {column} of {what}: the data, the default or the code "
            "differ. Give another file to `--rows`."
        )


# ---- report ------------------------------------------------------------------------------------


def report(study: Study, loads: Sequence[float]) -> Iterator[str]:
    """Yield the parts of the report."""
    yield machine(loads, float(study.rows[["fit_cpu", "predict_cpu"]].sum().sum()))
    yield left_out(study)
    yield said(study)
    yield differences(study)
    others = [name for name in study.models if name != BASE]
    for models in filter(None, halves(others)):
        shown = [BASE, *models]
        lines = [
            [name, *(cell(study, study.means, name, model) for model in shown)]
            for name in study.sets
        ]
        yield "### Mean error by set, the best of all variants in bold\n\n" + markdown(
            ["set", *shown], lines
        )
    yield failures(study)


def left_out(study: Study) -> str:
    """Say which sets have no rows, and how large the others are."""
    costly = in_order_of_cost(study.entries)[N_SETS:]
    without = [name for name in study.entries if name not in study.sets]
    late = ", ".join(name for name in without if name in costly)
    other = ", ".join(name for name in without if name not in costly)
    sizes = study.rows.groupby("dataset")["n_train"].first()
    return (
        f"### Sets\n\n{len(study.sets)} sets with {sizes.min():,} to {sizes.max():,} training rows; "
        f"repeats: {study.rows['repeat'].nunique()} at most.\n\n- Left out for their cost: "
        f"{late or 'none'}.\n- Not run otherwise: {other or 'none'}."
    )


def said(study: Study) -> str:
    """Say what the variants are, those too that are left out."""
    kept = distinct()
    lines = []
    for name, (words, params) in VARIANTS.items():
        differs = ", ".join(f"`{key}={value!r}`" for key, value in params.items())
        note = "" if name in study.models else "not run"
        if name not in kept:
            note = next(f"the same as `{k}`" for k in kept if recipe(k) == recipe(name))
        lines.append(f"- `{name}`: {words}; {differs or 'nothing else'}{note and f' ({note})'}.")
    return "### Variants\n\n" + "\n".join(lines)


def differences(study: Study) -> str:
    """Return the comparison of each variant with the default, over the sets that both ran on."""
    means, times = study.means, study.times
    complete = means.dropna().mean()
    others = [name for name in study.models if name != BASE]
    apart = {name: (means[name] - means[BASE]).dropna() for name in others}
    p = {name: signed_rank_test(values.to_numpy()) for name, values in apart.items() if len(values)}
    corrected = dict(zip(p, holm(np.array(list(p.values()))), strict=True))
    lines = [[BASE, number(complete[BASE], 4), *[""] * 5, "1.00"]]
    for name, values in apart.items():
        wins, losses = int((values < 0).sum()), int((values > 0).sum())
        lines.append(
            [
                name,
                number(complete[name], 4),
                f"{values.median():+.4f}" if len(values) else "",
                f"{wins}/{losses}",
                str(len(values)),
                number(p.get(name, np.nan), 4),
                number(corrected.get(name, np.nan), 4),
                number((times[name] / times[BASE]).dropna().median(), 2),
            ]
        )
    head = ["variant", "mean error", "median difference", "wins/losses", "sets", "p", "p, Holm"]
    return (
        "### Each against the default\n\nMean error: over the "
        f"{len(means.dropna())} sets on which all variants ran.\n\n"
        + markdown([*head, "times the default's CPU seconds, median"], lines)
    )


# ---- command line ------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of catalog.json")
    parser.add_argument("--sets", help=f"names, by commas; else the {N_SETS} cheapest")
    parser.add_argument("--variants", help="names, by commas; else all: " + ", ".join(VARIANTS))
    parser.add_argument(
        "--rows", type=Path, default=RESULTS.with_suffix(".csv"), help="appended to"
    )
    parser.add_argument("--repeats", type=int, default=1, help="of each set; 0: report only")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    given = parser.parse_args()
    entries = catalog(given.data)
    sets = given.sets.split(",") if given.sets else in_order_of_cost(entries)[:N_SETS]
    asked = given.variants.split(",") if given.variants else list(VARIANTS)
    for kind, names, known in (("sets", sets, entries), ("variants", asked, VARIANTS)):
        if unknown := sorted(set(names) - set(known)):
            parser.error(f"no such {kind}: {', '.join(unknown)}; there are: {', '.join(known)}")
    names = [name for name in distinct() if name in asked or name == BASE]
    loads = [os.getloadavg()[0]]
    run(given.data, given.rows, sets, names, given.repeats)
    loads.append(os.getloadavg()[0])
    rows = read(given.rows)
    rows = rows[rows["dataset"].isin(sets) & rows["model"].isin(names)]
    if rows.empty:
        return
    study = Study(rows, entries, dict.fromkeys(names, "not run"), BASE)
    text = "\n\n".join(report(study, loads))
    print(text)
    if given.write:
        write_report(RESULTS, "Ablation", __doc__, [text])
        if given.rows.resolve() != RESULTS.with_suffix(".csv"):  # which else would lose rows
            rows.to_csv(RESULTS.with_suffix(".csv"), index=False)


if __name__ == "__main__":
    main()
