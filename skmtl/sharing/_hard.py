"""Hard parameter sharing."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from skmtl.layers import Inputs, Seeds, Stack, StackedLinear
from skmtl.sharing._base import Body, Sharing


class Hard(Sharing):
    """One trunk for all tasks; only the heads are their own.

    The first choice where tasks are related and data are few: every label shapes the one
    representation ``h_i = trunk(x_i)`` that all heads read.

    References
    ----------
    R. Caruana: Multitask Learning, Machine Learning 28, 1997, section 1.

    Examples
    --------
    >>> from skmtl.sharing import Hard
    >>> Hard.alias
    'hard'
    """

    alias = "hard"

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build one trunk per member.

        Parameters
        ----------
        trunk : Trunk
            The trunk to share.
        inputs : Inputs
            What is known of the features.
        layout : Layout
            Ignored.
        n_members : int
            Number of networks.
        seeds : Seeds
            Sources of randomness.

        Returns
        -------
        Body
            Its task axis has size 1.
        """
        return HardBody(trunk.build(inputs, n_members, seeds))


class HardBody(Body):
    """One trunk per member.

    Parameters
    ----------
    trunk : Stack
        Built.
    """

    has_common_features = True
    has_one_representation = True

    def __init__(self, trunk: Stack) -> None:
        super().__init__()
        self.trunk = trunk
        self.out_features = trunk.out_features

    def relu_chain(self) -> list[StackedLinear] | None:
        """List the layers of the trunk, if it is linear layers and ReLUs and no more."""
        return self.trunk.relu_chain()

    def forward(self, x: Tensor) -> Tensor:
        """Apply the trunk."""
        return self.trunk(x).unsqueeze(1)  # (member, task=1, sample, feature)
