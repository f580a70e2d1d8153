"""Pictures: the only file that knows matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skmtl._optional import require

if TYPE_CHECKING:
    from skmtl.inspection._report import SharingReport

_COLORS = {
    "sharing helps": "#0b6e99",
    "sharing hurts": "#d1495b",
    "no difference shown": "#8c8c8c",
}
_GREY = "#d9d9d9"
#: More numbers than these tasks' cells hold could not be read.
_MOST_WITH_NUMBERS = 16
#: Intervals reach so many times as far as the median one, or are cut.
_USUAL_WIDTHS = 5


def plot_sharing_report(report: SharingReport, ax: Any = None) -> Any:
    """Draw the gain of each task by sharing, with its confidence interval.

    Parameters
    ----------
    report : SharingReport
        From :func:`sharing_report`.
    ax : matplotlib.axes.Axes, default=None
        Where to draw.  None: a new figure, as high as the tasks need.

    Returns
    -------
    matplotlib.axes.Axes
        Tasks from the largest gain, at the top, to the smallest; those that could not be
        scored come last, empty.  An interval that is far wider than most is cut, with an
        arrow, so that the others can be read.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    plt = require("matplotlib.pyplot", "plot")
    table = report.table.sort_values("gain", na_position="first", kind="stable")
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 1.3 + 0.26 * len(table)), layout="constrained")
    ax.axvline(0, color="black", lw=0.8, zorder=1)
    height = np.arange(len(table))
    for verdict, color in _COLORS.items():
        here = (table["verdict"] == verdict).to_numpy()
        if not here.any():
            continue
        rows = table[here]
        ax.hlines(height[here], rows["lower"], rows["upper"], color=color, lw=2, alpha=0.5)
        ax.plot(
            rows["gain"], height[here], "o", color=color, ms=5, label=f"{verdict} ({len(rows)})"
        )
    _cut_wide_intervals(ax, table, height)
    ax.set_yticks(height, table.index.astype(str), fontsize=9)
    ax.set_ylim(-0.7, len(table) - 0.3)
    ax.set_xlabel(f"score of the shared net - own net, {report.confidence:.0%} interval")
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="x", color=_GREY, lw=0.6)
    ax.set_axisbelow(True)
    # Above the axes, where it hides no task.
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=9)
    return ax


def _cut_wide_intervals(ax: Any, table: pd.DataFrame, height: np.ndarray) -> None:
    """Limit the axis where a few intervals would leave the others no room."""
    widths = (table["upper"] - table["lower"]).dropna()
    if widths.empty:
        return
    reach = _USUAL_WIDTHS * widths.median() / 2
    low, high = table["gain"].min() - reach, table["gain"].max() + reach
    is_left, is_right = table["lower"] < low, table["upper"] > high
    if not (is_left | is_right).any():
        return
    ax.set_xlim(max(low, table["lower"].min()), min(high, table["upper"].max()))
    for is_cut, end, marker in ((is_left, low, "<"), (is_right, high, ">")):
        n_cut = int(is_cut.sum())
        ax.plot([end] * n_cut, height[is_cut.to_numpy()], marker, color="0.3", ms=5, clip_on=False)


def plot_affinity(frame: Any, groups: Sequence[Sequence[Any]] | None = None, ax: Any = None) -> Any:
    """Draw affinities of tasks as a map of colours, with numbers where they can be read.

    Parameters
    ----------
    frame : DataFrame or array-like of shape (n_tasks, n_tasks)
        One of :func:`task_affinity`.  The diagonal, a task with itself, is left grey, and so
        are NaN.
    groups : sequence of sequence, default=None
        From :func:`group_tasks`: the order of the tasks, and frames around the groups.
    ax : matplotlib.axes.Axes, default=None
        Where to draw.  None: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The map, with a colour bar beside it.

    Raises
    ------
    ValueError
        If the frame is not square, or `groups` are not a partition of its tasks.
    ImportError
        If matplotlib is not installed.
    """
    plt = require("matplotlib.pyplot", "plot")
    frame = frame if isinstance(frame, pd.DataFrame) else pd.DataFrame(np.asarray(frame))
    if frame.shape[0] != frame.shape[1] or frame.empty:
        raise ValueError(
            "Parameter `frame` must be square, with a row and a column for each task. Found shape "
            f"{frame.shape}."
        )
    frame = _in_order(frame, groups)
    values = frame.to_numpy(dtype=np.float64, copy=True)
    np.fill_diagonal(values, np.nan)
    is_symmetric = np.allclose(values, values.T, equal_nan=True)
    if ax is None:
        size = 2.6 + min(0.55 * len(frame), 8.0)
        _, ax = plt.subplots(figsize=(size + 0.8, size), layout="constrained")
    exponent = _exponent(values)
    _draw_cells(ax, values / 10.0**exponent, "affinity" + _power(exponent))
    _label_axes(ax, [str(name) for name in frame.columns], is_symmetric)
    _draw_groups(ax, [len(group) for group in groups or []])
    return ax


def _in_order(frame: pd.DataFrame, groups: Sequence[Sequence[Any]] | None) -> pd.DataFrame:
    if groups is None:
        return frame
    order = [name for group in groups for name in group]
    if len(order) != len(frame) or set(order) != set(frame.columns):
        raise ValueError(
            f"Parameter `groups` must hold each task of the frame once. Found {order}; the tasks "
            f"are {list(frame.columns)}."
        )
    return frame.loc[order, order]


def _exponent(values: np.ndarray) -> int:
    """Return a power of ten that brings small numbers, such as look-ahead, near 1."""
    largest = np.nanmax(np.abs(values), initial=0.0)
    exponent = int(np.floor(np.log10(largest))) if largest > 0 else 0
    return exponent if exponent < -1 else 0


def _power(exponent: int) -> str:
    return f" ($\\times 10^{{{exponent}}}$)" if exponent else ""


def _draw_cells(ax: Any, values: np.ndarray, label: str) -> None:
    plt = require("matplotlib.pyplot", "plot")
    largest = np.nanmax(np.abs(values), initial=0.0) or 1.0
    is_signed = bool(np.nanmin(values, initial=0.0) < 0)
    colors = plt.get_cmap("RdBu" if is_signed else "Blues").with_extremes(bad=_GREY)
    image = ax.imshow(values, cmap=colors, vmin=-largest if is_signed else 0.0, vmax=largest)
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.8)
    if len(values) > _MOST_WITH_NUMBERS:
        return
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            # White on what is dark: both ends of a signed map, one of the other.
            color = "white" if abs(value) > 0.6 * largest else "black"
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=color, fontsize=8)


def _label_axes(ax: Any, names: list[str], is_symmetric: bool) -> None:
    is_large = len(names) > 25
    size, angle = (7, 90) if is_large else (9, 45)
    places = np.arange(len(names))
    middle = "center" if is_large else "top"
    ax.set_xticks(
        places, names, rotation=angle, ha="right", va=middle, rotation_mode="anchor", fontsize=size
    )
    ax.set_yticks(places, names, fontsize=size)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if not is_symmetric:
        ax.set_xlabel("task that benefits")
        ax.set_ylabel("task that steps")


def _draw_groups(ax: Any, sizes: Sequence[int]) -> None:
    rectangle = require("matplotlib.patches", "plot").Rectangle
    start = -0.5
    for size in sizes:
        corner = (start, start)
        ax.add_patch(rectangle(corner, size, size, fill=False, ec="black", lw=1.5, clip_on=False))
        start += size
