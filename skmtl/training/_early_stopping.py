"""Judging by validation rows, stopping, and keeping the best weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from skmtl.training._batches import TaskData

#: Loss of the best constant below which a task has nothing to explain: a single class, whose
#: probability is kept a little away from 1, or a constant number.
LEAST_NULL = 1e-4


class ValidationScore(Callback):
    """Records ``valid_score``: mean over tasks of ``1 - loss / loss of the best constant``.

    The loss is measured on the validation rows, that of the constant on the training rows,
    which are more: the few validation labels of a rare task may all lie near its mean.
    Tasks count by their fixed weight, those without a label among the validation rows not at
    all.  0 is as good as a constant, 1 perfect.

    Parameters
    ----------
    train, valid : TaskData
        The rows.
    weights : ndarray of shape (n_tasks,)
        Weight of each task in the mean.

    Attributes
    ----------
    lacks_labels : ndarray of shape (n_tasks,), bool
        Tasks that could be judged if any of the validation rows had a label of theirs.
    skills_ : ndarray of shape (n_tasks,)
        The terms of the mean in the last epoch; NaN for a task that is not judged.
    """

    def __init__(self, train: TaskData, valid: TaskData, weights: np.ndarray) -> None:
        null = null_losses(train).cpu().numpy()
        scale = train.scale.cpu().numpy()
        varies = np.isfinite(null) & (null > LEAST_NULL * scale)
        labelled = has_labels(valid).cpu().numpy()
        self.weights = np.where(labelled & varies, weights, 0.0)
        self.lacks_labels = varies & ~labelled & (weights > 0)
        self.null = np.where(self.weights > 0, null, 1.0)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Score the epoch."""
        record = net.history[-1]
        names = net.criterion_.layout.names
        losses = np.array([record.get(f"valid_loss_{name}", np.nan) for name in names])
        counted = self.weights > 0
        self.skills_ = np.where(counted, 1 - losses / self.null, np.nan)
        score = np.nan
        if counted.any():
            score = float(np.average(self.skills_[counted], weights=self.weights[counted]))
        net.history.record("valid_score", score)


