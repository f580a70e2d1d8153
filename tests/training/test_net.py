"""The training loop: equal to a hand-written one, and right in what happens around it."""

import copy
import pickle
import signal
import time

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, GradientNormClipping, LRScheduler
from torch.nn import functional as F

from skmtl import MultiTaskNetClassifierRegressor, MultiTaskNetRegressor
from skmtl.training import DivergedError

EXACT = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture
def table():
    """A mixed table in which a third of the labels is missing."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 5))
    Y = pd.DataFrame(
        {
            "price": X[:, 0] + 0.1 * rng.normal(size=90),
            "sold": np.where(X[:, 1] > 0, "yes", "no"),
            "kind": rng.choice(["a", "b", "c"], 90),
            "size": X[:, 2] * X[:, 3],
        }
    )
    return X, Y.mask(rng.random(Y.shape) < 0.3)


def make(**params):
    defaults = {
        "hidden_layer_sizes": (7, 6),
        "max_epochs": 4,
        "batch_size": 32,
        "dtype": "float64",
        "early_stopping": False,
        "preprocess": None,
        "lr": 1e-3,
        "random_state": 0,
    }
    return MultiTaskNetClassifierRegressor(**{**defaults, **params})


def hand_written(est, X, Y, initial, *, epochs, seed_of_shuffle, loss_weights, lr=1e-3):
    """A plain torch loop over batches, tasks and rows' labels, from the same initial weights."""
    weights = {name: tensor.clone().requires_grad_() for name, tensor in initial.items()}
    keys = list(weights)
    optimizer = torch.optim.AdamW([weights[k] for k in keys], lr=lr, weight_decay=0.0)
    columns = {}
    for task in est.tasks_:
        column = Y[task.name]
        mask = torch.tensor(column.notna().to_numpy())
        if task.has_classes:
            codes = column.map({c: i for i, c in enumerate(task.classes)}).fillna(0).to_numpy()
            columns[task.name] = torch.tensor(codes.astype(int)), mask
        else:
            values = column.to_numpy(dtype=float)
            values = (values - np.nanmean(values)) / np.nanstd(values)
            columns[task.name] = torch.tensor(np.nan_to_num(values)), mask
    layout = est.net_.criterion_.layout
    rows_of = dict(zip(layout.names, _row_slices(layout), strict=True))
    generator = torch.Generator()
    generator.set_state(seed_of_shuffle)
    x_all = torch.tensor(X)
    n_batches = -(-len(X) // est.batch_size)
    for _ in range(epochs):
        order = torch.randperm(len(X), generator=generator)
        for batch in torch.tensor_split(order, n_batches):
            h = x_all[batch]
            for block in (0, 1):
                weight, bias = (
                    weights[f"body.trunk.blocks.{block}.linear.{p}"][0] for p in ("weight", "bias")
                )
                h = torch.relu(h @ weight + bias)
            z = h @ weights["heads.output.weight"][0] + weights["heads.output.bias"][0]
            total = 0.0
            for task in est.tasks_:
                target, mask = columns[task.name]
                target, mask = target[batch], mask[batch]
                if not mask.any():
                    continue
                out = z[:, rows_of[task.name]][mask]
                if task.kind == "regression":
                    loss = F.mse_loss(out[:, 0], target[mask])
                elif task.kind == "binary":
                    loss = F.binary_cross_entropy_with_logits(out[:, 0], target[mask].double())
                else:
                    loss = F.cross_entropy(out, target[mask])
                total = total + loss_weights.get(task.name, 1.0) * loss / null_loss(
                    columns[task.name]
                )
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
    return {name: tensor.detach() for name, tensor in weights.items()}


def null_loss(column):
    """Variance, or entropy of the classes, of the labelled cells."""
    target, mask = column
    labels = target[mask]
    if labels.is_floating_point():
        return labels.var(correction=0)
    shares = labels.bincount().double() / len(labels)
    return -(shares * shares.log()).sum()


def _row_slices(layout):
    for group in layout.groups:
        for i in range(group.n_tasks):
            start = group.rows.start + i * group.width
            yield slice(start, start + group.width)


class Record(Callback):
    """Keeps the weights and the shuffling state from before the first step."""

    def on_train_begin(self, net, **kwargs):
        self.weights = {n: p.detach().clone() for n, p in net.module_.named_parameters()}
        self.state = net.generator.get_state().clone()


@pytest.mark.parametrize("loss_weights", [{}, {"price": 2.0, "kind": 0.25}])
def test_shared_net_equals_a_hand_written_loop(table, loss_weights):
    X, Y = table
    record = Record()
    est = make(callbacks=[record], loss_weights=loss_weights or None, normalize_losses=True).fit(
        X, Y
    )
    start = {"seed_of_shuffle": record.state, "loss_weights": loss_weights}
    expected = hand_written(est, X, Y, record.weights, epochs=4, **start)
    for name, parameter in est.net_.module_.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name], **EXACT)


