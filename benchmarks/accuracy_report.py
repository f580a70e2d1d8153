"""Tables and a figure of the rows that `accuracy.py` wrote down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.accuracy_peers import LIBRARIES, TUNED
from benchmarks.accuracy_splits import split_kind
from benchmarks.accuracy_tasks import by_task
from benchmarks.comparison import LEVEL, corrected_t_test, holm, signed_rank_test
from benchmarks.measuring import machine, markdown
from benchmarks.quality import missing_share

CLOCK = "histgb"  # whose fit times are the unit
BEST = "skmtl best"
MOST_MISSING = 0.2  # share of the sets without a result from which on a model is not ranked


@dataclass(frozen=True, eq=False)
class Study:
    """Rows of fits, what is known of the sets, and the model that others are compared with."""

    rows: pd.DataFrame
    entries: Mapping[str, Mapping[str, Any]]
    reasons: Mapping[str, str]  # of all models that were asked for: why one would have no rows
    base: str

    @cached_property
    def used(self) -> pd.DataFrame:
        """Rows of models that never failed on the set."""
        pairs = pd.MultiIndex.from_frame(self.rows[["dataset", "model"]])
        failed = self.rows["status"] != "ok"
        return self.rows[~pairs.isin(pairs[failed])]

    @cached_property
    def sets(self) -> list[str]:
        return list(self.rows["dataset"].unique())

    @cached_property
    def models(self) -> list[str]:
        """Models that have rows, in the order asked for."""
        there = set(self.rows["model"])
        return [name for name in self.reasons if name in there]

    @cached_property
    def defaults(self) -> list[str]:
        return [name for name in self.models if not name.endswith(TUNED)]

    @cached_property
    def means(self) -> pd.DataFrame:
        """Mean errors of all models."""
        return self.compared(self.models)

    def compared(self, models: Sequence[str], value: pd.Series | None = None) -> pd.DataFrame:
        """Return means, sets by models, over the repeats that all ran which ran on the set.

        Of the errors, or of a `value` for each of the used rows.
        """
        found = self.used if value is None else self.used.assign(error=value)
        found = found[found["model"].isin(list(models))]
        table = found.pivot_table("error", ["dataset", "repeat"], "model")
        by_set = {name: _mean_of_shared(part) for name, part in table.groupby(level="dataset")}
        return pd.DataFrame(by_set).T.reindex(index=self.sets, columns=list(models))

    def lacking(self, models: Sequence[str]) -> list[str]:
        """Return the models that ran on too few sets to be ranked."""
        gaps = self.means[list(models)].isna().mean()
        return list(gaps[gaps > MOST_MISSING].index)

    def ranked(self, models: Sequence[str], value: pd.Series | None = None) -> pd.DataFrame:
        """Return means of the models that ran on most sets, on the sets that all of them ran on."""
        kept = [name for name in models if name not in self.lacking(models)]
        return self.compared(kept, value).dropna()

    def ranks(self, models: Sequence[str], value: pd.Series | None = None) -> pd.DataFrame:
        """Return their ranks, 1 is best."""
        return self.ranked(models, value).rank(axis=1)

    def on(self, model: str) -> Study:
        """Return what there is of the sets that a model ran on."""
        there = self.used.loc[self.used["model"] == model, "dataset"].unique()
        return replace(self, rows=self.rows[self.rows["dataset"].isin(there)])

    def verdict(self, name: str, model: str) -> int:
        """Return 1 if the base is better on a set by the corrected test, -1 if worse, else 0."""
        of_set = self.used[self.used["dataset"] == name]
        table = of_set.pivot_table(index="repeat", columns="model", values="error")
        if not {model, self.base} <= set(table) or len(table[[model, self.base]].dropna()) < 2:
            return 0
        gains = (table[model] - table[self.base]).dropna().to_numpy()
        share = float((of_set["n_test"] / of_set["n_train"]).mean())
        return int(np.sign(gains.mean())) if corrected_t_test(gains, share) < LEVEL else 0

    @cached_property
    def times(self) -> pd.DataFrame:
        """CPU seconds to fit, sets by models."""
        table = self.used.pivot_table(index="dataset", columns="model", values="fit_cpu")
        return table.reindex(columns=self.models)

    @cached_property
    def labels_missing(self) -> pd.Series:
        """Share of the labels that each set lacks."""
        return pd.Series({name: missing_share(self.entries[name]) for name in self.sets})


def _mean_of_shared(part: pd.DataFrame) -> pd.Series:
    """Return means over the repeats of a set that all models ran that ran at all."""
    return part.loc[:, part.notna().any()].dropna().mean()


# ---- text --------------------------------------------------------------------------------------


def report(study: Study, loads: Sequence[float]) -> Iterator[str]:
    """Yield the parts of the report."""
    rows = study.rows
    yield machine(loads, float(rows[["fit_cpu", "predict_cpu"]].sum().sum())) + " " + versions()
    yield not_run(study)
    yield sets_table(study)
    yield summary(study) + "\n\n![Mean ranks of the defaults](accuracy.png)"
    if BEST in study.lacking(study.models):
        yield summary(study.on(BEST), f"Sets on which `{BEST}` ran")
    for base in (study.base, BEST):
        if base in study.models:
            yield against(replace(study, base=base))
    yield by_task(study)
    yield by_labels(study)
    yield by_measure(study)
    yield from error_tables(study)
    yield failures(study)


def versions() -> str:
    """Say which peers are installed."""
    packages = {library.package for library in LIBRARIES.values()} - {None}
    found = []
    for package in sorted(str(name) for name in packages):
        for name in (package, f"{package}-cpu"):
            try:
                found.append(f"{name} {version(name)}")
                break
            except PackageNotFoundError:
                continue
    return f"Peers installed here: {', '.join(found) or 'none but scikit-learn'}."


def not_run(study: Study) -> str:
    """Name the models that have no rows, with the reason."""
    missing = [name for name in study.reasons if name not in study.models]
    lines = [f"- `{name}`: {study.reasons[name]}" for name in missing]
    return "### Models without a result\n\n" + ("\n".join(lines) or "None.")


def sets_table(study: Study) -> str:
    """Say what the sets are and how they were split."""
    lines = []
    for name in study.sets:
        entry, of_set = study.entries[name], study.rows[study.rows["dataset"] == name]
        kinds = pd.Series([task["kind"] for task in entry["tasks"]]).value_counts()
        done = of_set[of_set["status"] == "ok"]["errors"]
        scored = "" if done.empty else str(sum(e != "nan" for e in done.iloc[0].split()))
        lines.append(
            [
                name,
                ", ".join(f"{n} {kind}" for kind, n in kinds.items()),
                scored,
                str(entry["n_features"]),
                f"{100 * study.labels_missing[name]:.0f} %",
                split_kind(entry),
                f"{entry['n_rows']:,}",
                f"{of_set['n_train'].iloc[0]:,}",
                f"{of_set['n_test'].iloc[0]:,}",
                str(of_set["repeat"].nunique()),
            ]
        )
    head = ["set", "tasks", "scored", "columns of X", "labels missing", "split", "rows"]
    head += ["training rows", "test rows", "repeats"]
    return f"### Sets\n\n{markdown(head, lines)}"


def overall(study: Study) -> tuple[list[str], list[list[str]]]:
    """Return names of columns and lines of the table of all models."""
    some, every = study.ranks(study.defaults), study.ranks(study.models)
    ratios = study.times.div(study.times[CLOCK], axis=0) if CLOCK in study.times else study.times
    predict = study.used.groupby("model")["predict_cpu"].median()
    both = pd.DataFrame({"defaults": some.mean(), "all": every.mean()}).reindex(study.models)
    complete = study.ranked(study.models).mean()
    lines = [
        [
            name,
            *(number(both.loc[name, column], 2) for column in both),
            number(complete.get(name, np.nan), 3),
            f"{study.means[name].notna().sum()} of {len(study.sets)}",
            number(ratios[name].median(), 2) if CLOCK in study.times else "",
            number(predict.get(name, np.nan), 3),
        ]
        for name in both.sort_values(["all", "defaults"]).index
    ]
    head = ["model", "mean rank among defaults", "mean rank among all", "mean error", "sets"]
    head += [f"times the fit of {CLOCK}, median", "seconds to predict, median"]
    return head, lines


def summary(study: Study, title: str = "All sets") -> str:
    """Return ranks and times of all models."""
    some, every = study.ranks(study.defaults), study.ranks(study.models)
    head, lines = overall(study)
    left = study.lacking(study.models)
    outside = f"  Not ranked, for too few sets: {', '.join(left)}." if left else ""
    return (
        f"### {title}\n\nRanks among defaults: over the {len(some)} sets on which all of those "
        f"ran; among all, and mean error: over {len(every)}.{outside}\n\n{markdown(head, lines)}"
        f"\n\n{nemenyi_sentence(some)}"
    )


def against(study: Study) -> str:
    """Return the comparison of the base with each other model."""
    base = study.base
    means = {m: study.compared([base, m]) for m in study.models if m != base}
    gains = {m: (pair[m] - pair[base]).dropna() for m, pair in means.items()}
    gains = {model: gain for model, gain in gains.items() if len(gain)}
    p = np.array([signed_rank_test(gain.to_numpy()) for gain in gains.values()])
    ratios = study.times[base] if base in study.times else pd.Series(dtype=float)
    lines = []
    for (model, gain), raw, adjusted in zip(gains.items(), p, holm(p), strict=True):
        verdicts = [study.verdict(name, model) for name in gain.index]
        counts = [verdicts.count(sign) for sign in (1, 0, -1)]
        lines.append(
            [
                model,
                "/".join(map(str, counts)),
                f"{int((gain > 0).sum())} of {len(gain)}",
                f"{gain.median():+.4f}",
                f"{raw:.4f}",
                f"{adjusted:.4f}",
                number((ratios / study.times[model]).median(), 2),
            ]
        )
    head = ["peer", "wins/ties/losses by set", "lower mean error", "median gain", "p over sets"]
    head += ["p, Holm", "times its fit, median"]
    return (
        f"### `{base}` against each\n\nA gain is the peer's error minus ours; sets and repeats are "
        f"those that both ran on.\n\n{markdown(head, lines)}"
    )


def by_labels(study: Study) -> str:
    """Return ranks on the sets that lack labels, and on the others."""
    ranked = study.ranks(study.models)
    lacks = study.labels_missing[ranked.index] > 0
    errors = study.ranked(study.models)
    parts = {"missing labels": lacks, "none missing": ~lacks}
    lines = [
        [
            name,
            *(number(ranked.loc[part, name].mean(), 2) for part in parts.values()),
            *(number(errors.loc[ranked.index[part], name].mean(), 3) for part in parts.values()),
        ]
        for name in ranked.mean().sort_values().index
    ]
    head = ["model", *(f"mean rank, {part}" for part in parts)]
    head += [f"mean error, {part}" for part in parts]
    return (
        f"### With and without missing labels\n\n{int(lacks.sum())} sets lack labels, "
        f"{int((~lacks).sum())} do not.\n\n{markdown(head, lines)}"
    )


def by_measure(study: Study) -> str:
    """Return mean ranks by the parts of the error."""
    parts: dict[str, list[float]] = {"regression": [], "log loss": [], "AUC": []}
    for row in study.used.itertuples():
        errors, losses, aucs = (
            np.array(str(text).split(), float) for text in (row.errors, row.log_losses, row.aucs)
        )
        for part, values in (
            ("regression", errors[np.isnan(losses)]),
            ("log loss", losses),
            ("AUC", aucs),
        ):
            there = values[~np.isnan(values)]
            parts[part].append(there.mean() if len(there) else np.nan)
    tables = {}
    for part, values in parts.items():
        tables[part] = study.ranks(study.models, pd.Series(values, study.used.index))
    names = study.ranks(study.models).mean().sort_values().index
    lines = [[n, *(number(table[n].mean(), 2) for table in tables.values())] for n in names]
    head = ["model", *(f"{part} ({len(table)} sets)" for part, table in tables.items())]
    return f"### Mean rank by what is measured\n\n{markdown(head, lines)}"


def error_tables(study: Study) -> Iterator[str]:
    """Yield mean errors by set, defaults and tuned, with and without missing labels."""
    lacks = study.labels_missing > 0
    tuned = [name for name in study.models if name.endswith(TUNED)]
    for models, told in ((study.defaults, "defaults"), (tuned, "tuned")):
        for part, which in ((lacks, "missing labels"), (~lacks, "no label missing")):
            names = [name for name in study.sets if part[name]]
            if names and models:
                means = study.compared(models)
                lines = [[name, *(cell(study, means, name, m) for m in models)] for name in names]
                yield f"### Mean error, {told}, {which}\n\n" + markdown(["set", *models], lines)


def write_tables(study: Study, path: Path) -> None:
    """Write the tables that the documentation shows: all models, and the errors by set."""
    head, lines = overall(study)
    pd.DataFrame(lines, columns=head).to_csv(path.with_name(f"{path.stem}_models.csv"), index=False)
    means = study.compared(study.models)
    by_set = means.map(lambda error: number(error, 3)).rename_axis("set").sort_index()
    by_set.to_csv(path.with_name(f"{path.stem}_sets.csv"))


def cell(study: Study, means: pd.DataFrame, name: str, model: str) -> str:
    """Return the mean error, the best of the row in bold, or why there is none."""
    found = study.rows[(study.rows["dataset"] == name) & (study.rows["model"] == model)]
    if found.empty:
        return "not yet run"
    bad = found[found["status"] != "ok"]["status"]
    if len(bad):
        return bad.iloc[0] if bad.iloc[0].startswith("n/a") else "n/a (error)"
    value, best = means.loc[name, model], means.loc[name].min()
    if np.isnan(value):
        return "not yet run"
    return f"**{value:.3f}**" if value == best else f"{value:.3f}"


def failures(study: Study) -> str:
    """List what has no error, with the reason."""
    bad = study.rows[study.rows["status"] != "ok"]
    lines = [f"- {r.dataset}, repeat {r.repeat}, `{r.model}`: {r.status}" for r in bad.itertuples()]
    return "### Fits without a result\n\n" + ("\n".join(lines) or "None.")


def number(value: float, digits: int) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"


# ---- ranks -------------------------------------------------------------------------------------


def critical_difference(n_models: int, n_sets: int) -> float:
    """Return how far mean ranks must be apart, by Nemenyi's test at 5 %."""
    q = stats.studentized_range.ppf(1 - LEVEL, n_models, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(n_models * (n_models + 1) / (6 * n_sets)))


