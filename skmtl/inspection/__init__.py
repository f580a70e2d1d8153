"""Inspection: which tasks go together, and whether sharing helps."""

from skmtl.inspection._affinity import TaskAffinity as TaskAffinity
from skmtl.inspection._affinity import task_affinity as task_affinity
from skmtl.inspection._plots import plot_affinity as plot_affinity
from skmtl.inspection._plots import plot_sharing_report as plot_sharing_report
from skmtl.inspection._relations import task_relations as task_relations
from skmtl.inspection._report import SharingReport as SharingReport
from skmtl.inspection._report import sharing_report as sharing_report
from skmtl.inspection._track import TrackGradients as TrackGradients
from skmtl.inspection._training_plots import plot_training as plot_training
from skmtl.tasks import group_tasks as group_tasks
