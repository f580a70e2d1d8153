"""What every strategy keeps to, whatever it does.

The tables come from what the packages export and from ``cls.test_params()``: a new file is tested
once its package imports it.
"""

import copy
import dataclasses
import inspect
import pickle
import re
import time

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.func import functional_call

from skmtl._strategy import resolve, strategies
from skmtl.heads import Head, HeadSpec, Layout
from skmtl.layers import Inputs, Seeds, is_weight
from skmtl.penalties import Penalty
from skmtl.sharing import Independent, Sharing
from skmtl.tasks import KINDS, LOSSES
from skmtl.training import BatchIterator, BatchTargets, NetworkSpec, Objective
from skmtl.training._batches import Batch
from skmtl.trunks import MLP, NumEmbedding, Trunk
from skmtl.weighting import Fixed, Weighting, WeightingModule
from tests.oracle import MIXED, GivenGradients, Table, new_seeds, rows_of, tasks_of
from tests.sharing.oracle import PenaltyOf

AXES = (Sharing, Trunk, NumEmbedding, Head, Weighting, Penalty)


def cases(base):
    """Each strategy of an axis with each of its parameter sets."""
    return [
        pytest.param(cls, params, id=f"{cls.alias}-{i}")
        for cls in strategies(base).values()
        for i, params in enumerate(cls.test_params())
    ]


EVERY = [
    pytest.param(base, *case.values, id=f"{base.__name__}-{case.id}")
    for base in AXES
    for case in cases(base)
]
#: The cross product of trunks and sharing schemes.
PAIRS = [
    pytest.param(
        sharing.values[0](**sharing.values[1]),
        trunk.values[0](**trunk.values[1]),
        id=f"{trunk.id}-{sharing.id}",
    )
    for trunk in cases(Trunk)
    for sharing in cases(Sharing)
]
every_strategy = pytest.mark.parametrize(("base", "cls", "params"), EVERY)
every_pair = pytest.mark.parametrize(("sharing", "trunk"), PAIRS)
each_number_of_members = pytest.mark.parametrize("n_members", [1, 3])


# ------------------------------------------------------------------------------------------------
# Strategies as scikit-learn objects
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", AXES)
def test_each_axis_has_strategies(base):
    assert strategies(base)
    assert all(cls.test_params() for cls in strategies(base).values())
    with pytest.raises(TypeError, match="abstract"):
        base()


@every_strategy
def test_parameters_are_stored_and_come_back(base, cls, params):
    strategy = cls(**params)
    for name, value in params.items():
        assert getattr(strategy, name) is value
    assert set(params) <= set(strategy.get_params(deep=False))
    twin = cls(**strategy.get_params(deep=False))
    assert twin.get_params() == strategy.get_params()
    assert strategy.set_params(**params) is strategy


def parameters_of(strategy):
    """Parameters of a strategy; torch modules, which equal themselves alone, by their repr."""
    parameters = strategy.get_params().items()
    return {k: repr(v) if isinstance(v, torch.nn.Module) else v for k, v in parameters}


@every_strategy
def test_clone(base, cls, params):
    strategy = cls(**params)
    twin = clone(strategy)
    assert twin is not strategy
    assert type(twin) is cls
    assert parameters_of(twin) == parameters_of(strategy)


@every_strategy
def test_repr_shows_what_differs_from_the_defaults(base, cls, params):
    text = repr(cls(**params))
    assert text.startswith(f"{cls.__name__}(")
    for name, value in params.items():
        if value != inspect.signature(cls).parameters[name].default:
            assert f"{name}=" in text


@every_strategy
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_pickle_and_deepcopy(base, cls, params, duplicate):
    strategy = cls(**params)
    twin = duplicate(strategy)
    assert type(twin) is cls
    assert parameters_of(twin) == parameters_of(strategy)


@every_strategy
def test_alias(base, cls, params):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", cls.alias)
    strategy = resolve(cls.alias, base, "choice", **params)
    assert type(strategy) is cls
    assert strategy.get_params() == cls(**params).get_params()
    needed = [name for name, p in inspect.signature(cls).parameters.items() if p.default is p.empty]
    if needed:
        with pytest.raises(ValueError, match=f"needs `{needed[0]}`"):
            resolve(cls.alias, base, "choice")
    else:
        assert type(resolve(cls.alias, base, "choice")) is cls


# ------------------------------------------------------------------------------------------------
# Trunks and sharing schemes in a network
# ------------------------------------------------------------------------------------------------


def build(
    sharing, trunk, specs=MIXED, n_members=1, *, seed=0, heads=(3,), device="cpu", table=None
):
    """A network of a scheme that has met the labels of a table."""
    table = table or Table.made(specs)
    scheme = sharing.adapt(table.values, table.weights > 0, tasks_of(specs))
    spec = NetworkSpec(scheme, trunk, heads, "silu")
    seeds = Seeds.spawn(np.random.RandomState(seed))
    inputs = Inputs(trunk.test_input_shape)
    network = spec.build(inputs, Layout.of(specs), seeds, n_members)
    return network.to(device=device, dtype=torch.float64)


