"""Pictures of a fit: losses, weights and gradients of the tasks over the epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.isotonic import isotonic_regression

from skmtl._optional import require
from skmtl.inspection._inner import fitted_net
from skmtl.training import LEAST_NULL

_BLUE, _GREY = "#0b6e99", "0.55"
#: More lines than these cannot be told apart by colour: their median and range are drawn.
_MOST_LINES = 10
#: Values that reach over more than this factor are drawn on a logarithmic scale.
_WIDE = 20
#: Points, from one name to the next.
_LINE_HEIGHT = 10.5
_LONGEST_NAME = 22
#: How lines in front and in the background look, and how opaque the ranges are.
_FRONT: dict[str, Any] = {"lw": 1.7}
_BEHIND: dict[str, Any] = {"lw": 1.0, "ls": "--"}
_HALF, _ALL = 0.35, 0.12


class _Panel(NamedTuple):
    """One panel: how it is called, and who draws it."""

    name: str
    draw: Callable[[Any], None]


def plot_training(estimator: Any, axes: Any = None) -> np.ndarray:
    """Draw what happened in a fit, epoch by epoch.

    - Losses of the tasks, on training and validation rows.
    - Weights of the tasks, where ``loss_weights`` changed them.
    - Norms and conflicts of the tasks' gradients, where :class:`TrackGradients` was among the
      callbacks.

    Up to ten tasks have a line each, with its name at the end.  More are drawn as their median
    and range, with the tasks that are highest and lowest over the last fifth of the epochs.

    Parameters
    ----------
    estimator : estimator
        Fitted: a multi-task net, or a Pipeline or search that ends in one.
    axes : sequence of matplotlib.axes.Axes, default=None
        Where to draw, one for each panel.  None: a new figure, the panels one below the other.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_panels,)
        The panels, in the order above.  A dotted line marks the epoch whose weights were kept,
        a band the epochs, where tasks that share nothing have each their own.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If `axes` has another length than there are panels.

    Examples
    --------
    >>> from skmtl import MultiTaskNetClassifierRegressor
    >>> from skmtl.datasets import load_automobile
    >>> from skmtl.inspection import plot_training
    >>> X, Y = load_automobile(return_X_y=True)
    >>> est = MultiTaskNetClassifierRegressor(
    ...     loss_weights="uncertainty", max_epochs=5, random_state=0
    ... ).fit(X, Y)
    >>> [ax.get_ylabel() for ax in plot_training(est)]
    ['loss / best constant', 'weight']
    """
    net = fitted_net(estimator)
    panels = _panels(net)
    if axes is None:
        plt = require("matplotlib.pyplot", "plot")
        size = (7.5, 0.9 + 2.1 * len(panels))
        _, axes = plt.subplots(
            len(panels), sharex=True, squeeze=False, figsize=size, layout="constrained"
        )
        axes[0, 0].figure.align_ylabels()
    axes = np.array(axes, dtype=object).ravel()
    if len(axes) != len(panels):
        raise ValueError(
            f"Parameter `axes` must hold an axes for each of the {len(panels)} panels "
            f"{[panel.name for panel in panels]} of this fit. Found {len(axes)}."
        )
    first, last = _kept_epochs(net)
    for ax, panel in zip(axes, panels, strict=True):
        panel.draw(ax)
        ax.set_ylabel(panel.name)
        ax.spines[["top", "right"]].set_visible(False)
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        _mark_kept_epochs(ax, first, last)
    which = f"band: {first} to {last}" if first < last else f"dotted: {last}"
    axes[-1].set_xlabel(f"epoch ({which}, whose weights were kept)")
    return axes


def _panels(net: Any) -> list[_Panel]:
    """List what there is to draw of a fit."""
    history, names = net.history_, [task.name for task in net.tasks_]
    train, valid, weights, norms = (
        _by_task(history, prefix, names)
        for prefix in ("train_loss", "valid_loss", "weight", "gradient_norm")
    )
    is_relative = getattr(net, "null_losses_", None) is not None
    if is_relative and net.normalize_losses == "numbers":  # the losses of classes are in nats
        in_nats = [task.name for task in net.tasks_ if task.has_classes]
        units = pd.Series(net.null_losses_, index=names).where(lambda null: null > LEAST_NULL, 1.0)
        train[in_nats], valid[in_nats] = (
            train[in_nats] / units[in_nats],
            valid[in_nats] / units[in_nats],
        )
    base = 1.0 if is_relative else None
    found = [
        _Panel(
            "loss / best constant" if is_relative else "loss",
            lambda ax: _draw_losses(ax, train, valid, base),
        )
    ]
    if not weights.isna().all(axis=None):
        found.append(_Panel("weight", lambda ax: _draw_tasks(ax, weights, base=1.0)))
    if not norms.isna().all(axis=None):
        found.append(_Panel("gradient norm", lambda ax: _draw_tasks(ax, norms)))
    if "conflict_rate" in history:
        found.append(_Panel("conflicts", lambda ax: _draw_conflicts(ax, history)))
    return found


def _by_task(history: pd.DataFrame, prefix: str, names: Sequence[str]) -> pd.DataFrame:
    """Return a record of all tasks, shape (n_epochs, n_tasks); NaN where there is none."""
    columns = {name: history.get(f"{prefix}_{name}", np.nan) for name in names}
    frame = pd.DataFrame(columns, index=history.index, dtype=np.float64)
    return frame.where(np.isfinite(frame))


def _draw_losses(ax: Any, train: pd.DataFrame, valid: pd.DataFrame, base: float | None) -> None:
    """Draw losses; where there is validation, those of training stay in the background."""
    names = ["training"] if valid.isna().all(axis=None) else ["validation", "training"]
    if len(names) == 1:
        _draw_tasks(ax, train, base=base)
    else:
        _draw_tasks(ax, valid, behind=train, base=base)
    is_many = len(train.columns) > _MOST_LINES
    color = _BLUE if is_many else _GREY
    for name, style in zip(names, (_FRONT, _BEHIND), strict=False):
        ax.plot([], [], color=color, label=name, **style)
    if is_many:
        for name, alpha in (("half of the tasks", _HALF), ("all", _ALL)):
            ax.fill_between([], [], color=_BLUE, alpha=alpha, lw=0, label=name)
    ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, fontsize=8.5,
        borderaxespad=0, borderpad=0.2, handlelength=1.6, columnspacing=1.2,
    )  # fmt: skip


def _draw_tasks(
    ax: Any, frame: pd.DataFrame, *, behind: pd.DataFrame | None = None, base: float | None = None
) -> None:
    """Draw a value of each task over the epochs.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame of shape (n_epochs, n_tasks)
        The values.
    behind : DataFrame of the same form, default=None
        Others of the same tasks, less conspicuous.
    base : float, default=None
        Value to be marked by a line.
    """
    _set_scale(ax, [frame] if behind is None else [frame, behind])
    draw = _draw_lines if len(frame.columns) <= _MOST_LINES else _draw_range
    draw(ax, frame, behind)
    ax.set_xlim(*_limits(frame.index))
    low, high = ax.get_ylim()
    if base is not None and low < base < high:
        ax.axhline(base, color="0.8", lw=0.8, zorder=0)
        ax.set_ylim(low, high)


def _draw_lines(ax: Any, frame: pd.DataFrame, behind: pd.DataFrame | None) -> None:
    colors = require("matplotlib", "plot").color_sequences["tab10"]
    ends = []
    for name, color in zip(frame.columns, colors, strict=False):
        lines = [(frame[name], _FRONT)]
        if behind is not None:
            lines.append((behind[name], {**_BEHIND, "alpha": 0.6}))
        drawn = [values for values, style in lines if _line(ax, values, color=color, **style)]
        if drawn:
            ends.append((str(name), drawn[0].dropna().iloc[-1], color))
    _name_ends(ax, ends)


def _draw_range(ax: Any, frame: pd.DataFrame, behind: pd.DataFrame | None) -> None:
    """Draw median, middle half and range of many tasks, and the extremes at the end."""
    frame = frame.dropna(axis=1, how="all").dropna(how="all")
    last = frame.tail(max(1, len(frame) // 5)).mean().sort_values().dropna()
    low, lower, middle, upper, high = (frame.quantile(q, axis=1) for q in (0, 0.25, 0.5, 0.75, 1))
    ax.fill_between(frame.index, low, high, color=_BLUE, alpha=_ALL, lw=0)
    ax.fill_between(frame.index, lower, upper, color=_BLUE, alpha=_HALF, lw=0)
    if behind is not None:
        _line(ax, behind.median(axis=1), color=_BLUE, **_BEHIND)
    _line(ax, middle, color=_BLUE, **_FRONT)
    ends = [(f"median of {len(frame.columns)}", middle.iloc[-1], _BLUE)]
    for name in dict.fromkeys([last.index[0], last.index[-1]]):
        _line(ax, frame[name], color="0.35", lw=0.7)
        ends.append((str(name), frame[name].dropna().iloc[-1], "0.35"))
    _name_ends(ax, ends)


def _draw_conflicts(ax: Any, history: pd.DataFrame) -> None:
    ends = []
    for key, name, color in (
        ("conflict_rate", "conflict rate", "#d1495b"),
        ("gradient_cosine", "mean cosine", _BLUE),
    ):
        if key in history:
            _line(ax, history[key], color=color, **_FRONT)
            ends.append((name, history[key].dropna().iloc[-1], color))
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.set_xlim(*_limits(history.index))
    _name_ends(ax, ends)


def _line(ax: Any, values: pd.Series, **style: Any) -> bool:
    """Draw a line over gaps, and points where there are too few for one; tell if there is any."""
    values = values.dropna()
    ax.plot(values.index, values, marker="o" if len(values) < 3 else None, ms=3.5, **style)
    return len(values) > 0


def _limits(epochs: pd.Index) -> tuple[float, float]:
    first, last = epochs[0], epochs[-1]
    return (first, last) if first < last else (first - 0.5, last + 0.5)


def _set_scale(ax: Any, frames: Sequence[pd.DataFrame]) -> None:
    """Choose a logarithmic scale for positive values of several sizes."""
    values = np.concatenate([frame.to_numpy().ravel() for frame in frames])
    values = values[np.isfinite(values)]
    if not len(values) or values.min() <= 0 or values.max() / values.min() <= _WIDE:
        return
    ticker = require("matplotlib.ticker", "plot")
    ax.set_yscale("log")
    subs = (1.0, 2.0, 5.0) if values.max() / values.min() < 300 else (1.0,)
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=subs))
    ax.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(ticker.NullFormatter())


def _name_ends(ax: Any, ends: Sequence[tuple[str, float, Any]]) -> None:
    """Write names to the right of where lines end, moved apart where they would overlap."""
    ends = sorted(ends, key=lambda end: end[1])
    ax.autoscale_view()
    to_axes = ax.transData + ax.transAxes.inverted()
    values = np.array([to_axes.transform((0, value))[1] for _, value, _ in ends])
    gap = _LINE_HEIGHT / (ax.get_window_extent().height / ax.figure.dpi * 72)
    # The nearest places, by squares, that are a gap apart and inside the axes.
    steps = gap * np.arange(len(ends))
    places = steps + isotonic_regression(values - steps, y_min=0, y_max=max(0, 1 - steps[-1]))
    for (name, _, color), place in zip(ends, places, strict=True):
        short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        ax.annotate(
            short, (1, place), xycoords="axes fraction", xytext=(5, 0),
            textcoords="offset points", color=color, fontsize=8.5, va="center",
        )  # fmt: skip


def _mark_kept_epochs(ax: Any, first: int, last: int) -> None:
    if first < last:
        ax.axvspan(first, last, color="0.5", alpha=0.12, lw=0, zorder=0)
    ax.axvline(last, color="black", lw=0.8, ls=":")


def _kept_epochs(net: Any) -> tuple[int, int]:
    """Return the first and last of the epochs whose weights predict: tasks may have their own."""
    own = getattr(net.net_.stopping_, "best_epochs_", np.array([net.best_epoch_]))
    own = np.where(own > 0, own, net.n_iter_)  # a task that was not judged keeps its last weights
    return int(own.min()), int(own.max())
