"""Many nets of one kind, trained as the members of one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby
from typing import Any

import torch
from torch import Tensor, nn

from skmtl.layers import Dropout, PiecewiseLinearEncoding, StackedDropout
from skmtl.penalties import StackedPenalty
from skmtl.training._average import WeightAverage
from skmtl.training._batches import BatchIterator, TaskData
from skmtl.training._callbacks import DivergedError, StopTraining
from skmtl.training._epochs import EpochSums, evaluate_epoch, train_epoch
from skmtl.training._net import TaskNet
from skmtl.training._network import Network
from skmtl.training._objective import Objective
from skmtl.training._stacked_data import Share, StackedData
from skmtl.training._stacked_optimizer import StackedAdamW
from skmtl.weighting import stacked_weightings

#: Share of a stack that has to be done before the rest moves together.
LEAST_DONE = 1 / 8


@dataclass(eq=False)
class StackedFit:
    """A net that is to be trained beside others.

    Parameters
    ----------
    net : TaskNet
        Initialised, with its callbacks; changed in place.
    train, valid : TaskData
        Its rows; no validation if the latter is None.
    max_epochs : int
        The largest number of epochs.
    like : callable
        Takes a number of members, and builds a net of this kind with that many.
    setting : hashable
        Equal for nets with the same weighting and penalties.
    error : DivergedError or None, default=None
        Set if training diverged.
    """

    net: TaskNet
    train: TaskData
    valid: TaskData | None
    max_epochs: int
    like: Callable[[int], TaskNet]
    setting: Hashable
    error: DivergedError | None = None

    @cached_property
    def n_members(self) -> int:
        """Networks of the net."""
        return int(self.net.module_.n_members)


def train_stacked(fits: Sequence[StackedFit]) -> None:
    """Train nets as the members of one, each as if it were alone.

    Each keeps its own order of rows, dropout, learning rate, weighting, history, callbacks and
    early stopping; one that is done leaves the stack.

    Parameters
    ----------
    fits : sequence of StackedFit
        Of one architecture, with as many batches in an epoch; equal settings side by side.
    """
    for fit in fits:
        fit.net.stops_ = False
        fit.net.notify("on_train_begin", X=(fit.train, fit.valid), y=None)
    stack = Stack(fits)
    try:
        while stack.fits:
            stack.run_epoch()
    finally:
        for fit in stack.running():
            stack.release(fit)


class Stack:
    """The nets that are in training, and their tensors as one.

    While a net is here, its parameters are views of the stack's, so that its callbacks see them.

    Parameters
    ----------
    fits : sequence of StackedFit
        As for :func:`train_stacked`.
    """

    def __init__(self, fits: Sequence[StackedFit]) -> None:
        self.fits = list(fits)
        self._is_done = [False] * len(fits)
        nets = [fit.net for fit in fits]
        self._weightings = [_MergedWeighting(own) for own in self._by_setting()]
        self._build()
        named = [dict(net.module_.named_parameters()) for net in nets]
        for name, parameter in self.network.named_parameters():
            parameter.data = torch.cat([own[name].data for own in named])
        names = [name for name, _ in self.network.named_parameters()]
        of_nets = [[own[name] for name in names] for own in named]
        optimizers = [net.optimizer_ for net in nets]
        self.optimizer = StackedAdamW(list(self.network.parameters()), optimizers, of_nets)
        self.average = None
        if nets[0].ema_decay:
            self.average = WeightAverage(self.network, nets[0].ema_decay)
        self._data = [StackedData([_share(fit, fit.train, draws=True) for fit in fits])]
        if fits[0].valid is not None:
            valid: Any = [fit.valid for fit in fits]
            shares = [_share(fit, v, draws=False) for fit, v in zip(fits, valid, strict=True)]
            self._data.append(StackedData(shares))
        self._sums = EpochSums()
        self._link()

    def _by_setting(self) -> list[list[StackedFit]]:
        return [list(fits) for _, fits in groupby(self.fits, lambda fit: fit.setting)]

    def _build(self) -> None:
        """Build network and objective for the nets that are here."""
        fits, sizes = self.fits, [fit.n_members for fit in self.fits]
        self.network: Network = fits[0].like(sum(sizes)).module_
        modules = [fit.net.module_ for fit in fits]
        if self.network.encoding is not None:
            encodings: list[Any] = [module.encoding for module in modules]
            self.network.encoding = PiecewiseLinearEncoding.stacked(encodings, sizes)
        for path, module in list(self.network.named_modules()):
            if isinstance(module, Dropout):
                parts: list[Any] = [own.get_submodule(path) for own in modules]
                _replace(self.network, path, StackedDropout(parts, sizes))
        groups = self._by_setting()
        of_groups = [sum(fit.n_members for fit in group) for group in groups]
        weighting = stacked_weightings([own.module for own in self._weightings], of_groups)
        likes = [group[0].like(n).criterion_ for group, n in zip(groups, of_groups, strict=True)]
        penalties = zip(*(like.penalties for like in likes), strict=True)
        self.objective = Objective(
            likes[0].layout, weighting, [StackedPenalty(parts, of_groups) for parts in penalties]
        ).to(next(self.network.parameters()))

    def _link(self) -> None:
        """Make the nets' parameters and buffers views of the stack's."""
        for fit, (start, stop) in zip(self.fits, self._places(), strict=True):
            own = dict(fit.net.module_.named_parameters())
            for name, parameter in self.network.named_parameters():
                copies = len(parameter) // self.n_members
                own[name].data = parameter.data[start * copies : stop * copies]
        for weighting in self._weightings:
            weighting.link(self.fits)

    @property
    def n_members(self) -> int:
        """Networks of all nets."""
        return sum(fit.n_members for fit in self.fits)

    def _places(self) -> Iterator[tuple[int, int]]:
        stops = list(accumulate(fit.n_members for fit in self.fits))
        return zip([0, *stops], stops, strict=False)

    def run_epoch(self) -> None:
        """Train all nets for an epoch, and let go of those that are done."""
        for fit in self.running():
            fit.net.notify("on_epoch_begin", dataset_train=fit.train, dataset_valid=fit.valid)
        average = self.average
        batches = self._batches(0, self.fits[0].net.batch_size, torch.Generator())
        with nullcontext() if average is None else average.raw():
            train_epoch(
                self.network, self.objective, self.optimizer, batches, self._sums,
                None if average is None else average.update,
            )  # fmt: skip
        self._sums.end(self.objective)
        self._record("train")
        if len(self._data) > 1:
            rows = max(self.fits[0].net.batch_size, self.network.evaluation_rows)
            evaluate_epoch(self.network, self.objective, self._batches(1, rows), self._sums)
            self._record("valid")
        running = self.running()
        for weighting in self._weightings:
            weighting.link(running)
        for i, fit in enumerate(self.fits):
            if not self._is_done[i]:
                self._is_done[i] = self._end_epoch(fit)
        if sum(self._is_done) >= LEAST_DONE * len(self.fits):
            self._keep([i for i, is_done in enumerate(self._is_done) if not is_done])

    def _end_epoch(self, fit: StackedFit) -> bool:
        """End an epoch of a net, and its fit if it is over, which it returns."""
        net, is_over = fit.net, True
        try:
            with suppress(StopTraining):
                net.notify("on_epoch_end", dataset_train=fit.train, dataset_valid=fit.valid)
                is_over = len(net.history) >= fit.max_epochs
        except DivergedError as error:
            fit.error = error
        if is_over:
            self.release(fit)  # first: the best weights come back into tensors of its own
            if fit.error is None:
                net.notify("on_train_end", X=(fit.train, fit.valid), y=None)
        return is_over

    def running(self) -> list[StackedFit]:
        """Return the nets that are not done."""
        return [f for f, is_done in zip(self.fits, self._is_done, strict=True) if not is_done]

    def _batches(
        self, which: int, batch_size: int, generator: torch.Generator | None = None
    ) -> BatchIterator:
        size = batch_size if batch_size > 0 else self._data[which].n_rows
        return BatchIterator(self._data[which], size, generator)

    def _record(self, prefix: str) -> None:
        epochs = self._sums.read([fit.net for fit in self.fits])
        for fit, epoch, is_done in zip(self.fits, epochs, self._is_done, strict=True):
            if not is_done:
                fit.net.history.new_batch()
                fit.net.record_epoch(epoch, prefix)

    def release(self, fit: StackedFit) -> None:
        """Give a net tensors of its own again, and the state of its optimiser.

        Parameters
        ----------
        fit : StackedFit
            In the stack.
        """
        i = self.fits.index(fit)
        start, stop = list(self._places())[i]
        own = dict(fit.net.module_.named_parameters())
        stacked = zip(
            self.network.named_parameters(), self.optimizer.steps, self.optimizer.means,
            self.optimizer.squares, strict=True,
        )  # fmt: skip
        for (name, _), step, mean, square in stacked:
            copies = len(mean) // self.n_members
            rows = slice(start * copies, stop * copies)
            own[name].data = own[name].data.clone()
            fit.net.optimizer_.state[own[name]] = {
                "step": step.clone(),
                "exp_avg": mean[rows].clone(),
                "exp_avg_sq": square[rows].clone(),
            }
        for weighting in self._weightings:
            weighting.release(fit)

    def _keep(self, chosen: list[int]) -> None:
        """Go on with some of the nets, in tensors that hold no others."""
        if not chosen:
            self.fits, self._is_done = [], []
            return
        places = list(self._places())
        members = torch.cat([torch.arange(*places[i]) for i in chosen])
        before, n_before = dict(self.network.named_parameters()), self.n_members
        self.fits = [self.fits[i] for i in chosen]
        self._is_done = [False] * len(chosen)
        for data in self._data:
            data.keep(chosen)
        for weighting in self._weightings:
            weighting.keep(self.fits)
        self._weightings = [weighting for weighting in self._weightings if weighting.fits]
        self._build()
        names = [name for name, _ in self.network.named_parameters()]
        rows = {name: _rows_of(members, before[name], n_before) for name in names}
        for name, parameter in self.network.named_parameters():
            parameter.data = before[name].data[rows[name]]
        self.optimizer.keep(list(self.network.parameters()), [rows[name] for name in names])
        if self.average is not None:
            self.average.keep(list(self.network.parameters()), [rows[name] for name in names])
        self._link()


def _share(fit: StackedFit, data: TaskData, *, draws: bool) -> Share:
    return Share(data, fit.n_members, fit.net.generator if draws else None)


def _rows_of(members: Tensor, tensor: Tensor, n_members: int) -> Tensor:
    """Return the entries of the leading axis, copies within members, that members have."""
    copies = len(tensor) // n_members
    rows = members.unsqueeze(1) * copies + torch.arange(copies)
    return rows.flatten().to(tensor.device)


def _replace(network: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)


class _MergedWeighting:
    """One weighting for nets of the same setting, with the state of each."""

    def __init__(self, fits: Sequence[StackedFit]) -> None:
        self.fits = list(fits)
        own = [fit.net.criterion_.weighting for fit in fits]
        self._leading: list[str] = []
        if len(own) == 1:
            self.module = own[0]
            return
        n_members = sum(fit.n_members for fit in fits)
        self.module = fits[0].like(n_members).criterion_.weighting
        buffers = [dict(module.named_buffers()) for module in own]
        # State by members has its first axis for them; all else is the same for all.
        self._leading = [
            name for name, b in self.module.named_buffers() if b.shape != buffers[0][name].shape
        ]
        for name in self._leading:
            _set_buffer(self.module, name, torch.cat([named[name] for named in buffers]))

    def link(self, fits: Sequence[StackedFit]) -> None:
        """Make the buffers of nets that are in training views of these."""
        start = 0
        for fit in self.fits:
            stop = start + fit.n_members
            own = fit.net.criterion_.weighting
            for name, buffer in self.module.named_buffers():
                if own is not self.module and fit in fits:
                    is_leading = name in self._leading
                    _set_buffer(own, name, buffer[start:stop] if is_leading else buffer)
            start = stop

    def release(self, fit: StackedFit) -> None:
        """Give a net a weighting of its own, as far on as the others."""
        own = fit.net.criterion_.weighting
        if fit not in self.fits or own is self.module:
            return
        theirs = {name: own.get_buffer(name).clone() for name in self._leading}
        alone = copy.deepcopy(self.module)
        for name, buffer in theirs.items():
            _set_buffer(alone, name, buffer)
        fit.net.criterion_.weighting = alone

    def keep(self, fits: Sequence[StackedFit]) -> None:
        """Go on with some of the nets."""
        stops = list(accumulate(fit.n_members for fit in self.fits))
        spans = zip(self.fits, [0, *stops], stops, strict=False)
        rows = [torch.arange(a, b) for fit, a, b in spans if fit in fits]
        self.fits = [fit for fit in self.fits if fit in fits]
        for name in self._leading if rows else ():
            buffer = self.module.get_buffer(name)
            _set_buffer(self.module, name, buffer[torch.cat(rows).to(buffer.device)])


def _set_buffer(module: nn.Module, path: str, value: Tensor) -> None:
    parent, _, name = path.rpartition(".")
    module.get_submodule(parent)._buffers[name] = value
