import numpy as np
import pytest
import torch
from torch.nn import functional as F

from skmtl.layers import Dropout, Inputs, Seeds
from skmtl.trunks import MLP


def seeds(state=0):
    return Seeds.spawn(np.random.RandomState(state))


def build(n_copies=2, n_features=4, **params):
    return MLP(**params).build(Inputs((n_features,)), n_copies, seeds()).double()


def test_against_torch_layer_by_layer():
    trunk = build(3, hidden_layer_sizes=(6, 5), activation="silu")
    x = torch.randn(7, 4, dtype=torch.float64)
    parameters = dict(trunk.named_parameters())
    weights = [p for name, p in parameters.items() if name.endswith("weight")]
    biases = [p for name, p in parameters.items() if name.endswith("bias")]
    assert [tuple(w.shape) for w in weights] == [(3, 4, 6), (3, 6, 5)]
    for copy in range(3):
        h = x
        for w, b in zip(weights, biases, strict=True):
            h = F.silu(F.linear(h, w[copy].T, b[copy, 0]))
        torch.testing.assert_close(trunk(x)[copy], h, rtol=0, atol=1e-14)


def test_one_input_for_all_is_the_same_input_for_each():
    trunk = build(3, hidden_layer_sizes=(6, 5))
    x = torch.randn(7, 4, dtype=torch.float64)
    torch.testing.assert_close(trunk(x), trunk(x.expand(3, 7, 4)), rtol=0, atol=1e-14)


def test_by_hand():
    trunk = build(1, 2, hidden_layer_sizes=(2,))
    with torch.no_grad():
        trunk.blocks[0].linear.weight.copy_(torch.tensor([[[1.0, -1.0], [2.0, 3.0]]]))
        trunk.blocks[0].linear.bias.copy_(torch.tensor([[[0.5, -20.0]]]))
    h = trunk(torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    assert h.tolist() == [[[3 + 8 + 0.5, 0.0]]]  # relu(-3 + 12 - 20) = 0


@pytest.mark.parametrize("own_input", [False, True])
def test_no_layer_is_the_features_themselves(own_input):
    trunk = build(3, hidden_layer_sizes=())
    x = torch.randn((3, 7, 4) if own_input else (7, 4), dtype=torch.float64)
    assert trunk.out_features == 4
    assert not list(trunk.parameters())
    assert torch.equal(trunk(x), x.expand(3, 7, 4))


def test_a_number_is_one_layer():
    assert build(hidden_layer_sizes=9).out_features == 9


def test_dropout_follows_each_activation_and_acts_in_training_only():
    trunk = build(2, hidden_layer_sizes=(50, 40), dropout=0.5)
    layers = [layer for layer in trunk.modules() if isinstance(layer, Dropout)]
    assert len(layers) == 2
    assert layers[0].seed != layers[1].seed
    x = torch.randn(30, 4, dtype=torch.float64)
    assert not torch.equal(trunk(x), trunk(x))
    trunk.eval()
    assert torch.equal(trunk(x), trunk(x))
    plain = build(2, hidden_layer_sizes=(50, 40))
    assert torch.equal(trunk(x), plain(x))  # dropout draws no initial weight


def test_the_same_seed_gives_the_same_weights():
    first, again = MLP().build(Inputs((3,)), 1, seeds()), MLP().build(Inputs((3,)), 1, seeds())
    other = MLP().build(Inputs((3,)), 1, seeds(1))
    assert all(map(torch.equal, first.parameters(), again.parameters()))
    assert not any(map(torch.equal, first.parameters(), other.parameters()))


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"hidden_layer_sizes": (8, 0)}, r"`hidden_layer_sizes` must hold whole numbers"),
        ({"activation": "rellu"}, r"Did you mean 'relu'\?"),
        ({"activation": "rellu", "hidden_layer_sizes": ()}, r"Did you mean 'relu'\?"),
        ({"dropout": 1.0}, r"`dropout` must be a number in \[0, 1\)\. Found `dropout = 1\.0`"),
        ({"dropout": "0.1"}, r"Found `dropout = '0\.1'`"),
    ],
)
def test_wrong_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        build(**params)
