import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import r2_score

from skmtl import MultiTaskNetRegressor
from skmtl.layers import Inputs, Seeds
from skmtl.trunks import MLP, Periodic, PiecewiseLinear, ResNet, TabM

#: Numbers in columns 0 and 3, a flag in 1, a missing indicator in 2, words in 4-6 and 7-8.
INPUTS = Inputs((9,), numbers=(0, 3), categories=((4, 7), (7, 9)))


def build(trunk, inputs=INPUTS, n_copies=2):
    return trunk.build(inputs, n_copies, Seeds.spawn(np.random.RandomState(0))).double()


def linear_of(trunk):
    return trunk.blocks[0].block.linear


def test_by_hand():
    trunk = build(MLP(hidden_layer_sizes=(), cat_embeddings=2), n_copies=1)
    first, second = trunk.blocks[0].categories
    with torch.no_grad():
        first.copy_(torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]))
        second.copy_(torch.tensor([[[7.0, 8.0], [9.0, 10.0]]]))
    x = torch.tensor([[0.5, 1.0, 0.0, -2.0, 0, 1, 0, 1, 0], [0.5, 1.0, 0.0, -2.0, 0, 0, 0, 0, 1]])
    h = trunk(x.double())
    # Categories first; the second row's first word is unknown.  Then what is left, in order.
    assert h.tolist() == [[[3, 4, 7, 8, 0.5, 1, 0, -2], [0, 0, 9, 10, 0.5, 1, 0, -2]]]
    assert trunk.out_features == 8


@pytest.mark.parametrize("own_input", [False, True])
def test_numbers_come_first_then_categories_then_the_rest(own_input):
    embedding = PiecewiseLinear(edges=(-1.0, 0.0, 1.0), embedding_dim=3)
    trunk = build(MLP(hidden_layer_sizes=(), num_embeddings=embedding, cat_embeddings="auto"))
    x = torch.randn((2, 5, 9) if own_input else (5, 9), dtype=torch.float64)
    h = trunk(x)
    table = trunk.blocks[0]
    # "auto": min(3, ceil(sqrt(3)) + 1) = 3, and 2 for two categories
    assert [tuple(weight.shape) for weight in table.categories] == [(2, 1, 3, 3), (2, 1, 2, 2)]
    assert h.shape == (2, 5, 2 * 3 + 3 + 2 + 2)
    numbers = table.numbers(x[..., [0, 3]])
    torch.testing.assert_close(h[..., :6], numbers.flatten(2), rtol=0, atol=0)
    torch.testing.assert_close(h[..., 11:], x[..., 1:3].expand(2, 5, 2), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("n_categories", "width"), [(1, 1), (2, 2), (3, 3), (4, 3), (10, 5), (50, 9), (400, 16)]
)
def test_automatic_widths(n_categories, width):
    inputs = Inputs((n_categories,), categories=((0, n_categories),))
    trunk = build(MLP(hidden_layer_sizes=(), cat_embeddings="auto"), inputs)
    assert trunk.out_features == width


def test_flags_and_one_hot_columns_stay_unless_asked_for():
    trunk = build(MLP(hidden_layer_sizes=(4,), num_embeddings="periodic"))
    assert linear_of(trunk).weight.shape == (2, 2 * 8 + 2 + 5, 4)
    every = build(MLP(hidden_layer_sizes=(4,), num_embeddings="periodic"), Inputs((9,)))
    assert linear_of(every).weight.shape == (2, 9 * 8, 4)


@pytest.mark.parametrize("cls", [MLP, ResNet, TabM])
def test_nothing_to_embed_is_the_plain_trunk(cls):
    flags = Inputs((9,), numbers=())
    params = {"num_embeddings": "periodic", "cat_embeddings": "auto"}
    embedded, plain = build(cls(**params), flags), build(cls(), flags)
    assert len(embedded.blocks) == len(plain.blocks)
    assert list(embedded.state_dict()) == list(plain.state_dict())


def test_the_embedding_belongs_to_the_first_block():
    params = {"num_embeddings": "periodic", "cat_embeddings": 4}
    for trunk in (MLP((6, 5), **params), TabM((6, 5), **params), ResNet(1, 6, **params)):
        blocks = trunk.blocks(INPUTS)
        assert [block.output_shape for block in blocks] == [(6,), blocks[1].output_shape]
        assert build(trunk).relu_chain() is None
    assert build(MLP((6, 5))).relu_chain() is not None  # the fast path of the plain MLP


def test_one_copy_of_many_is_that_copy_alone():
    trunk = MLP((6,), num_embeddings="periodic", cat_embeddings=4)
    many, one = build(trunk, n_copies=3), build(trunk, n_copies=1)
    x = torch.randn(5, 9, dtype=torch.float64)
    for copy in range(3):
        one.load_state_dict({k: v[copy : copy + 1] for k, v in many.state_dict().items()})
        torch.testing.assert_close(one(x)[0], many(x)[copy], rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"num_embeddings": "periodicc"}, r"`num_embeddings` must be .*Did you mean 'periodic'\?"),
        ({"cat_embeddings": "autp"}, r"'auto' or None\. Found .*Did you mean 'auto'\?"),
        ({"cat_embeddings": 0}, r"`cat_embeddings` must be a whole number of at least 1"),
        ({"num_embeddings": "piecewise_linear"}, r"needs training rows .* Set `edges`"),
    ],
)
@pytest.mark.parametrize("cls", [MLP, ResNet, TabM])
def test_wrong_parameters(cls, params, match):
    with pytest.raises(ValueError, match=match):
        build(cls(**params))
    if "needs" not in match:  # wrong also where there is nothing to embed
        with pytest.raises(ValueError, match=match):
            build(cls(**params), Inputs((2,), numbers=()))


def test_an_embedding_class_in_place_of_an_object():
    with pytest.raises(TypeError, match=r"Call it: Periodic\(\)"):
        build(MLP(num_embeddings=Periodic))


@pytest.fixture
def steps():
    """Two targets that are step functions of one number, beside a flag and words."""
    random = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "size": random.uniform(-3, 3, 600),
            "sold": random.random(600) < 0.5,
            "town": random.choice(list("abcd"), 600),
        }
    )
    step = np.floor(X["size"] * 2) % 2
    Y = pd.DataFrame({"one": step + 0.2 * X["sold"], "two": -step + (X["town"] == "a")})
    return X, Y


def test_a_frame_with_numbers_flags_and_words_trains(steps):
    X, Y = steps
    scores = {}
    for name, params in {
        "plain": {},
        "embedded": {"num_embeddings": "piecewise_linear", "cat_embeddings": "auto"},
    }.items():
        est = MultiTaskNetRegressor(
            trunk=MLP((32,), **params), max_epochs=40, early_stopping=False, lr=0.01, random_state=0
        )
        est.fit(X[:400], Y[:400])
        scores[name] = r2_score(Y[400:], est.predict(X[400:]))
    first = est.net_.module_.body.trunk.blocks[0]
    assert first.embedding.numbers.weight.shape == (1, 1, 16, 8)  # `size` alone
    assert len(first.embedding.rest) == 1  # the flag
    assert scores["embedded"] > 0.75
    assert scores["embedded"] > scores["plain"] + 0.3
