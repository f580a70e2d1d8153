"""Paired tests: against the formulas written out, and scipy."""

import numpy as np
import pytest
from scipy import stats

from skmtl.inspection._paired import corrected_t_test, holm

GAINS = np.array([0.1, 0.3, 0.2, -0.1, 0.4])


def test_a_value_computed_by_hand():
    # Mean 0.18, sum of squared deviations 0.148, variance 0.037, factor 1/5 + 1/4.
    lower, upper, p_value = corrected_t_test(GAINS, 0.25, 0.95)
    error = np.sqrt(0.45 * 0.037)
    assert p_value == pytest.approx(2 * stats.t.sf(0.18 / error, 4))
    half = 2.7764451051977987 * error  # the 97.5% quantile of t with 4 degrees of freedom
    assert (lower, upper) == pytest.approx((0.18 - half, 0.18 + half))


@pytest.mark.parametrize("confidence", [0.8, 0.99])
def test_without_the_correction_it_is_the_t_test_of_scipy(confidence):
    lower, upper, p_value = corrected_t_test(-GAINS, 0.0, confidence)
    expected = stats.ttest_1samp(-GAINS, 0)
    interval = expected.confidence_interval(confidence)
    assert p_value == pytest.approx(expected.pvalue)
    assert (lower, upper) == pytest.approx((interval.low, interval.high))


def test_limiting_cases():
    assert np.isnan(corrected_t_test(GAINS[:1], 0.25, 0.95)).all()
    assert np.isnan(corrected_t_test(GAINS[:0], np.nan, 0.95)).all()
    assert corrected_t_test(np.zeros(3), 0.25, 0.95) == (0, 0, 1)
    assert corrected_t_test(np.full(4, 0.5), 0.25, 0.95) == (0.5, 0.5, 0)


def test_holm_by_hand():
    p_values = np.array([0.01, np.nan, 0.04, 0.03, 0.005])
    assert holm(p_values) == pytest.approx([0.03, np.nan, 0.06, 0.06, 0.02], nan_ok=True)
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1, 1])
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_holm_rejects_what_the_step_down_procedure_rejects():
    rng = np.random.default_rng(0)
    for _ in range(50):
        p_values = rng.random(6) ** 4
        rejected = np.zeros(6, dtype=bool)
        for step, i in enumerate(np.argsort(p_values)):
            if p_values[i] >= 0.05 / (6 - step):
                break
            rejected[i] = True
        np.testing.assert_array_equal(holm(p_values) < 0.05, rejected)
