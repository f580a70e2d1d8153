"""Docstrings: numpydoc sections, and the same parameters and defaults as the signatures."""

import ast
import dataclasses
import importlib
import inspect
import re

import pytest

from skmtl._strategy import Strategy
from tests.test_public_api import PUBLIC, is_concrete_strategy, public_names

SECTIONS = (
    "Parameters",
    "Attributes",
    "Returns",
    "Yields",
    "Raises",
    "Warns",
    "Shape",
    "See Also",
    "Notes",
    "References",
    "Examples",
)
#: Sections whose lines at the margin are ``name : type``.
LISTS = ("Parameters", "Attributes")


class DocstringError(ValueError):
    """A docstring breaks a rule of numpydoc."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """``name : type, default=value`` and what follows."""

    kind: str
    text: str

    @property
    def default(self):
        """What is said to be the default, or None."""
        found = re.search(r"\bdefault=(.*)$", self.kind)
        return found and found[1]


@dataclasses.dataclass(frozen=True)
class Docstring:
    """The parts of a docstring."""

    summary: str
    sections: dict

    @classmethod
    def parse(cls, text):
        """Split a docstring, or tell which rule it breaks."""
        if not text or not text.strip():
            raise DocstringError("There is no docstring.")
        lines = inspect.cleandoc(text).splitlines()
        heads = [i for i in range(len(lines) - 1) if re.fullmatch(r"-{3,}|={3,}", lines[i + 1])]
        for i in heads:
            if lines[i] not in SECTIONS:
                raise DocstringError(f"{lines[i]!r} is no section of numpydoc.")
            if lines[i + 1] != "-" * len(lines[i]):
                raise DocstringError(f"The line below {lines[i]!r} has another length.")
            if i and lines[i - 1]:
                raise DocstringError(f"There is no empty line above {lines[i]!r}.")
        names = [lines[i] for i in heads]
        if names != sorted(names, key=SECTIONS.index) or len(names) != len(set(names)):
            raise DocstringError(f"The sections {names} are not in the order {SECTIONS}.")
        ends = [*heads[1:], len(lines)][: len(heads)]
        bodies = {lines[i]: lines[i + 2 : end] for i, end in zip(heads, ends, strict=True)}
        empty = [name for name, body in bodies.items() if not any(body)]
        if empty:
            raise DocstringError(f"The section {empty[0]!r} is empty.")
        first = "\n".join(lines[: heads[0]] if heads else lines).strip().split("\n\n")[0]
        sections = {k: _entries(body) if k in LISTS else body for k, body in bodies.items()}
        return cls(" ".join(first.split()), sections)


def _entries(body):
    entries = {}
    for i, line in enumerate(body):
        if not line or line[0] == " ":
            continue
        names, colon, kind = line.partition(" : ")
        if not colon and not line.startswith("*"):
            raise DocstringError(f"{line!r} is not of the form `name : type`.")
        text = []
        for below in body[i + 1 :]:
            if below and below[0] != " ":
                break
            text.append(below.strip())
        for name in names.split(", "):
            if not re.fullmatch(r"\\?\*{0,2}\w+", name.replace("\\*", "*")):
                raise DocstringError(f"{name!r} is not a name.")
            entries[name.replace("\\", "")] = Entry(kind, " ".join(text).strip())
    return entries


def public_objects():
    """Each public class and function once, by its shortest address."""
    found = {}
    for package in PUBLIC:
        for name, member in public_names(package).items():
            if inspect.isclass(member) or inspect.isfunction(member):
                found.setdefault(member, f"{package}.{name}")
    return {address: member for member, address in found.items()}


def methods_of(cls):
    """Public methods and properties that the class defines itself."""
    return {
        name: member.__func__ if isinstance(member, classmethod | staticmethod) else member
        for name, member in vars(cls).items()
        if not name.startswith("_")
        and (
            inspect.isfunction(member) or isinstance(member, classmethod | staticmethod | property)
        )
    }


OBJECTS = public_objects()
METHODS = {
    f"{address}.{name}": member
    for address, cls in OBJECTS.items()
    if inspect.isclass(cls)
    for name, member in methods_of(cls).items()
}
EVERYTHING = {**OBJECTS, **METHODS}
CONSTANTS = {
    f"{package}.{name}": (package, name)
    for package in PUBLIC
    for name, member in public_names(package).items()
    if not (inspect.isclass(member) or inspect.isfunction(member))
}


def table(objects):
    return pytest.mark.parametrize("member", objects.values(), ids=objects.keys())


def signature_of(member):
    """Parameters that the package itself declares, or None where it declares none."""
    if inspect.isclass(member):
        ours = dataclasses.is_dataclass(member) or hasattr(member, "_fields")
        owner = next(cls for cls in member.__mro__ if "__init__" in vars(cls))
        if not ours and not owner.__module__.startswith("skmtl."):
            return None
    parameters = list(inspect.signature(member).parameters.values())
    if not inspect.isclass(member):
        parameters = [p for p in parameters if p.name not in {"self", "cls"}]
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return {stars.get(p.kind, "") + p.name: p for p in parameters}


@table(EVERYTHING)
def test_sections_parse_and_there_is_a_summary_sentence(member):
    doc = Docstring.parse(member.__doc__)
    assert re.search(r"[.?!:]`*$", doc.summary), doc.summary
    assert len(doc.summary) < 300
    assert doc.summary[0].isupper() or doc.summary[0] in "`*0123456789", doc.summary


@table(OBJECTS)
def test_parameters_are_those_of_the_signature(member):
    parameters = signature_of(member)
    documented = Docstring.parse(member.__doc__).sections.get("Parameters", {})
    if parameters is None:
        assert not documented
        return
    assert list(documented) == list(parameters)
    assert all(entry.kind and entry.text for name, entry in documented.items() if name[0] != "*")


@table({k: m for k, m in METHODS.items() if inspect.isfunction(m)})
def test_documented_parameters_of_methods_are_those_of_the_signature(member):
    documented = Docstring.parse(member.__doc__).sections.get("Parameters")
    if documented is not None:
        assert list(documented) == list(signature_of(member))


@table({k: m for k, m in EVERYTHING.items() if not isinstance(m, property)})
def test_defaults_are_those_of_the_signature(member):
    documented = Docstring.parse(member.__doc__).sections.get("Parameters", {})
    parameters = signature_of(member) or {}
    for name, entry in documented.items():
        default = parameters[name].default
        if default is inspect.Parameter.empty:
            assert entry.default is None, name
        elif not entry.text.startswith("Ignored"):  # as scikit-learn has it for `y=None`
            assert entry.default is not None, f"{name}: the default {default!r} is not documented"
            assert _same_value(entry.default, default), f"{name}: {entry.default} != {default!r}"


def _same_value(text, value):
    try:
        documented = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text in {repr(value), getattr(value, "__name__", None)}
    return documented == value and type(documented) is type(value)


@table(
    {
        address: member
        for address, member in OBJECTS.items()
        if is_concrete_strategy(member) or ".MultiTaskNet" in address
    }
)
def test_strategies_and_estimators_have_references(member):
    doc = Docstring.parse(vars(member)["__doc__"])  # their own
    text = " ".join(doc.sections["References"])
    assert re.search(r"\b(19|20)\d\d\b", text) or "None:" in text, text


@table({a: m for a, m in OBJECTS.items() if ".MultiTaskNet" in a})
def test_estimators_have_attributes_and_examples(member):
    sections = Docstring.parse(member.__doc__).sections
    assert all(name.endswith("_") for name in sections["Attributes"])
    assert any(line.startswith(">>> ") for line in sections["Examples"])


@pytest.mark.parametrize(("package", "name"), CONSTANTS.values(), ids=CONSTANTS)
def test_constants_have_a_comment(package, name):
    """A constant has no docstring: ``#:`` above it is what Sphinx reads."""
    source = "\n".join(
        inspect.getsource(importlib.import_module(m))
        for m in _modules_of(package)
        if re.search(rf"^{name}\b.*=", inspect.getsource(importlib.import_module(m)), re.MULTILINE)
    )
    assert re.search(rf"^#: .*\n(#.*\n)*{name}\b", source, re.MULTILINE), name


