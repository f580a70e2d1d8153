"""Weighting: the losses of tasks -> one direction.  One method a file."""

from skmtl.weighting._base import Weighting as Weighting
from skmtl.weighting._base import WeightingModule as WeightingModule
from skmtl.weighting._base import resolve_weighting as resolve_weighting
from skmtl.weighting._fixed import Fixed as Fixed
