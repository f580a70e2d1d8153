"""What the three estimators have in common."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Mapping
from contextlib import closing
from functools import partial
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator, MultiOutputMixin
from sklearn.utils.validation import check_is_fitted

from skmtl.estimators._callbacks import CallbackSupportMixin, with_callbacks
from skmtl.estimators._candidates import fit_candidates, fit_one, has_candidates, plan
from skmtl.estimators._checkpoint import run_of
from skmtl.estimators._conformal import ConformalMixin
from skmtl.estimators._history import HistoryMixin
from skmtl.estimators._preparing import Given, Memo, prepare
from skmtl.estimators._setting import ParametersMixin
from skmtl.estimators._task_warnings import warn_of_tasks
from skmtl.estimators._training import Course, Training, all_or_nothing, less_memory, train
from skmtl.tasks import TargetEncoder, TargetScaler, Task
from skmtl.training import DivergedError


class BaseMultiTaskNet(
    CallbackSupportMixin,
    ParametersMixin,
    HistoryMixin,
    ConformalMixin,
    MultiOutputMixin,
    BaseEstimator,
):
    """Base of the estimators; see :class:`MultiTaskNetClassifierRegressor`."""

    # Where scikit-learn routes metadata, whoever passes groups means them for all that holds out.
    __metadata_request__fit: ClassVar = {"groups": True}

    _default_kind: str | None = None
    _encoder: TargetEncoder
    _scaler: TargetScaler
    _fold_seed: int | None
    _n_halved: int
    _temperatures: dict[str, float]
    _built_from: dict[str, tuple[str, str]]
    tasks_: tuple[Task, ...]

    def __init__(
        self,
        tasks: Any = None,
        *,
        preset: str = "default",
        sharing: Any = "hard",
        loss_weights: Any = None,
        normalize_losses: bool | str = "numbers",
        trunk: Any = "mlp",
        hidden_layer_sizes: tuple[int, ...] = (128, 128),
        activation: Any = "relu",
        dropout: float = 0.0,
        n_bins: int | str = "auto",
        head_layer_sizes: tuple[int, ...] = (),
        penalty: Any = None,
        n_members: int | str = "auto",
        bagging: str | None = "folds",
        optimizer: Any = "adamw",
        lr: float = 3e-3,
        weight_decay: float = 0.0,
        ema_decay: float | str = "auto",
        batch_size: int | str = "auto",
        max_epochs: int = 200,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        class_weight: Any = None,
        calibration: str | None = None,
        preprocess: Any = "auto",
        device: Any = "auto",
        dtype: str = "float32",
        n_threads: int | None = 1,
        deterministic: bool = False,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        callbacks: Any = None,
        net_params: dict[str, Any] | None = None,
        checkpoint: Any = None,
    ) -> None:
        self.tasks = tasks
        self.preset = preset
        self.sharing = sharing
        self.loss_weights = loss_weights
        self.normalize_losses = normalize_losses
        self.trunk = trunk
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.n_bins = n_bins
        self.head_layer_sizes = head_layer_sizes
        self.penalty = penalty
        self.n_members = n_members
        self.bagging = bagging
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.ema_decay = ema_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.class_weight = class_weight
        self.calibration = calibration
        self.preprocess = preprocess
        self.device = device
        self.dtype = dtype
        self.n_threads = n_threads
        self.deterministic = deterministic
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.net_params = net_params
        self.checkpoint = checkpoint

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Fit the network.

        Parameters
        ----------
        X : frame, ndarray, sparse matrix or tensor of shape (n_samples, n_features)
            Features.  Arrays with more axes go to trunks that take them.
        y : frame, series, array, list of rows, tensor or dict
            Targets, shape (n_samples,) or (n_samples, n_columns).  NaN, None, pd.NA, NaT
            and masked cells are missing labels.  A dict of columns works here alone, with a
            warning: cross-validation needs a frame.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights of rows, or of each task's labels, at least 0.
        groups : array-like of shape (n_samples,), default=None
            Which rows belong together: the person, machine, place or week of each.  Wherever rows
            are held out (folds, a bootstrap, early stopping), whole groups are, so that scores,
            probabilities and intervals are for groups that were not seen.  With fewer groups
            than members, several members leave out the same group; a group that holds all labels of
            a task is never left out.  None: each row by itself.
        X_val, y_val : as X and y, default=None
            Validation rows in place of a part of the training rows.
        sample_weight_val : as sample_weight, default=None
            Weights of the validation rows.

        Returns
        -------
        estimator
            self.

        Raises
        ------
        ValueError, TypeError
            If parameters or data are not valid.  The estimator is left as it was.
        DivergedError
            If the loss of a task becomes NaN or infinite.  The estimator is left as it was,
            or, with early stopping, fitted with the best weights before.
        """
        given = Given.to_fit(X, y, sample_weight, X_val, y_val, sample_weight_val, groups)
        continues = bool(self.warm_start) and hasattr(self, "net_")
        return self._fit(given._replace(continues=continues))

    @with_callbacks
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """Train for one pass over the given rows.

        The first call decides on tasks, classes, preprocessing and target scales; later
        calls keep them.

        Parameters
        ----------
        X, y : as in `fit`
            Rows.
        classes : dict, list or array, default=None
            All classes that will ever occur: by task name, one entry per class task or per task,
            or (for a single task) the classes.  Read by the first call.
        sample_weight : as in `fit`, default=None
            Weights.  In each call those of a task, with `class_weight`, are scaled to a mean of 1: they
            tell rows of a call apart, not one call from another.

        Returns
        -------
        estimator
            self.

        Raises
        ------
        ValueError, TypeError
            If parameters or data are not valid, a class is new that no call before had, a
            parameter has changed that the net was built from, or parameters ask for all rows at once:
            ``class_weight="balanced"``, ``preset="best"`` and ``sharing="auto"``.  The estimator is
            left as it was.
        DivergedError
            If the loss of a task becomes NaN or infinite.  The estimator is left as it was.
        """
        weight = self.class_weight
        of_tasks = weight.values() if isinstance(weight, Mapping) else [weight]
        if any(isinstance(each, str) and each == "balanced" for each in of_tasks):
            raise ValueError(
                "class_weight='balanced' needs all rows at once, which partial_fit does not have. "
                "Count the classes, and pass class_weight as a mapping."
            )
        continues = hasattr(self, "net_")
        return self._fit(Given(X, y, sample_weight, None, continues, True, classes))

    def _fit(self, given: Given, memo: Memo | None = None) -> Any:
        """Fit; if it may, with half the batch size for as long as memory does not suffice."""
        while (told := self._without_memory(given, memo)) is not None:
            warnings.warn(told, UserWarning, stacklevel=3)
            given = given._replace(n_halved=given.n_halved + 1)
        return self

    def _without_memory(self, given: Given, memo: Memo | None) -> str | None:
        """Fit; return what to tell if memory did not suffice and half the batch size may do.

        A function of its own, for its variables would keep what was tried in memory.
        """
        batch_size, advice = 0, ""
        try:
            with closing(self._trainings(given, Memo() if memo is None else memo)) as trainings:
                for training in trainings:
                    batch_size, advice = training.net.batch_size, less_memory(training)
                    train(training)
        except torch.OutOfMemoryError as error:
            if self.batch_size != "halving" or given.continues or batch_size <= 1:
                raise
            words = str(error).removesuffix(advice).rstrip()
            return f"{words} Fitting anew with `batch_size = {batch_size // 2}` in place of {batch_size}."
        return None

    def _trainings(self, given: Given, memo: Memo) -> Generator[Training]:
        """Fit, but for the training: whoever asks for the next net has trained the last one."""
        max_epochs = 1 if given.is_partial else self.max_epochs
        with all_or_nothing(self):
            self._n_halved = given.n_halved
            prepared = prepare(self, given, memo)
            judges = prepared.stops or prepared.valid is not None
            changes = plan(self, prepared.train, judges=judges) if has_candidates(self) else {}
            fit = partial(fit_candidates, changes=changes) if changes else fit_one
            checkpoint = run_of(self, given)
            course = Course(max_epochs, (given.X, given.y), given.continues, checkpoint)
            fitted = yield from fit(self, prepared, memo, course)
        if fitted.error is not None:
            raise DivergedError(
                f"{fitted.error} The estimator holds the best weights, of epoch {self.best_epoch_}."
            ) from fitted.error
        warn_of_tasks([part.net_ for part in getattr(self, "candidates_", {"": self}).values()])

    @property
    def preprocess_(self) -> Any:
        """The fitted transformer that turns features into numbers, or None."""
        check_is_fitted(self, "net_")
        return self._preprocess

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether there is a trained net."""
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn may expect."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = self.preprocess is not None
        tags.input_tags.sparse = True
        return tags
