"""One job, and six ways to train a network on it; `fit_speed.py` times them.

The job is a table of ``n`` rows whose every cell has a label: the first half of the tasks are
regressions, then come a quarter with two classes and a quarter with three.  Each way is an object
with ``epochs(k)``, which trains for a few epochs and returns the CPU seconds of one.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.training import EpochHook

HIDDEN = (64, 64)
LR = 1e-3
KINDS = ("regression", "binary", "multiclass")


@dataclass(frozen=True)
class Job:
    """A table and its tasks: `n_real` regressions, `n_binary` and `n_three` class tasks."""

    X: np.ndarray  # (sample, feature)
    Y: np.ndarray  # (sample, task): standardised numbers, then codes
    n_real: int
    n_binary: int
    n_three: int

    @classmethod
    def make(cls, n_tasks: int, n: int = 20_000, d: int = 20, seed: int = 0) -> Job:
        random = np.random.default_rng(seed)
        n_real = (n_tasks + 1) // 2
        n_three = (n_tasks - n_real) // 2
        X = random.standard_normal((n, d))
        hidden = np.tanh(X @ random.standard_normal((d, 8)) / np.sqrt(d))
        scores = hidden @ random.standard_normal((8, n_tasks)) + random.standard_normal(
            (n, n_tasks)
        )
        Y = (scores - scores.mean(0)) / scores.std(0)
        Y[:, n_real:] = scores[:, n_real:] > 0
        if n_three:
            Y[:, -n_three:] += scores[:, -n_three:] > 1
        return cls(X, Y, n_real, n_tasks - n_real - n_three, n_three)

    def only(self, task: int) -> Job:
        """Return the job of one task alone."""
        counts = [int(self.kinds[task] == kind) for kind in KINDS]
        return Job(self.X, self.Y[:, [task]], *counts)

    @property
    def kinds(self) -> list[str]:
        counts = (self.n_real, self.n_binary, self.n_three)
        return list(np.repeat(KINDS, counts))

    @property
    def frame(self) -> pd.DataFrame:
        types = dict.fromkeys(range(self.n_real, len(self.kinds)), int)
        return pd.DataFrame(self.Y).astype(types).rename(columns="t{}".format)


class Clock:
    """Reads the process's CPU time, or `now`, at the end of each epoch; a callback of skorch."""

    def __init__(self) -> None:
        self.now = time.process_time
        self.ends: list[float] = []

    def __call__(self, net: Any) -> bool:
        self.ends.append(self.now())
        return False

    def __deepcopy__(self, memo: dict[int, Any]) -> Clock:
        return self  # `fit` trains a copy of the net; it has to report here

    def per_epoch(self) -> float:
        """Return the mean of all epochs but the first, whose caches are cold, and forget them."""
        seconds = (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)
        self.ends.clear()
        return seconds


class Ours:
    """The public estimator, going on with its fit in each round."""

    name = "skmtl"

    def __init__(self, job: Job, batch_size: int, **params: Any) -> None:
        self.X, self.Y = job.X, job.frame
        self.clock = Clock()
        self.estimator = MultiTaskNetClassifierRegressor(
            dict(zip(self.Y, job.kinds, strict=True)),
            hidden_layer_sizes=HIDDEN,
            lr=LR,
            ema_decay=0.0,  # as the others, which average no weights
            batch_size=batch_size,
            max_epochs=1,
            early_stopping=False,
            n_members=1,
            preprocess=None,
            random_state=0,
        ).set_params(**params)
        self.estimator.fit(self.X, self.Y).set_params(warm_start=True)
        # `callbacks=` would do, but with skorch callbacks the optimiser is one of torch.optim,
        # lest they look into it.
        self.estimator.net_.callbacks_.append(("clock", EpochHook(self.clock)))

    def epochs(self, k: int) -> float:
        self.estimator.set_params(max_epochs=k + 1).fit(self.X, self.Y)
        return self.clock.per_epoch()


