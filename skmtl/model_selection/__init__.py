"""Model selection: splitters for several tasks."""

from skmtl.model_selection._split import TaskStratifiedKFold as TaskStratifiedKFold
from skmtl.model_selection._split import TaskStratifiedShuffleSplit as TaskStratifiedShuffleSplit
