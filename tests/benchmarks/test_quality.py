"""The statistics of scores on real tables, and what chooses sees no test rows."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks import sharing_quality, weighting_quality
from benchmarks.comparison import (
    CHOSEN,
    Comparison,
    best_on_validation,
    corrected_t_test,
    holm,
    signed_rank_test,
)
from benchmarks.quality import Row, Setting, Table, in_order, run_one
from benchmarks.weighting_quality import (
    ALONE,
    BASE,
    CANDIDATES,
    RAW,
    STUDY,
    TUNED,
    WEIGHTINGS,
    balanced,
    candidate,
    compared,
    tuned,
)
from skmtl.weighting import MetaBalance


def rows_of(scores):
    """Rows of a file of scores, from a mapping (set, scheme) -> score of each seed."""
    return pd.DataFrame(
        [
            Row(name, scheme, seed, "ok", score, score, 1.0, 9, 80, 20)
            for (name, scheme), by_seed in scores.items()
            for seed, score in enumerate(by_seed)
        ]
    )


@pytest.fixture
def table():
    """A set of two regressions that never have labels in the same row."""
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.standard_normal((60, 3)))
    Y = pd.DataFrame({"a": X[0] + X[1], "b": X[0] - X[1]})
    Y.loc[:29, "a"] = np.nan
    Y.loc[30:, "b"] = np.nan
    return Table("t", X, Y, dict.fromkeys(Y, "regression"), None)


# ---- statistics --------------------------------------------------------------------------------


def test_corrected_t_of_hand_computed_differences():
    # Mean 2, variance 1, three splits, test rows a quarter of the others:
    # t^2 = 4 / (1/3 + 1/4) = 48/7; with two degrees of freedom p = 1 - t / sqrt(2 + t^2).
    expected = 1 - np.sqrt(48 / 7 / (2 + 48 / 7))
    assert corrected_t_test(np.array([1.0, 2.0, 3.0]), 0.25) == pytest.approx(expected)
    assert corrected_t_test(np.zeros(3), 0.25) == 1.0
    assert corrected_t_test(np.ones(3), 0.25) == 0.0


def test_holm_multiplies_by_the_number_of_tests_left():
    # Sorted 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1; the last may not be below the one before.
    got = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(got, [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.7, 0.6])), [1.0, 1.0])


def test_signed_ranks_of_hand_counted_signs():
    # Five gains of one sign: 2 of the 2^5 sign patterns are as extreme.
    assert signed_rank_test(np.arange(1.0, 6.0)) == pytest.approx(2 / 32)
    assert signed_rank_test(np.zeros(4)) == 1.0


def test_a_difference_is_a_win_only_beyond_the_noise_of_the_splits():
    base = np.array([0.5, 0.6, 0.4, 0.55, 0.45])
    clear = np.array([0.101, 0.1, 0.099, 0.1, 0.1])
    noise = np.array([0.2, -0.1, 0.2, -0.1, 0.05])
    rows = rows_of(
        {
            ("a", "independent"): base,
            ("a", "hard"): base + clear,
            ("a", "mmoe"): base + noise,
            ("a", "soft"): base - clear,
            ("b", "independent"): base,
        }
    )
    comparison = Comparison(rows, "independent", ["independent", "hard", "mmoe", "soft"], {})
    verdicts = {s: comparison.verdict("a", s) for s in ("hard", "mmoe", "soft", "absent")}
    assert verdicts == {"hard": 1, "mmoe": 0, "soft": -1, "absent": 0}
    assert comparison.verdict("b", "hard") == 0


def test_summary_counts_wins_and_ranks_without_the_choice():
    base = np.array([0.5, 0.6, 0.4])
    scores = {}
    for name, gain in (("a", 0.1), ("b", 0.2)):
        scores[name, "x"] = base
        scores[name, "y"] = base + gain + np.array([0, 1e-3, -1e-3])
        scores[name, CHOSEN] = scores[name, "y"] + 1
    found = Comparison(rows_of(scores), "x", ["x", "y", CHOSEN], {}).summary
    assert found.loc["y", ["wins", "ties", "losses", "higher mean"]].tolist() == [2, 0, 0, 2]
    assert found.loc["y", "median gain"] == pytest.approx(0.15)
    assert found["mean rank"].to_dict() == pytest.approx(
        {"y": 1.0, "x": 2.0, CHOSEN: np.nan}, nan_ok=True
    )


# ---- choices -----------------------------------------------------------------------------------


def test_a_search_takes_the_scheme_of_the_best_validation_score():
    rows = rows_of({("a", "hard"): [0.3, 0.6], ("a", "independent"): [0.5, 0.4]})
    rows["score"] = [0.1, 0.2, 0.3, 0.4]
    chosen = best_on_validation(rows)
    assert chosen["score"].tolist() == [0.3, 0.2]


def test_tuned_weights_are_chosen_on_validation_and_cost_all_fits():
    rows = rows_of({("a", name): [0.0, 0.0] for name in CANDIDATES})
    rows["score"] = np.arange(len(rows)) / 100
    rows["valid"] = -rows["score"]  # the best on validation is the worst on the test
    found = tuned(rows)
    assert found["scheme"].tolist() == [TUNED, TUNED]
    assert found["score"].tolist() == [0.0, 0.01]
    assert found["seconds"].tolist() == [12.0, 12.0]
    assert tuned(rows.iloc[:-1])["seed"].tolist() == [0]


def test_candidates_have_a_mean_of_one_and_a_bounded_spread():
    tasks = [f"t{i}" for i in range(50)]
    drawn = np.array(list(candidate(tasks, [1, 2]).values()))
    assert drawn.mean() == pytest.approx(1)
    assert 8 < drawn.max() / drawn.min() < 64
    assert candidate(tasks, [1, 2]) != candidate(tasks, [1, 3])
    assert candidate(tasks, [1, 2]) == candidate(tasks, [1, 2])


def test_what_failed_once_and_what_is_not_done_are_left_out():
    rows = rows_of({("a", "equal"): [1, 1, 1], ("a", "mgda"): [1, 1, 1], ("a", "dwa"): [1, 1]})
    rows.loc[(rows["scheme"] == "mgda") & (rows["seed"] == 1), "status"] = "error: x"
    left = balanced(rows)
    assert list(zip(left["scheme"], left["seed"], strict=True)) == [
        ("equal", 0),
        ("equal", 1),
        ("mgda", 1),  # to be listed
        ("dwa", 0),
        ("dwa", 1),
    ]


# ---- fits and reports --------------------------------------------------------------------------


def test_one_fit_gives_a_row_and_an_error_its_text(table):
    study = replace(sharing_quality.STUDY, sets={"t": Setting(max_epochs=3)})
    parts = table.split(0, 40)
    assert [len(part) for part in parts] == [30, 10, 12]
    row = run_one(study, table, "hard", 0, parts)
    assert row.status == "ok"
    assert np.isfinite(row.score)
    row = run_one(study, table, "hrad", 0, parts)
    assert row.status.startswith("error: ")
    assert np.isnan(row.score)


def test_rows_stand_in_the_order_of_the_study():
    rows = pd.DataFrame(
        [Row(name, "x", 0, "ok", 0.5, 0.25, 1.0, 9, 80, 20) for name in ("a", "b", "c")]
    )
    assert in_order(rows, ["a", "b"], ["b", "a"])["dataset"].tolist() == ["b", "a"]


def test_each_row_of_the_weightings_is_an_estimator_of_its_own(table):
    made = {s: weighting_quality.estimator(table, s, 0, 3) for s in STUDY.schemes}
    assert not {"torchjd", "fixed"} & set(made)
    assert set(made) == {*WEIGHTINGS, *CANDIDATES, RAW, ALONE}
    assert made[BASE].loss_weights == "equal"
    assert made[RAW].normalize_losses is False
    assert made[ALONE].sharing == "independent"
    assert isinstance(made["metabalance"].loss_weights, MetaBalance)
    assert made["metabalance"].loss_weights.main == "a"
    drawn = made["fixed 1"].loss_weights
    assert drawn == weighting_quality.estimator(table, "fixed 1", 0, 3).loss_weights
    assert drawn != weighting_quality.estimator(table, "fixed 1", 1, 3).loss_weights


def test_the_report_tells_a_collapse_on_missing_labels(tmp_path):
    random = np.random.default_rng(0)
    scores = {(n, s): random.random(3) for n in ("slump", "acs12") for s in STUDY.schemes}
    scores["acs12", "mgda"] = scores["acs12", BASE] - 2
    scores["slump", "mgda"] = scores["slump", BASE] + 1
    entry = {"n_rows": 100, "n_features": 7, "n_tasks": 1}
    sets = [
        {**entry, "name": name, "tasks": [{"kind": "binary", "n_missing": missing}]}
        for name, missing in (("slump", 0), ("acs12", 16))
    ]
    (tmp_path / "catalog.json").write_text(json.dumps({"datasets": sets}))
    text = "\n\n".join(weighting_quality.report(rows_of(scores), tmp_path))
    assert "| mgda | -2.000 | -2.000 | +1.000 |" in text
    assert "acs12 (16 %)" in text
    comparison = compared(rows_of(scores))
    assert set(comparison.schemes) == set(comparison.means)
    assert f"| {TUNED} |" in text
    assert "fixed 1" not in text
