"""Gradients along a fit: against plain loops, and without a trace in the fit."""

import copy
import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skmtl._strategy import strategies
from skmtl.inspection import TrackGradients
from skmtl.inspection._track import _summary
from skmtl.sharing import Sharing
from skmtl.training import EpochHook
from skmtl.trunks import ResNet, TabM
from skmtl.weighting import Weighting
from tests.inspection.oracle import losses_by_hand

#: Those that need no argument.
WEIGHTINGS = [
    alias
    for alias, weighting in strategies(Weighting).items()
    if all(p.default is not p.empty for p in inspect.signature(weighting).parameters.values())
]
PLAIN = {"early_stopping": False, "preprocess": None, "dtype": "float64"}


def go_on(net):
    """A callback that does nothing."""
    return False


def weights_of(est):
    state = {**est.net_.module_.state_dict(), **est.net_.criterion_.state_dict()}
    return {name: w.clone() for name, w in state.items()}


def assert_same_weights(left, right):
    left, right = weights_of(left), weights_of(right)
    assert left.keys() == right.keys()
    assert all(torch.equal(w, right[name]) for name, w in left.items())


def tracked(est):
    """What was recorded."""
    is_ours = est.history_.columns.str.match("gradient_|conflict_")
    return est.history_.loc[:, is_ours]


# ------------------------------------------------------------------------------------------------
# The numbers
# ------------------------------------------------------------------------------------------------


def shared_of(module):
    return [p for name, p in module.named_parameters() if name.startswith("body.")]


def summary_by_hand(gradients):
    """Norms, conflict rate and mean cosine by loops over pairs."""
    names = list(gradients)
    pairs = [(s, t) for i, s in enumerate(names) for t in names[i + 1 :]]
    found = {f"gradient_norm_{name}": np.linalg.norm(g) for name, g in gradients.items()}
    products = np.array([gradients[s] @ gradients[t] for s, t in pairs])
    lengths = [np.linalg.norm(gradients[s]) * np.linalg.norm(gradients[t]) for s, t in pairs]
    found["conflict_rate"] = np.mean(products < 0)
    found["gradient_cosine"] = np.mean(products / lengths)
    return found


def mean_loss(z, Y, names, name):
    """The loss of a task: the mean over submodels."""
    return torch.stack([losses_by_hand(one, Y, names)[name] for one in z]).mean()


@pytest.mark.parametrize(
    "params",
    [
        *({"sharing": sharing} for sharing in ("hard", "mmoe", "ple", "cross_stitch", "low_rank")),
        {"trunk": TabM((8,), k=3), "hidden_layer_sizes": (128, 128)},
    ],
    ids=str,
)
def test_by_parameters_it_is_a_backward_per_task(make, table, params):
    X, Y = table
    params = {"max_epochs": 2, "normalize_losses": False, **PLAIN, **params}
    est = make(callbacks=[TrackGradients()], **params).fit(X, Y)
    module = copy.deepcopy(est.net_.module_).eval()
    names, gradients = list(est.net_.criterion_.layout.names), {}
    for name in names:
        module.zero_grad()
        mean_loss(module(torch.as_tensor(X)), Y, names, name).backward()
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in shared_of(module)]
        gradients[name] = torch.cat([g.flatten() for g in parts]).numpy()
    assert tracked(est).iloc[-1].to_dict() == pytest.approx(summary_by_hand(gradients))


@pytest.mark.parametrize("heads", [(), (5,)], ids=["plain_heads", "hidden_heads"])
def test_by_the_representation_it_is_a_backward_per_task(make, table, heads):
    X, Y = table
    est = make(
        head_layer_sizes=heads,
        max_epochs=2,
        callbacks=[TrackGradients(wrt="representation")],
        normalize_losses=False,
        **PLAIN,
    ).fit(X, Y)
    module = copy.deepcopy(est.net_.module_).eval()
    h = module.represent(torch.as_tensor(X)).detach().requires_grad_()
    names = list(est.net_.criterion_.layout.names)
    losses = {name: mean_loss(module.heads(h), Y, names, name) for name in names}
    gradients = {name: torch.autograd.grad(loss, h)[0].flatten() for name, loss in losses.items()}
    gradients = {name: gradient.numpy() for name, gradient in gradients.items()}
    assert tracked(est).iloc[-1].to_dict() == pytest.approx(summary_by_hand(gradients))


