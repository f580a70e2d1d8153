"""Bad input: what comes of each case, for the tests and for the page of the docs."""

from __future__ import annotations

import csv
import traceback
import warnings
from pathlib import Path

from tests.bad_input import features, parameters, predictions, targets
from tests.bad_input.case import Case

CASES = [*features.CASES, *targets.CASES, *parameters.CASES, *predictions.CASES]
PAGE = Path(__file__).parents[2] / "docs" / "user_guide" / "bad_input.csv"
HEAD = "input", "given", "outcome", "message"


def outcome_of(case: Case) -> tuple[str, str, bool]:
    """Return "works" or the class of the error, its message, and whether the message is ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            case.act()
        except Exception as error:  # noqa: BLE001 - any may come
            last = traceback.extract_tb(error.__traceback__)[-1].filename
            message = " ".join(str(error).split())
            shown = message if len(message) <= 300 else f"{message[:297]}..."
            return type(error).__name__, shown, "/skmtl/" in last
    return "works", "", False


def write_page() -> None:
    """Write the table of the docs."""
    with PAGE.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(HEAD)
        for case in CASES:
            outcome, message, _ = outcome_of(case)
            rows.writerow([case.group, case.given, outcome, message])
