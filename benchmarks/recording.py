"""What the benchmarks leave behind: files of rows, from which they go on, and reports."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd


def append_row(path: Path, row: Any) -> None:
    """Add a row, an object of a dataclass, to a CSV file, which is made with the first one."""
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=[field.name for field in fields(row)])
        if is_new:
            writer.writeheader()
        writer.writerow(asdict(row))


def read_rows(path: Path, kind: Any) -> pd.DataFrame:
    """Return the rows of a file, by the types of the dataclass; none if there is no file."""
    types = {field.name: field.type for field in fields(kind)}
    if not path.exists():
        return pd.DataFrame(columns=list(types))
    text = {name: str for name, named in types.items() if named == "str"}
    gaps = {name: ["nan", ""] for name, named in types.items() if named == "float"}
    # Else a text such as "nan" or "n/a" would be a gap.
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=gaps)


def write_report(path: Path, title: str, explained: str | None, sections: Sequence[str]) -> None:
    """Write a report: a title, what a module says of itself below its commands, and sections."""
    words = (explained or "").split("\n\n", 2)[2].strip()
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n\n".join([f"# {title}", words, *sections]) + "\n")
