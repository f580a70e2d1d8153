"""Pictures: what stands in them."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skmtl.inspection import SharingReport, plot_affinity, plot_sharing_report


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def report(n_tasks):
    rng = np.random.default_rng(0)
    gain = rng.normal(size=n_tasks)
    table = pd.DataFrame(
        {
            "shared": gain, "own": 0.0, "gain": gain, "lower": gain - 0.5, "upper": gain + 0.5,
            "p_value": 0.1, "p_corrected": 0.1,
            "verdict": np.select(
                [gain > 0.5, gain < -0.5], ["sharing helps", "sharing hurts"], "no difference shown"
            ),
        },
        index=[f"task{i}" for i in range(n_tasks)],
    )  # fmt: skip
    return SharingReport(table, pd.DataFrame({"fold": [0, 1]}), 0.9)


def drawn(ax):
    """Force a layout, so that warnings of it are errors."""
    ax.figure.canvas.draw()
    return ax


def test_gains_from_the_largest_to_the_smallest():
    found = report(6)
    found.table.loc["task2", ["gain", "lower", "upper"]] = np.nan
    ax = drawn(found.plot())
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[::-1] == list(found.table["gain"].sort_values(ascending=False).index)
    assert names[0] == "task2"
    points = {
        names[int(y)]: x
        for line in ax.lines[1:]
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }
    assert points == pytest.approx(found.table["gain"].to_dict(), nan_ok=True)
    assert "90% interval" in ax.get_xlabel()
    assert list(ax.lines[0].get_xdata()) == [0, 0]


def test_an_interval_that_would_leave_the_others_no_room_is_cut():
    found = report(6)
    assert len(drawn(plot_sharing_report(found)).get_lines()) == 4  # zero and three verdicts
    wide = found.table.index[0]
    found.table.loc[wide, ["lower", "upper"]] = [-50.0, 60.0]
    ax = drawn(plot_sharing_report(found))
    low, high = ax.get_xlim()
    gains = found.table["gain"]
    assert (low, high) == pytest.approx((gains.min() - 2.5, gains.max() + 2.5))
    arrows = {line.get_marker(): line for line in ax.get_lines() if line.get_marker() in "<>"}
    names = [label.get_text() for label in ax.get_yticklabels()]
    for marker, end in (("<", low), (">", high)):
        assert arrows[marker].get_xdata().tolist() == [pytest.approx(end)]
        assert names[int(arrows[marker].get_ydata()[0])] == wide


def test_each_verdict_has_a_colour_and_a_count():
    ax = drawn(plot_sharing_report(report(40)))
    verdicts = report(40).table["verdict"].value_counts()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert set(labels) == {f"{verdict} ({n})" for verdict, n in verdicts.items()}
    assert len({line.get_color() for line in ax.lines[1:]}) == 3
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert not any(a.y1 > b.y0 for a, b in pairwise(boxes))


def test_given_axes_are_drawn_on():
    _, (left, right) = plt.subplots(1, 2)
    assert report(3).plot(left) is left
    assert plot_affinity(np.eye(3), ax=right) is right
    assert len(plt.get_fignums()) == 1


def test_affinities_are_shown_in_the_order_of_the_groups():
    names = ["a", "b", "c"]
    frame = pd.DataFrame(np.arange(9.0).reshape(3, 3) / 10, names, names)
    ax = drawn(plot_affinity(frame, [["a", "c"], ["b"]]))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "c", "b"]
    assert [text.get_text() for text in ax.texts] == [
        "0.20",
        "0.10",
        "0.60",
        "0.70",
        "0.30",
        "0.50",
    ]
    sizes = [(patch.get_x(), patch.get_width()) for patch in ax.patches]
    assert sizes == [(-0.5, 2), (1.5, 1)]
    assert ax.get_ylabel() == "task that steps"
    assert np.isnan(np.diag(ax.images[0].get_array().filled(np.nan))).all()
    assert frame.loc["b", "b"] == 0.4  # the user's frame stays


def test_small_numbers_are_shown_by_a_power_of_ten():
    frame = pd.DataFrame([[1, 2e-4], [-3.5e-4, 1]])
    ax = drawn(plot_affinity(frame))
    assert [text.get_text() for text in ax.texts] == ["2.00", "-3.50"]
    assert "-4" in ax.figure.axes[1].get_ylabel()
    low, high = ax.images[0].get_clim()
    assert -low == high == pytest.approx(3.5)


def test_symmetric_and_large_maps():
    rng = np.random.default_rng(0)
    values = rng.random((40, 40))
    values[2, 5] = np.nan
    ax = drawn(plot_affinity(values + values.T))
    assert len(ax.texts) == 0
    assert ax.get_ylabel() == ""
    assert ax.images[0].get_clim()[0] == 0


@pytest.mark.parametrize("values", [[[1.0]], np.full((2, 2), np.nan), np.zeros((3, 3))], ids=str)
def test_maps_of_nothing(values):
    drawn(plot_affinity(values))


def test_errors():
    with pytest.raises(ValueError, match="`frame` must be square"):
        plot_affinity(np.ones((2, 3)))
    with pytest.raises(ValueError, match="`groups` must hold each task of the frame once"):
        plot_affinity(np.eye(3), [[0, 1], [1]])
