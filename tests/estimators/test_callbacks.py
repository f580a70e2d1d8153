"""scikit-learn's callbacks and the progress line."""

import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skmtl.estimators import _callbacks

needs_callbacks = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="scikit-learn has callbacks from 1.9 on",
)


class Stop:
    """Counts epochs, scores a copy of the model in each, and ends the fit after the third."""

    def __init__(self):
        self.epochs = 0
        self.scores = []

    def setup(self, estimator, context):
        self.is_set_up = True

    def teardown(self, estimator, context):
        self.is_set_up = False

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        if context.task_name != "epoch":
            return False
        self.epochs += 1
        self.scores.append(fitted_estimator.score(X, y))
        return self.epochs >= 3


@needs_callbacks
@pytest.mark.parametrize("through_parameter", [True, False])
def test_a_callback_of_scikit_learn_sees_epochs_and_stops_the_fit(table, make, through_parameter):
    X, Y = table
    stop = Stop()
    est = make(callbacks=[stop] if through_parameter else None)
    if not through_parameter:
        est.set_callbacks(stop)
    est.fit(X, Y)
    assert est.n_iter_ == stop.epochs == 3
    assert stop.scores[0] < stop.scores[2] == pytest.approx(est.score(X, Y))
    assert not stop.is_set_up


@needs_callbacks
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_model_of_an_epoch_predicts_without_dropout(table, make, dtype):
    X, Y = table
    stop = Stop()
    est = make(callbacks=[stop], dropout=0.5, dtype=dtype, early_stopping=False).fit(X, Y)
    assert stop.scores[2] == pytest.approx(est.score(X, Y), abs=1e-12)


@needs_callbacks
def test_a_second_fit_does_not_hear_a_callback_twice(table, make):
    X, Y = table
    stop = Stop()
    est = make(callbacks=[stop]).fit(X, Y)
    stop.epochs = 0
    est.fit(X, Y)
    assert est.n_iter_ == stop.epochs == 3
    assert "_skl_callbacks" not in vars(est)


@needs_callbacks
def test_an_error_in_fit_tears_callbacks_down(table, make):
    X, Y = table
    stop = Stop()
    est = make(callbacks=[stop], optimizer="sgd", lr=1e30)
    with pytest.raises(FloatingPointError, match="became NaN or infinite"):
        est.fit(X, Y[["price"]])
    assert not stop.is_set_up


@needs_callbacks
def test_progress_bar_of_scikit_learn_through_a_search(table, make, capsys):
    pytest.importorskip("rich", reason="scikit-learn's progress bar needs rich")
    from sklearn.callback import ProgressBar

    X, Y = table
    pipe = make_pipeline(StandardScaler(), make(max_epochs=2))
    search = GridSearchCV(pipe, {"multitasknetclassifierregressor__sharing": ["hard"]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None))
    search.fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    # Two folds and the refit, each beneath its Pipeline.
    assert sum("MultiTaskNetClassifierRegressor - fit" in line for line in lines) == 3


def test_callbacks_of_scikit_learn_need_its_version(table, make, monkeypatch):
    X, Y = table
    monkeypatch.setattr(_callbacks, "HAS_CALLBACKS", False)
    with pytest.raises(ValueError, match=r"need scikit-learn 1\.9 or newer"):
        make(callbacks=[Stop()]).fit(X, Y)


def test_verbose_shows_one_line_with_the_time_left(table, make, capsys):
    X, Y = table
    make(max_epochs=3, verbose=1).fit(X, Y)
    captured = capsys.readouterr()
    assert captured.out == ""
    last = captured.err.strip().split("\r")[-1]
    assert last.startswith("epoch 3/3")
    assert "s left" in last
    assert "train_loss" in last
    make(max_epochs=1).fit(X, Y)
    assert capsys.readouterr().err == ""


def test_clone_keeps_callbacks(make):
    stop = Stop()
    assert clone(make(callbacks=[stop])).callbacks[0].epochs == 0