def data_of(table, trunk, device="cpu", layout=None):
    """The table on the device, with features that the trunk reads."""
    n_features = int(np.prod(trunk.test_input_shape))
    x = np.random.default_rng(1).normal(size=(len(table.x), n_features))
    return table.pack(layout, x=x.reshape(-1, *trunk.test_input_shape), device=device)


def batch_of(table, trunk, device="cpu", layout=None):
    """The whole table as one batch."""
    data = data_of(table, trunk, device, layout)
    return next(iter(BatchIterator(data, len(data))))


def objective_of(layout, n_members=1, device="cpu", weights=None):
    weighting = Fixed(weights).build(layout, n_members, new_seeds())
    return Objective(layout, weighting).to(device=device, dtype=torch.float64)


def losses_of(network, batch, device="cpu"):
    """Losses by task (member, task), with their graph."""
    layout = network.heads.layout
    objective = objective_of(layout, network.heads.n_members, device)
    return objective.task_losses(network(batch.x), batch.targets)


def gradients_of(network, total):
    """Gradients by parameter; zeros where a parameter is not part of `total`."""
    named = dict(network.named_parameters())
    found = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return {
        name: torch.zeros_like(p) if g is None else g
        for (name, p), g in zip(named.items(), found, strict=True)
    }


@every_pair
@each_number_of_members
def test_shapes(sharing, trunk, n_members, device):
    network = build(sharing, trunk, n_members=n_members, device=device)
    layout = network.heads.layout
    x = batch_of(Table.made(n=6), trunk, device).x
    h = network.body(torch.cat([x] * trunk.n_submodels))
    assert h.shape[0] == n_members
    assert h.shape[1] in {1, layout.n_tasks}
    assert h.shape[2:] == (6 * trunk.n_submodels, network.body.out_features)
    assert network(x).shape == (n_members * trunk.n_submodels, layout.n_rows, 6)
    assert hasattr(network.body, "trunk")


@pytest.mark.parametrize(("cls", "params"), cases(Trunk))
@pytest.mark.parametrize("n_copies", [1, 3])
@pytest.mark.parametrize("own_input", [False, True])
def test_trunks_take_one_input_for_all_or_one_for_each(cls, params, n_copies, own_input):
    trunk, inputs = cls(**params), Inputs(cls.test_input_shape)
    module = trunk.build(inputs, n_copies, Seeds.spawn(np.random.RandomState(0))).eval()
    n = 6 * trunk.n_submodels
    x = torch.cat([torch.randn(n_copies, 6, *cls.test_input_shape)] * trunk.n_submodels, dim=1)
    h = module(x) if own_input else module(x[0])
    assert h.shape == (n_copies, n, module.out_features)
    if not own_input:
        same = module(x[:1].expand(n_copies, *x.shape[1:]))
        torch.testing.assert_close(h, same, rtol=0, atol=1e-5)


@every_pair
@each_number_of_members
def test_a_gradient_reaches_every_parameter(sharing, trunk, n_members, device):
    network = build(sharing, trunk, n_members=n_members, device=device)
    batch = batch_of(Table.made(), trunk, device)
    losses = losses_of(network, batch, device)
    gradients = gradients_of(network, losses.sum())
    for name, gradient in gradients.items():
        assert torch.isfinite(gradient).all(), name
        members = gradient.reshape(n_members, -1) if len(gradient) % n_members == 0 else gradient
        assert (members != 0).flatten(1).any(1).all() if members.dim() > 1 else members.any(), name


def check_gradients(module, *inputs):
    """Compare gradients by all parameters, along a random direction, with difference quotients."""
    named = dict(module.named_parameters())
    values = [p.detach().clone().requires_grad_() for p in named.values()]

    def run(*values):
        return functional_call(module, dict(zip(named, values, strict=True)), inputs)

    assert torch.autograd.gradcheck(run, values, fast_mode=True)


@every_pair
def test_gradients_are_difference_quotients(sharing, trunk):
    specs = (*MIXED[:2], MIXED[-1])  # each kind once: a failure costs the whole Jacobian
    network = build(sharing, trunk, specs).eval()
    with torch.no_grad():  # away from where the weights start, and from zeros
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    check_gradients(network, batch_of(Table.made(specs, n=3), trunk).x)
    if network.body.penalty() is not None:
        check_gradients(PenaltyOf(network.body))


@every_pair
def test_a_batch_of_one(sharing, trunk, device):
    network = build(sharing, trunk, device=device)
    batch = batch_of(Table.made(n=1, missing=0.0), trunk, device)
    losses = losses_of(network, batch, device)
    assert torch.isfinite(losses).all()
    assert all(torch.isfinite(g).all() for g in gradients_of(network, losses.sum()).values())


@every_pair
def test_a_prediction_does_not_depend_on_the_rows_beside_it(sharing, trunk, device):
    network = build(sharing, trunk, device=device).eval()
    x = batch_of(Table.made(n=5), trunk, device).x
    together = network(x)
    for i in range(5):
        alone = network(x[i : i + 1])
        torch.testing.assert_close(alone[..., 0], together[..., i], rtol=0, atol=1e-12)


@every_pair
@each_number_of_members
@pytest.mark.parametrize("spec", MIXED[:4], ids=lambda spec: spec.name)
def test_one_task(sharing, trunk, n_members, spec, device):
    network = build(sharing, trunk, [spec], n_members, device=device)
    batch = batch_of(Table.made([spec]), trunk, device)
    losses = losses_of(network, batch, device)
    assert losses.shape == (n_members * trunk.n_submodels, 1)
    assert (losses > 0).all()
    for name, gradient in gradients_of(network, losses.sum()).items():
        assert torch.isfinite(gradient).all(), name
        assert gradient.any(), name


@every_pair
@pytest.mark.parametrize("absent", ["price", "box", "sold", "colour"])
def test_a_task_without_a_label_in_the_batch(sharing, trunk, absent, device):
    table = Table.made(missing=0.2)
    network = build(sharing, trunk, device=device).eval()
    layout = network.heads.layout
    task = layout.names.index(absent)
    others = [t for t in range(layout.n_tasks) if t != task]
    present, without = (
        batch_of(t, trunk, device) for t in (table, table.without_labels_of(absent))
    )
    assert without.targets.present.tolist() == [name != absent for name in layout.names]

    before, after = losses_of(network, present, device), losses_of(network, without, device)
    assert (after[:, task] == 0).all()
    assert (before[:, task] > 0).all()
    assert torch.equal(after[:, others], before[:, others])

    rest = gradients_of(network, before[:, others].sum())
    found = gradients_of(network, after.sum())
    for name, gradient in found.items():
        assert torch.isfinite(gradient).all(), name
        torch.testing.assert_close(gradient, rest[name], rtol=0, atol=1e-13)


@every_pair
def test_no_label_at_all(sharing, trunk, device):
    network = build(sharing, trunk, device=device)
    losses = losses_of(network, batch_of(Table.made(missing=1.0), trunk, device), device)
    assert (losses == 0).all()
    assert not any(g.any() for g in gradients_of(network, losses.sum()).values())


MANY = tuple(HeadSpec(f"t{i}", "regression", 1, 0) for i in range(300))


@pytest.mark.parametrize(
    ("sharing", "trunk"),
    [
        *(pytest.param(p.values[0](**p.values[1]), MLP((4, 4)), id=p.id) for p in cases(Sharing)),
        # a copy of the trunk for each task
        *(pytest.param(Independent(), p.values[0](**p.values[1]), id=p.id) for p in cases(Trunk)),
    ],
)
def test_300_tasks(sharing, trunk, device):
    table = Table.made(MANY)
    network = build(sharing, trunk, MANY, heads=(), device=device, table=table)
    batch = batch_of(table, trunk, device)
    objective = objective_of(network.heads.layout, network.heads.n_members, device)
    start = time.perf_counter()
    losses, _ = objective.backward(network(batch.x, batch.targets), batch.targets, network)
    assert time.perf_counter() - start < 10
    assert torch.isfinite(losses).all()
    for parameter in network.parameters():
        assert torch.isfinite(parameter.grad).all()


#: Eleven tasks, a number that is nobody's width: an axis of that size is a task axis.
ELEVEN = (
    *MIXED,
    HeadSpec("year", "regression", 1, 0),
    HeadSpec("used", "binary", 1, 2),
    HeadSpec("fuel", "multiclass", 1, 3),
    HeadSpec("place", "regression", 2, 0),
)


def permuted_state(state, source, target):
    """Weights of a network with the tasks `source`, for one with the same tasks in other order."""
    order = torch.tensor([source.names.index(name) for name in target.names])
    rows = np.concatenate([rows_of(source, task) for task in target.names])
    permuted = {}
    for name, tensor in state.items():
        if name.startswith("heads.output.") or ".by_row" in name:
            permuted[name] = tensor[..., rows]
            if ".by_row" in name:
                permuted[name] = permuted[name][..., rows, :]
            continue
        moved = tensor
        for axis, size in enumerate(tensor.shape):
            index = task_index(size, order, name, is_last=axis == tensor.dim() - 1)
            moved = moved if index is None else moved.index_select(axis, index.to(tensor.device))
        permuted[permuted_name(name, state, order)] = moved
    return permuted


def task_index(size, order, name, *, is_last):
    """Where the entries of an axis come from, or None if it is no axis of tasks."""
    n = len(order)
    if size and size % n == 0:
        by_task = torch.arange(size)
        if name.startswith("heads."):  # submodels, then tasks
            return by_task.view(-1, n)[:, order].flatten()
        return by_task.view(n, -1)[order].flatten()  # tasks, then experts
    if ".shared.linear" in name and is_last:  # experts of tasks, then shared ones
        own = size // n * n
        by_task = torch.arange(own).view(n, -1)
        return torch.cat([by_task[order].flatten(), torch.arange(own, size)])
    return None


