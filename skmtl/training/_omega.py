"""The terms of ``Omega(theta)`` that read weights, for one network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from skmtl.training._network import Network


class Omega:
    """The terms of ``Omega(theta)`` that read weights, the sharing scheme's too.

    Which weights they read is looked up once: it takes a quarter of a small step.

    Parameters
    ----------
    penalties : iterable of PenaltyModule
        Those that read losses are left out.
    network : Network
        Whose weights the penalties read; it keeps its parameters.
    """

    def __init__(self, penalties: Iterable[Any], network: Network) -> None:
        self._network = network
        # A penalty, what its value counts, and the weights that it reads.
        self._terms: list[tuple[Any, float, list[Tensor]]] = []
        for penalty in penalties:
            if penalty.reads_losses:
                continue
            weights = network.weights(penalty.part)
            heads = {id(p) for p in network.weights("heads")} if network.n_submodels > 1 else set()
            once = [w for w in weights if id(w) not in heads]
            each = [w for w in weights if id(w) in heads]  # of every submodel: their mean counts
            shares = ((1.0, once), (1.0 / network.n_submodels, each))
            self._terms += [(penalty, share, read) for share, read in shares if read]

    def __call__(self) -> Tensor | None:
        """Return the sum of the terms, differentiable; None if there is no such term."""
        own = self._network.body.penalty()
        terms = [] if own is None else [own]
        for penalty, share, weights in self._terms:
            terms.append(penalty.strength * share * penalty.of_weights(weights))
        return sum(terms) if terms else None

    def backward(self) -> None:
        """Add the gradient of the terms to ``.grad`` of the weights."""
        value = self()
        if value is not None and value.requires_grad:
            value.backward()
