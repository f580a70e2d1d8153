"""Aggregators, weightings and scalarizers of TorchJD."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args, get_origin

import torch
from torch import Tensor, nn

from skmtl._optional import require
from skmtl._strategy import strategies
from skmtl.layers import Seeds, check_choice, global_generators
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._gradients import Direction, TaskGradients
from skmtl.weighting._gramian import WRT

#: Our methods for those of TorchJD, where the names differ.
_OURS = {"uw": "uncertainty"}


class TorchJD(Weighting):
    """An object of TorchJD, for methods that this package does not have.

    An ``Aggregator`` or a ``Weighting`` reads the gradients of the batch's tasks, or their
    Gramian; a ``Scalarizer`` reads their losses.  ``loss_weights=torchjd.aggregation.MGDA()``
    means ``TorchJD(MGDA())``.

    Parameters
    ----------
    weighting : object
        An object of ``torchjd.aggregation`` or ``torchjd.scalarization``, or of a class derived
        from one of theirs.  It is copied, and itself not changed.
    wrt : {"auto", "representation", "parameters"}, default="auto"
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.  Without effect for a
        ``Scalarizer``.

    Attributes
    ----------
    needs_gradients : bool
        Whether the object is no ``Scalarizer``.

    Notes
    -----
    Needs the extra ``skmtl[torchjd]``.  Weights are what the object gives, which for many of
    TorchJD's is on the scale of the mean of the losses, not of their sum.  Where an
    ``Aggregator`` gives a direction but no weights, the recorded ones are 1.

    Objects see the tasks of the batch alone, in the order of the columns of y.  Those that keep
    something from batch to batch (``torchjd.Stateful``) know their tasks by position and thus
    need labels of all tasks in each batch; the methods of this package do not.  Parameters
    (``UW``, ``IMTLL``) are trained by the network's optimiser; ``update`` (``FAMO``) is called
    after each step and ``step`` (``DWA``) after each epoch.

    References
    ----------
    P. Quinton, V. Rey: Jacobian Descent for Multi-Objective Optimization, 2024,
    arXiv:2406.16232 (the library).

    Examples
    --------
    >>> from torchjd.aggregation import MGDA
    >>> from skmtl.weighting import TorchJD
    >>> TorchJD(MGDA())
    TorchJD(weighting=MGDA(epsilon=0.001, max_iters=100))
    """

    alias = "torchjd"
    draws = True

    def __init__(self, weighting: Any, wrt: str = "auto") -> None:
        self.weighting = weighting
        self.wrt = wrt

    @property
    def needs_gradients(self) -> bool:
        """Whether the object is no ``Scalarizer``."""
        return not isinstance(self.weighting, _scalarization().Scalarizer)

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        aggregation, scalarization = _aggregation(), _scalarization()
        return [
            {"weighting": aggregation.MGDA()},
            {"weighting": aggregation.PCGradWeighting(), "wrt": "parameters"},
            {"weighting": aggregation.Random()},
            {"weighting": aggregation.ConFIG()},
            {"weighting": scalarization.STCH(mu=0.5)},
            {"weighting": scalarization.Random()},
        ]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module around copies of the object, one per member.

        Parameters
        ----------
        layout : Layout
            The tasks.
        n_members : int
            Number of networks.
        seeds : Seeds
            Seeds what the object draws from torch's global generator.

        Returns
        -------
        WeightingModule
            Reads gradients, or losses if the object is a ``Scalarizer``.

        Raises
        ------
        TypeError
            If it is no such object.
        ValueError
            If nothing tells what the object reads.
        """
        wrt = check_choice(self.wrt, "wrt", WRT)
        kinds = (_aggregation().Aggregator, _aggregation().Weighting, _scalarization().Scalarizer)
        if not isinstance(self.weighting, kinds):
            raise TypeError(
                "Parameter `weighting` of TorchJD must be an Aggregator, Weighting or Scalarizer "
                f"object of torchjd. Found `weighting = {self.weighting!r}`."
            )
        generator = torch.Generator().manual_seed(seeds.draw())
        calls = _Calls(self.weighting, layout, n_members, generator)
        if not self.needs_gradients:
            return _TorchJDScalarizer(calls)
        return _TorchJD(calls, wrt)


