"""What tests compare the package with: a small made table, and losses by torch's own functions.

The losses run over tasks and labelled rows in Python, from ``torch.nn.functional``; they share no
line with the package but the position of a task's output rows.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from skmtl.heads import HeadSpec, Layout
from skmtl.layers import Seeds
from skmtl.tasks import Task
from skmtl.training import TaskData
from skmtl.weighting import TaskGradients

#: What pandas calls a column of words: "str", before pandas 3 "object".
WORDS = str(pd.Series(["word"]).dtype)

#: Every kind twice, of several widths, and not in the order in which the network keeps them.
MIXED = (
    HeadSpec("price", "regression", 1, 0),
    HeadSpec("sold", "binary", 1, 2),
    HeadSpec("box", "regression", 3, 0),
    HeadSpec("colour", "multiclass", 1, 4),
    HeadSpec("size", "regression", 1, 0),
    HeadSpec("paid", "binary", 1, 2),
    HeadSpec("make", "multiclass", 1, 3),
)


def numbers(*names):
    """The layout of regression tasks, in this order."""
    return Layout.of([HeadSpec(name, "regression", 1, 0) for name in names])


def new_seeds(seed=0):
    """Sources of randomness."""
    return Seeds.spawn(np.random.RandomState(seed))


@dataclass(frozen=True)
class Table:
    """Features, targets and weights of cells in the user's order of tasks."""

    specs: tuple[HeadSpec, ...]
    x: np.ndarray
    values: np.ndarray
    weights: np.ndarray

    @classmethod
    def made(cls, specs=MIXED, *, n=40, n_features=5, missing=0.3, weighted=True, seed=0):
        """Draw a table; `missing` is the share of cells without a label."""
        random = np.random.default_rng(seed)
        columns = [
            random.normal(size=(n, s.n_columns))
            if s.n_classes == 0
            else random.integers(s.n_classes, size=(n, 1)).astype(float)
            for s in specs
        ]
        values = np.hstack(columns)
        weights = random.uniform(0.5, 2.0, size=values.shape) if weighted else np.ones_like(values)
        weights[random.uniform(size=values.shape) < missing] = 0.0
        return cls(tuple(specs), random.normal(size=(n, n_features)), values, weights)

    def columns(self, name):
        """Where the task stands in `values` and `weights`."""
        start = 0
        for spec in self.specs:
            if spec.name == name:
                return slice(start, start + spec.n_columns)
            start += spec.n_columns
        raise KeyError(name)

    def without_labels_of(self, name):
        """Copy the table with all labels of one task taken out."""
        weights = self.weights.copy()
        weights[:, self.columns(name)] = 0.0
        return Table(self.specs, self.x, self.values, weights)

    def take(self, rows):
        """Copy some rows."""
        return Table(self.specs, self.x[rows], self.values[rows], self.weights[rows])

    def pack(self, layout=None, *, x=None, device="cpu", dtype=torch.float64):
        """Make the package's own table of it."""
        layout = layout or Layout.of(self.specs)
        x = self.x if x is None else x
        device = torch.device(device)
        return TaskData.pack(x, self.values, self.weights, layout, device, dtype)


def rows_of(layout, name):
    """Return the output rows of a task."""
    return np.flatnonzero(np.asarray(layout.task_of_row) == layout.names.index(name))


def loop_loss(spec, z, y, w):
    """Mean over labelled cells of ``w * loss`` of one task and member, or 0 without a label.

    z: (output, sample); y, w: ndarray of shape (sample, column).
    """
    total, n_labelled = z.sum() * 0.0, 0
    for i, j in np.argwhere(w > 0):
        weight, label = float(w[i, j]), float(y[i, j])
        if spec.kind == "regression":
            loss = F.mse_loss(z[j, i], z.new_tensor(label))
        elif spec.kind == "binary":
            loss = F.binary_cross_entropy_with_logits(z[0, i], z.new_tensor(label))
        else:
            loss = F.cross_entropy(z[:, i], torch.tensor(int(label), device=z.device))
        total, n_labelled = total + weight * loss, n_labelled + 1
    return total / max(n_labelled, 1)


def loop_losses(table, layout, z):
    """Losses of all tasks in the order of the layout, shape (member, task)."""
    spec_of = {spec.name: spec for spec in table.specs}
    losses = [
        [
            loop_loss(
                spec_of[name],
                outputs[rows_of(layout, name)],
                table.values[:, table.columns(name)],
                table.weights[:, table.columns(name)],
            )
            for name in layout.names
        ]
        for outputs in z
    ]
    return torch.stack([torch.stack(member) for member in losses])


def tasks_of(specs):
    """Return the tasks that the specs were made from."""
    return [
        Task(s.name, s.kind, [f"{s.name}{i}" for i in range(s.n_columns)], range(s.n_classes))
        for s in specs
    ]


def layout_of(names):
    """Lay out regressions of these names."""
    return Layout.of([HeadSpec(name, "regression", 1, 0) for name in names])


class GivenGradients(TaskGradients):
    """Gradients of tasks as a test has made them, shape (member, task, coordinate)."""

    def __init__(self, jacobian):
        self._jacobian = jacobian

    @property
    def gramian(self):
        """Products of the rows."""
        return self._jacobian @ self._jacobian.mT

    @property
    def jacobian(self):
        """The rows."""
        return self._jacobian
