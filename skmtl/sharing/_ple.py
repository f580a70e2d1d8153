"""Progressive layered extraction."""

from __future__ import annotations

from typing import Any

from skmtl.layers import Inputs, Seeds
from skmtl.sharing._base import Body, Sharing
from skmtl.sharing._extraction import extraction_body


class PLE(Sharing):
    """CGC at several levels: own and shared experts part step by step.

    At each level the experts read what the gates of the level before mixed: a task's own
    experts its own mixture, the shared experts a mixture of all experts.  The blocks of the
    trunk are the experts' layers, level by level.

    Parameters
    ----------
    n_levels : int, default=None
        Number of levels, at most the number of the trunk's blocks; None: one for each block.
        One level is CGC.
    n_shared_experts : int, default=1
        Experts of each level that all tasks read.
    n_task_experts : int, default=1
        Experts of each level and task.

    References
    ----------
    H. Tang, J. Liu, M. Zhao, X. Gong: Progressive Layered Extraction (PLE): A Novel
    Multi-Task Learning (MTL) Model for Personalized Recommendations, RecSys 2020,
    section 4.2.

    Examples
    --------
    >>> from skmtl.sharing import PLE
    >>> PLE(n_levels=2)
    PLE(n_levels=2)
    """

    alias = "ple"

    def __init__(
        self, n_levels: int | None = None, n_shared_experts: int = 1, n_task_experts: int = 1
    ) -> None:
        self.n_levels = n_levels
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
            n_levels=self.n_levels,
        )
