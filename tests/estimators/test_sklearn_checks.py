"""scikit-learn's own checks on the three estimators."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmtl import (
    MultiTaskNetClassifier,
    MultiTaskNetClassifierRegressor,
    MultiTaskNetRegressor,
)

ESTIMATORS = (MultiTaskNetClassifierRegressor, MultiTaskNetClassifier, MultiTaskNetRegressor)


def expected_failures(estimator):
    """A row of weight 2 meets neither the same batches nor the same fold as the row twice."""
    if estimator.batch_size == -1:
        return {}
    return {
        f"check_sample_weight_equivalence_on_{kind}_data": "mini-batches differ"
        for kind in ("dense", "sparse")
    }


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")
@parametrize_with_checks(
    [
        *(cls() for cls in ESTIMATORS),
        *(cls(batch_size=-1, dtype="float64", lr=1e-2, early_stopping=False) for cls in ESTIMATORS),
    ],
    expected_failed_checks=expected_failures,
)
def test_estimator_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)
