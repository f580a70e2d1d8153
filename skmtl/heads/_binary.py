"""Two classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from skmtl.heads._base import Head


class BinaryHead(Head):
    """Cross-entropy of one logit, logistic link.

    ``loss = log(1 + exp(z)) - y z`` with y in {0, 1}.

    References
    ----------
    C. M. Bishop: Pattern Recognition and Machine Learning, 2006, equation (5.21).
    """

    alias = "binary"
    kind = "binary"

    def n_outputs(self, n_columns: int, n_classes: int) -> int:
        """Return one logit."""
        return 1

    def encode(self, values: Tensor, n_outputs: int) -> Tensor:
        """Return the codes 0 and 1 as they are."""
        return values

    def loss_and_gradient(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Compute cross-entropies and their gradients."""
        # softplus does not overflow; a loss below 1e-8 of a right answer may round to 0.
        losses = torch.sub(F.softplus(z), y * z).mul_(w).sum((-2, -1))
        return losses, torch.sigmoid(z).sub_(y).mul_(w)

    def link(self, z: Tensor) -> Tensor:
        """Return the probabilities of both classes."""
        return torch.cat([torch.sigmoid(-z), torch.sigmoid(z)], dim=-2)

    def mean_outputs(self, z: Tensor) -> Tensor:
        """Return the logit of the mean probability."""
        # In logarithms: a probability near 0 or 1 has no logit after rounding.
        return torch.logsumexp(F.logsigmoid(z), -4) - torch.logsumexp(F.logsigmoid(-z), -4)

    def null_outputs(self, y: Tensor, w: Tensor) -> Tensor:
        """Return the logit of the share of the second class."""
        return torch.logit(self.weighted_mean(y, w), eps=1e-6)