def _modules_of(package):
    import pkgutil

    path = importlib.import_module(package).__path__
    return [f"{package}.{module.name}" for module in pkgutil.iter_modules(path)]


@pytest.mark.parametrize("cls", sorted(map(str, Strategy.__subclasses__())))
def test_axes_are_public(cls):
    assert any(str(member) == cls for member in OBJECTS.values())


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (None, "There is no docstring"),
        ("One.\n\nParametres\n----------\nx : int\n    An x.\n", "'Parametres' is no section"),
        ("One.\n\nParameters\n-----\nx : int\n    An x.\n", "has another length"),
        ("One.\nNotes\n-----\nText.\n", "no empty line above 'Notes'"),
        ("One.\n\nNotes\n-----\nText.\n\nReturns\n-------\nint\n", "not in the order"),
        ("One.\n\nParameters\n----------\nx: int\n    An x.\n", "not of the form `name : type`"),
        ("One.\n\nNotes\n-----\n", "The section 'Notes' is empty"),
    ],
)
def test_the_parser_finds(text, match):
    with pytest.raises(DocstringError, match=match):
        Docstring.parse(text)


def test_the_parser_reads():
    text = """Do this.

    More.

    Parameters
    ----------
    x, y : int, default=3
        Two
        numbers.
    **rest : object
        Others.

    Returns
    -------
    int
        A sum.
    """
    doc = Docstring.parse(text)
    assert doc.summary == "Do this."
    assert list(doc.sections) == ["Parameters", "Returns"]
    assert list(doc.sections["Parameters"]) == ["x", "y", "**rest"]
    assert doc.sections["Parameters"]["y"] == Entry("int, default=3", "Two numbers.")
    assert doc.sections["Parameters"]["y"].default == "3"
    assert doc.sections["Parameters"]["**rest"].default is None
