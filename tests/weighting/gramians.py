"""Gradients of tasks for which weightings by Gramians are compared with others.

Of four numbers of tasks and several kinds each; numpy's RandomState, whose stream is frozen, draws
them, so that weights that another package found for them can be kept in a table.
"""

import numpy as np
import torch

from tests.oracle import GivenGradients, layout_of, new_seeds

N_TASKS = (2, 4, 16, 50)


def drawn(n_tasks, width):
    """Gradients in random directions, of lengths about 1; with three tasks more, half oppose."""
    random = np.random.RandomState(n_tasks)
    return random.standard_normal((n_tasks, width)) / np.sqrt(width)


def random(n_tasks):
    """Cosines of either sign, all small for many tasks."""
    return drawn(n_tasks, 3 * n_tasks)


def conflicting(n_tasks):
    """Nine tenths of the mean gradient taken out: the sum is short, most cosines are negative."""
    rows = drawn(n_tasks, 3 * n_tasks)
    return rows - 0.9 * rows.mean(0)


def ill_scaled(n_tasks):
    """Lengths over four orders of magnitude."""
    return random(n_tasks) * np.geomspace(0.01, 100, n_tasks)[:, None]


def degenerate(n_tasks):
    """Half as many directions as tasks, all with a common part so that no gradients cancel."""
    rank = max(1, n_tasks // 2)
    mixed = drawn(n_tasks, rank)
    mixed[:, 0] = 0.3 + np.abs(mixed[:, 0])
    return mixed @ drawn(rank, 3 * n_tasks)


def duplicates(n_tasks):
    """Each gradient twice."""
    half = conflicting(max(2, n_tasks // 2)) if n_tasks > 2 else drawn(1, 6)
    return np.vstack([half, half])


def opposing(n_tasks):
    """Each gradient has an opponent twice as long: no step helps all."""
    half = drawn(n_tasks // 2, 3 * n_tasks)
    return np.vstack([half, -2 * half])


#: A step that helps all tasks exists; for the weights of all but the first two by number: not.
KINDS = {
    kind.__name__: kind for kind in (random, conflicting, ill_scaled, degenerate, duplicates)
}
CASES = [(kind, n_tasks) for kind in KINDS for n_tasks in N_TASKS]
FULL_RANK = [case for case in CASES if case[0] in {"random", "conflicting", "ill_scaled"}]


def weights_of(method, jacobian, losses=None):
    """Weights that a method finds, shape (n_tasks,), in float64."""
    names = [f"t{i}" for i in range(len(jacobian))]
    module = method.build(layout_of(names), 1, new_seeds()).double()
    values = torch.ones(len(names)) if losses is None else torch.as_tensor(losses)
    gradients = GivenGradients(torch.as_tensor(jacobian)[None])
    present = torch.ones(len(names), dtype=torch.bool)
    return module.direction(values.double()[None], present, gradients).weights[0].numpy()


def differences(found, expected):
    """How far a direction is from another one: 1 - cosine, and relative difference of lengths."""
    lengths = np.linalg.norm(found), np.linalg.norm(expected)
    return 1 - found @ expected / np.prod(lengths), abs(lengths[0] / lengths[1] - 1)
