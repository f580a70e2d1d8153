import json

import pytest

from skmtl._optional import require


def test_a_module_that_is_there():
    assert require("json", "plot") is json


def test_a_submodule():
    assert require("json.decoder", "plot") is json.decoder


def test_a_module_that_is_not_there_names_the_extra():
    match = r"needs `skmtl_no_such`, .* `pip install 'skmtl\[plot\]'`"
    with pytest.raises(ImportError, match=match) as caught:
        require("skmtl_no_such", "plot")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
