"""Customized gate control."""

from __future__ import annotations

from typing import Any

from skmtl.layers import Inputs, Seeds
from skmtl.sharing._base import Body, Sharing
from skmtl.sharing._extraction import extraction_body


class CGC(Sharing):
    """Experts of each task beside shared ones, with a gate per task over both.

    ``h_it = sum_e g_te(x_i) expert_e(x_i)`` over the shared experts and task t's own; a task
    that gains nothing from the others can turn to its own experts.  Costs a trunk for each
    shared expert and for each own expert of every task.

    Parameters
    ----------
    n_shared_experts : int, default=1
        Experts that all tasks read.  With none, and one own expert, tasks are independent.
    n_task_experts : int, default=1
        Experts of each task.  With none, this is MMoE.

    References
    ----------
    H. Tang, J. Liu, M. Zhao, X. Gong: Progressive Layered Extraction (PLE): A Novel
    Multi-Task Learning (MTL) Model for Personalized Recommendations, RecSys 2020,
    section 4.1.

    Examples
    --------
    >>> from skmtl.sharing import CGC
    >>> CGC(n_shared_experts=2)
    CGC(n_shared_experts=2)
    """

    alias = "cgc"

    def __init__(self, n_shared_experts: int = 1, n_task_experts: int = 1) -> None:
        self.n_shared_experts = n_shared_experts
        self.n_task_experts = n_task_experts

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"n_shared_experts": 2, "n_task_experts": 2}]

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build experts and gates; a trunk without a layer has nothing to mix."""
        return extraction_body(
            trunk,
            inputs,
            layout.n_tasks,
            n_members,
            seeds,
            n_shared_experts=self.n_shared_experts,
            n_task_experts=self.n_task_experts,
            n_levels=1,
        )
