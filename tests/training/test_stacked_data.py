from dataclasses import replace

import pytest
import torch

from skmtl.training import BatchIterator
from skmtl.training._stacked_data import Share, StackedData
from tests.training.test_batches import generator, numbered


def data_of(n, *, folds=None):
    table = numbered(n)
    data = table.pack()
    if folds is None:
        return data
    return replace(data, members=tuple(torch.tensor(rows) for rows in folds))


def tables(*sizes):
    return [data_of(n) for n in sizes]


def batches_of(data, batch_size, draws):
    return list(BatchIterator(data, batch_size, draws))


def alone_and_stacked(parts, sizes, batch_size):
    alone = [batches_of(part, batch_size, generator(i)) for i, part in enumerate(parts)]
    shares = [Share(p, m, generator(i)) for i, (p, m) in enumerate(zip(parts, sizes, strict=True))]
    return alone, batches_of(StackedData(shares), batch_size, generator())


@pytest.mark.parametrize(
    ("rows", "batch_size"),
    [((20, 20, 20), 6), ((20, 20), 64), ((21, 20, 19), 7), ((41, 40), 64), ((7, 8), 1000)],
)
def test_each_net_gets_the_batches_that_it_gets_alone(rows, batch_size):
    parts, sizes = tables(*rows), [2, 1, 3][: len(rows)]
    alone, stacked = alone_and_stacked(parts, sizes, batch_size)
    assert [len(batches) for batches in alone] == [len(stacked)] * len(rows)
    for step, batch in enumerate(stacked):
        start = 0
        for own, size in zip(alone, sizes, strict=True):
            n = len(own[step].x)
            for member in range(start, start + size):
                torch.testing.assert_close(batch.x[member, :n], own[step].x, rtol=0, atol=0)
                for w, w_alone in zip(batch.targets.w, own[step].targets.w, strict=True):
                    filled = w[member].expand(*w_alone.shape[:-1], batch.x.shape[1])
                    torch.testing.assert_close(filled[..., :n], w_alone.expand_as(filled[..., :n]))
                    # What fills up a batch has weight 0, one row at most.
                    assert n == filled.shape[-1] or not filled[..., n:].any()
            start += size
        assert batch.x.shape[1] <= max(len(own[step].x) for own in alone) + 1


def test_members_with_folds_draw_as_they_do_alone():
    folds = [range(10), range(5, 15), range(2, 13)]
    parts = [data_of(15, folds=folds), data_of(15, folds=folds)]
    alone, stacked = alone_and_stacked(parts, [3, 3], 4)
    for step, batch in enumerate(stacked):
        together = torch.cat([own[step].x for own in alone])
        torch.testing.assert_close(batch.x, together, rtol=0, atol=0)


def test_rows_that_judge_are_in_their_order_and_the_shorter_ones_filled_up():
    parts = tables(5, 3)
    (batch,) = batches_of(
        StackedData([Share(parts[0], 1, None), Share(parts[1], 2, None)]), 8, None
    )
    assert batch.x[:, :, 0].tolist()[0] == [0, 1, 2, 3, 4]
    assert [row[:3] for row in batch.x[1:, :, 0].tolist()] == [[0, 1, 2]] * 2
    one = batches_of(parts[1], 8, None)[0].targets
    assert (batch.targets.n_labelled[1:] == one.n_labelled).all()


def test_a_table_of_several_nets_stands_in_memory_once():
    first, second = tables(6, 6)
    data = StackedData([Share(first, 1, None), Share(second, 1, None), Share(first, 1, None)])
    assert len(data.y) == 12


def test_each_net_keeps_the_scales_of_its_losses():
    first, second = tables(6, 6)
    second = replace(second, scale=second.scale * 3)
    data = StackedData([Share(first, 1, generator()), Share(second, 2, generator())])
    assert (data.scale[1:] == 3 * data.scale[0]).all()
    (batch,) = batches_of(data, 8, generator())
    for w in batch.targets.w:
        assert (w[1] > w[0] * 2.9).any()


def test_some_nets_go_on():
    parts = tables(6, 4, 5)
    data = StackedData([Share(part, 1, None) for part in parts])
    data.keep([0, 2])
    assert [len(rows) for rows in data.members] == [6, 5]
    (batch,) = batches_of(data, 8, None)
    torch.testing.assert_close(batch.x[1, :5], parts[2].x)
