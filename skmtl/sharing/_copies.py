"""The parameters of a trunk's copies, side by side."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

#: The copy in the name of a parameter of a user's module.
_COPY = re.compile(r"(^|\.)copies\.(\d+)\.")


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
        found.setdefault(_COPY.sub(r"\1copies.", name), []).append(parameter)
    return {
        name: torch.stack(tensors) if ".copies." in f".{name}" else tensors[0]
        for name, tensors in found.items()
    }
