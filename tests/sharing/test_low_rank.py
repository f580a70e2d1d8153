import numpy as np
import pytest
import torch

from skmtl.sharing import Hard, Independent, LowRank
from skmtl.trunks import MLP
from tests.sharing.oracle import (
    assert_tight,
    body_of,
    each_trunk,
    one_and_two_members,
    rows_for,
    trunk_by_hand,
)

N_TASKS = 3


def combined(body, n_members, n_latent, trunk):
    """Independent nets whose weights are ``sum_k s_tk theta_k``."""
    nets = body_of(Independent(), trunk, n_members=n_members)
    latent = dict(body.trunk.named_parameters())
    with torch.no_grad():
        for name, parameter in nets.trunk.named_parameters():
            for m in range(n_members):
                for t in range(N_TASKS):
                    s = body.combinations[m, t].tolist()
                    own, first = m * N_TASKS + t, m * n_latent
                    if ".copies." in name:  # one module a copy
                        if f".copies.{own}." in name:
                            parameter.copy_(
                                sum(
                                    s[k]
                                    * latent[name.replace(f"copies.{own}", f"copies.{first + k}")]
                                    for k in range(n_latent)
                                )
                            )
                    else:
                        parameter[own] = sum(
                            s[k] * latent[name][first + k] for k in range(n_latent)
                        )
    return nets


@each_trunk
@one_and_two_members
@pytest.mark.parametrize("n_latent", [1, 2, 4])
def test_each_task_has_a_combination_of_latent_weights(trunk, n_members, n_latent):
    body = body_of(LowRank(n_latent), trunk, n_members=n_members)
    nets = combined(body, n_members, n_latent, trunk)
    x = rows_for(trunk)
    h = body(x)
    for m in range(n_members):
        for t in range(N_TASKS):
            expected = trunk_by_hand(nets.trunk.blocks, m * N_TASKS + t, x)
            assert_tight(h[m, t], expected)


def test_the_weights_of_tasks_have_the_rank_of_the_latent_ones():
    body = body_of(LowRank(2), MLP((6,)), "abcdef")
    latent = body.trunk.blocks[0].linear.weight.detach().flatten(1)
    weights = (body.combinations[0].detach() @ latent).numpy()
    assert weights.shape == (6, 24)
    assert np.linalg.matrix_rank(weights) == 2


@each_trunk
@one_and_two_members
def test_one_latent_trunk_of_weight_1_is_hard_sharing(trunk, n_members):
    ours = body_of(LowRank(1), trunk, n_members=n_members, moved=False)
    assert (ours.combinations == 1).all()
    hard = body_of(Hard(), trunk, n_members=n_members, moved=False)
    x = rows_for(trunk)
    assert_tight(ours(x), hard(x).expand_as(ours(x)))


@each_trunk
@one_and_two_members
def test_a_latent_trunk_per_task_is_independent_nets(trunk, n_members):
    ours = body_of(LowRank(N_TASKS), trunk, n_members=n_members, moved=False)
    with torch.no_grad():
        ours.combinations.copy_(torch.eye(N_TASKS))
    alone = body_of(Independent(), trunk, n_members=n_members, moved=False)
    x = rows_for(trunk)
    assert_tight(ours(x), alone(x))


@one_and_two_members
def test_sparsity_by_hand(n_members):
    body = body_of(LowRank(2, sparsity=0.3), n_members=n_members)
    expected = 0.3 * np.abs(body.combinations.detach().numpy()).sum()
    assert body.penalty().item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n_tasks", "n_latent"), [(1, 1), (2, 2), (3, 2), (4, 3), (7, 4)])
def test_the_default_number_of_latent_trunks(n_tasks, n_latent):
    body = body_of(LowRank(), names="abcdefg"[:n_tasks])
    assert body.combinations.shape == (1, n_tasks, n_latent)


def test_without_a_layer_there_is_nothing_to_combine():
    body = body_of(LowRank(), MLP(()))
    x = rows_for()
    assert torch.equal(body(x), x.expand(1, 1, 6, 4))
    assert body.penalty() is None


def test_no_latent_trunk():
    with pytest.raises(ValueError, match=r"`n_latent` .* at least 1\. Found `n_latent = 0`"):
        body_of(LowRank(0))
