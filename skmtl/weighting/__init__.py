"""Weighting: the losses of tasks -> one direction.  One method a file."""

from skmtl.weighting._base import Weighting as Weighting
from skmtl.weighting._base import WeightingModule as WeightingModule
from skmtl.weighting._base import resolve_weighting as resolve_weighting
from skmtl.weighting._equal import Equal as Equal
from skmtl.weighting._fixed import Fixed as Fixed
from skmtl.weighting._gradients import Direction as Direction
from skmtl.weighting._gradients import TaskGradients as TaskGradients
from skmtl.weighting._mgda import MGDA as MGDA
from skmtl.weighting._uncertainty import Uncertainty as Uncertainty
