"""A callback that watches whether the tasks pull the shared weights the same way."""

from __future__ import annotations

import math
from typing import Any

import torch
from sklearn.utils import check_random_state
from torch import Tensor

from skmtl.inspection._probes import cosines, draw_rows
from skmtl.layers import check_choice, check_whole
from skmtl.training import EpochHook, check_wrt, task_gradients

_WRT = ("parameters", "representation", "auto")


class TrackGradients(EpochHook):
    r"""Records along a fit how large the tasks' gradients are, and how often they conflict.

    Pass it as ``callbacks=[TrackGradients()]``.  After each epoch it takes the gradients
    :math:`g_t` of the tasks' losses by what the tasks share, on the same training rows every
    time, and adds to ``history_``:

    - ``gradient_norm_<task>``: :math:`\lVert g_t \rVert`.  Tasks with large gradients lead
      where weights are equal.
    - ``conflict_rate``: the share of pairs of tasks with :math:`g_s \cdot g_t < 0`, where a
      step for one task alone does harm to the other.
    - ``gradient_cosine``: the mean of
      :math:`g_s \cdot g_t / (\lVert g_s \rVert \lVert g_t \rVert)` over the pairs.

    :func:`plot_training` draws them.  The fit is not changed: the rows come from a generator
    of their own, and nothing of the net is touched.  See :func:`task_affinity` for which tasks
    agree and which do not.

    Parameters
    ----------
    max_rows : int, default=1024
        The largest number of training rows to take gradients on.  Tasks without a label among
        them are left out, so rare tasks want more rows.
    wrt : {"parameters", "representation", "auto"}, default="parameters"
        What gradients are taken with respect to: all parameters of trunk and sharing, or the
        representation that all heads read, which is cheaper.  ``"auto"``: the latter where there
        is one.
    random_state : int, RandomState or None, default=0
        Draws the rows, once per fit.

    Raises
    ------
    ValueError
        When a fit begins, if the tasks share no weight that is trained, or no representation
        where one is asked for.

    See Also
    --------
    task_affinity : Which tasks agree, mean over a fit.
    plot_training : The figure.

    Notes
    -----
    Gradients are those of the whole net in evaluation mode, without dropout, of the losses
    that training has, with row and class weights and normalisation, but without loss weights
    and penalties.  With schemes that give tasks weights of their own besides the shared ones,
    such as ``"ple"``, these count for the length of a gradient and so for the cosine, but
    not for the sign of a product.

    Costs: per epoch a forward pass on the rows and a backward pass per task, batched, and
    memory for one gradient per task.

    References
    ----------
    T. Yu, S. Kumar, A. Gupta, S. Levine, K. Hausman, C. Finn: Gradient Surgery for
    Multi-Task Learning, NeurIPS 2020, arXiv:2001.06782, definition 1 (conflicts).

    Examples
    --------
    >>> from skmtl import MultiTaskNetClassifierRegressor
    >>> from skmtl.datasets import load_automobile
    >>> from skmtl.inspection import TrackGradients
    >>> X, Y = load_automobile(return_X_y=True)
    >>> est = MultiTaskNetClassifierRegressor(
    ...     callbacks=[TrackGradients()], max_epochs=5, random_state=0
    ... ).fit(X, Y)
    >>> bool(est.history_["conflict_rate"].between(0, 1).all())
    True
    >>> float(est.history_["gradient_norm_price"].iloc[0]) > 0
    True
    """

    # Attributes that do not end in an underscore are parameters to skorch and to clone, so
    # `function`, which EpochHook calls, is a method here.
    def __init__(
        self, max_rows: int = 1024, wrt: str = "parameters", random_state: Any = 0
    ) -> None:
        self.max_rows = max_rows
        self.wrt = wrt
        self.random_state = random_state

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Check whether there is something to compare, and draw the rows."""
        n_rows = check_whole(self.max_rows, "max_rows")
        wrt = check_choice(self.wrt, "wrt", _WRT)
        self.wrt_ = check_wrt(net.module_, wrt, "TrackGradients", "or fit without this callback")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.batch_ = draw_rows(X[0], n_rows, torch.Generator().manual_seed(seed))

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Forget the rows."""
        del self.batch_

    def function(self, net: Any) -> bool:
        """Measure, and record in the history.

        Parameters
        ----------
        net : TaskNet
            After an epoch.

        Returns
        -------
        bool
            False: go on.
        """
        network, targets = net.module_, self.batch_.targets
        was_training = network.training
        network.eval()
        with torch.enable_grad():
            gradients = task_gradients(network, net.criterion_, self.batch_, self.wrt_)
            gramian = gradients.gramian.detach()
        network.train(was_training)
        # One transfer of everything.
        *by_task, rate, cosine = _summary(gramian, targets.present).tolist()
        names = net.criterion_.layout.names
        for name, norm, is_present in zip(
            names, by_task[: len(names)], by_task[len(names) :], strict=True
        ):
            if is_present:
                net.history.record(f"gradient_norm_{name}", norm)
        for key, value in (("conflict_rate", rate), ("gradient_cosine", cosine)):
            if not math.isnan(value):  # there is a pair
                net.history.record(key, value)
        return False

    def __repr__(self) -> str:
        """Return the parameters, without an address that differs after unpickling."""
        values = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({values})"

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without rows."""
        return {name: value for name, value in vars(self).items() if name != "batch_"}


def _summary(gramian: Tensor, present: Tensor) -> Tensor:
    """Return norms, presence, conflict rate and mean cosine as one vector; NaN: no pair."""
    # By rounding, a square may come out below 0.
    norms = gramian.diagonal(dim1=1, dim2=2).clamp_min(0.0).sqrt()  # (member, task)
    pairs = (present.unsqueeze(0) & present.unsqueeze(1)).triu(1)
    n_pairs = pairs.sum() * len(gramian)
    conflicts = ((gramian < 0) & pairs).sum() / n_pairs
    found = cosines(gramian)
    is_known = pairs & ~found.isnan()
    cosine = torch.where(is_known, found, 0.0).sum() / is_known.sum()
    return torch.cat(
        [norms.mean(0), present.to(norms), torch.stack([conflicts.to(norms), cosine.to(norms)])]
    )
