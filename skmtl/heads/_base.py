"""What a head is: layer width, loss and link of one kind of task."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from skmtl._strategy import Strategy


class Head(Strategy):
    """One kind of task: ``loss_t(head_t(.), y_it)`` of the objective.

    All tasks of a kind and width are computed at once.  Tensors have the axes (member, task,
    output, sample): with the samples last, every sum over them runs through contiguous
    memory, which is 5 times faster at 200 tasks than with the outputs last.

    Attributes
    ----------
    alias : str
        The kind of task, behind the word for the loss if it is not the one of the kind:
        ``"regression"``, ``"huber_regression"``.
    kind : str
        The kind of task, a key of ``skmtl.tasks.KINDS``.
    weight_per_output : bool
        Whether each output has labels and weights of its own (a vector-valued regression),
        or all outputs of a task one label (a class).
    likelihood_factor : float
        ``f`` in ``f * loss / sigma^2 + log(sigma)``, the negative log-likelihood of noise sigma:
        1/2 for squared errors, 1 for cross-entropies (a softmax of temperature sigma^2).  Or
        half of it, where sigma^2 is the scale itself, as for absolute errors (Laplace).
    """

    kind: ClassVar[str]
    weight_per_output: ClassVar[bool] = False
    likelihood_factor: ClassVar[float] = 1.0

    @abstractmethod
    def n_outputs(self, n_columns: int, n_classes: int) -> int:
        """Return the number of outputs of a task with so many columns and classes."""

    @abstractmethod
    def encode(self, values: Tensor, n_outputs: int) -> Tensor:
        """Turn numbers and class codes into what the loss compares the outputs with.

        Parameters
        ----------
        values : Tensor of shape (sample, column)
            Standardised numbers, or class codes.
        n_outputs : int
            Number of outputs.

        Returns
        -------
        Tensor of shape (sample, output)
            Targets.
        """

    @abstractmethod
    def loss_and_gradient(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the weighted losses of all tasks, and their gradients, in one go.

        Parameters
        ----------
        z : Tensor of shape (member, task, output, sample)
            Outputs.
        y : Tensor of shape (task, output, sample), or with a member axis before
            Targets from :meth:`encode`.
        w : Tensor of shape (task, output or 1, sample or 1), or with a member axis before
            Weights; 0 where there is no label.

        Returns
        -------
        losses : Tensor of shape (member, task)
            ``sum over samples of w * loss(z, y)``.
        gradients : Tensor of shape (member, task, output, sample)
            Derivative of a task's loss with respect to its outputs.
        """

    @abstractmethod
    def link(self, z: Tensor) -> Tensor:
        """Turn outputs into predictions.

        Parameters
        ----------
        z : Tensor of shape (..., output, sample)
            Outputs.

        Returns
        -------
        Tensor of shape (..., output or class, sample)
            Standardised numbers, or class probabilities.
        """

    @abstractmethod
    def mean_outputs(self, z: Tensor) -> Tensor:
        """Return the outputs whose prediction is the mean of several predictions.

        Parameters
        ----------
        z : Tensor of shape (..., model, task, output, sample)
            Outputs of several models.

        Returns
        -------
        Tensor of shape (..., task, output, sample)
            For which :meth:`link` gives the mean over models of ``link(z)``.
        """

    @abstractmethod
    def null_outputs(self, y: Tensor, w: Tensor) -> Tensor:
        """Return the outputs of the best constant model.

        Parameters
        ----------
        y : Tensor of shape (task, output, sample), or with a member axis before
            Targets.
        w : Tensor of shape (task, output or 1, sample), or with a member axis before
            Weights; 0 where there is no label.

        Returns
        -------
        Tensor of shape (task, output, 1), or with a member axis before
            Outputs that minimise the weighted loss.
        """

    @staticmethod
    def weighted_mean(y: Tensor, w: Tensor) -> Tensor:
        """Return means over the samples, 0 where nothing has weight.

        Parameters
        ----------
        y, w : Tensor of shape (..., task, output, sample)
            Values and weights.

        Returns
        -------
        Tensor of shape (..., task, output, 1)
            Means.
        """
        total = w.sum(-1, keepdim=True)
        return (w * y).sum(-1, keepdim=True) / torch.where(total > 0, total, 1.0)

    @staticmethod
    def weighted_quantiles(y: Tensor, w: Tensor, levels: tuple[float, ...]) -> Tensor:
        """Return the values below which the weights make up given shares, 0 without weight.

        Parameters
        ----------
        y, w : Tensor of shape (..., task, output, sample)
            Values and weights.
        levels : tuple of float
            Shares, in (0, 1).

        Returns
        -------
        Tensor of shape (..., task, output, level)
            Values that occur; each minimises the weighted pinball loss of its level.
        """
        y, w = torch.broadcast_tensors(y, w)
        y, order = y.sort(-1)
        total = w.gather(-1, order).cumsum(-1)
        whole = total[..., -1:]
        wanted = whole * torch.tensor(levels, dtype=y.dtype, device=y.device)
        place = torch.searchsorted(total.contiguous(), wanted.contiguous())
        return torch.where(whole > 0, y.gather(-1, place.clamp_max(y.shape[-1] - 1)), 0.0)
