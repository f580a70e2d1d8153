"""Dates and times -> numbers that a network can use."""

from __future__ import annotations

import numpy as np
import pandas as pd

_DAY = 86_400.0  # seconds


def datetime_features(column: pd.Series) -> dict[str, np.ndarray]:
    """Turn a column of dates into elapsed days and the phase in the year, week and day.

    Parameters
    ----------
    column : pandas.Series of shape (n_samples,), datetime64 or timedelta64
        The dates, with or without a time zone; NaT is missing.

    Returns
    -------
    dict of str to ndarray of shape (n_samples,), float64
        ``"days"`` since 1970 (for durations: the length in days) and, for dates, sine and
        cosine of the phase in ``"year"``, ``"week"`` and ``"day"``; NaN where missing.
    """
    missing = column.isna().to_numpy()
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        days = column.dt.total_seconds().to_numpy(dtype=np.float64) / _DAY
        return {"days": days}
    if getattr(column.dt, "tz", None) is not None:
        column = column.dt.tz_localize(None)
    seconds = column.to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    days = np.where(missing, np.nan, seconds / _DAY)
    phases = {
        "year": (column.dt.day_of_year.to_numpy(dtype=np.float64) - 1) / 365.25,
        "week": (days + 3) / 7,  # 1970-01-01 was a Thursday
        "day": days,
    }
    features = {"days": days}
    for name, phase in phases.items():
        angle = 2 * np.pi * np.where(missing, np.nan, phase % 1.0)
        features[f"{name}_sin"] = np.sin(angle)
        features[f"{name}_cos"] = np.cos(angle)
    return features
