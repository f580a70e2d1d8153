"""Optimisers by name, and AdamW without torch.optim's start-up cost."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from skmtl._strategy import did_you_mean


class FusedAdamW:
    """AdamW as one fused call, for the default path.

    Constructing any optimiser of ``torch.optim`` imports torch's compiler, 1.3 to 1.8
    seconds in each fresh process.  This one offers what the training loop, schedules written
    by hand and pickling need: ``param_groups``, ``state``, ``step``, ``zero_grad``.  It
    equals ``torch.optim.AdamW`` to the last bit or so (a test compares them).

    Parameters
    ----------
    params : iterable of dict
        Parameter groups, with options of their own where they differ.
    lr : float
        Learning rate.
    betas : tuple of float, default=(0.9, 0.999)
        Decay of the running means of gradients and squared gradients.
    eps : float, default=1e-8
        Added to the denominator.
    weight_decay : float, default=0.0
        Decoupled weight decay, per unit of the learning rate.

    References
    ----------
    I. Loshchilov, F. Hutter: Decoupled Weight Decay Regularization, ICLR 2019, Algorithm 2.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        self.param_groups = [
            {**options, **group, "params": list(group["params"])} for group in params
        ]
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        # Means, squares and steps of a group in which all parameters move, by its position.
        self._ready: dict[int, tuple[list[Tensor], list[Tensor], list[Tensor]]] = {}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients.

        Parameters
        ----------
        set_to_none : bool, default=True
            As in torch.optim; gradients are always set to None.
        """
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take one step.

        Parameters
        ----------
        closure : callable, default=None
            Recomputes the loss and the gradients first.

        Returns
        -------
        object
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for i, group in enumerate(self.param_groups):
            self._step_group(i, group)
        return loss

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without what follows from it."""
        return {**self.__dict__, "_ready": {}}

    def state_dict(self) -> dict[str, Any]:
        """Return running means and options, in the form of torch.optim.

        Returns
        -------
        dict
            With keys ``state`` (by the parameter's position) and ``param_groups``.
        """
        listed = [p for group in self.param_groups for p in group["params"]]
        state = {i: dict(self.state[p]) for i, p in enumerate(listed) if p in self.state}
        start, groups = 0, []
        for group in self.param_groups:
            n = len(group["params"])
            groups.append({**group, "params": list(range(start, start + n))})
            start += n
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Parameters
        ----------
        state_dict : dict
            Of an optimiser with parameters of the same shapes.
        """
        listed = [p for group in self.param_groups for p in group["params"]]
        # One deepcopy, so that a shared counter stays shared; the parameters are not copied.
        states = copy.deepcopy(state_dict["state"])
        self.state = {listed[i]: state for i, state in states.items()}
        self._ready = {}
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update({key: value for key, value in saved.items() if key != "params"})

    def _step_group(self, i: int, group: dict[str, Any]) -> None:
        params: list[Tensor] = group["params"]
        grads: list[Tensor | None] = [p.grad for p in params]
        if any(grad is None for grad in grads):
            params = [p for p in params if p.grad is not None]
            grads = [p.grad for p in params]
            if not params:
                return
            means, squares, steps = self._moments(params, is_whole=False)
        elif i in self._ready:
            means, squares, steps = self._ready[i]
            steps[0].add_(1.0)
        else:
            means, squares, steps = self._moments(params, is_whole=True)
            if all(step is steps[0] for step in steps):
                self._ready[i] = means, squares, steps
        fused_adamw(
            params,
            grads,
            means,
            squares,
            steps,
            lr=group["lr"],
            betas=group["betas"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
        )

    def _moments(
        self, params: list[Tensor], *, is_whole: bool
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Return means, squares and steps of parameters, one step further."""
        fresh = [p for p in params if p not in self.state]
        if fresh:
            step = torch.zeros((), dtype=torch.float32, device=params[0].device)
            for parameter in fresh:
                self.state[parameter] = {
                    "step": step,
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        states = [self.state[p] for p in params]
        steps = [state["step"] for state in states]
        # One counter for the group, which the kernel only reads, while all parameters move.
        if not is_whole or any(step is not steps[0] for step in steps):
            self._ready = {}
            steps = [step.clone() for step in steps]
            for state, step in zip(states, steps, strict=True):
                state["step"] = step.add_(1.0)
        else:
            steps[0].add_(1.0)
        means = [state["exp_avg"] for state in states]
        return means, [state["exp_avg_sq"] for state in states], steps


def fused_adamw(
    params: list[Tensor],
    grads: list[Any],
    means: list[Tensor],
    squares: list[Tensor],
    steps: list[Tensor],
    *,
    lr: float,
    betas: tuple[float, float],
    weight_decay: float,
    eps: float,
) -> None:
    """Update parameters in place, by torch's fused kernel where it has one.

    Parameters
    ----------
    params, grads, means, squares : list of Tensor
        Parameters, gradients and their running moments.
    steps : list of Tensor of shape ()
        Number of steps, this one included.
    lr, betas, weight_decay, eps : float
        As for :class:`FusedAdamW`.
    """
    kernel = getattr(torch, "_fused_adamw_", None)
    if kernel is not None and params[0].device.type in {"cpu", "cuda"}:
        kernel(
            params,
            grads,
            means,
            squares,
            [],
            steps,
            lr=lr,
            beta1=betas[0],
            beta2=betas[1],
            weight_decay=weight_decay,
            eps=eps,
            amsgrad=False,
            maximize=False,
        )
        return
    plain_adamw(
        params, grads, means, squares, steps,
        lr=lr, betas=betas, weight_decay=weight_decay, eps=eps,
    )  # fmt: skip


def plain_adamw(
    params: list[Tensor],
    grads: list[Any],
    means: list[Tensor],
    squares: list[Tensor],
    steps: list[Tensor],
    *,
    lr: float,
    betas: tuple[float, float],
    weight_decay: float,
    eps: float,
) -> None:
    """Update parameters in place by public operations, for devices without a fused kernel.

    Parameters
    ----------
    params, grads, means, squares : list of Tensor
        Parameters, gradients and their running moments.
    steps : list of Tensor of shape ()
        Number of steps, this one included.
    lr, betas, weight_decay, eps : float
        As for :class:`FusedAdamW`.
    """
    for p, g, m, v, step in zip(params, grads, means, squares, steps, strict=True):
        p.mul_(1 - lr * weight_decay)
        m.lerp_(g, 1 - betas[0])
        v.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
        bias1, bias2 = (_bias(beta, step.to(p.dtype)) for beta in betas)
        p.sub_(lr / bias1 * m / ((v / bias2).sqrt() + eps))


def _bias(beta: float, step: Tensor) -> Tensor:
    """Compute ``1 - beta**step`` without cancellation."""
    return -torch.expm1(step * math.log(beta)) if beta > 0 else torch.ones_like(step)


#: Names that users write, and the class of torch.optim behind each.
OPTIMIZERS = {
    "adamw": "AdamW",
    "adam": "Adam",
    "sgd": "SGD",
    "rmsprop": "RMSprop",
    "nadam": "NAdam",
    "radam": "RAdam",
}


def resolve_optimizer(optimizer: Any, *, needs_torch_optim: bool) -> tuple[Any, dict[str, Any]]:
    """Turn what the user wrote for ``optimizer`` into a class and its options.

    Parameters
    ----------
    optimizer : str or type
        A name, or a class of ``torch.optim``.
    needs_torch_optim : bool
        Whether something (a callback, a schedule) may look into the optimiser, so that it
        has to be one of ``torch.optim``.

    Returns
    -------
    optimizer : type
        To be called with parameter groups and ``lr``.
    options : dict
        Further arguments.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer):
        return optimizer, {}
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise ValueError(
            f"Parameter `optimizer` must be one of {list(OPTIMIZERS)} or a class of torch.optim. "
            f"Found `optimizer = {optimizer!r}`.{did_you_mean(optimizer, OPTIMIZERS)}"
        )
    if optimizer == "adamw" and not needs_torch_optim:
        return FusedAdamW, {}
    options = {"fused": True} if optimizer in {"adamw", "adam"} else {}
    return getattr(torch.optim, OPTIMIZERS[optimizer]), options
