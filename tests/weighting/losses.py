"""Weightings that read losses alone, and losses by hand."""

import torch

from tests.oracle import new_seeds, numbers


def built(weighting, n_tasks=3, n_members=1):
    """The module of a weighting, in double precision."""
    return weighting.build(numbers(*"abcdefgh"[:n_tasks]), n_members, new_seeds()).double()


def doubles(*rows):
    """A tensor of these rows."""
    return torch.tensor(rows, dtype=torch.float64)


def here(*flags):
    """Which tasks are present."""
    return torch.tensor(flags, dtype=torch.bool)
