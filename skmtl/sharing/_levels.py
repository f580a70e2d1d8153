"""Trunks level by level: what schemes that act between blocks have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from skmtl.layers import Block, Inputs


def for_copies(h: Tensor, n_copies: int) -> Tensor:
    """Give each member's representation to `n_copies` copies of the next block.

    Parameters
    ----------
    h : Tensor of shape (member, sample, ...)
        Representations.
    n_copies : int
        Copies in each member.

    Returns
    -------
    Tensor of shape (member and copy, sample, ...), or (sample, ...) for a single member
        A view where that is possible: copies of one input are faster without a copy of it.
    """
    if len(h) == 1:
        return h[0]
    return h.unsqueeze(1).expand(-1, n_copies, *h.shape[1:]).flatten(0, 1)


def levels(
    blocks: Sequence[Block], inputs: Inputs, n_levels: int | None
) -> list[tuple[list[Block], Inputs]]:
    """Split the blocks of a trunk into levels.

    Parameters
    ----------
    blocks : sequence of Block
        The trunk, with at least one block.
    inputs : Inputs
        What the first reads.
    n_levels : int or None
        Number of levels, of nearly equal numbers of blocks; None: one for each block.

    Returns
    -------
    list of (list of Block, Inputs)
        The blocks of each level and what the level reads.

    Raises
    ------
    ValueError
        If there are fewer blocks than levels.
    """
    n_levels = len(blocks) if n_levels is None else n_levels
    if n_levels > len(blocks):
        raise ValueError(
            f"Parameter `n_levels` can be at most the number of blocks of the trunk, {len(blocks)}"
            f" here. Found `n_levels = {n_levels}`. Give the trunk more layers, or lower it."
        )
    parts = [list(part) for part in np.array_split(np.arange(len(blocks)), n_levels)]
    reads = [inputs, *(Inputs(blocks[part[-1]].output_shape) for part in parts[:-1])]
    return [([blocks[i] for i in part], read) for part, read in zip(parts, reads, strict=True)]


def near_identity(size: int, self_weight: float) -> Tensor:
    """Return a matrix with `self_weight` on the diagonal whose rows sum to 1.

    Parameters
    ----------
    size : int
        Number of rows.
    self_weight : float
        In [0, 1]; 1 where there is one row.

    Returns
    -------
    Tensor of shape (size, size)
        The matrix.
    """
    others = (1 - self_weight) / max(size - 1, 1)
    matrix = torch.full((size, size), others, dtype=torch.float32)
    return matrix.fill_diagonal_(self_weight if size > 1 else 1.0)
