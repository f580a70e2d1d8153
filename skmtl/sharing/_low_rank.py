"""Task weights as combinations of latent tasks."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from skmtl.layers import Inputs, Seeds, Stack, check_number, check_whole
from skmtl.sharing._base import Body, Sharing
from skmtl.sharing._copies import stacked_parameters

#: A call with other parameters puts them into the module for its time: other threads wait.
_one_at_a_time = threading.Lock()


class LowRank(Sharing):
    """A trunk per task whose weights are combinations of a few latent trunks' weights.

    ``theta_t = sum_k s_tk theta_k`` in every layer: tasks that combine the same latent trunks
    share, others do not, and partial overlap is possible.  Costs a trunk per task, plus the
    combination of the weights in each step; has as many weights as `n_latent` trunks.

    Parameters
    ----------
    n_latent : int, default=None
        Number of latent trunks; None: half the number of tasks, plus one half, rounded up.
        One, with weights 1, is hard sharing; as many as tasks start as nearly independent.
    sparsity : float, default=1e-3
        Factor of ``sum |s_tk|``, which lets a task use few of them.

    References
    ----------
    A. Kumar, H. Daumé III: Learning Task Grouping and Overlap in Multi-Task Learning (GO-MTL),
    ICML 2012, section 3.
    Y. Yang, T. Hospedales: Deep Multi-task Representation Learning: A Tensor Factorisation
    Approach, ICLR 2017 (last-axis flattening).

    Examples
    --------
    >>> from skmtl.sharing import LowRank
    >>> LowRank(n_latent=2)
    LowRank(n_latent=2)
    """

    alias = "low_rank"

    def __init__(self, n_latent: int | None = None, sparsity: float = 1e-3) -> None:
        self.n_latent = n_latent
        self.sparsity = sparsity

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"n_latent": 2}]

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build the latent trunks and their combinations."""
        check_number(self.sparsity, "sparsity")
        n_latent = (layout.n_tasks + 2) // 2
        if self.n_latent is not None:
            n_latent = check_whole(self.n_latent, "n_latent")
        latent = trunk.build(inputs, n_members * n_latent, seeds)
        return _LowRankBody(latent, (n_members, layout.n_tasks, n_latent), self.sparsity)


class _LowRankBody(Body):
    mixing_names = ("combinations",)

    def __init__(self, trunk: Stack, size: tuple[int, int, int], sparsity: float) -> None:
        super().__init__()
        self.trunk = trunk
        self.out_features = trunk.out_features
        self.n_members, self.n_tasks, n_latent = size
        self.sparsity = sparsity
        # Each task starts with one latent trunk and a little of the others.
        others = 0.1 / max(n_latent - 1, 1)
        start = torch.full((self.n_tasks, n_latent), others, dtype=torch.float32)
        start[torch.arange(self.n_tasks), torch.arange(self.n_tasks) % n_latent] = (
            0.9 if n_latent > 1 else 1.0
        )
        self.combinations = None
        if len(trunk.blocks):  # else there are no weights to combine
            self.combinations = nn.Parameter(start.repeat(self.n_members, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.combinations is None:
            h: Tensor = self.trunk(x)
            return h.unflatten(0, (self.n_members, -1))[:, :1]  # (member, task=1, sample, feature)
        for block in self.trunk.blocks:
            with _one_at_a_time:
                stacked = stacked_parameters(block)
                combined = {name: self._combine(p) for name, p in stacked.items()}
                if hasattr(block, "call_copies"):
                    x = block.call_copies(combined, x)
                else:
                    x = functional_call(block, combined, (x,))
        return x.unflatten(0, (self.n_members, self.n_tasks))  # (member, task, sample, feature)

    def _combine(self, parameter: Tensor) -> Tensor:
        """Turn (member and latent, ...) into (member and task, ...)."""
        assert self.combinations is not None
        latent = parameter.unflatten(0, (self.n_members, -1))
        tasks = torch.bmm(self.combinations, latent.flatten(2))
        return tasks.view(-1, *parameter.shape[1:])

    def penalty(self) -> Tensor | None:
        """Return the penalty on the combinations."""
        if self.sparsity == 0 or self.combinations is None:
            return None
        return self.sparsity * self.combinations.abs().sum()
