"""Equal weights."""

from __future__ import annotations

from typing import Any

from skmtl.layers import Seeds
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._fixed import Fixed


class Equal(Weighting):
    """Every task counts alike: ``L = sum_t L_t``.

    The default.  Losses of numbers are relative to that of a constant prediction, losses of
    classes in nats (`normalize_losses`), so that none depends on a unit.  Hard to beat: compare
    every other weighting with it.

    References
    ----------
    R. Caruana: Multitask Learning, Machine Learning 28, 1997.

    D. Xin et al.: Do Current Multi-Task Optimization Methods in Deep Learning Even Help?,
    NeurIPS 2022, arXiv:2209.11379.

    Examples
    --------
    >>> from skmtl.weighting import Equal
    >>> Equal()
    Equal()
    """

    alias = "equal"

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module with constant weights.

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
            Adds the losses up.
        """
        return Fixed().build(layout, n_members, seeds)
