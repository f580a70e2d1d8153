import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import ClassifierChain, RegressorChain
from skorch.callbacks import Callback
from torch.nn import functional as F

from skmtl import (
    MultiTaskNetClassifier,
    MultiTaskNetClassifierRegressor,
    MultiTaskNetRegressor,
)
from skmtl.heads import HeadSpec, Layout
from skmtl.layers import Inputs, Seeds
from skmtl.sharing import Chain, Hard
from skmtl.sharing._chain import _adjacency
from skmtl.training import BatchIterator, NetworkSpec, Objective
from skmtl.trunks import MLP
from skmtl.weighting import Fixed
from tests.oracle import Table, loop_losses, new_seeds, rows_of, tasks_of
from tests.sharing.oracle import (
    TRUNKS,
    assert_tight,
    body_of,
    each_trunk,
    one_and_two_members,
    rows_for,
    trunk_by_hand,
)

#: A chain through all kinds, not in the order of the network.
SPECS = (
    HeadSpec("price", "regression", 1, 0),
    HeadSpec("sold", "binary", 1, 2),
    HeadSpec("colour", "multiclass", 1, 4),
    HeadSpec("box", "regression", 3, 0),
)
ORDER = ["price", "sold", "colour", "box"]
ORDERS = {
    "list": ORDER,
    "backwards": ORDER[::-1],
    "some": ["box", "sold"],
    "mapping": {"box": ["price", "colour"], "sold": ["box"], "colour": []},
}
each_order = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)


def read_by_task(order):
    """The names that each task reads."""
    if isinstance(order, dict):
        return {name: order.get(name, []) for name in ORDER}
    return {name: order[: order.index(name)] if name in order else [] for name in ORDER}


def network_of(scheme, trunk="mlp", n_members=1, specs=SPECS):
    """A network whose parameters are all away from where they start."""
    trunk, shape = TRUNKS[trunk]
    seeds = Seeds.spawn(np.random.RandomState(0))
    spec = NetworkSpec(scheme, trunk, (), "identity")
    network = spec.build(Inputs(shape), Layout.of(specs), seeds, n_members).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def said(kind, z):
    """What a task passes on: a number, or the probabilities of its classes."""
    if kind == "regression":
        return z
    return torch.sigmoid(z) if kind == "binary" else torch.softmax(z, dim=0)


