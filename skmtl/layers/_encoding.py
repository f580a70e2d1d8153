"""Numbers beside their places among the quantiles of their columns."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from skmtl.layers._linear import spread_members


class PiecewiseLinearEncoding(nn.Module):
    r"""The features as they are, and after them each number's place in the bins of its column.

    Entry t of a number x is ``(x - b_{t-1}) / (b_t - b_{t-1})``, at least 0 and at most 1: it
    says how far x has come through bin t.  A layer behind it can follow steps and thresholds
    of a number from the start, as trees do.  There is nothing to be learnt in it.

    Parameters
    ----------
    n_features : int
        Number of features.
    columns : sequence of int
        The columns that hold numbers.
    edges : sequence of ndarray
        The rising edges of the bins of each of these columns; fewer than three: the number has
        no bins.

    Shape
    -----
    - Input: (\*, n_features)
    - Output: (\*, out_features)

    References
    ----------
    Y. Gorishniy, I. Rubachev, A. Babenko: On Embeddings for Numerical Features in Tabular
    Deep Learning, NeurIPS 2022, arXiv 2203.05556, eq. (1).  There the encoding stands in place
    of the number, and has no bound outside of the training range; here the number itself,
    which is kept, goes on there.
    """

    columns: Tensor
    left: Tensor
    rate: Tensor

    def __init__(
        self, n_features: int, columns: Sequence[int], edges: Sequence[np.ndarray]
    ) -> None:
        super().__init__()
        binned = [
            (column, np.asarray(e, np.float64))
            for column, e in zip(columns, edges, strict=True)
            if len(e) > 2
        ]
        of_bins = [column for column, e in binned for _ in e[1:]]
        left = np.concatenate([[], *(e[:-1] for _, e in binned)])
        rate = np.concatenate([[], *(1 / np.diff(e) for _, e in binned)])
        # Not part of the state: first axes there are copies, and these follow from the data.
        buffers = {"left": torch.tensor(left).float(), "rate": torch.tensor(rate).float()}
        buffers["columns"] = torch.tensor(of_bins, dtype=torch.long)
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)
        self.out_features = n_features + len(of_bins)

    @classmethod
    def stacked(
        cls, parts: Sequence[PiecewiseLinearEncoding], sizes: Sequence[int]
    ) -> PiecewiseLinearEncoding:
        """Make one of those of several nets, whose members read rows of their own.

        Parameters
        ----------
        parts : sequence of PiecewiseLinearEncoding
            By net, with bins of the same columns.
        sizes : sequence of int
            Members of each.

        Returns
        -------
        PiecewiseLinearEncoding
            For an input of shape (member, sample, n_features) or (member and task, sample,
            n_features).
        """
        stack = copy.copy(parts[0])
        stack._buffers = dict(stack._buffers)
        for name in ("left", "rate"):
            of_nets = [getattr(part, name) for part in parts]
            rows = [own.expand(size, 1, -1) for own, size in zip(of_nets, sizes, strict=True)]
            stack._buffers[name] = torch.cat(rows)  # (member, sample=1, bin)
        return stack

    def forward(self, x: Tensor) -> Tensor:
        """Encode features."""
        if not len(self.columns):
            return x
        left, rate = self.left, self.rate
        if left.dim() == 3:  # tasks of a member may have rows of their own
            left, rate = spread_members(left, len(x)), spread_members(rate, len(x))
        # As a difference first: w*x + b rounds to noise where a bin is narrow.
        places = (x.index_select(-1, self.columns) - left) * rate
        return torch.cat([x, places.clamp_(0.0, 1.0)], dim=-1)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what :func:`encode_array` takes: columns, left edges and rates of the bins."""
        return self.columns.numpy(), self.left.numpy(), self.rate.numpy()


def encode_array(
    x: np.ndarray, columns: np.ndarray, left: np.ndarray, rate: np.ndarray
) -> np.ndarray:
    """Encode features as :class:`PiecewiseLinearEncoding` does, without a call of torch's.

    Parameters
    ----------
    x : ndarray of shape (n_samples, n_features), float64
        Features.
    columns, left, rate : ndarray of shape (n_bins,)
        From :meth:`PiecewiseLinearEncoding.arrays`.

    Returns
    -------
    ndarray of shape (n_samples, out_features), float64
        The same to the last bit.
    """
    places = (x[:, columns] - left) * rate
    return np.concatenate([x, np.minimum(np.maximum(places, 0.0), 1.0)], axis=1)


def bin_edges(
    numbers: np.ndarray, n_bins: int, weights: np.ndarray | None = None
) -> list[np.ndarray]:
    """Return quantiles that part columns into bins of about as many rows.

    Parameters
    ----------
    numbers : ndarray of shape (n_samples, n_columns)
        Without missing values.
    n_bins : int
        Number of bins, at least 1.
    weights : ndarray of shape (n_samples,), default=None
        Weights of the rows; a weight of 2 is a row twice.

    Returns
    -------
    list of ndarray
        By column; edges that coincide in float32 are one edge, so that a column with few values
        has fewer bins.
    """
    levels = np.linspace(0.0, 1.0, n_bins + 1)
    if weights is None or (weights == weights[:1]).all():  # equal weights are no weights
        weights = np.ones(len(numbers))
    counted = numbers[weights > 0].astype(np.float32).astype(np.float64)
    found = np.quantile(
        counted, levels, axis=0, weights=weights[weights > 0], method="inverted_cdf"
    )
    return [np.unique(column) for column in found.T]
