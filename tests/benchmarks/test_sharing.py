"""The loops that the benchmark compares compute the same thing, and are slower."""

import numpy as np
import pytest

from benchmarks import sharing
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