def nemenyi_sentence(ranks: pd.DataFrame) -> str:
    """Say what the ranks come to."""
    n_sets, n_models = ranks.shape
    if n_models < 3 or n_sets < 2:
        return "Too few models or sets for Friedman's test."
    p = stats.friedmanchisquare(*ranks.to_numpy().T).pvalue
    return (
        f"Friedman's test over the defaults: p = {p:.2g}; mean ranks differ by Nemenyi's test "
        f"where they are {critical_difference(n_models, n_sets):.2f} apart."
    )


def figure(study: Study, path: Path) -> None:
    """Draw the mean ranks of the defaults; bars join what does not differ."""
    ranks = study.ranks(study.defaults)
    if ranks.shape[1] < 3 or len(ranks) < 2:
        return
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    means = ranks.mean().sort_values()
    n, distance = len(means), critical_difference(len(means), len(ranks))
    bars = joined_ranks(means.to_numpy(), distance)
    half = (n + 1) // 2
    height = 0.55 + 0.12 * len(bars)
    fig, ax = plt.subplots(figsize=(8, 0.8 + 0.28 * (half + 2 + len(bars) / 2)))
    ax.set(xlim=(1 - 0.28 * n, n + 0.28 * n), ylim=(height + 0.3 * half - 0.1, -0.9))
    ax.axis("off")
    ax.hlines(0, 1, n, color="black", lw=1)
    for tick in range(1, n + 1):
        ax.vlines(tick, -0.08, 0, color="black", lw=1)
        ax.text(tick, -0.13, str(tick), ha="center", va="bottom", fontsize=9)
    ax.plot([1, 1 + distance], [-0.55, -0.55], color="black", lw=2)
    ax.text(
        1 + distance + 0.1, -0.55, f"critical difference {distance:.2f}", va="center", fontsize=9
    )
    for k, (first, last) in enumerate(bars):
        y = 0.15 + 0.12 * k
        ax.plot([means.iloc[first] - 0.05, means.iloc[last] + 0.05], [y, y], color="0.35", lw=3)
    for k, (name, rank) in enumerate(means.items()):
        left = k < half
        y = height + 0.3 * (k if left else n - 1 - k)
        end = 0.7 if left else n + 0.3
        weight, color = ("bold", "C3") if name == study.base else ("normal", "black")
        ax.plot([rank, rank, end], [0, y, y], color=color, lw=0.8)
        text = f"{name}  {rank:.2f}" if left else f"{rank:.2f}  {name}"
        side = "right" if left else "left"
        shift = -0.1 if left else 0.1
        ax.text(end + shift, y, text, ha=side, va="center", fontsize=9, weight=weight, color=color)
    left_out = study.lacking(study.defaults)
    note = f"; not ranked: {', '.join(left_out)}" if left_out else ""
    ax.set_title(f"Mean rank over {len(ranks)} sets, 1 is best{note}", fontsize=10)
    fig.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(fig)


def joined_ranks(ranks: np.ndarray, distance: float) -> list[tuple[int, int]]:
    """Return first and last of the longest runs of sorted ranks that lie within the distance."""
    runs: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = int(np.searchsorted(ranks, ranks[first] + distance, side="right")) - 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs
