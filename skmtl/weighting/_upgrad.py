"""Projections of each gradient that harm no task."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from skmtl.layers import Seeds, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._dual_cone import project_on_dual_cone
from skmtl.weighting._gramian import GramianWeights


class UPGrad(Weighting):
    r"""Each gradient is projected on the steps that harm no task; then all are added up.

    The projection of ``g_t`` on the dual cone ``{d : g_s . d >= 0 for all s}`` is
    ``sum_s v_s g_s`` with ``v = argmin v^T G v`` over ``v >= e_t``, found exactly by non-negative
    least squares.  Without conflicts it is the sum of the gradients.

    Parameters
    ----------
    reg_eps : float, default=1e-4
        Share of its squared length that is added to that of each gradient, at least 0:
        bounds the weights where gradients nearly cancel.
    wrt : {"auto", "representation", "parameters"}, default="auto"
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.
    update_every : int, default=8
        Steps for which weights are kept.

    Notes
    -----
    Departure: weights are multiplied by the number of tasks in the batch, so that learning
    rate, weight decay and penalties mean what they mean with equal weights.  What is added to
    the Gramian is in proportion to each gradient by itself, not to their mean, so that tasks
    with short gradients are heard as well; and Gramians are taken as they are however small
    (the authors' code takes one with a trace below 1e-4 for zero, as it is late in a fit).

    References
    ----------
    P. Quinton, V. Rey: Jacobian Descent for Multi-Objective Optimization, 2024,
    arXiv:2406.16232, Proposition 1 (the projection as a quadratic program).

    Examples
    --------
    >>> from skmtl.weighting import UPGrad
    >>> UPGrad()
    UPGrad()
    """

    alias = "upgrad"
    needs_gradients = True

    def __init__(self, reg_eps: float = 1e-4, wrt: str = "auto", update_every: int = 8) -> None:
        self.reg_eps = reg_eps
        self.wrt = wrt
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"reg_eps": 0.01}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module that finds the weights.

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
            Reads the Gramian of the tasks' gradients.
        """
        reg_eps = check_number(self.reg_eps, "reg_eps")
        solve = partial(upgrad_weights, reg_eps=reg_eps)
        return GramianWeights(solve, layout, n_members, self.wrt, self.update_every)


def upgrad_weights(gramian: np.ndarray, reg_eps: float = 1e-4) -> np.ndarray:
    """Find the weights of the projection.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients.
    reg_eps : float, default=1e-4
        Share of the squared length of each gradient that is added to it.

    Returns
    -------
    ndarray of shape (n_tasks,)
        At least 1.
    """
    return project_on_dual_cone(np.eye(len(gramian)), gramian, reg_eps).sum(axis=0)