class ScikitLearn:
    """scikit-learn's MLPRegressor in float32, on the regression tasks alone."""

    name = "MLPRegressor (regressions only)"

    def __init__(self, job: Job, batch_size: int) -> None:
        self.X = job.X.astype(np.float32)
        self.Y = job.Y[:, : job.n_real].astype(np.float32)
        self.batch_size = batch_size

    def fit(self, n_epochs: int) -> MLPRegressor:
        model = MLPRegressor(
            hidden_layer_sizes=HIDDEN,
            batch_size=self.batch_size,
            learning_rate_init=LR,
            max_iter=n_epochs,
            tol=0.0,
            n_iter_no_change=n_epochs + 1,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(self.X, self.Y if self.Y.shape[1] > 1 else self.Y[:, 0])

    def epochs(self, k: int) -> float:
        """Return the difference of a longer and a shorter fit, per epoch."""
        times = [time.process_time()]
        for n_epochs in (1, k + 1):
            self.fit(n_epochs)
            times.append(time.process_time())
        return (times[2] - 2 * times[1] + times[0]) / k


class StackedNet(nn.Module):
    """Trunk, and all heads as one layer of ``n_real + n_binary + 3 n_three`` outputs."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.trunk = make_trunk(job.X.shape[1])
        self.heads = nn.Linear(HIDDEN[-1], job.n_real + job.n_binary + 3 * job.n_three)

    def forward(self, x: Tensor) -> Tensor:
        return self.heads(self.trunk(x))


class StackedLoss(nn.Module):
    """Sum over tasks of mean losses, one torch call per kind."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.first_code = job.n_real + job.n_binary
        self.sizes = [job.n_real, job.n_binary, 3 * job.n_three]

    def split(self, Y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Part targets of shape (sample, task) by kind; codes of classes become integers."""
        n_real, first = self.sizes[0], self.first_code
        return Y[:, :n_real], Y[:, n_real:first], Y[:, first:].long()

    def forward(self, z: Tensor, y: Any) -> Tensor:
        real, binary, codes = self.split(y) if isinstance(y, Tensor) else y
        z_real, z_binary, z_three = z.split(self.sizes, dim=1)
        total = F.mse_loss(z_real, real, reduction="sum")
        if binary.shape[1]:
            total = total + F.binary_cross_entropy_with_logits(z_binary, binary, reduction="sum")
        if codes.shape[1]:
            z_three = z_three.reshape(-1, 3)  # (sample and task, class)
            total = total + F.cross_entropy(z_three, codes.flatten(), reduction="sum")
        return total / len(z)


class ListNet(nn.Module):
    """Trunk, and a list of heads, as one writes it first."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.trunk = make_trunk(job.X.shape[1])
        self.heads = nn.ModuleList(
            nn.Linear(HIDDEN[-1], 3 if kind == "multiclass" else 1) for kind in job.kinds
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        h = self.trunk(x)
        return tuple(head(h) for head in self.heads)


class ListLoss(nn.Module):
    """Sum over tasks of mean losses, one torch call per task."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.kinds = job.kinds

    def forward(self, outputs: tuple[Tensor, ...], Y: Tensor) -> Tensor:
        total = torch.zeros((), dtype=Y.dtype)
        for loss in self.each(outputs, Y):
            total = total + loss
        return total

    def each(self, outputs: tuple[Tensor, ...], Y: Tensor) -> list[Tensor]:
        """Return the loss of each task."""
        losses = []
        for kind, z, y in zip(self.kinds, outputs, Y.unbind(1), strict=True):
            if kind == "regression":
                losses.append(F.mse_loss(z[:, 0], y))
            elif kind == "binary":
                losses.append(F.binary_cross_entropy_with_logits(z[:, 0], y))
            else:
                losses.append(F.cross_entropy(z, y.long()))
        return losses


class StackedSkorch:
    """`skorch.NeuralNet` as it comes, with its DataLoader and torch's Adam, on stacked heads."""

    name = "skorch, stacked heads"
    parts = (StackedNet, StackedLoss)

    def __init__(self, job: Job, batch_size: int) -> None:
        self.X, self.Y = job.X.astype(np.float32), job.Y.astype(np.float32)
        self.clock = Clock()
        hook = type(
            "Hook", (Callback,), {"on_epoch_end": lambda _, net, **_kwargs: self.clock(net)}
        )
        module, criterion = self.parts
        self.net = NeuralNet(
            module(job),
            criterion=criterion(job),
            optimizer=torch.optim.Adam,
            lr=LR,
            batch_size=batch_size,
            iterator_train__shuffle=True,
            train_split=None,
            callbacks=[hook()],
            verbose=0,
        ).initialize()

    def epochs(self, k: int) -> float:
        self.net.partial_fit(self.X, self.Y, epochs=k + 1)
        return self.clock.per_epoch()


class ListSkorch(StackedSkorch):
    """The same with a list of heads."""

    name = "skorch, list of heads"
    parts = (ListNet, ListLoss)


class NaiveLoop:
    """A Python loop over heads and losses, rows picked batch by batch, Adam's defaults."""

    name = "naive torch loop"
    parts: tuple[Any, Any] = (ListNet, ListLoss)
    options: dict[str, Any] = {}  # noqa: RUF012 - read only

    def __init__(self, job: Job, batch_size: int, dtype: torch.dtype = torch.float32) -> None:
        self.X = torch.as_tensor(job.X).to(dtype)
        self.Y = torch.as_tensor(job.Y).to(dtype)
        self.batch_size = batch_size
        module, criterion = self.parts
        self.net, self.criterion = module(job).to(dtype), criterion(job)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=LR, **self.options)

    def epochs(self, k: int) -> float:
        clock = Clock()
        for _ in range(k + 1):
            self.epoch(torch.randperm(len(self.X)))
            clock(self.net)
        return clock.per_epoch()

    def epoch(self, order: Tensor) -> float:
        """Train on the rows in this order, and return the mean loss of the batches."""
        batches, total = order.split(self.batch_size), 0.0
        for rows in batches:
            self.optimizer.zero_grad()
            loss = self.criterion(self.net(self.X[rows]), self.Y[rows])
            loss.backward()
            self.optimizer.step()
            total += loss.item()  # as most loops do, to tell it: on a GPU a wait for each batch
        return total / len(batches)


class TightLoop(NaiveLoop):
    """Stacked heads, one loss call per kind, fused Adam, slices of one permuted copy."""

    name = "tight torch loop"
    parts = (StackedNet, StackedLoss)
    options = {"fused": True}  # noqa: RUF012 - read only

    def epoch(self, order: Tensor) -> float:
        """Train on the rows in this order, and return the mean loss of the batches."""
        tensors = (self.X, *self.criterion.split(self.Y))
        batches = [tensor.index_select(0, order).split(self.batch_size) for tensor in tensors]
        total = torch.zeros((), dtype=self.X.dtype, device=self.X.device)
        for x, *y in zip(*batches, strict=True):
            self.optimizer.zero_grad()
            loss = self.criterion(self.net(x), y)
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        return total.item() / len(batches[0])


def make_trunk(n_features: int) -> nn.Sequential:
    """Return linear layers of `HIDDEN` units, each with a ReLU after it."""
    layers: list[nn.Module] = []
    for n_in, n_out in zip((n_features, *HIDDEN), HIDDEN, strict=False):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers)
