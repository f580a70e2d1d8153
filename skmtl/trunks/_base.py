"""What a trunk is."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import nn

from skmtl._strategy import Strategy
from skmtl.layers import Seeds


class Trunk(Strategy):
    """Features -> representation: ``trunk(x_i)`` of the objective.

    Attributes
    ----------
    takes_arrays : bool
        Whether the trunk reads samples with more than one axis (images, sequences).
    follows_dtype : bool
        Whether the trunk computes in the type of its weights, whatever that is.
    test_input_shape : tuple of int
        Shape of one sample in the contract tests.
    """

    takes_arrays: ClassVar[bool] = False
    follows_dtype: ClassVar[bool] = True
    test_input_shape: ClassVar[tuple[int, ...]] = (5,)

    @abstractmethod
    def build(self, input_shape: tuple[int, ...], n_copies: int, seeds: Seeds) -> nn.Module:
        r"""Build `n_copies` trunks of their own weights.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one sample.
        n_copies : int
            How many trunks to build side by side.
        seeds : Seeds
            Sources of randomness.

        Returns
        -------
        torch.nn.Module
            Maps (sample, \*input_shape), shared by all copies, or
            (copy, sample, \*input_shape) to (copy, sample, feature); has ``out_features``.
        """
