"""The output layer of all tasks, forward and back, for steps that are written out."""

from __future__ import annotations

import torch
from torch import Tensor

from skmtl.heads import HeadGroup, Layout
from skmtl.layers import StackedLinear


def as_type(part: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what a product made in a type; torch's own call takes a microsecond to find that it is.

    Parameters
    ----------
    part : Tensor
        In that type, or a narrower one.
    dtype : torch.dtype
        The type.

    Returns
    -------
    Tensor
        The same where that is its type.
    """
    return part if part.dtype == dtype else part.to(dtype)


class CommonHeads:
    """Heads that read one representation.

    Parameters
    ----------
    layer : StackedLinear
        Representation to output rows.

    Attributes
    ----------
    weight : Parameter of shape (member, feature, output row)
        The weights.
    n_copies : int
        How many representations they read.
    """

    def __init__(self, layer: StackedLinear) -> None:
        self.weight, self._bias = layer.weight, layer.bias
        self.n_copies = len(self.weight)

    def outputs(self, h: Tensor) -> Tensor:
        """Compute the output rows.

        Parameters
        ----------
        h : Tensor of shape (member, sample, feature)
            What the heads read.

        Returns
        -------
        Tensor of shape (member, output row, sample)
            Outputs.
        """
        # Transposed, so that the samples are last.
        return torch.baddbmm(self._bias.mT, self.weight.mT, h.mT)

    def set_gradients(self, by_z: Tensor, h: Tensor) -> None:
        """Set the gradients of weights and intercepts.

        Parameters
        ----------
        by_z : Tensor of shape (member, output row, sample)
            Gradient by the outputs.
        h : Tensor of shape (member, sample, feature)
            What the heads read.
        """
        # In the order in which the product is fast: (member, output row, feature).
        self.weight.grad = as_type(torch.bmm(by_z, h), by_z.dtype).mT.contiguous()
        self._bias.grad = by_z.sum(2).unsqueeze(1)

    def back(self, by_z: Tensor) -> Tensor:
        """Compute the gradient by what the heads read.

        Parameters
        ----------
        by_z : Tensor of shape (member, output row, sample)
            Gradient by the outputs.

        Returns
        -------
        Tensor of shape (member, sample, feature)
            Summed over the tasks.
        """
        return torch.bmm(by_z.mT, self.weight.mT)


class OwnHeads:
    """Heads of which each reads the representation of its task.

    Parameters
    ----------
    layer : StackedLinear
        Representations to output rows.
    layout : Layout
        Which rows belong to which task.

    Attributes
    ----------
    weight : Parameter of shape (member, feature, output row)
        The weights.
    n_copies : int
        How many representations they read.
    """

    def __init__(self, layer: StackedLinear, layout: Layout) -> None:
        self.weight, self._bias = layer.weight, layer.bias
        self.n_copies = len(self.weight) * layout.n_tasks
        self._layout = layout

    def outputs(self, h: Tensor) -> Tensor:
        """Compute the output rows, as :meth:`CommonHeads.outputs`, of h (copy, sample, feature)."""
        h = self._by_task(h)
        z = [
            (self._weights(group) @ h[:, group.tasks].mT).flatten(1, 2)
            for group in self._layout.groups
        ]
        return _joined(z).add_(self._bias.mT)

    def set_gradients(self, by_z: Tensor, h: Tensor) -> None:
        """Set the gradients of weights and intercepts, as :meth:`CommonHeads.set_gradients`."""
        h = self._by_task(h)
        by_weight = [
            (group.outputs(by_z) @ h[:, group.tasks]).flatten(1, 2) for group in self._layout.groups
        ]
        self.weight.grad = as_type(_joined(by_weight), by_z.dtype).mT.contiguous()
        self._bias.grad = by_z.sum(2).unsqueeze(1)

    def back(self, by_z: Tensor) -> Tensor:
        """Compute the gradient by what the heads read: (copy, sample, feature)."""
        parts = []
        for group in self._layout.groups:
            own, weight = group.outputs(by_z).mT, self._weights(group)
            # A product over one output is slow.
            parts.append(own * weight if group.width == 1 else own @ weight)
        return _joined(parts).flatten(0, 1)

    def _by_task(self, h: Tensor) -> Tensor:
        """View copies as (member, task, ...)."""
        return h.unflatten(0, (len(self.weight), -1))

    def _weights(self, group: HeadGroup) -> Tensor:
        """View the weights of a group: (member, task, output, feature)."""
        return group.outputs(self.weight.mT)


def _joined(parts: list[Tensor]) -> Tensor:
    """Put what groups have together: (member, task or output row, ...)."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