def heads_by_hand(network, x):
    """Outputs before any link, shape (member and submodel, output row, sample)."""
    k = network.n_submodels
    weight, bias = network.heads.output.weight, network.heads.output.bias
    outputs = []
    for m in range(len(weight) // k):
        h = trunk_by_hand(network.body.trunk.blocks, m, torch.cat([x] * k))
        for i, part in enumerate(h.chunk(k)):
            outputs.append(F.linear(part, weight[m * k + i].T, bias[m * k + i, 0]).T)
    return torch.stack(outputs)


def outputs_by_hand(network, x, order, labels=None):
    """``z_t + sum_s V_st o_s``, task by task and row by row.

    labels: name -> (rows, sample), NaN where there is none; None: own predictions everywhere.
    """
    layout, reads = network.heads.layout, read_by_task(order)
    kinds = {spec.name: spec.kind for spec in SPECS}
    rows = {name: rows_of(layout, name) for name in ORDER}
    own = heads_by_hand(network, x)
    members = []
    for m, z in enumerate(own):
        links = network.body.by_row[m] if hasattr(network.body, "by_row") else None
        spoken, outputs = {}, {}
        while len(outputs) < len(ORDER):
            name = next(
                name
                for name in ORDER
                if name not in outputs and all(other in outputs for other in reads[name])
            )
            total = []
            for row in rows[name]:
                value = z[row]
                for other in reads[name]:
                    for i, source in enumerate(rows[other]):
                        value = value + links[source, row] * spoken[other][i]
                total.append(value)
            outputs[name] = torch.stack(total)
            passed = said(kinds[name], outputs[name])
            if labels is not None:
                passed = torch.where(labels[name].isnan(), passed.detach(), labels[name])
            spoken[name] = passed
        by_row = torch.empty_like(z)
        for name in ORDER:
            by_row[rows[name]] = outputs[name]
        members.append(by_row)
    return torch.stack(members)


def labels_of(table):
    """Labels as tasks pass them on, NaN where one is missing."""
    found = {}
    for spec in table.specs:
        y = torch.as_tensor(table.values[:, table.columns(spec.name)])
        missing = torch.as_tensor(table.weights[:, table.columns(spec.name)] == 0)
        if spec.kind == "multiclass":
            one_hot = F.one_hot(y[:, 0].long(), spec.n_classes).double()
            y, missing = one_hot, missing.expand_as(one_hot)
        found[spec.name] = y.masked_fill(missing, torch.nan).T
    return found


# ------------------------------------------------------------------------------------------------
# Formulas
# ------------------------------------------------------------------------------------------------


@each_trunk
@one_and_two_members
@each_order
def test_outputs_of_earlier_tasks_are_added(trunk, n_members, order):
    network = network_of(Chain(order), trunk, n_members).eval()
    x = rows_for(trunk)
    assert_tight(network(x), outputs_by_hand(network, x, order))


@one_and_two_members
@each_order
@pytest.mark.parametrize("trunk", ["mlp", "tabm"])
@pytest.mark.parametrize("missing", [0.0, 0.4, 1.0])
def test_teacher_forcing_reads_labels_and_where_there_is_none_the_prediction(
    n_members, order, trunk, missing
):
    network = network_of(Chain(order), trunk, n_members).train()
    layout = network.heads.layout
    table = Table.made(SPECS, n=12, n_features=4, missing=missing)
    batch = next(iter(BatchIterator(table.pack(layout), 12)))
    z = network(batch.x, batch.targets)
    expected = outputs_by_hand(network, batch.x, order, labels_of(table))
    assert_tight(z, expected)

    objective = Objective(layout, Fixed(None).build(layout, len(z), new_seeds())).double()
    parameters = list(network.parameters())
    losses = objective.task_losses(z, batch.targets)
    ours = torch.autograd.grad(losses.sum(), parameters)
    by_loop = loop_losses(table, layout, expected)
    assert_tight(losses, by_loop)
    theirs = torch.autograd.grad(by_loop.sum(), parameters)
    for left, right in zip(ours, theirs, strict=True):
        assert_tight(left, right)


def test_no_gradient_goes_through_a_prediction_in_place_of_a_label():
    network = network_of(Chain(["price", "sold"])).train()
    layout = network.heads.layout
    table = Table.made(SPECS, n=8, n_features=4, missing=0.0).without_labels_of("price")
    batch = next(iter(BatchIterator(table.pack(layout), 8)))
    (row,) = rows_of(layout, "sold")
    network(batch.x, batch.targets)[0, row].sum().backward()
    (source,) = rows_of(layout, "price")
    assert not network.heads.output.weight.grad[0, :, source].any()
    assert network.body.by_row.grad[0, source, row] != 0


@one_and_two_members
@each_order
def test_without_teacher_forcing_gradients_flow_through_predictions(n_members, order):
    network = network_of(Chain(order, teacher_forcing=False), n_members=n_members).train()
    layout = network.heads.layout
    table = Table.made(SPECS, n=8, n_features=4)
    batch = next(iter(BatchIterator(table.pack(layout), 8)))
    z = network(batch.x, batch.targets)
    expected = outputs_by_hand(network, batch.x, order)
    assert_tight(z, expected)
    factors = torch.randn_like(z)
    parameters = list(network.parameters())
    ours = torch.autograd.grad((factors * z).sum(), parameters)
    theirs = torch.autograd.grad((factors * expected).sum(), parameters)
    for left, right in zip(ours, theirs, strict=True):
        assert_tight(left, right)


def test_predictions_read_no_label():
    network = network_of(Chain(ORDER)).eval()
    table = Table.made(SPECS, n=8, n_features=4, missing=0.0)
    batch = next(iter(BatchIterator(table.pack(network.heads.layout), 8)))
    assert torch.equal(network(batch.x, batch.targets), network(batch.x))


@each_trunk
@one_and_two_members
@each_order
def test_features_of_earlier_tasks_are_added(trunk, n_members, order):
    """``u_t = h + P_t mean_s silu(u_s)`` over the tasks that t reads."""
    network = network_of(Chain(order, passes="features"), trunk, n_members)
    body, names, reads = network.body, network.heads.layout.names, read_by_task(order)
    x = rows_for(trunk)
    out = body(x)
    for m in range(n_members):
        h, u = trunk_by_hand(body.trunk.blocks, m, x), {}
        while len(u) < len(ORDER):
            name = next(n for n in ORDER if n not in u and all(s in u for s in reads[n]))
            u[name] = h
            if reads[name]:
                mean = sum(F.silu(u[other]) for other in reads[name]) / len(reads[name])
                u[name] = h + mean @ body.passed[m, names.index(name)]
        for t, name in enumerate(names):
            assert_tight(out[m, t], u[name])


@each_trunk
@one_and_two_members
@pytest.mark.parametrize("passes", ["outputs", "features"])
@pytest.mark.parametrize("order", [["a"], [], {"a": [], "b": ()}, {}], ids=repr)
def test_without_an_edge_it_is_hard_sharing(trunk, n_members, passes, order):
    ours = body_of(Chain(order, passes), trunk, n_members=n_members, moved=False)
    theirs = body_of(Hard(), trunk, n_members=n_members, moved=False)
    x = rows_for(trunk)
    assert torch.equal(ours(x), theirs(x))
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))


def test_a_mapping_may_name_a_single_task():
    specs = [HeadSpec(name, "regression", 1, 0) for name in ("price", "size")]
    network = network_of(Chain({"price": "size"}), specs=specs)
    assert network.body.is_read.tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize("passes", ["outputs", "features"])
def test_it_starts_as_hard_sharing(passes):
    ours = body_of(Chain(["c", "a", "b"], passes), moved=False)
    theirs = body_of(Hard(), moved=False)
    x = rows_for()
    assert_tight(ours(x), theirs(x).expand_as(ours(x)))
    extra = {name: p for name, p in ours.named_parameters() if not name.startswith("trunk.")}
    assert extra
    assert not any(p.any() for p in extra.values())


# ------------------------------------------------------------------------------------------------
# Chains of scikit-learn
# ------------------------------------------------------------------------------------------------

TO_THE_END = {
    "hidden_layer_sizes": (),
    "optimizer": torch.optim.LBFGS,
    "net_params": {
        "optimizer__max_iter": 300,
        "optimizer__line_search_fn": "strong_wolfe",
        "optimizer__tolerance_grad": 1e-9,
        "optimizer__tolerance_change": 1e-14,
    },
    "lr": 1.0,
    "batch_size": -1,
    "max_epochs": 2,
    "dtype": "float64",
    "preprocess": None,
    "early_stopping": False,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def data():
    """Numbers and two-class labels that depend on one another."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    size = X @ [1.0, 2.0, 0.0] + rng.normal(size=150)
    rooms = size * 0.5 + X[:, 2] + rng.normal(size=150)
    price = size - 2 * rooms + 5 + rng.normal(size=150)
    numbers = pd.DataFrame({"price": price, "size": size, "rooms": rooms})
    old = rng.logistic(size=150) < X[:, 0] - 0.5
    sold = rng.logistic(size=150) < 3 * old - 1.5 + X[:, 1]
    paid = rng.logistic(size=150) < 2.0 * sold - 2.0 * old + X[:, 2]
    classes = pd.DataFrame({"paid": paid, "old": old, "sold": sold}).astype(int)
    return X, numbers, classes


def test_linear_numbers_are_the_regressor_chain(data):
    X, Y, _ = data
    order = ["size", "rooms", "price"]
    chain = RegressorChain(LinearRegression(), order=[list(Y).index(n) for n in order]).fit(X, Y)
    est = MultiTaskNetRegressor(sharing=Chain(order), **TO_THE_END).fit(X, Y)
    np.testing.assert_allclose(est.predict(X), chain.predict(X), rtol=0, atol=1e-5)
    # Predictions of least squares are the same without a chain; the links are not.
    body, names = est.net_.module_.body, est.net_.module_.heads.layout.names
    scale = Y.std(ddof=0)
    for position, model in enumerate(chain.estimators_):
        for other, slope in zip(order[:position], model.coef_[3:], strict=True):
            task = order[position]
            link = body.by_row[0, names.index(other), names.index(task)].item()
            assert link * scale[task] / scale[other] == pytest.approx(slope, abs=1e-4)


def test_linear_classes_are_the_classifier_chain(data):
    X, _, Y = data
    order = ["old", "sold", "paid"]
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    chain = ClassifierChain(
        model, order=[list(Y).index(n) for n in order], chain_method="predict_proba"
    ).fit(X, Y)
    est = MultiTaskNetClassifier(sharing=Chain(order), **TO_THE_END).fit(X, Y)
    expected = chain.predict_proba(X)
    found = np.column_stack([proba[:, 1] for proba in est.predict_proba(X)])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    alone = MultiTaskNetClassifier(sharing="hard", **TO_THE_END).fit(X, Y)
    apart = np.column_stack([proba[:, 1] for proba in alone.predict_proba(X)])
    assert abs(apart - expected).max() > 0.02


def test_a_mapping_is_a_graph_of_linear_models(data):
    """A number and a class that a third reads, but not one another."""
    X, numbers, classes = data
    Y = pd.DataFrame({"paid": classes["paid"], "size": numbers["size"], "old": classes["old"]})
    sharing = Chain({"paid": ["size", "old"]})
    est = MultiTaskNetClassifierRegressor(sharing=sharing, **TO_THE_END).fit(X, Y)
    size = LinearRegression().fit(X, Y["size"])
    logistic = {"C": np.inf, "tol": 1e-10, "max_iter": 1000}
    old = LogisticRegression(**logistic).fit(X, Y["old"])
    scaled = Y["size"] / Y["size"].std(ddof=0)
    paid = LogisticRegression(**logistic).fit(np.column_stack([X, scaled, Y["old"]]), Y["paid"])
    said = size.predict(X) / Y["size"].std(ddof=0), old.predict_proba(X)[:, 1]
    expected = paid.predict_proba(np.column_stack([X, *said]))
    proba = est.predict_proba(X)
    np.testing.assert_allclose(proba["old"], old.predict_proba(X), rtol=0, atol=1e-5)
    np.testing.assert_allclose(proba["paid"], expected, rtol=0, atol=1e-5)


def test_a_chain_with_missing_labels_learns_from_the_labelled_rows(data):
    X, Y, _ = data
    missing = Y.copy()
    missing.loc[:40, "size"] = np.nan
    est = MultiTaskNetRegressor(sharing=Chain(["size", "price"]), **TO_THE_END).fit(X, missing)
    expected = LinearRegression().fit(X[41:], Y["size"][41:]).predict(X)
    # What stands for a label is held fast: the line search gets no gradient of its loss.
    np.testing.assert_allclose(est.predict(X)["size"], expected, rtol=0, atol=1e-3)


# ------------------------------------------------------------------------------------------------
# In the estimator
# ------------------------------------------------------------------------------------------------


class Listener(Callback):
    """A batch-level callback that changes nothing."""

    def __init__(self):
        self.batches = 0

    def on_batch_end(self, net, **kwargs):
        self.batches += 1


@pytest.fixture
def mixed(data):
    X, numbers, classes = data
    kind = np.digitize(numbers["rooms"], [-1, 1])
    Y = pd.DataFrame({"price": numbers["price"], "old": classes["old"], "kind": kind})
    return X, Y.mask(np.random.default_rng(1).random(Y.shape) < 0.2)


@pytest.mark.parametrize("teacher_forcing", [True, False])
@pytest.mark.parametrize("whole", [True, False], ids=["complete", "missing"])
def test_skorchs_own_loop_trains_the_same(mixed, teacher_forcing, whole):
    X, Y = mixed
    if whole:
        X, Y = X[Y.notna().all(axis=1)], Y.dropna()
    listener = Listener()

    def fit(callbacks):
        return MultiTaskNetClassifierRegressor(
            {"kind": "multiclass"},
            sharing=Chain(["kind", "price", "old"], teacher_forcing=teacher_forcing),
            hidden_layer_sizes=(5,), max_epochs=5, lr=0.02, dtype="float64", random_state=0,
            early_stopping=False, callbacks=callbacks,
        ).fit(X, Y)  # fmt: skip

    fast, slow = fit(None), fit([listener])
    assert slow.net_.callbacks_[0][1].batches > 5
    for left, right in zip(
        fast.net_.module_.parameters(), slow.net_.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-10)
    assert fast.net_.module_.body.by_row.any()


def test_auto_starts_with_the_task_of_most_labels(mixed):
    X, Y = mixed
    Y = Y.copy()
    Y.loc[:100, "price"] = np.nan
    Y.loc[:50, "old"] = np.nan
    est = MultiTaskNetClassifierRegressor(
        {"kind": "multiclass"}, sharing="chain", max_epochs=1, early_stopping=False
    ).fit(X, Y)
    assert est.sharing_.order == ["kind", "old", "price"]
    assert est.sharing == "chain"


def test_auto_keeps_the_order_of_columns_where_labels_are_as_many():
    specs = [HeadSpec(name, "regression", n, 0) for name, n in (("b", 1), ("a", 2), ("c", 1))]
    mask = np.ones((5, 4), dtype=bool)
    scheme = Chain().adapt(np.zeros((5, 4)), mask, tasks_of(specs))
    assert scheme.order == ["b", "a", "c"]


# ------------------------------------------------------------------------------------------------
# Errors
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"order": {"a": ["b"], "b": ["c"], "c": ["a"]}}, r"circle. Tasks \['a', 'b', 'c'\] wait"),
        ({"order": {"b": ["c"], "c": ["b"]}}, r"circle. Tasks \['b', 'c'\] wait"),
        ({"order": {"b": ["b"]}}, r"circle. Tasks \['b'\] wait"),
        ({"order": ["a", "b", "a"]}, "each task once. Found 'a' twice"),
        ({"order": ["price"]}, r"names 'price', which is no task. The tasks are \['a', 'b', 'c'\]"),
        ({"order": "auto"}, "chosen in `fit`"),
        ({"order": ["a", "b"], "passes": "labels"}, r"`passes` must be one of .*Found .*'labels'"),
        (
            {"order": ["a", "b"], "teacher_forcing": "no"},
            r"must be True or False\. Found `teacher_forcing = 'no'`",
        ),
        ({"order": 5}, r"task names in a list, .*Found `order = 5`"),
        ({"order": np.array("a")}, r"task names in a list, .*Found `order = array"),
        ({"order": {"a": None}}, r"`\[\]` for none\. Found None for 'a'"),
        ({"order": {"a": 1}}, r"to the names of the tasks .*Found 1 for 'a'"),
        ({"order": {"a": {"b": 1}}}, r"to the names of the tasks .*Found \{'b': 1\} for 'a'"),
        ({"order": [["a", "b"]]}, r"names \['a', 'b'\], which is no task"),
        ({"order": {"a", "b"}}, r"Found `order = \{.*a set, which has no order"),
        ({"order": frozenset("ab")}, r"a set, which has no order"),
        ({"order": (name for name in "ab")}, r"task names in a list, .*Found `order = <generator"),
        ({"order": pd.DataFrame(np.eye(3))}, r"Found a DataFrame, .* or a mapping"),
        ({"order": pd.Series(["a", "b"])}, r"Found a Series, .* as a list, or a mapping"),
    ],
)
def test_bad_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        body_of(Chain(**params))


def test_unknown_names(data):
    X, Y, _ = data
    for order in (["size", "prize"], {"prize": ["size"]}, {"size": ["prize"]}):
        with pytest.raises(ValueError, match=r"'prize', which is no task.*Did you mean 'price'\?"):
            MultiTaskNetRegressor(sharing=Chain(order)).fit(X, Y)


def test_unknown_word(data):
    X, Y, _ = data
    with pytest.raises(ValueError, match=r"`order` must be 'auto'.*Found `order = 'atuo'`"):
        MultiTaskNetRegressor(sharing=Chain("atuo")).fit(X, Y)


def test_a_chain_needs_no_hidden_layer():
    body = body_of(Chain(["a", "b"]), MLP(()))
    assert body(rows_for()).shape == (1, 1, 6, 4)


class Steps(Chain):
    """A scheme of a user's own."""

    alias = "steps"


def test_a_subclass_stays_one():
    specs = [HeadSpec(name, "regression", 1, 0) for name in "ab"]
    mask = np.array([[False, True], [True, True]])
    adapted = Steps(passes="features").adapt(np.zeros((2, 2)), mask, tasks_of(specs))
    assert type(adapted) is Steps
    assert (adapted.order, adapted.passes) == (["b", "a"], "features")


def test_a_task_may_read_a_set_of_tasks():
    one, other = (_adjacency({"c": read}, "abc") for read in ({"a", "b"}, ["b", "a"]))
    assert np.array_equal(one, other)
