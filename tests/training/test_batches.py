import dataclasses
from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from scipy import sparse

from skmtl.heads import Layout
from skmtl.training import BatchIterator
from skmtl.training._batches import CHUNK_ENTRIES
from skmtl.weighting import Fixed
from tests.oracle import MIXED, Table, loop_losses, new_seeds, rows_of

SIZES = [
    (1, 1),
    (1, 8),
    (7, 1),
    (7, 2),
    (10, 3),
    (20, 20),
    (20, 19),
    (20, 64),
    (100, 33),
    (101, 10),
]


def numbered(n, **options):
    """A table whose first feature is the number of the row."""
    table = Table.made(n=n, **options)
    table.x[:, 0] = np.arange(n)
    return table


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rows_in(batch):
    return batch.x[:, 0].long().tolist()


def flat(batch):
    """All tensors of a batch."""
    targets = batch.targets
    return [batch.x, *targets.y, *targets.w, targets.n_labelled, targets.present]


def assert_same(first, second, **tolerance):
    tolerance = tolerance or {"rtol": 0, "atol": 0}
    assert len(first) == len(second)
    for one, two in zip(first, second, strict=True):
        for a, b in zip(flat(one), flat(two), strict=True):
            torch.testing.assert_close(a, b, **tolerance)


@pytest.mark.parametrize(("n", "batch_size"), SIZES)
@pytest.mark.parametrize("shuffled", [False, True])
def test_each_row_once_in_batches_of_nearly_equal_size(n, batch_size, shuffled):
    batches = BatchIterator(numbered(n).pack(), batch_size, generator() if shuffled else None)
    for _ in range(2):
        epoch = [rows_in(batch) for batch in batches]
        assert len(epoch) == len(batches) == int(np.ceil(n / batch_size))
        assert sorted(chain(*epoch)) == list(range(n))
        sizes = [len(rows) for rows in epoch]
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1


def test_without_a_generator_rows_keep_their_order():
    batches = BatchIterator(numbered(20).pack(), 6)
    assert [*chain(*map(rows_in, batches))] == list(range(20))


def test_the_generator_alone_decides_the_order():
    data = numbered(50).pack()
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (BatchIterator(data, 8, generator(seed)) for seed in (0, 0, 1))
    epochs = [[rows_in(batch) for batch in first] for _ in range(3)]
    torch.manual_seed(123)
    assert [[rows_in(batch) for batch in again] for _ in range(3)] == epochs
    assert [rows_in(batch) for batch in other] != epochs[0]
    assert epochs[0] != epochs[1]
    torch.random.set_rng_state(before[0])
    list(first)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_the_order_is_a_permutation_of_torch():
    n = 30
    expected = torch.randperm(n, generator=generator()).tolist()
    batches = BatchIterator(numbered(n).pack(), 7, generator())
    assert [*chain(*map(rows_in, batches))] == expected


def test_one_batch_of_all_rows_is_gathered_once():
    batches = BatchIterator(numbered(12).pack(), 12, generator())
    (first,), (again,) = list(batches), list(batches)
    assert first.x.data_ptr() == again.x.data_ptr()
    assert rows_in(first) == list(range(12))


def test_members_of_fewer_rows_begin_anew_within_an_epoch():
    own = [torch.arange(20), torch.arange(17, 20), torch.arange(5, 24)]
    data = dataclasses.replace(numbered(24).pack(), members=tuple(own))
    assert data.n_rows == 20
    batches = BatchIterator(data, 6, generator())
    epoch = torch.cat([batch.x[..., 0] for batch in batches], dim=1).round().long().tolist()
    for rows, drawn in zip(own, epoch, strict=True):
        times = Counter(drawn)
        assert set(times) == set(rows.tolist())
        assert max(times.values()) - min(times.values()) <= 1


@pytest.mark.parametrize(
    "options", [{"missing": 0.3}, {"missing": 0.0, "weighted": False}], ids=str
)
@pytest.mark.parametrize("batch_size", [6, 40])
def test_targets_and_weights_are_those_of_the_rows(options, batch_size):
    table = numbered(40, **options)
    layout = Layout.of(MIXED)
    n_batches = 0
    for batch in BatchIterator(table.pack(layout), batch_size, generator()):
        rows = rows_in(batch)
        np.testing.assert_array_equal(batch.x.numpy(), table.x[rows])
        for group, y, w in zip(layout.groups, batch.targets.y, batch.targets.w, strict=True):
            for i, task in enumerate(range(group.tasks.start, group.tasks.stop)):
                columns = layout.columns[task]
                values, weights = table.values[rows, columns], table.weights[rows, columns]
                if group.head.alias == "multiclass":
                    values = np.eye(group.width)[values[:, 0].astype(int)]
                np.testing.assert_array_equal(y[i].numpy(), values.T)
                n_labelled = int((weights > 0).sum())
                assert batch.targets.n_labelled[task] == n_labelled
                assert batch.targets.present[task].item() == (n_labelled > 0)
                expected = weights.T / max(n_labelled, 1)
                found = w[i].expand(expected.shape).numpy()
                np.testing.assert_allclose(found, expected, rtol=1e-15)
        n_batches += 1
    assert n_batches == -(-40 // batch_size)


def test_weights_over_labelled_cells_by_hand():
    # box has three columns: 4 of 6 cells are labelled.
    weights = np.array([[2.0, 0.0, 4.0], [1.0, 1.0, 0.0]])
    table = Table(MIXED[2:3], np.zeros((2, 1)), np.ones((2, 3)), weights)
    (batch,) = BatchIterator(table.pack(), 2)
    assert batch.targets.n_labelled.tolist() == [4.0]
    assert batch.targets.w[0].tolist() == [[[0.5, 0.25], [0.0, 0.25], [1.0, 0.0]]]


def test_a_batch_without_a_label_of_a_task():
    table = Table(
        MIXED[:2], np.zeros((4, 1)), np.zeros((4, 2)), np.array([[1.0, 0]] * 2 + [[0, 3]] * 2)
    )
    first, second = BatchIterator(table.pack(), 2)
    assert first.targets.present.tolist() == [True, False]
    assert second.targets.present.tolist() == [False, True]
    assert [w.flatten().tolist() for w in first.targets.w] == [[0.5, 0.5], [0.0, 0.0]]
    assert [w.flatten().tolist() for w in second.targets.w] == [[0.0, 0.0], [1.5, 1.5]]


@pytest.mark.parametrize("entries", [1, 30, 200, 1000, 10**9])
@pytest.mark.parametrize(
    "options", [{"missing": 0.3}, {"missing": 0.0, "weighted": False}], ids=str
)
def test_chunks_cannot_be_seen(entries, options, monkeypatch):
    data = numbered(101, **options).pack()
    expected = list(BatchIterator(data, 10, generator()))
    monkeypatch.setitem(CHUNK_ENTRIES, "cpu", entries)
    found = list(BatchIterator(data, 10, generator()))
    assert_same(found, expected)


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array])
@pytest.mark.parametrize("batch_size", [7, 40])
def test_sparse_features(container, batch_size):
    table = numbered(40)
    table.x[np.random.default_rng(0).uniform(size=table.x.shape) < 0.5] = 0.0
    dense, thin = table.pack(), table.pack(x=container(table.x))
    assert sparse.issparse(thin.x)
    assert_same(
        list(BatchIterator(thin, batch_size, generator())),
        list(BatchIterator(dense, batch_size, generator())),
    )


