"""Which loss a task is trained by, where it is not the one of its kind."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from skmtl._numbers import is_finite_number
from skmtl._strategy import did_you_mean


@dataclass(frozen=True)
class Loss:
    """A loss in place of the one of a kind of task: its name, and its parameters as fields.

    The loss itself is a head of :mod:`skmtl.heads`.

    Attributes
    ----------
    alias : str
        The word that users write in place of an object.
    kinds : tuple of str
        The kinds of task that can be trained by it.
    is_robust : bool
        Whether outliers shall not move it: then they do not set the scale of the target either.
    """

    alias: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    is_robust: ClassVar[bool] = False

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters by name."""
        return asdict(self)


@dataclass(frozen=True)
class Absolute(Loss):
    """Absolute error of a regression: the network learns medians in place of means.

    Use it for numbers with outliers, or where the error itself counts and not its square.
    ``loss="absolute"`` says the same.

    Examples
    --------
    >>> from skmtl.tasks import Absolute, Task
    >>> Task("price", "regression", loss="absolute") == Task("price", "regression", loss=Absolute())
    True
    """

    alias = "absolute"
    kinds = ("regression",)
    is_robust = True


@dataclass(frozen=True)
class Huber(Loss):
    """Huber's loss of a regression: squared for small errors, linear for large ones.

    Use it for numbers with some outliers: it is nearly as efficient as squared error without
    them.  ``loss="huber"`` takes the default.

    Parameters
    ----------
    delta : float, default=1.0
        Error from which on the loss is linear, above 0, in units of the target's spread: 1.4826
        times the median distance from its median, a standard deviation for a normal target.

    Examples
    --------
    >>> from skmtl.tasks import Huber, Task
    >>> Task("price", "regression", loss=Huber(delta=0.5))
    Task('price', 'regression', loss=Huber(delta=0.5))
    """

    delta: float = 1.0
    alias = "huber"
    kinds = ("regression",)
    is_robust = True

    def __post_init__(self) -> None:
        """Check the parameter."""
        if not is_finite_number(self.delta) or not self.delta > 0:
            raise ValueError(
                "Parameter `delta` of Huber must be a finite number above 0. Found "
                f"`delta = {self.delta!r}`."
            )


@dataclass(frozen=True)
class Focal(Loss):
    """Focal loss of classes: cases that are solved count for little.

    Use it where a rare class shall be found, with thousands of easy cases of the other one.
    ``loss="focal"`` takes the default.  The probabilities that it learns are not calibrated:
    they are less sure than the class shares, and the default score, D2 log loss, sees that.
    The order of the rows by their probability is what it is for: judge it by ``"roc_auc"`` or
    ``"average_precision"``, and calibrate by ``CalibratedClassifierCV``.

    Parameters
    ----------
    gamma : float, default=2.0
        Exponent of what is missing to certainty, at least 0.  0 is cross-entropy.

    Examples
    --------
    >>> from skmtl.tasks import Focal, Task
    >>> Task("fraud", "binary", loss=Focal(gamma=1.0))
    Task('fraud', 'binary', loss=Focal(gamma=1.0))
    """

    gamma: float = 2.0
    alias = "focal"
    kinds = ("binary", "multiclass")

    def __post_init__(self) -> None:
        """Check the parameter."""
        if not is_finite_number(self.gamma) or not self.gamma >= 0:
            raise ValueError(
                "Parameter `gamma` of Focal must be a finite number of at least 0. Found "
                f"`gamma = {self.gamma!r}`."
            )


#: The losses that a task may name, by the word that users write.
LOSSES: dict[str, type[Loss]] = {loss.alias: loss for loss in (Absolute, Focal, Huber)}


def check_loss(loss: Any, task: str, kinds: tuple[str, ...]) -> Loss | None:
    """Turn what the user wrote as ``loss=`` into an object, and check that the kind has it.

    Parameters
    ----------
    loss : None, str or Loss
        None: the loss of the kind.
    task : str
        Name of the task, for messages.
    kinds : tuple of str
        The kinds that the task may be of; empty if that is open.

    Returns
    -------
    Loss or None
        The object.

    Raises
    ------
    ValueError
        If there is no such loss, or not for that kind.
    TypeError
        If it is neither a word nor an object.
    """
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(
                f"Task {task!r}: the loss must be None, one of {sorted(LOSSES)} or a Loss object. "
                f"Found {loss!r}.{did_you_mean(loss, LOSSES)}"
            )
        loss = LOSSES[loss]()
    if loss is None:
        return None
    if not isinstance(loss, Loss):
        hint = f" Call it: {loss.__name__}()." if isinstance(loss, type) else ""
        raise TypeError(
            f"Task {task!r}: the loss must be None, one of {sorted(LOSSES)} or a Loss object. "
            f"Found {loss!r}.{hint}"
        )
    if kinds and not set(kinds) & set(loss.kinds):
        raise ValueError(
            f"Task {task!r}: the loss {loss.alias!r} is for tasks of kind "
            f"{' or '.join(map(repr, loss.kinds))}. Found kind {kinds[0]!r}."
        )
    return loss
