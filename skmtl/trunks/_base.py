"""What a trunk is."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from skmtl._strategy import Strategy
from skmtl.layers import Block, Inputs, Seeds, Stack


class Trunk(Strategy):
    """Features -> representation: ``trunk(x_i)`` of the objective.

    A trunk is a list of blocks, which a sharing scheme may build in any number of copies and
    put something between.

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

    @property
    def n_submodels(self) -> int:
        """How many models the trunk holds that share most of their weights.

        A trunk of k submodels is given each batch k times, one after the other, and each
        submodel has heads of its own; a prediction is their mean.
        """
        return 1

    @abstractmethod
    def blocks(self, inputs: Inputs) -> list[Block]:
        """Plan the blocks.

        Parameters
        ----------
        inputs : Inputs
            What is known of the features.

        Returns
        -------
        list of Block
            From the features on; the last has outputs of shape (feature,).  Empty: the
            features are the representation.
        """

    def build(self, inputs: Inputs, n_copies: int, seeds: Seeds) -> Stack:
        r"""Build all blocks, in copies of their own weights.

        Parameters
        ----------
        inputs : Inputs
            What is known of the features.
        n_copies : int
            How many trunks to build side by side.
        seeds : Seeds
            Sources of randomness.

        Returns
        -------
        Stack
            Maps (sample, \*inputs.shape), shared by all copies, or
            (copy, sample, \*inputs.shape) to (copy, sample, feature).
        """
        return Stack(self.blocks(inputs), inputs, n_copies, seeds)
