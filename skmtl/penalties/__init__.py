"""Penalties: the terms of Omega(theta).  One penalty a file."""

from skmtl.penalties._base import PARTS as PARTS
from skmtl.penalties._base import Penalty as Penalty
from skmtl.penalties._base import PenaltyModule as PenaltyModule
from skmtl.penalties._base import resolve_penalties as resolve_penalties
from skmtl.penalties._l1 import L1 as L1
from skmtl.penalties._l2 import L2 as L2
from skmtl.penalties._l21 import L21 as L21
from skmtl.penalties._stacked import StackedPenalty as StackedPenalty
from skmtl.penalties._task_relations import TaskRelations as TaskRelations
from skmtl.penalties._trace_norm import TraceNorm as TraceNorm
