"""Gradients turned into an orthogonal system."""

from __future__ import annotations

from typing import Any

import numpy as np

from skmtl.layers import Seeds
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._gramian import RANK_TOLERANCE, GramianWeights


class AlignedMTL(Weighting):
    r"""Make the gradients orthogonal and of one length, then add them up.

    All singular values of the matrix of gradients are set to the smallest that is not 0:
    ``w = sqrt(lambda_min) V Lambda^(-1/2) V^T 1`` with the eigenvectors V of the Gramian.
    Neither a dominant nor a conflicting gradient is left.

    Parameters
    ----------
    wrt : {"auto", "representation", "parameters"}, default="auto"
        By what gradients are taken: the representation that all heads read, or all parameters
        of trunk and sharing.  ``"auto"``: the former where there is one.
    update_every : int, default=4
        Steps for which weights are kept.

    References
    ----------
    D. Senushkin et al.: Independent Component Alignment for Multi-Task Learning, CVPR 2023,
    arXiv:2305.19000, section 3.2.

    Examples
    --------
    >>> from skmtl.weighting import AlignedMTL
    >>> AlignedMTL()
    AlignedMTL()
    """

    alias = "aligned_mtl"
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
        return GramianWeights(aligned_weights, layout, n_members, self.wrt, self.update_every)


def aligned_weights(gramian: np.ndarray) -> np.ndarray:
    """Find the weights of the sum of aligned gradients.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients.

    Returns
    -------
    ndarray of shape (n_tasks,)
        Some may be negative.
    """
    values, vectors = np.linalg.eigh(gramian)
    kept = values > values[-1] * RANK_TOLERANCE
    values, vectors = values[kept], vectors[:, kept]
    projections = vectors.T @ np.ones(len(gramian))
    return vectors @ (projections * np.sqrt(values[0] / values))