def test_default_optimiser_takes_the_same_steps_as_torch_optim(table):
    X, Y = table
    ours = make(weight_decay=0.1).fit(X, Y)
    torchs = make(weight_decay=0.1, callbacks=[Record()]).fit(X, Y)
    assert type(ours.net_.optimizer_) is not type(torchs.net_.optimizer_)
    pairs = zip(ours.net_.module_.parameters(), torchs.net_.module_.parameters(), strict=True)
    for left, right in pairs:
        torch.testing.assert_close(left, right, **EXACT)


class StartFrom(Callback):
    """Starts from given weights."""

    def __init__(self, weights):
        self.weights = weights

    def on_train_begin(self, net, **kwargs):
        net.module_.load_state_dict(self.weights)


def part_of(weights, position, rows):
    """Cut one task's weights out of those of independent nets."""
    return {
        key: value[..., rows] if key.startswith("heads") else value[position : position + 1]
        for key, value in weights.items()
    }


def test_independent_equals_separately_fitted_nets(table):
    X, Y = table
    Y = Y.assign(sold=np.where(X[:, 1] > 0, "yes", "no"), price=X[:, 0], kind="a", size=X[:, 3])
    Y.loc[::3, "kind"] = "b"
    Y.loc[1::3, "kind"] = "c"
    record = Record()
    together = make(sharing="independent", callbacks=[record]).fit(X, Y)
    layout = together.net_.criterion_.layout
    for position, (name, rows) in enumerate(zip(layout.names, _row_slices(layout), strict=True)):
        start = StartFrom(part_of(record.weights, position, rows))
        alone = make(callbacks=[start]).fit(X, Y[[name]])
        ours = [output for output in together.predict_outputs(X) if output.task.name == name]
        np.testing.assert_allclose(ours[0].values, alone.predict_outputs(X)[0].values, **EXACT)


def test_one_epoch_by_hand():
    """One row, one weight, one step of plain gradient descent."""
    X, y = np.array([[2.0], [2.0]]), np.array([1.0, 3.0])  # standardised: -1 and 1
    record = Record()
    est = MultiTaskNetRegressor(
        hidden_layer_sizes=(), batch_size=-1, max_epochs=1, optimizer="sgd", lr=0.1,
        dtype="float64", preprocess=None, early_stopping=False, callbacks=[record], random_state=0,
    ).fit(X, y)  # fmt: skip
    w, b = (record.weights[f"heads.output.{name}"].item() for name in ("weight", "bias"))
    # mean of (2 w + b + 1)^2 and (2 w + b - 1)^2; its derivative by z is 2 z
    z = 2 * w + b
    assert est.net_.module_.heads.output.weight.item() == pytest.approx(w - 0.1 * 2 * z * 2)
    assert est.net_.module_.heads.output.bias.item() == pytest.approx(b - 0.1 * 2 * z)
    assert est.history_.loc[1, "train_loss"] == pytest.approx(((z + 1) ** 2 + (z - 1) ** 2) / 2)


class Clip(Callback):
    """A batch-level callback that changes nothing."""

    def __init__(self):
        self.batches = 0

    def on_batch_end(self, net, **kwargs):
        self.batches += 1


