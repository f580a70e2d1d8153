"""What is special about our estimators in a file: callbacks stay out, and nets are built anew."""

from __future__ import annotations

from typing import Any

import numpy as np

from skmtl._documents import FileError, NetParts, Reader, Writer
from skmtl.estimators._base import BaseMultiTaskNet
from skmtl.estimators._building import rebuild_net
from skmtl.estimators._callbacks import OF_CALLBACKS


class EstimatorWriter(Writer):
    """Writes estimators without what scikit-learn's callbacks left on them."""

    def kept(self, value: Any, state: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes of an estimator that a file can hold."""
        if not isinstance(value, BaseMultiTaskNet):
            return state
        for name, setting in (value.net_params or {}).items():
            if not _may_be_set(name):
                self.refuse(setting, "net_params", name)
        return {k: v for k, v in state.items() if not k.startswith(OF_CALLBACKS)}


class EstimatorReader(Reader):
    """Builds the nets of estimators.

    Parameters
    ----------
    arrays : dict of str to ndarray
        What stands beside the document.
    device : str or None, default=None
        Where the nets shall be; None: where their estimators' parameters say.
    """

    def __init__(self, arrays: dict[str, np.ndarray], device: str | None = None) -> None:
        super().__init__(arrays)
        self.device = device

    def restore(self, made: Any, state: dict[str, Any]) -> None:
        """Give an estimator its net, and all else as it was."""
        if not isinstance(made, BaseMultiTaskNet) or not isinstance(state.get("net_"), NetParts):
            super().restore(made, state)
            return
        parts = state.pop("net_")
        state["checkpoint"] = None  # a place of somebody's, which a fit would write to
        made.__dict__.update(state)
        if not all(map(_may_be_set, made.net_params or {})):
            raise FileError("The file sets parameters of skorch that `save` never writes.")
        if self.device is not None:
            made.device = self.device
        made.net_ = rebuild_net(made, parts)


def _may_be_set(net_param: Any) -> bool:
    """Tell options of the optimiser from what could have skorch make anything."""
    return isinstance(net_param, str) and net_param.startswith("optimizer__")
