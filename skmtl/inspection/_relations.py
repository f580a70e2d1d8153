"""Relations between tasks, read from the heads of a fitted net."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skmtl.inspection._inner import fitted_net


def task_relations(estimator: Any) -> pd.DataFrame:
    """Read which tasks a fitted net treats alike: correlations of their heads.

    ``R = (W^T W)^(1/2)``, scaled to a diagonal of 1, with the output weights W of all tasks
    side by side: the relations that ``penalty=TaskRelations()`` learns, and a description of
    any other net whose tasks read one representation.  1: the same head; 0: nothing in
    common; below 0: opposites.

    Parameters
    ----------
    estimator : estimator
        Fitted, without hidden layers of the heads; or a Pipeline or search around it.

    Returns
    -------
    DataFrame of shape (n_tasks, n_tasks)
        Symmetric, in [-1, 1].  For a task with several outputs the norm of its part of R, at
        least 0.

    Raises
    ------
    ValueError
        If the heads read different features: they have hidden layers, or the sharing scheme
        gives tasks trunks of their own.

    References
    ----------
    Y. Zhang, D.-Y. Yeung: A Convex Formulation for Learning Task Relationships in Multi-Task
    Learning, UAI 2010.
    """
    net = fitted_net(estimator)
    network = net.net_.module_
    if not network.body.has_common_features:
        raise ValueError(
            "Relations are read from heads that read the same features, as with 'hard', 'chain', "
            f"'mmoe', 'dselect_k' or 'attention'. Found `sharing = {net.sharing!r}`, under which "
            "tasks have features of their own."
        )
    heads = network.heads
    if heads.hidden:
        raise ValueError(
            "Relations are read from heads without hidden layers. Found "
            f"`head_layer_sizes = {net.head_layer_sizes!r}`."
        )
    weights = heads.output.weight.detach().double().cpu().numpy()
    roots = []
    for w in weights:  # (feature, output row) of each member
        values, vectors = np.linalg.eigh(w.T @ w)
        roots.append(vectors * np.sqrt(values.clip(0)) @ vectors.T)
    root = np.mean(roots, axis=0)
    layout = heads.layout
    rows = [np.flatnonzero(layout.task_of_row == t) for t in range(layout.n_tasks)]
    blocks = [[root[np.ix_(r, s)] for s in rows] for r in rows]
    matrix = np.array(
        [[b.item() if b.size == 1 else np.linalg.norm(b) for b in bs] for bs in blocks]
    )
    scale = np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    frame = pd.DataFrame(matrix / np.outer(scale, scale), layout.names, layout.names)
    names = [task.name for task in net.tasks_]
    return frame.loc[names, names]
