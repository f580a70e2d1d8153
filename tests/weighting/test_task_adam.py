import pytest
import torch

from skmtl.weighting._task_adam import TaskAdam
from tests.weighting.losses import doubles, here

N_TASKS = 4


def steps(n=60, missing=0.5):
    """Gradients of two members, and which tasks are present."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(n):
        present = torch.rand(N_TASKS, generator=generator) >= missing
        yield torch.randn(2, N_TASKS, generator=generator, dtype=torch.float64), present


def test_the_first_step_is_the_learning_rate():
    adam = TaskAdam(1, 3, lr=0.1).double()
    step = adam.step(doubles([5.0, -1e-3, 7.0]), here(1, 1, 0))
    torch.testing.assert_close(step, doubles([0.1, -0.1, 0.0]), rtol=1e-4, atol=0)


@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_each_task_has_the_adam_of_torch_to_itself(missing):
    adam = TaskAdam(2, N_TASKS, lr=0.03).double()
    theirs = [torch.zeros(2, dtype=torch.float64, requires_grad=True) for _ in range(N_TASKS)]
    optimizers = [torch.optim.Adam([number], lr=0.03) for number in theirs]
    ours = torch.zeros(2, N_TASKS, dtype=torch.float64)
    for gradient, present in steps(missing=missing):
        ours -= adam.step(gradient, present)
        for task in present.nonzero().flatten().tolist():
            theirs[task].grad = gradient[:, task].clone()
            optimizers[task].step()
        torch.testing.assert_close(ours, torch.stack(theirs, 1).detach(), rtol=1e-9, atol=1e-12)


def test_a_task_that_never_has_a_label_stands_still():
    adam = TaskAdam(1, 2, lr=0.1).double()
    for _ in range(5):
        assert adam.step(doubles([1.0, 1.0]), here(1, 0))[0, 1] == 0.0
    assert not adam.means[..., 1].any()
    assert adam.step(doubles([0.0, 0.0]), here(0, 1)).tolist() == [[0, 0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_keeps_its_dtype_and_holds_no_graph(dtype):
    adam = TaskAdam(1, 2, lr=0.1).to(dtype)
    for _ in range(2):
        step = adam.step(torch.ones(1, 2, dtype=dtype, requires_grad=True), here(1, 1))
    assert step.dtype == dtype
    assert not step.requires_grad
    assert not adam.means.requires_grad


def test_single_precision_without_a_cast():
    assert TaskAdam(1, 2, lr=0.1).step(torch.ones(1, 2), here(1, 1)).dtype == torch.float32
