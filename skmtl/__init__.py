"""Multi-task neural networks for tables with several targets, as scikit-learn estimators."""

from importlib.metadata import version as _version

from skmtl.estimators import Checkpoint as Checkpoint
from skmtl.estimators import MultiTaskNetClassifier as MultiTaskNetClassifier
from skmtl.estimators import MultiTaskNetClassifierRegressor as MultiTaskNetClassifierRegressor
from skmtl.estimators import MultiTaskNetRegressor as MultiTaskNetRegressor
from skmtl.metrics import TaskScoring as TaskScoring
from skmtl.metrics import task_scorer as task_scorer
from skmtl.tasks import Task as Task

__version__ = _version("skmtl")
