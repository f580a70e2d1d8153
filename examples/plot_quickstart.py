"""
Quick start: seven targets of one table
=======================================

One network learns seven properties of cars from 1985: five numbers, two or four doors, and
the body style.  39 labels are missing, and so are some features; the frame goes in as it is.
Then the question that matters: is the shared network better than a network per target, and
does a grid search over how tasks share find something better still?  Each number below comes
from test rows that no fit and no choice has seen.
"""

# %%
# The table
# ---------
# ``tasks`` says what the columns of Y are.  Without it they are inferred: ``symboling``, a
# risk between -2 and 3, would become a class task; we want the number.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skmtl import MultiTaskNetClassifierRegressor, TaskScoring
from skmtl.datasets import load_automobile
from skmtl.features import FeatureEncoder
from skmtl.metrics import skill_score
from skmtl.model_selection import TaskStratifiedKFold
from skmtl.tasks import TaskOutput

pd.set_option("display.width", 120, "display.max_columns", 10)

cars = load_automobile()
X, Y = cars.data, cars.target
print(pd.DataFrame({"labels": Y.notna().sum(), "kind": pd.Series(cars.tasks)}).T, "\n")

# %%
# One fit
# -------
# Predictions come back as a frame with the columns and types of Y.

net = MultiTaskNetClassifierRegressor(tasks=cars.tasks, random_state=0).fit(X, Y)
print(net.predict(X).head(3).round(1), "\n")
print("P(body style):", net.predict_proba(X)["body_style"][0].round(2), "\n")

# %%
# Four ways, one test
# -------------------
# The search runs over sharing and loss weights, in a Pipeline, on the training rows of each
# fold.  Scores are skills: 1 - loss / loss of a constant, that is R2 for numbers and D2 log
# loss for classes.  0 is a constant that knows the test rows' mean, 1 is perfect.

grid = {
    "multitasknetclassifierregressor__sharing": ["hard", "independent"],
    "multitasknetclassifierregressor__loss_weights": [
        None,
        {"num_doors": 2, "body_style": 2},
        [1, 1, 0.5, 0.5, 1, 1, 1],
    ],
}


def shared_net(seed):
    """Return one net for all tasks."""
    return MultiTaskNetClassifierRegressor(tasks=cars.tasks, random_state=seed)


def grid_search(seed):
    """Return a search over sharing and loss weights."""
    return GridSearchCV(
        make_pipeline(FeatureEncoder(), shared_net(seed).set_params(preprocess=None)),
        grid,
        scoring=TaskScoring(),
        refit="score",
        cv=TaskStratifiedKFold(3, tasks=cars.tasks, random_state=seed),
    )


def single_net_scores(seed, train, test):
    """Fit a net of its own for each task, each with its own early stopping, and score it."""
    scores = {}
    for task, kind in cars.tasks.items():
        single = MultiTaskNetClassifierRegressor(tasks={task: kind}, random_state=seed)
        single.fit(X.iloc[train], Y[[task]].iloc[train])
        scores[task] = single.score(X.iloc[test], Y[[task]].iloc[test])
    return {**scores, "score": np.mean(list(scores.values()))}


def constant_scores(fitted, train, test):
    """Score the best constant of the training rows on the test rows, task by task."""
    targets = fitted.encode_targets(Y)
    scores = {}
    for i, task in enumerate(fitted.tasks_):
        fit_rows, test_rows = (rows[targets.mask[rows, i]] for rows in (train, test))
        y = targets.values[:, i : i + 1]
        dummy = DummyClassifier() if task.has_classes else DummyRegressor()
        dummy.fit(y[fit_rows], y[fit_rows])
        guess = dummy.predict_proba if task.has_classes else dummy.predict
        values = np.asarray(guess(y[test_rows])).reshape(len(test_rows), -1)
        labels = y[test_rows] if not task.has_classes else y[test_rows, 0]
        scores[task.name] = skill_score(TaskOutput(task, values), labels)
    return {**scores, "score": np.mean(list(scores.values()))}


rows, chosen = [], []
folds = TaskStratifiedKFold(5, tasks=cars.tasks, random_state=0)
for fold, (train, test) in enumerate(folds.split(X, Y)):
    shared = shared_net(seed=fold).fit(X.iloc[train], Y.iloc[train])
    search = grid_search(seed=fold).fit(X.iloc[train], Y.iloc[train])
    results = {
        "best constant": constant_scores(shared, train, test),
        "one net per task": single_net_scores(fold, train, test),
        "shared net": TaskScoring()(shared, X.iloc[test], Y.iloc[test]),
        "grid-search winner": TaskScoring()(search, X.iloc[test], Y.iloc[test]),
    }
    rows += [{"model": name, "fold": fold, **result} for name, result in results.items()]
    chosen.append({key.split("__")[1]: value for key, value in search.best_params_.items()})

scores = pd.DataFrame(rows).set_index(["model", "fold"]).rename(columns={"score": "mean"})
models = ["best constant", "one net per task", "shared net", "grid-search winner"]
table = scores.groupby("model").mean().T[models]
print("Skill on test rows, mean of 5 folds\n")
print(table.round(3).to_string(), "\n")
print("What the search chose in each fold:")
print(pd.DataFrame(chosen).to_string(), "\n")

# %%
# The figure
# ----------
# Thin lines join the folds' best and worst.  Sharing is ahead for the two classes and
# a little behind for the five numbers; where the lines overlap, call it a tie.

tasks = table.drop("mean").mean(axis=1).sort_values().index.tolist()
figure, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.2), width_ratios=(3, 2), layout="constrained"
)
colors = {"one net per task": "#8c8c8c", "shared net": "#0b6e99", "grid-search winner": "#d1495b"}
for shift, (model, color) in zip((0.22, 0, -0.22), colors.items(), strict=True):
    of_model = scores.loc[model][tasks]
    height = np.arange(len(tasks)) + shift
    left.hlines(height, of_model.min(), of_model.max(), color=color, alpha=0.35, lw=2)
    left.plot(of_model.mean(), height, "o", color=color, label=model)
left.axvline(0, color="black", lw=0.8)
left.text(0, len(tasks) - 0.45, " best constant", va="bottom", fontsize=9)
left.set(yticks=range(len(tasks)), yticklabels=tasks, xlabel="skill on test rows")
left.legend(loc="lower right", frameon=False, fontsize=9)
left.spines[["top", "right", "left"]].set_visible(False)
left.tick_params(axis="y", length=0)

history = net.history_
curves = pd.DataFrame({name: history[f"valid_loss_{name}"] for name in tasks})
curves = curves / curves.iloc[0]
height = 0.0
for name in curves.iloc[-1].sort_values().index:
    (line,) = right.plot(curves[name], lw=1.3)
    height = max(curves[name].iloc[-1], height * 1.13)  # so that no two names overlap
    right.annotate(
        name,
        (history.index[-1], height),
        xytext=(4, 0),
        textcoords="offset points",
        color=line.get_color(),
        fontsize=8,
        va="center",
    )
right.axvline(net.best_epoch_, color="black", lw=0.8, ls=":")
right.text(net.best_epoch_, right.get_ylim()[1], "weights kept ", ha="right", va="top", fontsize=9)
right.set(xlabel="epoch", ylabel="validation loss / that of epoch 1", yscale="log")
right.spines[["top", "right"]].set_visible(False)
figure.savefig("quickstart.png", dpi=120)
print("Figure saved as quickstart.png")
plt.show()
