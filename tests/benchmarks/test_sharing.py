"""The loops that the benchmark compares compute the same thing, and are slower."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import sharing, sharing_quality
from benchmarks.fit_variants import Job, Ours
from benchmarks.sharing_loops import FORMS, LoopFit, largest_difference


@pytest.mark.parametrize("n_tasks", [2, 5])
@pytest.mark.parametrize("alias", FORMS)
def test_loops_compute_our_outputs_and_gradients(alias, n_tasks):
    outputs, gradients = largest_difference(alias, n_tasks)
    assert outputs < 1e-10
    assert gradients < 1e-10


@pytest.mark.parametrize("alias", FORMS)
def test_each_loop_trains_and_reports_a_time(alias):
    fit = LoopFit(Job.make(4, n=64, d=3), 16, alias)
    assert np.isfinite(fit.epochs(1))


def test_hard_sharing_by_autograd_leaves_the_written_step_as_it_was():
    job = Job.make(2, n=64, d=3)
    assert np.isfinite(sharing.Autograd(job, 16, "hard").epochs(1))
    net = Ours(job, 16).estimator.net_
    assert sharing.WrittenBackward.of(net.module_, net.criterion_) is not None


def test_speed_of_mmoe_is_guarded():
    # A guard against a loop over tasks, not a measurement: measured are about 4, 1.4 and 11.
    few, many = (Job.make(n_tasks, n=1_024) for n_tasks in (10, 50))
    times = sharing.take_turns(
        {
            key: lambda fit=fit: fit.epochs(1)
            for key, fit in {
                "hard": Ours(few, 256),
                "mmoe": Ours(few, 256, sharing="mmoe"),
                "mmoe of 50": Ours(many, 256, sharing="mmoe"),
                "loops of 50": LoopFit(many, 256, "mmoe"),
            }.items()
        },
        rounds=3,
    )
    assert sharing.ratio(times["mmoe"], times["hard"]) < 12
    assert sharing.ratio(times["mmoe of 50"], times["mmoe"]) < 5
    assert sharing.ratio(times["loops of 50"], times["mmoe of 50"]) > 2


# ---- quality -----------------------------------------------------------------------------------


def rows_of(scores):
    """Rows of a file of scores, from a mapping (set, scheme) -> score of each seed."""
    return pd.DataFrame(
        [
            sharing_quality.Row(name, scheme, seed, "ok", score, score, 1.0, 9, 80, 20)
            for (name, scheme), by_seed in scores.items()
            for seed, score in enumerate(by_seed)
        ]
    )


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
        }
    )
    verdicts = {s: sharing_quality.verdict(rows, "a", s) for s in ("hard", "mmoe", "soft")}
    assert verdicts == {"hard": 1, "mmoe": 0, "soft": -1}


def test_corrected_t_of_hand_computed_differences():
    # mean 2, variance 1, three splits, test rows a quarter of the others:
    # t = 2 / sqrt((1/3 + 1/4) 1) = 2.6186, two degrees of freedom.
    p = sharing_quality.corrected_t_test(np.array([1.0, 2.0, 3.0]), 0.25)
    assert p == pytest.approx(0.1201, abs=1e-3)
    assert sharing_quality.corrected_t_test(np.zeros(3), 0.25) == 1.0


def test_holm_multiplies_by_the_number_of_tests_left():
    got = sharing_quality.holm(np.array([0.01, 0.04, 0.02]))
    np.testing.assert_allclose(got, [0.03, 0.04, 0.04])


def test_a_search_takes_the_scheme_of_the_best_validation_score():
    rows = rows_of({("a", "hard"): [0.3, 0.6], ("a", "independent"): [0.5, 0.4]})
    rows["score"] = [0.1, 0.2, 0.3, 0.4]
    chosen = sharing_quality.chosen_on_validation(rows)
    assert chosen["score"].tolist() == [0.3, 0.2]


def test_one_fit_gives_a_row_and_an_error_its_text():
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.standard_normal((60, 3)))
    Y = pd.DataFrame({"a": X[0] + X[1], "b": X[0] - X[1]})
    Y.loc[:29, "a"] = np.nan
    Y.loc[30:, "b"] = np.nan
    table = sharing_quality.Table("t", X, Y, dict.fromkeys(Y, "regression"), None)
    setting = sharing_quality.Setting(max_epochs=3)
    parts = table.split(0, 40)
    assert [len(part) for part in parts] == [30, 10, 12]
    row = sharing_quality.run_one(table, "hard", 0, setting, parts)
    assert row.status == "ok"
    assert np.isfinite(row.score)
    row = sharing_quality.run_one(table, "hrad", 0, setting, parts)
    assert row.status.startswith("error: ")
    assert np.isnan(row.score)
