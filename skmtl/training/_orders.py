"""In which order the rows of a table come in an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

#: Share of the rows with a label of the task that has most, up to which networks that share
#: nothing pass over their own rows alone.
MOST_LABELLED = 0.5


def pays_by_task(n_rows: int, n_labelled: int) -> bool:
    """Tell whether networks that share nothing shall pass over their own rows alone.

    Parameters
    ----------
    n_rows : int
        Rows.
    n_labelled : int
        Those with a label of the task that has most of them.

    Returns
    -------
    bool
        Whether these are few enough.
    """
    return n_labelled <= MOST_LABELLED * n_rows


class Order(NamedTuple):
    """The rows of an epoch, in the order of its batches.

    Parameters
    ----------
    rows : Tensor of shape (n,), (member, n) or (member and task, n), int64, on the device
        Rows of the table.
    counts : Tensor of the shape of rows, bool, or None
        Which of them count; None: all.
    """

    rows: Tensor
    counts: Tensor | None


def filled_up(members: Sequence[Tensor]) -> Order:
    """Return the rows of members side by side, the shorter ones filled up.

    Parameters
    ----------
    members : sequence of Tensor of shape (n,)
        Rows of each member.

    Returns
    -------
    Order
        With as many rows as the member that has the most.
    """
    rows = pad_sequence(list(members), batch_first=True)
    n_own = torch.tensor([len(own) for own in members], device=rows.device)
    counts = torch.arange(rows.shape[1], device=rows.device) < n_own.unsqueeze(1)
    return Order(rows, None if bool(counts.all()) else counts)


@dataclass(frozen=True)
class LabelledRows:
    """The rows that have a label, for each task of each member.

    Parameters
    ----------
    rows : Tensor of shape (n,), int64
        Rows of the table, those of a task together, tasks within members.
    copies : Tensor of shape (n,), int64
        Which member and task each is for, as its place in ``(member, task)``.
    counts : Tensor of shape (member and task,), int64
        How many each has.
    most : int
        The largest of the counts.
    """

    rows: Tensor
    copies: Tensor
    counts: Tensor
    most: int

    @classmethod
    def of(cls, labelled: Tensor, members: Sequence[Tensor]) -> LabelledRows:
        """List the rows.

        Parameters
        ----------
        labelled : Tensor of shape (task, sample), bool
            Where there are labels.
        members : sequence of Tensor of shape (n,)
            The rows of each member; a row that comes twice counts twice.

        Returns
        -------
        LabelledRows
            Of each task of each member.
        """
        of_members = [labelled[:, own] for own in members]
        counts = torch.cat([own.sum(1) for own in of_members])
        # By task, then by place: as `nonzero` lists them.
        places = [own.nonzero(as_tuple=True)[1] for own in of_members]
        rows = torch.cat([own[place] for own, place in zip(members, places, strict=True)])
        copies = torch.arange(len(counts), device=rows.device).repeat_interleave(counts)
        return cls(rows, copies, counts, int(counts.max()))

    def order(self, n_batches: int, generator: torch.Generator | None) -> Order:
        """Spread the rows of each task evenly over batches.

        Parameters
        ----------
        n_batches : int
            Batches of the epoch.
        generator : torch.Generator or None
            Draws the order, on the CPU; None: rows in their order.

        Returns
        -------
        Order
            Of shape (member and task, n), filled up where a task has fewer rows.
        """
        rows, copies, counts = self.rows, self.copies, self.counts
        if generator is not None and n_batches > 1:  # in one batch, the order is without effect
            drawn = torch.rand(len(rows), dtype=torch.float64, generator=generator)
            rows = rows[(copies + drawn.to(rows.device)).argsort()]
        place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[copies]
        batch = place * n_batches // counts[copies]
        first = -(-batch * counts[copies] // n_batches)  # of the task in this batch
        size = -(-self.most // n_batches)
        slots = (copies * n_batches + batch) * size + place - first
        spread = rows.new_zeros(len(counts) * n_batches * size)
        filled = torch.zeros_like(spread, dtype=torch.bool)
        shape = (len(counts), n_batches * size)
        return Order(
            spread.index_copy_(0, slots, rows).view(shape),
            filled.index_fill_(0, slots, True).view(shape),
        )


def widened(part: Tensor, n_batches: int, size: int) -> Tensor:
    """Fill up each batch with zeros.

    Parameters
    ----------
    part : Tensor of shape (..., n)
        Rows of an order, or which of them count, of batches of one size.
    n_batches : int
        Its batches.
    size : int
        Rows of a batch, at least as many as it has.

    Returns
    -------
    Tensor of shape (..., n_batches * size)
        The same, with zeros behind each batch.
    """
    batches = part.unflatten(-1, (n_batches, -1))
    return torch.nn.functional.pad(batches, (0, size - batches.shape[-1])).flatten(-2)
