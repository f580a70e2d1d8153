"""Setting parameters, also those inside objects, and showing them."""

import pytest
from sklearn.model_selection import GridSearchCV

from skmtl.features import FeatureEncoder
from skmtl.penalties import L1, L2
from skmtl.sharing import MMoE
from skmtl.trunks import MLP, Periodic
from skmtl.weighting import Fixed


def test_parameters_of_objects(make):
    est = make(sharing=MMoE(), penalty=L2(), trunk=MLP(num_embeddings=Periodic()))
    params = {"sharing__n_experts": 3, "penalty__strength": 1.0}
    assert est.set_params(**params, trunk__num_embeddings__lite=True, lr=0.5) is est
    assert (est.sharing.n_experts, est.penalty.strength, est.lr) == (3, 1.0, 0.5)
    assert est.trunk.num_embeddings.lite is True


def test_an_object_and_its_parameter_in_one_call(make):
    est = make(sharing="mmoe").set_params(sharing__n_experts=3, sharing=MMoE())
    assert est.sharing.n_experts == 3
    est = make().set_params(trunk__num_embeddings__lite=True, trunk=MLP(num_embeddings=Periodic()))
    assert est.trunk.num_embeddings.lite is True
    inside = {"trunk__num_embeddings": Periodic(), "trunk__num_embeddings__lite": True}
    assert make(trunk=MLP()).set_params(**inside).trunk.num_embeddings.lite is True


@pytest.mark.parametrize(
    ("params", "key", "match"),
    [
        ({"sharing": MMoE}, "sharing__n_experts", r"in place of a class.*Set `sharing=MMoE\(\)`"),
        ({"penalty": [L1(), L2()]}, "penalty__strength", r"in place of a list.*single object"),
        ({"penalty": None}, "penalty__strength", r"Found `penalty = None`.*such an object"),
        ({"loss_weights": {"price": 2}}, "loss_weights__weights", r"Found `loss_weights = \{"),
        ({"sharing": "mmoo"}, "sharing__n_experts", r"Found `sharing = 'mmoo'`"),
        ({"preprocess": None}, "preprocess__numbers", r"Found `preprocess = None`"),
        (
            {"trunk": MLP(num_embeddings="periodic")},
            "trunk__num_embeddings__lite",
            r"`trunk__num_embeddings__lite` .*Set `trunk__num_embeddings=Periodic\(\)`",
        ),
    ],
)
def test_parameters_without_an_object(make, params, key, match):
    est = make(**params)
    with pytest.raises(ValueError, match=match):
        est.set_params(**{"lr": 7.0, key: 3})
    assert est.lr == 0.01  # nothing is set halfway


def test_the_encoder_of_the_default_may_be_set(make):
    est = make().set_params(preprocess__max_categories=5)
    assert isinstance(est.preprocess, FeatureEncoder)
    assert est.preprocess.max_categories == 5


@pytest.mark.parametrize(
    ("name", "key", "value", "cls"),
    [
        ("sharing", "n_experts", 3, MMoE),
        ("trunk", "hidden_layer_sizes", (3,), MLP),
        ("penalty", "strength", 0.5, L1),
    ],
)
def test_a_name_becomes_its_object_when_a_parameter_of_it_is_set(make, name, key, value, cls):
    est = make(**{name: cls.alias}).set_params(**{f"{name}__{key}": value})
    assert type(getattr(est, name)) is cls
    assert getattr(getattr(est, name), key) == value
    both = make().set_params(**{f"{name}__{key}": value, name: cls.alias})
    assert both.get_params()[f"{name}__{key}"] == value


def test_a_grid_over_schemes_given_by_name(table, make):
    X, Y = table
    grid = [{"sharing": ["mmoe"], "sharing__n_experts": [2, 3]}, {"sharing": ["hard"]}]
    search = GridSearchCV(make(max_epochs=1), grid, cv=2, error_score="raise").fit(X, Y)
    assert [p.get("sharing__n_experts") for p in search.cv_results_["params"]] == [2, 3, None]
    one = make(sharing="mmoe", max_epochs=1)
    assert one.sharing == "mmoe"
    GridSearchCV(one, {"sharing__n_experts": [2]}, cv=2, error_score="raise").fit(X, Y)
    assert one.sharing == "mmoe"  # the search works on clones
    wrong = GridSearchCV(one, {"sharing": ["hard"], "sharing__n_experts": [2]}, cv=2)
    with pytest.raises(ValueError, match="Invalid parameter 'n_experts' for estimator Hard"):
        wrong.set_params(error_score="raise").fit(X, Y)


def test_names_that_are_none(make):
    with pytest.raises(ValueError, match="Invalid parameter 'shairng'"):
        make().set_params(shairng__n_experts=3)
    with pytest.raises(ValueError, match="Invalid parameter 'n_expert'"):
        make(sharing=MMoE()).set_params(sharing__n_expert=3)


def test_weights_given_as_an_object(make):
    est = make(loss_weights=Fixed()).set_params(loss_weights__weights={"price": 2.0})
    assert est.loss_weights.weights == {"price": 2.0}


def test_repr_tells_of_the_tasks(table, make):
    X, Y = table
    est = make(max_epochs=1)
    assert "# tasks" not in repr(est)
    assert repr(est.fit(X, Y)).endswith("Task('kind', 'multiclass', classes=[0, 1, 2])")