def permuted_name(name, state, order):
    """The name under which a parameter of one copy of a user's module goes on."""
    found = re.search(r"^(.*)\.copies\.(\d+)\.", name)
    if not found:
        return name
    copies = {re.search(r"\.copies\.(\d+)\.", k)[1] for k in state if k.startswith(found[1])}
    each, rest = divmod(len(copies), len(order))  # copies by task
    if rest:
        return name
    task, copy_ = divmod(int(found[2]), each)
    place = order.tolist().index(task) * each + copy_
    return name.replace(f"{found[1]}.copies.{found[2]}.", f"{found[1]}.copies.{place}.")


@every_pair
@pytest.mark.parametrize("seed", [0, 1])
def test_permuted_tasks_give_permuted_results(sharing, trunk, seed, device):
    order = np.random.default_rng(seed).permutation(len(ELEVEN))
    table = Table.made(ELEVEN)
    columns = np.concatenate(
        [np.arange(table.values.shape[1])[table.columns(ELEVEN[i].name)] for i in order]
    )
    moved = Table(
        tuple(ELEVEN[i] for i in order),
        table.x,
        table.values[:, columns],
        table.weights[:, columns],
    )
    first = build(sharing, trunk, table.specs, device=device, table=table).eval()
    second = build(sharing, trunk, moved.specs, seed=1, device=device, table=moved).eval()
    a, b = first.heads.layout, second.heads.layout
    assert a.names != b.names
    second.load_state_dict(permuted_state(first.state_dict(), a, b))

    batches = [batch_of(t, trunk, device) for t in (table, moved)]
    z, z_moved = first(batches[0].x), second(batches[1].x)
    for name in a.names:
        ours, theirs = z_moved[:, rows_of(b, name)], z[:, rows_of(a, name)]
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    losses, losses_moved = (
        losses_of(n, batch, device) for n, batch in zip((first, second), batches, strict=True)
    )
    order_of_names = [a.names.index(name) for name in b.names]
    torch.testing.assert_close(losses_moved, losses[:, order_of_names], rtol=0, atol=1e-12)


def member_of(tensors, one, member):
    """Cut one member's tensors out of those of many: stacked first axes, and lists of copies."""
    cut = {}
    for name, like in one.items():
        found = re.search(r"^(.*)\.copies\.(\d+)\.", name)
        if found:
            siblings = [k for k in one if k.startswith(f"{found[1]}.copies.")]
            n_copies = len({k[len(found[1]) :].split(".")[2] for k in siblings})
            copy_ = member * n_copies + int(found[2])
            cut[name] = tensors[name.replace(found[0], f"{found[1]}.copies.{copy_}.")]
        else:
            cut[name] = tensors[name][member * len(like) : (member + 1) * len(like)]
        assert cut[name].shape == like.shape, name
    return cut


@every_pair
@pytest.mark.parametrize("heads", [(), (3,)], ids=["plain_heads", "hidden_heads"])
def test_many_members_at_once_equal_one_by_one(sharing, trunk, heads, device):
    n_members = 3
    many = build(sharing, trunk, n_members=n_members, heads=heads, device=device).eval()
    batch = batch_of(Table.made(), trunk, device)
    losses = losses_of(many, batch, device).unflatten(0, (n_members, -1))
    z = many(batch.x).unflatten(0, (n_members, -1))
    gradients = gradients_of(many, losses.sum())
    state = many.state_dict()
    for member in range(n_members):
        one = build(sharing, trunk, seed=9, heads=heads, device=device).eval()
        one.load_state_dict(member_of(state, one.state_dict(), member))
        torch.testing.assert_close(one(batch.x), z[member], rtol=0, atol=1e-12)
        alone = losses_of(one, batch, device)
        torch.testing.assert_close(alone, losses[member], rtol=0, atol=1e-12)
        ours = gradients_of(one, alone.sum())
        theirs = member_of(gradients, ours, member)
        for name in ours:
            torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-12)


@every_pair
@pytest.mark.parametrize("heads", [(), (3,)], ids=["plain_heads", "hidden_heads"])
def test_members_with_rows_of_their_own_equal_one_by_one(sharing, trunk, heads, device):
    rows = [torch.tensor(listed, device=device) for listed in ([0, 2, 3], [5, 1, 4, 2], [1, 0, 5])]
    many = build(sharing, trunk, n_members=3, heads=heads, device=device).eval()
    whole = data_of(Table.made(), trunk, device)
    own = dataclasses.replace(whole, members=tuple(rows))
    (batch,) = BatchIterator(own, 4)
    losses = losses_of(many, batch, device).unflatten(0, (3, -1))
    z = many(batch.x).unflatten(0, (3, -1))
    gradients = gradients_of(many, losses.sum())
    state = many.state_dict()
    for member in range(3):
        one = build(sharing, trunk, seed=9, heads=heads, device=device).eval()
        one.load_state_dict(member_of(state, one.state_dict(), member))
        (alone,) = BatchIterator(dataclasses.replace(whole, members=(rows[member],)), 4)
        alone = Batch(alone.x[0], BatchTargets(*map(first_member, alone.targets)))
        torch.testing.assert_close(
            one(alone.x), z[member][..., : len(rows[member])], rtol=0, atol=1e-12
        )
        expected = losses_of(one, alone, device)
        torch.testing.assert_close(expected, losses[member], rtol=0, atol=1e-12)
        ours = gradients_of(one, expected.sum())
        theirs = member_of(gradients, ours, member)
        for name in ours:
            torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-12)


