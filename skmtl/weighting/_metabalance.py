"""One main task, and auxiliary tasks whose gradients are as long as its."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skmtl._strategy import did_you_mean
from skmtl.layers import Seeds, check_number, check_probability
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._norm_weights import NormWeights


class MetaBalance(Weighting):
    r"""Auxiliary tasks with gradients as long as those of the main task.

    ``w_t = r m_main / m_t + (1 - r)``, where ``m_t`` is a running mean of the length of the
    gradient of task t.  Use it where one task matters and the others are there to help it:
    they neither drown it nor vanish beside it.

    Parameters
    ----------
    main : str
        Name of the task that matters, whose weight is 1.
    relax : float, default=0.7
        ``r`` in [0, 1]: how close the lengths come; 0: equal weights.
    beta : float, default=0.9
        Decay of the running means, in [0, 1).
    wrt : {"auto", "representation", "parameters"}, default="auto"
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.
    update_every : int, default=8
        Steps for which weights are kept.

    Notes
    -----
    Departure: lengths are those of the whole gradient, where the paper balances each parameter
    tensor by itself.  A mean over k batches is divided by ``1 - beta^k``, which makes no
    difference as long as all tasks have labels in all batches.  Until the main task has had a
    label, all weights are 1; in a batch without one its last mean counts.

    References
    ----------
    Y. He, X. Feng, C. Cheng, G. Ji, Y. Guo, J. Caverlee: MetaBalance: Improving Multi-Task
    Recommendations via Adapting Gradient Magnitudes of Auxiliary Tasks, WWW 2022,
    arXiv:2203.06801.

    Examples
    --------
    >>> from skmtl.weighting import MetaBalance
    >>> MetaBalance("price", relax=1.0)
    MetaBalance(main='price', relax=1.0)
    """

    alias = "metabalance"
    needs_gradients = True

    def __init__(
        self,
        main: str,
        relax: float = 0.7,
        beta: float = 0.9,
        wrt: str = "auto",
        update_every: int = 8,
    ) -> None:
        self.main = main
        self.relax = relax
        self.beta = beta
        self.wrt = wrt
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{"main": "a"}, {"main": "a", "relax": 1.0, "beta": 0.0, "update_every": 2}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module with weights of 1.

        Parameters
        ----------
        layout : Layout
            The tasks.
        n_members : int
            Number of networks.
        seeds : Seeds
            Ignored.

        Returns
        -------
        WeightingModule
            Keeps the lengths of gradients.

        Raises
        ------
        ValueError
            If there is no task of the name.
        """
        names = list(layout.names)
        if self.main not in names:
            raise ValueError(
                f"Parameter `main` must be one of the tasks {sorted(names)}. Found "
                f"`main = {self.main!r}`.{did_you_mean(self.main, names)}"
            )
        relax = check_number(self.relax, "relax", most=1.0)
        beta = check_probability(self.beta, "beta")
        position = names.index(self.main)
        rule = _MetaBalanceRule(position, relax, beta, n_members, layout.n_tasks)
        return NormWeights(rule, layout, n_members, self.wrt, self.update_every)


class _MetaBalanceRule(nn.Module):
    means: Tensor
    mass: Tensor

    def __init__(self, main: int, relax: float, beta: float, n_members: int, n_tasks: int) -> None:
        super().__init__()
        self.main = main
        self.relax = relax
        self.beta = beta
        self.register_buffer("means", torch.zeros(n_members, n_tasks))
        self.register_buffer("mass", torch.zeros(n_members, n_tasks))  # the mean of ones

    def forward(self, losses: Tensor, present: Tensor, norms: Tensor) -> Tensor:
        moves = (1 - self.beta) * present.to(norms.dtype)
        self.means = self.means.lerp(norms, moves)
        self.mass = self.mass + moves * (1 - self.mass)
        tiny = torch.finfo(norms.dtype).tiny  # against 0 / 0
        means = self.means / self.mass.clamp_min(tiny)
        main = means[:, self.main : self.main + 1]
        weights = self.relax * main / means.clamp_min(tiny) + (1 - self.relax)
        # Nothing is known of a main task never seen, and a gradient of 0 cannot be scaled.
        is_known = self.mass[:, self.main : self.main + 1] > 0
        return torch.where(is_known & (means > 0), weights, 1.0)
