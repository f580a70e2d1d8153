"""Several classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skmtl.heads._base import Head


class MulticlassHead(Head):
    """Cross-entropy of one logit per class, softmax link.

    ``loss = log(sum_k exp(z_k)) - z_y``.

    References
    ----------
    C. M. Bishop: Pattern Recognition and Machine Learning, 2006, equation (5.24).
    """

    alias = "multiclass"
    kind = "multiclass"

    def n_outputs(self, n_columns: int, n_classes: int) -> int:
        """Return one logit per class; a task without any label keeps one."""
        return max(n_classes, 1)

    def encode(self, values: Tensor, n_outputs: int) -> Tensor:
        """Return one column per class, 1 for the class of the sample, else 0."""
        classes = torch.arange(n_outputs, device=values.device, dtype=values.dtype)
        return (values == classes).to(values.dtype)  # (sample, 1) against (class,)

    def loss_and_gradient(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Compute cross-entropies and their gradients."""
        log_p = torch.log_softmax(z, dim=-2)
        losses = (log_p * y).mul_(w).sum((-2, -1)).neg_()
        return losses, log_p.exp_().sub_(y).mul_(w)

    def link(self, z: Tensor) -> Tensor:
        """Return the probabilities of all classes."""
        return torch.softmax(z, dim=-2)

    def mean_outputs(self, z: Tensor) -> Tensor:
        """Return the logarithms of the mean probabilities."""
        return torch.logsumexp(torch.log_softmax(z, dim=-2), -4) - math.log(z.shape[-4])

    def null_outputs(self, y: Tensor, w: Tensor) -> Tensor:
        """Return the logarithms of the class shares."""
        return self.weighted_mean(y, w).clamp_min(1e-6).log()
