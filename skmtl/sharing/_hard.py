"""Hard parameter sharing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from skmtl.layers import Seeds
from skmtl.sharing._base import Sharing


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
        self,
        trunk: Any,
        *,
        input_shape: tuple[int, ...],
        task_names: Sequence[str],
        n_members: int,
        seeds: Seeds,
    ) -> nn.Module:
        r"""Build one trunk per member.

        Parameters
        ----------
        trunk : Trunk
            The trunk to share.
        input_shape : tuple of int
            Shape of one sample.
        task_names : sequence of str
            Ignored.
        n_members : int
            Number of networks.
        seeds : Seeds
            Sources of randomness.

        Returns
        -------
        torch.nn.Module
            Maps (sample, \*input_shape) to (member, 1, sample, feature).
        """
        return _Hard(trunk.build(input_shape, n_members, seeds))


class _Hard(nn.Module):
    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.out_features = trunk.out_features

    def relu_chain(self) -> Any:
        """List the layers of the trunk, if it is linear layers and ReLUs and no more."""
        chain = getattr(self.trunk, "relu_chain", None)
        return None if chain is None else chain()

    def forward(self, x: Tensor) -> Tensor:
        return self.trunk(x).unsqueeze(1)  # (member, task=1, sample, feature)
