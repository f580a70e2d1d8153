"""Files that are damaged, foreign, newer or made to do harm: each is told apart, none runs code."""

import json
import os
import pickle
import resource
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from skmtl import MultiTaskNetClassifierRegressor, MultiTaskNetRegressor
from skmtl._documents import Reader, Writer
from skmtl._documents._file import FORMAT_VERSION, read_file, write_file
from skmtl.export import FileError, load, save

DATA = Path(__file__).parent / "data"
RANDOM = np.random.default_rng(0)
X = pd.DataFrame({"number": RANDOM.normal(size=40), "word": RANDOM.choice(["a", "b"], 40)})
Y = pd.DataFrame({"price": X["number"] * 2, "sold": np.where(X["number"] > 0, "yes", "no")})


def small(**params):
    defaults = {"hidden_layer_sizes": (4,), "max_epochs": 2, "n_members": 1, "random_state": 0}
    return MultiTaskNetClassifierRegressor(**{**defaults, **params})


@pytest.fixture(scope="module")
def est():
    return small().fit(X, Y)


@pytest.fixture(scope="module")
def content(est, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    save(est, path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


@pytest.fixture
def parts(content, path):
    """Document and arrays of a good file, to write back with another content."""
    path.write_bytes(content)
    return read_file(path)


def damaged(content, random):
    """Flip bits of some bytes, cut the end, or take out or double a piece."""
    changed = bytearray(content)
    match random.integers(4):
        case 0 | 1:
            for place in random.integers(len(content), size=random.integers(1, 4)):
                changed[place] ^= 1 << random.integers(8)
        case 2:
            del changed[random.integers(len(content)) :]
        case _:
            start, length = random.integers(len(content)), random.integers(1, 200)
            changed[start : start + length] = changed[start : start + length] * random.choice(
                [0, 2]
            )
    return bytes(changed)


def test_ten_thousand_damaged_files(content, path, est):
    """Each either equals the original or is told to be damaged."""
    random = np.random.default_rng(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = 0
    path.write_bytes(content)
    original = read_file(path)
    for _ in range(10_000):
        path.write_bytes(damaged(content, random))
        try:
            document, arrays = read_file(path)
        except FileError:
            told += 1
        else:  # such as a piece of no bytes taken out
            assert document == original[0]
            assert arrays.keys() == original[1].keys()
            assert load(path).predict(X).equals(est.predict(X))
    assert told > 9_900
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 200_000  # KiB


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100])
def test_short_files(content, path, size):
    path.write_bytes(content[:size])
    with pytest.raises(FileError, match=r"not a whole file of skmtl\.export"):
        load(path)


@pytest.mark.parametrize("length", [2**62, 2**40, 2**63 + 5, 10**8])
def test_a_header_that_says_it_is_huge(content, path, length):
    path.write_bytes(length.to_bytes(8, "little") + content[8:])
    with pytest.raises(FileError, match="not a whole file"):
        load(path)


class Harm:
    """What pickle would run."""

    def __reduce__(self):
        return os.mkdir, (os.environ["HARM"],)


def test_files_of_others(path, tmp_path, monkeypatch):
    monkeypatch.setenv("HARM", str(tmp_path / "harm"))
    path.write_bytes(pickle.dumps(Harm()))
    with pytest.raises(FileError, match=r"is read by joblib\.load or pickle\.load"):
        load(path)
    torch.save({"model": Harm()}, path)
    with pytest.raises(FileError, match="not a whole file"):
        load(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../harm", bytes(10**7))
    with pytest.raises(FileError, match="not a whole file"):
        load(path)
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(FileError, match=r"was not written by skmtl.export.save"):
        load(path)
    assert not (tmp_path / "harm").exists()
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


@pytest.mark.parametrize("metadata", ["null", "[]", "3", '{"format": "skmtl.export"}', None])
def test_files_of_types_that_numpy_has_not(metadata, path):
    """As language models are saved."""
    header = '{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}'
    header += "}" if metadata is None else f',"__metadata__":{metadata}}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + b"\0\0")
    with pytest.raises(FileError):
        load(path)


def test_places_of_others_are_not_taken_over(path, tmp_path):
    """A fit of what was loaded would write there, or unpickle what it finds there."""
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("net", small(checkpoint=str(tmp_path / "fit")))],
        memory=str(tmp_path / "cache"),
    ).fit(X[["number"]], Y)
    save(pipeline, path)
    again = load(path)
    assert again.memory is None
    assert again[-1].checkpoint is None
    assert again.predict(X[["number"]]).equals(pipeline.predict(X[["number"]]))


