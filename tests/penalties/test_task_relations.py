import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse

from skmtl.heads import HeadSpec, Layout
from skmtl.penalties import TaskRelations, resolve_penalties

#: In the network binary tasks may stand apart from regressions: the layout's order differs.
SPECS = [
    HeadSpec("a", "regression", 1, 0),
    HeadSpec("b", "binary", 1, 2),
    HeadSpec("c", "regression", 2, 0),
    HeadSpec("d", "regression", 1, 0),
]
LAYOUT = Layout.of(SPECS)
NAMES = [spec.name for spec in SPECS]


def matrix(**pairs):
    found = np.zeros((4, 4))
    for pair, r in pairs.items():
        i, j = (NAMES.index(name) for name in pair)
        found[i, j] = found[j, i] = r
    return found


def column_of(weight, name):
    rows = np.flatnonzero(LAYOUT.task_of_row == LAYOUT.names.index(name))
    return weight[0][:, rows]


def test_the_order_of_the_network_is_another():
    assert list(LAYOUT.names) != NAMES


@pytest.mark.parametrize(
    "relations",
    [
        matrix(ab=2.0, ad=0.5),
        pd.DataFrame(matrix(ab=2.0, ad=0.5), NAMES, NAMES),
        pd.DataFrame(matrix(ab=2.0, ad=0.5), NAMES, NAMES).loc[["d", "b", "a"], ["d", "b", "a"]],
        {("a", "b"): 2.0, ("d", "a"): 0.5},
        {("a", "b"): 2.0, ("b", "a"): 2.0, frozenset("ad"): np.float32(0.5)},
        pd.DataFrame(matrix(ab=2.0, ad=0.5), NAMES, NAMES).loc[["d", "b", "a", "c"]],
        pl.DataFrame(matrix(ab=2.0, ad=0.5), NAMES),
        matrix(ab=2.0, ad=0.5).tolist(),
    ],
    ids=[
        "array",
        "frame",
        "part of a frame",
        "mapping",
        "pairs twice",
        "rows in another order",
        "polars",
        "lists",
    ],
)
def test_smoothness_and_product_by_hand(relations):
    weight = torch.randn(1, 6, LAYOUT.n_rows, dtype=torch.float64)
    module = TaskRelations(relations).build(LAYOUT, 1).double()
    a, b, d = (column_of(weight, name) for name in "abd")
    expected = 2 * (a - b).square().sum() + 0.5 * (a - d).square().sum()
    torch.testing.assert_close(module.of_weights([weight]), expected)

    losses = torch.rand(2, 4, dtype=torch.float64)
    module = TaskRelations(relations, "product").build(LAYOUT, 2).double()
    a, b, d = (losses[:, LAYOUT.names.index(name)] for name in "abd")
    expected = (2 * a * b + 0.5 * a * d).sum()
    torch.testing.assert_close(module.of_losses(losses, torch.ones(4) > 0), expected)


def test_tasks_with_several_outputs_are_compared_output_by_output():
    layout = Layout.of([HeadSpec(name, "regression", 2, 0) for name in "ab"])
    weight = torch.randn(1, 3, 4, dtype=torch.float64)
    module = TaskRelations({("a", "b"): 1.0}).build(layout, 1).double()
    expected = (weight[..., :2] - weight[..., 2:]).square().sum()
    torch.testing.assert_close(module.of_weights([weight]), expected)


def test_learned_relations_are_the_square_of_the_trace_norm():
    weight = torch.randn(2, 5, 3, dtype=torch.float64)
    found = TaskRelations().build(LAYOUT, 2).of_weights([weight]).item()
    expected = sum(np.linalg.norm(w, "nuc") ** 2 for w in weight.numpy())
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"form": "products"}, r"`form` must be one of .*Found `form = 'products'`"),
        ({"relations": "known"}, r"must be 'learned', a frame, .*`relations = 'known'`"),
        ({"relations": "learnt"}, r"Did you mean 'learned'"),
        ({"form": ["product"]}, r"`form` must be one of .*Found `form = \['product'\]`"),
        ({"part": "head"}, r"`part` must be one of \['heads'\]\. .*Did you mean 'heads'"),
        ({"form": "product"}, r"needs given relations\. Found 'learned'"),
        ({"strength": -1}, r"`strength = -1`"),
    ],
)
def test_wrong_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        resolve_penalties(TaskRelations(**params))


@pytest.mark.parametrize(
    ("relations", "match"),
    [
        (np.ones((3, 3)), r"must be of shape \(4, 4\).*'a', 'b', 'c', 'd'.*\(3, 3\)"),
        ({("a", "e"): 1.0}, r"names 'e', which is no task"),
        (matrix(ab=-1.0), r"at least 0 \(0: .*\)\. Found -1 for tasks 'a' and 'b'\.$"),
        (np.triu(np.ones((4, 4))), r"symmetric\. Found 1 for tasks 'a' and 'b', and 0 the other"),
        ({("a", "b"): 1.0, ("b", "a"): 2.0}, r"Found 2 for \('b', 'a'\), and 1 the other way"),
        ({("a", "a"): 1.0}, r"pairs of two different tasks .*the key \('a', 'a'\)"),
        ({"ab": 1.0}, r"pairs of two different tasks .*the key 'ab'"),
        ({("a", "b", "d"): 1.0}, r"pairs of two different tasks .*the key \('a', 'b', 'd'\)"),
        ({"a": {"b": 1.0}}, r"pairs of two different tasks .*the key 'a'"),
        ({("a", "b"): "1"}, r"must hold numbers\. Found '1' for \('a', 'b'\)"),
        ({(("a",), "b"): 1.0}, r"names \('a',\), which is no"),
        (pd.DataFrame(matrix(), NAMES, ["a", "b", "a", "d"]), r"'a' more than once among its col"),
        (pd.DataFrame(matrix(), ["a", "d", "c", "d"], NAMES), r"'d' more than once among its rows"),
        (
            pd.DataFrame(matrix(), NAMES, NAMES).iloc[:3],
            r"same tasks as rows .*rows \['a', 'b', 'c'\]",
        ),
        (pd.DataFrame(matrix(), columns=NAMES), r"rows \[0, 1, 2, 3\] .*Set the index"),
        (pd.DataFrame(matrix()), r"names 0, which is no task"),
        (pl.DataFrame(matrix(), NAMES)[:2], r"same tasks as rows and as columns"),
        (pl.DataFrame(matrix(), NAMES).lazy(), r"dense table of numbers"),
        (
            pd.DataFrame("x", NAMES, NAMES),
            r"dense table of numbers\. Found a DataFrame: could not convert",
        ),
        (np.full((4, 4), "1"), r"Found a ndarray: its cells are of type <U1"),
        (
            sparse.csr_array(matrix()),
            r"dense table of numbers\. Found a csr_array: call its `toarray\(\)`",
        ),
        (3, r"must be of shape \(4, 4\).*Found shape \(\)"),
        (matrix(ac=1.0), r"Task '[ac]' has [12], task '[ac]' has [12]\. Take the relation out"),
        ({("a", "b"): np.nan}, r"must be finite"),
    ],
)
def test_wrong_relations(relations, match):
    with pytest.raises(ValueError, match=match):
        TaskRelations(relations).build(LAYOUT, 1)
