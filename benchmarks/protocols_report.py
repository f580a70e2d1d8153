"""Figures that others published, and the tables that ours stand in beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.measuring import machine, markdown
from benchmarks.protocols_parts import PARTS, Part

# ---- published ---------------------------------------------------------------------------------

READ = "read"
SECOND_HAND = "second-hand"
MEMORY = "from memory, not checked"


@dataclass(frozen=True)
class Published:
    """A figure of a method, as printed, and how far we could check it."""

    method: str
    figure: str
    source: str
    protocol: str  # where it differs from ours, or is not known
    checked: str  # READ, SECOND_HAND or MEMORY


EVGENIOU = "Evgeniou and Pontil 2004, Regularized multi-task learning, table 3"
BONILLA = "Bonilla, Chai and Williams 2008, Multi-task Gaussian process prediction"
ARGYRIOU = "Argyriou, Evgeniou and Pontil 2008, Convex multi-task feature learning"

SCHOOL = (
    Published(
        "regularised multi-task SVR", "34.3 (0.3)", EVGENIOU, "best setting shown", SECOND_HAND
    ),
    Published(
        "Bayesian task clustering",
        "29.5 (0.4)",
        f"Bakker and Heskes 2003, as quoted by {EVGENIOU}",
        "splits not known",
        SECOND_HAND,
    ),
    Published("an SVR per school", "11.9 (0.5)", EVGENIOU, "linear, C = 0.1", SECOND_HAND),
    Published("multi-task GP, covariance of rank 2", "29.2", BONILLA, "", SECOND_HAND),
    Published(
        "multi-task GP, by descriptors of schools",
        "31.6",
        BONILLA,
        "features of the school describe the task",
        SECOND_HAND,
    ),
    Published("a GP per school", "21.1", BONILLA, "", SECOND_HAND),
    Published("MTL-FEAT, linear", "26.7 (2.0)", ARGYRIOU, "", MEMORY),
)

README = (
    "former README of DeepChem, tox21, random splitting; its tables are kept in issue 18 of "
    "deepchem/moleculenet"
)
VALIDATION = "score of the tenth for validation; ECFP of 1,024 bits"
GRAPHS = "score of the tenth for validation; the graph of the molecule"
NET_2018 = "Wu et al. 2018, MoleculeNet"

TOX21 = (
    Published("logistic regression", "0.735", README, VALIDATION, READ),
    Published("random forest", "0.763", README, VALIDATION, READ),
    Published("XGBoost", "0.773", README, VALIDATION, READ),
    Published("multi-task network", "0.754", README, VALIDATION, READ),
    Published("robust multi-task network", "0.755", README, VALIDATION, READ),
    Published("graph convolution", "0.832", README, GRAPHS, READ),
    Published("Weave", "0.812", README, GRAPHS, READ),
    Published(
        "graph convolution",
        "0.81 to 0.84",
        f"{NET_2018}, as told in issue 2029 of deepchem/deepchem by a maintainer",
        "the graph of the molecule",
        READ,
    ),
    Published(
        "semi-supervised graph convolution",
        "0.757",
        "SSL-GCN, J. Cheminformatics 13:93 (2021), abstract",
        "a split of their own; molecules without labels besides",
        READ,
    ),
    Published("random forest", "0.769", NET_2018, "ECFP, tuned, mean of three splits", MEMORY),
    Published("multi-task network", "0.803", NET_2018, "ECFP, tuned, mean of three splits", MEMORY),
    Published("kernel SVM", "0.822", NET_2018, "ECFP, tuned, mean of three splits", MEMORY),
    Published(
        "DeepTox",
        "0.846",
        "Mayr et al. 2016, DeepTox",
        "final test set of the challenge; thousands of descriptors; an ensemble",
        MEMORY,
    ),
)

# aRRMSE in per cent, rounded: the table of the paper could not be read, so that decimals would
# pretend to a certainty that is not there.  Sets that we do not remember are left out.
SPYROMITROS = (
    "Spyromitros-Xioufis et al. 2016, Multi-target regression via input space expansion "
    "(Machine Learning 104:55), bagged trees per target"
)
MELKI = (
    "random forest of all targets, as reported by Melki et al. 2017, Multi-target support vector "
    "regression via correlation regressor chains (Information Sciences 415)"
)
MULAN = {
    "ST": (
        SPYROMITROS,
        {"edm": 74, "jura": 59, "enb": 12, "slump": 69, "andro": 60, "sf1": 114, "sf2": 115},
    ),
    "MORF": (MELKI, {"edm": 73, "jura": 60, "enb": 12, "slump": 69, "andro": 51}),
}

# ---- tables ------------------------------------------------------------------------------------


def report(
    rows: pd.DataFrame, entries: Mapping[str, Mapping[str, Any]], loads: Sequence[float]
) -> Iterator[str]:
    """Yield the parts of the report."""
    yield machine(loads, float(rows[["fit_cpu", "predict_cpu"]].sum().sum()))
    used = rows[rows["status"] == "ok"]
    for name, part in PARTS.items():
        of_part = used[used["part"] == name]
        if of_part.empty:
            continue
        if name == "mulan":
            yield from mulan_tables(of_part, part, entries)
        elif name == "school":
            head = ["overall", "within", "mean of schools"]
            yield part_table("School: explained variance, per cent", head, of_part, part, entries)
            yield published_table(SCHOOL)
        else:
            head = ["mean ROC-AUC"]
            yield part_table("Tox21: mean ROC-AUC", head, of_part, part, entries)
            yield published_table(TOX21)
    yield failures(rows)


def part_table(
    title: str,
    head: Sequence[str],
    rows: pd.DataFrame,
    part: Part,
    entries: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return means and standard deviations over the splits of a part of one set."""
    digits = 1 if len(head) > 1 else 3
    lines = []
    for name, of_model in by_model(rows, part):
        first = of_model[["score"]].to_numpy()
        more = [numbers(text)[: len(head) - 1] for text in of_model["others"]]
        scores = np.hstack([first, np.array(more).reshape(len(first), -1)])  # (split, score)
        lines.append(
            [
                name,
                *(spread(column, digits) for column in scores.T),
                f"{of_model['fit_cpu'].mean():.1f}",
                done(of_model, part, entries),
            ]
        )
    sizes = f"{rows['n_train'].iloc[0]:,} rows to learn from, {rows['n_test'].iloc[0]:,} to test."
    told = f"Mean, and standard deviation over the splits in brackets.  {sizes}"
    columns = ["model", *head, "CPU seconds of a fit", "splits"]
    return f"### {title}\n\n{told}\n\n{markdown(columns, lines)}"


