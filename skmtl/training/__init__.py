"""Training: the network, the objective, the batches and the skorch net."""

from skmtl.training._backward import autograd_backward as autograd_backward
from skmtl.training._batches import Batch as Batch
from skmtl.training._batches import BatchIterator as BatchIterator
from skmtl.training._batches import BatchTargets as BatchTargets
from skmtl.training._batches import TaskData as TaskData
from skmtl.training._callbacks import DivergedError as DivergedError
from skmtl.training._callbacks import EpochHook as EpochHook
from skmtl.training._callbacks import ProgressLine as ProgressLine
from skmtl.training._callbacks import StopTraining as StopTraining
from skmtl.training._callbacks import WatchLosses as WatchLosses
from skmtl.training._callbacks import check_weights as check_weights
from skmtl.training._callbacks import split_callbacks as split_callbacks
from skmtl.training._early_stopping import EarlyStopping as EarlyStopping
from skmtl.training._early_stopping import ValidationScore as ValidationScore
from skmtl.training._early_stopping import null_losses as null_losses
from skmtl.training._net import TaskNet as TaskNet
from skmtl.training._network import EVALUATION_ROWS as EVALUATION_ROWS
from skmtl.training._network import Network as Network
from skmtl.training._network import NetworkSpec as NetworkSpec
from skmtl.training._objective import Objective as Objective
from skmtl.training._optimizer import FusedAdamW as FusedAdamW
from skmtl.training._optimizer import resolve_optimizer as resolve_optimizer
from skmtl.training._task_gradients import check_wrt as check_wrt
from skmtl.training._task_gradients import choose_wrt as choose_wrt
from skmtl.training._task_gradients import task_gradients as task_gradients
from skmtl.training._threads import torch_threads as torch_threads
