"""The API page, derived from the public names of the package.

A name is public when the `__init__.py` of a public package imports it (or lists it in `__all__`).
An object that several packages offer is shown once, in the highest one.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx

PACKAGE = "skmtl"


def public_packages() -> list[ModuleType]:
    """The package itself, then its public packages in alphabetical order."""
    root = importlib.import_module(PACKAGE)
    names = [info.name for info in pkgutil.iter_modules(root.__path__) if info.name[0] != "_"]
    return [root, *(importlib.import_module(f"{PACKAGE}.{name}") for name in sorted(names))]


def public_names(module: ModuleType) -> list[str]:
    """The names that a package offers, of objects defined in skmtl."""
    names = getattr(module, "__all__", None)
    if names is not None:
        return sorted(name for name in names if not inspect.ismodule(getattr(module, name)))
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and defined_here(value)
    )


def defined_here(value: Any) -> bool:
    """Whether a class, function or method of a class comes from skmtl."""
    value = value.fget if isinstance(value, property) else value
    module = getattr(inspect.unwrap(value) if callable(value) else value, "__module__", None)
    return isinstance(module, str) and module.split(".")[0] == PACKAGE


def page() -> str:
    """The source of the API page: a section per package, a table of its public names."""
    seen: set[int] = set()
    lines = ["API", "===", ""]
    for module in public_packages():
        new = [name for name in public_names(module) if id(getattr(module, name)) not in seen]
        if not new:
            continue
        seen.update(id(getattr(module, name)) for name in new)
        lines += [f"``{module.__name__}``", "-" * (len(module.__name__) + 4), ""]
        lines += [(inspect.getdoc(module) or "").partition("\n\n")[0], ""]
        lines += [f".. currentmodule:: {module.__name__}", ""]
        lines += [".. autosummary::", "   :toctree: generated", ""]
        lines += [f"   {name}" for name in new]
        lines += [""]
    return "\n".join(lines)


def write_page(app: Sphinx, config: Any) -> None:
    """Write the page where autosummary looks for it, and only when it changed."""
    path = Path(app.srcdir) / "api" / "index.rst"
    text = page()
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def skip_foreign(app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any) -> bool:
    """Leave out what scikit-learn, skorch and torch classes hand down."""
    return skip or (what == "class" and callable(value) and not defined_here(value))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the two hooks."""
    app.connect("config-inited", write_page)
    app.connect("autodoc-skip-member", skip_foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
