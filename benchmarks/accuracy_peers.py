"""The peers: how each wants X, its estimators at the library's defaults, and its small grid.

What a good user would do is done for each: words become one column a level, codes or categories,
gaps are filled where the library cannot read them, columns are standardised for linear models and
nets, and so are targets for nets and for joint fits.  All run on one thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from benchmarks.accuracy_models import Library, Model, Plain, Tuned
from benchmarks.accuracy_splits import Table

# ---- features ----------------------------------------------------------------------------------

NUMBERS = make_column_selector(dtype_include="number")
WORDS = make_column_selector(dtype_exclude="number")


def plain(X: pd.DataFrame) -> pd.DataFrame:
    """Return a table of types that all libraries know: dates and durations in days, NaN for gaps."""
    columns = [_plain_column(X.iloc[:, k]) for k in range(X.shape[1])]
    return pd.concat(columns, axis=1) if columns else X


def _plain_column(column: pd.Series) -> pd.Series:
    dtype, day = column.dtype, pd.Timedelta(days=1)
    held = pd.api.types.infer_dtype(column, skipna=True) if dtype == object else ""
    if held in {"integer", "floating", "mixed-integer-float", "decimal"}:
        return pd.to_numeric(column.astype(float))
    if held in {"date", "datetime"}:
        column = pd.to_datetime(column, utc=True, errors="coerce")
        dtype = column.dtype
    if dtype.kind in "Mm":
        zone = getattr(dtype, "tz", None) or getattr(column.dt, "tz", None)
        start = pd.Timestamp(0, tz=zone) if dtype.kind == "M" else pd.Timedelta(0)
        days = ((column - start) / day).to_numpy(float, na_value=np.nan)
        return pd.Series(days, column.index, name=column.name)
    if held.startswith("mixed"):
        return column.astype(object).map(str, na_action="ignore")
    if isinstance(dtype, np.dtype | pd.CategoricalDtype) or dtype == "str":
        return column
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype):
        return pd.Series(column.to_numpy(float, na_value=np.nan), column.index, name=column.name)
    return column.astype(object).where(column.notna(), np.nan)


def dense() -> Pipeline:
    """Return one number a level of words, numbers filled with marks of the gaps, standardised."""
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    both = ColumnTransformer([("numbers", numbers, NUMBERS), ("words", words, WORDS)])
    return make_pipeline(FunctionTransformer(plain), both)


def codes() -> Pipeline:
    """Return numbers as they are, gaps and all, and a code for each word."""
    words = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
    )
    both = ColumnTransformer([("numbers", "passthrough", NUMBERS), ("words", words, WORDS)])
    return make_pipeline(FunctionTransformer(plain), both)


class Categories:
    """Frame with plain column names, whose words are categories 0, 1, ... of the training rows.

    With `marks` what is no level becomes a last one; else it is missing.  With `fills` gaps of
    numbers are filled by the median and marked in columns of their own.  Of more than `most` levels
    the most frequent count, and the others are as if they had not been seen.
    """

    def __init__(
        self, *, marks: bool = False, fills: bool = False, most: int | None = None
    ) -> None:
        self.marks, self.fills, self.most = marks, fills, most

    def fit_transform(self, X: pd.DataFrame) -> pd.DataFrame:
        X = plain(X)
        self.levels_ = {
            k: np.sort(X.iloc[:, k].value_counts().index[: self.most].to_numpy(object))
            for k in range(X.shape[1])
            if not pd.api.types.is_numeric_dtype(X.dtypes.iloc[k])
        }
        numbers = [k for k in range(X.shape[1]) if k not in self.levels_]
        self.medians_ = {k: float(np.nan_to_num(X.iloc[:, k].median())) for k in numbers}
        self.gaps_ = [k for k in numbers if X.iloc[:, k].isna().any()]
        self.empty_ = {k for k in numbers if X.iloc[:, k].isna().all()}
        return self.transform(X)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        X, columns = plain(X), {}
        for k in range(X.shape[1]):
            column: Any = X.iloc[:, k]
            if k not in self.levels_:
                is_filled = self.fills or k in self.empty_
                columns[f"f{k}"] = column.fillna(self.medians_[k]) if is_filled else column
                continue
            found = pd.Index(self.levels_[k]).get_indexer(pd.Index(column.astype(object)))
            n_levels = len(self.levels_[k])
            if self.marks:
                found = np.where(found < 0, n_levels, found)
                n_levels += 1
            columns[f"f{k}"] = pd.Categorical.from_codes(found, categories=range(n_levels))
        if self.fills:
            columns |= {f"g{k}": X.iloc[:, k].isna().astype(float) for k in self.gaps_}
        return pd.DataFrame(columns, index=X.index)


# ---- estimators --------------------------------------------------------------------------------

Params = dict[str, Any]


def constant(classes: bool, _seed: int, _params: Params) -> Any:
    return DummyClassifier(strategy="prior") if classes else DummyRegressor()


def linear(classes: bool, _seed: int, params: Params) -> Any:
    strength = params.pop("strength", 1.0)
    if classes:
        return LogisticRegression(C=1 / strength, max_iter=1_000)
    return Ridge(alpha=strength)


def forest(kinds: tuple[type, type], classes: bool, seed: int, params: Params) -> Any:
    return kinds[classes](n_jobs=1, random_state=seed, **params)


def joint_forest(kind: type, table: Table, seed: int, params: Params) -> Any:
    if table.classes.keys() & table.tasks.keys() or np.isnan(table.targets).any():
        return None
    return kind(n_jobs=1, random_state=seed, **params)


def histgb(classes: bool, seed: int, params: Params) -> Any:
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return kind(random_state=seed, **params)


def xgboost(classes: bool, seed: int, params: Params) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    kind = XGBClassifier if classes else XGBRegressor
    return kind(n_jobs=1, random_state=seed, enable_categorical=True, **params)


def lightgbm(classes: bool, seed: int, params: Params) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMClassifier if classes else LGBMRegressor
    return kind(n_jobs=1, random_state=seed, verbose=-1, **params)


class CatBoost:
    """CatBoost, told which columns are categories."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> CatBoost:
        words = [c for c in X if isinstance(X[c].dtype, pd.CategoricalDtype)]
        self.estimator.fit(X, y, cat_features=words)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.estimator.predict(X)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return self.estimator.predict_proba(X)


