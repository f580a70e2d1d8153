"""Model selection: searches that train many networks at once, and splitters for several tasks."""

from skmtl.model_selection._search import MultiTaskGridSearchCV as MultiTaskGridSearchCV
from skmtl.model_selection._search import MultiTaskHalvingSearchCV as MultiTaskHalvingSearchCV
from skmtl.model_selection._search import (
    MultiTaskRandomizedSearchCV as MultiTaskRandomizedSearchCV,
)
from skmtl.model_selection._split import TaskStratifiedGroupKFold as TaskStratifiedGroupKFold
from skmtl.model_selection._split import TaskStratifiedKFold as TaskStratifiedKFold
from skmtl.model_selection._split import TaskStratifiedShuffleSplit as TaskStratifiedShuffleSplit