def test_a_loss_that_is_normalised_has_a_normalised_gradient(make, table):
    X, Y = table
    plain, relative = (
        make(max_epochs=1, lr=1e-9, normalize_losses=flag, callbacks=[TrackGradients()]).fit(X, Y)
        for flag in (False, True)
    )
    for name, null in relative.null_losses_.items():
        key = f"gradient_norm_{name}"
        ratio = plain.history_[key].iloc[0] / relative.history_[key].iloc[0]
        assert ratio == pytest.approx(null, rel=1e-4)


def test_a_summary_by_hand():
    gramian = torch.tensor([[[4.0, -2.0, 0.0], [-2.0, 4.0, 0.0], [0.0, 0.0, 0.0]]])
    both, one = torch.tensor([True, True, False]), torch.tensor([True, False, False])
    assert _summary(gramian, both).tolist() == [2, 2, 0, 1, 1, 0, 1, -0.5]
    # A gradient of zero conflicts with none, and has no cosine.
    assert _summary(gramian, ~torch.zeros(3, dtype=bool)).tolist()[-2:] == pytest.approx(
        [1 / 3, -0.5]
    )
    assert np.isnan(_summary(gramian, one).tolist()[-2:]).all()


def test_opposite_tasks_conflict_and_equal_ones_do_not(make):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    Y = pd.DataFrame({"a": X[:, 0], "b": X[:, 0] + 1e-3 * X[:, 1]})
    est = make(callbacks=[TrackGradients()], sharing="hard", max_epochs=3, n_bins=0).fit(X, Y)
    with torch.no_grad():  # the same head: the same gradient
        weight = est.net_.module_.heads.output.weight
        weight[:, :, 1] = weight[:, :, 0]
    est.set_params(warm_start=True, max_epochs=1, lr=1e-12).fit(X, Y)
    assert est.history_["conflict_rate"].iloc[-1] == 0
    with torch.no_grad():  # the opposite head and nearly the same residuals
        weight = est.net_.module_.heads.output.weight
        weight[:, :, 1] = -weight[:, :, 0]
        weight *= 1e-3
    est.fit(X, Y)
    assert est.history_["conflict_rate"].iloc[-1] == 1
    assert est.history_["gradient_cosine"].iloc[-1] < -0.9


# ------------------------------------------------------------------------------------------------
# No trace in the fit
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"loss_weights": "uncertainty"},
        {"loss_weights": "mgda"},
        {"sharing": "ple"},
        {"sharing": "chain", "loss_weights": "mgda"},
        {"trunk": ResNet(dropout=0.3), "hidden_layer_sizes": (128, 128)},
        {"trunk": "tabm", "hidden_layer_sizes": (8,)},
        {"optimizer": "sgd"},
        {"early_stopping": False},
    ],
    ids=str,
)
def test_the_fit_is_the_same_with_and_without(make, table, params):
    X, Y = table
    params = {"max_epochs": 5, "hidden_layer_sizes": (16, 16), **params}
    state = torch.random.get_rng_state()
    without = make(**params).fit(X, Y)
    with_it = make(**params, callbacks=[TrackGradients(max_rows=50)]).fit(X, Y)
    assert_same_weights(without, with_it)
    assert len(tracked(with_it).columns) == 6
    assert tracked(with_it).notna().all(axis=None)
    rest = with_it.history_.drop(columns=list(tracked(with_it)))
    pd.testing.assert_frame_equal(rest, without.history_)
    assert torch.equal(torch.random.get_rng_state(), state)