class EarlyStopping(Callback):
    """Stops when the validation score no longer rises, and puts the best weights back.

    If tasks share nothing, each is judged by its own skill, as in a fit of its own: its
    weights are those of its own best epoch, and the fit ends when the last task has stopped
    rising.  A task without a label among the validation rows keeps its last weights.

    Parameters
    ----------
    patience : int
        Epochs without a rise before a task, or all that share, are done.
    tol : float
        What counts as a rise.
    score : ValidationScore
        Scores the epochs.
    """

    def __init__(self, patience: int, tol: float, score: ValidationScore) -> None:
        self.patience = patience
        self.tol = tol
        self.score = score
        self._goes_on = False
        self._kept: dict[str, Tensor] | None = None

    def go_on_from(self, before: EarlyStopping, net: Any) -> None:
        """Take over what another one knew when its fit was interrupted.

        Parameters
        ----------
        before : EarlyStopping
            Of the same fit.
        net : TaskNet
            The net.
        """
        kept = before._kept
        self.__dict__.update({**vars(before), "score": self.score, "_goes_on": True})
        self._kept = kept and {name: tensor.to(net.device) for name, tensor in kept.items()}

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Forget earlier fits, but for one that goes on."""
        if self._goes_on:
            self._goes_on = False
            return
        owners = net.module_.owners()
        self._is_separate = owners is not None and net.criterion_.weighting.is_constant
        n = len(self.score.weights) if self._is_separate else 1
        # For each tensor the axis along which, and to whom, its entries belong.
        named = zip(self._state(net), owners, strict=True) if self._is_separate else ()
        self._owners: dict[str, Any] = dict(named)
        self._kept = None
        self.best_epochs_ = np.zeros(n, dtype=np.intp)  # 0: not judged so far
        self._best, self._level = np.full(n, -np.inf), np.full(n, -np.inf)
        self._waited, self._is_done = np.zeros(n, dtype=np.intp), np.zeros(n, dtype=bool)

    @property
    def best_epoch_(self) -> int:
        """The epoch whose weights are kept; the last of them if tasks have their own."""
        return int(self.best_epochs_.max())

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Keep the weights that are the best so far; count the wait of the others."""
        mean = net.history[-1, "valid_score"]
        scores = self.score.skills_ if self._is_separate else np.array([mean])
        better = (scores > self._best) & ~self._is_done
        if better.any():
            self._best = np.where(better, scores, self._best)
            self.best_epochs_ = np.where(better, net.history[-1, "epoch"], self.best_epochs_)
            self._keep(net, better)
        rises = scores > self._level + self.tol
        self._level = np.where(rises, scores, self._level)
        self._waited = np.where(rises, 0, self._waited + 1)
        self._is_done |= self._waited >= self.patience
        net.stops_ = net.stops_ or bool(self._is_done.all())

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Put the best weights back."""
        self.restore(net)

    def restore(self, net: Any) -> bool:
        """Put the best weights back.

        Parameters
        ----------
        net : TaskNet
            The net.

        Returns
        -------
        bool
            Whether there were any.
        """
        if self._kept is None:
            return False
        _copy(self._kept, self._state(net), self._owners, self.best_epochs_ > 0)
        self._kept = None
        return True

    def _state(self, net: Any) -> dict[str, Tensor]:
        """Name what is kept: the network, and a weighting that all tasks learn together."""
        state = {f"module.{name}": tensor for name, tensor in net.module_.state_dict().items()}
        if not self._is_separate:
            learned = net.criterion_.state_dict()
            state |= {f"criterion.{name}": tensor for name, tensor in learned.items()}
        return state

    def _keep(self, net: Any, better: np.ndarray) -> None:
        state = self._state(net)
        if self._kept is None:
            self._kept = {}
        else:
            _copy(state, self._kept, self._owners, better)
        # All of it at first; later what an object of TorchJD has made since then.
        new = state.keys() - self._kept.keys()
        self._kept |= {name: state[name].detach().clone() for name in new}


@torch.no_grad()
def _copy(
    source: dict[str, Tensor],
    target: dict[str, Tensor],
    owners: dict[str, Any],
    chosen: np.ndarray,
) -> None:
    """Copy the entries that belong to the chosen tasks."""
    for name in source.keys() & target.keys():
        tensor, into = source[name], target[name]
        axis, owner = owners.get(name, (None, 0))
        if axis is None:
            if chosen[owner]:
                into.copy_(tensor)
            continue
        rows = torch.as_tensor(np.flatnonzero(chosen[owner]), device=tensor.device)
        into.index_copy_(axis, rows, tensor.index_select(axis, rows))


def null_losses(data: TaskData) -> Tensor:
    """Compute the losses of the best constant model on its own rows.

    Parameters
    ----------
    data : TaskData
        The rows.

    Returns
    -------
    Tensor of shape (task,)
        Losses, times the tasks' scales; NaN for a task without a label.
    """
    losses = []
    for group in data.layout.groups:
        y, w = group.outputs(data.y.T), group.weights_of(data.w.T)
        # As BatchIterator does it: weights over the number of labelled cells of the task.
        cells = (w > 0).sum((-2, -1), keepdim=True)
        z = group.head.null_outputs(y, w).expand(-1, -1, y.shape[-1]).unsqueeze(0)
        loss, _ = group.head.loss_and_gradient(z, y, w / cells.clamp_min(1))
        losses.append(torch.where(cells.flatten() > 0, loss[0], torch.nan))
    return torch.cat(losses) * data.scale


def has_labels(data: TaskData) -> Tensor:
    """Tell which tasks have a label of positive weight.

    Parameters
    ----------
    data : TaskData
        The rows.

    Returns
    -------
    Tensor of shape (task,), bool
        In the order of the layout.
    """
    labelled = data.labelled
    return (labelled if data.members is None else labelled[:, torch.cat(data.members)]).any(1)
