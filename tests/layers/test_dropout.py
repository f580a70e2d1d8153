import copy
import io
import pickle
import threading

import numpy as np
import pytest
import torch
from scipy import stats

from skmtl.layers import Dropout, StackedDropout

N = 200_000


def kept(layer, n=N):
    return layer(torch.ones(n)) != 0


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_of_zeros_is_p(p):
    n_dropped = int((~kept(Dropout(p, seed=3))).sum())
    # Two-sided binomial test at 1e-6: fails once in a million seeds, and the seed is fixed.
    assert stats.binomtest(n_dropped, N, p).pvalue > 1e-6


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_stays_is_scaled_by_the_share_that_stays(p, dtype):
    y = Dropout(p, seed=1)(torch.full((1000,), 3.0, dtype=dtype))
    assert y.dtype == dtype
    levels = sorted(set(y.tolist()))
    # p is rounded to a multiple of 2**-16.
    assert levels == pytest.approx([0.0, 3.0 / (1.0 - round(p * 65536) / 65536)], rel=1e-6)


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_the_mean_is_preserved(p):
    x = torch.linspace(-1, 5, N, dtype=torch.float64)
    y = Dropout(p, seed=0)(x)
    error = (x.square().sum() * p / (1 - p)).sqrt() / N  # standard deviation of the mean
    assert abs(y.mean() - x.mean()) < 5 * error


def test_one_half_by_hand():
    # p = 1/2 scales exactly by 2.
    y = Dropout(0.5, seed=0)(torch.ones(64))
    assert set(y.tolist()) == {0.0, 2.0}


def test_entries_are_independent_of_their_neighbours():
    # 64-bit words are cut into four masks: no pair of the four may move together.
    masks = kept(Dropout(0.3, seed=5)).double().view(-1, 4)
    correlation = torch.corrcoef(masks.T) - torch.eye(4, dtype=torch.float64)
    assert correlation.abs().max() < 5 / np.sqrt(len(masks))
    lag = torch.corrcoef(torch.stack([masks.flatten()[:-1], masks.flatten()[1:]]))[0, 1]
    assert abs(lag) < 5 / np.sqrt(N)


@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (4,), (5, 3), (2, 3, 5)])
def test_any_shape(shape):
    assert Dropout(0.5, seed=0)(torch.ones(shape)).shape == shape


def test_nothing_happens_in_evaluation():
    x = torch.randn(100)
    layer = Dropout(0.5, seed=0).eval()
    assert layer(x) is x
    assert not torch.equal(layer.train()(x), x)


def test_p_zero_returns_the_input():
    x = torch.randn(10)
    assert Dropout(0.0, seed=0)(x) is x


def test_p_close_to_one_stays_finite():
    # 2**-16 is the smallest share that can stay.
    y = Dropout(1 - 1e-9, seed=0)(torch.ones(1000))
    assert torch.isfinite(y).all()
    assert (y == 0).float().mean() > 0.99


def test_the_gradient_is_the_mask():
    x = torch.ones(50, dtype=torch.float64, requires_grad=True)
    y = Dropout(0.4, seed=2)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach(), rtol=0, atol=0)
    assert 0 < (x.grad == 0).sum() < 50


def test_the_same_seed_gives_the_same_masks():
    first, again, other = Dropout(0.5, 7), Dropout(0.5, 7), Dropout(0.5, 8)
    for _ in range(3):
        mask = kept(first, 100)
        assert torch.equal(mask, kept(again, 100))
        assert not torch.equal(mask, kept(other, 100))


def test_masks_differ_from_call_to_call():
    layer = Dropout(0.5, seed=0)
    assert not torch.equal(kept(layer, 100), kept(layer, 100))


def test_the_global_generator_is_neither_read_nor_moved():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = kept(Dropout(0.5, seed=3), 100)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(kept(Dropout(0.5, seed=3), 100), first)


def test_threads_do_not_disturb_each_other():
    def run(seed, out):
        layer = Dropout(0.5, seed)
        out[seed] = [kept(layer, 500) for _ in range(20)]

    alone, together = {}, {}
    for seed in range(4):
        run(seed, alone)
    threads = [threading.Thread(target=run, args=(seed, together)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        assert all(map(torch.equal, alone[seed], together[seed]))


def through_torch_save(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d)), through_torch_save]
)
@pytest.mark.parametrize("n_before", [0, 3])
def test_copies_go_on_with_the_stream(duplicate, n_before):
    layer = Dropout(0.5, seed=4)
    for _ in range(n_before):
        layer(torch.ones(10))
    twin = duplicate(layer)
    for _ in range(3):
        assert torch.equal(kept(layer, 100), kept(twin, 100))
    # Independent from here on: one does not move the other.
    kept(layer, 100)
    assert not torch.equal(kept(layer, 100), kept(twin, 100))


@pytest.mark.cuda
def test_on_a_cuda_device():
    layer = Dropout(0.25, seed=0).to("cuda")
    x = torch.ones(N, device="cuda")
    y = layer(x)
    assert y.device == x.device
    assert stats.binomtest(int((y == 0).sum()), N, 0.25).pvalue > 1e-6
    twin = pickle.loads(pickle.dumps(layer))
    assert torch.equal(layer(x), twin(x))


def test_a_stack_drops_for_each_net_what_its_own_layer_would():
    parts = [Dropout(0.5, seed=0), Dropout(0.2, seed=1)]
    alone = [Dropout(0.5, seed=0), Dropout(0.2, seed=1)]
    stack = StackedDropout(parts, [2, 1])
    x = torch.randn(6, 5, 7)  # two copies a member
    expected = torch.cat([alone[0](x[:4]), alone[1](x[4:])])
    torch.testing.assert_close(stack(x), expected, rtol=0, atol=0)
    assert stack.eval()(x) is x