def test_a_batch_level_callback_gets_skorchs_loop_and_the_same_result(table):
    X, Y = table
    listener = Clip()
    fast, slow = make().fit(X, Y), make(callbacks=[listener]).fit(X, Y)
    heard = slow.net_.callbacks_[0][1].batches
    assert heard == 4 * 3
    for left, right in zip(
        fast.net_.module_.parameters(), slow.net_.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(left, right, **EXACT)
    columns = [c for c in fast.history_ if c in slow.history_]
    assert "train_loss_price" in columns
    pd.testing.assert_frame_equal(fast.history_[columns], slow.history_[columns], rtol=1e-9)


def test_gradient_clipping_of_skorch_takes_part(table):
    X, Y = table
    plain, clipped = (
        make().fit(X, Y),
        make(callbacks=[GradientNormClipping(1e-3)], optimizer="sgd").fit(X, Y),
    )
    free = make(optimizer="sgd").fit(X, Y)
    first = [next(est.net_.module_.parameters()) for est in (clipped, free)]
    assert not torch.allclose(*first)
    assert plain.n_iter_ == clipped.n_iter_


def test_learning_rate_schedule_of_skorch(table):
    X, Y = table
    schedule = LRScheduler(torch.optim.lr_scheduler.ExponentialLR, gamma=0.5)
    est = make(callbacks=[("lr", schedule)]).fit(X, Y)
    assert est.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(1e-3 * 0.5**4)


def test_history_has_a_loss_per_task_and_epoch(table):
    X, Y = table
    history = make().fit(X, Y, X_val=X, y_val=Y).history_
    assert list(history.index) == [1, 2, 3, 4]
    for task in Y:
        assert {f"train_loss_{task}", f"valid_loss_{task}"} <= set(history)
    mean = history[[f"train_loss_{task}" for task in Y]].sum(axis=1)
    np.testing.assert_allclose(history["train_loss"], mean)


def test_valid_score_is_the_mean_skill(table):
    X, Y = table
    est = make(max_epochs=1, lr=1e-12).fit(X, Y, X_val=X[:40], y_val=Y[:40])
    # The null model is the mean of the training rows, judged there.
    skills = []
    for task, output in zip(est.tasks_, est.predict_outputs(X[:40]), strict=True):
        column, whole = Y[task.name][:40], Y[task.name].dropna()
        keep = column.notna().to_numpy()
        if task.kind == "regression":
            loss = np.mean((output.values[keep, 0] - column[keep]) ** 2)
            null = whole.astype(float).var(ddof=0)
        else:
            codes = [task.classes.index(label) for label in column[keep]]
            shares = np.array([(whole == c).mean() for c in task.classes])
            loss = -np.mean(np.log(output.values[keep][np.arange(len(codes)), codes]))
            null = -np.sum(shares * np.log(shares))
        skills.append(1 - loss / null)
    assert est.history_["valid_score"].iloc[0] == pytest.approx(np.mean(skills), rel=1e-6)


def test_early_stopping_keeps_the_best_weights():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 20))
    y = X[:, 0] + rng.normal(size=60)
    X_val = rng.normal(size=(200, 20))
    y_val = X_val[:, 0] + rng.normal(size=200)
    est = MultiTaskNetRegressor(max_epochs=300, lr=1e-2, n_iter_no_change=15, random_state=0)
    est.fit(X, y, X_val=X_val, y_val=y_val)
    scores = est.history_["valid_score"]
    assert est.n_iter_ < 300
    assert est.best_epoch_ == scores.idxmax() < est.n_iter_
    kept = np.mean((est.predict(X_val) - y_val) ** 2) / np.var(y)
    assert 1 - kept == pytest.approx(scores.max(), abs=1e-4)


def test_a_loss_that_is_not_finite_names_the_task_and_leaves_nothing_behind(table):
    X, Y = table
    est = make(optimizer="sgd", lr=1e30)
    with pytest.raises(DivergedError, match=r"loss of task 'price'.*Lower `lr`"):
        est.fit(X, Y[["price"]])
    assert not hasattr(est, "tasks_")
    assert not hasattr(est, "n_features_in_")


class Explode(Callback):
    """Sets a weight to infinity in the third epoch."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            with torch.no_grad():
                next(net.module_.parameters()).fill_(np.inf)


def test_divergence_with_early_stopping_keeps_the_last_good_weights(table):
    X, Y = table
    est = make(early_stopping=True, callbacks=[Explode()])
    with pytest.raises(DivergedError, match=r"holds the best weights, of epoch [12]\."):
        est.fit(X, Y)
    assert np.isfinite(est.predict(X)["price"]).all()
    assert est.best_epoch_ in {1, 2}


class Interrupt(Callback):
    """Sends the process a Ctrl-C in the second epoch."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            signal.raise_signal(signal.SIGINT)
            end = time.monotonic() + 10
            while time.monotonic() < end:  # Python handles the signal between instructions
                pass


