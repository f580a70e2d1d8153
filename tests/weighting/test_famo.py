import math

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback
from torchjd import scalarization

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.weighting import FAMO
from skmtl.weighting._famo import _FAMO
from tests.weighting.batches import made
from tests.weighting.losses import built, doubles, here


def falls(n, n_members=1, missing=0.4):
    """Losses before and after steps, and which tasks are present."""
    batches = made(n, n_members=n_members, missing=missing)
    pairs = zip(batches, made(n, n_members=n_members, seed=1), strict=True)
    for (losses, present, _), (factors, _, _) in pairs:
        yield losses, losses * (0.5 + factors), present


def test_by_hand():
    """Weights are as 1 to 1/3 at first; the task that fell then gets the smaller logit."""
    module = built(FAMO(lr=0.1, gamma=0.0, eps=1e-12), n_tasks=2)
    both = here(1, 1)
    torch.testing.assert_close(module.scales(doubles([1.0, 3.0]), both), doubles([1.5, 0.5]))
    torch.testing.assert_close(module(doubles([1.0, 3.0]), both), doubles(3.0))
    module.after_step(doubles([0.5, 3.0]), both)
    torch.testing.assert_close(module.logits, doubles([-0.1, 0.1]), rtol=1e-6, atol=0)
    weights = module.scales(doubles([1.0, 1.0]), both)
    share = 1 / (1 + math.exp(0.2))
    torch.testing.assert_close(weights, 2 * doubles([share, 1 - share]))


