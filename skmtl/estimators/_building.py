"""The estimator's parameters -> network, objective and skorch net."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from skmtl._numbers import is_number
from skmtl._strategy import resolve, strategies
from skmtl.estimators._batch_size import choose_batch_size
from skmtl.heads import HeadSpec, Layout
from skmtl.layers import UNWEIGHTED, Inputs, PiecewiseLinearEncoding, Seeds
from skmtl.penalties import L21, resolve_penalties
from skmtl.tasks import Task
from skmtl.training import (
    EpochHook,
    NetworkSpec,
    Objective,
    TaskNet,
    choose_wrt,
    resolve_optimizer,
    split_callbacks,
)
from skmtl.trunks import MLP, ModuleTrunk, Trunk
from skmtl.weighting import resolve_weighting

#: Bins of a number with ``n_bins="auto"``, for so many numbers at most, and bins in all.  A number
#: of few values has fewer: hundreds of counts, mostly 0, make little more columns than they are.
N_BINS = 8
MOST_BINNED = 4096
MOST_BINS = 4096


def build_net(
    estimator: Any,
    inputs: Inputs,
    tasks: tuple[Task, ...],
    n_rows: int,
    most_labels: Callable[[], int],
    seeds: Seeds,
    encoding: PiecewiseLinearEncoding | None = None,
) -> TaskNet:
    """Build network, objective and skorch net from the estimator's parameters.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read, and the sharing scheme in ``sharing_``.
    inputs : Inputs
        What is known of the encoded features.
    tasks : tuple of Task
        The tasks.
    n_rows : int
        Number of training rows, for ``batch_size="auto"``.
    most_labels : callable
        Returns how many of them have a label of the task that has most, for the same.
    seeds : Seeds
        Sources of randomness.
    encoding : PiecewiseLinearEncoding or None, default=None
        What the features go through before the trunk.

    Returns
    -------
    TaskNet
        Not yet initialised.
    """
    layout = layout_of(tasks)
    device = choose_device(estimator.device)
    dtype = getattr(torch, width_of(estimator.dtype))
    spec = NetworkSpec(
        estimator.sharing_,
        resolve_trunk(estimator),
        estimator.head_layer_sizes,
        estimator.activation,
        encoding,
    )
    objective = _objective(estimator, tasks, layout, seeds)
    network = spec.build(inputs, layout, seeds, estimator.n_members_)
    network.mixed_precision = estimator.dtype == "bfloat16"
    if objective.weighting.needs_gradients:
        choose_wrt(network, objective.weighting)  # tells at once if there is nothing to compare
    return TaskNet(
        network.to(device=device, dtype=dtype),
        criterion=objective.to(device=device, dtype=dtype),
        generator=seeds.shuffle,
        **_settings(
            estimator,
            network.mixing,
            device,
            choose_batch_size(estimator, network, n_rows, most_labels),
        ),
    )


def rebuild_net(estimator: Any, parts: dict[str, Any]) -> TaskNet:
    """Build a net around a network that was trained before.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read.
    parts : dict
        From ``TaskNet.parts``.

    Returns
    -------
    TaskNet
        Initialised.
    """
    device = choose_device(estimator.device)
    network, objective = parts["module"].to(device), parts["criterion"].to(device)
    settings = _settings(estimator, network.mixing, device, parts["batch_size"])
    net = TaskNet(network, criterion=objective, generator=parts["generator"], **settings)
    return net.initialize().take(parts)


def _settings(
    estimator: Any, undecayed: tuple[str, ...], device: torch.device, batch_size: int
) -> dict[str, Any]:
    """Turn the estimator's parameters into those of the skorch net."""
    callbacks, _ = split_callbacks(estimator.callbacks)
    return {
        # A callback or a parameter of skorch may look into the optimiser, our own do not.
        **optimizer_settings(
            estimator,
            undecayed,
            needs_torch_optim=bool(estimator.net_params)
            or not all(isinstance(callback, EpochHook) for callback in callbacks),
        ),
        "lr": estimator.lr,
        "max_epochs": estimator.max_epochs,
        "callbacks": callbacks,
        "batch_size": batch_size,
        "device": str(device),
        **(estimator.net_params or {}),
    }


def _objective(estimator: Any, tasks: tuple[Task, ...], layout: Layout, seeds: Seeds) -> Objective:
    """Build losses, weighting and penalties."""
    names, n_members = [task.name for task in tasks], estimator.n_members_
    weighting = resolve_weighting(estimator.loss_weights, names).build(layout, n_members, seeds)
    penalties = [p.build(layout, n_members) for p in resolve_penalties(estimator.penalty)]
    return Objective(layout, weighting, penalties)


def optimizer_settings(
    estimator: Any, undecayed: tuple[str, ...] = (), *, needs_torch_optim: bool
) -> dict[str, Any]:
    """Turn ``optimizer`` and ``weight_decay`` into settings of the skorch net.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read.
    undecayed : tuple of str, default=()
        Parameters that weight decay shall leave alone, beside biases.
    needs_torch_optim : bool
        Whether the optimiser has to be one of torch.optim.

    Returns
    -------
    dict
        ``optimizer`` and its options.

    Raises
    ------
    ValueError
        If the optimiser is unknown, or knows no weight decay and there shall be some.
    """
    optimizer, options = resolve_optimizer(estimator.optimizer, needs_torch_optim=needs_torch_optim)
    if "weight_decay" in inspect.signature(optimizer).parameters:
        # Given in any case: torch's AdamW decays by 0.01 if nothing is said.
        options["weight_decay"] = estimator.weight_decay
        if estimator.weight_decay:
            # Decay pulls the network's weights towards zero, not biases, and not what a
            # weighting learns.
            patterns = [*(f"*{name}" for name in UNWEIGHTED), *undecayed, "weighting.*"]
            options["param_groups"] = [(pattern, {"weight_decay": 0.0}) for pattern in patterns]
    elif estimator.weight_decay:
        raise ValueError(
            f"`weight_decay = {estimator.weight_decay!r}` has no effect with {optimizer.__name__}. "
            "Use another optimiser, or an L2 penalty."
        )
    return {
        "optimizer": optimizer,
        **{f"optimizer__{name}": value for name, value in options.items()},
    }


