import copy
import pickle
import subprocess
import sys
import textwrap

import pytest
import torch

from skmtl.training import FusedAdamW, resolve_optimizer
from skmtl.training._net import _load
from skmtl.training._optimizer import OPTIMIZERS, fused_adamw, plain_adamw

SHAPES = ((2, 3, 4), (2, 1, 4), (5,), (1,))
SETTINGS = {
    "default": {},
    "decay": {"weight_decay": 0.1},
    "betas": {"betas": (0.5, 0.9), "eps": 1e-3},
    "no_momentum": {"betas": (0.0, 0.99)},
}


def parameters(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in SHAPES
    ]


def groups(params):
    """Weights and biases with decays of their own, as the estimators make them."""
    return [{"params": params[:2], "weight_decay": 0.2}, {"params": params[2:], "lr": 0.03}]


def gradients(step, params):
    generator = torch.Generator().manual_seed(step)
    return [
        torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype) * 10.0 ** (i - 2)
        for i, p in enumerate(params)
    ]


def run(optimizer, params, steps):
    for step in steps:
        optimizer.zero_grad()
        for parameter, gradient in zip(params, gradients(step, params), strict=True):
            parameter.grad = gradient
        optimizer.step()


def assert_close(ours, theirs, rtol=1e-12, atol=1e-12):
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=rtol, atol=atol)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("grouped", [False, True])
def test_against_torch(settings, grouped):
    ours, theirs = parameters(), parameters()
    arrange = groups if grouped else (lambda params: [{"params": params}])
    optimizer = FusedAdamW(arrange(ours), lr=0.01, **settings)
    oracle = torch.optim.AdamW(
        arrange(theirs), lr=0.01, **{"weight_decay": 0.0, **settings}, foreach=False, fused=False
    )
    run(optimizer, ours, range(200))
    run(oracle, theirs, range(200))
    assert_close(ours, theirs)
    assert not torch.allclose(ours[0], parameters()[0], atol=0.1)


def test_against_torch_in_float32():
    ours, theirs = parameters(torch.float32), parameters(torch.float32)
    run(FusedAdamW(groups(ours), lr=0.01), ours, range(50))
    oracle = torch.optim.AdamW(groups(theirs), lr=0.01, weight_decay=0.0, fused=True)
    run(oracle, theirs, range(50))
    assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_plain_operations_equal_the_kernel(settings):
    options = {"lr": 0.01, "betas": (0.9, 0.999), "weight_decay": 0.0, "eps": 1e-8, **settings}
    results = []
    for update in (fused_adamw, plain_adamw):
        params = parameters()
        means, squares = ([torch.zeros_like(p) for p in params] for _ in range(2))
        step = torch.zeros(())
        with torch.no_grad():
            for i in range(100):
                step += 1
                steps = [step] * len(params)
                update(params, gradients(i, params), means, squares, steps, **options)
        results.append([*params, *means, *squares])
    assert_close(*results)


def test_by_hand():
    # The first step of Adam is lr * sign(gradient); decay takes lr * decay of the weight first.
    parameter = torch.nn.Parameter(torch.tensor([2.0, -4.0], dtype=torch.float64))
    optimizer = FusedAdamW([{"params": [parameter]}], lr=0.1, weight_decay=0.5, eps=0.0)
    parameter.grad = torch.tensor([3.0, -1e-6], dtype=torch.float64)
    optimizer.step()
    assert parameter.tolist() == pytest.approx([2 * 0.95 - 0.1, -4 * 0.95 + 0.1], rel=1e-12)


def test_the_learning_rate_of_a_group_may_change():
    ours, theirs = parameters(), parameters()
    optimizer = FusedAdamW(groups(ours), lr=0.01)
    oracle = torch.optim.AdamW(groups(theirs), lr=0.01, weight_decay=0.0)
    for i in range(5):
        for each, params in ((optimizer, ours), (oracle, theirs)):
            each.param_groups[0]["lr"] = 0.1 / (i + 1)
            run(each, params, [i])
    assert_close(ours, theirs)


