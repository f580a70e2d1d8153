import pytest
import torch

from skmtl.penalties import L21, resolve_penalties


def test_by_hand():
    weight = torch.tensor([[[3.0, 0.0], [0.0, 0.0]], [[4.0, 0.0], [0.0, 2.0]]])
    # two tasks' first layers: input 0 has weights 3 and 4, input 1 has 2
    assert L21().build(None, 1).of_weights([weight]).item() == 5.0 + 2.0


def test_members_are_apart_and_stacks_that_read_the_same_features_together():
    first, second = torch.randn(4, 3, 2), torch.randn(2, 3, 5)  # two members
    expected = sum(
        torch.cat([first[2 * m : 2 * m + 2, j].flatten(), second[m, j]]).norm()
        for m in range(2)
        for j in range(3)
    )
    found = L21().build(None, 2).of_weights([first, second])
    torch.testing.assert_close(found, expected)


def test_layers_of_heads_are_apart():
    first, second = torch.randn(2, 3, 2), torch.randn(1, 2, 5)
    module = L21(part="heads").build(None, 1)
    alone = module.of_weights([first]) + module.of_weights([second])
    torch.testing.assert_close(module.of_weights([first, second]), alone)


def test_one_output_is_l1():
    weight = torch.randn(1, 6, 1)
    torch.testing.assert_close(L21().build(None, 1).of_weights([weight]), weight.abs().sum())


def test_a_layer_of_another_shape():
    with pytest.raises(ValueError, match=r"needs layers with weights of shape .*\(6, 5\)"):
        L21().build(None, 1).of_weights([torch.zeros(6, 5)])


def test_unknown_part():
    with pytest.raises(ValueError, match=r"one of \['input', 'heads'\]\. Found `part = 'all'`"):
        resolve_penalties(L21(part="all"))