def width_of(dtype: str) -> str:
    """Tell the type of features, weights and losses.

    Parameters
    ----------
    dtype : {"float32", "float64", "bfloat16"}
        The estimator's parameter.

    Returns
    -------
    {"float32", "float64"}
        In bfloat16 products alone are computed, of what is kept in float32.
    """
    return "float32" if dtype == "bfloat16" else dtype


def choose_bins(estimator: Any, numbers: tuple[int, ...] | None, *, is_sparse: bool) -> int:
    """Choose into how many bins the values of a number are parted.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read.
    numbers : tuple of int or None
        Columns that hold numbers; None: all, as they came.
    is_sparse : bool
        Whether the features are sparse.

    Returns
    -------
    int
        ``n_bins``; for ``"auto"`` 8, or 0 where the network shall read the numbers alone: without
        preprocessing, in a linear model, behind embeddings of its own, in a trunk of the user's,
        under a penalty that judges single inputs, and of very many numbers.  Where ``MOST_BINS``
        is exceeded there are none, either.

    Raises
    ------
    ValueError
        If the trunk takes no tables.
    """
    trunk = resolve_trunk(estimator)
    if estimator.n_bins != "auto":
        if estimator.n_bins and trunk.takes_arrays:
            raise ValueError(
                f"`n_bins = {estimator.n_bins!r}` needs tables, and the trunk {trunk!r} takes arrays. "
                "Set `n_bins='auto'` or 0."
            )
        return int(estimator.n_bins)
    reads_numbers = trunk.takes_arrays or getattr(trunk, "num_embeddings", "own") is not None
    is_linear = not getattr(trunk, "hidden_layer_sizes", True)
    if numbers is None or is_sparse or reads_numbers or is_linear:
        return 0
    if any(isinstance(p, L21) for p in resolve_penalties(estimator.penalty)):
        return 0
    return N_BINS if len(numbers) <= MOST_BINNED else 0


def layout_of(tasks: tuple[Task, ...]) -> Layout:
    """Lay out the heads of the tasks.

    Parameters
    ----------
    tasks : tuple of Task
        In the user's order.

    Returns
    -------
    Layout
        Their rows in the network.
    """
    specs = [
        HeadSpec(t.name, str(t.kind), t.n_columns, t.n_classes, t.loss, tuple(t.quantiles))
        for t in tasks
    ]
    return Layout.of(specs)


def resolve_trunk(estimator: Any) -> Trunk:
    """Turn ``trunk`` and the flat parameters for it into a trunk.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read.

    Returns
    -------
    Trunk
        The object that stands for the choice.

    Raises
    ------
    ValueError
        If a trunk object and flat parameters contradict each other.
    """
    trunk = _wrapped(estimator.trunk)
    defaults = MLP().get_params()
    flat = {name: getattr(estimator, name) for name in defaults if hasattr(estimator, name)}
    changed = {k: v for k, v in flat.items() if not _same(v, defaults[k])}
    taken = strategies(Trunk).get(trunk) if isinstance(trunk, str) else None
    takes = set() if taken is None else set(inspect.signature(taken).parameters)
    idle = [] if isinstance(trunk, str) and taken is None else sorted(set(changed) - takes)
    if estimator.head_layer_sizes != () and "activation" in idle:
        idle.remove("activation")  # the heads read it too
    if idle and (taken is not None or isinstance(trunk, Trunk)):  # else `resolve` tells
        name, value = idle[0], changed[idle[0]]
        remedy = "Set it on the object" if taken is None else f"Pass {taken.__name__}(...)"
        raise ValueError(
            f"`trunk = {trunk!r}` has parameters of its own, so `{name} = {value!r}` would have no "
            f"effect. {remedy}, or search over `trunk__...`."
        )
    return resolve(trunk, Trunk, "trunk", **flat)


def _wrapped(trunk: Any) -> Any:
    """Return a trunk around a class or function that makes modules; all else as it is."""
    if isinstance(trunk, torch.nn.Module):
        raise TypeError(
            "Parameter `trunk` must make modules, since a fit starts from fresh weights: pass a "
            f"class or a function. Found a {type(trunk).__name__} object."
        )
    is_ours = inspect.isclass(trunk) and issubclass(trunk, Trunk)
    return ModuleTrunk(trunk) if callable(trunk) and not is_ours else trunk


def choose_device(device: Any) -> torch.device:
    """Turn ``device`` into a torch device.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"``: CUDA where there is one, else the CPU.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(
            "Parameter `device` must be 'auto' or a device of torch such as 'cpu' or 'cuda'. "
            f"Found `device = {device!r}`."
        ) from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"`device = {device!r}` was asked for, but torch finds no CUDA device. Use "
            "device='auto' to fall back on the CPU."
        )
    return chosen


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, list):
        left = tuple(left)
    if is_number(left) and is_number(right):
        return bool(left == right)
    return type(left) is type(right) and bool(left == right)
