"""The bundled data set."""

import hashlib
from importlib.resources import files

import pandas as pd

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.datasets import load_automobile


def test_shapes_types_and_missing_cells():
    cars = load_automobile()
    assert cars.data.shape == (201, 19)
    assert cars.target.shape == (201, 7)
    assert cars.target.isna().sum()[["normalized_losses", "num_doors"]].tolist() == [37, 2]
    assert list(cars.tasks) == list(cars.target)
    X, Y = load_automobile(return_X_y=True)
    pd.testing.assert_frame_equal(X, cars.data)
    pd.testing.assert_frame_equal(Y, cars.target)


def test_it_is_the_catalogued_file():
    content = (files("skmtl.datasets") / "data" / "automobile.csv.gz").read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith("4dddd4b07ec88328")


def test_the_frame_fits_as_it_is():
    cars = load_automobile()
    est = MultiTaskNetClassifierRegressor(tasks=cars.tasks, max_epochs=60, random_state=0)
    assert est.fit(cars.data, cars.target).score(cars.data, cars.target) > 0.6
