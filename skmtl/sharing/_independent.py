"""No sharing: a net per task."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from skmtl.layers import Inputs, Seeds, Stack, StackedLinear
from skmtl.sharing._base import Body, Sharing


class Independent(Sharing):
    """A trunk of its own for each task, all trained as one stacked program.

    The baseline that every sharing scheme has to beat: ``h_it = trunk_t(x_i)``.  It equals
    one network per task that sees the same batches; early stopping, too, judges each task
    by itself.  Where no task has labels in more than half of the rows, a batch holds for each
    net rows of its own labels alone: as many batches as the task with the most labels needs,
    over which the others spread theirs.

    References
    ----------
    R. Caruana: Multitask Learning, Machine Learning 28, 1997, section 1 (single-task
    learning).

    Examples
    --------
    >>> from skmtl.sharing import Independent
    >>> Independent.alias
    'independent'
    """

    alias = "independent"

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build a trunk per member and task.

        Parameters
        ----------
        trunk : Trunk
            The trunk that each task gets a copy of.
        inputs : Inputs
            What is known of the features.
        layout : Layout
            The tasks.
        n_members : int
            Number of networks.
        seeds : Seeds
            Sources of randomness.

        Returns
        -------
        Body
            In which each weight belongs to one task.
        """
        return IndependentBody(trunk.build(inputs, n_members * layout.n_tasks, seeds), n_members)


class IndependentBody(Body):
    """A trunk per member and task.

    Parameters
    ----------
    trunk : Stack
        Built; its copies run over members, then tasks.
    n_members : int
        Number of networks.
    """

    is_separate = True
    shares_weights = False

    def __init__(self, trunk: Stack, n_members: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.n_members = n_members
        self.out_features = trunk.out_features

    def relu_chain(self) -> list[StackedLinear] | None:
        """List the layers of the trunks, if they are linear layers and ReLUs and no more."""
        return self.trunk.relu_chain()

    def forward(self, x: Tensor) -> Tensor:
        """Apply the trunks."""
        return self.trunk(x).unflatten(0, (self.n_members, -1))  # (member, task, sample, feature)
