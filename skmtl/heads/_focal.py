"""Classes, with little weight on cases that are solved."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from skmtl.heads._base import Head

#: Halvings of the range in which the best constant is sought, and its ends in logits.
HALVINGS = 40
LARGEST_LOGIT = 30.0


class FocalBinaryHead(Head):
    """Focal loss of one logit, logistic link.

    ``loss = -(1 - p)**gamma * log(p)`` with p the probability of the class of the sample.

    Use it where a class is rare and shall be found: a case of the other class at p = 0.9
    weighs (1 - p)**2 = 1/100.  The probabilities are **not calibrated**: with gamma above 0 the
    loss is least at probabilities nearer to 1/2 than the true ones, though in their order.

    Parameters
    ----------
    gamma : float, default=2.0
        Exponent, at least 0.  0 is cross-entropy.

    Notes
    -----
    Departure: the paper has a weight alpha of the rare class beside gamma; here that is
    ``class_weight``.

    References
    ----------
    T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollár: Focal Loss for Dense Object Detection,
    ICCV 2017, arXiv:1708.02002, equation (4).

    N. Charoenphakdee, J. Vongkulbhisal, N. Chairatanakul, M. Sugiyama: On Focal Loss for
    Class-Posterior Probability Estimation: A Theoretical Perspective, CVPR 2021,
    arXiv:2011.09172 (its classes are right, its probabilities are not).
    """

    alias = "focal_binary"
    kind = "binary"

    def __init__(self, gamma: float = 2.0) -> None:
        self.gamma = gamma

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"gamma": 0.5}]

    def n_outputs(self, n_columns: int, n_classes: int) -> int:
        """Return one logit."""
        return 1

    def encode(self, values: Tensor, n_outputs: int) -> Tensor:
        """Return the codes 0 and 1 as they are."""
        return values

    def loss_and_gradient(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Compute focal losses and their gradients."""
        sign = 2.0 * y - 1.0
        margin = sign * z
        surprise = F.softplus(-margin)  # -log p
        missing = torch.sigmoid(-margin)  # 1 - p
        factor = torch.exp(-self.gamma * F.softplus(margin)) * w  # (1 - p)^gamma
        slope = self.gamma * torch.sigmoid(margin) * surprise + missing
        return (factor * surprise).sum((-2, -1)), slope.mul_(factor).mul_(-sign)

    def link(self, z: Tensor) -> Tensor:
        """Return the probabilities of both classes, which are not calibrated."""
        return torch.cat([torch.sigmoid(-z), torch.sigmoid(z)], dim=-2)

    def mean_outputs(self, z: Tensor) -> Tensor:
        """Return the logit of the mean probability."""
        return torch.logsumexp(F.logsigmoid(z), -4) - torch.logsumexp(F.logsigmoid(-z), -4)

    def null_outputs(self, y: Tensor, w: Tensor) -> Tensor:
        """Return the logit at which the constant's loss is least."""
        share = self.weighted_mean(y, w)
        logits = _best_logits(torch.cat([1.0 - share, share], dim=-2), self.gamma)
        return logits[..., 1:, :]


class FocalMulticlassHead(Head):
    """Focal loss of one logit per class, softmax link.

    ``loss = -(1 - p)**gamma * log(p)`` with p the probability of the class of the sample.

    Use it where some of several classes are rare and shall be found.  The probabilities are
    **not calibrated**, see :class:`FocalBinaryHead`.

    Parameters
    ----------
    gamma : float, default=2.0
        Exponent, at least 0.  0 is cross-entropy.

    Notes
    -----
    Departure: the paper gives each class a logistic output of its own; here the classes of one
    task exclude each other, so that p comes from a softmax.

    References
    ----------
    T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollár: Focal Loss for Dense Object Detection,
    ICCV 2017, arXiv:1708.02002, equation (4).
    """

    alias = "focal_multiclass"
    kind = "multiclass"

    def __init__(self, gamma: float = 2.0) -> None:
        self.gamma = gamma

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"gamma": 0.5}]

    def n_outputs(self, n_columns: int, n_classes: int) -> int:
        """Return one logit per class; a task without any label keeps one."""
        return max(n_classes, 1)

    def encode(self, values: Tensor, n_outputs: int) -> Tensor:
        """Return one column per class, 1 for the class of the sample, else 0."""
        classes = torch.arange(n_outputs, device=values.device, dtype=values.dtype)
        return (values == classes).to(values.dtype)  # (sample, 1) against (class,)

    def loss_and_gradient(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Compute focal losses and their gradients."""
        log_p = torch.log_softmax(z, dim=-2)
        log_own = (log_p * y).sum(-2, keepdim=True)
        factor, slope = _focal(log_own, self.gamma)
        losses = (factor * log_own).mul_(w).sum((-2, -1)).neg_()
        return losses, log_p.exp_().sub_(y).mul_(slope * w)

    def link(self, z: Tensor) -> Tensor:
        """Return the probabilities of all classes, which are not calibrated."""
        return torch.softmax(z, dim=-2)

    def mean_outputs(self, z: Tensor) -> Tensor:
        """Return the logarithms of the mean probabilities."""
        return torch.log_softmax(torch.logsumexp(torch.log_softmax(z, dim=-2), -4), dim=-2)

    def null_outputs(self, y: Tensor, w: Tensor) -> Tensor:
        """Return the logits at which the constant's loss is least."""
        return F.logsigmoid(_best_logits(self.weighted_mean(y, w), self.gamma))


def _focal(log_p: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Return ``(1 - p)^gamma``, and ``-p`` times the derivative of the loss in p.

    The latter is ``(1 - p)^gamma (1 + gamma p (-log p) / (1 - p))``.
    """
    # A little below 0, so that the last quotient, 1 in the limit, is no 0 / 0.
    log_p = log_p.clamp_max(-torch.finfo(log_p.dtype).tiny)
    missing = -torch.expm1(log_p)
    factor = missing**gamma
    return factor, factor * (1.0 - gamma * log_p.exp() * log_p / missing)


def _best_logits(shares: Tensor, gamma: float) -> Tensor:
    """Return logits of the constant probabilities that minimise the loss.

    Parameters
    ----------
    shares : Tensor of shape (..., class, 1)
        Shares of the classes.
    gamma : float
        Exponent.

    Returns
    -------
    Tensor of shape (..., class, 1)
        ``log(p / (1 - p))``.  The p solve ``s_k slope(p_k) / p_k = lambda`` for all k, with the
        lambda for which they sum to 1; the left side falls with p, and p with lambda.
    """
    shares = shares.clamp_min(1e-6)
    low = torch.full_like(shares[..., :1, :], -LARGEST_LOGIT)  # logarithms of lambda
    high = torch.full_like(low, LARGEST_LOGIT)
    logits = torch.zeros_like(shares)
    for _ in range(HALVINGS):
        log_lambda = (low + high) / 2
        left, right = (
            torch.full_like(shares, -LARGEST_LOGIT),
            torch.full_like(shares, LARGEST_LOGIT),
        )
        for _ in range(HALVINGS):
            logits = (left + right) / 2
            log_p = F.logsigmoid(logits)
            is_small = shares.log() + _focal(log_p, gamma)[1].log() - log_p > log_lambda
            left = torch.where(is_small, logits, left)
            right = torch.where(is_small, right, logits)
        is_low = torch.sigmoid(logits).sum(-2, keepdim=True) > 1
        low = torch.where(is_low, log_lambda, low)
        high = torch.where(is_low, high, log_lambda)
    return logits