def published_table(figures: Sequence[Published]) -> str:
    """Return what others published."""
    lines = [[p.method, p.figure, p.protocol, p.source, p.checked] for p in figures]
    head = ["published method", "figure", "what differs from ours", "source", "checked"]
    return markdown(head, lines)


def mulan_tables(
    rows: pd.DataFrame, part: Part, entries: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Yield aRRMSE as the mean of folds with published figures, then pooled, then times."""
    sets = [name for name in part.sets(entries) if name in set(rows["dataset"])]
    names = [name for name, _ in by_model(rows, part)]
    groups = dict(iter(rows.groupby(["dataset", "model"])))

    def table(value: Any, *, others: bool = False) -> str:
        head = ["set", "rows", *names, *(f"*{m}*" for m in MULAN if others)]
        lines = []
        for dataset in sets:
            cells = [value(groups.get((dataset, name))) for name in names]
            more = [MULAN[m][1].get(dataset, "") for m in MULAN if others]
            size = f"{entries[dataset]['n_rows']:,}"
            lines.append([dataset, size, *cells, *(f"*{x}*" if x else "" for x in more)])
        return markdown(head, lines)

    def folds(found: pd.DataFrame | None) -> str:
        if found is None:
            return ""
        count = done(found, part, entries)
        whole = count.split(" of ")[0] == count.split(" of ")[1]
        return f"{100 * found['score'].mean():.1f}" + ("" if whole else f" ({count})")

    yield (
        "### Mulan: aRRMSE, per cent, mean over folds\n\nLower is better.  In italics published "
        f"figures, rounded, {MEMORY}: "
        + "; ".join(f"*{m}*: {source}" for m, (source, _) in MULAN.items())
        + f".\n\n{table(folds, others=True)}"
    )
    pooled = table(lambda found: "" if found is None else f"{100 * pooled_arrmse(found):.1f}")
    yield f"### Mulan: aRRMSE, per cent, squares pooled over folds\n\n{pooled}"
    seconds = table(lambda found: "" if found is None else f"{found['fit_cpu'].mean():.1f}")
    yield f"### Mulan: CPU seconds of a fit, mean over folds\n\n{seconds}"


def pooled_arrmse(rows: pd.DataFrame) -> float:
    """Return the mean over tasks of the root of all squared errors over those of the means."""
    errors = np.array([numbers(text) for text in rows["errors"]])  # (fold, task)
    bases = np.array([numbers(text) for text in rows["bases"]])
    return float(np.sqrt(errors.sum(axis=0) / bases.sum(axis=0)).mean())


def failures(rows: pd.DataFrame) -> str:
    """List what has no score, with the reason."""
    bad = rows[rows["status"] != "ok"]
    lines = [f"- {r.dataset}, split {r.repeat}, `{r.model}`: {r.status}" for r in bad.itertuples()]
    return "### Fits without a result\n\n" + ("\n".join(lines) or "None.")


# ---- helpers of tables -------------------------------------------------------------------------


def by_model(rows: pd.DataFrame, part: Part) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows of each model that has some, in the order of the part."""
    found = dict(iter(rows.groupby("model")))
    return [(name, found[name]) for name in part.models if name in found]


def done(rows: pd.DataFrame, part: Part, entries: Mapping[str, Mapping[str, Any]]) -> str:
    """Say on how many of the splits of its set a model has run."""
    planned = part.n_repeats(entries[rows["dataset"].iloc[0]])
    return f"{rows['repeat'].nunique()} of {planned}"


def numbers(text: str) -> np.ndarray:
    return np.array(text.split(), float)


def spread(values: np.ndarray, digits: int) -> str:
    """Return the mean and, of several values, the standard deviation."""
    mean = f"{values.mean():.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ({values.std(ddof=1):.{digits}f})"
