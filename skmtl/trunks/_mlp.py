"""A plain multi-layer perceptron."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from skmtl.layers import (
    Block,
    Dropout,
    Inputs,
    Seeds,
    StackedLinear,
    activation_layer,
    check_probability,
    check_sizes,
)
from skmtl.trunks._base import Trunk
from skmtl.trunks._embedding import NumEmbedding, embed


class MLP(Trunk):
    """Fully connected layers, each followed by an activation and dropout.

    The plain choice for tables, and the fastest.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(128, 128)
        Width of each layer.  Empty: the features themselves are the representation, and
        the model is linear.
    activation : str or type, default="relu"
        One of ``skmtl.layers.ACTIVATIONS``, or a class of ``torch.nn.Module``.
    dropout : float, default=0.0
        Probability of dropping an activation in training, in [0, 1).
    num_embeddings : str or NumEmbedding, default=None
        Embedding of each number: ``"piecewise_linear"``, ``"periodic"``, an object such as
        ``PiecewiseLinear(n_bins=32)``, or None.  Flags and one-hot columns stay as they are.
    cat_embeddings : int or str, default=None
        Width of the embedding of each column of words or categories that
        ``preprocess="auto"`` encodes, or None for one-hot columns.
        ``"auto"`` for C categories: ceil(sqrt(C)) + 1, at most C and at most 16.

    Notes
    -----
    The embeddings belong to the first layer: a sharing scheme that copies the one copies the
    other.  A category that was not seen in training has a vector of zeros.  Without hidden
    layers the embeddings are the representation, and the model is additive in the features.

    References
    ----------
    D. E. Rumelhart, G. E. Hinton, R. J. Williams: Learning Representations by
    Back-propagating Errors, Nature 323, 1986.

    Examples
    --------
    >>> from skmtl.trunks import MLP
    >>> MLP(hidden_layer_sizes=(64, 64), dropout=0.1)
    MLP(dropout=0.1, hidden_layer_sizes=(64, 64))
    """

    alias = "mlp"

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (128, 128),
        activation: str | type[nn.Module] = "relu",
        dropout: float = 0.0,
        num_embeddings: str | NumEmbedding | None = None,
        cat_embeddings: int | str | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.num_embeddings = num_embeddings
        self.cat_embeddings = cat_embeddings

    @classmethod
    def test_params(cls) -> list[dict[str, object]]:
        """Return parameter sets for the contract tests."""
        return [
            {"hidden_layer_sizes": (8, 6)},
            {"hidden_layer_sizes": (5,), "activation": "silu", "dropout": 0.2},
            {"hidden_layer_sizes": ()},
        ]

    def blocks(self, inputs: Inputs) -> list[Block]:
        """Plan a block for each hidden layer.

        Parameters
        ----------
        inputs : Inputs
            What is known of the features; of shape ``(n_features,)``.

        Returns
        -------
        list of Block
            Linear layer, activation, dropout; the embeddings stand before the first.
        """
        sizes = check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        check_probability(self.dropout, "dropout")
        activation_layer(self.activation)
        embedding = embed(inputs, self.num_embeddings, self.cat_embeddings)
        blocks = [
            Block(partial(_MLPBlock, n_in, n_out, self.activation, self.dropout), (n_out,))
            for n_in, n_out in pairwise((embedding.out_features, *sizes))
        ]
        return embedding.before(blocks)


class _MLPBlock(nn.Module):
    def __init__(
        self, n_in: int, n_out: int, activation: Any, dropout: float, n_copies: int, seeds: Seeds
    ) -> None:
        super().__init__()
        self.linear = StackedLinear(n_copies, n_in, n_out, seeds.weights)
        self.activation = activation_layer(activation)
        self.dropout = Dropout(dropout, seeds.draw()) if dropout else None

    def relu_layer(self) -> StackedLinear | None:
        """Return the linear layer, if a ReLU follows it, and nothing else."""
        is_plain = type(self.activation) is nn.ReLU and self.dropout is None
        return self.linear if is_plain else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.activation(self.linear(x))
        return h if self.dropout is None else self.dropout(h)  # (copy, sample, feature)
