import re
import sys
import threading

import numpy as np
import pytest

from benchmarks import load
from benchmarks.load import Reading, Soak, Tally

SMALL = {"hidden_layer_sizes": (4,), "max_epochs": 2, "n_members": 2}


@pytest.fixture(scope="module")
def fitted():
    X, Y = load.table(60)
    return load.estimator(**SMALL).fit(X, Y), X


def test_a_cell_that_differs_is_counted(fitted):
    est, X = fitted
    requests = load.requests_to(X, 6)
    assert [request.method for request in requests] == list(load.METHODS) * 2
    expected = [request.answer(est) for request in requests]
    assert load.ask(est, requests, expected, 6, seed=0).differences == 0
    name, dtype, cells = expected[2][0]
    last = np.frombuffer(cells, dtype)
    other = np.nextafter(last, np.inf).tobytes()
    expected[2] = [(name, dtype, other), *expected[2][1:]]
    assert load.ask(est, requests, expected, 6, seed=0).differences == 1


def test_errors_are_counted_and_told(fitted):
    est, X = fitted
    requests = [load.Request("predict", X[["x0"]])]
    tally = load.ask_from_threads(est, requests, [[]], 2, 3)
    assert tally.calls == tally.errors.total() == 6
    assert all(error.startswith("ValueError: ") for error in tally.errors)


def test_a_fit_that_differs_is_counted():
    stop = threading.Event()
    stop.set()
    answer = [("a", "float64", b"1")]
    assert load.fitting(lambda: answer, answer, stop).differences == 0
    assert load.fitting(list, answer, stop) == Tally(1, 1)


def test_threads_table():
    text = load.threads_table(2, 6, **SMALL)
    rows = re.findall(r"^\| (.*?) \| ([\d,]+) \| (\d+) \| (\d+) \|", text, re.MULTILINE)
    assert [row[:1] for row in rows[:3]] == [
        ("one thread",), ("2 threads",), ("2 threads, and one that fits",)
    ]  # fmt: skip
    assert [row[1:] for row in rows[:3]] == [("6", "0", "0"), ("12", "0", "0"), ("12", "0", "0")]
    assert int(rows[3][1]) >= 1
    assert rows[3][2:] == ("0", "0")


def test_a_soak_goes_once_through_all_settings(monkeypatch):
    monkeypatch.setattr(load, "SETTINGS", ({}, {"sharing": "mmoe"}))
    soak = Soak().run(0.0, **SMALL)
    assert (soak.fits, soak.failed, len(soak.readings)) == (2, 2, 2)
    assert soak.wrong.total() == 0
    text = load.soak_table(soak)
    assert "What should not have happened: 0." in text
    assert soak.readings[-1].mebibytes > 100
    assert soak.readings[-1].files >= 3


def test_each_failing_setting_fails():
    X, Y = load.table(60)
    soak = Soak()
    for failing in load.FAILING:
        soak._fail({**SMALL, "max_epochs": 4}, failing, X, Y)
    assert soak.wrong.total() == 0
    soak._fail(SMALL, ({}, ValueError), X, Y)
    assert soak.wrong == {"no error from {}": 1}


def test_a_leak_is_seen_as_a_slope():
    readings = [Reading(m / 2, m, 0, m, 400 + m / 6, 3, 5) for m in range(60)]
    assert load.slope(readings) == pytest.approx(20.0)
    text = load.soak_table(Soak(readings))
    assert "slope +20.0 MiB an hour over 48 readings" in text
    assert text.count("\n| ") == 1 + 1 + 11


@pytest.mark.parametrize("write", [False, True])
def test_the_command(monkeypatch, tmp_path, capsys, write):
    monkeypatch.setattr(load, "RESULTS", tmp_path / "load.md")
    monkeypatch.setattr(load, "threads_table", lambda n_threads, n: f"{n_threads} x {n}")
    monkeypatch.setattr(Soak, "run", lambda *_: Soak())
    monkeypatch.setattr(load, "soak_table", lambda _: "soaked")
    arguments = ["--threads", "2", "--predictions", "3", "--note", "A note.", *["--write"] * write]
    monkeypatch.setattr(sys, "argv", ["load", *arguments])
    load.main()
    assert "2 x 3\n" in capsys.readouterr().out
    assert load.RESULTS.exists() == write
    if write:
        text = load.RESULTS.read_text()
        assert text.startswith("# Under load\n\nThreads: ")
        assert "A note.\n\n2 x 3\n\nsoaked\n" in text
