"""What users can import, and what importing costs."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import skmtl
from skmtl._strategy import Strategy

#: Every public name by package.  Concrete strategies are left out: they come from a line in their
#: package's ``__init__`` alone, and the contract tests find them.
PUBLIC = {
    "skmtl": [
        "Checkpoint",
        "MultiTaskNetClassifier",
        "MultiTaskNetClassifierRegressor",
        "MultiTaskNetRegressor",
        "Task",
        "TaskScoring",
        "task_scorer",
    ],
    "skmtl.datasets": ["load_automobile"],
    "skmtl.estimators": [
        "Checkpoint",
        "MultiTaskNetClassifier",
        "MultiTaskNetClassifierRegressor",
        "MultiTaskNetRegressor",
    ],
    "skmtl.export": ["FileError", "load", "save"],
    "skmtl.features": ["FeatureEncoder", "FeatureWarning", "read_features"],
    "skmtl.heads": ["Head", "HeadGroup", "HeadSpec", "Layout", "StackedHeads"],
    "skmtl.inspection": [
        "SharingReport",
        "TaskAffinity",
        "TrackGradients",
        "group_tasks",
        "plot_affinity",
        "plot_sharing_report",
        "plot_training",
        "sharing_report",
        "task_affinity",
        "task_relations",
    ],
    "skmtl.layers": [
        "ACTIVATIONS",
        "Block",
        "COPY_OF_MODULE",
        "Dropout",
        "Inputs",
        "PiecewiseLinearEncoding",
        "StackedDropout",
        "Seeds",
        "Stack",
        "StackedConv2d",
        "StackedLayerNorm",
        "StackedLinear",
        "UNWEIGHTED",
        "activation_layer",
        "bin_edges",
        "encode_array",
        "check_choice",
        "check_flag",
        "check_number",
        "check_probability",
        "check_sizes",
        "check_whole",
        "global_generators",
        "is_weight",
        "mean_submodels",
        "spread_members",
        "trace_norm",
    ],
    "skmtl.metrics": ["TaskScorer", "TaskScoring", "skill_score", "task_scorer"],
    "skmtl.model_selection": [
        "MultiTaskGridSearchCV",
        "MultiTaskHalvingSearchCV",
        "MultiTaskRandomizedSearchCV",
        "TaskStratifiedGroupKFold",
        "TaskStratifiedKFold",
        "TaskStratifiedShuffleSplit",
    ],
    "skmtl.penalties": ["PARTS", "Penalty", "PenaltyModule", "StackedPenalty", "resolve_penalties"],
    "skmtl.sharing": ["Body", "Sharing"],
    "skmtl.tasks": [
        "Absolute",
        "Focal",
        "Huber",
        "KINDS",
        "Kind",
        "LOSSES",
        "Loss",
        "TargetEncoder",
        "TargetScaler",
        "Targets",
        "Task",
        "TaskOutput",
        "TaskWarning",
        "column_spans",
        "declare_tasks",
        "group_tasks",
        "infer_kind",
        "label_affinity",
        "label_order",
        "read_groups",
        "read_table",
        "spread_sample_weight",
        "stratified_folds",
    ],
    "skmtl.training": [
        "EVALUATION_ROWS",
        "Batch",
        "BatchIterator",
        "BatchTargets",
        "DivergedError",
        "EarlyStopping",
        "EpochHook",
        "FusedAdamW",
        "LEAST_NULL",
        "Network",
        "NetworkSpec",
        "Objective",
        "ProgressLine",
        "StackedFit",
        "train_stacked",
        "StopTraining",
        "TaskData",
        "TaskNet",
        "ValidationScore",
        "WatchLosses",
        "autograd_backward",
        "check_weights",
        "check_wrt",
        "choose_wrt",
        "deterministic_algorithms",
        "held_out_outputs",
        "forget_frames",
        "memory_advice",
        "null_losses",
        "parameter_gradients",
        "pays_by_task",
        "resolve_optimizer",
        "split_callbacks",
        "task_gradients",
        "torch_settings",
        "torch_threads",
    ],
    "skmtl.trunks": ["NumEmbedding", "Trunk"],
    "skmtl.weighting": [
        "Direction",
        "TaskGradients",
        "Weighting",
        "WeightingModule",
        "resolve_weighting",
        "stacked_weightings",
    ],
}

#: Names that a package offers from a lower one, which others need too.
REEXPORTED = {
    ("skmtl.inspection", "group_tasks"): "skmtl.tasks",
    ("skmtl.export", "FileError"): "skmtl._documents",
}


def public_names(package):
    """Names without an underscore that are no modules."""
    return {
        name: member
        for name, member in vars(importlib.import_module(package)).items()
        if not name.startswith("_") and not inspect.ismodule(member)
    }


def is_concrete_strategy(member):
    return inspect.isclass(member) and issubclass(member, Strategy) and hasattr(member, "alias")


def run(script):
    """Run a script in a fresh process and return the words that it prints."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_every_package_is_listed():
    found = {
        f"skmtl.{module.name}"
        for module in pkgutil.iter_modules(skmtl.__path__)
        if not module.name.startswith("_")
    }
    assert found == set(PUBLIC) - {"skmtl"}


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names_are_as_listed(package):
    found = {
        name for name, member in public_names(package).items() if not is_concrete_strategy(member)
    }
    assert found == set(PUBLIC[package])