class _Calls(nn.Module):
    """Copies of an object, one per member, called with what belongs to the batch's tasks."""

    def __init__(
        self, weighting: nn.Module, layout: Any, n_members: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(copy.deepcopy(weighting) for _ in range(n_members))
        self.names = layout.names
        # Tasks in the user's order, in which vectors inside the object are written.
        self.tasks = sorted(range(layout.n_tasks), key=layout.order.__getitem__)
        self.generator = generator
        stateful = require("torchjd", "torchjd").Stateful
        self.is_stateful = any(isinstance(part, stateful) for part in weighting.modules())

    def positions(self, present: Tensor) -> list[list[int]]:
        """Return which tasks are in the batch of each member, in the user's order."""
        by_member = present.expand(len(self.members), -1).tolist()
        found = [[task for task in self.tasks if is_present[task]] for is_present in by_member]
        for positions in found:
            if self.is_stateful and positions and len(positions) < len(self.names):
                raise ValueError(self._lacking(positions))
        return found

    @contextmanager
    def drawing(
        self, found: list[list[int]], device: torch.device, *, moves: bool
    ) -> Iterator[Callable[[int], None]]:
        """Let objects draw from the generator, and tell of tasks that they cannot do without."""
        try:
            with _drawing(self.generator, device, moves=moves) as turn_to:
                yield turn_to
        except (ValueError, RuntimeError) as error:
            names = [self.names[task] for task in self.tasks]
            complaint = f"{self.name} of TorchJD does not take the tasks {names}."
            fewest = min(found, key=len)
            if len(fewest) < len(self.names):
                complaint = self._lacking(fewest)
            raise ValueError(f"{complaint} It says: {error}") from error

    @property
    def name(self) -> str:
        """What the object is called."""
        return type(self.members[0]).__name__

    def _lacking(self, positions: list[int]) -> str:
        absent = [self.names[task] for task in self.tasks if task not in positions]
        ours = {cls.__name__.lower(): alias for alias, cls in strategies(Weighting).items()} | _OURS
        alias = ours.get(self.name.removesuffix("Weighting").lower())
        remedy = "a method of skmtl.weighting" if alias is None else f"`loss_weights={alias!r}`"
        return (
            f"{self.name} of TorchJD needs labels of all tasks in each batch. Found a batch "
            f"without a label of {', '.join(map(repr, absent))}. Use {remedy}, which does "
            "without, or a larger `batch_size`."
        )


@contextmanager
def _drawing(
    generator: torch.Generator, device: torch.device, *, moves: bool
) -> Iterator[Callable[[int], None]]:
    """Let torch's global generators follow another one, and then be as they were.

    What is yielded turns to the numbers of a member, which are its own: none depends on what
    the others have drawn.
    """
    state = generator.get_state()
    seed = int(torch.randint(2**62, (), generator=generator))
    if not moves:
        generator.set_state(state)
    with global_generators(device) as seed_with:
        yield lambda member: seed_with(seed + member)


class _TorchJD(WeightingModule):
    needs_gradients = True
    weights: Tensor

    def __init__(self, calls: _Calls, wrt: str) -> None:
        super().__init__()
        self.calls = calls
        self.wrt = wrt
        self._read = _reader_of(calls.members[0])
        self.register_buffer("weights", torch.ones(len(calls.members), len(calls.names)))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        return (self.weights * losses * present).sum(1)

    def direction(self, losses: Tensor, present: Tensor, gradients: TaskGradients) -> Direction:
        positions = self.calls.positions(present)
        if not losses.isfinite().all():
            # The fit diverges, and says so at the end of the epoch.
            return Direction(self.weights * present)
        found = torch.zeros_like(losses)
        vectors: list[Tensor | None] = [None] * len(losses)
        with self.calls.drawing(positions, losses.device, moves=True) as turn_to, torch.no_grad():
            for i, member in enumerate(self.calls.members):
                if positions[i]:
                    turn_to(i)
                    weights, vectors[i] = self._read(member, gradients, i, positions[i])
                    found[i, positions[i]] = weights.to(found)
        self.weights = torch.where(present, found, self.weights)
        return Direction(found, _stacked(vectors))


def _stacked(vectors: list[Tensor | None]) -> Tensor | None:
    """Stack the directions of the members, zero for one without a task; None: there are none."""
    like = next((vector for vector in vectors if vector is not None), None)
    if like is None:
        return None
    return torch.stack([torch.zeros_like(like) if v is None else v for v in vectors])


#: What an object makes of the gradients of some tasks, for one member.
_Reader = Callable[[nn.Module, TaskGradients, int, list[int]], tuple[Tensor, Tensor | None]]


def _reader_of(weighting: nn.Module) -> _Reader:
    """Choose what to call of an object, and with what."""
    aggregation = _aggregation()
    if isinstance(weighting, aggregation.GramianWeightedAggregator):
        return _read_gramian_of_aggregator
    if isinstance(weighting, aggregation.WeightedAggregator):
        return _read_rows_of_aggregator
    if isinstance(weighting, aggregation.Aggregator):
        return _read_rows_to_vector
    linalg = require("torchjd.linalg", "torchjd")
    reads = _statistic_of(weighting, aggregation.Weighting)
    if reads is linalg.PSDMatrix:
        return _read_gramian
    if reads is linalg.Matrix:
        return _read_rows
    raise ValueError(
        f"Nothing tells whether {type(weighting).__name__} reads gradients or their Gramian. Wrap "
        "it in a WeightedAggregator or a GramianWeightedAggregator of torchjd.aggregation."
    )


def _statistic_of(weighting: Any, base: type) -> Any:
    """Return the ``X`` of the ``Weighting[X]`` that a class is derived from."""
    for cls in type(weighting).__mro__:
        for origin in getattr(cls, "__orig_bases__", ()):
            if get_origin(origin) is base:
                return get_args(origin)[0]
    return None


def _read_gramian(
    weighting: nn.Module, gradients: TaskGradients, member: int, positions: list[int]
) -> tuple[Tensor, None]:
    return weighting(gradients.gramian[member][positions][:, positions]), None


def _read_rows(
    weighting: nn.Module, gradients: TaskGradients, member: int, positions: list[int]
) -> tuple[Tensor, None]:
    return weighting(gradients.jacobian[member][positions]), None


def _read_gramian_of_aggregator(
    aggregator: Any, gradients: TaskGradients, member: int, positions: list[int]
) -> tuple[Tensor, None]:
    return _read_gramian(aggregator.gramian_weighting, gradients, member, positions)


def _read_rows_of_aggregator(
    aggregator: Any, gradients: TaskGradients, member: int, positions: list[int]
) -> tuple[Tensor, None]:
    return _read_rows(aggregator.weighting, gradients, member, positions)


def _read_rows_to_vector(
    aggregator: nn.Module, gradients: TaskGradients, member: int, positions: list[int]
) -> tuple[Tensor, Tensor]:
    rows = gradients.jacobian[member][positions]
    return rows.new_ones(len(positions)), aggregator(rows)


class _TorchJDScalarizer(WeightingModule):
    def __init__(self, calls: _Calls) -> None:
        super().__init__()
        self.calls = calls

    @property
    def needs_losses_after_step(self) -> bool:
        """Whether the object has an ``update``."""
        return callable(getattr(self.calls.members[0], "update", None))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        # Some scalarizers remember each call: copies, which share the parameters alone.
        shared = {id(parameter): parameter for parameter in self.calls.parameters()}
        members = [copy.deepcopy(member, dict(shared)) for member in self.calls.members]
        return self._call(members, losses, present, moves=False)

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = losses.detach().requires_grad_()
            total = self._call(list(self.calls.members), leaf, present, moves=True).sum()
            if total.requires_grad:
                total.backward()
        return torch.zeros_like(losses) if leaf.grad is None else leaf.grad

    def _call(
        self, members: list[nn.Module], losses: Tensor, present: Tensor, *, moves: bool
    ) -> Tensor:
        positions = self.calls.positions(present)
        totals = []
        with self.calls.drawing(positions, losses.device, moves=moves) as turn_to:
            for i, (member, own) in enumerate(zip(members, positions, strict=True)):
                turn_to(i)
                totals.append(member(losses[i, own]) if own else 0 * losses[i].sum())
        return torch.stack(totals)

    def end_epoch(self, losses: Tensor, present: Tensor) -> None:
        for member in self.calls.members:
            step = getattr(member, "step", None)
            if callable(step):
                step()

    def after_step(self, losses: Tensor, present: Tensor) -> None:
        positions = self.calls.positions(present)
        for member, values, own in zip(self.calls.members, losses, positions, strict=True):
            if own:
                update: Any = member.update
                update(values[own])


def _aggregation() -> Any:
    return require("torchjd.aggregation", "torchjd")


def _scalarization() -> Any:
    return require("torchjd.scalarization", "torchjd")
