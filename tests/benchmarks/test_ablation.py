"""No test row is seen, no variant is fitted twice, and differences are those worked out by hand."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks import ablation
from benchmarks.ablation import BASE, Row, Study
from benchmarks.accuracy_splits import Table, split
from benchmarks.quality import catalog
from skmtl import MultiTaskNetClassifierRegressor

QUICK = {
    BASE: ("one epoch", {"max_epochs": 1}),
    "same": ("the same", {"max_epochs": 1}),
    "two": ("two epochs", {"max_epochs": 2}),
    "broken": ("no width", {"max_epochs": 1, "hidden_layer_sizes": (0,)}),
}


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(ablation, "VARIANTS", dict(QUICK))


@pytest.fixture
def folder(tmp_path):
    """A catalogue of two sets, one with a split and groups."""
    random = np.random.default_rng(0)
    entries = []
    for name, more in (("plain", {}), ("given", {"split_column": "side", "group_column": "who"})):
        X = pd.DataFrame(random.standard_normal((160, 2)), columns=["a", "b"])
        frame = X.assign(size=X["a"], sold=np.where(X["b"] > 0, "yes", "no"))
        frame["side"] = np.where(np.arange(160) < 120, "train", "test")
        frame["who"] = np.arange(160) // 5
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        kinds = {"size": "regression", "sold": "binary"}
        tasks = [{"column": t, "kind": kind, "n_missing": 0} for t, kind in kinds.items()]
        sizes = {"n_rows": 160, "n_features": 2, "n_tasks": 2, "features": ["a", "b"]}
        entries.append({"name": name, "file": f"{name}.csv", "tasks": tasks, **sizes, **more})
    (tmp_path / "catalog.json").write_text(json.dumps({"datasets": entries}))
    return tmp_path


# ---- variants ----------------------------------------------------------------------------------


def test_variants_are_what_they_say():
    kept = ablation.distinct()
    assert kept[0] == BASE
    default = ablation.make(BASE)
    assert repr(default) == repr(MultiTaskNetClassifierRegressor())
    for name, (words, params) in ablation.VARIANTS.items():
        assert words
        assert params.keys() <= default.get_params(deep=False).keys()
        assert (repr(ablation.make(name)) == repr(default)) <= (name == BASE or name not in kept)
    assert len({ablation.recipe(name) for name in kept}) == len(kept) > 10


def test_what_equals_the_default_or_an_earlier_variant_is_left_out(monkeypatch):
    again = {"again": ("equal to two", {"max_epochs": 2})}
    monkeypatch.setattr(ablation, "VARIANTS", QUICK | again)
    assert ablation.distinct() == [BASE, "two", "broken"]


def test_the_default_has_as_many_members_as_the_variants_that_name_them():
    X = np.random.default_rng(0).standard_normal((120, 2))
    est = MultiTaskNetClassifierRegressor(max_epochs=1, random_state=0).fit(X, X[:, 0])
    assert est.n_members_ == ablation.N_MEMBERS


# ---- rows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "given"])
def test_the_test_rows_of_the_accuracy_are_not_seen(folder, name):
    table = Table.load(folder, catalog(folder)[name])
    train, test = split(table, 0)
    inner = ablation.development(table)
    assert inner.name == f"{name}-dev"
    assert inner.given_test is None
    pd.testing.assert_frame_equal(inner.X, table.X.iloc[np.sort(train)].reset_index(drop=True))
    assert not set(inner.X["a"]) & set(table.X["a"].iloc[test])
    known, judged = split(inner, 0)
    assert sorted([*known, *judged]) == list(range(len(train)))
    if name == "given":
        assert not set(inner.groups[known]) & set(inner.groups[judged])


@pytest.mark.usefixtures("quick")
def test_variants_of_a_set_come_in_a_row_and_but_once(folder, monkeypatch):
    fits = []

    def counted(table, parts, dataset, name, repeat):
        fits.append((dataset, repeat, name))
        return fit_one(table, parts, dataset, name, repeat)

    fit_one = ablation.fit_one
    monkeypatch.setattr(ablation, "fit_one", counted)
    rows = folder / "rows.csv"
    ablation.run(folder, rows, ["plain", "given"], [BASE], 1)
    assert fits == [("plain", 0, BASE), ("given", 0, BASE)]
    ablation.run(folder, rows, ["plain"], [BASE, "two", "broken"], 2)
    names = [BASE, "two", "broken"]
    assert fits[2:] == [("plain", 0, name) for name in names[1:]] + [
        ("plain", 1, name) for name in names
    ]
    got = ablation.read(rows)
    assert got["epochs"].dropna().tolist() == [1, 1, 2, 1, 2]
    bad = got[got["model"] == "broken"]
    assert bad["status"].str.startswith("error: ValueError: Parameter `hidden_layer_sizes`").all()
    assert bad["error"].isna().all()
    fine = got[got["model"] != "broken"]
    assert fine["status"].eq("ok").all()
    np.testing.assert_allclose(
        fine["error"], [np.mean([float(e) for e in t.split()]) for t in fine["errors"]], atol=1e-4
    )


@pytest.mark.usefixtures("quick")
def test_rows_of_another_default_or_split_are_refused(folder, monkeypatch):
    rows = folder / "rows.csv"
    ablation.run(folder, rows, ["plain"], [BASE], 1)
    with monkeypatch.context() as patch:
        patch.setitem(ablation.VARIANTS, BASE, ("changed", {"max_epochs": 1, "lr": 0.5}))
        with pytest.raises(ValueError, match="another recipe of variant 'default'"):
            ablation.read(rows)
    monkeypatch.setattr(ablation, "split", lambda table, repeat: split(table, repeat + 1))
    with pytest.raises(ValueError, match="another split of 'plain', repeat 0"):
        ablation.run(folder, rows, ["plain"], ["two"], 1)


# ---- report ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_differences_by_hand():
    rows = []
    for name, worse in zip("abcdef", (-0.01, 0.02, 0.03, 0.04, 0.05, 0.06), strict=True):
        row = Row(name, 0, BASE, "ok", 0.5, 2.0, 0.1, 9, 75, 25, "x", "y")
        rows += [row, replace(row, model="two", error=0.5 + worse, fit_cpu=3.0)]
    frame = pd.DataFrame([vars(row) for row in rows])
    entry = {"n_rows": 100, "n_features": 2, "n_tasks": 1, "tasks": []}
    study = Study(frame, dict.fromkeys("abcdefg", entry), dict.fromkeys([BASE, "two"], ""), BASE)
    text = "\n\n".join(ablation.report(study, [0.0]))
    # The only negative difference is the smallest, so W = 1; of the 64 ways to give signs two have
    # W at most 1, and p = 2 * 2 / 64.
    assert "| two | 0.5317 | +0.0350 | 1/5 | 6 | 0.0625 | 0.0625 | 1.50 |" in text
    assert "| a | 0.500 | **0.490** |" in text
    assert text.count("### Mean error by set") == 1
    assert "- Not run otherwise: g." in text
    assert "- `same`: the same; `max_epochs=1` (the same as `default`)." in text
    assert "- `broken`: no width; `max_epochs=1`, `hidden_layer_sizes=(0,)` (not run)." in text


@pytest.mark.usefixtures("quick")
def test_the_report_is_written(folder, monkeypatch, capsys):
    monkeypatch.setattr(ablation, "RESULTS", folder / "results" / "ablation.md")
    arguments = ["ablation", "--data", str(folder), "--rows", str(folder / "rows.csv")]
    monkeypatch.setattr("sys.argv", [*arguments, "--sets", "plain", "--write"])
    ablation.main()
    text = (folder / "results" / "ablation.md").read_text()
    assert text.startswith("# Ablation\n\n**Rows.**")
    assert "- plain, repeat 0, `broken`: error: ValueError" in text
    assert "- Not run otherwise: given." in text
    assert len(pd.read_csv(folder / "results" / "ablation.csv")) == 3
    monkeypatch.setattr("sys.argv", [*arguments, "--variants", "nothing"])
    with pytest.raises(SystemExit):
        ablation.main()
    assert "no such variants: nothing" in capsys.readouterr().err