def test_parameters_that_never_have_a_gradient_stay():
    params = parameters()
    optimizer = FusedAdamW([{"params": params}], lr=0.1, weight_decay=0.5)
    params[0].grad = torch.ones_like(params[0])
    optimizer.step()
    assert not torch.equal(params[0], parameters()[0])
    for ours, theirs in zip(params[1:], parameters()[1:], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("late", [0, 1, 3])
def test_parameters_that_lack_a_gradient_in_some_steps(late):
    ours, theirs = parameters(), parameters()
    optimizer = FusedAdamW([{"params": ours}], lr=0.01)
    oracle = torch.optim.AdamW([{"params": theirs}], lr=0.01, weight_decay=0.0)
    for i in range(9):
        for each, params in ((optimizer, ours), (oracle, theirs)):
            for parameter, gradient in zip(params, gradients(i, params), strict=True):
                parameter.grad = gradient
            if i < 3 or i == 6:
                params[late].grad = None
            each.step()
    assert_close(ours, theirs)


def test_no_gradient_at_all():
    params = parameters()
    FusedAdamW([{"params": params}], lr=0.1).step()
    assert_close(params, parameters(), rtol=0, atol=0)


def test_a_closure_is_called_with_gradients_on():
    parameter = torch.nn.Parameter(torch.tensor(3.0))
    optimizer = FusedAdamW([{"params": [parameter]}], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = parameter**2
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert parameter.item() == pytest.approx(2.9)


def test_zero_grad_forgets():
    params = parameters()
    optimizer = FusedAdamW(groups(params), lr=0.1)
    for parameter in params:
        parameter.grad = torch.ones_like(parameter)
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)


def test_state_dict_round_trip():
    ours, theirs = parameters(), parameters()
    first = FusedAdamW(groups(ours), lr=0.01)
    run(first, ours, range(5))
    saved = copy.deepcopy(first.state_dict())
    for one, two in zip(theirs, ours, strict=True):
        one.data.copy_(two.data)
    second = FusedAdamW([{"params": theirs[:2]}, {"params": theirs[2:]}], lr=0.5)
    second.load_state_dict(saved)
    run(first, ours, range(5, 12))
    run(second, theirs, range(5, 12))
    assert_close(ours, theirs, rtol=0, atol=0)
    assert saved["state"][0]["step"] == 5.0  # a copy: training does not change what was saved


def test_state_dict_has_the_form_of_torch():
    ours, theirs = parameters(), parameters()
    optimizer = FusedAdamW(groups(ours), lr=0.01)
    oracle = torch.optim.AdamW(groups(theirs), lr=0.01, weight_decay=0.0)
    run(optimizer, ours, range(3))
    run(oracle, theirs, range(3))
    found, expected = optimizer.state_dict(), oracle.state_dict()
    assert [g["params"] for g in found["param_groups"]] == [
        g["params"] for g in expected["param_groups"]
    ]
    assert found["state"].keys() == expected["state"].keys()
    for key, state in expected["state"].items():
        assert found["state"][key].keys() == state.keys()
        for name, tensor in state.items():
            torch.testing.assert_close(found["state"][key][name], tensor, rtol=1e-12, atol=1e-12)


def test_a_state_dict_of_other_groups():
    saved = FusedAdamW(groups(parameters()), lr=0.01).state_dict()
    with pytest.raises(ValueError, match=r"zip\(\) argument"):
        FusedAdamW([{"params": parameters()}], lr=0.01).load_state_dict(saved)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_go_on_where_they_were(duplicate):
    params = parameters()
    optimizer = FusedAdamW(groups(params), lr=0.01)
    run(optimizer, params, range(5))
    twins, twin = duplicate((params, optimizer))
    run(optimizer, params, range(5, 10))
    run(twin, twins, range(5, 10))
    assert_close(params, twins, rtol=0, atol=0)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("needs_torch_optim", [False, True])
def test_every_name_takes_a_step(name, needs_torch_optim):
    cls, options = resolve_optimizer(name, needs_torch_optim=needs_torch_optim)
    params = parameters()
    optimizer = cls([{"params": params}], lr=0.01, **options)
    run(optimizer, params, range(2))
    assert not torch.equal(params[0], parameters()[0])
    assert cls.__name__.lower().removeprefix("fused") == name
    ours = name == "adamw" and not needs_torch_optim
    assert issubclass(cls, torch.optim.Optimizer) is not ours


def test_a_class_of_torch_is_taken_as_it_is():
    assert resolve_optimizer(torch.optim.Adagrad, needs_torch_optim=False) == (
        torch.optim.Adagrad,
        {},
    )


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("adamm", r"must be one of \['adamw', .*`optimizer = 'adamm'`\. Did you mean 'adam"),
        ("AdamW", r"Did you mean 'adamw'\?"),
        ("qqqq", r"Found `optimizer = 'qqqq'`\.$"),
        (None, r"Found `optimizer = None`\."),
        (dict, r"a class of torch\.optim\. Found `optimizer = <class 'dict'>`"),
    ],
)
def test_what_is_no_optimiser(value, match):
    with pytest.raises(ValueError, match=match):
        resolve_optimizer(value, needs_torch_optim=False)


def test_a_default_fit_does_not_import_the_compiler():
    script = """
        import sys
        import numpy as np
        from skmtl import MultiTaskNetRegressor

        X = np.random.default_rng(0).normal(size=(60, 3))
        est = MultiTaskNetRegressor(max_epochs=2, weight_decay=0.01).fit(X, X[:, :2])
        est.predict(X)
        heavy = {"torch._dynamo", "torch._inductor", "torch.utils.tensorboard"}
        sys.exit(", ".join(heavy & sys.modules.keys()) or 0)
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.cuda
def test_against_torch_on_a_cuda_device():
    ours = [torch.nn.Parameter(p.detach().cuda()) for p in parameters()]
    theirs = parameters()
    optimizer = FusedAdamW(groups(ours), lr=0.01)
    oracle = torch.optim.AdamW(groups(theirs), lr=0.01, weight_decay=0.0)
    for i in range(20):
        for each, params in ((optimizer, ours), (oracle, theirs)):
            for parameter, gradient in zip(params, gradients(i, theirs), strict=True):
                parameter.grad = gradient.to(parameter.device)
            each.step()
    assert_close([p.cpu() for p in ours], theirs)


def test_a_state_is_loaded_to_the_bit():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.NAdam([weight])
    weight.grad = torch.ones(2)
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][0]["exp_avg"] = torch.tensor([1 / 3, 1e-50], dtype=torch.float64)
    _load(optimizer, saved)
    assert torch.equal(optimizer.state[weight]["exp_avg"], saved["state"][0]["exp_avg"])