class _Listener(Callback):
    def on_batch_end(self, net, **kwargs):
        """Hear of a batch, so that skorch's own loop runs."""


def test_in_skorchs_own_loop(make, table):
    fast = make(max_epochs=3, callbacks=[TrackGradients()]).fit(*table)
    slow = make(max_epochs=3, callbacks=[_Listener(), TrackGradients()]).fit(*table)
    np.testing.assert_allclose(tracked(slow), tracked(fast), rtol=1e-3)


def test_the_fast_loop_stays(make, table):
    est = make(max_epochs=1, callbacks=[TrackGradients()]).fit(*table)
    assert not est.net_._listens_to_batches(True)


def test_one_read_from_the_device_per_epoch(make, table, monkeypatch):
    reads = []
    tolist = torch.Tensor.tolist

    def counted(tensor):
        reads.append(len(tensor))
        return tolist(tensor)

    counts = []
    for callback in (EpochHook(go_on), TrackGradients()):
        with monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "tolist", counted)
            for name in ("item", "__bool__", "__float__", "__int__", "numpy"):
                patch.setattr(torch.Tensor, name, _counting(getattr(torch.Tensor, name), reads))
            make(max_epochs=3, callbacks=[callback], early_stopping=False).fit(*table)
        counts.append(len(reads))
        reads.clear()
    assert counts[1] - counts[0] <= 3 + 1  # one per epoch, and one look at the scheme


def _counting(method, reads):
    def counted(tensor, *args, **kwargs):
        reads.append(method.__name__)
        return method(tensor, *args, **kwargs)

    return counted


@pytest.mark.parametrize("sharing", sorted(set(strategies(Sharing)) - {"independent", "soft"}))
def test_every_scheme_that_shares(make, table, sharing):
    params = {"hidden_layer_sizes": (8, 8), "max_epochs": 1, "sharing": sharing}
    est = make(callbacks=[TrackGradients()], **params).fit(*table)
    assert tracked(est).shape == (1, 6)
    assert (tracked(est).filter(like="norm") > 0).all(axis=None)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_every_weighting(make, table, weighting):
    est = make(max_epochs=2, loss_weights=weighting, callbacks=[TrackGradients()]).fit(*table)
    assert_same_weights(est, clone(est).set_params(callbacks=None).fit(*table))
    assert tracked(est).shape == (2, 6)


# ------------------------------------------------------------------------------------------------
# Rows
# ------------------------------------------------------------------------------------------------


def drawn(est, X, Y):
    """The rows of a fit."""
    seen = []

    class _Seeing(TrackGradients):
        def on_train_end(self, net, X=None, y=None, **kwargs):
            seen.append(self.batch_)

    old = est.callbacks[0]
    clone(est).set_params(callbacks=[_Seeing(**old.get_params())]).fit(X, Y)
    return seen[0]


def test_rows_are_drawn_by_the_seed(make, table):
    X, Y = table
    plain = {"max_epochs": 1, "early_stopping": False, "preprocess": None}
    first, second, other, few = (
        drawn(make(**plain, callbacks=[TrackGradients(n, random_state=seed)]), X, Y)
        for n, seed in ((30, 0), (30, 0), (30, 1), (1000, 0))
    )
    assert torch.equal(first.x, second.x)
    assert not torch.equal(first.x, other.x)
    assert first.x.shape == (30, 4)
    assert len(torch.unique(first.x, dim=0)) == 30
    assert few.x.shape == (120, 4)
    assert sorted(few.targets.n_labelled.tolist()) == sorted(Y.notna().sum())


def test_a_task_without_a_label_in_the_rows_is_left_out(make, table):
    X, Y = table
    Y = Y.assign(size=np.nan)
    with pytest.warns(UserWarning, match="'size' has no label"):
        est = make(max_epochs=2, callbacks=[TrackGradients()]).fit(X, Y)
    assert set(tracked(est)) == {
        *(f"gradient_norm_{name}" for name in ("kind", "price", "sold")),
        "conflict_rate",
        "gradient_cosine",
    }