def test_a_newer_format_is_named(parts, path, monkeypatch):
    monkeypatch.setattr("skmtl._documents._file.FORMAT_VERSION", FORMAT_VERSION + 1)
    write_file(path, *parts)
    monkeypatch.undo()
    message = rf"has format {FORMAT_VERSION + 1}, .* reads formats up to {FORMAT_VERSION}. Install"
    with pytest.raises(FileError, match=message):
        load(path)


def walk(node):
    """Give each object of a document."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    for item in node if isinstance(node, list) else []:
        yield from walk(item)


def find(document, test):
    """Return the first object of a document for which a test holds."""
    return next(node for node in walk(document) if test(node))


def attributes(document):
    return dict(map(tuple, document["state"]["items"]))


def set_attribute(document, name, node):
    for pair in document["state"]["items"]:
        if pair[0] == name:
            pair[1] = node
            return
    document["state"]["items"].append([name, node])


def test_the_helpers_write_a_good_file(parts, path, est):
    document, arrays = parts
    set_attribute(document, "verbose", False)
    write_file(path, document, arrays)
    assert load(path).predict(X).equals(est.predict(X))


FOREIGN = [
    "os:system",
    "builtins:eval",
    "subprocess:Popen",
    "sklearn.ensemble._stacking:StackingRegressor",
    "torch.utils.data.dataloader:DataLoader",
    "skmtl._documents._file:Path",
    "skmtl.training._net:NeuralNet",
    "skmtl.benchmarks:anything",
    "skmtl.tasks:Missing",
    "torch.nn.modules.module:Parameter",
    "torch.nn.modules.linear:torch.load",
    "torch.nn.modules..os:system",
    "",
    None,
    ["os", "system"],
]


@pytest.mark.parametrize("name", ["func", "inverse_func", "feature_names_out"])
def test_a_transformer_calls_nothing_that_a_file_names(name, parts, path):
    document, arrays = parts
    function = {"is": "class", "name": "torch.nn.modules.linear:Linear"}
    named = "sklearn.preprocessing._function_transformer:FunctionTransformer"
    state = {"is": "dict", "items": [[name, function]]}
    set_attribute(
        document, "preprocess", {"is": "object", "id": 10_000, "class": named, "state": state}
    )
    write_file(path, document, arrays)
    with pytest.raises(FileError, match="a FunctionTransformer with a function"):
        load(path)


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("kind", ["object", "module", "class"])
def test_classes_that_are_not_known(name, kind, parts, path):
    document, arrays = parts
    node = {"is": kind, "id": 10_000, "class": name, "state": {"is": "dict", "items": []}}
    node = {"is": "class", "name": name} if kind == "class" else node
    set_attribute(document, "optimizer", node)
    write_file(path, document, arrays)
    with pytest.raises(FileError, match=r"names a class that is not among the known ones"):
        load(path)


@pytest.mark.parametrize(
    "name",
    ["os:system", "builtins:eval", "skmtl.weighting._min_norm:np.load", "skmtl.export._save:load"],
)
def test_functions_that_are_not_known(name, parts, path):
    document, arrays = parts
    set_attribute(document, "optimizer", {"is": "solver", "name": name, "options": None})
    write_file(path, document, arrays)
    with pytest.raises(FileError, match=r"names a function that finds no weights"):
        load(path)


def params_of_skorch(document, value):
    pairs = [["callbacks", value], ["module", {"is": "class", "name": "builtins:object"}]]
    set_attribute(document, "net_params", {"is": "dict", "items": pairs})


def lost_array(document):
    find(document, lambda node: node["is"] == "tensor")["name"] = "none"


def wrong_shape(document):
    tensor = find(document, lambda node: node["is"] == "tensor" and "weight" in node["name"])
    other = find(document, lambda node: node["is"] == "tensor" and "bias" in node["name"])
    tensor["name"] = other["name"]


def huge_cells(document):
    find(document, lambda node: node["is"] == "objects")["shape"] = [2**40, 2**40]


def negative_cells(document):
    find(document, lambda node: node["is"] == "objects")["shape"] = [-1]


def other_kind(document):
    find(document, lambda node: node["is"] == "module")["is"] = "object"


def no_kind(document):
    del find(document, lambda node: node["is"] == "module")["is"]


def unknown_kind(document):
    find(document, lambda node: node["is"] == "module")["is"] = "exec"


def same_of_none(document):
    set_attribute(document, "verbose", {"is": "same", "id": 99_999})


def endless(document):
    node = {"is": "tuple", "items": []}
    for _ in range(240):
        node = {"is": "tuple", "items": [node]}
    set_attribute(document, "verbose", node)


def unhashable(document):
    set_attribute(document, "verbose", {"is": "set", "items": [[1]]})


def no_net(document):
    document["state"]["items"] = [p for p in document["state"]["items"] if p[0] != "net_"]


def number_for_net(document):
    set_attribute(document, "net_", 3)


def states_of_a_list(document):
    document["state"] = [1, 2]


def one_array_many_times(document):
    """Half a gigabyte from a file of a few kilobytes, if each were copied."""
    name = find(document, lambda node: node["is"] == "tensor")["name"]
    copies = [{"is": "array", "name": name} for _ in range(1_000)]
    set_attribute(document, "verbose", copies)


def one_long_string(document):
    """Each cell of an array of strings takes the place of the longest."""
    cells = ["x" * 50_000, *["y"] * 5_000]
    set_attribute(document, "verbose", {"is": "strings", "shape": [5_001], "items": cells})


def strings_that_are_said_to_be_long(document):
    node = {"is": "strings", "shape": [9], "items": ["y"] * 9, "dtype": "<U2000000000"}
    set_attribute(document, "verbose", node)


def another_method(document):
    name = "skmtl.tasks._task:Task"
    set_attribute(document, "predict", {"is": "class", "name": name})


def a_hook(document):
    module = find(document, lambda node: node["is"] == "module")
    module["state"]["items"].append(["_forward_hooks", {"is": "dict", "items": [[1, "f"]]}])


def compiled(document):
    module = find(document, lambda node: node["is"] == "module")
    module["state"]["items"].append(["_compiled_call_impl", True])


def a_task(document):
    """A whole file of something that is no estimator."""
    task = attributes(document)["tasks_"]
    document.clear()
    document.update(task)


WRONG = [
    lost_array,
    huge_cells,
    negative_cells,
    other_kind,
    no_kind,
    unknown_kind,
    same_of_none,
    endless,
    unhashable,
    no_net,
    number_for_net,
    states_of_a_list,
    a_task,
    one_array_many_times,
    one_long_string,
    strings_that_are_said_to_be_long,
    another_method,
    a_hook,
    compiled,
    lambda document: params_of_skorch(document, [1]),
]


@pytest.mark.parametrize("change", WRONG, ids=lambda change: change.__name__)
def test_documents_that_describe_no_estimator(change, parts, path):
    document, arrays = parts
    change(document)
    write_file(path, document, arrays)
    with pytest.raises(FileError):
        load(path).predict(X)


def test_arrays_that_do_not_fit_are_an_error_of_the_product(parts, path):
    document, arrays = parts
    wrong_shape(document)
    write_file(path, document, arrays)
    with pytest.raises((FileError, RuntimeError, ValueError)):
        load(path).predict(X)


def test_documents_changed_at_random(parts, path):
    """Checksums are right, and what is written is not: an error of ours, or an estimator."""
    document, arrays = parts
    text = json.dumps(document)
    random = np.random.default_rng(0)
    words = [None, True, -1, 0, 2**70, 1e308, "", "cuda", [], {}, {"is": "dict", "items": []}]
    for _ in range(400):
        changed = json.loads(text)
        nodes = list(walk(changed))
        node = nodes[random.integers(len(nodes))]
        node[list(node)[random.integers(len(node))]] = words[random.integers(len(words))]
        write_file(path, changed, arrays)
        try:
            load(path)
        except FileError:
            continue


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_files_of_every_version_are_read(version):
    """Files that were written when the version was new, and what they predicted then.

    ``tests/export/write_version.py`` wrote them; no file here is ever written again.
    """
    est = load(DATA / f"version_{version}.skmtl")
    expected = json.loads((DATA / f"version_{version}.json").read_text())
    table = pd.DataFrame(expected["X"])
    prediction, proba = est.predict(table), est.predict_proba(table)
    assert prediction["sold"].tolist() == expected["sold"]
    np.testing.assert_allclose(prediction["price"], expected["price"], rtol=1e-5)
    np.testing.assert_allclose(proba["sold"], expected["proba"], rtol=1e-5)
    est.set_params(warm_start=True).fit(table, prediction)


def test_arrays_of_every_type_come_back(path):
    arrays = {
        str(dtype): np.array([[0, 1]], dtype=dtype)
        for dtype in ("bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
    }
    write_file(path, {"a": [1, None]}, arrays | {"none": np.zeros((0, 3)), "scalar": np.array(2.0)})
    document, again = read_file(path)
    assert document == {"a": [1, None]}
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == array.dtype
    assert again["none"].shape == (0, 3)
    assert again["scalar"].shape == ()


@pytest.mark.parametrize(
    "value",
    [
        np.array([1.5, 2.5], ">f8"),
        np.array([1, 2], ">i2"),
        np.array(["a", "bc"], "<U10"),
        np.array([], "<U3"),
        pd.Index([1.0, 2.0], name="x"),
        pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", None]),
        pd.DataFrame({"a": [1.0]}, pd.Index(["r"], name="rows")),
    ],
    ids=repr,
)
def test_values_come_back_with_types_and_names(value, path):
    writer = Writer(with_optimizer=False)
    # With an array: safetensors 0.4 loses the header of a file that has none.
    write_file(path, writer.node([value, np.zeros(1)]), writer.arrays)
    document, arrays = read_file(path)
    again, _ = Reader(arrays).value(document)
    assert type(again) is type(value)
    if isinstance(value, np.ndarray):
        np.testing.assert_array_equal(again, value)
        assert again.dtype.str == value.dtype.str
    elif isinstance(value, pd.Index):
        pd.testing.assert_index_equal(again, value)
    else:
        pd.testing.assert_frame_equal(again, value)


class Pair(NamedTuple):
    first: int


@pytest.mark.parametrize(
    "value", [np.ma.masked_array([1.0, 2.0], [True, False]), np.zeros(2, np.longdouble), Pair(1)]
)
def test_values_that_would_not_come_back_are_refused(value):
    with pytest.raises(TypeError, match="cannot be saved"):
        Writer(with_optimizer=False).node({"a": value})


def test_a_transformer_that_holds_numbers_of_another_byte_order(path):
    """As NumPy reads them from files of other machines."""
    rows = np.array([[3.0], [1.0], [2.0], [1.0]] * 10, ">f8")
    pipeline = Pipeline([("codes", OrdinalEncoder()), ("net", small(preprocess=None))])
    pipeline.fit(rows, Y)
    save(pipeline, path)
    assert load(path).predict(rows).equals(pipeline.predict(rows))


def test_a_regressor_of_an_older_package_is_read_as_it_was_saved(tmp_path):
    """Parameters that a file does not have are those of the constructor."""
    path = tmp_path / "model"
    x = RANDOM.normal(size=(30, 2))
    save(MultiTaskNetRegressor(max_epochs=1, hidden_layer_sizes=(3,)).fit(x, x), path)
    document, arrays = read_file(path)
    document["state"]["items"] = [p for p in document["state"]["items"] if p[0] != "verbose"]
    write_file(path, document, arrays)
    assert load(path).get_params()["verbose"] == MultiTaskNetRegressor().verbose
