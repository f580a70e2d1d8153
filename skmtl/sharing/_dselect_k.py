"""DSelect-k."""

from __future__ import annotations

import math
from functools import reduce
from operator import mul
from typing import Any

import torch
from torch import Tensor, nn

from skmtl.layers import Inputs, Seeds, Stack, check_number, check_whole
from skmtl.sharing._base import Body, Sharing
from skmtl.sharing._hard import HardBody


class DSelectK(Sharing):
    """Experts that all tasks share, of which each task selects a few.

    ``h_it = sum_e q_te trunk_e(x_i)`` with ``q_t = sum_j softmax(alpha_t)_j r(z_tj)`` over k
    selectors.  A selector ``r(z)`` writes the number of its expert in binary digits,
    ``r(z)_e = prod_b S(z_b)^(e_b) (1 - S(z_b))^(1 - e_b)``, where the smooth step S is exactly
    0 or 1 away from the origin: training ends with at most k experts per task.  The selection
    is the same for all samples.

    Parameters
    ----------
    n_experts : int, default=4
        Number of experts.
    n_selected : int, default=2
        The largest number of experts that a task selects (k in the paper).
    entropy : float, default=1e-2
        Factor of the selectors' entropy, a penalty that makes them decide.
    step_width : float, default=1.0
        Width gamma of the smooth step, above 0.

    Notes
    -----
    Departure: where `n_experts` is no power of 2, the numbers left over stand for the first
    experts again, so that weights always sum to 1; the paper penalises them.  Codes and shares
    start within a tenth of the step's width and of 1.

    References
    ----------
    H. Hazimeh, Z. Zhao, A. Chowdhery, M. Sathiamoorthy, Y. Chen, R. Mazumder, L. Hong,
    E. H. Chi: DSelect-k: Differentiable Selection in the Mixture of Experts with Applications
    to Multi-Task Learning, NeurIPS 2021, section 3 (static gates).

    Examples
    --------
    >>> from skmtl.sharing import DSelectK
    >>> DSelectK(n_experts=8)
    DSelectK(n_experts=8)
    """

    alias = "dselect_k"

    def __init__(
        self,
        n_experts: int = 4,
        n_selected: int = 2,
        entropy: float = 1e-2,
        step_width: float = 1.0,
    ) -> None:
        self.n_experts = n_experts
        self.n_selected = n_selected
        self.entropy = entropy
        self.step_width = step_width

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"n_experts": 3, "n_selected": 1}]

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build experts and selectors; a trunk without a layer has nothing to select."""
        n_experts = check_whole(self.n_experts, "n_experts")
        check_whole(self.n_selected, "n_selected")
        check_number(self.entropy, "entropy")
        check_number(self.step_width, "step_width", above=True)
        if not trunk.blocks(inputs) or n_experts == 1:
            return HardBody(trunk.build(inputs, n_members, seeds))
        experts = trunk.build(inputs, n_members * n_experts, seeds)
        return _DSelectKBody(experts, self, layout.n_tasks, n_members, seeds)


def smooth_step(z: Tensor, width: float) -> Tensor:
    """A cubic that rises from 0 at ``-width / 2`` to 1 at ``width / 2``, and is flat outside.

    Parameters
    ----------
    z : Tensor
        Numbers.
    width : float
        Width gamma of the rise.

    Returns
    -------
    Tensor
        In [0, 1].
    """
    t = (z / width).clamp(-0.5, 0.5)
    return -2 * t**3 + 1.5 * t + 0.5


class _DSelectKBody(Body):
    has_common_features = True
    mixing_names = ("codes", "shares")
    digits: Tensor

    def __init__(
        self, trunk: Stack, scheme: DSelectK, n_tasks: int, n_members: int, seeds: Seeds
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.out_features = trunk.out_features
        self.entropy, self.step_width = scheme.entropy, scheme.step_width
        self.n_experts, k = scheme.n_experts, scheme.n_selected
        n_digits = max(1, math.ceil(math.log2(self.n_experts)))
        numbers = torch.arange(2**n_digits)
        digits = (numbers.unsqueeze(1) >> torch.arange(n_digits)) & 1
        self.register_buffer("digits", digits.bool(), persistent=False)  # (number, digit)
        # Near the middle of the step, where its slope is largest.
        bound = 0.1 * self.step_width
        self.codes = nn.Parameter(torch.empty(n_members, n_tasks, k, n_digits, dtype=torch.float32))
        nn.init.uniform_(self.codes, -bound, bound, generator=seeds.weights)
        self.shares = None  # of a single selector: 1
        if k > 1:
            self.shares = nn.Parameter(torch.empty(n_members, n_tasks, k, dtype=torch.float32))
            nn.init.uniform_(self.shares, -0.1, 0.1, generator=seeds.weights)

    def _selectors(self) -> Tensor:
        """Return the weight of each expert, shape (member, task, selector, expert)."""
        step = smooth_step(self.codes, self.step_width).unsqueeze(-2)
        by_digit = torch.where(self.digits, step, 1 - step).unbind(-1)
        by_number = reduce(mul, by_digit)  # `prod` waits for the device in its backward
        n_rest = by_number.shape[-1] - self.n_experts
        first, rest = by_number.split([self.n_experts, n_rest], dim=-1)
        return first + nn.functional.pad(rest, (0, self.n_experts - n_rest))

    def selection(self) -> Tensor:
        """Return the weights of the experts, shape (member, task, expert)."""
        selectors = self._selectors()
        if self.shares is not None:
            selectors = selectors * torch.softmax(self.shares, dim=-1).unsqueeze(-1)
        return selectors.sum(-2)

    def outputs(self, x: Tensor, heads: Any) -> Tensor:
        """Mix the experts' outputs, which are fewer than their features."""
        if heads.hidden:
            return heads(self(x))
        weights = self.selection()
        experts = self.trunk(x).unflatten(0, (len(weights), self.n_experts))
        return heads.mixture(weights.transpose(1, 2).unsqueeze(-1), experts)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the experts."""
        weights = self.selection()
        experts = self.trunk(x).unflatten(0, (len(weights), self.n_experts))
        mixed = torch.bmm(weights, experts.flatten(2))
        return mixed.unflatten(-1, experts.shape[2:])  # (member, task, sample, feature)

    def penalty(self) -> Tensor | None:
        """Return the entropy of the selectors."""
        if self.entropy == 0:
            return None
        selectors = self._selectors()
        return self.entropy * -torch.special.xlogy(selectors, selectors.clamp_min(1e-12)).sum()
