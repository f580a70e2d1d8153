import copy
import pickle

import numpy as np
import pytest
import torch

from skmtl.heads import HeadSpec, Layout
from skmtl.tasks import Focal, Huber
from tests.oracle import MIXED

# Kinds in the order in which they appear, then widths, then the user's order.
NAMES = ("price", "size", "box", "sold", "paid", "make", "colour")
WIDTHS = (1, 1, 3, 1, 1, 3, 4)
WEIGHTS = (1, 1, 3, 1, 1, 1, 1)


@pytest.fixture
def layout():
    return Layout.of(MIXED)


def test_order_and_names(layout):
    assert layout.names == NAMES
    assert tuple(MIXED[i].name for i in layout.order) == NAMES
    assert sorted(layout.order) == list(range(len(MIXED)))
    assert layout.n_tasks == 7


def test_copies_do_not_hold_what_a_thread_comes_to_know_meanwhile(layout):
    """Else a copy of the dictionary fails in one thread while another one predicts."""
    layout.columns_of_groups  # noqa: B018, the first look is what counts
    assert set(vars(layout)) - set(layout.__getstate__()) == {"columns_of_groups"}
    copied = pickle.loads(pickle.dumps(layout))
    assert copied.names == layout.names
    assert copied.columns == layout.columns
    np.testing.assert_equal(copied.columns_of_groups, layout.columns_of_groups)
    assert copy.deepcopy(layout) is layout


def test_groups_by_hand(layout):
    found = [(g.head.alias, g.width, g.tasks, g.rows, g.weights) for g in layout.groups]
    assert found == [
        ("regression", 1, slice(0, 2), slice(0, 2), slice(0, 2)),
        ("regression", 3, slice(2, 3), slice(2, 5), slice(2, 5)),
        ("binary", 1, slice(3, 5), slice(5, 7), slice(5, 7)),
        ("multiclass", 3, slice(5, 6), slice(7, 10), slice(7, 8)),
        ("multiclass", 4, slice(6, 7), slice(10, 14), slice(8, 9)),
    ]
    assert layout.n_rows == 14
    assert [g.n_tasks for g in layout.groups] == [2, 1, 2, 1, 1]


def test_rows_and_weights_belong_to_their_tasks(layout):
    assert layout.task_of_row.tolist() == np.repeat(range(7), WIDTHS).tolist()
    assert layout.task_of_weight.tolist() == np.repeat(range(7), WEIGHTS).tolist()


def test_columns_of_the_users_table(layout):
    # price 0, sold 1, box 2-4, colour 5, size 6, paid 7, make 8
    by_name = dict(zip(layout.names, layout.columns, strict=True))
    assert by_name == {
        "price": slice(0, 1),
        "sold": slice(1, 2),
        "box": slice(2, 5),
        "colour": slice(5, 6),
        "size": slice(6, 7),
        "paid": slice(7, 8),
        "make": slice(8, 9),
    }


def test_views_of_groups_hold_the_rows_of_the_tasks(layout):
    z = torch.arange(2 * 14 * 3).view(2, 14, 3)
    w = torch.arange(9 * 3).view(9, 3)
    for group in layout.groups:
        outputs, weights = group.outputs(z), group.weights_of(w)
        for i, task in enumerate(range(group.tasks.start, group.tasks.stop)):
            rows = np.flatnonzero(layout.task_of_row == task)
            assert torch.equal(outputs[:, i], z[:, rows])
            assert torch.equal(weights[i], w[np.flatnonzero(layout.task_of_weight == task)])
    assert group.outputs(z).data_ptr() == z[:, 10:].data_ptr()  # a view, not a copy


def test_views_of_tables_with_the_samples_first(layout):
    y = torch.randn(5, 14)
    for group in layout.groups:
        assert torch.equal(group.outputs(y.T), group.outputs(y.T.contiguous()))
        w = torch.randn(5, 9)
        assert torch.equal(group.weights_of(w.T), group.weights_of(w.T.contiguous()))


def test_the_same_tasks_give_the_same_layout(layout):
    again = Layout.of(list(MIXED))
    assert again.names == layout.names
    assert again.columns == layout.columns
    assert [g.rows for g in again.groups] == [g.rows for g in layout.groups]


@pytest.mark.parametrize("spec", MIXED, ids=lambda spec: spec.name)
def test_one_task(spec):
    layout = Layout.of([spec])
    assert layout.names == (spec.name,)
    assert layout.order == (0,)
    assert layout.columns == (slice(0, spec.n_columns),)
    assert layout.n_rows == layout.groups[0].width == max(spec.n_columns, spec.n_classes - 1) or (
        spec.kind == "multiclass" and layout.n_rows == spec.n_classes
    )


def test_a_class_task_without_a_label_keeps_a_row():
    layout = Layout.of([HeadSpec("a", "multiclass", 1, 0), HeadSpec("b", "binary", 1, 0)])
    assert layout.n_rows == 2


def test_unknown_kind():
    with pytest.raises(ValueError, match=r"`kind = 'regresion'`\. Did you mean 'regression'\?"):
        Layout.of([HeadSpec("a", "regresion", 1, 0)])


def test_tasks_of_one_kind_and_several_losses_are_groups_of_their_own():
    specs = [
        HeadSpec("a", "regression", 1, 0),
        HeadSpec("b", "regression", 1, 0, loss=Huber(0.5)),
        HeadSpec("c", "quantile", 1, 0, quantiles=(0.1, 0.9)),
        HeadSpec("d", "regression", 1, 0, loss=Huber(2.0)),
        HeadSpec("e", "regression", 1, 0, loss=Huber(0.5)),
        HeadSpec("f", "multiclass", 1, 3, loss=Focal(1.0)),
        HeadSpec("g", "quantile", 1, 0, quantiles=(0.1, 0.5)),
        HeadSpec("h", "multilabel", 4, 2),
        HeadSpec("i", "ordinal", 1, 5),
        HeadSpec("j", "count", 1, 0),
    ]
    layout = Layout.of(specs)
    assert layout.names == tuple("abecdfghij")
    found = [
        (repr(g.head), g.n_tasks, g.width, g.weights.stop - g.weights.start) for g in layout.groups
    ]
    assert found == [
        ("RegressionHead()", 1, 1, 1),
        ("HuberHead(delta=0.5)", 2, 1, 2),
        ("QuantileHead(quantiles=(0.1, 0.9))", 1, 2, 1),
        ("HuberHead(delta=2.0)", 1, 1, 1),
        ("FocalMulticlassHead(gamma=1.0)", 1, 3, 1),
        ("QuantileHead(quantiles=(0.1, 0.5))", 1, 2, 1),
        ("MultilabelHead()", 1, 4, 4),
        ("OrdinalHead()", 1, 4, 1),
        ("CountHead()", 1, 1, 1),
    ]


def test_a_loss_that_a_kind_does_not_have():
    with pytest.raises(ValueError, match=r"`kind = 'huber_binary'`"):
        Layout.of([HeadSpec("a", "binary", 1, 2, loss=Huber())])
