import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from torch.nn import functional as F

from skmtl import MultiTaskNetClassifier
from skmtl.layers import Dropout, Inputs, Seeds
from skmtl.trunks import CNN, MLP


def build(n_copies=2, shape=(2, 6, 5), **params):
    seeds = Seeds.spawn(np.random.RandomState(0))
    return CNN(**params).build(Inputs(shape), n_copies, seeds).double()


def by_loop(trunk, x, copy, kernel_size, pool_size):
    """One copy, layer by layer, with torch's own functions."""
    p = {name: parameter[copy] for name, parameter in trunk.named_parameters()}
    before, after = (kernel_size - 1) // 2, kernel_size // 2
    h = x
    for i in range(len(trunk.blocks)):
        if f"blocks.{i}.conv.weight" in p:
            padded = F.pad(h, (before, after, before, after))
            h = F.conv2d(padded, p[f"blocks.{i}.conv.weight"], p[f"blocks.{i}.conv.bias"]).relu()
            h = F.max_pool2d(h, pool_size, ceil_mode=True)
        else:
            weight, bias = p[f"blocks.{i}.linear.weight"], p[f"blocks.{i}.linear.bias"][0]
            h = F.linear(h.flatten(1), weight.T, bias).relu()
    return h.flatten(1)


@pytest.mark.parametrize("own_input", [False, True])
@pytest.mark.parametrize(("kernel_size", "pool_size"), [(3, 2), (2, 1), (1, 3), (4, 4)])
@pytest.mark.parametrize("sizes", [(), (7,), (7, 4)])
def test_against_torch_layer_by_layer(own_input, kernel_size, pool_size, sizes):
    trunk = build(
        3,
        channels=(3, 4),
        kernel_size=kernel_size,
        pool_size=pool_size,
        hidden_layer_sizes=sizes,
    )
    x = torch.randn((3, 5, 2, 6, 5) if own_input else (5, 2, 6, 5), dtype=torch.float64)
    h = trunk(x)
    assert h.shape == (3, 5, trunk.out_features)
    for copy in range(3):
        expected = by_loop(trunk, x[copy] if own_input else x, copy, kernel_size, pool_size)
        torch.testing.assert_close(h[copy], expected, rtol=0, atol=1e-13)


def test_shapes_of_the_blocks():
    blocks = CNN(channels=(3, 4), hidden_layer_sizes=(7, 6)).blocks(Inputs((2, 9, 5)))
    assert [block.output_shape for block in blocks] == [(3, 5, 3), (4, 3, 2), (7,), (6,)]
    blocks = CNN(channels=(3, 4), hidden_layer_sizes=()).blocks(Inputs((2, 9, 5)))
    assert [block.output_shape for block in blocks] == [(3, 5, 3), (24,)]


def test_an_image_of_one_pixel_with_a_kernel_of_one_is_an_mlp():
    trunk = build(2, (3, 1, 1), channels=(6,), kernel_size=1, hidden_layer_sizes=())
    mlp = MLP(hidden_layer_sizes=(6,)).build(Inputs((3,)), 2, Seeds.spawn(np.random.RandomState(0)))
    with torch.no_grad():
        mlp.blocks[0].linear.weight.copy_(trunk.blocks[0].conv.weight[..., 0, 0].mT)
        mlp.blocks[0].linear.bias.copy_(trunk.blocks[0].conv.bias.unsqueeze(1))
    x = torch.randn(5, 3, dtype=torch.float64)
    expected = mlp.double()(x)
    torch.testing.assert_close(trunk(x[..., None, None]), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("shape", "image_shape"),
    [((60,), (2, 6, 5)), ((2, 6, 5), None), ((2, 6, 5), (2, 6, 5)), ((2, 6, 5), [2, 6, 5])],
)
@pytest.mark.parametrize("own_input", [False, True])
def test_rows_and_images_of_the_same_pixels(shape, image_shape, own_input):
    x = torch.randn(3, 4, 60, dtype=torch.float64)
    x = x if own_input else x[0]
    expected = build(3)(x.unflatten(-1, (2, 6, 5)))
    found = build(3, shape, image_shape=image_shape)(x.unflatten(-1, shape))
    assert torch.equal(found, expected)


