"""Estimators: what users construct."""

from skmtl.estimators._checkpoint import Checkpoint as Checkpoint
from skmtl.estimators._classifier import MultiTaskNetClassifier as MultiTaskNetClassifier
from skmtl.estimators._mixed import (
    MultiTaskNetClassifierRegressor as MultiTaskNetClassifierRegressor,
)
from skmtl.estimators._regressor import MultiTaskNetRegressor as MultiTaskNetRegressor
