"""Which version of a model comes next, for everything that writes one: a folder holds one kind of model, by rising numbers."""

from __future__ import annotations

from pathlib import Path

from ..models.bundle import BundleError
from ..models.bundle_file import FILE_NAME, NAME, VERSION, read_bundle
from .errors import Invalid


def next_version(models: Path, name: str, role: str | None = None) -> str:
    """One more than the highest version of a model in the folder of models; neither need be there yet.

    Invalid where the name can be no model's, or where, with a `role`, a model of another kind lies there.
    """
    if not NAME.fullmatch(name):
        raise Invalid(f"the name {name[:80]!r} can be no model's: expected 1 to 128 of A-Z a-z 0-9 _ . - that do not "
                      "begin with a dot")
    folder = models / name
    if not folder.is_dir():
        return "1"
    there = [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]     # dots: being written, or left so
    taken = sorted(int(entry) for entry in there if VERSION.fullmatch(entry))
    flat = (folder / FILE_NAME).is_file()
    if role is not None:
        have = kind(folder / str(taken[-1])) if taken else kind(folder) if there else role
        if have != role or flat:
            raise Invalid(f"the name {name!r} belongs to a model of another kind ({have}) in {models}; choose "
                          "another name")
    if flat:
        try:
            taken.append(int(read_bundle(folder).version))
        except BundleError as error:
            raise Invalid(str(error)) from None
    return str(max(taken, default=0) + 1)


def kind(folder: Path) -> str:
    """The role of the bundle in a folder, or what to call a folder that has none."""
    try:
        return read_bundle(folder).role
    except BundleError:
        return "not made by this program"
