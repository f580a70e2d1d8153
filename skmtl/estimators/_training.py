"""From checked data to a trained net: the steps of `fit` that no other class needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from skmtl._strategy import resolve
from skmtl.features import FeatureEncoder
from skmtl.heads import HeadSpec, Layout
from skmtl.layers import Seeds
from skmtl.penalties import resolve_penalties
from skmtl.sharing import Sharing
from skmtl.tasks import Targets, Task, stratified_folds
from skmtl.training import (
    EarlyStopping,
    EpochHook,
    NetworkSpec,
    Objective,
    ProgressLine,
    TaskData,
    TaskNet,
    ValidationScore,
    WatchLosses,
    resolve_optimizer,
    split_callbacks,
)
from skmtl.trunks import MLP, Trunk
from skmtl.weighting import resolve_weighting

#: "auto" stops early from this many labelled rows on; below, a validation part says little.
EARLY_STOPPING_ROWS = 100
#: Batch size by number of training rows: (rows below, size).
BATCH_SIZES = ((1_500, 32), (4_000, 64), (8_000, 128))
LARGEST_BATCH = 256


@dataclass(frozen=True)
class Rows:
    """Checked rows: features, targets and a weight for each cell.

    Parameters
    ----------
    X : DataFrame, ndarray or sparse matrix of shape (n_samples, ...)
        Features as they came.
    targets : Targets
        Encoded targets.
    weights : ndarray of shape (n_samples, n_columns)
        Weights of the cells.
    row_weights : ndarray of shape (n_samples,)
        Weights of the rows, for the means and scales of features.
    """

    X: Any
    targets: Targets
    weights: np.ndarray
    row_weights: np.ndarray

    def take(self, rows: np.ndarray) -> Rows:
        """Select rows.

        Parameters
        ----------
        rows : ndarray of int
            Which rows.

        Returns
        -------
        Rows
            The selected rows.
        """
        X = _safe_indexing(self.X, rows)
        return Rows(X, self.targets.take(rows), self.weights[rows], self.row_weights[rows])

    def labelled(self) -> Rows:
        """Leave out rows without any label of positive weight."""
        keep = (self.weights > 0).any(axis=1)
        return self if keep.all() else self.take(np.flatnonzero(keep))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.targets)


def split_rows(rows: Rows, tasks: tuple[Task, ...], fraction: float, seeds: Seeds) -> Any:
    """Part off validation rows that keep class shares and label presence of every task.

    Parameters
    ----------
    rows : Rows
        Labelled rows.
    tasks : tuple of Task
        Their tasks.
    fraction : float
        Share of validation rows.
    seeds : Seeds
        Sources of randomness.

    Returns
    -------
    train, valid : Rows
        The two parts.

    Raises
    ------
    ValueError
        If one of them would be empty.
    """
    shares = np.array([1 - fraction, fraction])
    folds = stratified_folds(rows.targets, tasks, shares, seeds.random)
    if len(np.unique(folds)) < 2:
        raise ValueError(
            f"Early stopping needs training and validation rows, but `validation_fraction = "
            f"{fraction!r}` of {len(rows)} labelled rows leaves one part empty. Change it, pass "
            "X_val and y_val, or set `early_stopping=False`."
        )
    return rows.take(np.flatnonzero(folds == 0)), rows.take(np.flatnonzero(folds == 1))


def fit_preprocessing(preprocess: Any, rows: Rows) -> Any:
    """Fit what turns features into numbers, on training rows.

    Parameters
    ----------
    preprocess : "auto", None or transformer
        The estimator's parameter.
    rows : Rows
        Training rows.

    Returns
    -------
    transformer or None
        Fitted.

    Raises
    ------
    ValueError
        If `preprocess` is none of these.
    """
    if preprocess is None or (isinstance(preprocess, str) and getattr(rows.X, "ndim", 2) > 2):
        return None
    if isinstance(preprocess, str) and preprocess == "auto":
        weights = None if (rows.row_weights == 1).all() else rows.row_weights
        return FeatureEncoder().fit(rows.X, sample_weight=weights)
    if hasattr(preprocess, "fit") and hasattr(preprocess, "transform"):
        return clone(preprocess).fit(rows.X)
    raise ValueError(
        "Parameter `preprocess` must be 'auto', None or a transformer. Found "
        f"`preprocess = {preprocess!r}`."
    )


def encode_features(preprocess: Any, X: Any) -> Any:
    """Turn features into numbers.

    Parameters
    ----------
    preprocess : transformer or None
        From :func:`fit_preprocessing`.
    X : DataFrame, ndarray or sparse matrix of shape (n_samples, ...)
        Features.

    Returns
    -------
    ndarray or sparse matrix of shape (n_samples, ...)
        Numbers.

    Raises
    ------
    ValueError
        If a column of a frame is not numeric, and nothing makes it so.
    """
    encoded = X if preprocess is None else preprocess.transform(X)
    if sparse.issparse(encoded):
        return encoded.tocsr()
    if hasattr(encoded, "columns"):
        words = [str(c) for c in encoded.columns if encoded[c].dtype.kind not in "biuf"]
        if words:
            raise ValueError(
                f"Columns {words} of X are not numeric, and `preprocess = None` does not encode "
                "them. Use preprocess='auto' or encode them first."
            )
        return encoded.to_numpy(dtype=np.float64)
    return np.asarray(encoded)


def layout_of(tasks: tuple[Task, ...]) -> Layout:
    """Lay out the heads of the tasks.

    Parameters
    ----------
    tasks : tuple of Task
        In the user's order.

    Returns
    -------
    Layout
        Their rows in the network.
    """
    specs = [HeadSpec(t.name, str(t.kind), t.n_columns, t.n_classes) for t in tasks]
    return Layout.of(specs)


def resolve_trunk(estimator: Any) -> Trunk:
    """Turn ``trunk`` and the flat parameters for it into a trunk.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read.

    Returns
    -------
    Trunk
        The object that stands for the choice.

    Raises
    ------
    ValueError
        If a trunk object and flat parameters contradict each other.
    """
    flat = {
        name: getattr(estimator, name) for name in ("hidden_layer_sizes", "activation", "dropout")
    }
    if isinstance(estimator.trunk, Trunk):
        defaults = MLP().get_params()
        changed = [name for name, value in flat.items() if not _same(value, defaults[name])]
        if estimator.head_layer_sizes != () and "activation" in changed:
            changed.remove("activation")  # the heads read it too
        if changed:
            raise ValueError(
                f"`trunk = {estimator.trunk!r}` is an object with parameters of its own, so "
                f"`{changed[0]} = {flat[changed[0]]!r}` would have no effect. Set it on the "
                f"object, or search over `trunk__{changed[0]}`."
            )
    return resolve(estimator.trunk, Trunk, "trunk", **flat)


def choose_device(device: Any) -> torch.device:
    """Turn ``device`` into a torch device.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"``: CUDA where there is one, else the CPU.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(
            "Parameter `device` must be 'auto' or a device of torch such as 'cpu' or 'cuda'. "
            f"Found `device = {device!r}`."
        ) from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"`device = {device!r}` was asked for, but torch finds no CUDA device. Use "
            "device='auto' to fall back on the CPU."
        )
    return chosen


