"""Statistics and tables of the scores that `quality.py` wrote down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.measuring import markdown
from benchmarks.quality import TEST, Setting, catalog, missing_share

CHOSEN = "chosen on validation"
LEVEL = 0.05


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


def signed_rank_test(gains: np.ndarray) -> float:
    """Return the two-sided p-value of Wilcoxon's test; 1 where nothing differs."""
    return float(stats.wilcoxon(gains).pvalue) if gains.any() else 1.0


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust p-values for their number, the smallest most."""
    order = np.argsort(p)
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(raised, 1)
    return adjusted


def best_on_validation(rows: pd.DataFrame, scheme: str = CHOSEN) -> pd.DataFrame:
    """Return, for each set and seed, the row with the best validation score, as a `scheme`."""
    best = rows[rows["status"] == "ok"].groupby(["dataset", "seed"], sort=False)["valid"].idxmax()
    return rows.loc[best].assign(scheme=scheme)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Scores of schemes against those of one of them."""

    rows: pd.DataFrame  # of fits, and what was chosen among them
    base: str
    schemes: Sequence[str]  # in the order of the report
    sets: Mapping[str, Setting]
    noun: str = "scheme"

    @cached_property
    def ok(self) -> pd.DataFrame:
        return self.rows[self.rows["status"] == "ok"]

    @cached_property
    def means(self) -> pd.DataFrame:
        """Mean scores, sets by schemes."""
        return self.ok.pivot_table(index="dataset", columns="scheme", values="score", sort=False)

    @cached_property
    def by_split(self) -> pd.DataFrame:
        """Scores, sets and seeds by schemes."""
        return self.ok.pivot_table(index=["dataset", "seed"], columns="scheme", values="score")

    @cached_property
    def n_complete(self) -> int:
        """Number of sets on which every scheme ran."""
        return len(self.means.dropna())

    def differences(self, name: str, scheme: str) -> np.ndarray:
        """Return score minus that of the base for each split that has both."""
        scores = self.by_split
        if not {scheme, self.base} <= set(scores) or name not in self.means.index:
            return np.array([])
        of_set = scores.loc[name]
        return (of_set[scheme] - of_set[self.base]).dropna().to_numpy()

    def verdict(self, name: str, scheme: str) -> int:
        """Return 1 for a win against the base on a set, -1 for a loss, 0 for a tie."""
        by_seed = self.differences(name, scheme)
        if len(by_seed) < 2:
            return 0
        p = corrected_t_test(by_seed, TEST / (1 - TEST))
        return int(np.sign(by_seed.mean())) if p < LEVEL else 0

    # ---- over the sets -------------------------------------------------------------------------

    @cached_property
    def summary(self) -> pd.DataFrame:
        """What each scheme comes to over the sets."""
        table, base = self.means, self.base
        complete = table.dropna()
        others = [s for s in self.schemes if s != base and s in table]
        gains = {s: (table[s] - table[base]).dropna() for s in others}
        seconds = self.ok.pivot_table(index="dataset", columns="scheme", values="seconds")
        found = pd.DataFrame(index=[base, *others])
        found["mean score"] = complete.mean()
        # What chooses among the schemes is no scheme to be ranked with them.
        ranked = complete.drop(columns=CHOSEN)
        found["mean rank"] = ranked.rank(axis=1, ascending=False).mean()
        found["sets"] = table.notna().sum()
        for column, sign in (("wins", 1), ("losses", -1)):
            found[column] = pd.Series(
                {s: sum(self.verdict(n, s) == sign for n in gains[s].index) for s in others}
            )
        found["ties"] = found["sets"] - found["wins"] - found["losses"]
        found["higher mean"] = pd.Series({s: int((gains[s] > 0).sum()) for s in others})
        found["median gain"] = pd.Series({s: gains[s].median() for s in others})
        found["p"] = pd.Series({s: signed_rank_test(gains[s].to_numpy()) for s in others})
        found.loc[others, "p, Holm"] = holm(found.loc[others, "p"].to_numpy())
        found["seconds"] = (seconds.div(seconds[base], axis=0)).median()
        return found.sort_values("mean rank")

    def summary_table(self, more: pd.DataFrame | None = None) -> str:
        """Return the summary; `more` has further columns of text, by scheme."""
        columns = pd.DataFrame(index=self.summary.index) if more is None else more
        lines = []
        for scheme, row in self.summary.iterrows():
            rank = "" if scheme == CHOSEN else f"{row['mean rank']:.1f}"
            cells = [str(scheme), f"{row['mean score']:.4f}", rank]
            if scheme == self.base:
                cells += [""] * 5
            else:
                counts = "/".join(str(int(row[key])) for key in ("wins", "ties", "losses"))
                cells += [counts, f"{int(row['higher mean'])} of {int(row['sets'])}"]
                cells += [f"{row['median gain']:+.4f}", f"{row['p']:.3f}", f"{row['p, Holm']:.3f}"]
            cells += list(columns.loc[scheme])
            lines.append([*cells, "" if scheme == CHOSEN else f"{row['seconds']:.1f}"])
        head = [self.noun, "mean score", "mean rank", "wins/ties/losses by set", "higher mean"]
        head += ["median gain", "p over sets", "p, Holm", *columns, "times the seconds"]
        return (
            f"### All sets, against `{self.base}`\n\nMean score and rank: over the "
            f"{self.n_complete} sets on which every {self.noun} ran.  All else: over the sets on "
            f"which the {self.noun} ran.\n\n{markdown(head, lines)}"
        )

    # ---- by set --------------------------------------------------------------------------------

    def sets_table(self, folder: Path) -> str:
        """Say what the sets are and how many rows were used."""
        entries, rows = catalog(folder), self.rows
        lines = []
        for name in rows["dataset"].unique():
            entry, of_set = entries[name], rows[rows["dataset"] == name]
            kinds = pd.Series([task["kind"] for task in entry["tasks"]]).value_counts()
            counts = (entry["n_rows"], of_set["n_fit"].iloc[0], of_set["n_test"].iloc[0])
            lines.append(
                [
                    name,
                    ", ".join(f"{n} {kind}" for kind, n in kinds.items()),
                    str(entry["n_features"]),
                    f"{100 * missing_share(entry):.0f} %",
                    *(f"{count:,}" for count in counts),
                    str(self.sets[name].max_epochs),
                    str(of_set["seed"].nunique()),
                ]
            )
        head = ["set", "tasks", "columns of X", "labels missing", "rows"]
        head += ["rows to fit and stop", "test rows", "epochs at most", "splits"]
        return f"### Sets\n\n{markdown(head, lines)}"

    def cell(self, name: str, scheme: str) -> str:
        """Return the mean score, with a sign where it differs, or why there is none."""
        found = self.rows[(self.rows["dataset"] == name) & (self.rows["scheme"] == scheme)]
        if found.empty:
            planned = self.sets[name].schemes
            return "not yet run" if planned is None or scheme in planned else "not run (cost)"
        first = found.iloc[0]
        if first["status"] == "cost":
            return f"not run (cost: {first['seconds']:.1f} s for one epoch)"
        if first["status"] != "ok":
            return "n/a"
        sign = {1: " **+**", 0: "", -1: " **-**"}[self.verdict(name, scheme)]
        return f"{found['score'].mean():.3f}{sign}"

    def score_tables(self, parts: Sequence[str]) -> str:
        """Return a heading and the tables of scores."""
        return (
            "### Mean score on test rows by set\n\n**+** and **-**: better or worse than "
            f"`{self.base}` by the test within the set.\n\n" + "\n\n".join(parts)
        )

    def errors(self) -> list[str]:
        """Return the list of what could not be fitted, if anything."""
        failed = self.rows[self.rows["status"].str.startswith("error")]
        texts = [f"- {e.dataset}, {e.scheme}: {e.status}" for e in failed.itertuples()]
        return ["n/a:\n\n" + "\n".join(texts)] if texts else []

    def sentences(self) -> str:
        """Say in words what the tables come to."""
        others = self.summary.drop(index=[self.base, CHOSEN])
        clear = others[others["p, Holm"] < LEVEL]["median gain"]
        better, worse = (", ".join(clear.index[part]) or "none" for part in (clear > 0, clear < 0))
        total, won, lost = (int(others[key].sum()) for key in ("sets", "wins", "losses"))
        lines = [
            (
                f"- Over the sets, {self.noun}s that differ from `{self.base}` after the "
                f"correction: better {better}; worse {worse}."
            ),
            (
                f"- Of {total} pairs of a set and a {self.noun}, {won} are wins and {lost} losses "
                "by the test within a set; without any difference about 2.5 % of the pairs would "
                "be each."
            ),
        ]
        lines += [self._sentence(name) for name in self.means.index]
        return "### In words\n\n" + "\n".join(lines)

    def _sentence(self, name: str) -> str:
        scores = self.means.loc[name].drop([self.base, CHOSEN]).dropna()
        base = self.means.loc[name, self.base]
        verdicts = {s: self.verdict(name, s) for s in scores.index}
        won, lost = (
            ", ".join(s for s, v in verdicts.items() if v == sign) or "none" for sign in (1, -1)
        )
        return (
            f"- {name}: best `{scores.idxmax()}` ({scores.max() - base:+.3f}); "
            f"{int((scores > base).sum())} of {len(scores)} have a higher mean; wins: {won}; "
            f"losses: {lost}."
        )


def halves(items: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return a list in two parts that a page can hold."""
    half = (len(items) + 1) // 2
    return items[:half], items[half:]