def first_member(value):
    return tuple(part[0] for part in value) if isinstance(value, tuple) else value[0]


@every_pair
def test_members_start_from_weights_of_their_own(sharing, trunk):
    network = build(sharing, trunk, n_members=2).eval()
    z = network(batch_of(Table.made(), trunk).x)
    assert not torch.isclose(z[0], z[1]).all(-1).any()


@every_pair
def test_the_same_seed_gives_the_same_network_and_the_global_generator_stays(sharing, trunk):
    before = torch.random.get_rng_state()
    x = batch_of(Table.made(), trunk).x
    first, again, other = (build(sharing, trunk, seed=seed).train() for seed in (0, 0, 1))
    for _ in range(2):  # with the masks of dropout
        z = first(x)
        assert torch.equal(z, again(x))
        assert not torch.equal(z, other(x))
    assert torch.equal(torch.random.get_rng_state(), before)


@every_pair
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_networks_can_be_copied(sharing, trunk, duplicate):
    x = batch_of(Table.made(), trunk).x
    network = build(sharing, trunk)
    network(x)
    twin = duplicate(network)
    assert torch.equal(network(x), twin(x))


@every_pair
def test_parts_of_the_network_make_up_the_whole(sharing, trunk):
    network = build(sharing, trunk, n_members=2)
    parts = {
        part: {id(p) for p in network.weights(part)}
        for part in ("all", "input", "trunk", "sharing", "heads")
    }
    biases = {id(p) for n, p in network.named_parameters() if not is_weight(n)}
    named = dict(network.named_parameters())
    mixing = {id(named[name]) for name in network.mixing if name in named}
    weights = parts["trunk"] | parts["sharing"] | parts["heads"]
    assert weights == {id(p) for p in network.parameters()} - biases
    assert parts["all"] == weights - mixing
    assert mixing <= parts["sharing"]
    assert sum(len(parts[part]) for part in ("trunk", "sharing", "heads")) == len(weights)
    assert parts["input"]
    assert parts["input"] <= (parts["trunk"] or parts["heads"])
    assert parts["heads"]


# ------------------------------------------------------------------------------------------------
# Heads
# ------------------------------------------------------------------------------------------------


def head_case(head, n_columns, n_samples=7):
    """Outputs of two members and two tasks, targets and weights; 0 and 1 are labels of any kind."""
    n_classes = 4 if head.kind in {"multiclass", "ordinal"} else 2
    n_outputs = head.n_outputs(n_columns, n_classes if KINDS[head.kind].has_classes else 0)
    labels = torch.randint(n_classes, (2, n_samples, n_columns)).double()
    labels[:, :2] = torch.tensor([[0.0], [1.0]])
    y = torch.stack([head.encode(task, n_outputs).T for task in labels])
    w = torch.rand(2, n_outputs if head.weight_per_output else 1, n_samples).double() + 0.5
    w[:, :, 3] = 0.0
    return torch.randn(2, 2, n_outputs, n_samples, dtype=torch.float64), y, w


def columns_of(cls):
    return (1, 3) if KINDS[cls.kind].many_columns else (1,)


HEADS = [
    pytest.param(case.values[0](**case.values[1]), n, id=f"{case.id}-{n}")
    for case in cases(Head)
    for n in columns_of(case.values[0])
]
every_head = pytest.mark.parametrize(("head", "n_columns"), HEADS)


def test_each_kind_of_task_and_each_loss_of_it_has_a_head():
    of_losses = {f"{loss.alias}_{kind}" for loss in LOSSES.values() for kind in loss.kinds}
    assert set(strategies(Head)) == set(KINDS) | of_losses
    assert {alias: head.kind for alias, head in strategies(Head).items()} == {
        **{kind: kind for kind in KINDS},
        **{alias: alias.partition("_")[2] for alias in of_losses},
    }


@every_head
def test_the_gradient_of_a_head_is_the_difference_quotient(head, n_columns):
    z, y, w = head_case(head, n_columns)
    losses, gradients = head.loss_and_gradient(z.clone(), y.clone(), w.clone())
    assert losses.shape == z.shape[:2]
    assert gradients.shape == z.shape
    step = 1e-6
    for index in np.ndindex(*z.shape):
        up, down = z.clone(), z.clone()
        up[index] += step
        down[index] -= step
        rise = head.loss_and_gradient(up, y, w)[0] - head.loss_and_gradient(down, y, w)[0]
        expected = torch.zeros_like(losses)
        expected[index[:2]] = gradients[index]  # no other task, no other member
        torch.testing.assert_close(rise / (2 * step), expected, rtol=0, atol=1e-7)


@every_head
def test_the_loss_of_a_head_is_linear_in_the_weights(head, n_columns):
    z, y, w = head_case(head, n_columns)
    one, gradient = head.loss_and_gradient(z.clone(), y, w)
    three, tripled = head.loss_and_gradient(z.clone(), y, 3 * w)
    torch.testing.assert_close(three, 3 * one)
    torch.testing.assert_close(tripled, 3 * gradient)
    nothing, none = head.loss_and_gradient(z.clone(), y, 0 * w)
    assert not nothing.any()
    assert not none.any()
    assert not gradient[..., 3].any()  # no label there


