"""Gradients of tasks on which the solvers of Gramian-based weightings are tried out."""

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear
from torchjd.linalg import DualConeProjector

from tests.oracle import GivenGradients, layout_of, new_seeds

N_TASKS = (2, 4, 16, 50)


def random(n_tasks, seed=0):
    """Cosines of either sign, lengths about 1."""
    drawn = np.random.RandomState(100 * seed + n_tasks).standard_normal((n_tasks, 2 * n_tasks + 1))
    return drawn / np.sqrt(2 * n_tasks + 1)


def conflicting(n_tasks, seed=0):
    """Nine tenths of the mean taken out: most cosines are negative."""
    rows = random(n_tasks, seed)
    return rows - 0.9 * rows.mean(0)


def ill_scaled(n_tasks, seed=0):
    """Lengths over six orders of magnitude."""
    return random(n_tasks, seed) * np.geomspace(1e-5, 10, n_tasks)[:, None]


def degenerate(n_tasks, seed=0):
    """Half as many directions as tasks, and steps that help all."""
    rank = max(1, n_tasks // 2)
    mixed = np.abs(random(n_tasks, seed)[:, :rank]) + 0.1
    return mixed @ random(rank, seed + 1)


def duplicates(n_tasks, seed=0):
    """Each gradient twice."""
    return np.vstack([conflicting(n_tasks // 2, seed) if n_tasks > 2 else random(1, seed)] * 2)


def opposing(n_tasks, seed=0):
    """Each gradient has an opponent twice as long: no step helps all."""
    half = random(n_tasks // 2, seed)
    return np.vstack([half, -2 * half])


KINDS = {f.__name__: f for f in (random, conflicting, ill_scaled, degenerate, duplicates)}
FULL_RANK = ("random", "conflicting", "ill_scaled")


def each(kinds=tuple(KINDS), n_tasks=N_TASKS):
    """Parametrize a test over `rows`."""
    cases = [pytest.param(KINDS[k](n), id=f"{k}-{n}") for k in kinds for n in n_tasks]
    return pytest.mark.parametrize("rows", cases)


def weights_of(weighting, rows, losses=None):
    """Weights for one member, from the module that the weighting builds."""
    n_tasks = len(rows)
    names = [f"t{i:02}" for i in range(n_tasks)]
    module = weighting.build(layout_of(names), 1, new_seeds()).double()
    losses = np.ones(n_tasks) if losses is None else losses
    present = torch.ones(n_tasks, dtype=torch.bool)
    given = GivenGradients(torch.tensor(rows)[None])
    return module.direction(torch.tensor(losses)[None], present, given).weights[0].numpy()


def torchjd_step(aggregator, rows):
    """The step of an aggregator of TorchJD, in double precision."""
    return aggregator(torch.tensor(rows)).numpy()


def assert_same_step(found, expected, *, any_length=False):
    """Compare two steps: their directions, and their lengths."""
    lengths = np.linalg.norm(found), np.linalg.norm(expected)
    assert found @ expected / lengths[0] / lengths[1] > 0.9999
    if not any_length:
        assert lengths[0] == pytest.approx(lengths[1], rel=1e-4)


class Bounded(DualConeProjector):
    """Projects by scipy's least squares with bounds, on a factor of the Gramian."""

    def __call__(self, U, gramian):
        values, vectors = np.linalg.eigh(gramian.numpy())
        factor = np.sqrt(values.clip(0))[:, None] * vectors.T
        factor = np.vstack([factor / np.sqrt(values[-1]), 1e-7 * np.eye(len(factor))])
        found = [self.one(factor, u) for u in np.atleast_2d(U.numpy())]
        return torch.tensor(np.array(found)).reshape(U.shape)

    @staticmethod
    def one(factor, u):
        result = lsq_linear(factor, -factor @ u, bounds=(0, np.inf), tol=1e-14, method="bvls")
        return u + result.x
