"""Activations by name."""

from __future__ import annotations

from torch import nn

from skmtl._strategy import did_you_mean

#: Names that users write, and the class behind each.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "identity": nn.Identity,
}


def activation_layer(activation: object) -> nn.Module:
    """Build the activation that a user named.

    Parameters
    ----------
    activation : str or type
        A name, or a class of ``torch.nn.Module`` without arguments.

    Returns
    -------
    torch.nn.Module
        Elementwise, of any shape.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if isinstance(activation, type) and issubclass(activation, nn.Module):
        return activation()
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ValueError(
            f"Parameter `activation` must be one of {sorted(ACTIVATIONS)} or a class of "
            f"torch.nn.Module. Found `activation = {activation!r}`."
            f"{did_you_mean(activation, ACTIVATIONS)}"
        )
    if activation == "relu":
        return nn.ReLU(inplace=True)  # the layer before it does not need its output
    return ACTIVATIONS[activation]()
