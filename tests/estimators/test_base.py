"""What the three estimators have in common."""

import pickle
import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn

from skmtl import (
    MultiTaskNetClassifier,
    MultiTaskNetClassifierRegressor,
    MultiTaskNetRegressor,
    Task,
    TaskScoring,
)
from skmtl.penalties import L1, L2
from skmtl.trunks import MLP, ModuleTrunk


def outputs(est, X):
    return np.column_stack([output.values for output in est.predict_outputs(X)])


def test_types_as_scikit_learn_sees_them():
    assert not is_classifier(MultiTaskNetClassifierRegressor())
    assert not is_regressor(MultiTaskNetClassifierRegressor())
    assert is_classifier(MultiTaskNetClassifier())
    assert is_regressor(MultiTaskNetRegressor())


def test_predictions_have_the_columns_and_types_of_y(table, make):
    X, Y = table
    predicted = make().fit(X, Y).predict(X)
    assert list(predicted) == list(Y)
    assert predicted.dtypes.to_dict() == Y.dtypes.to_dict()
    assert predicted.notna().all().all()


def test_probabilities_and_classes_by_task(table, make):
    X, Y = table
    est = make().fit(X, Y)
    proba = est.predict_proba(X)
    assert list(proba) == list(est.classes_) == ["sold", "kind"]
    np.testing.assert_array_equal(est.classes_["kind"], [0, 1, 2])
    for name, values in proba.items():
        np.testing.assert_allclose(values.sum(axis=1), 1)
        labels = est.classes_[name][values.argmax(axis=1)]
        np.testing.assert_array_equal(labels, est.predict(X)[name].to_numpy())


def test_no_probabilities_without_class_tasks(table, make):
    X, Y = table
    est = make().fit(X, Y[["price"]])
    assert not hasattr(est, "predict_proba")
    assert not hasattr(est, "classes_")
    assert hasattr(est.fit(X, Y), "predict_proba")
    assert not hasattr(MultiTaskNetRegressor(), "predict_proba")


def test_it_learns_what_can_be_learned(table, make):
    X, Y = table
    scores = TaskScoring({"price": "r2", "sold": "roc_auc", "kind": "accuracy"})(
        make(max_epochs=100).fit(X, Y), X, Y
    )
    assert scores["price"] > 0.95
    assert scores["sold"] > 0.95
    assert scores["kind"] > 0.9


def test_score_is_the_mean_skill(table, make):
    X, Y = table
    est = make().fit(X, Y)
    assert est.score(X, Y) == pytest.approx(TaskScoring()(est, X, Y)["score"])


def test_classifier_scores_accuracy_and_returns_lists(table):
    X, Y = table
    est = MultiTaskNetClassifier(max_epochs=5, random_state=0).fit(X, Y[["sold", "kind"]])
    hits = [(est.predict(X)[c] == Y[c])[Y[c].notna()].mean() for c in ("sold", "kind")]
    assert est.score(X, Y[["sold", "kind"]]) == pytest.approx(np.mean(hits))
    assert [p.shape for p in est.predict_proba(X)] == [(120, 2), (120, 3)]
    assert [list(c) for c in est.classes_] == [["no", "yes"], [0, 1, 2]]


def test_regressor_takes_whole_numbers_as_numbers():
    X = np.arange(20.0)[:, None]
    y = np.repeat([0, 1], 10)
    est = MultiTaskNetRegressor(max_epochs=2, random_state=0).fit(X, y)
    assert est.tasks_[0].kind == "regression"
    assert est.predict(X).dtype == float


def test_tasks_are_in_the_repr_once_fitted(table, make):
    X, Y = table
    est = make()
    assert "# tasks" not in repr(est)
    text = repr(est.fit(X, Y))
    assert (
        "# tasks: Task('price', 'regression'), Task('sold', 'binary', classes=['no', 'yes'])"
        in text
    )


def test_vector_valued_task(table, make):
    X, Y = table
    Y = Y.assign(x=X[:, 0] * 100, y=X[:, 1])
    est = make(tasks={"box": ["x", "y"]}, max_epochs=100).fit(X, Y)
    assert [task.name for task in est.tasks_] == ["price", "sold", "kind", "box"]
    predicted = est.predict(X)
    assert list(predicted) == list(Y)
    assert np.corrcoef(predicted["x"], Y["x"])[0, 1] > 0.97
    assert est.task_view("box").predict(X).shape == (120, 2)


