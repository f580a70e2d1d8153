"""Checkpoints: a fit that is killed goes on from its last file, to the same bits."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import nn

from skmtl._frames import frame_to_pandas, is_frame
from skmtl.estimators._building import rebuild_net
from skmtl.estimators._callbacks import listeners
from skmtl.estimators._contents import contents, text_of
from skmtl.estimators._preparing import Given
from skmtl.estimators._training import Training
from skmtl.training import DivergedError, TaskNet, split_callbacks

#: Parameters that do not change what a fit comes to.
_NO_MATTER = frozenset(("verbose", "callbacks", "checkpoint", "warm_start"))


@dataclass(frozen=True)
class Checkpoint:
    """Where a fit writes its state, and how often.

    A fit that was killed and is started again with the same arguments goes on from the file, and
    ends with the weights and the history that it would have had, bit for bit.  The file stays:
    to fit again after the end only reads it.

    Parameters
    ----------
    path : str or os.PathLike
        A file, for one fit: data or parameters other than those of the file are an error.  A
        folder (which exists, or a path that ends with ``/``): a file for each fit, named by its
        data and parameters, for cross-validation and searches.
    every : int, default=10
        Epochs from one file to the next, at least 1.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from skmtl import Checkpoint, MultiTaskNetRegressor
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(f"{folder}/fit.checkpoint", every=5)
    ...     params = dict(max_epochs=10, random_state=0, checkpoint=checkpoint)
    ...     first = MultiTaskNetRegressor(**params).fit(X, X[:, :2])
    ...     again = MultiTaskNetRegressor(**params).fit(X, X[:, :2])  # reads the file
    >>> bool((again.predict(X) == first.predict(X)).all())
    True
    """

    path: str | os.PathLike[str]
    every: int = 10


class Run:
    """The networks of one fit, as far as its file knows them.

    Parameters
    ----------
    path : Path
        Name of the file.
    every : int
        Epochs from one file to the next.
    made_of : dict of str to (str, str)
        What the fit depends on: for messages, and to compare.
    is_retry : bool, default=False
        Whether the fit begins anew, because it ran out of memory: then no file is read.

    Raises
    ------
    ValueError
        If the file is of another fit, or damaged.
    """

    def __init__(
        self, path: Path, every: int, made_of: dict[str, tuple[str, str]], *, is_retry: bool = False
    ) -> None:
        self._path, self._every, self._made_of = path, every, made_of
        self._finished: list[dict[str, Any]] = []
        self._current: dict[str, Any] | None = None
        self._position = 0
        from skmtl._documents import remove_parts  # sklearn's many transformers

        remove_parts(path)
        if path.exists() and not is_retry:
            self._read()

    def _read(self) -> None:
        from skmtl._documents import FileError, Reader, read_file  # sklearn's many transformers

        try:
            document, arrays = read_file(self._path)
        except FileError as error:
            raise FileError(f"{error} Delete the file to fit from the start.") from error
        # Told apart before anything is made of it: what comes after may be of another version.
        made_of = document.pop("made_of", None) if isinstance(document, dict) else None
        if made_of is None:
            raise ValueError(f"{self._path} is no checkpoint. Choose another `checkpoint`.")
        self._check_same(made_of)
        state = Reader(arrays).value(document["state"])
        self._finished, self._current = state["finished"], state["current"]

    def _check_same(self, before: dict[str, list[str]]) -> None:
        different = []
        for name in {**before, **self._made_of}:
            then, now = before.get(name, ["", ""]), self._made_of.get(name, ("", ""))
            if then[1] != now[1]:
                shown = "" if then[0] == now[0] else f" ({then[0]} then, {now[0]} now)"
                different.append(f"{name}{shown}")
        if different:
            raise ValueError(
                f"The checkpoint {self._path} is of another fit, which differs in "
                f"{', '.join(different)}. Choose another `checkpoint`, delete the file, or give a "
                "folder for many fits."
            )

    def resume(self, training: Training) -> bool:
        """Give a training the net that the file has of it.

        Parameters
        ----------
        training : Training
            The next one of the fit; changed in place.

        Returns
        -------
        bool
            Whether it was trained to its end.
        """
        position, self._position = self._position, self._position + 1
        is_finished = position < len(self._finished)
        parts = self._finished[position] if is_finished else self._current
        if parts is None:
            _check_repeatable(training.net)
            self._write(training)  # tells at once what a file cannot hold
            return False
        training.net = rebuild_net(training.estimator, parts)
        training.n_done = len(training.net.history)
        if not is_finished:
            self._current = None
        elif parts["error"] is not None:
            training.error = DivergedError(parts["error"])
        return is_finished

    def after_epoch(self, training: Training) -> Callable[[Any], bool]:
        """Return what to call after each epoch.

        Parameters
        ----------
        training : Training
            The one that is under way.

        Returns
        -------
        callable
            Takes the net.
        """

        def write(net: Any) -> bool:
            if len(net.history) % self._every == 0 or net.stops_:
                self._write(training)
            return False

        return write

    def finish(self, training: Training) -> None:
        """Note that a training has come to its end.

        Parameters
        ----------
        training : Training
            The one that was under way.
        """
        self._finished.append(self._parts(training))
        self._current = None
        self._write(None)

    def _parts(self, training: Training) -> dict[str, Any]:
        error = None if training.error is None else str(training.error)
        return {**training.net.parts(with_optimizer=True), "error": error}

    def _write(self, training: Training | None) -> None:
        from skmtl._documents import Writer, write_file

        current = None if training is None else self._parts(training)
        writer = Writer(with_optimizer=True)
        state = writer.node({"finished": self._finished, "current": current})
        write_file(self._path, {"made_of": self._made_of, "state": state}, writer.arrays)


def run_of(estimator: Any, given: Given) -> Run | None:
    """Open the checkpoint of a fit.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read.
    given : Given
        Its data.

    Returns
    -------
    Run or None
        None if it has no checkpoint.

    Raises
    ------
    ValueError, TypeError
        If the fit cannot be resumed, or the file is of another one.
    """
    if estimator.checkpoint is None:
        return None
    checkpoint = estimator.checkpoint
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = Checkpoint(checkpoint)
    _check(estimator, checkpoint, is_whole=not (given.is_partial or given.continues))
    path = Path(checkpoint.path)
    made_of = _made_of(estimator, given)
    if path.is_dir() or str(checkpoint.path).endswith(("/", os.sep)):
        path.mkdir(parents=True, exist_ok=True)
        path /= f"{sha256(repr(sorted(made_of.items())).encode()).hexdigest()[:32]}.checkpoint"
    return Run(path, checkpoint.every, made_of, is_retry=given.n_halved > 0)


def _check(estimator: Any, checkpoint: Checkpoint, *, is_whole: bool) -> None:
    if not isinstance(checkpoint.path, str | os.PathLike) or not str(checkpoint.path):
        raise TypeError(
            "Parameter `checkpoint` must be None, a path or a `skmtl.Checkpoint`. Found "
            f"`checkpoint = {checkpoint.path!r}`."
        )
    if not isinstance(checkpoint.every, Integral) or checkpoint.every < 1:
        raise ValueError(
            f"`every` of a Checkpoint must be a whole number of at least 1. Found {checkpoint.every!r}."
        )
    if not is_whole:
        raise ValueError(
            "`checkpoint` is for a `fit` from the start. Between calls of `partial_fit` and `fit` with "
            "`warm_start`, use `skmtl.export.save(..., include_optimizer=True)`."
        )
    if not isinstance(estimator.random_state, Integral):
        raise ValueError(
            "`checkpoint` needs a whole number as `random_state`, or a fit could not be repeated. "
            f"Found `random_state = {estimator.random_state!r}`."
        )
    of_skorch = [*split_callbacks(estimator.callbacks)[0]]
    if of_skorch:
        raise ValueError(
            "`checkpoint` cannot go on with callbacks of skorch, whose state no file holds. Found "
            f"`callbacks = {of_skorch!r:.80}`. Set one of the two to None."
        )


#: Modules of torch that draw from its global generator, always or by a rate.
_DRAW = (nn.RReLU, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)
_MAY_DRAW = (
    (nn.modules.dropout._DropoutNd, "p"),
    (nn.RNNBase, "dropout"),
    (nn.MultiheadAttention, "dropout"),
)


def _check_repeatable(net: TaskNet) -> None:
    """Refuse what draws from torch's global generator, whose state no file holds."""
    for name, module in net.module_.named_modules():
        if isinstance(module, _DRAW) or any(
            isinstance(module, kind) and getattr(module, rate) > 0 for kind, rate in _MAY_DRAW
        ):
            raise ValueError(
                f"`checkpoint` cannot go on with torch's {type(module).__name__}, here {name!r}, which "
                "draws from torch's global generator. Use the trunk's `dropout`, or set "
                "`checkpoint=None`."
            )