@pytest.fixture
def _ctrl_c():
    """Handle Ctrl-C as Python does, whatever the process that runs the tests has chosen."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_ends_everything_and_keeps_the_former_fit(table):
    X, Y = table
    est = make().fit(X, Y)
    before = est.predict_outputs(X)[0].values
    est.set_params(callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        est.fit(X, Y)
    np.testing.assert_array_equal(est.predict_outputs(X)[0].values, before)


def test_early_stopping_of_skorch_ends_one_fit_only(table):
    X, Y = table
    stopper = EarlyStopping(
        monitor="train_loss_price", patience=1, threshold=10.0, sink=lambda *_: None
    )
    est = make(max_epochs=50, callbacks=[stopper]).fit(X, Y)
    assert est.n_iter_ < 10


def test_warm_start_goes_on_where_the_fit_ended(table):
    X, Y = table
    once = make(max_epochs=6).fit(X, Y)
    twice = make(max_epochs=3, warm_start=True).fit(X, Y)
    assert twice.fit(X, Y).n_iter_ == 6
    np.testing.assert_allclose(
        once.predict_outputs(X)[0].values, twice.predict_outputs(X)[0].values, **EXACT
    )


def test_pickle_and_deepcopy_keep_predictions_and_the_way_on(table):
    X, Y = table
    est = make(warm_start=True, dropout=0.2).fit(X, Y)
    for other in (pickle.loads(pickle.dumps(est)), copy.deepcopy(est)):
        np.testing.assert_array_equal(
            est.predict_outputs(X)[0].values, other.predict_outputs(X)[0].values
        )
        on, other_on = copy.deepcopy(est).fit(X, Y), other.fit(X, Y)
        np.testing.assert_array_equal(
            on.predict_outputs(X)[0].values, other_on.predict_outputs(X)[0].values
        )


def test_learning_needs_no_global_generator(table):
    X, Y = table
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    make(dropout=0.3, early_stopping=True, trunk="mlp").fit(X, Y)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.cuda
def test_cuda_fit_unpickles_on_the_cpu_and_agrees(table):
    X, Y = table
    gpu, cpu = make(device="cuda").fit(X, Y), make(device="cpu").fit(X, Y)
    np.testing.assert_allclose(
        gpu.predict_outputs(X)[0].values, cpu.predict_outputs(X)[0].values, rtol=1e-6
    )
    torch.cuda.is_available = lambda: False
    try:
        moved = pickle.loads(pickle.dumps(gpu))
    finally:
        del torch.cuda.is_available
    assert next(moved.net_.module_.parameters()).device.type == "cpu"


def test_one_odd_validation_label_does_not_decide(table):
    """A rare task whose only validation label lies at the mean must not end the fit."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    Y = pd.DataFrame({"a": X[:, 0] + 0.1 * rng.normal(size=300), "rare": X[:, 1]})
    Y_val = Y[:100].copy()
    Y_val["rare"] = np.nan
    Y_val.loc[0, "rare"] = Y["rare"].mean() + 1e-3
    est = make(dtype="float32", max_epochs=100, lr=0.01, early_stopping=True)
    est.fit(X, Y, X_val=X[:100], y_val=Y_val)
    assert est.history_["valid_score"].min() > -2
    assert est.best_epoch_ > 5


def test_validation_rows_that_judge_nothing_are_an_error(table):
    X, Y = table
    est = make(early_stopping=True, loss_weights={"price": 0.0})
    with pytest.raises(ValueError, match="finds no task to judge by"):
        est.fit(
            X, Y[["price", "sold"]], X_val=X[:5], y_val=Y[["price", "sold"]][:5].assign(sold=None)
        )


class Overflow(Callback):
    """Sets a weight to infinity after the last loss has been read."""

    def on_epoch_end(self, net, **kwargs):
        with torch.no_grad():
            next(net.module_.parameters()).fill_(np.inf)


def test_the_weights_after_the_last_step_are_looked_at():
    X = np.random.default_rng(0).normal(size=(20, 3))
    est = make(max_epochs=1, callbacks=[Overflow()])
    with pytest.raises(DivergedError, match="in the last step"):
        est.fit(X, X[:, 0])
    assert not hasattr(est, "net_")


class Count(Callback):
    """Counts epochs."""

    def initialize(self):
        self.epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.epochs += 1


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")  # of tasks that few rows do not tell
def test_callbacks_of_the_user_see_the_last_epoch(table):
    X, Y = table
    est = make(
        early_stopping=True, max_epochs=300, n_iter_no_change=2, lr=0.05, callbacks=[Count()]
    )
    est.fit(X, Y)
    assert est.n_iter_ < 300
    assert est.net_.callbacks_[0][1].epochs == est.n_iter_


