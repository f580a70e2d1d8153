"""Gradients of single tasks, with respect to the representation that all heads read or parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from skmtl.layers import COPY_OF_MODULE
from skmtl.training._batches import Batch
from skmtl.training._network import Network
from skmtl.training._objective import Objective
from skmtl.weighting import TaskGradients, WeightingModule

#: Entries that a batched backward may have in its largest tensor, 64 MB in float32.
BATCHED_ENTRIES = 1 << 24


class LinearHeadGradients(TaskGradients):
    r"""Gradients with respect to the representation under linear heads, without a backward pass.

    With the derivatives ``D`` of the losses with respect to the output rows and the weights ``W``
    of the heads, the gradient of task t with respect to the representation of sample n is
    ``sum_{r in t} D_rn W_:r``, so that the Gramian is the sum over the rows of two tasks of
    ``(D D^T) * (W^T W)``.

    Parameters
    ----------
    gradients : Tensor of shape (member and submodel, output row, sample)
        ``D``.
    weight : Tensor of shape (member and submodel, feature, output row)
        ``W``.
    task_of_row : Tensor of shape (output row,)
        Position of the task of each row.
    n_tasks : int
        Number of tasks.
    n_submodels : int, default=1
        Submodels of a member, whose gradients stand one after the other.
    """

    def __init__(
        self,
        gradients: Tensor,
        weight: Tensor,
        task_of_row: Tensor,
        n_tasks: int,
        n_submodels: int = 1,
    ) -> None:
        self._gradients = gradients
        self._weight = weight
        self._task_of_row = task_of_row
        self._n_tasks = n_tasks
        self._n_submodels = n_submodels

    @cached_property
    def gramian(self) -> Tensor:
        """Products of the gradients of any two tasks, shape (member, task, task)."""
        d, w = self._gradients, self._weight
        products = torch.bmm(d, d.mT).mul_(torch.bmm(w.mT, w))  # (.., output row, output row)
        products = products.unflatten(0, (-1, self._n_submodels)).sum(1)
        if self._n_tasks == products.shape[1]:
            return products
        by_task = products.new_zeros(len(products), self._n_tasks, products.shape[2])
        by_task.index_add_(1, self._task_of_row, products)
        by_both = products.new_zeros(len(products), self._n_tasks, self._n_tasks)
        return by_both.index_add_(2, self._task_of_row, by_task)

    def combined(self, weights: Tensor) -> Tensor:
        """Return the weighted sum of the gradients, without the gradients.

        Parameters
        ----------
        weights : Tensor of shape (member, task)
            Weights.

        Returns
        -------
        Tensor of shape (member and submodel, sample, feature)
            The sum.
        """
        by_row = weights.index_select(1, self._task_of_row).unsqueeze(-1)
        by_row = by_row.repeat_interleave(self._n_submodels, dim=0)
        return torch.bmm((self._gradients * by_row).mT, self._weight.mT)

    @cached_property
    def jacobian(self) -> Tensor:
        """The gradients, shape (member, task, submodel * sample * feature)."""
        d, w = self._gradients, self._weight
        by_row = d.unsqueeze(-1) * w.mT.unsqueeze(2)  # (.., output row, sample, feature)
        if self._n_tasks != by_row.shape[1]:
            shape = (len(d), self._n_tasks, *by_row.shape[2:])
            by_row = by_row.new_zeros(shape).index_add_(1, self._task_of_row, by_row)
        by_member = by_row.unflatten(0, (-1, self._n_submodels)).transpose(1, 2)
        return by_member.flatten(2)


class ComputedGradients(TaskGradients):
    """Gradients that a backward pass computes, once they are asked for.

    Parameters
    ----------
    compute : callable
        Returns the gradients, shape (member, task, coordinate).
    """

    def __init__(self, compute: Callable[[], Tensor]) -> None:
        self._compute = compute

    @property
    def is_computed(self) -> bool:
        """Whether somebody has asked."""
        return "jacobian" in self.__dict__

    def combined(self, weights: Tensor) -> Tensor:
        """Return the weighted sum of the gradients.

        Parameters
        ----------
        weights : Tensor of shape (member, task)
            Weights.

        Returns
        -------
        Tensor of shape (member, coordinate)
            The sum.
        """
        return (weights.unsqueeze(1) @ self.jacobian).squeeze(1)

    @cached_property
    def jacobian(self) -> Tensor:
        """The gradients, shape (member, task, coordinate)."""
        return self._compute()

    @cached_property
    def gramian(self) -> Tensor:
        """Products of the gradients of any two tasks, shape (member, task, task)."""
        return self.jacobian @ self.jacobian.mT


def parameter_gradients(
    z: Tensor, gradients: Tensor, network: Network, parameters: Sequence[Tensor]
) -> Tensor:
    """Compute the gradient of each task's loss by parameters, in few batched backward passes.

    Parameters
    ----------
    z : Tensor of shape (member and submodel, output row, sample)
        Outputs, with their graph, which is kept.
    gradients : Tensor of shape (member and submodel, output row, sample)
        Derivative of the loss of each row's task with respect to it.
    network : Network
        Which computed them.
    parameters : sequence of Tensor
        Members in their first axis.

    Returns
    -------
    Tensor of shape (member, task, coordinate)
        The parameters one after the other.
    """
    layout = network.heads.layout
    n_members = len(z) // network.n_submodels
    tasks = torch.arange(layout.n_tasks, device=z.device)
    is_of_task = tasks.unsqueeze(1) == network.heads.task_of_row  # (task, output row)
    per_task = network.row_size * z.shape[-1]
    size = max(1, BATCHED_ENTRIES // per_task)
    chunks = []
    for mask in is_of_task.split(size):
        chunk = gradients * mask[:, None, :, None]  # (task, member, output row, sample)
        rows = _batched(z, parameters, chunk, network)
        flat = [row.reshape(len(mask), n_members, -1) for row in rows]
        chunks.append(torch.cat(flat, dim=2))
    return torch.cat(chunks).transpose(0, 1)


def _batched(
    z: Tensor, parameters: Sequence[Tensor], chunk: Tensor, network: Network
) -> list[Tensor]:
    """Run backward for each entry of the first axis of a chunk of derivatives."""
    if len(chunk) > 1 and network.batches_gradients:
        try:
            return _grad(z, parameters, chunk, is_batched=True)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # a module of the user that knows no batching rule
            network.batches_gradients = False
            words = str(error).strip().partition("\n")[0]
            warnings.warn(
                f"The gradients of the tasks are computed one after the other, for a module of the "
                f"network cannot be differentiated for several at once: {words}",
                UserWarning,
                stacklevel=2,
            )
    rows = [_grad(z, parameters, one, is_batched=False) for one in chunk]
    return [torch.stack(row) for row in zip(*rows, strict=True)]


def _grad(
    z: Tensor, parameters: Sequence[Tensor], by_z: Tensor, *, is_batched: bool
) -> list[Tensor]:
    found = torch.autograd.grad(
        z,
        list(parameters),
        by_z,
        retain_graph=True,
        is_grads_batched=is_batched,
        allow_unused=True,
    )
    lead = by_z.shape[:1] if is_batched else ()
    return [
        p.new_zeros(*lead, *p.shape) if g is None else g
        for p, g in zip(parameters, found, strict=True)
    ]


def representation_gradients(
    z: Tensor, leaf: Tensor, gradients: Tensor, network: Network
) -> ComputedGradients | LinearHeadGradients:
    """Gradients of the tasks' losses by what all heads read.

    Parameters
    ----------
    z : Tensor of shape (member and submodel, output row, sample)
        Outputs of the heads for `leaf`, with their graph.
    leaf : Tensor of shape (member and submodel, task or 1, sample, feature)
        From :func:`head_inputs`.
    gradients : Tensor of shape (member and submodel, output row, sample)
        Derivative of the loss of each row's task with respect to it.
    network : Network
        Whose heads they are.

    Returns
    -------
    TaskGradients
        Without a backward pass, if the heads are linear.
    """
    heads, k = network.heads, network.n_submodels
    if not heads.hidden:
        weight = heads.output.weight.detach()
        return LinearHeadGradients(gradients, weight, heads.task_of_row, heads.layout.n_tasks, k)

    def compute() -> Tensor:
        (grad,) = torch.autograd.grad(z, leaf, gradients, retain_graph=True)
        return grad.unflatten(0, (-1, k)).transpose(1, 2).flatten(2)

    return ComputedGradients(compute)


def head_inputs(h: Tensor, network: Network) -> Tensor:
    """Return what the heads read as a leaf, one copy per task if a backward has to part them.

    Parameters
    ----------
    h : Tensor of shape (member and submodel, task=1, sample, feature)
        The one representation.
    network : Network
        Whose heads read it.

    Returns
    -------
    Tensor of shape (member and submodel, task or 1, sample, feature)
        Without the graph behind it.
    """
    hidden = bool(network.heads.hidden)
    n_copies = network.heads.layout.n_tasks if hidden else 1
    return h.detach().expand(-1, n_copies, -1, -1).requires_grad_(hidden)


def task_gradients(
    network: Network, objective: Objective, batch: Batch, wrt: str = "parameters"
) -> TaskGradients:
    """Gradients of the tasks' losses on a batch, to look at: nothing is changed.

    Parameters
    ----------
    network : Network
        In the mode, training or evaluation, that is to be looked at.
    objective : Objective
        Losses; weights of the tasks and penalties have no part.
    batch : Batch
        Rows.
    wrt : {"parameters", "representation"}, default="parameters"
        By what, see :func:`check_wrt`.

    Returns
    -------
    TaskGradients
        Rows of tasks without a label are zero.
    """
    if wrt == "representation":
        with torch.no_grad():
            h = network.represent(batch.x)
        leaf = head_inputs(h, network)
        z = network.heads(leaf)
    else:
        z = network(batch.x)
    _, by_z = objective.mean_losses_and_gradients(z.detach(), batch.targets, network)
    if wrt == "representation":
        return representation_gradients(z, leaf, by_z, network)
    shared = body_parameters(network.body)
    return ComputedGradients(lambda: parameter_gradients(z, by_z, network, shared))


def choose_wrt(network: Network, weighting: WeightingModule) -> str:
    """Decide by what a weighting takes the gradients of the tasks.

    Parameters
    ----------
    network : Network
        Built.
    weighting : WeightingModule
        That needs gradients.

    Returns
    -------
    {"representation", "parameters"}
        The former where all heads read one representation, unless the weighting says so.

    Raises
    ------
    ValueError
        If the tasks share nothing, or no representation where one is asked for.
    """
    reader = "Parameter `loss_weights`: this weighting"
    remedy = "or a weighting that reads losses alone, such as 'uncertainty'"
    return check_wrt(network, weighting.wrt, reader, remedy)


def check_wrt(network: Network, wrt: str, reader: str, remedy: str) -> str:
    """Decide what the tasks' gradients are taken with respect to.

    Parameters
    ----------
    network : Network
        Built.
    wrt : {"auto", "representation", "parameters"}
        What is asked for.
    reader : str
        Who compares gradients, for messages.
    remedy : str
        What else the user may do where tasks share nothing, for messages.

    Returns
    -------
    {"representation", "parameters"}
        For ``"auto"`` the former where all heads read one representation.

    Raises
    ------
    ValueError
        If the tasks share nothing, or no representation where one is asked for.
    """
    if not network.body.shares_weights or not body_parameters(network.body):
        # Without a layer that is trained, no scheme has anything to share.
        use = "another `sharing`" if not network.body.shares_weights else "a trunk with layers"
        raise ValueError(
            f"{reader} compares the tasks' gradients by the weights that they share, and with "
            f"{_scheme(network)} they share none that is trained. Use {use}, {remedy}."
        )
    if wrt == "auto":
        wrt = "representation" if network.body.has_one_representation else "parameters"
    n_members = network.n_members
    names = (name for name, _ in network.body.named_parameters())
    if wrt == "parameters" and n_members > 1 and any(map(COPY_OF_MODULE.search, names)):
        raise ValueError(
            f"{reader} compares the tasks' gradients by parameters, which members with modules of "
            f"your own as a trunk do not have side by side. Found `n_members = {n_members}`. Use "
            "`n_members=1` or `wrt='representation'`."
        )
    if wrt == "representation" and not network.body.has_one_representation:
        raise ValueError(
            "`wrt='representation'` needs a sharing scheme in which all heads read one "
            f"representation, as with 'hard'. Found {_scheme(network)}. "
            "Use wrt='parameters' or 'auto'."
        )
    return wrt


def _scheme(network: Network) -> str:
    return type(network.body).__name__.strip("_").removesuffix("Body")


def body_parameters(body: nn.Module) -> list[Tensor]:
    """List the parameters between features and heads that are trained, a task's own among them.

    Parameters
    ----------
    body : Body
        Of the network.

    Returns
    -------
    list of Tensor
        In order.
    """
    return [parameter for parameter in body.parameters() if parameter.requires_grad]
