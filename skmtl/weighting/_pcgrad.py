"""Projections away from conflicting gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from skmtl.layers import Seeds
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._cosines import cosines_of
from skmtl.weighting._gramian import GramianWeights
from skmtl.weighting._orders import draw_orders


class PCGrad(Weighting):
    r"""Gradient surgery: each gradient loses what conflicts with another one.

    Task after task in random order: where ``g_i . g_j < 0``, the projection of ``g_i`` on ``g_j``
    is taken out of ``g_i``; the results are added up.  A cheap way to soften conflicts, without a
    promise to harm no task.

    Parameters
    ----------
    wrt : {"auto", "representation", "parameters"}, default="auto"
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.
    update_every : int, default=8
        Steps for which weights are kept.

    Notes
    -----
    The orders are drawn by a generator of the weighting's own, for one task after the other.

    References
    ----------
    T. Yu, S. Kumar, A. Gupta, S. Levine, K. Hausman, C. Finn: Gradient Surgery for Multi-Task
    Learning, NeurIPS 2020, arXiv:2001.06782, Algorithm 1.

    Examples
    --------
    >>> from skmtl.weighting import PCGrad
    >>> PCGrad()
    PCGrad()
    """

    alias = "pcgrad"
    draws = True
    needs_gradients = True

    def __init__(self, wrt: str = "auto", update_every: int = 8) -> None:
        self.wrt = wrt
        self.update_every = update_every

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module that finds the weights.

        Parameters
        ----------
        layout : Layout
            The tasks.
        n_members : int
            Number of networks.
        seeds : Seeds
            Draw the orders.

        Returns
        -------
        WeightingModule
            Reads the Gramian of the tasks' gradients.
        """
        generator = torch.Generator().manual_seed(seeds.draw())
        solve = partial(pcgrad_weights, generator=generator)
        return GramianWeights(solve, layout, n_members, self.wrt, self.update_every)


def pcgrad_weights(gramian: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """Find the weights of the sum of projected gradients.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients.
    generator : torch.Generator
        Draws the order of the projections of each task.

    Returns
    -------
    ndarray of shape (n_tasks,)
        At least 1.
    """
    cosines, lengths = cosines_of(gramian)
    n = len(cosines)
    orders = draw_orders(n, n, generator).T
    positions = orders + n * np.arange(n)  # in a flattened matrix
    # All tasks meet their first other at once, then all their second: none changes what another
    # one meets.  What is left of task i has the products `products[i]` with all directions.
    products, changes = cosines.copy(), np.empty(orders.shape)
    for others, position, change in zip(orders, positions, changes, strict=True):
        change[:] = -np.minimum(products.take(position), 0.0)
        products += change[:, None] * cosines.take(others, axis=0)
    parts = np.eye(n)
    parts.put(positions, changes)
    return lengths @ parts / lengths
