"""What happened in a fit, as frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


class HistoryMixin:
    """Records of the epochs of the last fit; there once the estimator is fitted."""

    net_: Any
    tasks_: Any

    @property
    def history_(self) -> pd.DataFrame:
        """Losses by epoch: ``train_loss``, ``train_loss_<task>``, and the same for ``valid``.

        In the units of training: `normalize_losses` says which of them are divided by the loss
        of the best constant (`null_losses_`).  ``train_loss`` is their sum by the fixed weights,
        or by weights of 1 where `loss_weights` is a method that changes them.
        """
        if not hasattr(self, "net_"):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.")
        # Without skorch's own notes: batches, and which epoch was the best so far.
        rows = [
            {k: v for k, v in row.items() if not isinstance(v, list | bool)}
            for row in self.net_.history
        ]
        return pd.DataFrame(rows).set_index("epoch")

    @property
    def engine_(self) -> str:
        """What takes the steps of a fit.

        ``"written"``: forward and backward pass written out, for linear layers and ReLUs with
        ``sharing="hard"`` (the default network) or ``"independent"``; ``"autograd"``: torch's,
        for all else; ``"skorch"``: skorch's loop over autograd, where a callback listens to
        batches or the optimiser is LBFGS.  All three give the same weights but for rounding.
        """
        if not hasattr(self, "net_"):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.")
        engine: str = self.net_.engine_
        return engine

    @property
    def task_weights_(self) -> pd.DataFrame:
        """Weights ``a_t`` by epoch, means over the labels.

        NaN for a task without a label in the epoch, unless weights are constant.  Most methods
        keep their sum at the number of tasks; those of ``"uncertainty"`` and ``"imtl_l"`` grow as
        losses fall.
        """
        history = self.history_
        objective = self.net_.criterion_
        columns = {task.name: history.get(f"weight_{task.name}", np.nan) for task in self.tasks_}
        if objective.weighting.is_constant:
            constant = objective.weighting.weights[0].tolist()
            columns.update(zip(objective.layout.names, constant, strict=True))
        return pd.DataFrame(columns, index=history.index)
