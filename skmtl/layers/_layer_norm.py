"""Many layer norms of one width as one stacked computation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StackedLayerNorm(nn.Module):
    """`n_copies` independent layer norms.

    For copy s and sample i: ``y[s, i] = scale[s] * (x[s, i] - mean) / sqrt(var + eps) + bias[s]``
    with the mean and the variance over the features of that sample.

    Parameters
    ----------
    n_copies : int
        Number of layers, at least 1.
    n_features : int
        Width of the input.
    eps : float, default=1e-05
        Added to the variance.

    Shape
    -----
    - Input: (sample, n_features), the same for every copy, or (copy, sample, n_features)
    - Output: (copy, sample, n_features)

    Notes
    -----
    A row is normalised by itself, never by the rows beside it, so that predictions for one
    row and for a thousand agree.

    References
    ----------
    J. L. Ba, J. R. Kiros, G. E. Hinton: Layer Normalization, 2016, arXiv 1607.06450, eq. (4).
    """

    def __init__(self, n_copies: int, n_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        # Not called `weight`: its neutral value is 1, so that nothing should pull it to 0.
        self.scale = nn.Parameter(torch.ones(n_copies, 1, n_features))
        self.bias = nn.Parameter(torch.zeros(n_copies, 1, n_features))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every sample, and apply each copy's scale and bias."""
        normal = F.layer_norm(x, x.shape[-1:], eps=self.eps)
        return torch.addcmul(self.bias, self.scale, normal)  # (copy, sample, feature)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows."""
        n_copies, _, n_features = self.scale.shape
        return f"n_copies={n_copies}, n_features={n_features}"