def build_net(
    estimator: Any, input_shape: tuple[int, ...], tasks: tuple[Task, ...], n_rows: int, seeds: Seeds
) -> TaskNet:
    """Build network, objective and skorch net from the estimator's parameters.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read.
    input_shape : tuple of int
        Shape of one encoded sample.
    tasks : tuple of Task
        The tasks.
    n_rows : int
        Number of training rows, for ``batch_size="auto"``.
    seeds : Seeds
        Sources of randomness.

    Returns
    -------
    TaskNet
        Not yet initialised.
    """
    layout = layout_of(tasks)
    device = choose_device(estimator.device)
    dtype = getattr(torch, estimator.dtype)
    spec = NetworkSpec(
        resolve(estimator.sharing, Sharing, "sharing"),
        resolve_trunk(estimator),
        estimator.head_layer_sizes,
        estimator.activation,
    )
    names = [task.name for task in tasks]
    weighting = resolve_weighting(estimator.loss_weights, names).build(layout.names, 1)
    objective = Objective(layout, weighting, resolve_penalties(estimator.penalty))
    network = spec.build(input_shape, layout, seeds)
    callbacks, _ = split_callbacks(estimator.callbacks)
    params = dict(estimator.net_params or {})
    optimizer, options = resolve_optimizer(
        estimator.optimizer, needs_torch_optim=bool(callbacks or params)
    )
    if estimator.weight_decay or isinstance(estimator.optimizer, str):
        # Given in any case: torch's AdamW decays by 0.01 if nothing is said.
        options["weight_decay"] = estimator.weight_decay
    if estimator.weight_decay:
        # Decay pulls weights, not biases, towards zero.
        options["param_groups"] = [("*bias", {"weight_decay": 0.0})]
    batch_size = batch_size_for(n_rows) if estimator.batch_size == "auto" else estimator.batch_size
    settings = {
        "optimizer": optimizer,
        **{f"optimizer__{name}": value for name, value in options.items()},
        "lr": estimator.lr,
        "batch_size": batch_size,
        "max_epochs": estimator.max_epochs,
        "device": str(device),
        "callbacks": callbacks,
        **params,
    }
    return TaskNet(
        network.to(device=device, dtype=dtype),
        criterion=objective.to(device=device, dtype=dtype),
        generator=seeds.shuffle,
        **settings,
    )


