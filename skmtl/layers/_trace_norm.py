"""Norms of stacked matrices."""

from __future__ import annotations

import torch
from torch import Tensor


def trace_norm(matrices: Tensor) -> Tensor:
    """Sum of the singular values of each matrix.

    From the eigenvalues of the smaller Gram matrix, which costs a small part of a singular
    value decomposition where one side is a handful of tasks.  Each eigenvalue is raised by
    the rounding error of the largest, so that the gradient ``(A A^T)^(-1/2) A`` is finite
    for a matrix without full rank.

    Parameters
    ----------
    matrices : Tensor of shape (..., n, m)
        Matrices.

    Returns
    -------
    Tensor of shape (...)
        Norms, differentiable; NaN for a matrix with entries that are not finite.
    """
    wide = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    gram = wide @ wide.mT
    # Weights that have overflown shall show in the result, not as an error of the solver.
    is_finite = torch.isfinite(gram).all(-1, keepdim=True).all(-2, keepdim=True)
    squares = torch.linalg.eigvalsh(gram.where(is_finite, 0.0))  # ascending
    guard = torch.finfo(squares.dtype).eps * squares[..., -1:].detach() + 1e-30
    norms = (squares.clamp_min(0) + guard).sqrt().sum(-1)
    return norms.where(is_finite[..., 0, 0], torch.nan)
