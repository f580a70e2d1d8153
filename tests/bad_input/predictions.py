"""What predictions are asked of, and whom."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import torch
from scipy import sparse

from tests.bad_input.case import NUMBERS, Case, X, Y, fit, fitted, net


def rows(change, method="predict", **params):
    """Predict rows that were changed, of an estimator that knows a frame."""
    return lambda: getattr(fitted(**params), method)(change(X.copy()))


def array_rows(change, **params):
    """Predict rows that were changed, of an estimator that knows an array."""
    return lambda: net(**params).fit(NUMBERS, Y).predict(change(NUMBERS.copy()))


def numbered(change):
    """Predict a frame that was changed, of an estimator that knows one with numbers as names."""
    known = X.set_axis([5, 6, 7], axis=1)
    return lambda: net().fit(known, Y).predict(change(known))


def unfitted(method, *more):
    return lambda: getattr(net(), method)(X, *more)


SAME = rows(lambda t: t)
SAME_ARRAY = array_rows(lambda t: t)
NEW, ASKED, UNFITTED = "X in predict", "what is asked", "not fitted"

CASES = [
    Case(NEW, "no row", rows(lambda t: t[:0])),
    Case(NEW, "one row", rows(lambda t: t[:1])),
    Case(NEW, "columns in another order", rows(lambda t: t[["word", "size", "age"]])),
    Case(NEW, "columns in another order, with numbers as names", numbered(lambda t: t[[7, 6, 5]])),
    Case(NEW, "other numbers as names", numbered(lambda t: t.set_axis(range(3), axis=1))),
    Case(NEW, "a column less", rows(lambda t: t[["age", "word"]])),
    Case(NEW, "a column more", rows(lambda t: t.assign(more=1.0))),
    Case(NEW, "another name", rows(lambda t: t.rename(columns={"age": "years"}))),
    Case(NEW, "a column less, of an array", array_rows(lambda t: t[:, :1])),
    Case(NEW, "a vector", array_rows(lambda t: t[0])),
    Case(NEW, "words that are new", rows(lambda t: t.assign(word="zebra"))),
    Case(NEW, "words in a column of numbers", rows(lambda t: t.assign(age="old"))),
    Case(NEW, "dates in a column of numbers", rows(lambda t: t.assign(age=pd.Timestamp("2024")))),
    Case(NEW, "numbers as words", rows(lambda t: t.astype({"age": str}))),
    Case(NEW, "missing where nothing was missing before", rows(lambda t: t.assign(age=np.nan))),
    Case(NEW, "nothing but missing cells", rows(lambda t: t.map(lambda _: None))),
    Case(NEW, "missing, preprocess=None", array_rows(lambda t: t * np.nan, preprocess=None)),
    Case(NEW, "infinity", rows(lambda t: t.assign(age=np.inf))),
    Case(NEW, "infinity in an array", array_rows(lambda t: t * np.inf)),
    Case(NEW, "numbers of 1e308", array_rows(lambda t: np.sign(t) * 1e308)),
    Case(NEW, "numbers of 1e30, preprocess=None", array_rows(lambda t: np.sign(t) * 1e30, preprocess=None)),
    Case(NEW, "complex numbers", array_rows(lambda t: t + 1j)),
    Case(NEW, "an array of objects", array_rows(lambda t: t.astype(object)), like=SAME_ARRAY),
    Case(NEW, "read-only", array_rows(lambda t: np.frombuffer(t.tobytes()).reshape(t.shape)), like=SAME_ARRAY),
    Case(NEW, "by columns", array_rows(np.asfortranarray), like=SAME_ARRAY),
    Case(NEW, "single precision", array_rows(lambda t: t.astype(np.float32).astype(float)), like=array_rows(lambda t: t.astype(np.float32))),
    Case(NEW, "a sparse matrix after an array", array_rows(sparse.csr_array), like=SAME_ARRAY),
    Case(NEW, "a tensor after an array", array_rows(torch.tensor), like=SAME_ARRAY),
    Case(NEW, "a tensor on the device meta", array_rows(lambda t: torch.tensor(t).to("meta"))),
    Case(NEW, "polars after pandas", rows(pl.from_pandas), like=SAME),
    Case(NEW, "a frame after an array (scikit-learn warns)", array_rows(lambda t: pd.DataFrame(t, columns=["a", "b"])), like=SAME_ARRAY),
    Case(NEW, "None", rows(lambda _: None)),
    Case(NEW, "a dict", rows(dict)),
    Case(ASKED, "a coverage of 2", lambda: fitted(early_stopping=True).predict_interval(X, coverage=2)),
    Case(ASKED, "intervals where nothing was held out", rows(lambda t: t, "predict_interval")),
    Case(ASKED, "quantiles of no such task", rows(lambda t: t, "predict_quantiles")),
    Case(ASKED, "return_std of one network", lambda: fitted().predict(X, return_std=True)),
    Case(ASKED, "score without labels: NaN", lambda: fitted().score(X, Y.map(lambda _: None)), like=lambda: np.nan),
    Case(ASKED, "score of other columns", lambda: fitted().score(X, Y[["price"]])),
    Case(ASKED, "score of a class that is new", lambda: fitted().score(X, Y.assign(sold="maybe"))),
    Case(ASKED, "score with too few weights", lambda: fitted().score(X, Y, np.ones(3))),
    Case(ASKED, "a view of an unknown task", lambda: fitted().task_view("prise")),
    Case(ASKED, "a parameter that is not there", lambda: fit(hidden_layers=(3,))),
    Case(ASKED, "set_params of one that is not there", lambda: net().set_params(learning_rate=1)),
    *[
        Case(UNFITTED, method, unfitted(method, *more))
        for method, more in {
            "predict": (),
            "predict_proba": (),
            "predict_interval": (),
            "predict_set": (),
            "predict_quantiles": (),
            "score": (Y,),
        }.items()
    ],
    Case(UNFITTED, "the history", lambda: net().history_),
    Case(UNFITTED, "after a fit that failed", lambda: _fails_then(net())),
]  # fmt: skip


def _fails_then(est):
    try:
        est.fit(X, Y[:3])
    except ValueError:
        return est.predict(X)
    return None
