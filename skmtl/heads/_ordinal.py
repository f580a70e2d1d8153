"""Classes in an order."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from skmtl.heads._base import Head
from skmtl.heads._ordered import Ordered


class OrdinalHead(Head):
    """Cumulative logits of ordered classes: likelihood of the class, logistic link.

    ``P(y <= k) = sigmoid(theta_k)`` with thresholds ``theta_0 < ... < theta_(K-2)`` that are
    outputs of the network, ``P(y = k) = P(y <= k) - P(y <= k - 1)`` and
    ``loss = -log P(y = class)``.

    Use it for grades, ratings and stages, where a near miss is better than a far one: an
    ordered model spends its outputs on where the labels lie, and neighbours share their cases.
    With two classes it is :class:`BinaryHead`.

    Notes
    -----
    Departure: McCullagh's model has one score of x and constant thresholds, CORAL one weight
    vector for all thresholds (then ``theta_k(x) = b_k - f(x)`` is a shift).  Here each threshold
    has weights of its own, so that the spread may depend on x too, and the order is kept by
    construction: the middle threshold is minus an output, so that a larger output means a higher
    class, and the others follow by positive steps, ``softplus(-z)``.  The loss is the likelihood
    of McCullagh, not CORAL's sum of binary cross-entropies over the thresholds: it is what D2 log
    loss measures.

    The logarithms never cancel, since ``log P(y = k) = log sigmoid(theta_k) +
    log sigmoid(-theta_(k-1)) + log sigmoid(-z_k)`` with z_k the output of the step between them.

    References
    ----------
    P. McCullagh: Regression Models for Ordinal Data, Journal of the Royal Statistical Society B
    42, 1980.

    W. Cao, V. Mirjalili, S. Raschka: Rank Consistent Ordinal Regression for Neural Networks with
    Application to Age Estimation, Pattern Recognition Letters 140, 2020, arXiv:1901.07884.
    """

    alias = "ordinal"
    kind = "ordinal"

    def n_outputs(self, n_columns: int, n_classes: int) -> int:
        """Return one output per threshold; a task with one class or none keeps one."""
        return max(n_classes - 1, 1)

    def encode(self, values: Tensor, n_outputs: int) -> Tensor:
        """Return one column per class above the lowest, 1 for the class of the sample."""
        classes = torch.arange(1, n_outputs + 1, device=values.device, dtype=values.dtype)
        return (values == classes).to(values.dtype)  # (sample, 1) against (class,)

    def loss_and_gradient(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Compute negative log-likelihoods and their gradients."""
        ordered, z = self._ordered(z.shape[-2]), -z
        theta = ordered(z)
        # Which samples lie right below and right above each threshold.
        below = torch.cat([1.0 - y.sum(-2, keepdim=True), y[..., :-1, :]], dim=-2)
        between, steps = y[..., :-1, :], ordered.steps(z)
        each = below * F.softplus(-theta) + y * F.softplus(theta)
        losses = (each.sum(-2) + (between * F.softplus(-steps)).sum(-2)).unsqueeze(-2)
        by_theta = (below + y) * torch.sigmoid(theta) - below
        gradients = ordered.backward(z, by_theta)
        if ordered.n > 1:
            by_step = between * torch.sigmoid(-steps)
            gradients = gradients - ordered.join(torch.zeros_like(theta[..., :1, :]), by_step)
        return (losses * w).sum((-2, -1)), -gradients * w

    def link(self, z: Tensor) -> Tensor:
        """Return the probabilities of all classes."""
        return self._log_probabilities(z).exp()

    def mean_outputs(self, z: Tensor) -> Tensor:
        """Return the outputs of the mean probabilities."""
        return self._outputs_of(torch.logsumexp(self._log_probabilities(z), -4))

    def null_outputs(self, y: Tensor, w: Tensor) -> Tensor:
        """Return the outputs of the class shares."""
        shares = self.weighted_mean(y, w)
        shares = torch.cat([1.0 - shares.sum(-2, keepdim=True), shares], dim=-2)
        return self._outputs_of(shares.clamp_min(1e-6).log())

    def _log_probabilities(self, z: Tensor) -> Tensor:
        ordered, z = self._ordered(z.shape[-2]), -z
        theta = ordered(z)
        zeros = torch.zeros_like(z[..., :1, :])
        up = torch.cat([F.logsigmoid(theta), zeros], dim=-2)
        down = torch.cat([zeros, F.logsigmoid(-theta)], dim=-2)
        if ordered.n == 1:
            return up + down
        return up + down + torch.cat([zeros, F.logsigmoid(ordered.steps(z)), zeros], dim=-2)

    def _outputs_of(self, log_p: Tensor) -> Tensor:
        """Return the outputs for probabilities of classes, which need not sum to 1."""
        ordered = self._ordered(log_p.shape[-2] - 1)
        log_p = torch.log_softmax(log_p, dim=-2)
        at_most = torch.logcumsumexp(log_p, dim=-2)[..., :-1, :]
        above = torch.logcumsumexp(log_p.flip(-2), dim=-2).flip(-2)[..., 1:, :]
        theta = at_most - above
        middle = theta[..., ordered.anchor : ordered.anchor + 1, :]
        if ordered.n == 1:
            return -middle
        # Small steps by log P(y = k), see the class, as differences of theta would cancel; large
        # ones by these, as the probability of what lies between is then nearly that of all.
        log_share = log_p[..., 1:-1, :] - (
            F.logsigmoid(theta[..., 1:, :]) + F.logsigmoid(-theta[..., :-1, :])
        )
        log_share = log_share.clamp_max(-torch.finfo(log_share.dtype).eps)
        small = ordered.join(middle, log_share - torch.log(-torch.expm1(log_share)))
        steps = theta.diff(dim=-2)
        is_large = ordered.join(torch.zeros_like(middle), steps) > 1.0
        return -torch.where(is_large, ordered.invert(middle, steps.clamp_min(1.0)), small)

    @staticmethod
    def _ordered(n: int) -> Ordered:
        return Ordered(n, n // 2)
