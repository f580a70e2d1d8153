"""What the networks say of rows that they did not learn from."""

from __future__ import annotations

from dataclasses import replace
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
        Trained, and in evaluation mode, as training leaves it.
    data : TaskData
        Rows that were held out: from all members, or each member's own fold.

    Returns
    -------
    Tensor of shape (member, output row, sample), float64
        On the CPU.  If members have rows of their own, each row has the outputs of the members that did
        not learn from it, the first of them first, and NaN fills up where others had more of
        them: one member alone if each has a fold.  Rows are in the order of the table, without
        those that all members learned from.
    """
    network, objective = net.module_, net.criterion_
    data = replace(data, task_rows=None)  # all outputs of a row
    n_rows = data.n_rows
    shape = (network.n_members, objective.layout.n_rows, n_rows)
    z = torch.empty(shape, dtype=torch.float64)  # of one piece, as in Network.evaluate
    start = 0
    for x, _ in net.get_iterator(data, training=False):
        part = objective.ensemble(network(x), network.n_submodels)
        z[..., start : start + part.shape[-1]] = part
        start += part.shape[-1]
    if data.members is None:
        return z
    members = [rows.cpu() for rows in data.members]
    told = torch.bincount(torch.cat(members), minlength=len(data))
    own = z.new_full((int(told.max()), z.shape[1], len(data)), torch.nan)
    n_before = torch.zeros_like(told)
    for of_member, rows in zip(z, members, strict=True):
        own[n_before[rows], :, rows] = of_member[:, : len(rows)].T
        n_before[rows] += 1
    return own if bool(told.all()) else own[..., told > 0]
