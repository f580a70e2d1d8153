"""Multi-task neural networks for tables with several targets, as scikit-learn estimators."""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import Any as _Any

from skmtl.estimators import Checkpoint as Checkpoint
from skmtl.estimators import MultiTaskNetClassifier as MultiTaskNetClassifier
from skmtl.estimators import MultiTaskNetClassifierRegressor as MultiTaskNetClassifierRegressor
from skmtl.estimators import MultiTaskNetRegressor as MultiTaskNetRegressor
from skmtl.metrics import TaskScoring as TaskScoring
from skmtl.metrics import task_scorer as task_scorer
from skmtl.tasks import Task as Task

__version__ = _version("skmtl")

__all__ = [
    "Checkpoint",
    "MultiTaskNetClassifier",
    "MultiTaskNetClassifierRegressor",
    "MultiTaskNetRegressor",
    "Task",
    "TaskScoring",
    "task_scorer",
]

_PACKAGES = {
    "datasets", "estimators", "export", "features", "heads", "inspection", "layers", "metrics",
    "model_selection", "penalties", "sharing", "tasks", "training", "trunks", "weighting",
}  # fmt: skip


def __getattr__(name: str) -> _Any:
    """Import a package when it is first asked for."""
    if name in _PACKAGES:
        return _import_module(f"skmtl.{name}")
    raise AttributeError(f"module 'skmtl' has no attribute {name!r}")