@pytest.mark.parametrize(("shape", "image_shape"), [((6, 5), None), ((30,), (6, 5))])
def test_one_channel_is_added(shape, image_shape):
    x = torch.randn(4, 30, dtype=torch.float64)
    expected = build(2, (1, 6, 5))(x.unflatten(-1, (1, 6, 5)))
    assert torch.equal(build(2, shape, image_shape=image_shape)(x.unflatten(-1, shape)), expected)


def test_dropout_follows_the_convolutions_and_each_layer():
    trunk = build(channels=(8, 8), hidden_layer_sizes=(50, 40), dropout=0.5)
    assert sum(isinstance(layer, Dropout) for layer in trunk.modules()) == 3
    x = torch.randn(9, 2, 6, 5, dtype=torch.float64)
    assert not torch.equal(trunk(x), trunk(x))
    trunk.eval()
    assert torch.equal(trunk(x), build(channels=(8, 8), hidden_layer_sizes=(50, 40))(x))


def test_digits_in_a_pipeline():
    X, y = load_digits(return_X_y=True)
    Y = np.column_stack([y, y % 2])
    net = MultiTaskNetClassifier(
        trunk=CNN(channels=(8,), hidden_layer_sizes=(32,), image_shape=(8, 8)),
        max_epochs=15,
        random_state=0,
    )
    model = make_pipeline(MinMaxScaler(), net).fit(X[:1200], Y[:1200])
    assert (model.predict(X[1200:]) == Y[1200:]).mean(0).min() > 0.85
    images = X.reshape(-1, 1, 8, 8) / 16
    net.set_params(trunk__image_shape=None).fit(images[:300], Y[:300])
    assert net.predict(images[:2]).shape == (2, 2)


def test_words_are_no_pixels():
    inputs = Inputs((8,), tuple(range(5)), ((5, 8),))
    with pytest.raises(ValueError, match=r"holds categories, encoded as 3 columns.* Leave"):
        CNN(image_shape=(2, 4)).blocks(inputs)
    X = pd.DataFrame({"a": np.arange(6.0), "b": list("xyxyxz")})  # four encoded columns
    net = MultiTaskNetClassifier(trunk=CNN(image_shape=(2, 2)), max_epochs=1)
    with pytest.raises(ValueError, match="holds categories"):
        net.fit(X, np.array([0, 1, 0, 1, 0, 1]))


@pytest.mark.parametrize(
    ("shape", "params", "match"),
    [
        ((64,), {}, r"reads images\. Found a table, .*64\)\. Set `trunk=CNN\(image_shape="),
        ((64,), {"image_shape": (8, 9)}, r"8 \* 9 = 72\. Found 64 features"),
        ((64,), {"image_shape": (64,)}, r"Found `image_shape`, a shape \(64,\)"),
        ((64,), {"image_shape": (8, -8)}, r"`image_shape` must hold whole numbers"),
        ((1, 2, 3, 4), {}, r"axes \(height, width\) .* Found samples of shape \(1, 2, 3, 4\)"),
        ((2, 6, 5), {"image_shape": (6, 10)}, r"Found samples of shape \(2, 6, 5\)\. Leave"),
        ((2, 6, 5), {"channels": ()}, r"`channels` must hold at least one convolution"),
        ((2, 6, 5), {"kernel_size": 0}, r"`kernel_size` must be a whole number of at least 1"),
        ((2, 6, 5), {"pool_size": 1.5}, r"`pool_size` must be a whole number of at least 1"),
        ((2, 6, 5), {"dropout": 1}, r"`dropout` must be a number in \[0, 1\)"),
        ((2, 6, 5), {"activation": "rellu"}, r"Did you mean 'relu'\?"),
    ],
)
def test_wrong_parameters(shape, params, match):
    with pytest.raises(ValueError, match=match):
        build(shape=shape, **params)
