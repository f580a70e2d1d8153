"""Several networks side by side: folds of their own, seeds, and one prediction."""

import numpy as np
import pandas as pd
import pytest
import torch

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.estimators._fitting import _bagged, on_device
from skmtl.estimators._rows import choose_rows, read_rows
from skmtl.training import BatchIterator, null_losses
from skmtl.training._epochs import train_epoch

N = 150


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    X = random.normal(size=(N, 4))
    y = X[:, 0] + 0.3 * random.normal(size=N)
    Y = pd.DataFrame({"y": y, "c": np.where(X[:, 1] + X[:, 0] > 0.7, "yes", "no")})
    Y.loc[random.random(N) < 0.3, "y"] = np.nan
    return X, Y


def make(**params):
    defaults = {"hidden_layer_sizes": (8,), "max_epochs": 4, "lr": 1e-2, "random_state": 0}
    return MultiTaskNetClassifierRegressor(**defaults | {"n_members": 3} | params)


def members_alone(est, X, Y):
    """Predictions of each member's network, cut out of the stack."""
    network, found = est.net_.module_, []
    for member in range(est.n_members):
        one = make(n_members=1, max_epochs=1).fit(X, Y)
        state = {name: tensor[member : member + 1] for name, tensor in network.state_dict().items()}
        one.net_.module_.load_state_dict(state)
        one._scaler, one._preprocess = est._scaler, est._preprocess
        one.net_.module_.encoding = network.encoding
        found.append([output.values for output in one.predict_outputs(X)])
    return found


def test_a_prediction_is_the_mean_of_the_members(table):
    X, Y = table
    est = make().fit(X, Y)
    each = members_alone(est, X, Y)
    for position, output in enumerate(est.predict_outputs(X)):
        mean = np.mean([values[position] for values in each], axis=0)
        np.testing.assert_allclose(output.values, mean, rtol=1e-5, atol=1e-6)
    first = each[0][0]
    assert not np.allclose(first, each[1][0], atol=1e-3)


def test_folds_part_the_rows(table):
    X, Y = table
    rows, _ = held_out(make(max_epochs=1).fit(X, Y), X, Y)
    assert sorted(np.concatenate(rows)) == list(range(N))
    sizes = [len(own) for own in rows]
    assert max(sizes) - min(sizes) <= 2


def test_a_bootstrap_draws_as_many_rows_with_replacement(table):
    X, Y = table
    est = make(max_epochs=1, bagging="bootstrap").fit(X, Y)
    rows, chosen = held_out(est, X, Y)
    assert (chosen.draws.sum(axis=1) == N).all()
    assert all(0.28 < len(own) / N < 0.46 for own in rows)  # (1 - 1 / N)**N = 0.367
    train, _ = _bagged(on_device(est, chosen, est.net_), chosen.draws)
    for own, draws in zip(train.members, chosen.draws, strict=True):
        np.testing.assert_array_equal(np.bincount(own.numpy(), minlength=N), draws)


def test_a_batch_of_all_rows_holds_a_bootstrap_of_unequal_groups(monkeypatch):
    """Of which a member may draw more rows than there are."""
    seen = []

    def counted(module, criterion, optimizer, batches, *more):
        seen.append((batches.dataset.n_rows, len(batches)))
        train_epoch(module, criterion, optimizer, batches, *more)

    monkeypatch.setattr("skmtl.training._net.train_epoch", counted)
    X = np.random.default_rng(0).normal(size=(120, 2))
    groups = np.repeat(np.arange(6), [100, 4, 4, 4, 4, 4])
    est = make(bagging="bootstrap", batch_size=-1, max_epochs=1, n_members=8)
    est.fit(X, X[:, 0], groups=groups)
    ((n_rows, n_batches),) = seen
    assert n_rows > 120
    assert n_batches == 1


def test_a_bootstrap_needs_no_early_stopping(table):
    """Members then differ by rows all the same: a member is a net of one's own on these rows."""
    X, Y = table
    params = {"early_stopping": False, "dtype": "float64", "preprocess": None, "max_epochs": 1}
    params |= {"batch_size": -1, "normalize_losses": False, "bagging": "bootstrap"}
    params |= {"optimizer": "sgd"}
    est = make(**params).fit(X, Y)
    draws = held_out(est, X, Y, stops=False)[1].draws
    assert "valid_loss" not in est.history_
    start = [make(**params, lr=1e-30).fit(X, Y).net_.module_.state_dict() for _ in range(2)]
    for member, own in enumerate(draws):
        rows = np.repeat(np.arange(N), own)
        one = make(**{**params, "n_members": 1}, lr=1e-30, warm_start=True).fit(X, Y)
        one.net_.module_.load_state_dict(
            {name: tensor[member : member + 1] for name, tensor in start[0].items()}
        )
        one.set_params(lr=1e-2).fit(X[rows], Y.iloc[rows].reset_index(drop=True))
        for name, tensor in one.net_.module_.state_dict().items():
            together = est.net_.module_.state_dict()[name][member : member + 1]
            torch.testing.assert_close(tensor, together, rtol=1e-9, atol=1e-9)


