"""Several fits at once: which of them are members of one stack, and their training."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, cast

import torch
from sklearn.base import clone

from skmtl.estimators._building import resolve_trunk
from skmtl.estimators._callbacks import listeners
from skmtl.estimators._contents import contents
from skmtl.estimators._preparing import Given, Memo
from skmtl.estimators._training import Training, set_up, settle, train
from skmtl.layers import COPY_OF_MODULE, Dropout
from skmtl.penalties import resolve_penalties
from skmtl.training import (
    DivergedError,
    FusedAdamW,
    StackedFit,
    TaskNet,
    check_weights,
    deterministic_algorithms,
    memory_advice,
    torch_settings,
    train_stacked,
)
from skmtl.weighting import resolve_weighting

#: Rows of all members in a step, up to which a stack gains on one fit after the other.
STACKED_ROWS = 1 << 14


@dataclass(eq=False)
class Fit:
    """An estimator that is to be fitted beside others.

    Parameters
    ----------
    estimator : estimator
        Changed in place.
    given : Given
        Its data.
    memo : Memo
        Of all fits to the same data.
    error : Exception or None, default=None
        What its own `fit` would have raised.
    training : Training or None, default=None
        Its net that waits to be trained.
    was_stacked : bool, default=False
        Whether its last net was in a stack.
    seconds : float, default=0.0
        Of the training of its nets; in a stack its share, by members and epochs.
    """

    estimator: Any
    given: Given
    memo: Memo
    error: Exception | None = None
    training: Training | None = None
    was_stacked: bool = False
    seconds: float = 0.0

    @property
    def may_fit_alone(self) -> bool:
        """Whether memory that did not suffice may do for this fit alone, by its own means."""
        return self.was_stacked or self.estimator.batch_size == "halving"


@dataclass(frozen=True)
class Group:
    """Nets that are trained together.

    Parameters
    ----------
    trainings : list of Training
        The nets.
    why_single : str or None
        Why the net is trained by itself; None: it is in a stack.
    n_bytes : int
        Memory of the stack: weights, their gradients and moments, and the tensors of a step.
    """

    trainings: list[Training]
    why_single: str | None
    n_bytes: int


class Fits:
    """Fits under way, each as far as its next net.

    Parameters
    ----------
    fits : sequence of Fit
        Changed in place.
    max_memory : float or None, default=None
        Bytes that a stack may take.
    """

    def __init__(self, fits: Sequence[Fit], max_memory: float | None = None) -> None:
        self._open: list[tuple[Fit, Generator[Training]]] = []
        self._max_memory = max_memory
        for fit in (fit for fit in fits if fit.error is None):
            trainings = fit.estimator._trainings(fit.given, fit.memo)
            self._open.append((fit, trainings))
        self._advance({})

    def _advance(self, errors: dict[int, Exception]) -> None:
        """Let each fit go on to its next net, or to its end."""
        still_open = []
        for fit, trainings in self._open:
            error = errors.get(id(fit.training))
            fit.training = None
            try:
                if isinstance(error, torch.OutOfMemoryError) and fit.may_fit_alone:
                    trainings.close()
                    fit.estimator._fit(fit.given, fit.memo)
                    continue
                fit.training = next(trainings) if error is None else trainings.throw(error)
            except StopIteration:
                continue
            except Exception as raised:  # noqa: BLE001 - belongs to this fit, others go on
                fit.error = raised
                continue
            still_open.append((fit, trainings))
        self._open = still_open
        self._groups: list[Group] | None = None

    def groups(self) -> list[Group]:
        """Tell which nets are to be trained together next.

        Returns
        -------
        list of Group
            Stacks, and nets by themselves.
        """
        if self._groups is None:
            waiting = [fit.training for fit, _ in self._open if fit.training is not None]
            self._groups = grouped(waiting, self._max_memory)
        return self._groups

    def rounds(self) -> Iterator[list[Group]]:
        """Train all nets, round by round, until each fit has come to its end.

        Yields
        ------
        list of Group
            What is trained next.
        """
        with ExitStack() as cleanup:
            for _, trainings in self._open:
                cleanup.enter_context(closing(trainings))
            while self._open:
                yield self.groups()
                errors: dict[int, Exception] = {}
                seconds: dict[int, float] = {}
                stacked: set[int] = set()
                for group in self.groups():
                    start = time.perf_counter()
                    errors |= _train_group(group)
                    seconds |= _shared(time.perf_counter() - start, group.trainings)
                    if group.why_single is None:
                        stacked |= {id(training) for training in group.trainings}
                for fit, _ in self._open:
                    fit.was_stacked = id(fit.training) in stacked
                    fit.seconds += seconds[id(fit.training)]
                self._advance(errors)


def _shared(seconds: float, trainings: Sequence[Training]) -> dict[int, float]:
    """Share out the time of a group, by id: by the members of each net and the epochs it took."""
    effort = [max(1, len(t.net.history)) * t.net.module_.n_members for t in trainings]
    return {id(t): seconds * own / sum(effort) for t, own in zip(trainings, effort, strict=True)}


def grouped(trainings: Sequence[Training], max_memory: float | None = None) -> list[Group]:
    """Find nets that can be the members of one.

    Parameters
    ----------
    trainings : sequence of Training
        The nets.
    max_memory : float or None, default=None
        Bytes that a stack may take.

    Returns
    -------
    list of Group
        In the order of their first nets; settings side by side.
    """
    found: dict[Hashable, list[Training]] = {}
    why: dict[int, str | None] = {}
    for i, training in enumerate(trainings):
        why[id(training)] = reason = why_single(training)
        found.setdefault(i if reason else _kind(training), []).append(training)
    groups = []
    for alike in found.values():
        if reason := why[id(alike[0])]:
            groups.append(Group(alike, reason, 0))
            continue
        alike.sort(key=_setting)
        most, bytes_each = _most(alike[0], max_memory)
        for start in range(0, len(alike), most):
            chunk = alike[start : start + most]
            reason = "nothing to stack with" if len(alike) == 1 else None
            if len(chunk) == 1 and len(alike) > 1:
                reason = "as fast by itself" if most == 1 else "the last one of its kind"
            groups.append(Group(chunk, reason, bytes_each * len(chunk)))
    return groups


def why_single(training: Training) -> str | None:
    """Tell why a net has to be trained by itself.

    Parameters
    ----------
    training : Training
        The net.

    Returns
    -------
    str or None
        The parameter and its value; None: it can be in a stack.
    """
    estimator, net = training.estimator, training.net
    weighting = _weighting(estimator)
    names = net.module_.state_dict()
    checks = {
        "the fit goes on with a fitted net": training.like is None,
        "checkpoint": training.course.checkpoint is not None,
        "callbacks": bool(net.callbacks_) or bool(listeners(estimator)),
        "net_params": bool(estimator.net_params),
        f"optimizer={estimator.optimizer!r}": type(net.optimizer_) is not FusedAdamW,
        # Of several that draw, or learn by the optimiser, no one weighting can be made.
        f"loss_weights={estimator.loss_weights!r}": (
            (weighting.draws and net.criterion_.weighting.needs_gradients)
            or any(True for _ in net.criterion_.parameters())
        ),
        f"trunk={estimator.trunk!r}": any(COPY_OF_MODULE.search(name) for name in names),
    }
    return next((reason for reason, holds in checks.items() if holds), None)


def _weighting(estimator: Any) -> Any:
    return resolve_weighting(estimator.loss_weights, [task.name for task in estimator.tasks_])


def _batch_size(training: Training) -> int:
    size = training.net.batch_size
    n_rows: int = training.train.n_rows
    return n_rows if size == -1 else min(size, n_rows)


def _kind(training: Training) -> Hashable:
    """Return what nets have in common that can be the members of one."""
    estimator, net = training.estimator, training.net
    network = net.module_
    trunk = resolve_trunk(estimator)
    # Of the trunk's numbers, dropout may differ; where there is none, there is no such layer.
    built = {name: v for name, v in trunk.get_params().items() if name != "dropout"}
    modules = [(path, type(module)) for path, module in network.named_modules()]
    n, drops = training.train.n_rows, any(t is Dropout for _, t in modules)
    named = [
        (k, p.dtype, len(p) / network.n_members, p.shape[1:]) for k, p in network.named_parameters()
    ]
    buffers = [(k, b) for k, b in network.named_buffers() if not k.startswith("encoding.")]
    columns = None if network.encoding is None else network.encoding.columns.tolist()
    weighting = net.criterion_.weighting
    penalties = [clone(p).set_params(strength=1.0) for p in resolve_penalties(estimator.penalty)]
    return (
        contents([estimator.sharing_, type(trunk), built, estimator.activation]),
        contents([estimator.tasks_, str(net.device), estimator.n_threads, buffers, columns]),
        estimator.dtype,
        (tuple(modules), tuple(named)),
        (estimator.ema_decay, training.stops, training.valid is None),
        (net.batch_size, -(-n // _batch_size(training))),
        n if drops else None,  # masks are drawn for whole batches
        tuple(d is not None and d.is_by_task for d in (training.train, training.valid)),
        contents(estimator.loss_weights) if weighting.needs_gradients else None,
        contents(penalties),
    )


def _setting(training: Training) -> tuple[str, str]:
    """Return what nets share that are one weighting and one call of the optimiser."""
    estimator = training.estimator
    options = [estimator.lr, estimator.weight_decay]
    return _weighed(training), contents(options)


def _weighed(training: Training) -> str:
    estimator = training.estimator
    # What draws has a generator of its own.
    own = id(training) if _weighting(estimator).draws else 0
    return contents([estimator.loss_weights, estimator.penalty, own])


def _most(training: Training, max_memory: float | None) -> tuple[int, int]:
    """Return how many nets of a kind to train at once, and the bytes that each takes."""
    network = training.net.module_
    rows = _batch_size(training) * network.n_members
    itemsize = next(network.parameters()).element_size()
    weights = sum(p.numel() for p in network.parameters())
    # Weights, gradients, two moments, two averages, the best; outputs and gradients of blocks.
    n_bytes = itemsize * (7 * weights + 4 * network.row_size * rows)
    most = max(1, STACKED_ROWS // rows)
    if max_memory is not None:
        most = max(1, min(most, int(max_memory // n_bytes)))
    return most, n_bytes


def _train_group(group: Group) -> dict[int, Exception]:
    """Train the nets of a group; return the errors of those that failed, by id."""
    errors: dict[int, Exception] = {}
    if group.why_single is not None:
        for training in group.trainings:
            try:
                train(training)
            except Exception as error:  # noqa: BLE001 - belongs to this fit, others go on
                errors[id(training)] = error
        return errors
    asks = any(training.estimator.deterministic for training in group.trainings)
    n_threads = group.trainings[0].estimator.n_threads
    with torch_settings(n_threads), deterministic_algorithms(asks), ExitStack() as cleanup:
        ready: dict[float, list[Training]] = {}
        for training in group.trainings:
            try:
                cleanup.enter_context(set_up(training, []))
            except ValueError as error:
                errors[id(training)] = error
                continue
            ready.setdefault(training.net.ema_decay, []).append(training)
        for trainings in ready.values():
            try:
                with memory_advice("Give the search a lower `max_memory`, for smaller stacks."):
                    errors |= _train_stack(trainings)
            except torch.OutOfMemoryError as error:
                warnings.warn(
                    f"{error} The {len(trainings)} nets of the stack are fitted one by one.",
                    UserWarning,
                    stacklevel=2,
                )
                errors |= {id(training): error for training in trainings}
    return errors


def _train_stack(trainings: Sequence[Training]) -> dict[int, Exception]:
    fits = [
        StackedFit(t.net, t.train, t.valid, t.course.max_epochs, _like(t), _weighed(t))
        for t in trainings
    ]
    train_stacked(fits)
    errors: dict[int, Exception] = {}
    for training, fit in zip(trainings, fits, strict=True):
        try:
            if fit.error is not None:
                raise fit.error
            check_weights(training.net)
        except DivergedError as error:
            try:
                settle(training, error)
            except DivergedError as raised:
                errors[id(training)] = raised
    return errors


def _like(training: Training) -> Callable[[int], TaskNet]:
    """Return what builds a net's like: all have it but those of :func:`why_single`."""
    return cast("Callable[[int], TaskNet]", training.like)
