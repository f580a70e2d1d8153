"""A residual network for tables."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from skmtl._numbers import is_number
from skmtl.layers import (
    Block,
    Dropout,
    Inputs,
    Seeds,
    StackedLayerNorm,
    StackedLinear,
    activation_layer,
    check_probability,
    check_whole,
)
from skmtl.trunks._base import Trunk
from skmtl.trunks._embedding import NumEmbedding, embed


class ResNet(Trunk):
    r"""Residual blocks of one width, each with a normalisation of its own.

    Deeper than an :class:`MLP` can be, since each block only adds to what came before:
    ``x + Dropout(Linear(Dropout(ReLU(Linear(Norm(x))))))``.  For tables with many rows.

    Parameters
    ----------
    n_blocks : int, default=2
        Number of residual blocks, at least 0.
    width : int, default=128
        Width of the representation that the blocks add to.
    hidden_factor : float, default=2.0
        Width inside a block, in units of `width`.
    dropout : float, default=0.0
        Probability of dropping an activation inside a block, in [0, 1).
    residual_dropout : float, default=0.0
        Probability of dropping an entry of what a block adds, in [0, 1).
    activation : str or type, default="relu"
        One of ``skmtl.layers.ACTIVATIONS``, or a class of ``torch.nn.Module``.
    num_embeddings : str or NumEmbedding, default=None
        Embedding of each number: ``"piecewise_linear"``, ``"periodic"``, an object, or None.
    cat_embeddings : int or str, default=None
        Width of the embedding of each column of words or categories that
        ``preprocess="auto"`` encodes, ``"auto"`` for a width by the number of categories, or
        None for one-hot columns.

    Notes
    -----
    Departure: the paper normalises by the batch.  There a prediction in training depends on
    the rows beside it, a batch of one fails, and tasks with few labels see the statistics of
    all rows; here a row is normalised by itself (layer norm).

    References
    ----------
    Y. Gorishniy, I. Rubachev, V. Khrulkov, A. Babenko: Revisiting Deep Learning Models for
    Tabular Data, NeurIPS 2021, arXiv 2106.11959, eq. (2).

    Examples
    --------
    >>> from skmtl.trunks import ResNet
    >>> ResNet(n_blocks=3, dropout=0.2)
    ResNet(dropout=0.2, n_blocks=3)
    """

    alias = "resnet"

    def __init__(
        self,
        n_blocks: int = 2,
        width: int = 128,
        hidden_factor: float = 2.0,
        dropout: float = 0.0,
        residual_dropout: float = 0.0,
        activation: str | type[nn.Module] = "relu",
        num_embeddings: str | NumEmbedding | None = None,
        cat_embeddings: int | str | None = None,
    ) -> None:
        self.n_blocks = n_blocks
        self.width = width
        self.hidden_factor = hidden_factor
        self.dropout = dropout
        self.residual_dropout = residual_dropout
        self.activation = activation
        self.num_embeddings = num_embeddings
        self.cat_embeddings = cat_embeddings

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [
            {"n_blocks": 2, "width": 6, "dropout": 0.2, "residual_dropout": 0.1},
            {"n_blocks": 1, "width": 7, "activation": "silu", "num_embeddings": "periodic"},
        ]

    def blocks(self, inputs: Inputs) -> list[Block]:
        """Plan a linear layer and the residual blocks.

        Parameters
        ----------
        inputs : Inputs
            What is known of the features; of shape ``(n_features,)``.

        Returns
        -------
        list of Block
            One more than `n_blocks`; the last ends in a normalisation and an activation.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        n_blocks = check_whole(self.n_blocks, "n_blocks", least=0)
        width = check_whole(self.width, "width")
        check_probability(self.dropout, "dropout")
        check_probability(self.residual_dropout, "residual_dropout")
        activation_layer(self.activation)
        hidden = _hidden_width(width, self.hidden_factor)
        embedding = embed(inputs, self.num_embeddings, self.cat_embeddings)
        first: Any = partial(_First, embedding.out_features, width)
        residual: Any = partial(
            _Residual, width, hidden, self.activation, (self.dropout, self.residual_dropout)
        )
        makes = [first, *[residual] * n_blocks]
        makes[-1] = partial(_Last, makes[-1], width, self.activation)
        return embedding.before([Block(make, (width,)) for make in makes])


def _hidden_width(width: int, factor: Any) -> int:
    if not is_number(factor) or not 1 <= width * float(factor) < 1e9:
        raise ValueError(
            "Parameter `hidden_factor` must be a number that makes a block at least 1 wide, "
            f"with `width = {width}`. Found `hidden_factor = {factor!r}`."
        )
    return int(width * float(factor))


class _First(nn.Module):
    def __init__(self, n_in: int, n_out: int, n_copies: int, seeds: Seeds) -> None:
        super().__init__()
        self.linear = StackedLinear(n_copies, n_in, n_out, seeds.weights)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)  # (copy, sample, feature)


class _Residual(nn.Module):
    def __init__(
        self,
        width: int,
        hidden: int,
        activation: Any,
        dropouts: tuple[float, float],
        n_copies: int,
        seeds: Seeds,
    ) -> None:
        super().__init__()
        self.norm = StackedLayerNorm(n_copies, width)
        self.inner = StackedLinear(n_copies, width, hidden, seeds.weights)
        self.activation = activation_layer(activation)
        self.outer = StackedLinear(n_copies, hidden, width, seeds.weights)
        self.dropout, self.residual_dropout = (
            Dropout(p, seeds.draw()) if p else nn.Identity() for p in dropouts
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.dropout(self.activation(self.inner(self.norm(x))))
        return x + self.residual_dropout(self.outer(h))  # (copy, sample, feature)


class _Last(nn.Module):
    """The last block, and the normalisation and activation that the heads read."""

    def __init__(self, make: Any, width: int, activation: Any, n_copies: int, seeds: Seeds) -> None:
        super().__init__()
        self.block = make(n_copies, seeds)
        self.norm = StackedLayerNorm(n_copies, width)
        self.activation = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.block(x)))  # (copy, sample, feature)