def test_scale_and_shift_of_a_target_do_not_matter(table, make):
    X, Y = table
    small, large = Y[["price"]], Y[["price"]] * 1e6 - 1e7
    params = {"dtype": "float64", "batch_size": -1}
    left, right = (make(**params).fit(X, y).predict(X)["price"] for y in (small, large))
    np.testing.assert_allclose(left * 1e6 - 1e7, right, rtol=1e-9)


def test_rows_of_weight_zero_are_as_if_they_were_not_there(table, make):
    X, Y = table
    weight = np.ones(120)
    weight[::3] = 0
    keep = weight > 0
    params = {"early_stopping": False, "dtype": "float64"}
    weighted = make(**params).fit(X, Y, sample_weight=weight)
    without = make(**params).fit(X[keep], Y[keep])
    np.testing.assert_allclose(outputs(weighted, X), outputs(without, X), rtol=1e-10)


def test_weights_by_task_hide_labels(table, make):
    X, Y = table
    weights = pd.DataFrame({"kind": 1.0, "price": 1.0, "sold": 1.0}, index=Y.index)
    weights.loc[:40, "sold"] = 0
    hidden = Y.copy()
    hidden.loc[:40, "sold"] = None
    params = {"early_stopping": False, "dtype": "float64"}
    left = make(**params).fit(X, Y, sample_weight=weights)
    right = make(**params).fit(X, hidden)
    np.testing.assert_allclose(outputs(left, X), outputs(right, X), rtol=1e-10)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ({"price": [1]}, "dict"),
        (np.ones((120, 2)), r"shape \(120,\) or \(120, 3\)"),
        (-np.ones(120), "a negative weight"),
        (np.full(120, np.nan), "a NaN or infinite weight"),
        (np.zeros(120), "at least one non-zero"),
    ],
)
def test_bad_sample_weights(table, make, weight, message):
    X, Y = table
    with pytest.raises((ValueError, TypeError), match=message):
        make().fit(X, Y, sample_weight=weight)


def test_balanced_class_weight_equals_sample_weights(table, make):
    X, Y = table
    Y = Y[["sold"]].dropna()
    X = X[Y.index]
    share = Y["sold"].map(Y["sold"].value_counts(normalize=True))
    params = {"early_stopping": False, "dtype": "float64", "batch_size": -1, "preprocess": None}
    by_class = make(class_weight={"sold": "balanced"}, **params).fit(X, Y)
    by_row = make(**params).fit(X, Y, sample_weight=1 / share.to_numpy())
    np.testing.assert_allclose(outputs(by_class, X), outputs(by_row, X), rtol=1e-9)


def test_class_weight_errors_name_task_and_class(table, make):
    X, Y = table
    with pytest.raises(ValueError, match=r"'slod', which is not a class task.*mean 'sold'"):
        make(class_weight={"slod": "balanced"}).fit(X, Y)
    with pytest.raises(ValueError, match="task 'sold' has no class 'maybe'"):
        make(class_weight={"sold": {"maybe": 2}}).fit(X, Y)


def test_early_stopping_uses_a_part_of_the_training_rows(table, make):
    X, Y = table
    est = make(early_stopping=True, validation_fraction=0.25).fit(X, Y)
    assert "valid_score" in est.history_
    assert "valid_score" not in make(early_stopping=False).fit(X, Y).history_
    # "auto" needs 100 labelled rows, or three for each fold.
    assert "valid_score" in make().fit(X, Y).history_
    assert "valid_score" in make().fit(X[:40], Y[:40]).history_
    assert "valid_score" not in make().fit(X[:20], Y[:20]).history_
    assert "valid_score" not in make(n_members=1).fit(X[:80], Y[:80]).history_


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")  # of rows a million away
def test_preprocessing_and_scales_see_training_rows_only(table, make):
    X, Y = table
    X_val = X[:30] + 1e6
    est = make().fit(X, Y, X_val=X_val, y_val=Y[:30])
    middle = np.quantile(X, 0.5, axis=0, method="inverted_cdf")
    np.testing.assert_allclose(est._preprocess.mean_, middle)
    assert est._scaler.mean_[0] == pytest.approx(Y["price"].mean())