@every_head
def test_labels_of_weight_zero_are_never_read(head, n_columns):
    z, y, w = head_case(head, n_columns)
    changed = y.clone()
    changed[..., 3] = 1.0 - changed[..., 3]
    for ours, theirs in zip(
        head.loss_and_gradient(z.clone(), y, w),
        head.loss_and_gradient(z.clone(), changed, w),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


@every_head
def test_one_weight_for_all_rows_equals_that_weight_in_each(head, n_columns):
    z, y, w = head_case(head, n_columns)
    short = w[..., :1]
    for ours, theirs in zip(
        head.loss_and_gradient(z.clone(), y, short),
        head.loss_and_gradient(z.clone(), y, short.expand_as(w).clone()),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


@every_head
@pytest.mark.parametrize("n_weights", [1, 7], ids=["one_weight", "weights_of_rows"])
def test_members_may_have_labels_and_weights_of_their_own(head, n_columns, n_weights):
    z, y, w = head_case(head, n_columns)
    w = w[..., :n_weights]
    own = torch.stack([w, torch.rand_like(w) * (w > 0)])  # (member, task, output or 1, sample or 1)
    together = head.loss_and_gradient(z.clone(), y, own)
    one_by_one = [
        head.loss_and_gradient(z[m : m + 1].clone(), y, weights) for m, weights in enumerate(own)
    ]
    for ours, theirs in zip(together, zip(*one_by_one, strict=True), strict=True):
        torch.testing.assert_close(ours, torch.cat(theirs), rtol=1e-12, atol=1e-14)
    labels = torch.stack([y, y.flip(-1)])  # (member, task, output, sample)
    ours = head.loss_and_gradient(z.clone(), labels, own)
    for m in range(2):
        theirs = head.loss_and_gradient(z[m : m + 1].clone(), labels[m], own[m])
        torch.testing.assert_close(ours[0][m], theirs[0][0], rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(ours[1][m], theirs[1][0], rtol=1e-12, atol=1e-14)
    rows = own.expand(*own.shape[:-1], 7)
    null = head.null_outputs(y, rows)
    assert null.shape == (2, 2, z.shape[2], 1)
    for m in range(2):
        torch.testing.assert_close(null[m], head.null_outputs(y, rows[m]))


@every_head
@pytest.mark.parametrize("size", [-1e4, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_outputs_stay_finite(head, n_columns, size, dtype):
    z, y, w = (tensor.to(dtype) for tensor in head_case(head, n_columns))
    z = torch.full_like(z, -size)
    z[..., ::2] = size
    z[:, :, :1] *= -1
    for tensor in (*head.loss_and_gradient(z.clone(), y, w), head.link(z)):
        assert torch.isfinite(tensor).all()


@every_head
def test_links(head, n_columns):
    z, _, _ = head_case(head, n_columns)
    predicted = head.link(z)
    assert predicted.shape[:2] == z.shape[:2]
    assert predicted.shape[-1] == z.shape[-1]
    if head.kind == "multilabel":
        assert ((predicted > 0) & (predicted < 1)).all()
    elif KINDS[head.kind].has_classes:
        torch.testing.assert_close(predicted.sum(-2), torch.ones_like(predicted[..., 0, :]))
        assert (predicted > 0).all()
    torch.testing.assert_close(head.link(z[1, 0]), predicted[1, 0])  # any axes before


@every_head
@pytest.mark.parametrize("size", [1.0, 40.0])
def test_mean_outputs_predict_the_mean(head, n_columns, size):
    z = size * torch.stack([head_case(head, n_columns)[0] for _ in range(3)], dim=1)
    mean = head.mean_outputs(z)  # (member, model, task, output, sample)
    assert mean.shape == z[:, 0].shape
    assert torch.isfinite(mean).all()
    torch.testing.assert_close(head.link(mean), head.link(z).mean(1))
    torch.testing.assert_close(head.link(head.mean_outputs(z[:, :1])), head.link(z[:, 0]))


@every_head
def test_no_small_step_beats_the_null_outputs(head, n_columns):
    z, y, w = head_case(head, n_columns)
    null = head.null_outputs(y, w)
    assert null.shape == (2, z.shape[2], 1)
    best = head.loss_and_gradient(null.expand(y.shape).unsqueeze(0).clone(), y, w)[0]
    for _ in range(20):
        moved = (null + 0.05 * torch.randn_like(null)).expand(y.shape).unsqueeze(0).clone()
        assert (head.loss_and_gradient(moved, y, w)[0] >= best - 1e-6).all()


# ------------------------------------------------------------------------------------------------
# Weightings and penalties
# ------------------------------------------------------------------------------------------------

every_weighting = pytest.mark.parametrize(("cls", "params"), cases(Weighting))
every_penalty = pytest.mark.parametrize(("cls", "params"), cases(Penalty))
THREE = (
    HeadSpec("a", "regression", 1, 0),
    HeadSpec("b", "binary", 1, 2),
    HeadSpec("c", "multiclass", 1, 3),
)
ALL = torch.ones(3, dtype=torch.bool)


def weigher(cls, params, n_members=1, specs=THREE):
    """A built weighting, its layout, and a function that takes one step of it."""
    layout = Layout.of(specs)
    module = cls(**params).build(layout, n_members, new_seeds()).double()

    def step(losses, present, gradients):
        """Weights, and the direction by what the tasks share."""
        if not module.needs_gradients:
            weights = module.scales(losses, present)
            direction = None
        else:
            weights, direction = module.direction(losses, present, GivenGradients(gradients))
        if module.needs_losses_after_step:
            module.after_step(0.9 * losses, present)
        if direction is None:
            direction = (weights.unsqueeze(1) @ gradients).squeeze(1)
        return weights, direction

    return module, layout, step


def a_batch(n_members=1, n_tasks=3, absent=(), seed=0):
    """Losses, presence and gradients of a batch; a task that is absent has neither."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.ones(n_tasks, dtype=torch.bool)
    present[list(absent)] = False
    losses = torch.rand(n_members, n_tasks, generator=generator, dtype=torch.float64) + 0.1
    gradients = torch.randn(n_members, n_tasks, 8, generator=generator, dtype=torch.float64)
    return losses * present, present, gradients * present[:, None]


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


@every_weighting
@each_number_of_members
def test_weightings_combine_losses(cls, params, n_members):
    module, _, step = weigher(cls, params, n_members)
    assert isinstance(module, WeightingModule)
    assert module.needs_gradients == cls(**params).needs_gradients
    losses, present, gradients = a_batch(n_members)
    leaf = losses.clone().requires_grad_()
    total = module(leaf, present)
    assert total.shape == (n_members,)
    expected = torch.autograd.grad(total.sum(), leaf)[0]
    assert torch.isfinite(expected).all()
    before = state_of(module)
    assert torch.equal(module(losses, present), total)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    weights, direction = step(losses, present, gradients)
    assert weights.shape == losses.shape
    assert direction.shape == (n_members, gradients.shape[2])
    assert torch.isfinite(weights).all()
    assert torch.isfinite(direction).all()
    assert not weights.requires_grad


@every_weighting
@pytest.mark.parametrize("member", [0, 1])
def test_members_may_lack_labels_of_different_tasks(cls, params, member):
    """With rows of their own: each as if all members lacked the labels that it lacks."""
    absent = [((), ()), ((1,), ()), ((), (2,)), ((0,), (1, 2)), ((0, 1, 2), ()), ((), ())]
    _, _, together = weigher(cls, params, 2)
    _, _, alone = weigher(cls, params, 2)
    for seed, of_members in enumerate(absent):
        each = [a_batch(2, seed=seed, absent=missing) for missing in of_members]
        losses, gradients = (torch.stack([each[0][i][0], each[1][i][1]]) for i in (0, 2))
        present = torch.stack([each[0][1], each[1][1]])
        found = together(losses, present, gradients)
        expected = alone(*each[member])
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours[member], theirs[member], rtol=0, atol=1e-12)


@every_weighting
def test_members_are_weighted_apart(cls, params):
    batches = [a_batch(2, seed=seed, absent=[1] if seed == 1 else []) for seed in range(4)]
    _, _, together = weigher(cls, params, 2)
    expected = [together(*batch) for batch in batches]
    _, _, changed = weigher(cls, params, 2)
    for (losses, present, gradients), (weights, direction) in zip(batches, expected, strict=True):
        other_losses = torch.stack([losses[0], 2 * losses[1]])
        other_gradients = torch.stack([gradients[0], 3 * gradients[1].flip(-1)])
        found = changed(other_losses, present, other_gradients)
        torch.testing.assert_close(found[0][0], weights[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(found[1][0], direction[0], rtol=0, atol=1e-12)


@every_weighting
@pytest.mark.parametrize("absent", [[1], [0, 2], [0, 1, 2]], ids=str)
def test_a_weighting_sees_the_present_tasks_alone(cls, params, absent):
    """An absent task weighs nothing, moves nothing, and its state stands still."""
    module, layout, step = weigher(cls, params)
    for seed in range(3):
        step(*a_batch(seed=seed))
    module.end_epoch(a_batch()[0], ALL)
    before = state_of(module)
    others = [i for i in range(3) if i not in absent]
    for seed in range(3, 9):
        losses, present, gradients = a_batch(absent=absent, seed=seed)
        weights, direction = step(losses, present, gradients)
        assert torch.isfinite(weights).all()
        assert torch.isfinite(direction).all()
        assert module.is_constant or not weights[:, absent].any()
        module.end_epoch(losses, present)
        assert torch.isfinite(module(losses, present)).all()
    for name, value in module.state_dict().items():
        if value.dim() and value.shape[-1] == layout.n_tasks:
            assert torch.equal(value[..., absent], before[name][..., absent]), name
    if others:
        weights, _ = step(*a_batch(seed=9))
        assert torch.isfinite(weights).all()


#: Weightings that draw numbers: more for more tasks.
BY_CHANCE = {"random", "pcgrad", "gradvac", "graddrop"}


@every_weighting
@pytest.mark.parametrize("absent", [0, 1, 2])
def test_two_tasks_weigh_the_same_with_and_without_a_third_that_has_no_label(cls, params, absent):
    if cls.alias in BY_CHANCE:
        pytest.skip("draws other numbers for two tasks than for three")
    if absent == 0 and {"weights", "main"} & set(params):
        pytest.skip("names the task that is left out")
    kept = [i for i in range(3) if i != absent]
    _, _, three = weigher(cls, params)
    _, _, two = weigher(cls, params, specs=[THREE[i] for i in kept])
    for seed in range(5):
        losses, present, gradients = a_batch(absent=[absent], seed=seed)
        weights, direction = three(losses, present, gradients)
        expected = two(losses[:, kept], present[kept], gradients[:, kept])
        torch.testing.assert_close(weights[:, kept], expected[0], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(direction, expected[1], rtol=1e-9, atol=1e-9)


@every_weighting
def test_one_task_is_followed(cls, params):
    _, _, step = weigher(cls, params, specs=THREE[:1])
    for seed in range(3):
        losses, present, gradients = a_batch(n_tasks=1, seed=seed)
        weights, direction = step(losses, present, gradients)
        assert weights.item() > 0
        if seed == 0:  # momentum may turn later ones
            cosine = torch.cosine_similarity(direction, gradients[:, 0])
            torch.testing.assert_close(cosine, torch.ones_like(cosine))


@every_weighting
def test_gradients_of_zero_and_ones_that_oppose_are_survived(cls, params):
    _, _, step = weigher(cls, params)
    losses, present, gradients = a_batch()
    degenerate = torch.stack([gradients[:, 0], -gradients[:, 0], torch.zeros(1, 8)], dim=1)
    for batch in (degenerate, 1e-12 * gradients, 1e12 * gradients, 0 * gradients):
        weights, direction = step(losses, present, batch.double())
        assert torch.isfinite(weights).all()
        assert torch.isfinite(direction).all()
    weights, direction = step(0 * losses, present, gradients)
    assert torch.isfinite(weights).all()
    assert torch.isfinite(direction).all()


@every_weighting
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_of_a_weighting_goes_on_as_the_original(cls, params, duplicate):
    module, _, step = weigher(cls, params)
    for seed in range(3):
        step(*a_batch(seed=seed))
    module.end_epoch(a_batch()[0], ALL)
    twin = duplicate(module)
    for seed in range(3, 6):
        losses, present, gradients = a_batch(seed=seed, absent=[1] if seed == 4 else [])
        results = []
        for each in (module, twin):
            if each.needs_gradients:
                given = GivenGradients(gradients)
                results.append(each.direction(losses, present, given).weights)
            else:
                results.append(each.scales(losses, present))
        assert torch.equal(*results)


LAYOUT = Layout.of(MIXED)


def term_of(cls, params):
    """A penalty as a function of one weight of two members, or of the losses of all tasks."""
    module = cls(**params).build(LAYOUT, 2).double()
    if not module.reads_losses:
        return (2, 4, LAYOUT.n_rows), lambda weight: module.of_weights([weight])
    present = torch.ones(LAYOUT.n_tasks, dtype=torch.bool)
    return (2, LAYOUT.n_tasks), lambda losses: module.of_losses(losses, present)


@every_penalty
def test_penalties_are_smooth_away_from_zero(cls, params):
    shape, term = term_of(cls, params)
    argument = torch.randn(shape, dtype=torch.float64)
    argument = argument.sign() + 0.3 * torch.randn(shape).double().tanh()
    argument = argument.abs() if len(shape) == 2 else argument  # losses are positive
    argument.requires_grad_()
    value = term(argument)
    assert value.shape == ()
    assert value > 0
    assert torch.autograd.gradcheck(term, (argument,))


@every_penalty
def test_zeros_have_no_penalty_and_a_finite_gradient(cls, params):
    shape, term = term_of(cls, params)
    argument = torch.zeros(shape, requires_grad=True, dtype=torch.float64)
    value = term(argument)
    value.backward()
    assert abs(value) < 1e-12
    assert torch.isfinite(argument.grad).all()


@every_penalty
def test_the_penalties_of_members_add_up(cls, params):
    shape, term = term_of(cls, params)
    both = torch.rand(shape, dtype=torch.float64) + 0.1
    first, second = both.clone(), both.clone()
    first[1], second[0] = 0.0, 0.0
    torch.testing.assert_close(term(both), term(first) + term(second), rtol=1e-6, atol=0)


@every_penalty
@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"strength": -1.0}, r"`strength` .*at least 0\. Found `strength = -1\.0`"),
        ({"part": "nowhere"}, r"`part` .*must be one of .*Found `part = 'nowhere'`"),
    ],
)
def test_penalties_check_their_parameters(cls, params, wrong, match):
    cls(**params).check()
    with pytest.raises(ValueError, match=match):
        cls(**{**params, **wrong}).check()