def test_losses_that_fall_at_one_rate_leave_the_logits_alone():
    module = built(FAMO(gamma=0.0, eps=1e-12, update_every=1))
    losses = doubles([0.2, 1.0, 5.0])
    for _ in range(5):
        module.scales(losses, here(1, 1, 1))
        module.after_step(0.9 * losses, here(1, 1, 1))
    # Adam enlarges what eps and rounding leave of 0.
    torch.testing.assert_close(module.logits, torch.zeros_like(losses), rtol=0, atol=1e-5)
    weights = module.scales(losses, here(1, 1, 1))
    torch.testing.assert_close(weights, 3 / losses / (1 / losses).sum(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("gamma", [0.0, 0.1])
def test_it_is_famo_of_torchjd(gamma):
    module = built(FAMO(lr=0.05, gamma=gamma, eps=1e-8, update_every=1))
    theirs = scalarization.FAMO(3, lr=0.05, weight_decay=gamma).double()
    for before, after, present in falls(40, missing=0.0):
        leaf = before[0].clone().requires_grad_()
        theirs(leaf).backward()
        weights = module.scales(before, present)[0]
        torch.testing.assert_close(weights, 3 * leaf.grad, rtol=1e-6, atol=0)
        theirs.update(after[0])
        module.after_step(after, present)


def test_the_algorithm_of_the_paper_over_tasks_that_are_present():
    lr, gamma, eps = 0.05, 0.01, 0.02
    module = built(FAMO(lr, gamma, eps, update_every=1), n_members=2)
    logits, m, v = (np.zeros((2, 3)) for _ in range(3))
    clock = np.zeros(3)
    for before, after, present in falls(50, n_members=2):
        weights = module.scales(before, present).numpy()
        module.after_step(after, present)
        tasks = np.flatnonzero(present.numpy())
        for k in range(2):
            z = np.exp(logits[k, tasks])
            z /= z.sum()
            c = 1 / (z / (before[k, tasks].numpy() + eps)).sum() if len(tasks) else 0.0
            expected = len(tasks) * c * z / (before[k, tasks].numpy() + eps)
            np.testing.assert_allclose(weights[k, tasks], expected, rtol=1e-9)
            delta = ((before + eps).log() - (after + eps).log()).numpy()[k, tasks]
            jacobian = np.diag(z) - np.outer(z, z)
            gradient = jacobian @ delta + gamma * logits[k, tasks]
            m[k, tasks] = 0.9 * m[k, tasks] + 0.1 * gradient
            v[k, tasks] = 0.999 * v[k, tasks] + 0.001 * gradient**2
        clock[tasks] += 1
        m_hat, v_hat = m / (1 - 0.9 ** clock.clip(1)), v / (1 - 0.999 ** clock.clip(1))
        logits[:, tasks] -= (lr * m_hat / (np.sqrt(v_hat) + 1e-8))[:, tasks]
        np.testing.assert_allclose(module.logits.numpy(), logits, rtol=1e-9, atol=1e-12)


def test_the_derivative_of_the_combined_loss_is_the_weights():
    module = built(FAMO(update_every=1))
    for before, after, present in falls(5):
        leaf = before.clone().requires_grad_()
        module(leaf, present).sum().backward()
        torch.testing.assert_close(module.scales(before, present), leaf.grad)
        module.after_step(after, present)


def test_losses_after_a_step_that_nobody_weighted():
    module = built(FAMO())
    module.after_step(doubles([1.0, 1.0, 1.0]), here(1, 1, 1))
    assert not module.logits.any()


def looks_back(module, n=7):
    """In which steps the losses after the step are asked for, and whether the logits move."""
    found = []
    for before, after, present in falls(n, missing=0.0):
        assert not module.needs_losses_after_step
        module.scales(before, present)
        logits = module.logits.clone()
        if asks := module.needs_losses_after_step:
            module.after_step(after, present)
        assert torch.equal(module.logits, logits) != asks
        found.append(asks)
    return found


@pytest.mark.parametrize(
    ("update_every", "expected"), [(1, [1] * 7), (3, [1, 0, 0, 1, 0, 0, 1])], ids=str
)
def test_it_looks_back_every_so_many_steps(update_every, expected):
    assert looks_back(built(FAMO(update_every=update_every))) == expected


def test_weights_follow_the_losses_in_steps_that_are_not_looked_back_at():
    module = built(FAMO(gamma=0.0, eps=1e-12, update_every=3), n_tasks=2)
    both = here(1, 1)
    module.scales(doubles([1.0, 1.0]), both)
    module.after_step(doubles([1.0, 1.0]), both)
    torch.testing.assert_close(module.scales(doubles([1.0, 3.0]), both), doubles([1.5, 0.5]))


def test_a_line_search_that_asks_more_than_once_is_looked_back_at():
    """Of four calls one is due: the losses of the last call are those to compare with."""
    module = built(FAMO(lr=0.1, gamma=0.0, eps=1e-12, update_every=4), n_tasks=2)
    for loss in (9.0, 5.0, 2.0, 1.0):
        module.scales(doubles([loss, 1.0]), here(1, 1))
    assert module.needs_losses_after_step
    module.after_step(doubles([2.0, 1.0]), here(1, 1))
    torch.testing.assert_close(module.logits, doubles([0.1, -0.1]), rtol=1e-6, atol=0)


@pytest.mark.parametrize("loop", ["written", "listening"])
def test_a_fit_moves_the_logits(loop, monkeypatch):
    """In skmtl's own loop over batches, and in skorch's, which is for callbacks on batches."""
    due, looked = [], []
    scales, after_step = _FAMO.scales, _FAMO.after_step

    def spied(self, losses, present):
        found = scales(self, losses, present)
        due.append(self.needs_losses_after_step)
        return found

    def spied_after(self, losses, present):
        looked.append(len(due))
        after_step(self, losses, present)

    monkeypatch.setattr(_FAMO, "scales", spied)
    monkeypatch.setattr(_FAMO, "after_step", spied_after)
    est = fitted(FAMO(update_every=3), callbacks=[Listening()] if loop == "listening" else None)
    assert est.net_.criterion_.weighting.logits.all()
    assert due == [i % 3 == 0 for i in range(len(due))]
    assert looked == list(range(1, len(due) + 1, 3))


def test_a_fit_with_the_alias_moves_the_logits():
    assert fitted("famo").net_.criterion_.weighting.logits.all()


class Listening(Callback):
    """Makes the net take skorch's loop."""

    def on_batch_end(self, net, **kwargs):
        """Do nothing."""


def fitted(weighting, **params):
    random = np.random.default_rng(0)
    X = random.normal(size=(100, 4))
    Y = pd.DataFrame({"a": X[:, 0], "b": X[:, 1] ** 2, "c": np.where(X[:, 2] > 0, "yes", "no")})
    return MultiTaskNetClassifierRegressor(
        loss_weights=weighting,
        max_epochs=3,
        batch_size=16,
        early_stopping=False,
        random_state=0,
        **params,
    ).fit(X, Y)


@pytest.mark.parametrize(
    ("name", "value", "rule"), [("lr", 0, "above 0"), ("gamma", -1, "of at least 0"),
                                ("eps", 0, "above 0")],
)  # fmt: skip
def test_wrong_parameters(name, value, rule):
    match = rf"`{name}` must be a finite number {rule}\. Found `{name} = {value}`"
    with pytest.raises(ValueError, match=match):
        built(FAMO(**{name: value}))


def test_a_wrong_number_of_steps():
    with pytest.raises(ValueError, match=r"`update_every` must be a whole number of at least 1"):
        built(FAMO(update_every=0))