def test_rows_are_judged_by_the_mean_of_the_members_that_left_them_out(table):
    """By hand; rows that all three drew are not judged."""
    X, Y = table
    est = make(bagging="bootstrap").fit(X, Y)
    _, chosen = held_out(est, X, Y)
    left_out = chosen.draws == 0
    judged = left_out.any(axis=0)
    assert not judged.all()
    each = members_alone(est, X, Y)
    for position, name in enumerate(["y", "c"]):
        values = np.stack([of_member[position] for of_member in each])
        mean = (values * left_out[..., None]).sum(axis=0)[judged]
        mean /= left_out.sum(axis=0)[judged, None]
        if name == "y":
            expected = np.abs(mean[:, 0] - Y["y"].to_numpy()[judged])
        else:
            codes = (Y["c"] == "yes").to_numpy().astype(int)[judged]
            expected = 1 - mean[np.arange(len(mean)), codes]
        found = est._conformity.scores[name][:, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bagging", ["folds", "bootstrap"])
def test_the_validation_loss_is_that_of_the_left_out_rows(table, bagging):
    """By hand: each row's loss under each member that did not learn from it."""
    X, Y = table
    fitted = make(max_epochs=1, bagging=bagging, normalize_losses=True).fit(X, Y)
    rows, _ = held_out(fitted, X, Y)
    each = members_alone(fitted, X, Y)
    data = on_device(fitted, read(fitted, X, Y), fitted.net_)
    null = dict(zip(data.layout.names, null_losses(data).tolist(), strict=True))
    numbers = Y["y"].to_numpy()
    squares = np.concatenate(
        [
            ((each[m][0][own, 0] - numbers[own]) / fitted._scaler.scale_[0]) ** 2
            for m, own in enumerate(rows)
        ]
    )
    expected = np.nanmean(squares) / null["y"]
    assert fitted.history_["valid_loss_y"].item() == pytest.approx(expected, rel=1e-4)
    codes = (Y["c"] == "yes").to_numpy().astype(int)
    logs = np.concatenate([-np.log(each[m][1][own, codes[own]]) for m, own in enumerate(rows)])
    assert fitted.history_["valid_loss_c"].item() == pytest.approx(
        logs.mean() / null["c"], rel=1e-4
    )


def read(est, X, Y):
    return read_rows(est, X, Y, None, is_read=False)


def held_out(est, X, Y, stops=True):
    """The rows that each member left out in a fit with this seed."""
    chosen, valid, stopped = choose_rows(est, read(est, X, Y), None, None, is_partial=False)
    assert valid is None
    assert stopped == stops
    return [np.flatnonzero(own == 0) for own in chosen.draws], chosen


@pytest.mark.parametrize("bagging", ["folds", "bootstrap"])
def test_a_member_never_meets_its_judges_in_training(table, bagging):
    X, Y = table
    X = np.column_stack([np.arange(N), X])
    est = make(preprocess=None, max_epochs=1, bagging=bagging).fit(X, Y)
    rows, chosen = held_out(est, X, Y)
    train, valid = _bagged(on_device(est, chosen, est.net_), chosen.draws)
    met, judged = ([set(), set(), set()] for _ in range(2))
    for _ in range(3):
        for batch in BatchIterator(train, 16, torch.Generator().manual_seed(0)):
            for member, x in enumerate(batch.x):
                met[member] |= set(x[:, 0].int().tolist())
    for batch in BatchIterator(valid, 16):
        w = torch.stack([part[:, 0, 0].clone() for part in batch.targets.w])
        for member, x in enumerate(batch.x):
            judged[member] |= set(x[:, 0].int()[w[:, member].any(0)].tolist())
    for member, own in enumerate(rows):
        assert met[member] <= set(range(N)) - set(own.tolist())
        assert judged[member] == set(own.tolist())


def test_seeds_alone_make_members_differ_without_folds(table):
    X, Y = table
    est = make(bagging=None, early_stopping=False).fit(X, Y)
    weights = next(est.net_.module_.parameters())
    assert len(weights) == 3
    assert not torch.allclose(weights[0], weights[1], atol=1e-2)
    assert "valid_loss" not in est.history_


def test_early_stopping_judges_all_members_together(table):
    X, Y = table
    est = make(max_epochs=200, n_iter_no_change=3, tol=0.0).fit(X, Y)
    assert 3 < est.best_epoch_ < est.n_iter_ == est.best_epoch_ + 3
    assert est.history_["valid_score"].idxmax() == est.best_epoch_


@pytest.mark.parametrize("sharing", ["hard", "independent", "mmoe", "ple", "chain"])
@pytest.mark.parametrize("loss_weights", [None, "uncertainty", "cagrad"])
@pytest.mark.parametrize("bagging", ["folds", "bootstrap"])
def test_members_with_schemes_and_weightings(table, sharing, loss_weights, bagging):
    X, Y = table
    est = make(sharing=sharing, loss_weights=loss_weights, bagging=bagging, max_epochs=3)
    if sharing == "independent" and loss_weights == "cagrad":
        with pytest.raises(ValueError, match="they share none"):
            est.fit(X, Y)
        return
    est.fit(X, Y)
    assert np.isfinite(est.history_["valid_score"]).all()
    assert est.predict(X).shape == Y.shape


@pytest.mark.parametrize("bagging", ["folds", "bootstrap"])
def test_a_warm_start_keeps_the_folds(table, bagging):
    X, Y = table
    est = make(random_state=None, warm_start=True, max_epochs=1, bagging=bagging).fit(X, Y)
    before, _ = held_out(est, X, Y)
    est.fit(X, Y)
    after, _ = held_out(est, X, Y)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_seed_gives_the_same_bits(table):
    X, Y = table
    first, second = (make().fit(X, Y).predict_proba(X)["c"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_few_rows(table):
    X, Y = table
    assert "valid_loss" not in make().fit(X[:8], Y[:8]).history_  # "auto": no folds below 9 rows
    with pytest.raises(ValueError, match=r"8 labelled rows are too few for `n_members = 5`"):
        make(n_members=5, early_stopping=True).fit(X[:8], Y[:8])


def test_a_pass_of_partial_fit_has_no_folds(table):
    X, Y = table
    est = make().partial_fit(X, Y)
    assert "valid_loss" not in est.history_
    assert len(next(est.net_.module_.parameters())) == 3


def test_auto_takes_folds_where_there_are_rows_for_them(table):
    X, Y = table
    params = {"n_members": "auto", "max_epochs": 1}
    assert make(**params).fit(X, Y).n_members_ == 8
    assert make(**params).fit(X[:24], Y[:24]).n_members_ == 8
    assert make(**params).fit(X[:23], Y[:23]).n_members_ == 1
    assert make(early_stopping=False, **params).fit(X, Y).n_members_ == 1
    assert make(bagging=None, **params).fit(X, Y).n_members_ == 1
    assert make(bagging="bootstrap", **params).fit(X, Y).n_members_ == 8
    assert make(**params).fit(X, Y, X_val=X[:30], y_val=Y[:30]).n_members_ == 1
    passed = make(**params).partial_fit(X, Y)
    assert passed.n_members_ == 1
    assert passed.partial_fit(X, Y).n_members_ == 1
    grown = make(warm_start=True, **params).fit(X[:20], Y[:20])
    assert grown.fit(X, Y).n_members_ == 1  # goes on with the one network
    with pytest.raises(ValueError, match="`n_members` must be 'auto' or a whole number"):
        make(n_members="many").fit(X, Y)


@pytest.mark.parametrize(
    "params",
    [
        {"sharing": "auto"},
        {"calibration": "temperature"},
        {"sharing": "independent", "n_members": 2},
        {"n_members": 2, "early_stopping": False},
    ],
)
def test_what_bootstraps_go_with(table, params):
    X, Y = table
    est = make(bagging="bootstrap", **params).fit(X, Y)
    mean, std = est.predict(X, return_std=True)
    assert np.isfinite(mean["y"]).all()
    assert (std["y"] > 0).all()
    if est.early_stopping:
        assert np.isfinite(est.predict_interval(X)["y"]).all()


def test_a_bootstrap_is_judged_by_validation_rows_that_are_given(table):
    X, Y = table
    est = make(bagging="bootstrap", max_epochs=1).fit(
        X[:100], Y[:100], X_val=X[100:], y_val=Y[100:]
    )
    weights = next(est.net_.module_.parameters())
    assert not torch.allclose(weights[0], weights[1], atol=1e-2)
    assert len(est._conformity.scores["c"]) == N - 100


def test_one_group_that_cannot_be_held_out_is_told(table):
    X, Y = table
    with pytest.warns(UserWarning, match="`groups` has 1 group of labelled rows, and none can be"):
        est = make().fit(X, Y, groups=np.zeros(N))
    with pytest.raises(ValueError, match="too few rows or groups"):
        est.predict_interval(X)
