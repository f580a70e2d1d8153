import pickle

import pytest

from skmtl.tasks import LOSSES, Absolute, Focal, Huber, Loss, Task


def test_words_stand_for_objects():
    assert {alias: loss() for alias, loss in LOSSES.items()} == {
        "absolute": Absolute(),
        "focal": Focal(gamma=2.0),
        "huber": Huber(delta=1.0),
    }
    assert all(alias == loss.alias for alias, loss in LOSSES.items())
    assert Task("y", "regression", loss="huber").loss == Huber()


def test_equality_hash_repr_and_pickle():
    loss = Huber(delta=0.5)
    assert loss == Huber(0.5) != Huber(1.0)
    assert loss != Focal(0.5)
    assert hash(loss) == hash(Huber(0.5))
    assert repr(loss) == "Huber(delta=0.5)"
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert loss.parameters == {"delta": 0.5}
    assert Absolute().parameters == {}


@pytest.mark.parametrize("delta", [0, -1.0, float("nan"), float("inf"), "1", True, None])
def test_delta_must_be_positive(delta):
    with pytest.raises(ValueError, match=r"`delta` of Huber must be a finite number above 0"):
        Huber(delta)


@pytest.mark.parametrize("gamma", [-0.1, float("nan"), "2"])
def test_gamma_must_not_be_negative(gamma):
    with pytest.raises(ValueError, match=r"`gamma` of Focal must be a finite number of at least"):
        Focal(gamma)


@pytest.mark.parametrize("kind", [None, "regression"])
@pytest.mark.parametrize("loss", ["huber", "absolute", Huber(0.3)])
def test_losses_of_numbers(kind, loss):
    assert isinstance(Task("y", kind, loss=loss).loss, Loss)


@pytest.mark.parametrize("kind", [None, "binary", "multiclass", "classification"])
def test_losses_of_classes(kind):
    assert Task("y", kind, loss="focal").loss == Focal()


@pytest.mark.parametrize(
    ("kind", "loss"),
    [
        *(("binary", "huber"), ("classification", "absolute"), ("count", "huber")),
        *(("regression", "focal"), ("ordinal", "focal"), ("multilabel", "focal")),
    ],
)
def test_a_loss_of_another_kind_is_an_error(kind, loss):
    message = rf"Task 'y': the loss '{loss}' is for tasks of kind .*\. Found kind '{kind}'"
    with pytest.raises(ValueError, match=message):
        Task("y", kind, loss=loss)


def test_unknown_losses():
    with pytest.raises(ValueError, match=r"Found 'hubber'. Did you mean 'huber'\?"):
        Task("y", "regression", loss="hubber")
    with pytest.raises(TypeError, match=r"Found <class .*Huber'>. Call it: Huber\(\)\."):
        Task("y", "regression", loss=Huber)
    with pytest.raises(TypeError, match=r"or a Loss object. Found 3\."):
        Task("y", "regression", loss=3)
