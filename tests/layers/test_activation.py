import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skmtl.layers import ACTIVATIONS, activation_layer

ORACLES = {
    "relu": F.relu,
    "silu": F.silu,
    "gelu": F.gelu,
    "elu": F.elu,
    "selu": F.selu,
    "leaky_relu": F.leaky_relu,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "identity": lambda x: x,
}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_name_is_the_function_of_torch(name):
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)
    expected = ORACLES[name](x)
    torch.testing.assert_close(activation_layer(name)(x.clone()), expected, rtol=0, atol=1e-15)


def test_relu_by_hand():
    y = activation_layer("relu")(torch.tensor([-2.0, 0.0, 3.0]))
    assert y.tolist() == [0.0, 0.0, 3.0]


def test_a_class_is_called():
    assert isinstance(activation_layer(nn.Softplus), nn.Softplus)


def test_each_call_makes_a_new_layer():
    assert activation_layer("tanh") is not activation_layer("tanh")


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("rellu", r"must be one of \[.*\].*`activation = 'rellu'`\. Did you mean 'relu'\?"),
        ("swosh", r"Found `activation = 'swosh'`\."),
        (None, r"Found `activation = None`\."),
        (int, r"a class of torch\.nn\.Module\. Found `activation = <class 'int'>`"),
        (nn.ReLU(), r"Found `activation = ReLU\(\)`"),
        (["relu"], r"Found `activation = \['relu'\]`"),
    ],
)
def test_what_is_no_activation(value, match):
    with pytest.raises(ValueError, match=match):
        activation_layer(value)
