"""Pictures of a fit: what stands in them."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmtl import MultiTaskNetRegressor
from skmtl.inspection import TrackGradients, plot_training

LOSS = "loss / best constant"


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture
def many():
    """Fit a net on many tasks."""

    def many(n_tasks, **params):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(100, 5))
        Y = pd.DataFrame(X @ rng.normal(size=(5, n_tasks)) + rng.normal(size=(100, n_tasks)))
        Y.columns = [f"target {i}" for i in range(n_tasks)]
        defaults = {"hidden_layer_sizes": (8,), "max_epochs": 6, "lr": 0.01, "random_state": 0}
        return MultiTaskNetRegressor(**{**defaults, **params}).fit(X, Y)

    return many


def drawn(axes):
    """Force a layout, so that warnings of it are errors."""
    axes[0].figure.canvas.draw()
    return axes


def labels(axes):
    return [ax.get_ylabel() for ax in axes]


def texts(ax):
    return {text.get_text(): text for text in ax.texts}


def curves(ax):
    """Lines with more than one point, dotted marks left out, as (colour, style) -> values."""
    return {
        (to_hex(line.get_color()), line.get_linestyle()): np.asarray(line.get_ydata(), float)
        for line in ax.lines
        if len(line.get_xdata()) > 2
    }


@pytest.mark.parametrize("normalizes", ["numbers", True])
def test_each_task_has_its_losses_and_its_name_in_one_colour(make, table, normalizes):
    """In units of the best constant's, whatever the losses of training are divided by."""
    est = make(normalize_losses=normalizes).fit(*table)
    divided = [t.name for t in est.tasks_ if normalizes is True or not t.has_classes]
    units = {name: 1.0 if name in divided else est.null_losses_[name] for name in table[1]}
    assert (set(units.values()) == {1.0}) == (normalizes is True)
    axes = drawn(plot_training(est))
    assert labels(axes) == [LOSS]
    (ax,) = axes
    assert list(texts(ax)) != list(table[1])  # in the order of the ends
    assert set(texts(ax)) == set(table[1])
    for name in table[1]:
        color = to_hex(texts(ax)[name].get_color())
        for style, of in (("-", "valid"), ("--", "train")):
            expected = est.history_[f"{of}_loss_{name}"] / units[name]
            np.testing.assert_allclose(curves(ax)[color, style], expected, rtol=1e-12)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["validation", "training"]
    assert ax.get_xlabel() == f"epoch (dotted: {est.best_epoch_}, whose weights were kept)"
    assert any(list(line.get_xdata()) == [est.best_epoch_] * 2 for line in ax.lines)


def test_without_validation_and_normalisation(make, table):
    est = make(early_stopping=False, normalize_losses=False).fit(*table)
    (ax,) = drawn(plot_training(est))
    assert ax.get_ylabel() == "loss"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training"]
    assert {style for _, style in curves(ax)} == {"-"}


@pytest.mark.parametrize("weights", ["mgda", "uncertainty"])
def test_weights_and_gradients(make, table, weights):
    est = make(loss_weights=weights, callbacks=[TrackGradients()]).fit(*table)
    axes = drawn(plot_training(est))
    assert labels(axes) == [LOSS, "weight", "gradient norm", "conflicts"]
    for ax, key in zip(axes[1:3], ("weight", "gradient_norm"), strict=True):
        for name in table[1]:
            color = to_hex(texts(axes[0])[name].get_color())
            assert to_hex(texts(ax)[name].get_color()) == color
            expected = est.history_[f"{key}_{name}"].to_numpy()
            np.testing.assert_array_equal(curves(ax)[color, "-"], expected)
    assert set(texts(axes[3])) == {"conflict rate", "mean cosine"}
    assert all("epoch" not in ax.get_xlabel() for ax in axes[:-1])


def test_many_tasks_are_median_range_and_extremes(many):
    est = many(50, loss_weights="uncertainty", callbacks=[TrackGradients()])
    axes = drawn(plot_training(est))
    valid = est.history_.filter(like="valid_loss_").drop(columns="valid_loss_best", errors="ignore")
    last = valid.tail(1).mean().sort_values()
    names = {"median of 50", *(last.index[[0, -1]].str.removeprefix("valid_loss_"))}
    assert set(texts(axes[0])) == names
    color = to_hex(texts(axes[0])["median of 50"].get_color())
    np.testing.assert_allclose(curves(axes[0])[color, "-"], valid.median(axis=1))
    low, high = np.log10(valid.min().min()), np.log10(valid.max().max())
    band = axes[0].collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([np.log10(band.min()), np.log10(band.max())], [low, high])
    assert all(len(ax.texts) == 3 for ax in axes[:3])
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == [
        "validation",
        "training",
        "half of the tasks",
        "all",
    ]


