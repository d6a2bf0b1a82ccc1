"""TOML text: the standard library reads back what we write."""

import math
import tomllib

import numpy as np
import pytest
from aisle.models.bundle import BundleError
from aisle.models.toml_text import toml_text


def test_numbers_of_numpy_are_numbers():
    got = tomllib.loads(toml_text({"a": np.float32(0.5), "b": np.int64(7), "c": np.bool_(True), "d": [np.uint8(1)]}))
    assert got == {"a": 0.5, "b": 7, "c": True, "d": [1]} and got["c"] is True


def test_reals_without_end_are_kept():
    got = tomllib.loads(toml_text({"a": math.inf, "b": -math.inf, "c": math.nan}))
    assert got["a"] == math.inf and got["b"] == -math.inf and math.isnan(got["c"])


def test_keys_and_texts_of_any_kind_survive():
    table = {"a b": 'quo"te\\', "ż.ó": "line\nline\ttab\r\x01\x7f", "": {"x.y": [{"": "大"}]}}
    assert tomllib.loads(toml_text(table)) == table


@pytest.mark.parametrize("value", [None, b"bytes", object(), {1: 2}, np.zeros(2), 2**64])
def test_what_toml_lacks_is_named(value):
    with pytest.raises(BundleError, match=r"place|key"):
        toml_text({"place": value})


def test_endless_nesting_is_refused():
    loop: list = []
    loop.append(loop)
    with pytest.raises(BundleError, match="nested deeper"):
        toml_text({"x": loop})
