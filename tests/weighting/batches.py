"""Batches of made losses and gradients, some tasks of which have no label."""

import torch

from tests.oracle import GivenGradients


def made(n=12, n_tasks=3, width=5, missing=0.4, n_members=1, seed=0):
    """Losses, presence and gradients; rows of absent tasks are zero, and the first lacks none."""
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    batches = []
    for i in range(n):
        present = torch.rand(n_tasks, generator=generator) >= (missing if i else 0.0)
        losses = (torch.rand(n_members, n_tasks, **draw) + 0.2) * present
        scale = torch.tensor([1.0, 3.0, 0.2] * n_tasks, dtype=torch.float64)[:n_tasks, None]
        gradients = torch.randn(n_members, n_tasks, width, **draw) * scale
        batches.append((losses, present, gradients * present[:, None]))
    return batches


def batch(losses, gradients, absent=()):
    """One batch of one member, from lists."""
    present = torch.tensor([i not in absent for i in range(len(losses))])
    values = torch.tensor([losses], dtype=torch.float64) * present
    return values, present, torch.tensor([gradients], dtype=torch.float64) * present[:, None]


def direct(module, one):
    """Weights, and the direction by what the tasks share."""
    losses, present, gradients = one
    weights, vector = module.direction(losses, present, GivenGradients(gradients))
    if vector is None:
        vector = (weights.unsqueeze(1) @ gradients).squeeze(1)
    return weights, vector
