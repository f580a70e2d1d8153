"""The output layer of all tasks, forward and back, for steps that are written out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from skmtl.heads import HeadGroup, Layout
from skmtl.layers import StackedLinear
from skmtl.training._network import as_type


class WrittenHeads(ABC):
    """What the heads compute of their representations, and the gradients.

    Parameters
    ----------
    layer : StackedLinear
        Representations to output rows.
    n_copies : int
        How many representations the heads read: one for each member, or each of its tasks.

    Attributes
    ----------
    weight : Parameter of shape (member, feature, output row)
        The weights.
    """

    def __init__(self, layer: StackedLinear, n_copies: int) -> None:
        self.weight, self._bias = layer.weight, layer.bias
        self.n_copies = n_copies

    @abstractmethod
    def outputs(self, h: Tensor) -> Tensor:
        """Compute the output rows.

        Parameters
        ----------
        h : Tensor of shape (copy, sample, feature)
            What the heads read.

        Returns
        -------
        Tensor of shape (member, output row, sample)
            Outputs.
        """

    @abstractmethod
    def back(self, by_z: Tensor) -> Tensor:
        """Compute the gradient by what the heads read.

        Parameters
        ----------
        by_z : Tensor of shape (member, output row, sample)
            Gradient by the outputs.

        Returns
        -------
        Tensor of shape (copy, sample, feature)
            Summed over the tasks that read it.
        """

    @abstractmethod
    def _by_weight(self, by_z: Tensor, h: Tensor) -> Tensor:
        """Compute the gradient by the weights: (member, output row, feature)."""

    def set_gradients(self, by_z: Tensor, h: Tensor) -> None:
        """Set the gradients of weights and intercepts.

        Parameters
        ----------
        by_z : Tensor of shape (member, output row, sample)
            Gradient by the outputs.
        h : Tensor of shape (copy, sample, feature)
            What the heads read.
        """
        self.weight.grad = as_type(self._by_weight(by_z, h), by_z.dtype).mT.contiguous()
        self._bias.grad = by_z.sum(2).unsqueeze(1)


class CommonHeads(WrittenHeads):
    """Heads of a member that read one representation.

    Parameters
    ----------
    layer : StackedLinear
        Representation to output rows.
    """

    def __init__(self, layer: StackedLinear) -> None:
        super().__init__(layer, len(layer.weight))

    def outputs(self, h: Tensor) -> Tensor:
        """Compute the output rows."""
        # Transposed, so that the samples are last.
        return torch.baddbmm(self._bias.mT, self.weight.mT, h.mT)

    def back(self, by_z: Tensor) -> Tensor:
        """Compute the gradient by what the heads read."""
        return torch.bmm(by_z.mT, self.weight.mT)

    def _by_weight(self, by_z: Tensor, h: Tensor) -> Tensor:
        return torch.bmm(by_z, h)  # in the order in which the product is fast


class OwnHeads(WrittenHeads):
    """Heads of which each reads the representation of its task.

    Parameters
    ----------
    layer : StackedLinear
        Representations to output rows.
    layout : Layout
        Which rows belong to which task.
    """

    def __init__(self, layer: StackedLinear, layout: Layout) -> None:
        super().__init__(layer, len(layer.weight) * layout.n_tasks)
        self._layout = layout

    def outputs(self, h: Tensor) -> Tensor:
        """Compute the output rows."""
        h = self._by_task(h)
        z = [
            (self._weights(group) @ h[:, group.tasks].mT).flatten(1, 2)
            for group in self._layout.groups
        ]
        return _joined(z).add_(self._bias.mT)

    def back(self, by_z: Tensor) -> Tensor:
        """Compute the gradient by what the heads read."""
        parts = []
        for group in self._layout.groups:
            own, weight = group.outputs(by_z).mT, self._weights(group)
            # A product over one output is slow.
            parts.append(own * weight if group.width == 1 else own @ weight)
        return _joined(parts).flatten(0, 1)

    def _by_weight(self, by_z: Tensor, h: Tensor) -> Tensor:
        h = self._by_task(h)
        groups = self._layout.groups
        return _joined([(g.outputs(by_z) @ h[:, g.tasks]).flatten(1, 2) for g in groups])

    def _by_task(self, h: Tensor) -> Tensor:
        """View copies as (member, task, ...)."""
        return h.unflatten(0, (len(self.weight), -1))

    def _weights(self, group: HeadGroup) -> Tensor:
        """View the weights of a group: (member, task, output, feature)."""
        return group.outputs(self.weight.mT)


def _joined(parts: list[Tensor]) -> Tensor:
    """Put what groups have together: (member, task or output row, ...)."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
