import pytest
import torch

from skmtl.weighting._norm_weights import NormWeights
from tests.oracle import numbers
from tests.weighting.batches import batch, direct, made


class _Inverse(torch.nn.Module):
    def forward(self, losses, present, norms):
        return 1 / norms


def built(update_every=1, wrt="auto"):
    return NormWeights(_Inverse(), numbers("a", "b"), 1, wrt, update_every).double()


def test_lengths_by_hand():
    weights, direction = direct(built(), batch([1.0, 1.0], [[3.0, 4.0], [0.0, 2.0]]))
    torch.testing.assert_close(weights, torch.tensor([[0.2, 0.5]], dtype=torch.float64))
    torch.testing.assert_close(direction, torch.tensor([[0.6, 1.8]], dtype=torch.float64))


def test_weights_are_kept_between_updates():
    module = built(update_every=2)
    batches = made(n=4, n_tasks=2, missing=0.0)
    found = [direct(module, one)[0] for one in batches]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])
    assert torch.equal(found[2], found[3])


def test_a_task_without_a_label_keeps_its_last_weight():
    module = built(update_every=2)
    gradients = [[2.0, 0.0], [0.0, 4.0]]
    direct(module, batch([1.0, 1.0], gradients))
    assert direct(module, batch([1.0, 1.0], gradients, absent=[0]))[0].tolist() == [[0, 0.25]]
    assert direct(module, batch([1.0, 1.0], [[9.0, 9.0], [0.0, 1.0]], absent=[0]))[0][0, 1] == 1.0
    assert direct(module, batch([1.0, 1.0], gradients))[0].tolist() == [[0.5, 1.0]]


def test_the_combined_loss_has_the_last_weights():
    module = built()
    losses, present, _ = one = batch([2.0, 3.0], [[2.0, 0.0], [0.0, 4.0]])
    direct(module, one)
    assert module(losses, present).item() == 2 / 2 + 3 / 4


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"update_every": 0}, r"`update_every` must be a whole number of at least 1"),
        ({"wrt": "weights"}, r"`wrt` must be one of .*Found `wrt = 'weights'`"),
    ],
)
def test_parameters_are_checked(params, match):
    with pytest.raises(ValueError, match=match):
        built(**params)
