"""What a sharing scheme is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import nn

from skmtl._strategy import Strategy
from skmtl.layers import Seeds


class Sharing(Strategy):
    """How tasks share: ``sharing_t(trunk(x_i))`` of the objective."""

    @abstractmethod
    def build(
        self,
        trunk: Any,
        *,
        input_shape: tuple[int, ...],
        task_names: Sequence[str],
        n_members: int,
        seeds: Seeds,
    ) -> nn.Module:
        r"""Build the part of the network between the features and the heads.

        Parameters
        ----------
        trunk : Trunk
            Builds as many trunks as the scheme needs.
        input_shape : tuple of int
            Shape of one sample.
        task_names : sequence of str
            Tasks in the order of the task axis.
        n_members : int
            Number of networks trained side by side.
        seeds : Seeds
            Sources of randomness.

        Returns
        -------
        torch.nn.Module
            Maps (sample, \*input_shape) to (member, task, sample, feature), where the task
            axis has size 1 if all tasks read one representation; has ``out_features``, and
            its trunks, stacked, in ``trunk``.  A scheme in which each weight belongs to one
            task says so by ``is_separate = True``.
        """
