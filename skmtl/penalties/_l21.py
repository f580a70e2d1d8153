"""Group norm over tasks: features chosen jointly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from skmtl.penalties._base import Penalty, PenaltyModule


class L21(Penalty):
    """``Omega = strength * sum_j |w_j|_2`` over the inputs j of a layer, for all tasks together.

    ``w_j`` holds all weights that read input j, of all tasks, trunks and experts: an input is of
    use to all or to none.  On the first layer that chooses features jointly; without hidden
    layers it is the multi-task lasso.

    Parameters
    ----------
    strength : float, default=1e-4
        Factor, at least 0.
    part : {"input", "heads"}, default="input"
        The layer that reads the features (the heads, where there is no hidden layer), or the
        heads' layers.

    Notes
    -----
    A gradient step does not set a weight to exactly 0: judge inputs by the norm of their
    weights.  scikit-learn's ``MultiTaskLasso(alpha)`` halves the squared error: its alpha is
    half of `strength`.

    References
    ----------
    A. Argyriou, T. Evgeniou, M. Pontil: Convex Multi-task Feature Learning, Machine Learning
    73, 2008.
    G. Obozinski, B. Taskar, M. I. Jordan: Joint Covariate Selection and Joint Subspace
    Selection for Multiple Classification Problems, Statistics and Computing 20, 2010.

    Examples
    --------
    >>> from skmtl.penalties import L21
    >>> L21(0.01)
    L21(strength=0.01)
    """

    alias = "l21"
    parts: ClassVar[tuple[str, ...]] = ("input", "heads")

    def __init__(self, strength: float = 1e-4, part: str = "input") -> None:
        self.strength = strength
        self.part = part

    def build(self, layout: Any, n_members: int) -> PenaltyModule:
        """Build the term."""
        return _L21(self, n_members)


class _L21(PenaltyModule):
    def of_weights(self, weights: Sequence[Tensor]) -> Tensor:
        if any(weight.dim() != 3 for weight in weights):
            shapes = [tuple(weight.shape) for weight in weights]
            raise ValueError(
                "The penalty 'l21' needs layers with weights of shape (copy, input, output), such "
                f"as those of the trunks 'mlp' and 'resnet' without embeddings. Found {shapes} in part "
                f"{self.part!r}."
            )
        if self.part == "input":  # several stacks may read the same features
            return _norms([_by_input(weight, self.n_members) for weight in weights])
        return torch.stack([_norms([_by_input(w, self.n_members)]) for w in weights]).sum()


def _by_input(weight: Tensor, n_members: int) -> Tensor:
    """Turn (member and copy, input, output) into (member, input, copy and output)."""
    return weight.unflatten(0, (n_members, -1)).transpose(1, 2).flatten(2)


def _norms(groups: list[Tensor]) -> Tensor:
    return torch.linalg.vector_norm(torch.cat(groups, dim=-1), dim=-1).sum()
