"""Let numpydoc show the Shape section of torch modules, which it does not know and would drop."""

from typing import Any

from numpydoc.docscrape import NumpyDocString
from sphinx.application import Sphinx

BEFORE_NUMPYDOC = 400


def is_heading(lines: list[str], i: int) -> bool:
    """Whether line i is the title of a numpydoc section."""
    return i + 1 < len(lines) and bool(lines[i].strip()) and set(lines[i + 1].strip()) == {"-"}


def shape_into_notes(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Move the body of Shape to the start of Notes, and make Notes where there is none."""
    headings = [i for i in range(len(lines)) if is_heading(lines, i)]
    titles = [lines[i].strip() for i in headings]
    if "Shape" not in titles:
        return
    start, *later = headings[titles.index("Shape") :]
    end = later[0] if later else len(lines)
    block = ["**Shape**", "", *lines[start + 2 : end], ""]
    del lines[start:end]
    if "Notes" in titles:
        notes = next(i for i in range(len(lines)) if is_heading(lines, i) and lines[i] == "Notes")
        lines[notes + 2 : notes + 2] = block
    else:
        lines[start:start] = ["Notes", "-----", *block]


def setup(app: Sphinx) -> dict[str, bool]:
    """Run before numpydoc reads the docstring; where it reads signatures, only know the name."""
    NumpyDocString.sections["Shape"] = []
    app.connect("autodoc-process-docstring", shape_into_notes, priority=BEFORE_NUMPYDOC)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
