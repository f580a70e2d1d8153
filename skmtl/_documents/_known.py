"""Classes that a file may name, and functions: no other is ever looked up."""

from __future__ import annotations

import importlib
import re
from types import FunctionType
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import NMF, PCA, FactorAnalysis, IncrementalPCA, TruncatedSVD
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from torch import nn

#: What every module of torch has, and a file does not: functions that listen, or are compiled.
HOOKS = frozenset({*vars(nn.Module()), "_compiled_call_impl"}) - {
    "training",
    "_parameters",
    "_buffers",
    "_non_persistent_buffers_set",
    "_modules",
}

#: scikit-learn's that hold arrays and numbers alone, and neither functions nor names of files; one
#: that may hold functions is known without them, as `remainder="passthrough"` has it.
_SKLEARN = (
    Binarizer,
    ColumnTransformer,
    CountVectorizer,
    DictVectorizer,
    FactorAnalysis,
    FeatureHasher,
    FeatureUnion,
    FunctionTransformer,
    HashingVectorizer,
    IncrementalPCA,
    KBinsDiscretizer,
    KNNImputer,
    MaxAbsScaler,
    MinMaxScaler,
    MissingIndicator,
    NMF,
    Normalizer,
    Nystroem,
    OneHotEncoder,
    OrdinalEncoder,
    PCA,
    Pipeline,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RBFSampler,
    RobustScaler,
    SimpleImputer,
    StandardScaler,
    TargetEncoder,
    TfidfTransformer,
    TfidfVectorizer,
    TruncatedSVD,
    VarianceThreshold,
    make_column_selector,
)
_TYPES = (
    *(bool, int, float, str, object),
    *(np.float32, np.float64, np.int32, np.int64, np.bool_, np.str_, np.object_, np.number),
)

#: Packages all of whose classes are known.
_PACKAGES = ("skmtl.", "torch.nn.modules.", "torch.optim.")


def path_of(cls: Any) -> str:
    """Return how a file names a class or a function.

    Parameters
    ----------
    cls : type or function
        The class.

    Returns
    -------
    str
        ``module:name``.
    """
    return f"{cls.__module__}:{cls.__qualname__}"


_LISTED: dict[str, type] = {path_of(cls): cls for cls in (*_SKLEARN, *_TYPES)}


def find_class(path: Any) -> type | None:
    """Return a class by its name.

    Parameters
    ----------
    path : str
        ``module:name``.

    Returns
    -------
    type or None
        None if it is not among the known ones, or does not exist.
    """
    if not isinstance(path, str):
        return None
    if path in _LISTED:
        return _LISTED[path]
    module, _, name = path.partition(":")
    if not module.startswith(_PACKAGES) or not re.fullmatch(r"[\w.]+", module) or not name:
        return None
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
    is_own = isinstance(found, type) and path_of(found) == path
    return found if is_own else None


def holds_functions(cls: type, state: dict[str, Any]) -> bool:
    """Tell whether an object would call what it holds.

    Parameters
    ----------
    cls : type
        A known class.
    state : dict
        Attributes by name.

    Returns
    -------
    bool
        Whether it is a ``FunctionTransformer`` with a function, or a class in place of one.
    """
    return issubclass(cls, FunctionTransformer) and any(map(callable, state.values()))


def find_solver(path: Any) -> Any:
    """Return a function that finds weights, by its name.

    Parameters
    ----------
    path : str
        ``module:name``.

    Returns
    -------
    callable or None
        None if it is no function of :mod:`skmtl.weighting`.
    """
    module, _, name = str(path).partition(":")
    if not re.fullmatch(r"skmtl\.weighting\._[a-z_]+", module) or not name:
        return None
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
    return found if isinstance(found, FunctionType) and path_of(found) == path else None
