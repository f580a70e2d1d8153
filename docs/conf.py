"""Sphinx configuration. `make docs` builds it with warnings as errors."""

import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "skmtl"
author = "the skmtl developers"
copyright = f"2026, {author}"
release = version = installed_version("skmtl")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",  # the directive; tests/test_docs.py runs the examples
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "shape_section",
]
exclude_patterns = ["_build", "_extensions", "_templates"]
templates_path = ["_templates"]
default_role = "code"  # `name` in a docstring is code

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc sections hold the types
numpydoc_show_class_members = False  # the class template lists them, without a page per method

# Links into other projects need the network; a build without it must stay free of warnings.
if os.environ.get("SKMTL_DOCS_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "skmtl"
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False}
