"""Several yes/no questions as one task."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from skmtl.heads._base import Head


class MultilabelHead(Head):
    """Cross-entropies of one logit per column, logistic link.

    ``loss = mean over the labelled columns of log(1 + exp(z)) - y z`` with y in {0, 1}.

    Use it for tags, symptoms, assays: columns that belong together and shall count as one task,
    with one weight, one score and, where heads have hidden layers or tasks their own trunk, one
    representation.

    References
    ----------
    C. M. Bishop: Pattern Recognition and Machine Learning, 2006, section 5.2 (independent
    binary targets).
    """

    alias = "multilabel"
    kind = "multilabel"
    weight_per_output = True

    def n_outputs(self, n_columns: int, n_classes: int) -> int:
        """Return one logit per column."""
        return n_columns

    def encode(self, values: Tensor, n_outputs: int) -> Tensor:
        """Return the codes 0 and 1 as they are."""
        return values

    def loss_and_gradient(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Compute cross-entropies and their gradients."""
        losses = torch.sub(F.softplus(z), y * z).mul_(w).sum((-2, -1))
        return losses, torch.sigmoid(z).sub_(y).mul_(w)

    def link(self, z: Tensor) -> Tensor:
        """Return the probability of the second label of each column."""
        return torch.sigmoid(z)

    def mean_outputs(self, z: Tensor) -> Tensor:
        """Return the logits of the mean probabilities."""
        return torch.logsumexp(F.logsigmoid(z), -4) - torch.logsumexp(F.logsigmoid(-z), -4)

    def null_outputs(self, y: Tensor, w: Tensor) -> Tensor:
        """Return the logits of the shares of the second label."""
        return torch.logit(self.weighted_mean(y, w), eps=1e-6)
