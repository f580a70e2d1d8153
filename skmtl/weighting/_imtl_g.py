"""Equal projections on all gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from skmtl.layers import Seeds
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._cosines import cosines_of, equal_projections
from skmtl.weighting._gramian import GramianWeights


class IMTLG(Weighting):
    r"""A direction with the same projection on every task's gradient.

    ``w`` solves ``u_t . sum_s w_s g_s = b`` for all t, with ``u_t = g_t / ||g_t||``: ``w_t``
    is proportional to ``(C^+ 1)_t / ||g_t||`` with the cosines C.  No task is followed more
    closely than another, whatever the lengths of the gradients; some weights may be negative.

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
    Departure: the lengths of the weights sum to the number of tasks in the batch, so that
    learning rate, weight decay and penalties mean what they mean with equal weights.  In the
    paper weights sum to 1; some may be negative where there are three tasks or more, and to
    divide by a sum of about 0, or below, makes the step endless or turns it round.

    Departure: where gradients depend on each other and no direction has equal projections, the
    closest one by least squares takes its place.

    References
    ----------
    L. Liu, Y. Li, Z. Kuang, J.-H. Xue, Y. Chen, W. Yang, Q. Liao, W. Zhang: Towards Impartial
    Multi-task Learning, ICLR 2021 (IMTL-G).

    Examples
    --------
    >>> from skmtl.weighting import IMTLG
    >>> IMTLG()
    IMTLG()
    """

    alias = "imtl_g"
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
        Their absolute values sum to the number of tasks.
    """
    cosines, lengths = cosines_of(gramian)
    found = equal_projections(cosines) / lengths
    total = np.abs(found).sum()
    # Gradients that all oppose each other: no direction has equal projections.
    return found * (len(found) / total) if total > 0 else found
