"""Gradients turned into an orthogonal system."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from skmtl.layers import Seeds, check_choice
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._cosines import cosines_of, rank_of
from skmtl.weighting._gramian import GramianWeights, factor_of

_SCALES = ("min", "median", "rmse")


class AlignedMTL(Weighting):
    r"""Make the gradients orthogonal and of one length, then add them up.

    All singular values of the matrix of gradients that are not 0 are set to one length s:
    ``w = s V Lambda^(-1/2) V^T 1`` with eigenvalues and eigenvectors of the Gramian.  Neither a
    dominant nor a conflicting gradient is left.

    Parameters
    ----------
    scale : {"min", "median", "rmse"}, default="min"
        The length: the smallest singular value, or that of the median or of the mean
        eigenvalue.  The smallest is that of what the tasks agree on the least.
    wrt : {"auto", "representation", "parameters"}, default="auto"
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.
    update_every : int, default=8
        Steps for which weights are kept.

    Notes
    -----
    Departure: weights are multiplied by the number of tasks in the batch, so that learning
    rate, weight decay and penalties mean what they mean with equal weights.

    References
    ----------
    D. Senushkin, N. Patakin, A. Kuznetsov, A. Konushin: Independent Component Alignment for
    Multi-Task Learning, CVPR 2023, arXiv:2305.19000, Algorithm 1.

    Examples
    --------
    >>> from skmtl.weighting import AlignedMTL
    >>> AlignedMTL(scale="median")
    AlignedMTL(scale='median')
    """

    alias = "aligned_mtl"
    needs_gradients = True

    def __init__(self, scale: str = "min", wrt: str = "auto", update_every: int = 8) -> None:
        self.scale = scale
        self.wrt = wrt
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"scale": "median"}, {"scale": "rmse", "update_every": 1}]

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
        solve = partial(aligned_weights, scale=check_choice(self.scale, "scale", _SCALES))
        return GramianWeights(solve, layout, n_members, self.wrt, self.update_every)


def aligned_weights(gramian: np.ndarray, scale: str = "min") -> np.ndarray:
    """Find the weights of the sum of aligned gradients.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients.
    scale : str, default="min"
        What length they get.

    Returns
    -------
    ndarray of shape (n_tasks,)
        Some may be negative.
    """
    cosines, lengths = cosines_of(gramian)
    # Singular values of gradients, which the eigenvalues of the Gramian have in half as many
    # digits, that belong to independent ones.
    _, values, vectors = np.linalg.svd(factor_of(cosines) * lengths)
    values, vectors = values[: rank_of(cosines)], vectors[: rank_of(cosines)]
    length = {
        "min": values[-1],
        "median": values[len(values) // 2],  # the lower one of two
        "rmse": np.sqrt(np.mean(values**2)),
    }[scale]
    return vectors.T @ (vectors.sum(axis=1) * (length / values))