@pytest.mark.parametrize(("n_tasks", "n_names"), [(2, 2), (10, 10), (11, 3)])
def test_names_do_not_overlap_and_stay_beside_the_axes(many, n_tasks, n_names):
    est = many(n_tasks, loss_weights="mgda", callbacks=[TrackGradients()])
    for ax in drawn(plot_training(est)):
        boxes = sorted((text.get_window_extent() for text in ax.texts), key=lambda box: box.y0)
        assert len(boxes) == (2 if ax.get_ylabel() == "conflicts" else n_names)
        assert not any(low.y1 > high.y0 + 1 for low, high in pairwise(boxes))
        frame = ax.get_window_extent()
        assert all(box.x0 > frame.x1 for box in boxes)
        assert boxes[0].y0 > frame.y0 - 9
        assert boxes[-1].y1 < frame.y1 + 9


def test_a_long_name_is_cut(make, table):
    X, Y = table
    name = "a name that nobody wants to read to its end"
    est = make(max_epochs=3).fit(X, Y.rename(columns={"price": name}))
    (ax,) = drawn(plot_training(est))
    assert f"{name[:21]}…" in texts(ax)


def test_a_scale_is_logarithmic_where_values_are_of_several_sizes(many):
    est = many(2)
    for row in est.net_.history:
        row["valid_loss_target 0"] = 1.0 / row["epoch"]
    assert plot_training(est)[0].get_yscale() == "linear"
    for row in est.net_.history:
        row["valid_loss_target 0"] = 10.0 ** -row["epoch"]
    (ax,) = drawn(plot_training(est))
    assert ax.get_yscale() == "log"
    assert "0.01" in [label.get_text() for label in ax.get_yticklabels()]
    est.net_.history[-1]["valid_loss_target 0"] = 0.0
    assert plot_training(est)[0].get_yscale() == "linear"


def test_a_fit_that_went_on(make, table):
    X, Y = table
    est = make(loss_weights="mgda", callbacks=[TrackGradients()], warm_start=True, max_epochs=4)
    est.fit(X, Y).set_params(lr=1e-3).fit(X, Y)
    axes = drawn(plot_training(est))
    assert {len(values) for ax in axes for values in curves(ax).values()} == {8}
    assert f": {est.best_epoch_}," in axes[-1].get_xlabel()
    assert axes[0].get_xlim() == (1, 8)


def test_epochs_without_a_label_of_a_task(make, table):
    X, Y = table
    est = make(loss_weights="mgda", callbacks=[TrackGradients()])
    for there in (True, False, True, False):
        est.partial_fit(X, Y if there else Y.assign(size=np.nan))
    axes = drawn(plot_training(est))
    assert all("size" in texts(ax) for ax in axes[:3])
    sizes = [len(line.get_xdata()) for line in axes[0].lines if line.get_marker() == "o"]
    assert sizes == [2]


def test_one_epoch_and_one_task(make, table):
    X, Y = table
    est = make(max_epochs=1, callbacks=[TrackGradients()]).fit(X, Y[["price"]])
    axes = drawn(plot_training(est))
    assert labels(axes) == [LOSS, "gradient norm"]
    low, high = axes[-1].get_xlim()
    assert [tick for tick in axes[-1].get_xticks() if low <= tick <= high] == [1]


def test_a_task_that_is_not_validated_has_its_training_loss(make, table):
    X, Y = table
    rows = np.arange(120) < 90
    held = Y[~rows].assign(size=np.nan)
    est = make(max_epochs=4).fit(X[rows], Y[rows], X_val=X[~rows], y_val=held)
    (ax,) = drawn(plot_training(est))
    color = to_hex(texts(ax)["size"].get_color())
    assert {style for c, style in curves(ax) if c == color} == {"--"}


def test_tasks_that_share_nothing_keep_weights_of_several_epochs(make, table):
    est = make(sharing="independent", n_iter_no_change=3, max_epochs=60, lr=0.03).fit(*table)
    (ax,) = drawn(plot_training(est))
    own = est.net_.stopping_.best_epochs_
    assert ax.get_xlabel().startswith(f"epoch (band: {own.min()} to {own.max()},")


def test_a_history_that_ends_in_infinity(make, table):
    est = make(max_epochs=4).fit(*table)
    for key in ("train_loss_price", "valid_loss_price"):
        est.net_.history[-1][key] = float("inf")
    drawn(plot_training(est))


def test_pipelines_and_searches(make, table):
    X, Y = table
    pipeline = make_pipeline(StandardScaler(), make(max_epochs=3))
    search = GridSearchCV(pipeline, {}, cv=2)
    with pytest.raises(NotFittedError):
        plot_training(search)
    best = search.fit(X, Y).best_estimator_
    for fitted in (search, best, best[-1]):
        assert labels(plot_training(fitted)) == [LOSS]
    with pytest.raises(TypeError, match="Found LinearRegression"):
        plot_training(LinearRegression())


def test_given_axes_are_drawn_on(make, table):
    est = make(loss_weights="mgda", max_epochs=3).fit(*table)
    _, axes = plt.subplots(1, 2)
    assert list(plot_training(est, axes)) == list(axes)
    assert list(plot_training(est, list(axes))) == list(axes)
    one = make(max_epochs=2).fit(*table)
    assert plot_training(one, axes[0])[0] is axes[0]
    assert len(plt.get_fignums()) == 1
    with pytest.raises(ValueError, match=r"each of the 2 panels \['loss .*'weight'\].* Found 1"):
        plot_training(est, axes[0])
