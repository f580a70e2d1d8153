"""Weights from how fast losses fall."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmtl.layers import Seeds, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._shares import LOSS_FLOOR, task_shares


class DWA(Weighting):
    r"""Dynamic weight average: ``w = n softmax(r_t / temperature)``, ``r_t = L_t(e-1) / L_t(e-2)``.

    ``L_t(e)`` is the mean loss of a task over an epoch, and ``n`` the number of tasks in the
    batch.  A task whose loss has stopped falling weighs more than one that still improves; the
    scales of the losses are without effect.  With the usual temperature the weights stay close
    to 1, as ``r_t`` does: a mild choice.

    Parameters
    ----------
    temperature : float, default=2.0
        Above 0; the larger, the more alike the weights.

    Notes
    -----
    ``r_t`` is 1 until a task has had labels in two epochs.

    Departure: the epochs are the task's own last two in which it had labels.

    References
    ----------
    S. Liu, E. Johns, A. J. Davison: End-to-End Multi-Task Learning with Attention, CVPR 2019,
    arXiv:1803.10704.

    Examples
    --------
    >>> from skmtl.weighting import DWA
    >>> DWA(temperature=1.0)
    DWA(temperature=1.0)
    """

    alias = "dwa"

    def __init__(self, temperature: float = 2.0) -> None:
        self.temperature = temperature

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"temperature": 0.5}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module with equal weights.

        Parameters
        ----------
        layout : Layout
            The tasks.
        n_members : int
            Number of networks.
        seeds : Seeds
            Ignored.

        Returns
        -------
        WeightingModule
            Changes its weights at the end of an epoch.
        """
        temperature = check_number(self.temperature, "temperature", above=True)
        return _DWA(n_members, layout.n_tasks, temperature)


class _DWA(WeightingModule):
    last: Tensor
    ratio: Tensor
    is_known: Tensor

    def __init__(self, n_members: int, n_tasks: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.register_buffer("last", torch.ones(n_members, n_tasks))
        self.register_buffer("ratio", torch.ones(n_members, n_tasks))
        self.register_buffer("is_known", torch.zeros(n_members, n_tasks, dtype=torch.bool))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        return (self.scales(losses, present) * losses).sum(1)

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        return task_shares(self.ratio / self.temperature, present)

    def end_epoch(self, losses: Tensor, present: Tensor) -> None:
        # With the floor in both, a loss that stays 0 has the ratio 1.
        ratio = (losses + LOSS_FLOOR) / (self.last + LOSS_FLOOR)
        self.ratio.copy_(torch.where(present & self.is_known, ratio, self.ratio))
        self.last.copy_(torch.where(present, losses, self.last))
        self.is_known |= present
