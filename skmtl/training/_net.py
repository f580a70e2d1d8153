"""The skorch net that trains, with the per-batch overhead taken out."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from skorch.history import History
from torch import Tensor

from skmtl.training._average import WeightAverage
from skmtl.training._backward import StepResult, autograd_backward
from skmtl.training._batches import BatchIterator, BatchTargets, TaskData
from skmtl.training._callbacks import StopTraining
from skmtl.training._epochs import Epoch, EpochSums, evaluate_epoch, look_back, train_epoch
from skmtl.training._network import Network
from skmtl.training._objective import Objective
from skmtl.training._optimizer import FusedAdamW
from skmtl.training._written import WrittenBackward

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class TaskNet(NeuralNet):
    """A skorch net for several tasks.

    It differs from ``skorch.NeuralNet`` in what an epoch costs and in what it records:
    batches are slices (:class:`BatchIterator`), losses are summed on the device and read
    once per epoch, and the history has a loss per task.  If a callback listens to batches,
    skorch's own loop runs in place of the fast one.  Ctrl-C ends the fit with
    ``KeyboardInterrupt`` as everywhere else; skorch's own callbacks that stop a fit by raising
    it themselves (``EarlyStopping``) still only stop that fit.

    Parameters
    ----------
    module : Network
        Built, on its device.
    criterion : Objective
        Losses, weighting and penalties.
    generator : torch.Generator, default=None
        Draws the order of the rows.
    ema_decay : float, default=0.0
        Of the moving average of the weights that judges and predicts; 0: none.
    iterator_train, iterator_valid : type, default=BatchIterator
        Makes batches of a table.
    train_split : None, default=None
        Validation rows are given to `partial_fit`; nothing is split here.
    verbose : int, default=0
        As for ``skorch.NeuralNet``.
    **kwargs : object
        As for ``skorch.NeuralNet``.
    """

    def __init__(
        self,
        module: Any,
        *,
        criterion: Any,
        generator: torch.Generator | None = None,
        ema_decay: float = 0.0,
        iterator_train: Any = BatchIterator,
        iterator_valid: Any = BatchIterator,
        train_split: Any = None,
        verbose: int = 0,
        **kwargs: Any,
    ) -> None:
        self.generator = generator
        self.ema_decay = ema_decay
        super().__init__(
            module,
            criterion=criterion,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            train_split=train_split,
            verbose=verbose,
            **kwargs,
        )

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return []  # losses are recorded by `run_single_epoch`

    def initialize(self) -> TaskNet:
        """Initialise module, objective, optimiser, history and callbacks."""
        super().initialize()
        # Only `module_` and `criterion_` go through skorch's pickling, which maps CUDA
        # tensors to a machine without it; a second reference would not.
        self.module, self.criterion = Network, Objective
        self._epoch = EpochSums()
        self._average: WeightAverage | None = None
        self._average_before: dict[str, Any] | None = None  # of a fit that was interrupted
        self.stops_ = False  # set by callbacks that end the fit
        self._lowest: dict[str, float] = {}  # loss of the best epoch so far, by prefix
        return self

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> TaskNet:
        """Initialise the optimiser, and let skorch know one that is not from torch.optim."""
        super().initialize_optimizer(*args, **kwargs)
        if "optimizer" not in self.prefixes_:
            self._register_attribute("optimizer_", self.optimizer_)
        return self

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> TaskNet:
        """Train, without swallowing Ctrl-C.

        Parameters
        ----------
        X : tuple of TaskData
            Training and validation rows; the latter may be None.
        y, classes : None
            Ignored.
        **fit_params : object
            ``epochs``: how many epochs to train.

        Returns
        -------
        TaskNet
            self.
        """
        if not self.initialized_:
            self.initialize()
        self.stops_ = False
        self.notify("on_train_begin", X=X, y=y)  # which may load weights
        self._average = WeightAverage(self.module_, self.ema_decay) if self.ema_decay else None
        if self._average is not None and self._average_before is not None:
            self._average.load(self._average_before)
        self._average_before = None
        try:
            with suppress(StopTraining):
                self.fit_loop(X, y, **fit_params)
        finally:
            self._average = None
        self.notify("on_train_end", X=X, y=y)
        return self

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks, and end the fit if one of them asked for it."""
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as interrupt:
            if not _was_raised_by_skorch(interrupt):
                raise
            self.stops_ = True
        # After all callbacks, so that each sees the last epoch.
        if method_name == "on_epoch_end" and self.stops_:
            raise StopTraining

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Return training and validation rows as they were given."""
        return X

    def get_iterator(self, dataset: TaskData, training: bool = False) -> Any:
        """Return batches of a table: shuffled for training, large and in order otherwise."""
        kind = self.iterator_train if training else self.iterator_valid
        kwargs = self.get_params_for("iterator_train" if training else "iterator_valid")
        if training:
            kwargs = {"batch_size": self.batch_size, "generator": self.generator, **kwargs}
        else:
            kwargs = {"batch_size": max(self.batch_size, self.module_.evaluation_rows), **kwargs}
        if kwargs["batch_size"] == -1:
            kwargs["batch_size"] = dataset.n_rows
        return kind(dataset, **kwargs)

    def get_loss(
        self, y_pred: Tensor, y_true: Any, X: Any = None, training: bool = False
    ) -> Tensor:
        """Return the objective of a validation batch, and remember the losses for the epoch's record."""
        # What is judged is what will predict.
        y_pred = self.criterion_.ensemble(y_pred, self.module_.n_submodels)
        losses = self.criterion_.task_losses(y_pred, y_true)
        self._epoch.add(losses, y_true.n_labelled)
        return self.criterion_(losses, y_true.present, self.module_)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the gradients of a step of skorch's own loop.

        Parameters
        ----------
        batch : Batch
            Features and targets.
        **fit_params : object
            Ignored.

        Returns
        -------
        dict
            ``loss`` and ``y_pred``.
        """
        self._set_training(True)
        step = autograd_backward(self.module_, self.criterion_)(*batch)
        self._record(step, batch.targets)
        with torch.no_grad():  # with Omega: a line search compares it
            total = self.criterion_(step.losses, batch.targets.present, self.module_)
        return {"loss": total, "y_pred": step.z}

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Take a step of skorch's own loop."""
        step = super().train_step(batch, **fit_params)
        if self._average is not None:
            self._average.update()
        look_back(self.module_, self.criterion_, batch)
        return step

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Train or validate for one epoch, and record a loss per task.

        Parameters
        ----------
        iterator : BatchIterator or None
            Batches; None: nothing to do.
        training : bool
            Whether to change the weights.
        prefix : {"train", "valid"}
            How the records are called.
        step_fn : callable
            skorch's step, for the loop that listens to batches.
        **fit_params : object
            For `step_fn`.
        """
        if iterator is None:
            return
        average = self._average if training else None
        with nullcontext() if average is None else average.raw():
            if self._listens_to_batches(training):
                super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            else:
                # One row stands for all batches: callbacks of skorch look for it.
                self.history.new_batch()
                if training:
                    self._train(iterator)
                else:
                    evaluate_epoch(self.module_, self.criterion_, iterator, self._epoch)
        if training:
            self._epoch.end(self.criterion_)
        self.record_epoch(self._epoch.read([self])[0], prefix)

    def parts(self, *, with_optimizer: bool) -> dict[str, Any]:
        """Return what a net consists of, beside the parameters that it was built by.

        Parameters
        ----------
        with_optimizer : bool
            Whether to include the running means of the optimiser, to go on with the training.

        Returns
        -------
        dict
            Network, objective, records, and the states of randomness.
        """
        return {
            "module": self.module_,
            "criterion": self.criterion_,
            "generator": self.generator,
            "batch_size": self.batch_size,
            "ema_decay": self.ema_decay,
            "history": list(self.history),
            "lowest": self._lowest,
            "stopping": getattr(self, "stopping_", None),
            "average": self._average and self._average.state(),
            "stops": self.stops_,
            "optimizer": self.optimizer_.state_dict() if with_optimizer else None,
        }

    def take(self, parts: dict[str, Any]) -> TaskNet:
        """Take over records and states that another net had.

        Parameters
        ----------
        parts : dict
            From :meth:`parts`; network and objective are those that this net was built from.

        Returns
        -------
        TaskNet
            self.
        """
        self.history_ = History(parts["history"])
        self.ema_decay, self.stopping_ = parts["ema_decay"], parts["stopping"]
        self._lowest, self.stops_ = parts["lowest"], parts["stops"]
        self._average_before = parts["average"]
        if parts["optimizer"] is not None:
            _load(self.optimizer_, parts["optimizer"])
        return self

    def renew_optimizer(self) -> TaskNet:
        """Build the optimiser anew, as far on as it is: copies of torch's may lack what others lean on.

        Returns
        -------
        TaskNet
            self.
        """
        if type(self.optimizer_) is not FusedAdamW:
            saved = self.optimizer_.state_dict()
            self.initialize_optimizer()
            _load(self.optimizer_, saved)
        return self

    def record_epoch(self, epoch: Epoch, prefix: str) -> None:
        """Write the losses of an epoch into the history.

        Parameters
        ----------
        epoch : Epoch
            Means of the epoch.
        prefix : {"train", "valid"}
            How the records are called.
        """
        record: dict[str, Any] = self.history[-1]  # at once: a call for each takes a step's time
        lowest = self._lowest.get(prefix, float("inf"))
        record[f"{prefix}_loss"] = epoch.total
        record[f"{prefix}_loss_best"] = epoch.total < lowest
        self._lowest[prefix] = min(epoch.total, lowest)
        record |= {f"{prefix}_loss_{name}": loss for name, loss in epoch.losses.items()}
        record |= {f"weight_{name}": weight for name, weight in epoch.weights.items()}

    @property
    def engine_(self) -> str:
        """How steps are taken: "written", "autograd" or "skorch"."""
        if self._listens_to_batches(training=True):
            return "skorch"
        return (
            "autograd" if WrittenBackward.of(self.module_, self.criterion_) is None else "written"
        )

    def _train(self, iterator: Any) -> None:
        module, criterion = self.module_, self.criterion_
        after = None if self._average is None else self._average.update
        train_epoch(module, criterion, self.optimizer_, iterator, self._epoch, after)

    def _record(self, step: StepResult, targets: BatchTargets) -> None:
        is_constant = self.criterion_.weighting.is_constant
        self._epoch.add(step.losses, targets.n_labelled, None if is_constant else step.weights)

    def _listens_to_batches(self, training: bool) -> bool:
        if training and isinstance(self.optimizer_, torch.optim.LBFGS):
            return True  # needs skorch's closure
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for _, callback in self.callbacks_
            for hook in _BATCH_HOOKS
            # A schedule by epochs has nothing to do after a batch.
            if not (isinstance(callback, LRScheduler) and callback.step_every == "epoch")
        )


def _load(optimizer: Any, saved: dict[str, Any]) -> None:
    """Load the state of an optimiser to the bit: torch casts all of it to the parameters' type."""
    optimizer.load_state_dict(saved)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for position, held in saved["state"].items():
        own = optimizer.state[parameters[position]]
        own |= {n: v.to(own[n].device) for n, v in held.items() if torch.is_tensor(v)}


def _was_raised_by_skorch(interrupt: KeyboardInterrupt) -> bool:
    """Tell a callback of skorch that stops its fit, as they do, from a Ctrl-C."""
    traceback = interrupt.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = "" if traceback is None else traceback.tb_frame.f_globals.get("__name__", "")
    return bool(module.startswith("skorch.callbacks"))
