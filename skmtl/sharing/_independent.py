"""No sharing: a net per task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from skmtl.layers import Seeds
from skmtl.sharing._base import Sharing


class Independent(Sharing):
    """A trunk of its own for each task, all trained as one stacked program.

    The baseline that every sharing scheme has to beat: ``h_it = trunk_t(x_i)``.  It equals
    one network per task that sees the same batches; early stopping, too, judges each task
    by itself.

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
        self,
        trunk: Any,
        *,
        input_shape: tuple[int, ...],
        task_names: Sequence[str],
        n_members: int,
        seeds: Seeds,
    ) -> nn.Module:
        r"""Build a trunk per member and task.

        Parameters
        ----------
        trunk : Trunk
            The trunk that each task gets a copy of.
        input_shape : tuple of int
            Shape of one sample.
        task_names : sequence of str
            Tasks in the order of the task axis.
        n_members : int
            Number of networks.
        seeds : Seeds
            Sources of randomness.

        Returns
        -------
        torch.nn.Module
            Maps (sample, \*input_shape) to (member, task, sample, feature).
        """
        return _Independent(trunk.build(input_shape, n_members * len(task_names), seeds), n_members)


class _Independent(nn.Module):
    is_separate = True  # each weight belongs to one task

    def __init__(self, trunk: nn.Module, n_members: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.n_members = n_members
        self.out_features = trunk.out_features

    def forward(self, x: Tensor) -> Tensor:
        return self.trunk(x).unflatten(0, (self.n_members, -1))  # (member, task, sample, feature)