def _made_of(estimator: Any, given: Given) -> dict[str, tuple[str, str]]:
    """Note all that a fit depends on."""
    params = estimator.get_params(deep=False)
    found = {
        f"parameter `{name}`": (text_of(value)[:80], _digest(contents(value)))
        for name, value in params.items()
        if name not in _NO_MATTER
    }
    versions = {name: version(name) for name in ("skmtl", "torch", "numpy")}
    found |= {f"the version of {name}": (number, number) for name, number in versions.items()}
    found["the estimator"] = (type(estimator).__name__,) * 2
    # They may end a fit.
    callbacks = [type(each).__qualname__ for each in listeners(estimator)]
    found["parameter `callbacks`"] = (str(callbacks),) * 2
    X_val, y_val, weight_val = given.validation or (None, None, None)
    data = {"X": given.X, "y": given.y, "sample_weight": given.sample_weight}
    data |= {"groups": given.groups}
    data |= {"X_val": X_val, "y_val": y_val, "sample_weight_val": weight_val}
    return found | {name: ("", joblib.hash(_plain(value))) for name, value in data.items()}


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _plain(data: Any) -> Any:
    """Return data in a form whose hash depends on its content alone."""
    if isinstance(data, Mapping):  # joblib's hash sorts the keys, whose order is that of the tasks
        return [(repr(key), _plain(value)) for key, value in data.items()]
    if is_frame(data):
        frame = frame_to_pandas(data)
        columns = [frame.iloc[:, i] for i in range(frame.shape[1])]
        return [(repr(c.name), _type_of(c), np.ascontiguousarray(c)) for c in columns]
    if sparse.issparse(data):
        rows = data.tocsr()  # not what is noted on the side, as whether indices are sorted
        return [rows.shape, rows.indptr, rows.indices, rows.data]
    return _plain_array(data)


def _plain_array(data: Any) -> Any:
    if isinstance(data, torch.Tensor):
        cells = data.detach().cpu()
        is_narrow = cells.is_floating_point() and cells.itemsize < 4  # numpy has no bfloat16
        return [str(cells.dtype), (cells.float() if is_narrow else cells).numpy()]
    if isinstance(data, np.ma.MaskedArray):
        return [np.ascontiguousarray(data.data), np.ma.getmaskarray(data)]
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data)  # joblib's hash looks at the order of the memory too
    return data


def _type_of(column: pd.Series) -> str:
    """Return the type of a column; that of categories has an order, which is the classes'."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return contents([dtype.ordered, list(dtype.categories)])
    return str(dtype)
