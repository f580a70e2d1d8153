"""Affinity of tasks: against plain loops over copies of the net, and on planted groups."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmtl.inspection import TaskAffinity, group_tasks, task_affinity
from skmtl.training import EpochHook
from skmtl.trunks import ModuleTrunk
from tests.inspection.oracle import losses_by_hand


def go_on(net):
    """A callback that does nothing."""
    return False


def by_hand(net, X, Y, lr):
    """Cosines and look-ahead by one real step of SGD on a copy of the net for each task."""
    names, x = list(net.criterion_.layout.names), torch.as_tensor(X, dtype=torch.float64)
    module = copy.deepcopy(net.module_).double().eval()
    before = losses_by_hand(module(x)[0], Y, names)
    gradients, lookahead = {}, pd.DataFrame(index=names, columns=names, dtype=float)
    for name in names:
        moved = copy.deepcopy(module)
        shared = [p for n, p in moved.named_parameters() if n.startswith("body.")]
        optimizer = torch.optim.SGD(shared, lr=lr)
        losses_by_hand(moved(x)[0], Y, names)[name].backward()
        gradients[name] = np.concatenate([p.grad.numpy().ravel() for p in shared])
        optimizer.step()
        after = losses_by_hand(moved(x)[0], Y, names)
        for other in names:
            lookahead.loc[name, other] = 1 - (after[other] / before[other]).item()
    units = {name: g / np.linalg.norm(g) for name, g in gradients.items()}
    cosines = pd.DataFrame({t: {s: units[s] @ units[t] for s in names} for t in names})
    return cosines, lookahead


def test_one_probe_is_a_loop_over_copies_of_the_net(make, table):
    X, Y = table
    params = {"early_stopping": False, "preprocess": None, "dtype": "float64"}
    est = make(max_epochs=1, sharing="independent", normalize_losses=False, **params)
    found = task_affinity(est, X, Y)
    assert found.epochs == (1,)
    # The same fit: a callback takes the same optimiser.
    twin = clone(est).set_params(sharing="hard", callbacks=[EpochHook(go_on)])
    cosines, lookahead = by_hand(twin.fit(X, Y).net_, X, Y, est.lr)
    pd.testing.assert_frame_equal(found.gradients, cosines.loc[list(Y), list(Y)])
    pd.testing.assert_frame_equal(found.lookahead, lookahead.loc[list(Y), list(Y)], rtol=1e-8)
    assert not np.allclose(lookahead, lookahead.T)


def test_probes_are_averaged(make, table):
    X, Y = table
    params = {"early_stopping": False, "preprocess": None, "dtype": "float64"}
    est = make(max_epochs=3, normalize_losses=False, **params)
    found = task_affinity(est, X, Y, methods=["lookahead", "gradients"])
    assert found.epochs == (1, 2, 3)
    parts = []
    for n_epochs in found.epochs:
        twin = clone(est).set_params(max_epochs=n_epochs, callbacks=[EpochHook(go_on)])
        parts.append(by_hand(twin.fit(X, Y).net_, X, Y, est.lr))
    names = list(Y)
    for frame, probes in ((found.gradients, 0), (found.lookahead, 1)):
        expected = np.mean([part[probes].loc[names, names] for part in parts], axis=0)
        np.testing.assert_allclose(frame, expected, rtol=1e-7, atol=1e-12)


def test_to_first_order_lookahead_is_the_product_of_gradients(make, table):
    """The same Z at a tenth of the step is a tenth, and of the sign of the cosine."""
    X, Y = table
    found = task_affinity(make(lr=1e-4, max_epochs=1), X, Y, methods=["gradients", "lookahead"])
    assert (np.sign(found.lookahead) == np.sign(found.gradients)).all(axis=None)


def test_labels_are_correlations_and_need_no_fit(make, table, monkeypatch):
    X, Y = table
    monkeypatch.setattr("skmtl.estimators._candidates.fit_net", None)
    found = task_affinity(make(), X, Y, methods="labels")
    both = Y[["price", "size"]].astype(float).corr().abs()
    pd.testing.assert_frame_equal(found.labels.loc[["price", "size"], ["price", "size"]], both)
    assert found.gradients is None
    assert found.lookahead is None
    assert repr(found) == "TaskAffinity(labels of 4 tasks)"


def test_a_label_of_weight_0_is_no_label(make, table):
    X, Y = table
    weight = pd.DataFrame(1.0, Y.index, list(Y)[::-1])  # by name
    weight.loc[:60, "size"] = 0
    hidden = Y.assign(size=Y["size"].mask(weight["size"] == 0))
    left = task_affinity(make(max_epochs=2), X, Y, sample_weight=weight)
    right = task_affinity(make(max_epochs=2), X, hidden)
    pd.testing.assert_frame_equal(left.labels, right.labels)
    pd.testing.assert_frame_equal(left.lookahead, right.lookahead)
    by_row = task_affinity(make(), X, Y, methods="labels", sample_weight=weight["size"])
    first = task_affinity(make(), X[61:], Y[61:], methods="labels")
    pd.testing.assert_frame_equal(by_row.labels, first.labels)


def test_the_same_seed_gives_the_same_and_nothing_else_is_touched(make, table):
    X, Y = table
    est = make(callbacks=[EpochHook(go_on)], warm_start=True).fit(X, Y)
    before = {name: w.clone() for name, w in est.net_.module_.state_dict().items()}
    params = dict(est.get_params())
    states = np.random.get_state()[1].copy(), torch.random.get_rng_state()  # noqa: NPY002
    first, second = (task_affinity(est, X, Y, n_probes=3) for _ in range(2))
    for name in ("labels", "gradients", "lookahead"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))
    assert len(first.epochs) == 3
    assert est.get_params() == params
    assert all(torch.equal(before[n], w) for n, w in est.net_.module_.state_dict().items())
    assert (np.random.get_state()[1] == states[0]).all()  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), states[1])


def test_arrays_and_pipelines(make, table):
    X, Y = table
    Y = Y[["price", "size"]]
    frame = task_affinity(make(max_epochs=3), X, Y)
    array = task_affinity(make(max_epochs=3), X, Y.to_numpy(dtype=float))
    assert list(array.gradients) == ["y0", "y1"]
    np.testing.assert_allclose(frame.gradients, array.gradients)
    pipeline = make_pipeline(StandardScaler(), make(max_epochs=3))
    piped = task_affinity(pipeline, X, Y, sample_weight=np.ones(len(X)))
    np.testing.assert_allclose(piped.lookahead, frame.lookahead, rtol=1e-3)
    assert not hasattr(pipeline[-1], "net_")


class Normed(torch.nn.Module):
    """A trunk with a layer that keeps statistics, and one without use."""

    def __init__(self, n_features):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(n_features)
        self.linear = torch.nn.Linear(n_features, 5)
        self.unused = torch.nn.Linear(2, 2)

    def forward(self, x):
        return torch.tanh(self.linear(self.norm(x)))


def test_a_module_of_the_users(make, table):
    X, Y = table
    trunk = ModuleTrunk(Normed, {"n_features": 4})
    est = make(trunk=trunk, hidden_layer_sizes=(128, 128), max_epochs=3)
    found = task_affinity(est, X, Y)
    np.testing.assert_allclose(np.diag(found.gradients), 1)
    assert np.isfinite(found.lookahead).all(axis=None)
    assert (np.diag(found.lookahead) > 0).all()


def test_a_task_without_a_label_in_the_rows_leaves_the_mean(make, table):
    X, Y = table
    Y = Y.assign(size=np.nan)
    with pytest.warns(UserWarning, match="'size' has no label"):
        found = task_affinity(make(max_epochs=2), X, Y)
    for frame in (found.labels, found.gradients, found.lookahead):
        off = frame.where(~np.eye(4, dtype=bool))
        assert off["size"].isna().all()
        assert off.loc["size"].isna().all()
        rest = [name for name in Y if name != "size"]
        assert frame.loc[rest, rest].notna().all(axis=None)


def found_groups(affinity):
    groups = group_tasks(affinity, 2)
    return {frozenset(name[0] for name in group) for group in groups} == {
        frozenset("a"),
        frozenset("b"),
    }


@pytest.mark.parametrize("setting", [{}, {"sizes": (5, 3)}, {"missing": 0.2}], ids=str)
def test_planted_groups_are_found(make, planted, setting):
    est = make(hidden_layer_sizes=(64, 64), lr=3e-3, max_epochs=60)
    found = [task_affinity(est, *planted(seed, **setting)) for seed in (0, 1, 2)]
    assert all(found_groups(affinity.labels) for affinity in found)
    assert all(found_groups(affinity.gradients) for affinity in found)
    # Look-ahead is noisier; in units of each task's own step it is of use.
    own = [np.diag(affinity.lookahead) for affinity in found]
    assert any(found_groups(a.lookahead / o) for a, o in zip(found, own, strict=True))


def test_errors(make, table):
    X, Y = table
    with pytest.raises(ValueError, match=r"`methods` must name some of .* Found 'gradient'.*mean"):
        task_affinity(make(), X, Y, methods=["gradient"])
    with pytest.raises(ValueError, match=r"`methods` must name some of .* Found none"):
        task_affinity(make(), X, Y, methods=())
    for n_probes in (0, 2.5, True):
        with pytest.raises(ValueError, match="`n_probes` must be a whole number of at least 1"):
            task_affinity(make(), X, Y, n_probes=n_probes)
    with pytest.raises(TypeError, match=r"multi-task estimator of skmtl.*Found StandardScaler"):
        task_affinity(StandardScaler(), X, Y)
    search = GridSearchCV(make(), {"lr": [0.1]})
    with pytest.raises(TypeError, match=r"Found a search, GridSearchCV\. Give its best_estimator_"):
        task_affinity(search, X, Y)
    with pytest.raises(ValueError, match="The tasks share no weight"):
        task_affinity(make(hidden_layer_sizes=(), max_epochs=1), X, Y)


def test_repr():
    frame = pd.DataFrame(np.eye(2))
    text = repr(TaskAffinity(labels=frame, lookahead=frame, epochs=(1, 2)))
    assert text == "TaskAffinity(labels, lookahead of 2 tasks; probed after epochs 1, 2)"
