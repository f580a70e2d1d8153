"""One epoch: the loop over its batches, and what is noted of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skmtl.training._backward import autograd_backward
from skmtl.training._batches import Batch
from skmtl.training._network import Network
from skmtl.training._objective import Objective
from skmtl.training._written import WrittenBackward


class Epoch(NamedTuple):
    """Means of an epoch: by task, and combined."""

    losses: dict[str, float]
    weights: dict[str, float]
    total: float


class EpochSums:
    """Running sums over the batches of one epoch, on the device until they are read."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None

    def add(self, losses: Tensor, n_labelled: Tensor, weights: Tensor | None = None) -> None:
        """Add a batch.

        Parameters
        ----------
        losses : Tensor of shape (member, task)
            Mean losses.
        n_labelled : Tensor of shape (task,) or (member, task)
            Labelled cells that they are means of.
        weights : Tensor of shape (member, task) or None, default=None
            The ``a_t`` in force, if they are to be noted.
        """
        losses = losses.detach()
        if self._sums is None:
            self._sums, self._counts = losses * n_labelled, n_labelled.clone()
            self._weights = None if weights is None else weights * n_labelled
            return
        self._sums.addcmul_(losses, n_labelled)
        self._counts += n_labelled
        if weights is not None and self._weights is not None:
            self._weights.addcmul_(weights, n_labelled)

    def end(self, objective: Objective) -> None:
        """Show an epoch of training to the weighting.

        Parameters
        ----------
        objective : Objective
            Whose weighting looks at epochs.
        """
        if self._sums is None:
            return
        with torch.no_grad():
            means = self._sums / self._counts.clamp_min(1)
            objective.weighting.end_epoch(means, self._counts > 0)

    def read(self, nets: Sequence[Any]) -> list[Epoch]:
        """Return the means of tasks that have labels, and their combination; start anew.

        Parameters
        ----------
        nets : sequence of TaskNet
            Whose members the sums are of, one net after the other.

        Returns
        -------
        list of Epoch
            By net.
        """
        if self._sums is None:
            return [Epoch({}, {}, float("nan"))] * len(nets)
        counts = self._counts.expand_as(self._sums)  # (member, task)
        sizes = [net.module_.n_members for net in nets]
        n_labels, sums = _by_net(counts, sizes), _by_net(self._sums, sizes)  # (net, task)
        pooled = sums / n_labels.clamp_min(1)
        noted, self._weights = self._weights, None
        weights = pooled if noted is None else _by_net(noted, sizes) / n_labels.clamp_min(1)
        weightings = [net.criterion_.weighting for net in nets]
        rows = [
            weighting.weights[0].to(own) if weighting.is_constant else own
            for weighting, own in zip(weightings, weights.unbind(), strict=True)
        ]
        self._sums = None
        numbers = torch.stack([pooled, n_labels, torch.stack(rows)]).double().cpu()  # one transfer
        return [
            _epoch(net.criterion_, *numbers[:, i], is_noted=noted is not None)
            for i, net in enumerate(nets)
        ]


def _by_net(values: Tensor, sizes: Sequence[int]) -> Tensor:
    """Add up the members of each net."""
    if len(sizes) == 1:
        return values.sum(0, keepdim=True)
    return torch.stack([part.sum(0) for part in values.split(sizes)])


def _epoch(
    objective: Objective, pooled: Tensor, n_labels: Tensor, weights: Tensor, *, is_noted: bool
) -> Epoch:
    names, pairs = objective.layout.names, zip(pooled.tolist(), n_labels.tolist(), strict=True)
    losses = {n: loss for n, (loss, k) in zip(names, pairs, strict=True) if k}
    if objective.weighting.is_constant:
        # Weights that change would make epochs incomparable: then the plain sum.
        return Epoch(losses, {}, float(weights @ pooled))
    by_name = dict(zip(names, weights.tolist(), strict=True)) if is_noted else {}
    return Epoch(losses, {n: by_name[n] for n in losses if is_noted}, float(pooled.sum()))


def train_epoch(
    network: Network,
    objective: Objective,
    optimizer: Any,
    batches: Iterable[Batch],
    sums: EpochSums,
    after_step: Callable[[], None] | None = None,
) -> None:
    """Take a step for each batch.

    Parameters
    ----------
    network : Network
        Changed in place.
    objective : Objective
        Losses, weighting and penalties.
    optimizer : object
        With ``zero_grad`` and ``step``.
    batches : iterable of Batch
        Rows of the epoch.
    sums : EpochSums
        Takes notes.
    after_step : callable or None, default=None
        Called after each step.
    """
    network.train()
    objective.train()
    written = WrittenBackward.of(network, objective)
    backward = written or autograd_backward(network, objective)
    is_constant = objective.weighting.is_constant
    for batch in batches:
        optimizer.zero_grad()
        step = backward(*batch)
        optimizer.step()
        if after_step is not None:
            after_step()
        look_back(network, objective, batch)
        n_labelled = batch.targets.n_labelled
        sums.add(step.losses, n_labelled, None if is_constant else step.weights)


def look_back(network: Network, objective: Objective, batch: Batch) -> None:
    """Show the losses of a batch after the step to a weighting that asks for them.

    Parameters
    ----------
    network : Network
        After the step.
    objective : Objective
        Whose weighting may ask.
    batch : Batch
        The batch of the step.
    """
    weighting = objective.weighting
    if weighting.needs_losses_after_step:
        with torch.no_grad():
            z = network(*batch)
            losses, _ = objective.mean_losses_and_gradients(z, batch.targets, network)
        weighting.after_step(losses, batch.targets.present)


@torch.inference_mode()
def evaluate_epoch(
    network: Network, objective: Objective, batches: Iterable[Batch], sums: EpochSums
) -> None:
    """Measure losses.

    Parameters
    ----------
    network : Network
        To be judged as it would predict.
    objective : Objective
        Losses.
    batches : iterable of Batch
        Rows.
    sums : EpochSums
        Takes notes.
    """
    network.eval()
    objective.eval()
    for x, targets in batches:
        z = objective.ensemble(network(x), network.n_submodels)
        losses, _ = objective.losses_and_gradients(z, targets)
        sums.add(losses, targets.n_labelled)
