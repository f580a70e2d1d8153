import numpy as np
import pandas as pd
import pytest

from skmtl.features._datetime import datetime_features


def dates(*cells):
    return pd.Series(pd.to_datetime(list(cells), format="ISO8601"))


def test_by_hand_at_the_start_of_the_epoch():
    features = datetime_features(dates("1970-01-01"))
    assert {name: values.item() for name, values in features.items()} == pytest.approx(
        {
            "days": 0,
            "year_sin": 0,
            "year_cos": 1,
            "week_sin": np.sin(2 * np.pi * 3 / 7),  # a Thursday
            "week_cos": np.cos(2 * np.pi * 3 / 7),
            "day_sin": 0,
            "day_cos": 1,
        }
    )


def test_quarters_of_a_day():
    features = datetime_features(dates(*[f"2024-05-05 {hour:02}:00" for hour in (0, 6, 12, 18)]))
    np.testing.assert_allclose(features["day_sin"], [0, 1, 0, -1], atol=1e-9)
    np.testing.assert_allclose(features["day_cos"], [1, 0, -1, 0], atol=1e-9)


def test_week_starts_on_monday_and_repeats():
    features = datetime_features(dates("2024-01-01", "2024-01-08", "1969-12-29"))  # Mondays
    np.testing.assert_allclose(features["week_cos"], 1, atol=1e-9)


def test_year_repeats():
    features = datetime_features(dates("2023-01-01", "2024-01-01", "2023-07-02 15:00"))
    np.testing.assert_allclose(features["year_cos"], [1, 1, -1], atol=1e-4)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_resolution_does_not_matter(unit):
    column = dates("2024-02-29 13:37:11", "1969-07-20 20:17:40")
    expected = datetime_features(column.astype("datetime64[ns]"))
    found = datetime_features(column.astype(f"datetime64[{unit}]"))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, err_msg=name)


def test_clock_time_counts_in_a_time_zone():
    local = dates("2024-01-01 06:00").dt.tz_localize("Asia/Tokyo")
    assert datetime_features(local)["day_sin"].item() == pytest.approx(1)


def test_missing_dates_are_missing_in_every_feature():
    for column in (dates("2024-01-01", None), dates("2024-01-01", None).dt.tz_localize("UTC")):
        for name, values in datetime_features(column).items():
            assert np.isnan(values).tolist() == [False, True], name


def test_durations_are_days():
    column = pd.Series(pd.to_timedelta(["36h", None, "-1D"]))
    features = datetime_features(column)
    assert list(features) == ["days"]
    np.testing.assert_array_equal(features["days"], [1.5, np.nan, -1])


def test_days_agree_with_pandas():
    column = pd.Series(pd.date_range("1950-01-01", "2100-01-01", periods=50))
    expected = (column - pd.Timestamp("1970-01-01")) / pd.Timedelta("1D")
    np.testing.assert_allclose(datetime_features(column)["days"], expected)


def test_words_are_no_dates():
    with pytest.raises(AttributeError, match="dt accessor"):
        datetime_features(pd.Series(["a"]))
