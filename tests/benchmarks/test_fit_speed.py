"""The loops that the benchmark compares compute the same thing as the estimator."""

import numpy as np
import pytest
import torch
from sklearn.utils import check_random_state

from benchmarks.fit_variants import (
    Job,
    ListNet,
    ListSkorch,
    NaiveLoop,
    Ours,
    ScikitLearn,
    StackedSkorch,
    TightLoop,
)
from skmtl.layers import Seeds

ALL = (Ours, ScikitLearn, StackedSkorch, ListSkorch, NaiveLoop, TightLoop)


def as_linear(stacked):
    """Weights and bias of our layer of one copy, as torch.nn.Linear has them."""
    return stacked.weight[0].T, stacked.bias[0, 0]


def copy_weights(network, net):
    """Put our weights into the net of a loop, whose heads are one layer or a list."""
    stacked = [m for m in network.body.modules() if hasattr(m, "weight")]
    with torch.no_grad():
        for ours, theirs in zip(stacked, list(net.trunk)[::2], strict=True):
            for source, target in zip(as_linear(ours), theirs.parameters(), strict=True):
                target.copy_(source)
        weight, bias = as_linear(network.heads.output)
        start = 0
        for head in net.heads if isinstance(net, ListNet) else [net.heads]:
            rows = slice(start, start + head.out_features)
            head.weight.copy_(weight[rows])
            head.bias.copy_(bias[rows])
            start = rows.stop


@pytest.mark.parametrize("n_tasks", [1, 2, 3, 10])
@pytest.mark.parametrize("kind", [NaiveLoop, TightLoop])
def test_loops_equal_the_estimator(kind, n_tasks):
    job = Job.make(n_tasks, n=96, d=5)
    batch_size = 16  # divides n: our batches differ by one row where it does not
    same = {"dtype": "float64", "random_state": 3, "normalize_losses": False}
    # A step so small that no weight moves: the initial weights.
    initial = Ours(job, batch_size, lr=1e-300, **same).estimator.net_.module_
    ours = Ours(job, batch_size, **same).estimator.net_
    loop = kind(job, batch_size, torch.float64)
    copy_weights(initial, loop.net)
    generator = Seeds.spawn(check_random_state(3)).shuffle
    loss = loop.epoch(torch.randperm(96, generator=generator))

    assert loss == pytest.approx(ours.history[-1, "train_loss"], rel=1e-12)
    expected = kind(job, batch_size, torch.float64)
    copy_weights(ours.module_, expected.net)
    for got, wanted in zip(loop.net.parameters(), expected.net.parameters(), strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ALL)
def test_each_variant_trains_and_reports_a_time(kind):
    variant = kind(Job.make(4, n=64, d=3), 16)
    assert np.isfinite(variant.epochs(1))


@pytest.mark.parametrize(("skorch", "loop"), [(StackedSkorch, TightLoop), (ListSkorch, NaiveLoop)])
def test_plain_skorch_computes_the_loss_of_the_loop(skorch, loop):
    job = Job.make(5, n=32, d=3)
    net, by_hand = skorch(job, 32).net, loop(job, 32)
    by_hand.net.load_state_dict(net.module_.state_dict())
    net.partial_fit(job.X.astype("float32"), job.Y.astype("float32"), epochs=1)
    loss = by_hand.epoch(torch.arange(32))
    assert loss == pytest.approx(net.history[-1, "train_loss"], rel=1e-5)


def test_job_has_half_regressions_and_a_quarter_of_each_class_kind():
    assert Job.make(1).kinds == ["regression"]
    job = Job.make(8, n=200)
    assert job.kinds == ["regression"] * 4 + ["binary"] * 2 + ["multiclass"] * 2
    assert [len(np.unique(column)) for column in job.Y.T[4:]] == [2, 2, 3, 3]
    assert job.only(5).kinds == ["binary"]


def test_ours_keeps_the_optimiser_of_the_default_path():
    ours = Ours(Job.make(2, n=64, d=3), 16)
    ours.epochs(1)
    assert type(ours.estimator.net_.optimizer_).__name__ == "FusedAdamW"
    assert not ours.estimator.net_._listens_to_batches(training=True)
