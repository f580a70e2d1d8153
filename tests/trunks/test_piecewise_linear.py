import warnings

import numpy as np
import pytest
import torch

from skmtl.layers import Inputs, Seeds
from skmtl.trunks import PiecewiseLinear


def build(inputs=None, n_numbers=2, n_copies=2, **params):
    inputs = inputs or Inputs((n_numbers,))
    block = PiecewiseLinear(**params).build(inputs, tuple(range(n_numbers)))
    module = block.build(n_copies, Seeds.spawn(np.random.RandomState(0))).double()
    assert block.output_shape == tuple(module.weight.shape[i] for i in (1, 3))
    return module


def inputs_of(rows):
    return Inputs((rows.shape[1],), sample=lambda: rows)


#: Widths are powers of two, which both packages keep without rounding in float32.
EDGES = {
    "alike": [[-1.0, 0.0, 2.0], [-2.0, -1.5, 0.5]],
    "of other length": [[-1.0, 0.0], [-2.0, -1.5, -0.5, 1.5, 1.75], [0.0, 1.0, 5.0]],
}


@pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES)
@pytest.mark.parametrize("activation", [False, True])
@pytest.mark.parametrize("own_input", [False, True])
def test_against_the_package_of_the_authors(edges, activation, own_input):
    theirs_of = pytest.importorskip("rtdl_num_embeddings", reason="needs the authors' package")
    n = len(edges)
    module = build(n_numbers=n, n_copies=3, edges=edges, activation=activation, embedding_dim=5)
    bins = [torch.tensor(item, dtype=torch.float64) for item in edges]
    x = 3 * torch.randn((3, 40, n) if own_input else (40, n), dtype=torch.float64)
    h = module(x)
    assert h.shape == (3, 40, n, 5)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The 0-th feature has just two bin edges")
        theirs = theirs_of.PiecewiseLinearEmbeddings(bins, 5, activation=activation, version="A")
    theirs.double()
    for copy in range(3):
        with torch.no_grad():
            theirs.linear.weight.zero_()
            for i, b in enumerate(bins):  # it has the last bin of each number at the end
                last = len(b) - 2
                theirs.linear.weight[i, :last] = module.weight[copy, i, :last]
                theirs.linear.weight[i, -1] = module.weight[copy, i, last]
            theirs.linear.bias.copy_(module.bias[copy, 0])
        expected = theirs(x[copy] if own_input else x)
        torch.testing.assert_close(h[copy], expected, rtol=0, atol=1e-12)


def test_by_hand():
    module = build(n_numbers=1, n_copies=1, edges=(0, 1, 3), embedding_dim=1, activation=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[[[1.0], [10.0]]]]))
        module.bias.fill_(0.5)
    h = module(torch.tensor([[-1.0], [0.5], [2.0], [5.0]], dtype=torch.float64))
    # encoded as [-1, 0], [.5, 0], [1, .5], [1, 2]: the outer bins go on
    assert h.flatten().tolist() == [-0.5, 1.0, 6.5, 21.5]


def test_bins_are_the_quantiles_of_the_authors():
    theirs = pytest.importorskip("rtdl_num_embeddings", reason="needs the authors' package")
    random = np.random.default_rng(0)
    rows = np.column_stack([random.normal(size=500), random.integers(0, 4, 500)])
    rows = rows.astype(np.float32).astype(np.float64)
    module = build(inputs_of(rows), n_bins=7)
    bins = theirs.compute_bins(torch.tensor(rows, dtype=torch.float64), n_bins=7)
    assert [len(b) for b in bins] == [8, 4]
    for i, b in enumerate(bins):
        n = len(b) - 1
        torch.testing.assert_close(module.left[0, 0, i, :n], b[:-1], rtol=0, atol=1e-6)
        torch.testing.assert_close(module.rate[0, 0, i, :n], 1 / b.diff(), rtol=1e-4, atol=0)
    assert not module.rate[0, 0, 1, 3:].any()


def test_only_the_given_columns_are_read():
    rows = np.random.default_rng(0).normal(size=(50, 3)) * [1.0, 100.0, 10_000.0]
    block = PiecewiseLinear(n_bins=3).build(inputs_of(rows), (2,))
    module = block.build(1, Seeds.spawn(np.random.RandomState(0)))
    assert module.left[0, 0, 0, 0] == np.float32(rows[:, 2].min())


def test_a_single_value_gets_one_bin():
    rows = np.column_stack([np.full(9, 2.0), np.arange(9.0)])
    module = build(inputs_of(rows), n_bins=2)
    assert module.left[0, 0, 0].tolist() == [2.0, 0.0]
    assert module.rate[0, 0, 0].tolist() == [1.0, 0.0]
    assert torch.isfinite(module(torch.tensor(rows))).all()


def test_narrow_bins_are_exact_in_float32():
    edges = (1.0, 1.0 + 2**-20, 2.0)
    module = build(n_numbers=1, n_copies=1, edges=edges, embedding_dim=1, activation=False).float()
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[[[1.0], [0.0]]]]))
        module.bias.zero_()
    h = module(torch.tensor([[1.0 + 2**-21]]))
    assert h.item() == 0.5


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({}, r"needs training rows for its quantiles"),
        ({"n_bins": 1}, r"`n_bins` must be a whole number of at least 2\. Found `n_bins = 1`"),
        ({"embedding_dim": 0}, r"`embedding_dim` must be a whole number of at least 1"),
        (
            {"edges": (1.0, 1.0)},
            r"at least two rising, finite numbers .* Found \[1\.0, 1\.0\] for number 0, which",
        ),
        ({"edges": [(0, 1), (2,)]}, r"Found \[2\.0\] for number 1"),
        ({"edges": [(0, 1)]}, r"each of the 2 numbers, or those for all\. Found edges of 1\."),
        ({"edges": (0.0, float("nan"))}, r"Found \[0\.0, nan\]"),
        ({"edges": [(0, 1), (2, np.inf)]}, r"Found \[2\.0, inf\] for .* encoded column 1\."),
        ({"edges": (-np.inf, 0)}, r"finite numbers .* Found \[-inf, 0\.0\] for number 0"),
        ({"edges": 5}, r"must be a sequence of numbers .*Found `edges = 5`"),
        ({"edges": "abc"}, r"must be a sequence of numbers .*Found `edges = 'abc'`"),
        ({"edges": ["a", "b"]}, r"must be a sequence of numbers .*Found `edges = \['a', 'b'\]`"),
        ({"edges": [[0, [1]], [1, 2]]}, r"must be a sequence of numbers .*Found `edges = \["),
        ({"edges": (0, 1), "activation": "relu"}, r"Found `activation = 'relu'`"),
    ],
)
def test_wrong_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        build(**params)
