"""Free outputs -> rising numbers: the middle one, and positive steps away from it."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F


class Ordered:
    """Makes free outputs rise, with hand-written gradient and inverse.

    ``v_a = z_a`` at the anchor a, and ``v_i - v_(i-1) = softplus(z)`` of the output on the far
    side of a step: ``z_i`` above the anchor, ``z_(i-1)`` below it.  From the middle most is
    known, and an error in one step moves only what lies beyond it.

    Parameters
    ----------
    n : int
        Number of outputs.
    anchor : int
        Position of the one that is free.
    """

    def __init__(self, n: int, anchor: int) -> None:
        self.n = n
        self.anchor = anchor

    def __call__(self, z: Tensor) -> Tensor:
        """Compute rising numbers.

        Parameters
        ----------
        z : Tensor of shape (..., output, sample)
            Free outputs.

        Returns
        -------
        Tensor of shape (..., output, sample)
            Rising along the outputs.
        """
        if self.n == 1:
            return z
        return torch.matmul(self._sums(z), self.join(self._anchor_of(z), F.softplus(self.steps(z))))

    def backward(self, z: Tensor, gradients: Tensor) -> Tensor:
        """Return the derivative with respect to the free outputs.

        Parameters
        ----------
        z : Tensor of shape (..., output, sample)
            Free outputs.
        gradients : Tensor of shape (..., output, sample)
            Derivatives with respect to the rising numbers.

        Returns
        -------
        Tensor of shape (..., output, sample)
            Derivatives with respect to `z`.
        """
        if self.n == 1:
            return gradients
        sums = torch.matmul(self._sums(z).T, gradients)
        slopes = torch.sigmoid(self.steps(z))
        return self.join(self._anchor_of(sums), self.steps(sums) * slopes)

    def steps(self, z: Tensor) -> Tensor:
        """Return all outputs but the anchor, in the order of the steps from the lowest on.

        Parameters
        ----------
        z : Tensor of shape (..., output, sample)
            Free outputs.

        Returns
        -------
        Tensor of shape (..., output - 1, sample)
            Those of the steps.
        """
        below, above = z[..., : self.anchor, :], z[..., self.anchor + 1 :, :]
        return torch.cat([below, above], dim=-2)

    def invert(self, middle: Tensor, steps: Tensor) -> Tensor:
        """Return the free outputs for a given anchor and given steps.

        Parameters
        ----------
        middle : Tensor of shape (..., 1, sample)
            The number at the anchor.
        steps : Tensor of shape (..., output - 1, sample)
            Differences of the rising numbers, at least 0; 0 counts as the least number above.

        Returns
        -------
        Tensor of shape (..., output, sample)
            Free outputs.
        """
        steps = steps.clamp_min(torch.finfo(steps.dtype).tiny)
        # The inverse of softplus, without exp(steps), which overflows.
        return self.join(middle, steps + torch.log(-torch.expm1(-steps)))

    def join(self, middle: Tensor, steps: Tensor) -> Tensor:
        """Put the anchor among the steps.

        Parameters
        ----------
        middle : Tensor of shape (..., 1, sample)
            What belongs to the anchor.
        steps : Tensor of shape (..., output - 1, sample)
            What belongs to the steps, from the lowest on.

        Returns
        -------
        Tensor of shape (..., output, sample)
            In the order of the outputs.
        """
        below, above = steps[..., : self.anchor, :], steps[..., self.anchor :, :]
        return torch.cat([below, middle, above], dim=-2)

    def _anchor_of(self, z: Tensor) -> Tensor:
        return z[..., self.anchor : self.anchor + 1, :]

    def _sums(self, like: Tensor) -> Tensor:
        return _sums(self.n, self.anchor, like.dtype, like.device)


@lru_cache(maxsize=64)
def _sums(n: int, anchor: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix that sums up anchor and steps, shape (rising number, output)."""
    with torch.inference_mode(False):  # it is kept, and a later graph may save it
        i, j = torch.arange(n)[:, None], torch.arange(n)
        up = (anchor < j) & (j <= i)
        down = (i <= j) & (j < anchor)
        return ((j == anchor).int() + up.int() - down.int()).to(device, dtype)
