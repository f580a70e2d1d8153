"""The tables of several nets as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from scipy import sparse
from torch import Tensor

from skmtl.heads import Layout
from skmtl.training._batches import TaskData
from skmtl.training._orders import Order, filled_up, widened


@dataclass(frozen=True)
class Share:
    """What one net has of a stack.

    Parameters
    ----------
    data : TaskData
        Its table.
    n_members : int
        Its members.
    generator : torch.Generator or None
        Draws the order of its rows; None: as they are.
    """

    data: TaskData
    n_members: int
    generator: torch.Generator | None


class StackedData:
    """Tables of several nets, for batches that hold rows of each.

    Tables that are the same object stand in memory once: the candidates of a search that learn
    from the same rows.  Rows are gathered for each member, and each net's order is drawn as if
    it were alone.  Nets with fewer rows, but as many batches, are filled up by rows of weight
    0: one in a batch at most.

    Parameters
    ----------
    shares : sequence of Share
        The nets, with tables of the same columns.
    """

    def __init__(self, shares: Sequence[Share]) -> None:
        self.shares = list(shares)
        tables = {id(share.data.y): share.data for share in shares}
        self._offsets, start = {}, 0
        for key, table in tables.items():
            self._offsets[key] = start
            start += len(table)
        listed = list(tables.values())
        self.x: Any = _joined([table.x for table in listed])
        self.y: Tensor = _joined([table.y for table in listed])
        self.w: Tensor = _joined([table.w for table in listed])
        self._weigh()

    def _weigh(self) -> None:
        shares = self.shares
        self.is_complete = all(share.data.is_complete for share in shares)
        scales = [share.data.scale.expand(share.n_members, -1) for share in shares]
        self.scale = torch.cat(scales)  # (member, task)

    @property
    def layout(self) -> Layout:
        """Tasks and their rows."""
        return self.shares[0].data.layout

    @property
    def is_by_task(self) -> bool:
        """Whether each task has rows of its own, which is so for all nets or none."""
        return self.shares[0].data.is_by_task

    @cached_property
    def members(self) -> tuple[Tensor, ...]:
        """The rows of each member."""
        listed = []
        for share in self.shares:
            own = share.data.members
            if own is None:
                every = torch.arange(len(share.data), device=self.y.device)
                own = (every,) * share.n_members
            listed += [rows + self._offsets[id(share.data.y)] for rows in own]
        return tuple(listed)

    def keep(self, chosen: Sequence[int]) -> None:
        """Go on with some of the nets.

        Parameters
        ----------
        chosen : sequence of int
            Their positions.
        """
        self.shares = [self.shares[i] for i in chosen]
        self.__dict__.pop("members", None)
        self._weigh()

    def features(self, rows: Tensor) -> Tensor:
        """Gather rows of X, as :meth:`TaskData.features`."""
        return TaskData.features(self, rows)  # type: ignore[arg-type]

    @property
    def n_rows(self) -> int:
        """How many rows of each member, or of the task that has most, an epoch takes."""
        return max(share.data.n_rows for share in self.shares)

    def order(self, n_batches: int, generator: torch.Generator | None) -> Order:
        """Return the rows of an epoch.

        Parameters
        ----------
        n_batches : int
            Batches of the epoch, for each net.
        generator : torch.Generator or None
            Whether to draw; each net does so from its own.

        Returns
        -------
        Order
            Of shape (member, n), or (member and task, n).
        """
        if self.is_by_task:
            return self._order_by_task(n_batches)
        if generator is None:
            return filled_up(self.members)
        drawn = []  # (member of a net, its rows)
        for share in self.shares:
            rows = share.data.order(n_batches, share.generator).rows
            rows = rows.expand(share.n_members, -1) + self._offsets[id(share.data.y)]
            drawn.append(rows)
        sizes = {rows.shape[1] for rows in drawn}
        if len(sizes) == 1:
            return Order(torch.cat(drawn), None)
        longest = -(-max(sizes) // n_batches)
        parts = [_in_batches(rows, n_batches, longest) for rows in drawn]
        return Order(torch.cat([p.rows for p in parts]), torch.cat([p.counts for p in parts]))

    def _order_by_task(self, n_batches: int) -> Order:
        """Return the rows of all nets' tasks, of shape (member and task, n)."""
        orders = [share.data.order(n_batches, share.generator) for share in self.shares]
        size = max(order.rows.shape[1] for order in orders) // n_batches
        rows, counts = [], []
        for share, order in zip(self.shares, orders, strict=True):
            start = self._offsets[id(share.data.y)]
            rows.append(widened(order.rows + start, n_batches, size))
            counts.append(widened(order.counts, n_batches, size))  # type: ignore[arg-type]
        return Order(torch.cat(rows), torch.cat(counts))


def _in_batches(rows: Tensor, n_batches: int, size: int) -> Any:
    """Spread rows over batches as if they were alone, each filled up to a size."""
    small, n_large = divmod(rows.shape[1], n_batches)
    batch = torch.arange(n_batches, device=rows.device).unsqueeze(1)
    starts = batch * small + batch.clamp_max(n_large)
    place = torch.arange(size, device=rows.device)
    counts = place < small + (batch < n_large).long()  # (batch, place)
    taken = torch.where(counts, starts + place, 0).flatten()
    return Order(rows[:, taken], counts.flatten().expand(len(rows), -1))


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if sparse.issparse(parts[0]):
        return sparse.vstack(parts, format="csr")
    return torch.cat(parts)