def test_checkpoint_of_skorch_finds_its_monitor(table, tmp_path):
    X, Y = table
    est = make(callbacks=[Checkpoint(dirname=tmp_path)]).fit(X, Y, X_val=X, y_val=Y)
    assert (tmp_path / "params.pt").exists()
    best = est.net_.history[:, "valid_loss_best"]
    losses = est.net_.history[:, "valid_loss"]
    assert best == [all(loss < other for other in losses[:i]) for i, loss in enumerate(losses)]


def test_a_schedule_by_epochs_keeps_the_fast_loop(table):
    X, Y = table
    schedule = LRScheduler(torch.optim.lr_scheduler.ExponentialLR, gamma=0.5)
    net = make(callbacks=[schedule]).fit(X, Y).net_
    assert not net._listens_to_batches(training=True)


@pytest.mark.parametrize("optimizer", ["adamw", torch.optim.AdamW])
def test_no_decay_unless_asked(optimizer):
    est = make(optimizer=optimizer, callbacks=[Record()])
    X = np.random.default_rng(0).normal(size=(20, 3))
    assert est.fit(X, X[:, 0]).net_.optimizer_.param_groups[0]["weight_decay"] == 0


def test_weight_decay_without_effect_is_an_error():
    X = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(ValueError, match=r"`weight_decay = 0\.1` has no effect with LBFGS"):
        make(optimizer=torch.optim.LBFGS, weight_decay=0.1).fit(X, X[:, 0])


def test_ctrl_c_through_a_handler_of_the_users_ends_everything(table):
    X, Y = table

    def handler(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            make(callbacks=[Interrupt()]).fit(X, Y)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")  # of tasks that few rows do not tell
def test_independent_nets_stop_as_separate_fits_do():
    """Same rows, same batches: each task ends with the weights of its own best epoch."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 6))
    noise = rng.normal(size=(120, 3))
    Y = pd.DataFrame(
        {
            "easy": X[:, 0] + 0.1 * noise[:, 0],
            "hard": X[:, 1] + 2 * noise[:, 1],
            "word": np.where(X[:, 2] + noise[:, 2] > 0, "a", "b"),
        }
    )
    X_val, Y_val, X, Y = X[80:], Y[80:], X[:80], Y[:80]
    params = {"lr": 0.02, "max_epochs": 150, "n_iter_no_change": 5, "early_stopping": True}
    record = Record()
    together = make(sharing="independent", callbacks=[record], **params)
    together.fit(X, Y, X_val=X_val, y_val=Y_val)
    layout = together.net_.criterion_.layout
    epochs = []
    for position, (name, rows) in enumerate(zip(layout.names, _row_slices(layout), strict=True)):
        start = StartFrom(part_of(record.weights, position, rows))
        alone = make(callbacks=[start], **params)
        alone.fit(X, Y[[name]], X_val=X_val, y_val=Y_val[[name]])
        epochs.append(alone.best_epoch_)
        ours = [output for output in together.predict_outputs(X) if output.task.name == name]
        np.testing.assert_allclose(ours[0].values, alone.predict_outputs(X)[0].values, **EXACT)
    assert len(set(epochs)) > 1
    assert together.best_epoch_ == max(epochs)
    np.testing.assert_array_equal(together.net_.stopping_.best_epochs_, epochs)


def test_a_task_that_is_not_judged_keeps_its_last_weights(table):
    X, Y = table
    fit = {"X_val": X[:30], "y_val": Y[:30].assign(size=np.nan)}
    stopping = {"early_stopping": True, "ema_decay": 0.0}
    est = make(sharing="independent", max_epochs=3, **stopping).fit(X, Y, **fit)
    free = make(sharing="independent", early_stopping=False, max_epochs=3).fit(X, Y, **fit)
    names = [task.name for task in est.tasks_]
    left, right = (e.predict_outputs(X)[names.index("size")].values for e in (est, free))
    np.testing.assert_array_equal(left, right)


def test_the_engine_is_told():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(40, 3)), random.normal(size=40)
    engines = {
        "written": [{}, {"sharing": "independent"}],
        "autograd": [{"dropout": 0.1}, {"sharing": "mmoe"}],
        "skorch": [{"callbacks": [GradientNormClipping(1.0)]}],
    }
    for engine, params in [(e, params) for e, listed in engines.items() for params in listed]:
        est = MultiTaskNetRegressor(max_epochs=1, n_members=1, **params)
        with pytest.raises(AttributeError, match="not fitted"):
            _ = est.engine_
        assert est.fit(X, y).engine_ == engine
    lbfgs = MultiTaskNetRegressor(max_epochs=1, n_members=1, optimizer=torch.optim.LBFGS)
    assert lbfgs.fit(X, y).engine_ == "skorch"
