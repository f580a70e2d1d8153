import numpy as np
import pytest

from skmtl.penalties import L1, L2, PARTS, Penalty, resolve_penalties


def test_what_users_write():
    assert resolve_penalties(None) == []
    assert [type(p) for p in resolve_penalties("l1")] == [L1]
    mine = L2(0.5, part="heads")
    assert resolve_penalties(mine) == [mine]
    assert resolve_penalties([mine, "l1"])[0] is mine
    assert [type(p) for p in resolve_penalties(("l2", "l1"))] == [L2, L1]


@pytest.mark.parametrize("strength", [0, 1, 0.5, np.float32(0.5), np.int64(2)])
@pytest.mark.parametrize("part", PARTS)
def test_parameters_that_are_right(strength, part):
    assert resolve_penalties(L1(strength, part)) is not None


@pytest.mark.parametrize("strength", [-1e-9, float("nan"), float("inf"), "1", None, True])
def test_wrong_strength(strength):
    match = r"`strength` must be a finite number of at least 0\. Found `strength = "
    with pytest.raises(ValueError, match=match):
        resolve_penalties(["l2", L1(strength)])


def test_wrong_part():
    match = r"must be one of \['all', .*Found `part = 'head'`\. Did you mean 'heads'\?"
    with pytest.raises(ValueError, match=match):
        resolve_penalties(L1(part="head"))


def test_unknown_names_and_types():
    with pytest.raises(ValueError, match=r"one of \['l1', 'l2', .*.*`penalty = 'ridge'`"):
        resolve_penalties("ridge")
    with pytest.raises(TypeError, match=r"Found `penalty = 0\.1`"):
        resolve_penalties([0.1])
    with pytest.raises(TypeError, match=r"Call it: L1\(\)\."):
        resolve_penalties(L1)


def test_it_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Penalty()
