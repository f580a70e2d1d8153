"""Soft parameter sharing."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from skmtl.layers import (
    UNWEIGHTED,
    Inputs,
    Seeds,
    Stack,
    check_choice,
    check_number,
    trace_norm,
)
from skmtl.sharing._base import Body, Sharing
from skmtl.sharing._copies import stacked_parameters
from skmtl.sharing._hard import HardBody

DISTANCES = ("l2", "trace_norm")


class Soft(Sharing):
    """A trunk per task, tied by a penalty on the distance of their weights.

    ``"l2"``: ``Omega = strength * sum_layers sum_t |W_t - mean_s W_s|^2``.  ``"trace_norm"``:
    ``Omega = strength * sum_layers |W|_*`` of the matrix whose rows are the flattened weights
    of the tasks: tasks may lie in a common subspace without being alike.  Costs a trunk per
    task, as independent nets do.

    Parameters
    ----------
    distance : {"l2", "trace_norm"}, default="l2"
        How far apart the trunks are.
    strength : float, default=1e-3
        Factor of the penalty, at least 0.  At 0 the tasks are independent; infinity, for
        ``"l2"``, is one trunk for all.

    Notes
    -----
    Departure: Duong et al. tie two tasks by the squared distance of their weights; for more
    tasks the distance is to the mean.  Yang and Hospedales also flatten weights along other
    axes; this is the flattening by tasks.

    The penalty reads the trunks alone, biases too for ``"l2"``.  A net with ReLU can shrink its
    trunk and stretch its heads without changing a prediction: beside a penalty that shall bind,
    hold the heads with ``penalty=L2(part="heads")`` or `weight_decay`.

    References
    ----------
    L. Duong, T. Cohn, S. Bird, P. Cook: Low Resource Dependency Parsing: Cross-lingual
    Parameter Sharing in a Neural Network Parser, ACL 2015.
    Y. Yang, T. Hospedales: Trace Norm Regularised Deep Multi-Task Learning, ICLR 2017
    workshop (arXiv 1606.04038), last-axis flattening.

    Examples
    --------
    >>> from skmtl.sharing import Soft
    >>> Soft(strength=0.01)
    Soft(strength=0.01)
    """

    alias = "soft"

    def __init__(self, distance: str = "l2", strength: float = 1e-3) -> None:
        self.distance = distance
        self.strength = strength

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"distance": "trace_norm"}]

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build a trunk per task; one for all tasks where the penalty is infinite."""
        distance = check_choice(self.distance, "distance", DISTANCES)
        if distance == "l2" and isinstance(self.strength, Real) and self.strength == math.inf:
            return HardBody(trunk.build(inputs, n_members, seeds))
        strength = check_number(self.strength, "strength")
        stack = trunk.build(inputs, n_members * layout.n_tasks, seeds)
        return _SoftBody(stack, n_members, distance, strength)


class _SoftBody(Body):
    shares_weights = False

    def __init__(self, trunk: Stack, n_members: int, distance: str, strength: float) -> None:
        super().__init__()
        self.trunk = trunk
        self.n_members = n_members
        self.out_features = trunk.out_features
        self.distance, self.strength = distance, strength

    def forward(self, x: Tensor) -> Tensor:
        return self.trunk(x).unflatten(0, (self.n_members, -1))  # (member, task, sample, feature)

    def penalty(self) -> Tensor | None:
        """Return the distance of the tasks' weights."""
        terms = []
        for name, parameter in stacked_parameters(self.trunk).items():
            rows = parameter.unflatten(0, (self.n_members, -1)).flatten(2)  # (member, task, ...)
            if self.distance == "l2":
                terms.append((rows - rows.mean(1, keepdim=True)).square().sum())
            elif not name.endswith((*UNWEIGHTED, "_scale")):
                terms.append(trace_norm(rows).sum())
        return self.strength * torch.stack(terms).sum() if terms and self.strength else None
