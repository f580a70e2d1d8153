"""Temperatures that make class probabilities as sure as they are right."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from skmtl.tasks import Targets, TaskOutput, column_spans

#: Logarithm of the largest temperature, and of the inverse of the least one.
_BOUND = 3.0

#: What a probability counts as at least: the logarithm of 0 says nothing of how much less sure.
LEAST_PROBABILITY = 1e-15


def fit_temperatures(
    outputs: list[TaskOutput], targets: Targets, weights: np.ndarray
) -> dict[str, float]:
    """Find the temperature with the least cross-entropy on held-out rows, for each class task.

    Parameters
    ----------
    outputs : list of TaskOutput
        Predictions of rows that were not learnt from.
    targets : Targets
        Their labels.
    weights : ndarray of shape (n_rows, n_columns)
        Weights of the cells, 0 where there is no label.

    Returns
    -------
    dict of str to float
        By class task, between 0.05 and 20; 1 where there are not two classes among the labels.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: On Calibration of Modern Neural Networks,
    ICML 2017, section 4.2.
    """
    found = {}
    for output, span in zip(outputs, column_spans(o.task for o in outputs), strict=True):
        if not output.task.has_classes:
            continue
        own = weights[:, span]
        cells = np.nonzero(own)
        codes = targets.values[:, span][cells].astype(np.intp)
        found[output.task.name] = 1.0
        if output.is_known and len(np.unique(codes)) > 1:
            logits = np.log(output.probabilities[cells].clip(LEAST_PROBABILITY))
            found[output.task.name] = _temperature(logits, codes, own[cells])
    return found


def with_temperatures(
    outputs: list[TaskOutput], temperatures: dict[str, float]
) -> list[TaskOutput]:
    """Raise or lower how sure probabilities are.

    Parameters
    ----------
    outputs : list of TaskOutput
        Predictions.
    temperatures : dict of str to float
        By task; others stay as they are.

    Returns
    -------
    list of TaskOutput
        Probabilities proportional to ``p ** (1 / temperature)``.
    """
    if not temperatures:
        return outputs
    changed = []
    for output in outputs:
        temperature = temperatures.get(output.task.name, 1.0)
        values: Any = output.values
        if temperature != 1.0 and output.is_known:
            shares = softmax(
                np.log(output.probabilities.clip(LEAST_PROBABILITY)) / temperature, axis=-1
            )
            values = shares[..., 1] if output.task.kind == "multilabel" else shares[:, 0]
        changed.append(TaskOutput(output.task, values))
    return changed


def _temperature(logits: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> float:
    rows = np.arange(len(codes))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-(weights * scaled[rows, codes]).sum())

    best = minimize_scalar(loss, bounds=(-_BOUND, _BOUND), method="bounded")
    return float(np.exp(best.x))
