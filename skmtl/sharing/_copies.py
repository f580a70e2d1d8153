"""The parameters of a trunk's copies, side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skmtl.layers import COPY_OF_MODULE


def stacked_parameters(trunk: nn.Module) -> dict[str, Tensor]:
    """Return the parameters of a trunk with its copies as the first axis.

    Parameters
    ----------
    trunk : torch.nn.Module
        Built in some number of copies.

    Returns
    -------
    dict of str to Tensor of shape (copy, ...)
        By name; those of a user's module, of which each copy has its own, are stacked.
    """
    found: dict[str, list[Tensor]] = {}
    for name, parameter in trunk.named_parameters():
        # The first number only: the module of the user's may have copies of its own.
        found.setdefault(COPY_OF_MODULE.sub("copies.", name, count=1), []).append(parameter)
    return {
        name: torch.stack(tensors) if "copies." in name else tensors[0]
        for name, tensors in found.items()
    }
