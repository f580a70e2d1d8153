"""Files of rows and reports."""

from dataclasses import dataclass

import numpy as np

from benchmarks.recording import append_row, read_rows, write_report


@dataclass(frozen=True)
class Row:
    name: "str"
    status: "str"
    error: "float"
    count: "int"
    parts: "str" = ""


ROWS = Row("nan", "n/a (time)", np.nan, 1), Row("jura, 1", "ok", 0.25, 2, "0.5 nan")


def test_rows_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "rows.csv"
    assert list(read_rows(path, Row)) == ["name", "status", "error", "count", "parts"]
    for row in ROWS:
        append_row(path, row)
    got = read_rows(path, Row)
    for column in ("name", "status", "count", "parts"):
        assert got[column].tolist() == [getattr(row, column) for row in ROWS]
    np.testing.assert_array_equal(got["error"], [np.nan, 0.25])


def test_a_report_holds_what_its_module_says_below_the_commands(tmp_path):
    path = tmp_path / "results" / "made.md"
    write_report(
        path, "Made", "What it is.\n\n    a command\n\nThe job.\n\nMore.\n", ["### One", "Two"]
    )
    assert path.read_text() == "# Made\n\nThe job.\n\nMore.\n\n### One\n\nTwo\n"
