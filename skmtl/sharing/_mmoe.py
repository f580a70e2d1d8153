"""Multi-gate mixture of experts."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from skmtl.layers import Inputs, Seeds, Stack, check_flag, check_whole
from skmtl.sharing._base import Body, Sharing
from skmtl.sharing._gate import Gate, mix
from skmtl.sharing._hard import HardBody


class MMoE(Sharing):
    """Experts that all tasks share, and a gate per task that weighs them.

    ``h_it = sum_e g_te(x_i) trunk_e(x_i)`` with ``g_t(x) = softmax(x V_t + b_t)``: each expert is a
    trunk, and a task chooses its mixture for each sample.  For tasks that are related to
    different degrees; costs about as much as `n_experts` trunks.

    Parameters
    ----------
    n_experts : int, default=4
        Number of experts.  One expert is hard sharing.
    shared_gate : bool, default=False
        One gate for all tasks (the one-gate mixture, OMoE, that the paper compares with).

    References
    ----------
    J. Ma, Z. Zhao, X. Yi, J. Chen, L. Hong, E. H. Chi: Modeling Task Relationships in
    Multi-task Learning with Multi-gate Mixture-of-Experts, KDD 2018, sections 3 and 4, with
    one gate for all tasks (OMoE) beside it.

    Examples
    --------
    >>> from skmtl.sharing import MMoE
    >>> MMoE(n_experts=8)
    MMoE(n_experts=8)
    """

    alias = "mmoe"

    def __init__(self, n_experts: int = 4, shared_gate: bool = False) -> None:
        self.n_experts = n_experts
        self.shared_gate = shared_gate

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{"n_experts": 3}, {"n_experts": 2, "shared_gate": True}]

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build experts and gates; a trunk without a layer has nothing to mix."""
        n_experts = check_whole(self.n_experts, "n_experts")
        shared_gate = check_flag(self.shared_gate, "shared_gate")
        if not trunk.blocks(inputs):
            return HardBody(trunk.build(inputs, n_members, seeds))
        n_gates = 1 if shared_gate else layout.n_tasks
        return _MMoEBody(
            trunk.build(inputs, n_members * n_experts, seeds),
            Gate(n_members, n_gates, inputs, n_experts, seeds),
        )


class _MMoEBody(Body):
    has_common_features = True

    def __init__(self, trunk: Stack, gate: Gate) -> None:
        super().__init__()
        self.trunk = trunk
        self.gate = gate
        self.out_features = trunk.out_features

    def forward(self, x: Tensor) -> Tensor:
        return mix(self.gate(x), self._experts(x))  # (member, task or 1, sample, feature)

    def outputs(self, x: Tensor, heads: Any) -> Tensor:
        """Mix the experts' outputs, which are fewer than their features."""
        if heads.hidden:
            return heads(self(x))
        return heads.mixture(self.gate(x), self._experts(x))

    def _experts(self, x: Tensor) -> Tensor:
        """Return what the experts make of x, shape (member, expert, sample, feature)."""
        return self.trunk(x).unflatten(0, (self.gate.n_members, -1))
