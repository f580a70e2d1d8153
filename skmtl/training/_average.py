"""Moving averages of the weights, which are smoother than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class WeightAverage:
    """Exponential moving average of a module's parameters, over steps.

    Between epochs the module holds the averages, so that whatever judges, keeps or predicts
    sees them; the weights that the optimiser moves are put aside meanwhile.

    Parameters
    ----------
    module : torch.nn.Module
        Whose parameters to follow.
    decay : float
        Share of the average that a step leaves, in [0, 1).  At the start it is less: in step
        t at most ``(1 + t) / (10 + t)``, so that the initial weights are forgotten soon.

    References
    ----------
    B. T. Polyak, A. B. Juditsky: Acceleration of Stochastic Approximation by Averaging, SIAM
    Journal on Control and Optimization 30, 1992.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self._decay = decay
        self._n_steps = 0
        self._others = [p.detach().clone() for p in self._parameters]

    @contextmanager
    def raw(self) -> Iterator[None]:
        """Give the module its raw weights for the time of a `with` block, then the averages.

        Yields
        ------
        None
        """
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def update(self) -> None:
        """Take the raw weights of a step into the averages."""
        decay = min(self._decay, (1 + self._n_steps) / (10 + self._n_steps))
        self._n_steps += 1
        for average, parameter in zip(self._others, self._parameters, strict=True):
            average.lerp_(parameter, 1 - decay)

    def state(self) -> dict[str, Any]:
        """Return what to go on from, between epochs, when the module holds the averages.

        Returns
        -------
        dict
            Number of steps, and the raw weights.
        """
        return {"n_steps": self._n_steps, "raw": self._others}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from where another one was.

        Parameters
        ----------
        state : dict
            From :meth:`state`; the module holds the averages of then.
        """
        self._n_steps = state["n_steps"]
        raw = zip(state["raw"], self._parameters, strict=True)
        self._others = [tensor.to(p.device) for tensor, p in raw]

    def keep(self, parameters: Sequence[nn.Parameter], rows: Sequence[torch.Tensor]) -> None:
        """Go on with parameters that hold a part of the entries.

        Parameters
        ----------
        parameters : sequence of Parameter
            In the order of the module's.
        rows : sequence of Tensor of shape (n,), int64
            For each, the entries of the leading axis that it has kept.
        """
        self._parameters = [p for p in parameters if p.requires_grad]
        self._others = [other[kept] for other, kept in zip(self._others, rows, strict=True)]

    def _swap(self) -> None:
        for i, parameter in enumerate(self._parameters):
            self._others[i], parameter.data = parameter.data, self._others[i]
