from abc import abstractmethod

import pytest
from sklearn.base import clone

from skmtl import sharing
from skmtl._strategy import Strategy, did_you_mean, resolve, strategies
from skmtl.sharing import Hard, Independent, Sharing
from skmtl.trunks import MLP, ModuleTrunk, Trunk


def test_the_table_holds_what_the_package_exports():
    assert strategies(Sharing)["hard"] is Hard
    assert strategies(Sharing)["independent"] is Independent


def test_a_strategy_is_public_by_one_import_line(monkeypatch):
    class Extra(Hard):
        alias = "extra"

    assert "extra" not in strategies(Sharing)
    monkeypatch.setattr(sharing, "Extra", Extra, raising=False)
    assert strategies(Sharing)["extra"] is Extra
    assert isinstance(resolve("extra", Sharing, "sharing"), Extra)


def test_abstract_classes_are_no_choice(monkeypatch):
    class Half(Sharing):
        alias = "half"

        @abstractmethod
        def more(self): ...

    monkeypatch.setattr(sharing, "Half", Half, raising=False)
    assert "half" not in strategies(Sharing)
    assert Sharing not in strategies(Sharing).values()


def test_an_alias_becomes_an_object():
    assert isinstance(resolve("independent", Sharing, "sharing"), Independent)


def test_an_object_is_returned_as_it_is():
    trunk = MLP((3,))
    assert resolve(trunk, Trunk, "trunk", dropout=0.5) is trunk
    assert trunk.dropout == 0.0


def test_defaults_reach_those_who_take_them():
    trunk = resolve("mlp", Trunk, "trunk", dropout=0.5, hidden_layer_sizes=(4,), colour="red")
    assert trunk.get_params() == MLP(dropout=0.5, hidden_layer_sizes=(4,)).get_params()


def test_an_alias_that_needs_an_argument():
    match = r"`trunk = 'module'` needs `module`: pass an object, ModuleTrunk\(module=\.\.\.\)"
    with pytest.raises(ValueError, match=match):
        resolve("module", Trunk, "trunk", dropout=0.5)
    assert isinstance(resolve("module", Trunk, "trunk", module=dict), ModuleTrunk)


def test_unknown_alias():
    match = (
        r"Parameter `sharing` must be one of \[.*'hard', .*\] or a Sharing object\. "
        r"Found `sharing = 'hardd'`\. Did you mean 'hard'\?"
    )
    with pytest.raises(ValueError, match=match):
        resolve("hardd", Sharing, "sharing")


def test_unknown_alias_without_a_near_one():
    with pytest.raises(ValueError, match=r"Found `sharing = 'zzz'`\.$"):
        resolve("zzz", Sharing, "sharing")


@pytest.mark.parametrize("value", [None, 3, ["hard"], MLP()])
def test_what_is_neither_alias_nor_object(value):
    with pytest.raises(TypeError, match=r"or a Sharing object\. Found `sharing = .*`\.$"):
        resolve(value, Sharing, "sharing")


def test_a_class_in_place_of_an_object():
    with pytest.raises(TypeError, match=r"Found .* Call it: Hard\(\)\.$"):
        resolve(Hard, Sharing, "sharing")


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("price", ["prices", "sold"], " Did you mean 'prices'?"),
        ("zzz", ["prices", "sold"], ""),
        ("", [], ""),
        (10, [1, 100, 2], " Did you mean '100'?"),
    ],
)
def test_did_you_mean(name, known, hint):
    assert did_you_mean(name, known) == hint


def test_the_base_has_one_parameter_set():
    class Plain(Strategy):
        alias = "plain"

    assert Plain.test_params() == [{}]
    assert isinstance(clone(Plain()), Plain)
