"""What the networks say of rows that they did not learn from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmtl.training._batches import TaskData


@torch.inference_mode()
def held_out_outputs(net: Any, data: TaskData) -> Tensor:
    """Compute the outputs of validation rows.

    Parameters
    ----------
    net : TaskNet
        Trained.
    data : TaskData
        Rows that were held out: from all members, or each member's own fold.

    Returns
    -------
    Tensor of shape (member, output row, sample), float64
        On the CPU.  If each member has a fold, there is one member: each row is that of the
        member which did not learn from it, rows in the order of the table and NaN for a row of
        no fold.
    """
    network, objective = net.module_, net.criterion_
    n_rows = data.n_rows(is_shuffled=False)
    shape = (network.n_members, objective.layout.n_rows, n_rows)
    z = torch.empty(shape, dtype=torch.float64)  # of one piece, as in Network.evaluate
    start = 0
    for x, _ in net.get_iterator(data, training=False):
        part = objective.ensemble(network(x), network.n_submodels)
        z[..., start : start + part.shape[-1]] = part
        start += part.shape[-1]
    if data.members is None:
        return z
    own = z.new_full((1, z.shape[1], len(data)), torch.nan)
    for of_member, rows in zip(z, data.members, strict=True):
        own[0][:, rows.cpu()] = of_member[:, : len(rows)]
    return own
