"""How many times something happens."""

from __future__ import annotations

import torch
from torch import Tensor

from skmtl.heads._base import Head

#: Logarithm of the largest rate, relative to the mean rate: 5e8.  From there on the loss is linear,
#: so that neither it nor its gradient overflows.
LARGEST_LOG_RATE = 20.0


class CountHead(Head):
    """Poisson deviance of counts, logarithmic link.

    ``loss = exp(z) - y z`` less its value at the best z, which is half the unit deviance: 0 for
    a perfect rate.  y, a count of at least 0 and whole or not, is divided by the mean count
    before, and so is the rate ``exp(z)``; the deviance only falls by the same factor.

    Use it for visits, claims, defects: what cannot be negative, has a spread that grows with
    its level, and effects that multiply.  Only the mean has to be right, not the distribution:
    rates are estimated well where the variance differs from the mean.

    Notes
    -----
    Training takes a task for constant whose best constant has a loss below 1e-4, here a count
    with a spread below 1.4% of its mean: such numbers are a regression.

    References
    ----------
    P. McCullagh, J. A. Nelder: Generalized Linear Models, second edition, 1989, section 6.2
    (deviance and canonical link).
    """

    alias = "count"
    kind = "count"

    def n_outputs(self, n_columns: int, n_classes: int) -> int:
        """Return one output, the logarithm of the rate."""
        return 1

    def encode(self, values: Tensor, n_outputs: int) -> Tensor:
        """Return the counts over the mean count as they are."""
        return values

    def loss_and_gradient(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Compute half deviances and their gradients."""
        rate = self.link(z)
        beyond = (z - LARGEST_LOG_RATE).clamp_min(0.0)
        best = y - torch.xlogy(y, y)
        losses = (rate + rate * beyond - y * z - best).mul_(w).sum((-2, -1))
        return losses, rate.sub_(y).mul_(w)

    def link(self, z: Tensor) -> Tensor:
        """Return the rates, over the mean count."""
        return z.clamp_max(LARGEST_LOG_RATE).exp()

    def mean_outputs(self, z: Tensor) -> Tensor:
        """Return the logarithms of the mean rates."""
        return self.link(z).mean(-4).clamp_min(torch.finfo(z.dtype).tiny).log()

    def null_outputs(self, y: Tensor, w: Tensor) -> Tensor:
        """Return the logarithm of the mean count."""
        return self.weighted_mean(y, w).clamp_min(1e-6).log()
