"""A shop as a bundle: its catalogue, checked and written anew, with a fitted recommender where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from ..bundle import Bundle, digest
from ..bundle_file import read_bundle, write_bundle_toml
from ..recommend.format import ROLE, fitted_of
from .item import Item, plain_item

FILE = "catalogue.jsonl"


def make_shop(items: Sequence[Item], folder: Path, name: str, version: str = "1", fit: Path | None = None,
              privacy: Mapping[str, Any] | None = None, currency: str = "") -> Bundle:
    """Write the bundle into `folder` (made if needed). `fit` is the folder of a recommender's version; its files are copied.
    `currency` of the prices, such as "CNY", for questions that name one.

    BundleError where `fit` is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = Bundle(name, version, ROLE, folder)
    if fit is not None:
        fitted = read_bundle(fit)
        fitted_of(fitted)
        for path in fitted.sha256:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fit / path, folder / path)
        made = replace(fitted, name=name, version=version, root=folder)
    write_catalogue(items, folder / FILE)
    params = {**made.params, "catalogue": FILE} | ({"privacy": dict(privacy)} if privacy else {})
    params |= {"currency": currency} if currency else {}
    made = replace(made, params=params, sha256={**made.sha256, FILE: digest(folder / FILE)})
    write_bundle_toml(made, folder)
    return made


def write_catalogue(items: Sequence[Item], path: Path) -> None:
    """Items as JSON lines, as `read_items` reads them."""
    with path.open("wb") as file:
        for item in items:
            file.write(orjson.dumps(plain_item(item)) + b"\n")
