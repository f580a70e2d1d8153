"""Piecewise-linear embeddings of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skmtl.layers import Block, Inputs, Seeds, check_flag, check_whole
from skmtl.trunks._embedding import NumEmbedding, stacked_product


class PiecewiseLinear(NumEmbedding):
    r"""A number as its place among the quantiles of its column, then a linear layer.

    Lets a network follow steps and thresholds of a number, as trees do.  With bin edges
    ``b_0 < ... < b_T``, entry t of the encoding is ``(x - b_{t-1}) / (b_t - b_{t-1})``, at
    least 0 (but for the first) and at most 1 (but for the last); each number then has a
    linear layer of its own.

    Parameters
    ----------
    n_bins : int, default=16
        Number of quantile bins, at least 2.  Edges that coincide are one edge, so that a
        number with few values has fewer.
    embedding_dim : int, default=8
        Width of the embedding of a number.
    activation : bool, default=True
        Whether a ReLU follows the linear layer.
    edges : sequence, default=None
        Bin edges in place of quantiles, in units of the encoded columns: a sequence of
        floats for all numbers, or a sequence of such sequences, one for each.

    Notes
    -----
    Departure: a column with a single value in training gets one bin of width 1 above it.

    References
    ----------
    Y. Gorishniy, I. Rubachev, A. Babenko: On Embeddings for Numerical Features in Tabular
    Deep Learning, NeurIPS 2022, arXiv 2203.05556, eq. (1) and (2).

    Examples
    --------
    >>> from skmtl.trunks import MLP, PiecewiseLinear
    >>> MLP(num_embeddings=PiecewiseLinear(n_bins=8))
    MLP(num_embeddings=PiecewiseLinear(n_bins=8))
    """

    alias = "piecewise_linear"

    def __init__(
        self,
        n_bins: int = 16,
        embedding_dim: int = 8,
        activation: bool = True,
        edges: Iterable[Any] | None = None,
    ) -> None:
        self.n_bins = n_bins
        self.embedding_dim = embedding_dim
        self.activation = activation
        self.edges = edges

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [
            {"edges": (-1.0, 0.0, 1.5), "embedding_dim": 4},
            {"edges": (-1.0, 0.0, 1.5), "activation": False},
        ]

    def build(self, inputs: Inputs, columns: tuple[int, ...]) -> Block:
        """Plan the embedding, with bins from the training rows.

        Parameters
        ----------
        inputs : Inputs
            What is known of the features.
        columns : tuple of int
            The columns to embed.

        Returns
        -------
        Block
            Maps numbers to their embeddings.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or there are neither rows nor edges.
        """
        n_bins = check_whole(self.n_bins, "n_bins", least=2)
        width = check_whole(self.embedding_dim, "embedding_dim")
        activation = check_flag(self.activation, "activation")
        if self.edges is not None:
            edges = _given_edges(self.edges, columns)
        elif inputs.sample is None:
            raise ValueError(
                "`num_embeddings = 'piecewise_linear'` needs training rows for its quantiles, "
                "and the trunk was built without. Set `edges` of PiecewiseLinear."
            )
        else:
            edges = [_quantiles(column, n_bins) for column in inputs.sample()[:, columns].T]
        make = partial(_PiecewiseLinear, edges, width, activation)
        return Block(make, (len(columns), width))


def _quantiles(column: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the edges of the bins, as float32 tells them apart."""
    quantiles = np.quantile(column, np.linspace(0.0, 1.0, n_bins + 1))
    edges = np.unique(quantiles.astype(np.float32)).astype(np.float64)
    return np.array([edges[0], edges[0] + 1.0]) if len(edges) == 1 else edges


def _given_edges(given: Any, columns: tuple[int, ...]) -> list[np.ndarray]:
    """Check the user's edges and return those of each number."""
    try:
        if isinstance(given, str | bytes):
            raise TypeError
        listed = list(given)
        of_all = all(np.ndim(item) == 0 for item in listed)
        each = [listed] * len(columns) if of_all else listed
        edges = [np.asarray(item, np.float64) for item in each]
    except (TypeError, ValueError) as error:
        raise ValueError(
            "Parameter `edges` must be a sequence of numbers for all columns, or a sequence of "
            f"such sequences, one for each. Found `edges = {given!r}`."
        ) from error
    if len(edges) != len(columns):
        raise ValueError(
            f"Parameter `edges` must hold the edges of each of the {len(columns)} numbers, or "
            f"those for all. Found edges of {len(edges)}."
        )
    for i, (item, column) in enumerate(zip(edges, columns, strict=True)):
        rises = item.ndim == 1 and len(item) > 1 and (item[1:] > item[:-1]).all()
        if not rises or not np.isfinite(item).all():
            raise ValueError(
                "Parameter `edges` must hold at least two rising, finite numbers for each number. "
                f"Found {item.tolist()} for number {i}, which is encoded column {column}."
            )
    return edges


class _PiecewiseLinear(nn.Module):
    left: Tensor
    rate: Tensor
    least: Tensor
    most: Tensor

    def __init__(
        self, edges: list[np.ndarray], width: int, activation: bool, n_copies: int, seeds: Seeds
    ) -> None:
        super().__init__()
        bins = _bins(edges)
        n_numbers, n_bins = bins["left"].shape
        bound = 1 / math.sqrt(n_bins)
        self.weight = nn.Parameter(
            torch.empty(n_copies, n_numbers, n_bins, width, dtype=torch.float32)
        )
        self.bias = nn.Parameter(torch.empty(n_copies, 1, n_numbers, width, dtype=torch.float32))
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -bound, bound, generator=seeds.weights)
        for name, values in bins.items():
            # The same for all copies, and so not part of the state, where copies are first.
            buffer = torch.tensor(values).float().expand(1, 1, -1, -1)
            self.register_buffer(name, buffer, persistent=False)  # (1, 1, number, bin)
        self.activation = nn.ReLU() if activation else None

    def forward(self, x: Tensor) -> Tensor:
        # As a difference first: w*x + b rounds to noise where a bin is narrow.
        place = (x.unsqueeze(-1) - self.left) * self.rate  # (copy, sample, number, bin)
        encoded = torch.maximum(torch.minimum(place, self.most), self.least)
        h = stacked_product(encoded, self.weight) + self.bias  # (copy, sample, number, embedding)
        return h if self.activation is None else self.activation(h)


def _bins(edges: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return left edges, 1 / widths and bounds of all bins, each of shape (number, bin)."""
    n_bins = max(map(len, edges)) - 1
    shape = (len(edges), n_bins)
    # A bin that a number does not have stays at zero: its rate is 0.
    bins = {"left": np.zeros(shape), "rate": np.zeros(shape)}
    bins |= {"least": np.zeros(shape), "most": np.ones(shape)}
    for i, item in enumerate(edges):
        last = len(item) - 2
        bins["left"][i, : last + 1] = item[:-1]
        bins["rate"][i, : last + 1] = 1 / np.diff(item)
        bins["least"][i, 0], bins["most"][i, last] = -np.inf, np.inf
    return bins
