"""Tasks: what is to be learned, and y <-> (targets, mask)."""

from skmtl.tasks._affinity import label_affinity as label_affinity
from skmtl.tasks._encoder import TargetEncoder as TargetEncoder
from skmtl.tasks._encoder import Targets as Targets
from skmtl.tasks._grouping import group_tasks as group_tasks
from skmtl.tasks._inference import declare_tasks as declare_tasks
from skmtl.tasks._inference import infer_kind as infer_kind
from skmtl.tasks._loss import LOSSES as LOSSES
from skmtl.tasks._loss import Absolute as Absolute
from skmtl.tasks._loss import Focal as Focal
from skmtl.tasks._loss import Huber as Huber
from skmtl.tasks._loss import Loss as Loss
from skmtl.tasks._output import TaskOutput as TaskOutput
from skmtl.tasks._output import label_order as label_order
from skmtl.tasks._sample_weight import spread_sample_weight as spread_sample_weight
from skmtl.tasks._scaler import TargetScaler as TargetScaler
from skmtl.tasks._stratify import read_groups as read_groups
from skmtl.tasks._stratify import stratified_folds as stratified_folds
from skmtl.tasks._table import read_table as read_table
from skmtl.tasks._task import KINDS as KINDS
from skmtl.tasks._task import Kind as Kind
from skmtl.tasks._task import Task as Task
from skmtl.tasks._task import TaskWarning as TaskWarning
from skmtl.tasks._task import column_spans as column_spans
