"""A plain multi-layer perceptron."""

from __future__ import annotations

from torch import Tensor, nn

from skmtl.layers import (
    Dropout,
    Seeds,
    StackedLinear,
    activation_layer,
    check_probability,
    check_sizes,
)
from skmtl.trunks._base import Trunk


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
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout

    @classmethod
    def test_params(cls) -> list[dict[str, object]]:
        """Return parameter sets for the contract tests."""
        return [
            {"hidden_layer_sizes": (8, 6)},
            {"hidden_layer_sizes": (5,), "activation": "silu", "dropout": 0.2},
            {"hidden_layer_sizes": ()},
        ]

    def build(self, input_shape: tuple[int, ...], n_copies: int, seeds: Seeds) -> nn.Module:
        """Build `n_copies` perceptrons as stacked layers.

        Parameters
        ----------
        input_shape : tuple of int
            ``(n_features,)``.
        n_copies : int
            How many to build side by side.
        seeds : Seeds
            Sources of randomness.

        Returns
        -------
        torch.nn.Module
            Maps (sample, n_features) or (copy, sample, n_features) to (copy, sample, feature).
        """
        sizes = check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        dropout = check_probability(self.dropout, "dropout")
        activation_layer(self.activation)
        layers: list[nn.Module] = []
        for n_in, n_out in zip((input_shape[0], *sizes), sizes, strict=False):
            layers += [
                StackedLinear(n_copies, n_in, n_out, seeds.weights),
                activation_layer(self.activation),
            ]
            if dropout:
                layers.append(Dropout(dropout, seeds.draw()))
        return _StackedMLP(layers, n_copies, sizes[-1] if sizes else input_shape[0])


class _StackedMLP(nn.Module):
    def __init__(self, layers: list[nn.Module], n_copies: int, out_features: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.n_copies = n_copies
        self.out_features = out_features

    def relu_chain(self) -> list[StackedLinear] | None:
        """List the linear layers, if a ReLU follows each, and nothing else."""
        linear = [layer for layer in self.layers[::2] if type(layer) is StackedLinear]
        relus = [layer for layer in self.layers[1::2] if type(layer) is nn.ReLU]
        return linear if 2 * len(linear) == 2 * len(relus) == len(self.layers) else None

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        if x.dim() == 2:  # no layer at all
            x = x.expand(self.n_copies, *x.shape)
        return x  # (copy, sample, feature)
