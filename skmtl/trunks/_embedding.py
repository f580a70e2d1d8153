"""Embeddings of numbers and categories, before the first layer of a trunk."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from skmtl._strategy import Strategy, did_you_mean, resolve
from skmtl.layers import Block, Inputs, Seeds, check_whole, spread_members

#: Widest embedding of a category column with ``cat_embeddings="auto"``.
_WIDEST = 16


class NumEmbedding(Strategy):
    """Number -> vector, before the first layer of a trunk; each number in a way of its own.

    Trunks take it as ``num_embeddings``.  A plain layer reads a number through one slope;
    behind an embedding it can tell intervals, or frequencies, from the first layer on.
    """

    @abstractmethod
    def build(self, inputs: Inputs, columns: tuple[int, ...]) -> Block:
        """Plan the embedding.

        Parameters
        ----------
        inputs : Inputs
            What is known of the features.
        columns : tuple of int
            The columns to embed, in order; at least one.

        Returns
        -------
        Block
            Maps (sample, number), shared by all copies, or (copy, sample, number) to
            (copy, sample, number, embedding); its output shape is (number, embedding).
        """


@dataclass(frozen=True)
class Embedded:
    """The features as the first layer of a trunk reads them.

    Parameters
    ----------
    out_features : int
        How many it reads.
    chunks : tuple of int
        How many of them stem from each number, category or other column, in order.
    block : Block or None
        Makes them of the encoded columns; None: they are the encoded columns.
    """

    out_features: int
    chunks: tuple[int, ...]
    block: Block | None

    def before(self, blocks: Sequence[Block], n_submodels: int = 1) -> list[Block]:
        """Put the embedding into the first block, or return it as the only one.

        Parameters
        ----------
        blocks : sequence of Block
            The blocks of a trunk.
        n_submodels : int, default=1
            How often the blocks are given each batch; it is embedded once.

        Returns
        -------
        list of Block
            As many; one if there was none and there is something to embed.
        """
        if self.block is None:
            return list(blocks)
        if not blocks:
            return [self.block]
        joined = partial(_Joined, self.block, blocks[0], n_submodels)
        return [Block(joined, blocks[0].output_shape), *blocks[1:]]


def embed(inputs: Inputs, num_embeddings: Any, cat_embeddings: Any) -> Embedded:
    """Plan the embeddings of a table.

    Parameters
    ----------
    inputs : Inputs
        What is known of the features; of shape ``(n_features,)``.
    num_embeddings : str, NumEmbedding or None
        Embedding of each number.
    cat_embeddings : int, str or None
        Width of the embedding of each category column.

    Returns
    -------
    Embedded
        First the embedded numbers, then the embedded categories, then all other columns.

    Raises
    ------
    ValueError
        If a choice is unknown, or category columns are to be embedded and not known.
    """
    strategy = None
    if num_embeddings is not None:
        strategy = resolve(num_embeddings, NumEmbedding, "num_embeddings")
    if cat_embeddings is not None:
        _width(2, cat_embeddings)  # a wrong word is wrong without categories too
        if inputs.categories is None:
            raise ValueError(
                "`cat_embeddings` needs to know which columns are categories, and they were encoded "
                "before. Use `preprocess='auto'` or `preprocess=FeatureEncoder()`. Found "
                f"`cat_embeddings = {cat_embeddings!r}`."
            )
    numbers = () if strategy is None else _numbers(inputs)
    categories = () if cat_embeddings is None else inputs.categories or ()
    taken = {*numbers, *(i for start, stop in categories for i in range(start, stop))}
    rest = tuple(i for i in range(inputs.size) if i not in taken)
    block = strategy.build(inputs, numbers) if strategy is not None and numbers else None
    widths = tuple(_width(stop - start, cat_embeddings) for start, stop in categories)
    n_numbers, n_each = (0, 0) if block is None else block.output_shape
    chunks = (*(n_each,) * n_numbers, *widths, *_chunks(rest, inputs))
    if not taken:
        return Embedded(inputs.size, chunks, None)
    make = partial(_EmbeddedTable, block, (numbers, categories, rest), widths)
    return Embedded(sum(chunks), chunks, Block(make, (sum(chunks),)))


def stacked_product(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply the encoding of each number by a matrix of its own.

    Parameters
    ----------
    x : Tensor of shape (sample, number, entry) or (copy, sample, number, entry)
        Encoded numbers.
    weight : Tensor of shape (copy, number or 1, entry, embedding)
        The matrices.

    Returns
    -------
    Tensor of shape (copy, sample, number, embedding)
        The products.
    """
    return (x.transpose(-3, -2) @ weight).transpose(-3, -2)