@pytest.mark.parametrize("shape", [(40, 3), (40, 1, 4, 4), (40, 5, 2), (40,), (40, 0)], ids=str)
def test_samples_of_any_shape(shape):
    table = Table.made()
    x = np.random.default_rng(0).normal(size=shape)
    data = table.pack(x=x)
    found = torch.cat([batch.x for batch in BatchIterator(data, 9)])
    np.testing.assert_array_equal(found.numpy(), x)


@pytest.mark.parametrize("batch_size", [9, 40])
def test_complete_tables_have_the_same_targets_as_weighted_ones(batch_size):
    data = Table.made(missing=0.0, weighted=False).pack()
    assert data.is_complete
    weighted = dataclasses.replace(data, is_complete=False)
    ours = list(BatchIterator(data, batch_size, generator()))
    theirs = list(BatchIterator(weighted, batch_size, generator()))
    for one, two in zip(ours, theirs, strict=True):
        full = [w.expand_as(v) for w, v in zip(one.targets.w, two.targets.w, strict=True)]
        for a, b in zip(full, two.targets.w, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-16)
        assert torch.equal(one.targets.n_labelled, two.targets.n_labelled)
        assert torch.equal(one.targets.present, two.targets.present)


@pytest.mark.parametrize(
    "options", [{"missing": 0.3}, {"missing": 0.0, "weighted": False}], ids=str
)
def test_losses_of_batches(options):
    from skmtl.training import Objective

    table = numbered(40, **options)
    layout = Layout.of(MIXED)
    objective = Objective(layout, Fixed().build(layout, 2, new_seeds()))
    for batch in BatchIterator(table.pack(layout), 9, generator()):
        z = torch.randn(2, layout.n_rows, len(batch.x), dtype=torch.float64)
        losses, _ = objective.losses_and_gradients(z, batch.targets)
        expected = loop_losses(table.take(rows_in(batch)), layout, z)
        torch.testing.assert_close(losses, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "complete"), [(1.0, True), (0.0, False), (0.5, False), (2.0, False)]
)
def test_a_table_is_complete_if_every_weight_is_one(change, complete):
    table = Table.made(missing=0.0, weighted=False)
    table.weights[3, 2] = change
    assert table.pack().is_complete is complete


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_packing(dtype):
    table = Table.made()
    layout = Layout.of(MIXED)
    data = table.pack(layout, dtype=dtype)
    assert len(data) == 40
    assert data.x.dtype == data.y.dtype == data.w.dtype == dtype
    assert data.y.shape == (40, layout.n_rows)
    assert data.w.shape == (40, len(layout.task_of_weight))
    colour = data.y[:, rows_of(layout, "colour")]
    assert (colour.sum(1) == 1).all()
    assert colour.argmax(1).tolist() == table.values[:, table.columns("colour")].ravel().tolist()


def test_rows_can_be_gathered():
    table = numbered(10)
    rows = torch.tensor([3, 3, 0])
    for x in (table.x, sparse.csr_matrix(table.x)):
        assert table.pack(x=x).features(rows)[:, 0].tolist() == [3.0, 3.0, 0.0]


def test_targets_of_another_length():
    table = numbered(10)
    data = table.pack(x=table.x[:5])
    with pytest.raises(IndexError, match="out of range"):
        list(BatchIterator(data, 4))


@pytest.mark.cuda
def test_on_a_cuda_device():
    table = numbered(101)
    ours = list(BatchIterator(table.pack(device="cuda"), 10, generator()))
    theirs = list(BatchIterator(table.pack(), 10, generator()))
    for one, two in zip(ours, theirs, strict=True):
        assert one.x.is_cuda
        for a, b in zip(flat(one), flat(two), strict=True):
            torch.testing.assert_close(a.cpu(), b, rtol=1e-12, atol=0)
