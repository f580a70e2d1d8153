"""Saving and loading fitted estimators."""

from __future__ import annotations

import os
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skmtl._documents import FileError, read_file, write_file
from skmtl.estimators._base import BaseMultiTaskNet
from skmtl.estimators._building import choose_device
from skmtl.estimators._parameters import check_unchanged
from skmtl.export._estimators import EstimatorReader, EstimatorWriter
from skmtl.training import TaskNet

#: What the optimiser of a net in a file is built from, without and with its running means.
_OF_OPTIMIZER = (("optimizer", "net_params"), ("optimizer", "net_params", "weight_decay"))


def save(estimator: Any, path: str | os.PathLike[str], *, include_optimizer: bool = False) -> None:
    """Save a fitted estimator as one file without code.

    The file is a safetensors file: any tool for these shows the weights.  Parameters, tasks,
    preprocessing, history and the state of the weighting stand in its header, as JSON.  It
    appears under its name once it is complete.

    Parameters
    ----------
    estimator : estimator or Pipeline
        A fitted estimator of skmtl, or a Pipeline whose last step is one and whose other steps
        are transformers of scikit-learn that hold arrays and numbers alone.
    path : str or os.PathLike
        Name of the file.
    include_optimizer : bool, default=False
        Whether to include the optimiser's running means, so that ``partial_fit`` and
        ``warm_start`` go on as if there had been no file; three times the size.

    Raises
    ------
    TypeError
        If something in it cannot be saved, such as a function, a callback or a module of a
        class of your own; the message names it.
    ValueError
        If a parameter of the optimiser has changed since `fit`, so that the file could not be read.
    NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    load : Read it.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from skmtl import MultiTaskNetRegressor
    >>> from skmtl.export import load, save
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> est = MultiTaskNetRegressor(max_epochs=2, random_state=0).fit(X, X[:, :2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(est, f"{folder}/model.skmtl")
    ...     again = load(f"{folder}/model.skmtl")
    >>> bool((again.predict(X) == est.predict(X)).all())
    True
    """
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(last, BaseMultiTaskNet):
        raise TypeError(
            "`save` takes an estimator of skmtl, or a Pipeline that ends with one. Found "
            f"{type(last).__name__}. Of a search save its `best_estimator_`; use pickle or joblib "
            "for others."
        )
    check_is_fitted(last, "net_")
    writer = EstimatorWriter(with_optimizer=include_optimizer)
    document = writer.node(estimator)
    check_unchanged(last, last._built_from, _OF_OPTIMIZER[include_optimizer])
    write_file(path, document, writer.arrays)


def load(path: str | os.PathLike[str], *, device: str | None = None) -> Any:
    """Load an estimator that :func:`save` has saved.

    Nothing in the file is executed, whoever wrote it: it can name classes of a fixed list and
    no functions, and what it says of its own sizes is checked before memory is taken.

    Parameters
    ----------
    path : str or os.PathLike
        Name of the file.
    device : str, default=None
        Takes the place of the parameter `device`: "cpu", "cuda", ...  None: as it was saved;
        "auto" is CUDA where there is one.

    Returns
    -------
    estimator or Pipeline
        Fitted.

    Raises
    ------
    FileError
        If the file is damaged (the message names the part), was written by a newer version or
        is of another kind.
    OSError
        If there is no such file.

    See Also
    --------
    save : Write it.
    """
    if device is not None:
        choose_device(device)
    document, arrays = read_file(path)
    try:
        made = EstimatorReader(arrays, device).value(document)
    except FileError:
        raise
    # Whatever a made-up document sets off on the way: it is the file that is wrong.
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        raise FileError(f"{path} does not describe an estimator: {type(e).__name__}: {e}") from e
    last = made.steps[-1][1] if isinstance(made, Pipeline) else made
    if not isinstance(last, BaseMultiTaskNet) or not isinstance(last.__dict__.get("net_"), TaskNet):
        raise FileError(f"{path} holds no fitted estimator of skmtl.")
    return made