QUIET = MappingProxyType({"thread_count": 1, "verbose": 0, "allow_writing_files": False})


def catboost(classes: bool, seed: int, params: Params) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostClassifier if classes else CatBoostRegressor
    return CatBoost(kind(random_seed=seed, **QUIET, **params))


def joint_catboost(table: Table, seed: int, params: Params) -> Any:
    from catboost import CatBoostRegressor

    if table.classes.keys() & table.tasks.keys() or len(table.tasks) < 2:
        return None
    loss = "MultiRMSEWithMissingValues" if np.isnan(table.targets).any() else "MultiRMSE"
    return CatBoost(CatBoostRegressor(loss_function=loss, random_seed=seed, **QUIET, **params))


def mlp(classes: bool, seed: int, params: Params) -> Any:
    return (MLPClassifier if classes else MLPRegressor)(random_state=seed, **params)


SHARES = MappingProxyType({"val_metric_name": "cross_entropy", "use_ls": False})


def pytabkit(name: str, classes: bool, seed: int, params: Params) -> Any:
    import pytabkit

    for logger in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    if not classes:
        params = {key: value for key, value in params.items() if key not in SHARES}
    kind = getattr(pytabkit, f"{name}_{'Classifier' if classes else 'Regressor'}")
    return kind(device="cpu", n_threads=1, random_state=seed, **params)


MOST_LEVELS = 254  # that HistGradientBoosting takes


# ---- table of peers ----------------------------------------------------------------------------

TREES_GRID: list[dict[str, Any]] = [
    {},
    {"min_samples_leaf": 5},
    {"max_features": 0.3},
    {"max_features": 0.3, "min_samples_leaf": 5},
    {"max_features": "sqrt", "min_samples_leaf": 2},
    {"max_features": 0.5, "min_samples_leaf": 15},
]
FORESTS = RandomForestRegressor, RandomForestClassifier
EXTRA = ExtraTreesRegressor, ExtraTreesClassifier

