"""Looks at a net along its training: how the tasks' losses move each other."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmtl.training import (
    EVALUATION_ROWS,
    Batch,
    BatchIterator,
    BatchTargets,
    EpochHook,
    Network,
    Objective,
    TaskData,
    TaskNet,
    task_gradients,
)


class Snapshots(EpochHook):
    """Keeps the weights after epochs 1, 2, 3, 4, 6, 8, 11, 16, ..., two for each doubling.

    Gradients tell most about the tasks while the net learns its features, in the first
    epochs; later they are what is left of the noise.  The training is not disturbed.
    """

    def __init__(self) -> None:
        super().__init__(self._keep)
        self._states: dict[int, dict[str, Tensor]] = {}

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        """Hear of the training rows."""
        self._rows: TaskData = dataset_train

    def _keep(self, net: Any) -> bool:
        epoch = len(net.history)
        if epoch == round(2 ** (round(2 * math.log2(epoch)) / 2)):
            state = net.module_.state_dict()
            self._states[epoch] = {name: w.detach().clone() for name, w in state.items()}
        return False

    @property
    def rows(self) -> TaskData:
        """The training rows."""
        return self._rows

    def up_to(self, last_epoch: int, n_wanted: int) -> dict[int, dict[str, Tensor]]:
        """Choose evenly among the epochs that were kept.

        Parameters
        ----------
        last_epoch : int
            The last epoch to choose.
        n_wanted : int
            How many at most.

        Returns
        -------
        dict of int to dict
            Weights by epoch.
        """
        epochs = [epoch for epoch in self._states if epoch <= last_epoch]
        places = np.linspace(0, len(epochs) - 1, min(n_wanted, len(epochs)))
        return {epochs[i]: self._states[epochs[i]] for i in np.rint(places).astype(int)}


class Probe:
    """Measures, at given weights, what the tasks' losses do to the shared weights.

    In evaluation mode (no dropout), and in float64 on a CPU: the differences of losses after
    one small step are far below what float32 resolves.

    Parameters
    ----------
    net : TaskNet
        Trained; it is copied.
    rows : TaskData
        Rows to measure on, at most 4096 of them at a time.
    generator : torch.Generator
        Draws them.

    Raises
    ------
    ValueError
        If the tasks share no weight.
    """

    def __init__(self, net: TaskNet, rows: TaskData, generator: torch.Generator) -> None:
        like = next(net.module_.parameters())
        is_exact = like.device.type == "cpu" and net.module_.follows_dtype
        self.dtype = torch.float64 if is_exact else like.dtype
        self.module: Network = copy.deepcopy(net.module_).to(self.dtype).eval()
        self.objective: Objective = net.criterion_
        self.shared = [p for p in self.module.body.parameters() if p.requires_grad]
        if not self.shared:
            raise ValueError(
                "The tasks share no weight: the trunk has none that is trained, so there are no "
                "gradients to compare. Give it a layer, as in hidden_layer_sizes=(128,), or use "
                "methods='labels'."
            )
        self.batches = BatchIterator(rows, EVALUATION_ROWS, generator)

    def go_to(self, state: dict[str, Tensor]) -> Batch:
        """Take over weights, and draw rows.

        Parameters
        ----------
        state : dict of str to Tensor
            Of the network.

        Returns
        -------
        Batch
            Rows in the type that the measures are taken in.
        """
        self.module.load_state_dict(state)
        x, targets = next(iter(self.batches))
        y, w = (tuple(part.to(self.dtype) for part in parts) for parts in targets[:2])
        return Batch(
            x.to(self.dtype),
            BatchTargets(y, w, targets.n_labelled, targets.present),
        )

    def gradients(self, batch: Batch) -> Tensor:
        """Compute the gradient of each task's loss by the shared weights.

        Parameters
        ----------
        batch : Batch
            Rows.

        Returns
        -------
        Tensor of shape (task, weight)
            Rows of NaN for tasks without a label here.
        """
        (flat,) = task_gradients(self.module, self.objective, batch).jacobian  # of one member
        return flat.masked_fill(~batch.targets.present.unsqueeze(1), torch.nan)

    @torch.no_grad()
    def lookahead(self, batch: Batch, gradients: Tensor, lr: float) -> Tensor:
        """Compute which part of each loss a step on one task's loss takes away.

        Parameters
        ----------
        batch : Batch
            Rows.
        gradients : Tensor of shape (task, weight)
            From :meth:`gradients`.
        lr : float
            Size of the step of gradient descent, on the shared weights alone.

        Returns
        -------
        Tensor of shape (task that steps, task that benefits)
            NaN for tasks without a label here, or without a loss.
        """
        before = [parameter.clone() for parameter in self.shared]
        sizes = [parameter.numel() for parameter in self.shared]
        losses = self._losses(batch)
        affinity = gradients.new_full((len(gradients), len(gradients)), torch.nan)
        for task in torch.nonzero(batch.targets.present).flatten().tolist():
            for parameter, start, step in zip(
                self.shared, before, gradients[task].split(sizes), strict=True
            ):
                parameter.copy_(start - lr * step.view_as(start))
            affinity[task] = 1 - self._losses(batch) / losses
        for parameter, start in zip(self.shared, before, strict=True):
            parameter.copy_(start)
        can_benefit = batch.targets.present & (losses > 0)
        return affinity.masked_fill(~can_benefit, torch.nan)

    def _losses(self, batch: Batch) -> Tensor:
        losses, _ = self.objective.losses_and_gradients(self.module(batch.x), batch.targets)
        return losses.mean(0)  # (task,), over members


def draw_rows(rows: TaskData, n_rows: int, generator: torch.Generator) -> Batch:
    """Draw rows of a table as one batch.

    Parameters
    ----------
    rows : TaskData
        The table.
    n_rows : int
        How many at most.
    generator : torch.Generator
        Draws them, on the CPU.

    Returns
    -------
    Batch
        On the table's device.
    """
    order = torch.randperm(len(rows), generator=generator)[:n_rows].to(rows.y.device)
    x = rows.features(order)
    y, w = rows.y[order], rows.w[order]
    drawn = replace(rows, x=x, y=y, w=w, members=None, task_rows=None)
    return next(iter(BatchIterator(drawn, len(drawn))))


def cosines(gramian: Tensor) -> Tensor:
    """Return the cosines between gradients, NaN where one is zero or NaN.

    Parameters
    ----------
    gramian : Tensor of shape (..., task, task)
        Products of the gradients.

    Returns
    -------
    Tensor of shape (..., task, task)
        In [-1, 1].
    """
    norms = gramian.diagonal(dim1=-2, dim2=-1).sqrt()
    norms = norms.masked_fill(norms == 0, torch.nan)
    return (gramian / norms.unsqueeze(-1) / norms.unsqueeze(-2)).clamp(-1.0, 1.0)