def test_one_task_has_no_pair(make, table):
    X, Y = table
    est = make(max_epochs=2, callbacks=[TrackGradients()]).fit(X, Y[["price"]])
    assert list(tracked(est)) == ["gradient_norm_price"]


def test_sparse_features(make, table):
    from scipy import sparse

    X, Y = table
    plain = {"max_epochs": 2, "preprocess": None, "callbacks": [TrackGradients(40)]}
    left, right = make(**plain).fit(sparse.csr_array(X), Y), make(**plain).fit(X, Y)
    np.testing.assert_allclose(tracked(left), tracked(right), rtol=1e-4)


# ------------------------------------------------------------------------------------------------
# As a callback
# ------------------------------------------------------------------------------------------------


def test_clone_pickle_and_warm_start(make, table):
    X, Y = table
    est = make(max_epochs=2, callbacks=[TrackGradients(64, random_state=3)], warm_start=True)
    est.fit(X, Y)
    twin = clone(est)
    assert repr(twin.callbacks[0]) == repr(est.callbacks[0])
    assert repr(est.callbacks[0]) == "TrackGradients(max_rows=64, wrt='parameters', random_state=3)"
    assert vars(twin.callbacks[0]).keys() == {"max_rows", "wrt", "random_state"}
    assert not hasattr(est.callbacks[0], "batch_")
    back = pickle.loads(pickle.dumps(est))
    for one in (est, back):
        one.fit(X, Y)
        assert len(one.history_) == 4
        assert tracked(one).notna().all(axis=None)
    pd.testing.assert_frame_equal(tracked(est), tracked(back))


def test_rows_are_no_part_of_a_pickle_in_the_midst_of_a_fit(make, table):
    sizes = []

    def look(net):
        sizes.append(hasattr(pickle.loads(pickle.dumps(tracker)), "batch_"))
        return False

    tracker = TrackGradients()
    make(max_epochs=1, callbacks=[tracker, EpochHook(look)]).fit(*table)
    assert sizes == [False]


def test_by_class_and_by_name_and_in_a_search(make, table):
    X, Y = table
    for callback in (TrackGradients, ("track", TrackGradients())):
        assert len(tracked(make(max_epochs=1, callbacks=[callback]).fit(X, Y))) == 1
    search = GridSearchCV(make(max_epochs=2, callbacks=[TrackGradients()]), {"lr": [0.1]}, cv=2)
    assert len(tracked(search.fit(X, Y).best_estimator_)) == 2


def test_partial_fit(make, table):
    X, Y = table
    est = make(callbacks=[TrackGradients()])
    for _ in range(3):
        est.partial_fit(X, Y)
    assert tracked(est).shape == (3, 6)


@pytest.mark.parametrize("sharing", ["independent", "soft"])
def test_tasks_that_share_nothing(make, table, sharing):
    est = make(sharing=sharing, callbacks=[TrackGradients()])
    match = rf"TrackGradients compares .* with {sharing.capitalize()} .*or fit without this"
    with pytest.raises(ValueError, match=match):
        est.fit(*table)


def test_errors(make, table):
    with pytest.raises(ValueError, match="they share none that is trained"):
        make(hidden_layer_sizes=(), callbacks=[TrackGradients()]).fit(*table)
    with pytest.raises(ValueError, match=r"`wrt='representation'` needs .* Found MMoE"):
        make(sharing="mmoe", callbacks=[TrackGradients(wrt="representation")]).fit(*table)
    with pytest.raises(ValueError, match=r"`wrt` must be one of .* Did you mean 'parameters'"):
        make(callbacks=[TrackGradients(wrt="parameter")]).fit(*table)
    with pytest.raises(ValueError, match="`max_rows` must be a whole number of at least 1"):
        make(callbacks=[TrackGradients(0)]).fit(*table)
    assert make(sharing="mmoe", max_epochs=1, callbacks=[TrackGradients(wrt="auto")]).fit(*table)
