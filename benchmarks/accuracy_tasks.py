"""What sharing does to single tasks: ours against a net per task, from the rows of `accuracy.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.comparison import LEVEL, corrected_t_test, holm
from benchmarks.measuring import markdown

OWN = "skmtl own nets"
OURS = ("skmtl default", "skmtl auto sharing", "skmtl best")
MUCH = 0.05  # of the error: what is told apart


def task_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Return errors by set, task and repeat, of the repeats that all models ran; NaN: not scored."""
    found = [
        (row.dataset, position, row.repeat, row.model, float(error))
        for row in rows.itertuples()
        for position, error in enumerate(str(row.errors).split())
    ]
    keys = ["dataset", "task", "repeat"]
    table = pd.DataFrame(found, columns=[*keys, "model", "error"])
    return table.pivot_table("error", keys, "model").dropna()


def by_task(study: Any) -> str:
    """Return how many tasks are better and worse than by nets of their own."""
    models = [name for name in OURS if name in study.models]
    if OWN not in study.models or not models:
        return "### Task by task\n\nNot run."
    used = study.used[study.used["model"].isin([OWN, *models])]
    by_repeat = task_errors(used)
    errors = by_repeat.groupby(level=["dataset", "task"]).mean()
    shares = (used["n_test"] / used["n_train"]).groupby(used["dataset"]).mean()
    lines = []
    for model in models:
        change = errors[model] / errors[OWN] - 1
        worst = change.idxmax()
        signs = verdicts(by_repeat[model] - by_repeat[OWN], shares)
        lines.append(
            [
                model,
                str(int((change > MUCH).sum())),
                str(int((change < -MUCH).sum())),
                f"{change.median():+.4f}",
                f"{change.max():+.2f} ({worst[0]}, task {worst[1] + 1})",
                f"{(signs['p'] > 0).sum()} / {(signs['p'] < 0).sum()}",
                f"{(signs['p, Holm'] > 0).sum()} / {(signs['p, Holm'] < 0).sum()}",
            ]
        )
    head = ["model", f"worse by over {MUCH:.0%}", f"better by over {MUCH:.0%}"]
    head += ["median change of the error", "worst", f"worse / better, p < {LEVEL:.0%}"]
    head += ["worse / better, Holm"]
    n_sets = errors.index.get_level_values("dataset").nunique()
    n_tested = int((by_repeat.groupby(level=["dataset", "task"]).size() > 1).sum())
    return (
        f"### Task by task, against a net for each\n\n{len(errors)} tasks of {n_sets} sets on which all "
        f"of these ran.  The {n_tested} of them with several repeats are tested, by the corrected "
        f"t-test; if nothing differed, about {LEVEL / 2 * n_tested:.0f} of them would be worse and as many "
        f"better by p alone.  Holm's correction is for their number.\n\n{markdown(head, lines)}"
    )


def verdicts(differences: pd.Series, shares: pd.Series) -> pd.DataFrame:
    """Return, for each task with several repeats, 1 if it is worse beyond chance, -1 if better.

    `differences` has the set, task and repeat as its index; `shares` are of test to training
    rows, by set.
    """
    found = {
        key: (np.sign(part.mean()), corrected_t_test(part.to_numpy(), shares[key[0]]))
        for key, part in differences.groupby(level=["dataset", "task"])
        if len(part) > 1
    }
    signs, p = np.array(list(found.values())).reshape(-1, 2).T
    return pd.DataFrame(
        {"p": np.where(p < LEVEL, signs, 0), "p, Holm": np.where(holm(p) < LEVEL, signs, 0)},
        index=pd.MultiIndex.from_tuples(list(found), names=["dataset", "task"]) if found else None,
    )
