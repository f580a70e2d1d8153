"""Periodic embeddings of numbers."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from skmtl.layers import Block, Inputs, Seeds, check_flag, check_number, check_whole
from skmtl.trunks._embedding import NumEmbedding, stacked_product


class Periodic(NumEmbedding):
    r"""A number as sines and cosines of learned frequencies, then a linear layer and a ReLU.

    For numbers whose effect changes many times over their range.  With frequencies c,
    ``ReLU(Linear([cos(2 pi c x), sin(2 pi c x)]))``, in units of the encoded column.

    Parameters
    ----------
    n_frequencies : int, default=16
        Number of frequencies of each number.
    frequency_scale : float, default=0.1
        Standard deviation of the frequencies at the start.  The one to tune: between 0.01
        and 10; the larger, the faster the embedding changes.
    embedding_dim : int, default=8
        Width of the embedding of a number.
    lite : bool, default=False
        Whether all numbers share one linear layer.

    Notes
    -----
    Departure: frequencies beyond three standard deviations are drawn again, as in the
    authors' package.

    References
    ----------
    Y. Gorishniy, I. Rubachev, A. Babenko: On Embeddings for Numerical Features in Tabular
    Deep Learning, NeurIPS 2022, arXiv 2203.05556, eq. (3) and (4) with a ReLU ("PLR").

    Y. Gorishniy et al.: TabR: Tabular Deep Learning Meets Nearest Neighbors, ICLR 2024,
    arXiv 2307.14338 (``lite``).

    Examples
    --------
    >>> from skmtl.trunks import MLP, Periodic
    >>> MLP(num_embeddings=Periodic(frequency_scale=1.0))
    MLP(num_embeddings=Periodic(frequency_scale=1.0))
    """

    alias = "periodic"

    def __init__(
        self,
        n_frequencies: int = 16,
        frequency_scale: float = 0.1,
        embedding_dim: int = 8,
        lite: bool = False,
    ) -> None:
        self.n_frequencies = n_frequencies
        self.frequency_scale = frequency_scale
        self.embedding_dim = embedding_dim
        self.lite = lite

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{"n_frequencies": 4, "embedding_dim": 3}, {"n_frequencies": 3, "lite": True}]

    def build(self, inputs: Inputs, columns: tuple[int, ...]) -> Block:
        """Plan the embedding.

        Parameters
        ----------
        inputs : Inputs
            Ignored.
        columns : tuple of int
            The columns to embed.

        Returns
        -------
        Block
            Maps numbers to their embeddings.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        n_frequencies = check_whole(self.n_frequencies, "n_frequencies")
        width = check_whole(self.embedding_dim, "embedding_dim")
        # At 0 an embedding would be the same for all numbers.
        scale = check_number(self.frequency_scale, "frequency_scale", above=True)
        lite = check_flag(self.lite, "lite")
        shape = (len(columns), n_frequencies, width)
        return Block(partial(_Periodic, shape, scale, lite), (len(columns), width))


class _Periodic(nn.Module):
    def __init__(
        self, shape: tuple[int, int, int], scale: float, lite: bool, n_copies: int, seeds: Seeds
    ) -> None:
        super().__init__()
        n_numbers, n_frequencies, width = shape
        n_own, bound = 1 if lite else n_numbers, 1 / math.sqrt(2 * n_frequencies)
        self.weight = nn.Parameter(
            torch.empty(n_copies, n_own, 2 * n_frequencies, width, dtype=torch.float32)
        )
        self.bias = nn.Parameter(torch.empty(n_copies, 1, n_own, width, dtype=torch.float32))
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -bound, bound, generator=seeds.weights)
        self.frequencies = nn.Parameter(
            torch.empty(n_copies, 1, n_numbers, n_frequencies, dtype=torch.float32)
        )
        nn.init.trunc_normal_(
            self.frequencies, 0.0, scale, -3 * scale, 3 * scale, generator=seeds.weights
        )

    def forward(self, x: Tensor) -> Tensor:
        angle = (
            2 * math.pi * x.unsqueeze(-1) * self.frequencies
        )  # (copy, sample, number, frequency)
        waves = torch.cat([angle.cos(), angle.sin()], dim=-1)
        h = stacked_product(waves, self.weight) + self.bias  # (copy, sample, number, embedding)
        return h.relu()
