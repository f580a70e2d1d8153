"""Equal projections on all gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from skmtl.layers import Seeds
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._gramian import GramianWeights, pinv


class IMTLG(Weighting):
    r"""A direction with the same projection on every task's gradient.

    ``w`` solves ``u_t . sum_s w_s g_s = c`` for all t, with ``u_t = g_t / ||g_t||``, in the least
    squares sense: ``w = G^+ sqrt(diag G)``.  No task is followed more closely than another,
    whatever the lengths of the gradients; some weights may be negative.

    Parameters
    ----------
    wrt : {"auto", "representation", "parameters"}, default="auto"
        By what gradients are taken: the representation that all heads read, or all parameters
        of trunk and sharing.  ``"auto"``: the former where there is one.
    update_every : int, default=4
        Steps for which weights are kept.

    Notes
    -----
    Departure: weights sum to the number of tasks in the batch, not to 1, so that learning
    rate, weight decay and penalties mean what they mean with equal weights; where their sum
    is not positive, dividing by it would turn the direction round, and their lengths sum to
    it instead.


    References
    ----------
    L. Liu et al.: Towards Impartial Multi-task Learning, ICLR 2021 (IMTL-G), equation 5.

    Examples
    --------
    >>> from skmtl.weighting import IMTLG
    >>> IMTLG()
    IMTLG()
    """

    alias = "imtl_g"
    needs_gradients = True

    def __init__(self, wrt: str = "auto", update_every: int = 4) -> None:
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
            Ignored.

        Returns
        -------
        WeightingModule
            Reads the Gramian of the tasks' gradients.
        """
        return GramianWeights(imtl_g_weights, layout, n_members, self.wrt, self.update_every)


def imtl_g_weights(gramian: np.ndarray) -> np.ndarray:
    """Find the weights of the direction with equal projections.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients.

    Returns
    -------
    ndarray of shape (n_tasks,)
        With the number of tasks as their sum.
    """
    found = pinv(gramian) @ np.sqrt(gramian.diagonal())
    total = found.sum()
    # Along `found` itself all projections are positive.
    total = total if total > 1e-10 * np.abs(found).sum() else np.abs(found).sum()
    return found / total * len(found)