def test_validation_rows_come_in_pairs(table, make):
    X, Y = table
    with pytest.raises(ValueError, match="X_val and y_val must be given together"):
        make().fit(X, Y, X_val=X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"sharing": "hrad"}, "Did you mean 'hard'"),
        ({"trunk": "mpl"}, "Did you mean 'mlp'"),
        ({"loss_weights": {"prise": 1}}, "unknown task 'prise'.*Did you mean 'price'"),
        ({"loss_weights": [1, 2]}, "one weight for each of the 3 tasks"),
        ({"loss_weights": {"price": -1}}, "weight of task 'price' must be a finite number"),
        ({"activation": "rellu"}, "Did you mean 'relu'"),
        ({"optimizer": "adamww"}, "Did you mean 'adamw'"),
        ({"penalty": "l3"}, r"`penalty` must be one of \['l1', 'l2', "),
        ({"lr": 0}, "`lr` must be a finite number above 0. Found `lr = 0`"),
        ({"batch_size": 0}, "`batch_size` must be 'auto', 'halving', -1"),
        ({"max_epochs": 0}, "`max_epochs` must be a whole number of at least 1"),
        ({"dropout": 1.0}, r"`dropout` must be a number in \[0, 1\)"),
        ({"hidden_layer_sizes": (0,)}, "`hidden_layer_sizes` must hold whole numbers"),
        ({"head_layer_sizes": (2.5,)}, "`head_layer_sizes` must hold whole numbers"),
        ({"dtype": "float16"}, "'float32', 'float64' or 'bfloat16'"),
        ({"device": "gpu9"}, "`device` must be 'auto' or a device of torch"),
        ({"preprocess": "scale"}, "`preprocess` must be 'auto', None or a transformer"),
        ({"callbacks": [3]}, "callbacks of skorch and of scikit-learn"),
        ({"trunk": MLP((4,)), "dropout": 0.5}, "`dropout = 0.5` would have no effect"),
        ({"tasks": {"prise": "regression"}}, "Did you mean 'price'"),
        ({"tasks": {"price": Task("prize")}}, "'prize' is declared under the key 'price'"),
    ],
)
def test_bad_parameters_are_named_and_leave_the_former_fit(table, make, params, message):
    X, Y = table
    est = make(max_epochs=2).fit(X, Y)
    before, state = outputs(est, X), set(vars(est))
    if "trunk" in params:
        est.set_params(hidden_layer_sizes=(128, 128))
    with pytest.raises((ValueError, TypeError), match=message):
        est.set_params(**params).fit(X[:, :3], Y)
    assert set(vars(est)) == state
    assert est.n_features_in_ == 4
    est.set_params(**{name: make().get_params()[name] for name in params})
    np.testing.assert_array_equal(outputs(est, X), before)


@contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize(
    "around",
    [
        torch.no_grad,
        torch.inference_mode,
        default_dtype,
        default_device,
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    ],
    ids=["no_grad", "inference_mode", "default_dtype", "default_device", "autocast"],
)
@pytest.mark.parametrize(
    "params",
    [{}, {"sharing": "mmoe"}, {"trunk": "tabm"}, {"sharing": "adatt", "dropout": 0.2}],
    ids=str,
)
def test_settings_of_torch_around_a_fit_do_not_matter(table, make, params, around):
    X, Y = table
    params = {"max_epochs": 2, "random_state": 0, **params}
    expected = outputs(make(**params).fit(X, Y), X)
    with around():
        est = make(**params).fit(X, Y)
        np.testing.assert_array_equal(outputs(est, X), expected)
        est.partial_fit(X, Y)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_the_same_seed_gives_the_same_bits_everywhere(table, make, backend):
    X, Y = table
    est = make(dropout=0.2, early_stopping=True)
    alone = outputs(clone(est).fit(X, Y), X)
    with Parallel(n_jobs=2, backend=backend) as parallel:
        fits = parallel(delayed(_fit_outputs)(est, X, Y) for _ in range(4))
    for values in fits:
        np.testing.assert_array_equal(values, alone)


def _fit_outputs(est, X, Y):
    return outputs(clone(est).fit(X, Y), X)