def batch_size_for(n_rows: int) -> int:
    """Choose a batch size by the number of training rows.

    Parameters
    ----------
    n_rows : int
        Training rows.

    Returns
    -------
    int
        32 below 1,500 rows, 64 below 4,000, 128 below 8,000, then 256: small data need many
        steps per epoch, large data fast ones.
    """
    return next((size for below, size in BATCH_SIZES if n_rows < below), LARGEST_BATCH)


def train_net(
    net: TaskNet,
    train: TaskData,
    valid: TaskData | None,
    *,
    estimator: Any,
    max_epochs: int,
    stops_early: bool,
    after_epoch: Callable[[Any], bool] | None,
) -> None:
    """Train an initialised net, with our own callbacks beside the user's.

    Parameters
    ----------
    net : TaskNet
        Changed in place.
    train, valid : TaskData
        Rows on the device; no validation if the latter is None.
    estimator : estimator
        Whose parameters to read.
    max_epochs : int
        The largest number of epochs.
    stops_early : bool
        Whether to stop when the validation score no longer rises, with the best weights.
    after_epoch : callable or None
        Called with the net after each epoch; ends the fit by returning True.

    Raises
    ------
    DivergedError
        If the loss of a task is NaN or infinite.  The net then has the best weights so far,
        and ``net.usable_`` tells whether there were any.
    """
    ours: list[tuple[str, Any]] = [("watch", WatchLosses())]
    stopping = None
    if valid is not None:
        ours.append(("valid_score", ValidationScore(train, valid, _fixed_weights(net))))
        if stops_early:
            stopping = EarlyStopping(estimator.n_iter_no_change, estimator.tol)
            ours.append(("early_stopping", stopping))
    if after_epoch is not None:
        ours.append(("sklearn", EpochHook(after_epoch)))
    if estimator.verbose:
        ours.append(("progress", ProgressLine(max_epochs)))
    users = list(net.callbacks_)
    # Ours come first, so that the user's see the scores of the epoch.
    net.callbacks_ = [*ours, *users]
    net.stopping_ = stopping
    try:
        net.partial_fit((train, valid), epochs=max_epochs)
    finally:
        net.callbacks_ = users
        net.module_.eval()


def _fixed_weights(net: TaskNet) -> np.ndarray:
    """Return the tasks' weights in the validation score: the fixed ones, or equal ones."""
    weights = getattr(net.criterion_.weighting, "weights", None)
    n_tasks = net.criterion_.layout.n_tasks
    return np.ones(n_tasks) if weights is None else weights[0].double().cpu().numpy()


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, list):
        left = tuple(left)
    return type(left) is type(right) and bool(left == right)


@contextmanager
def all_or_nothing(estimator: Any) -> Iterator[None]:
    """Give the estimator its former state back if an error ends the block.

    Parameters
    ----------
    estimator : estimator
        Whose attributes to guard.  scikit-learn's callback attributes are left to it.

    Yields
    ------
    None
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        theirs = ("_callback", "_skl_callback", "_parent_callback")
        for name in [name for name in vars(estimator) if not name.startswith(theirs)]:
            del vars(estimator)[name]
        vars(estimator).update({k: v for k, v in before.items() if not k.startswith(theirs)})
        raise
