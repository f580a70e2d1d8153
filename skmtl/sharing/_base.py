"""What a sharing scheme is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from skmtl._strategy import Strategy
from skmtl.layers import Inputs, Seeds, StackedLinear


class Sharing(Strategy):
    """How tasks share: ``sharing_t(trunk(x_i))`` of the objective."""

    def adapt(self, values: np.ndarray, mask: np.ndarray, tasks: Any) -> Sharing:
        """Choose what depends on the labels, before the network is built.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_columns)
            Encoded targets of the training rows.
        mask : ndarray of shape (n_samples, n_columns), bool
            Which cells have a label.
        tasks : sequence of Task
            In the order of the columns.

        Returns
        -------
        Sharing
            The scheme with its choices made; itself where there is nothing to choose.
        """
        return self

    @abstractmethod
    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build the part of the network between the features and the heads.

        Parameters
        ----------
        trunk : Trunk
            Builds as many trunks, or blocks of them, as the scheme needs.
        inputs : Inputs
            What is known of the features.
        layout : Layout
            The tasks: ``names`` in the order of the task axis, and their output rows.
        n_members : int
            Number of networks trained side by side.
        seeds : Seeds
            Sources of randomness.

        Returns
        -------
        Body
            Features to the representation that each task's head reads.
        """


class Body(nn.Module, ABC):
    r"""Features -> one representation per task, for all members at once.

    What a trunk built is kept in ``trunk``; what the scheme adds, in other attributes.  All
    parameters have the members first, and tasks or experts after them or in the same axis.

    Attributes
    ----------
    trunk : torch.nn.Module
        The trunks, or a list of their blocks.
    out_features : int
        Width of the representation.
    is_separate : bool
        Whether each weight belongs to one task.
    shares_weights : bool
        Whether some weight is read by more than one task.
    has_common_features : bool
        Whether all heads read the same features, so that their weights can be compared.
    has_one_representation : bool
        Whether all heads read one representation, and outputs nothing else: the task axis
        has size 1.
    mixing_names : tuple of str
        Parameters that mix rather than weigh, where 0 is no neutral value: weight decay, and
        penalties on all weights, leave them alone.

    Shape
    -----
    - Input: (sample, \*shape of one sample)
    - Output: (member, task, sample, feature); the task axis has size 1 if all tasks read one
      representation
    """

    is_separate: ClassVar[bool] = False
    shares_weights: bool = True
    mixing_names: ClassVar[tuple[str, ...]] = ()
    has_common_features: bool = False
    has_one_representation: bool = False
    trunk: Any
    out_features: int

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Compute the representations."""

    def outputs(self, x: Tensor, heads: Any) -> Tensor:
        """Compute the outputs of the heads.

        Parameters
        ----------
        x : Tensor of shape (sample, ...)
            Features.
        heads : StackedHeads
            Representations to outputs.

        Returns
        -------
        Tensor of shape (member, output row, sample)
            ``heads(self(x))``, in a faster way where the scheme has one.
        """
        return heads(self(x))

    def finish(self, z: Tensor, targets: Any) -> Tensor:
        """Add what tasks read of other tasks' outputs.

        Parameters
        ----------
        z : Tensor of shape (member, output row, sample)
            Outputs of the heads.
        targets : BatchTargets or None
            Labels of the batch, in training.

        Returns
        -------
        Tensor of shape (member, output row, sample)
            Outputs of the network.
        """
        return z

    def penalty(self) -> Tensor | None:
        """Return the scheme's own term of Omega.

        Returns
        -------
        Tensor of shape () or None
            Differentiable, with its factor; None if there is none.
        """
        return None

    def relu_chain(self) -> list[StackedLinear] | None:
        """List the layers, if the body is linear layers with ReLUs behind, and no more.

        Returns
        -------
        list of StackedLinear or None
            None for any other body.
        """
        return None