def test_partial_fit_is_one_pass_and_keeps_the_classes(table, make):
    X, Y = table
    est = make(warm_start=False)
    est.partial_fit(X, Y)
    assert est.n_iter_ == 1
    first = Y["sold"].eq("no").to_numpy(dtype=bool, na_value=False)
    est.partial_fit(X[first], Y[first])
    assert est.n_iter_ == 2
    assert list(est.classes_["sold"]) == ["no", "yes"]
    with pytest.raises(ValueError, match=r"Task 'sold'.*not\s+seen before: \['maybe'\]"):
        est.partial_fit(X, Y.assign(sold="maybe"))
    assert est.n_iter_ == 2


def test_partial_fit_learns_classes_that_come_later(table, make):
    X, Y = table
    early = Y["kind"].eq(0).to_numpy(dtype=bool, na_value=False)
    est = make().partial_fit(X[early], Y[early][["kind"]], classes={"kind": [0, 1, 2]})
    est.partial_fit(X, Y[["kind"]])
    assert est.predict_proba(X)["kind"].shape == (120, 3)


def test_partial_fit_equals_one_epoch_of_fit(table, make):
    X, Y = table
    params = {"dtype": "float64", "early_stopping": False, "max_epochs": 3}
    fitted, est = make(**params).fit(X, Y), make(**params)
    for _ in range(3):
        est.partial_fit(X, Y)
    np.testing.assert_allclose(outputs(est, X), outputs(fitted, X), rtol=1e-10)