def _numbers(inputs: Inputs) -> tuple[int, ...]:
    """Return the columns that hold numbers."""
    if inputs.numbers is not None:
        return inputs.numbers
    in_categories = {i for start, stop in inputs.categories or () for i in range(start, stop)}
    return tuple(i for i in range(inputs.size) if i not in in_categories)


def _chunks(rest: tuple[int, ...], inputs: Inputs) -> tuple[int, ...]:
    """Return how many columns stem from each feature; one-hot columns belong together."""
    widths = {start: stop - start for start, stop in inputs.categories or ()}
    inside = {i for start, stop in inputs.categories or () for i in range(start + 1, stop)}
    return tuple(widths.get(i, 1) for i in rest if i not in inside)


def _width(n_categories: int, cat_embeddings: Any) -> int:
    """Return the width of a category column's embedding."""
    if isinstance(cat_embeddings, str):
        if cat_embeddings != "auto":
            raise ValueError(
                "Parameter `cat_embeddings` must be a whole number, 'auto' or None. Found "
                f"`cat_embeddings = {cat_embeddings!r}`.{did_you_mean(cat_embeddings, ['auto'])}"
            )
        return min(n_categories, _WIDEST, math.isqrt(max(n_categories - 1, 0)) + 2)
    return check_whole(cat_embeddings, "cat_embeddings")


class _Joined(nn.Module):
    """The embedding and the first block."""

    def __init__(
        self, embedding: Block, block: Block, n_submodels: int, n_copies: int, seeds: Seeds
    ) -> None:
        super().__init__()
        self.n_submodels = n_submodels
        self.embedding = embedding.build(n_copies, seeds)
        self.block = block.build(n_copies, seeds)

    def forward(self, x: Tensor) -> Tensor:
        k = self.n_submodels
        if k == 1 or x.dim() == 3:
            return self.block(self.embedding(x))
        # The features, k times one after the other: a third of a step is saved by k = 32.
        embedded = self.embedding(x[: len(x) // k])  # (copy, sample, feature)
        return self.block(embedded.repeat(1, k, 1))


class _EmbeddedTable(nn.Module):
    """Embedded numbers, embedded categories and the other columns, side by side."""

    of_numbers: Tensor
    rest: Tensor

    def __init__(
        self,
        numbers: Block | None,
        columns: tuple[tuple[int, ...], tuple[tuple[int, int], ...], tuple[int, ...]],
        widths: tuple[int, ...],
        n_copies: int,
        seeds: Seeds,
    ) -> None:
        super().__init__()
        of_numbers, self.spans, rest = columns
        # Not part of the state: first axes there are copies, and these follow from the data.
        for name, positions in (("of_numbers", of_numbers), ("rest", rest)):
            self.register_buffer(name, torch.tensor(positions, dtype=torch.long), persistent=False)
        self.numbers = None if numbers is None else numbers.build(n_copies, seeds)
        self.categories = nn.ParameterList()
        for (start, stop), width in zip(self.spans, widths, strict=True):
            weight = torch.empty(
                n_copies, 1, stop - start, width, dtype=torch.float32
            )  # (copy, 1, category, entry)
            bound = 1 / math.sqrt(width)
            nn.init.uniform_(weight, -bound, bound, generator=seeds.weights)
            self.categories.append(nn.Parameter(weight))

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 3:
            x = spread_members(x, len(next(self.parameters())))
        parts = []
        if self.numbers is not None:
            parts.append(self.numbers(x.index_select(-1, self.of_numbers)).flatten(2))
        for (start, stop), weight in zip(self.spans, self.categories, strict=True):
            # An unknown category has zeros in all columns, and so in the embedding.
            parts.append(x[..., start:stop] @ weight[:, 0])
        if len(self.rest):
            rest = x.index_select(-1, self.rest)
            parts.append(rest if rest.dim() == 3 else rest.expand(len(parts[0]), *rest.shape))
        return torch.cat(parts, dim=-1)  # (copy, sample, feature)