LIBRARIES: dict[str, Library] = {
    "constant": Library(dense, constant),
    "ridge": Library(
        dense, linear, grid=[{"strength": 10.0**power} for power in (-2, -1, 0, 1, 2, 3)]
    ),
    "rf": Library(
        codes,
        partial(forest, FORESTS),
        partial(joint_forest, FORESTS[0]),
        TREES_GRID,
        final={"n_estimators": 300},
    ),
    "et": Library(
        codes,
        partial(forest, EXTRA),
        partial(joint_forest, EXTRA[0]),
        TREES_GRID,
        final={"n_estimators": 300},
    ),
    "histgb": Library(
        partial(Categories, most=MOST_LEVELS),
        histgb,
        grid=[
            {},
            {"learning_rate": 0.03, "max_iter": 300},
            {"max_leaf_nodes": 8},
            {"max_leaf_nodes": 8, "learning_rate": 0.03, "max_iter": 300},
            {"learning_rate": 0.03, "max_iter": 300, "min_samples_leaf": 5, "max_features": 0.5},
            {"learning_rate": 0.03, "max_iter": 300, "l2_regularization": 10, "max_leaf_nodes": 16},
        ],
    ),
    "xgboost": Library(
        Categories,
        xgboost,
        package="xgboost",
        grid=[
            {},
            {"learning_rate": 0.1},
            {"learning_rate": 0.05, "n_estimators": 300},
            {"learning_rate": 0.05, "n_estimators": 300, "max_depth": 3},
            {"learning_rate": 0.05, "n_estimators": 300, "max_depth": 4, "colsample_bytree": 0.5},
            {"learning_rate": 0.03, "n_estimators": 300, "min_child_weight": 10, "subsample": 0.7},
        ],
    ),
    "lightgbm": Library(
        Categories,
        lightgbm,
        package="lightgbm",
        grid=[
            {},
            {"learning_rate": 0.03, "n_estimators": 300},
            {"num_leaves": 8},
            {"num_leaves": 8, "learning_rate": 0.03, "n_estimators": 300},
            {
                "learning_rate": 0.03,
                "n_estimators": 300,
                "min_child_samples": 5,
                "colsample_bytree": 0.5,
            },
            {"learning_rate": 0.03, "n_estimators": 300, "reg_lambda": 10, "num_leaves": 16},
        ],
    ),
    "catboost": Library(
        partial(Categories, marks=True),
        catboost,
        joint_catboost,
        package="catboost",
        grid=[
            {},
            {"depth": 4},
            {"iterations": 300},
            {"iterations": 300, "depth": 4},
            {"l2_leaf_reg": 10},
            {"depth": 8, "iterations": 500},
        ],
    ),
    "mlp": Library(
        dense,
        mlp,
        scales_targets=True,
        grid=[
            {},
            {"alpha": 1.0},
            {"alpha": 10.0},
            {"early_stopping": True},
            {"early_stopping": True, "hidden_layer_sizes": (256, 256)},
            {"early_stopping": True, "hidden_layer_sizes": (256, 256), "alpha": 1.0},
        ],
    ),
    "realmlp": Library(
        partial(Categories, marks=True, fills=True),
        partial(pytabkit, "RealMLP_TD"),
        package="pytabkit",
        grid=[{}, {**SHARES}, {**SHARES, "p_drop": 0.0}, {**SHARES, "p_drop": 0.3}],
    ),
    "tabm": Library(
        partial(Categories, marks=True, fills=True),
        partial(pytabkit, "TabM_D"),
        package="pytabkit",
        grid=[{}, {"num_emb_type": "pwl"}, {"dropout": 0.0}, {"d_block": 256}],
    ),
}
UNTUNABLE = "constant"
TUNED = " tuned"
DEEP = "realmlp", "tabm"  # the slow ones, which stand last


def peers() -> dict[str, Callable[[Mapping[str, str], int], Model]]:
    """Return what makes each peer from the kinds of the tasks and a seed, defaults first."""
    order = [*(n for n in LIBRARIES if n not in DEEP), *DEEP]
    plain: dict[str, Any] = {n: partial(_plain, LIBRARIES[n]) for n in order}
    return plain | {n + TUNED: partial(_tuned, LIBRARIES[n]) for n in order if n != UNTUNABLE}


def _plain(library: Library, _tasks: Mapping[str, str], seed: int) -> Model:
    _import(library)
    return Plain(library, seed)


def _tuned(library: Library, _tasks: Mapping[str, str], seed: int) -> Model:
    _import(library)
    return Tuned(library, seed)


def _import(library: Library) -> None:
    """Import the package before the clock starts."""
    if library.package is not None:
        import_module(library.package)


def why_missing(model: str) -> str | None:
    """Say why a peer cannot be run here; None if it can."""
    library = LIBRARIES.get(model.removesuffix(TUNED))
    if library is None or library.package is None or find_spec(library.package) is not None:
        return None
    return f"the package `{library.package}` is not installed; `pip install skmtl[bench]` has it"