@pytest.mark.parametrize("package", sorted(set(PUBLIC) - {"skmtl"}))
def test_public_packages_hold_private_modules(package):
    module = importlib.import_module(package)
    assert [m.name for m in pkgutil.iter_modules(module.__path__) if m.name[0] != "_"] == []


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names_come_from_the_package_itself(package):
    for name, member in public_names(package).items():
        if inspect.isclass(member) or inspect.isfunction(member):
            assert member.__name__ == name
            home = REEXPORTED.get((package, name), package)
            assert member.__module__.startswith(f"{home}."), name


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names_are_marked_as_such_for_type_checkers(package):
    # ``import x as x``: mypy and pyright take nothing else out of a package with py.typed.
    source = inspect.getsource(importlib.import_module(package))
    for name in public_names(package):
        assert re.search(rf"\b{name} as {name}\b", source), name


def test_types_are_shipped():
    assert (Path(skmtl.__file__).parent / "py.typed").is_file()


def test_version():
    from importlib.metadata import version

    assert skmtl.__version__ == version("skmtl")


def test_unknown_name():
    with pytest.raises(AttributeError, match="MultiTaskNett"):
        skmtl.MultiTaskNett  # noqa: B018


def test_importing_imports_nothing_heavy_or_optional():
    script = """
        import sys, skmtl
        heavy = "matplotlib", "polars", "torchjd", "torch._dynamo", "onnx", "tensorboard"
        print("skmtl", *[module for module in heavy if module in sys.modules])
    """
    assert run(script) == ["skmtl"]


def test_importing_imports_no_container_that_the_dependencies_do_not():
    script = """
        import sys
        import narwhals, pandas, scipy.sparse, sklearn.base, skorch, torch
        before = set(sys.modules)
        import skmtl
        print(*{name.partition(".")[0] for name in set(sys.modules) - before})
    """
    found = set(run(script))
    assert "skmtl" in found
    assert not found & {"pyarrow", "polars", "matplotlib", "modin", "dask", "IPython"}


def test_importing_leaves_torch_and_the_generators_as_they_were():
    script = """
        import numpy as np, torch
        np.random.seed(0); torch.manual_seed(0); torch.set_num_threads(3)
        state = np.random.get_state()[1].copy(), torch.random.get_rng_state()
        import skmtl
        print(torch.get_num_threads(), torch.get_default_dtype())
        print((np.random.get_state()[1] == state[0]).all())
        print(torch.equal(torch.random.get_rng_state(), state[1]))
    """
    assert run(script) == ["3", "torch.float32", "True", "True"]


def test_packages_are_there_without_an_import_of_their_own():
    code = "import skmtl; skmtl.inspection.sharing_report, skmtl.export.save, skmtl.no_such_thing"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "module 'skmtl' has no attribute 'no_such_thing'" in found.stderr