def test_rows_do_not_depend_on_the_rows_beside_them(table, make):
    X, Y = table
    est = make().fit(X, Y)
    single = np.concatenate([outputs(est, X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(single, outputs(est, X), rtol=1e-12)


def test_sparse_equals_dense(table, make):
    X, Y = table
    X = np.where(np.abs(X) < 1, 0, X)
    params = {"preprocess": None, "dtype": "float64", "batch_size": 32, "early_stopping": True}
    dense, thin = make(**params).fit(X, Y), make(**params).fit(sparse.csr_array(X), Y)
    np.testing.assert_allclose(outputs(dense, X), outputs(thin, sparse.csr_array(X)), rtol=1e-10)


def test_images_go_to_a_trunk_that_takes_them(table, make):
    _, Y = table
    X = np.random.default_rng(0).normal(size=(120, 1, 6, 6))
    trunk = ModuleTrunk(images)
    est = make(trunk=trunk, hidden_layer_sizes=(128, 128), max_epochs=2).fit(X, Y)
    assert len(est.predict(X)) == 120
    independent = make(
        trunk=trunk, hidden_layer_sizes=(128, 128), max_epochs=2, sharing="independent"
    )
    assert len(independent.fit(X, Y).predict(X)) == 120
    with pytest.raises(ValueError, match=r"takes tables.*samples of shape \(1, 6, 6\)"):
        make().fit(X, Y)


def images():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())


def test_head_layers_and_penalties(table, make):
    X, Y = table
    est = make(head_layer_sizes=(5,), sharing="independent").fit(X, Y)
    assert est.score(X, Y) > 0.5
    free, tied = (
        make(penalty=penalty, max_epochs=60).fit(X, Y).net_.module_.weights("input")[0].abs().sum()
        for penalty in (None, [L1(0.05, part="input"), L2(0.01, part="heads")])
    )
    assert tied < 0.5 * free


def test_weight_decay_shrinks_weights_and_spares_biases():
    X, y = np.ones((40, 1)), np.ones(40)  # a constant target: no gradient but through z
    params = {"hidden_layer_sizes": (), "preprocess": None, "early_stopping": False, "lr": 0.01,
              "max_epochs": 1, "batch_size": -1, "random_state": 0}  # fmt: skip
    heads = [
        MultiTaskNetRegressor(weight_decay=decay, **params).fit(X, y).net_.module_.heads.output
        for decay in (0.0, 10.0)
    ]
    start = MultiTaskNetRegressor(**{**params, "lr": 1e-12}).fit(X, y).net_.module_.heads.output
    shrunk = (heads[0].weight - heads[1].weight).item()
    assert shrunk == pytest.approx(0.01 * 10 * start.weight.item(), rel=1e-4)
    assert heads[0].bias.item() == heads[1].bias.item()


def test_grid_search_over_sharing_and_loss_weights_in_a_pipeline(shared_data):
    frame = pd.read_csv(shared_data / "nhefs.csv.gz").head(400)
    Y = frame[["qsmk", "death", "wt82_71", "sbp"]]
    X = frame[["sex", "age", "race", "education", "ht", "wt71", "smokeintensity", "smokeyrs"]]
    assert Y.isna().to_numpy().any()
    X = X.fillna(X.mean())
    search = GridSearchCV(
        make_pipeline(
            StandardScaler(), MultiTaskNetClassifierRegressor(max_epochs=5, random_state=0)
        ),
        {
            "multitasknetclassifierregressor__sharing": ["hard", "independent"],
            "multitasknetclassifierregressor__loss_weights": [None, {"sbp": 2.0}, [1, 1, 0.5, 1]],
        },
        scoring=TaskScoring({"qsmk": "roc_auc", "death": "roc_auc", "wt82_71": "r2", "sbp": "r2"}),
        refit="score",
        cv=3,
        error_score="raise",
    ).fit(X, Y)
    results = pd.DataFrame(search.cv_results_)
    assert len(results) == 6
    per_task = results[[f"mean_test_{task}" for task in Y]]
    assert np.isfinite(per_task.to_numpy()).all()
    np.testing.assert_allclose(per_task.mean(axis=1), results["mean_test_score"])
    assert results["mean_test_death"].max() > 0.6
    assert list(search.predict(X)) == list(Y)


def test_integer_cv_works_on_mixed_targets_with_missing_labels(table, make):
    X, Y = table
    scores = cross_validate(make(max_epochs=5), X, Y, cv=3, error_score="raise")
    assert np.isfinite(scores["test_score"]).all()


def test_torch_threads_come_back(table, make):
    X, Y = table
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        make(max_epochs=1).fit(X, Y).predict(X)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_declared_task_objects_name_columns_and_fix_classes(table, make):
    X, Y = table
    tasks = [Task("deal", "binary", columns=["sold"], classes=["yes", "no"])]
    est = make(tasks=tasks, max_epochs=2).fit(X, Y)
    assert [task.name for task in est.tasks_] == ["price", "deal", "kind"]
    assert list(est.classes_["deal"]) == ["yes", "no"]
    assert list(est.predict(X)) == list(Y)


def test_no_warnings_on_an_ordinary_fit(table, make):
    X, Y = table
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make().fit(X, Y).predict(X)


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")  # it is noise
def test_fold_scores_do_not_see_the_test_rows(make):
    """Labels that are noise: held-out skill is not above a constant's."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(150, 5)), pd.DataFrame(rng.normal(size=(150, 2)), columns=["a", "b"])
    scores = cross_validate(make(max_epochs=40), X, Y, cv=KFold(3, shuffle=True, random_state=0))
    assert scores["test_score"].mean() < 0.05


def test_predict_from_many_threads_is_serial_predict(table, make):
    X, Y = table
    est = make(max_epochs=3).fit(X, Y)
    X = np.tile(X, (40, 1))
    alone = outputs(est, X)
    est = clone(est).fit(X[:120], Y)  # no copy for evaluation yet
    with Parallel(n_jobs=4, backend="threading") as parallel:
        results = parallel(delayed(outputs)(est, X) for _ in range(12))
    for values in results:
        np.testing.assert_array_equal(values, alone)
    assert next(est.net_.module_.parameters()).dtype == torch.float32
    est.partial_fit(X[:120], Y)
    assert not np.array_equal(outputs(est, X), alone)


def test_hidden_labels_do_not_steer_the_validation_split(table, make):
    X, Y = table
    weights = pd.DataFrame(1.0, index=Y.index, columns=list(Y))
    weights.loc[:40, "sold"] = 0
    hidden = Y.copy()
    hidden.loc[:40, "sold"] = None
    left = make(early_stopping=True).fit(X, Y, sample_weight=weights)
    right = make(early_stopping=True).fit(X, hidden)
    np.testing.assert_array_equal(outputs(left, X), outputs(right, X))


def test_weights_on_cells_without_a_label_do_not_matter(table, make):
    X, Y = table
    weights = np.ones((120, 3))
    other = np.where(Y.isna().to_numpy(), 7.0, weights)
    left, right = (make().fit(X, Y, sample_weight=w) for w in (weights, other))
    np.testing.assert_array_equal(outputs(left, X), outputs(right, X))


def test_misspelt_columns_of_weights_are_an_error(table, make):
    X, Y = table
    weights = pd.DataFrame(1.0, index=Y.index, columns=["prize", "sold", "kind"])
    with pytest.raises(ValueError, match=r"Found column 'prize'.*Did you mean 'price'"):
        make().fit(X, Y, sample_weight=weights)


def test_balanced_counts_a_row_of_weight_2_twice(table, make):
    X, Y = table
    Y = Y[["sold"]].dropna()
    X = X[Y.index]
    weight = np.random.default_rng(0).integers(1, 4, len(Y))
    params = {
        "early_stopping": False,
        "dtype": "float64",
        "batch_size": -1,
        "class_weight": "balanced",
    }
    weighted = make(**params).fit(X, Y, sample_weight=weight)
    repeated = make(**params).fit(np.repeat(X, weight, axis=0), Y.loc[Y.index.repeat(weight)])
    np.testing.assert_allclose(outputs(weighted, X), outputs(repeated, X), rtol=1e-7)


def test_pure_estimators_refuse_the_other_kind(table):
    X, Y = table
    with pytest.raises(ValueError, match="learns classification tasks only, but task 'price'"):
        MultiTaskNetClassifier({"price": "regression"}).fit(X, Y[["price", "sold"]])
    with pytest.raises(ValueError, match="learns regression tasks only, but task 'kind'"):
        MultiTaskNetRegressor({"kind": "classification"}).fit(X, Y[["price", "kind"]])


def test_regressor_scores_r2_on_labelled_rows(table):
    X, Y = table
    est = MultiTaskNetRegressor(max_epochs=3, random_state=0).fit(X, Y[["price"]])
    assert est.score(X, Y[["price"]]) == TaskScoring({"price": "r2"})(est, X, Y[["price"]])["score"]


class Nothing(Callback):
    """A callback whose repr holds its address."""

    def __repr__(self):
        return object.__repr__(self)


def test_going_on_with_changed_parameters_is_an_error(table, make):
    X, Y = table
    est = make(max_epochs=2, warm_start=True, callbacks=[Nothing()]).fit(X, Y)
    est = pickle.loads(pickle.dumps(est))
    est.set_params(lr=0.1, max_epochs=3, early_stopping=False).fit(X, Y)
    assert est.n_iter_ == 5
    assert est.net_.optimizer_.param_groups[0]["lr"] == 0.1
    with pytest.raises(ValueError, match=r"built with `sharing = 'hard'`. Found `sharing = 'indep"):
        est.set_params(sharing="independent").fit(X, Y)


def test_a_task_whose_first_labels_come_later_is_scaled_by_them(make):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    Y = pd.DataFrame({"a": X[:, 0], "late": 1e5 + 100 * X[:, 1]})
    est = make(tasks="regression")
    est.partial_fit(X, Y.assign(late=np.nan))  # without a warning: its labels may come later
    assert est.predict(X)["late"].isna().all()
    for _ in range(60):
        est.partial_fit(X, Y)
    assert TaskScoring({"late": "r2"})(est, X, Y)["late"] > 0.9


def test_balanced_weights_need_all_rows(table, make):
    X, Y = table
    with pytest.raises(ValueError, match="needs all rows at once"):
        make(class_weight="balanced").partial_fit(X, Y)


@pytest.mark.parametrize(("fitted", "then"), [("auto", None), (None, "auto")])
def test_predictions_go_by_the_preprocessing_of_the_fit(fitted, then):
    X = np.random.default_rng(0).normal(size=(40, 2))
    est = MultiTaskNetRegressor(max_epochs=1, preprocess=fitted, random_state=0).fit(X, X[:, 0])
    gap = np.array([[np.nan, 0.0]])
    est.set_params(preprocess=then)
    if fitted is None:
        with pytest.raises(ValueError, match="contains NaN"):
            est.predict(gap)
    else:
        assert np.isfinite(est.predict(gap)).all()
