"""What sharing does to single tasks: ours against a net per task, from the rows of `accuracy.py`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmarks.measuring import markdown

OWN = "skmtl own nets"
OURS = ("skmtl default", "skmtl auto sharing", "skmtl best")
MUCH = 0.05  # of the error: what is told apart


def task_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Return errors by set and task, means over the repeats that all models ran; NaN: not scored."""
    found = [
        (row.dataset, row.repeat, position, row.model, float(error))
        for row in rows.itertuples()
        for position, error in enumerate(str(row.errors).split())
    ]
    columns = ["dataset", "repeat", "task", "model", "error"]
    keys = ["dataset", "repeat", "task"]
    table = pd.DataFrame(found, columns=columns).pivot_table("error", keys, "model")
    return table.dropna().groupby(level=["dataset", "task"]).mean()


def by_task(study: Any) -> str:
    """Return how many tasks are better and worse than by nets of their own."""
    models = [name for name in OURS if name in study.models]
    if OWN not in study.models or not models:
        return "### Task by task\n\nNot run."
    used = study.used[study.used["model"].isin([OWN, *models])]
    errors = task_errors(used)
    lines = []
    for model in models:
        change = errors[model] / errors[OWN] - 1
        worst = change.idxmax()
        lines.append(
            [
                model,
                str(int((change > MUCH).sum())),
                str(int((change < -MUCH).sum())),
                f"{change.median():+.4f}",
                f"{change.max():+.2f} ({worst[0]}, task {worst[1] + 1})",
            ]
        )
    head = ["model", f"worse by over {MUCH:.0%}", f"better by over {MUCH:.0%}"]
    head += ["median change of the error", "worst"]
    n_sets = errors.index.get_level_values("dataset").nunique()
    return (
        f"### Task by task, against a net for each\n\n{len(errors)} tasks of {n_sets} sets on which all "
        f"of these ran. One split finds no difference significant: these are counts.\n\n"
        f"{markdown(head, lines)}"
    )
