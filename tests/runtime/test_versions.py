"""The next version of a model: rising, of one kind a folder, whatever else lies there."""

from pathlib import Path

import pytest
from aisle.models.bundle import Bundle
from aisle.models.bundle_file import write_bundle_toml
from aisle.runtime.errors import Invalid
from aisle.runtime.versions import next_version


def lay(folder: Path, version: str, role: str) -> None:
    folder.mkdir(parents=True)
    write_bundle_toml(Bundle("belt", version, role, folder, (), (), {}), folder)


def test_it_is_one_more_than_the_highest(tmp_path: Path) -> None:
    belt = tmp_path / "belt"
    assert next_version(tmp_path, "belt", "map") == next_version(tmp_path, "belt") == "1"
    for version in ("2", "10"):
        lay(belt / version, version, "map")
    (belt / "007").mkdir()
    (belt / "notes").mkdir()
    assert next_version(tmp_path, "belt", "map") == next_version(tmp_path, "belt") == "11"


def test_another_kind_is_not_written_into(tmp_path: Path) -> None:
    lay(tmp_path / "belt" / "1", "1", "inspector")
    with pytest.raises(Invalid, match=r"'belt' belongs to a model of another kind \(inspector\) in .*; choose another name"):
        next_version(tmp_path, "belt", "map")
    (tmp_path / "foreign" / "1").mkdir(parents=True)
    (tmp_path / "foreign" / "1" / "model.onnx").write_bytes(b"somebody's")
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "config.pbtxt").write_text("")
    for name in ("foreign", "loose"):
        with pytest.raises(Invalid, match="another kind \\(not made by this program\\)"):
            next_version(tmp_path, name, "map")
    (tmp_path / "empty").mkdir()
    assert next_version(tmp_path, "empty", "map") == "1"


def test_a_folder_that_is_itself_a_bundle_counts_where_any_kind_will_do(tmp_path: Path) -> None:
    lay(tmp_path / "belt", "4", "map")
    assert next_version(tmp_path, "belt") == "5"
    with pytest.raises(Invalid, match="another kind"):
        next_version(tmp_path, "belt", "map")


@pytest.mark.parametrize("name", [".belt", "../belt", "a b", "x" * 129, "schön"])
def test_a_name_that_is_none_is_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="can be no model's: expected 1 to 128 of"):
        next_version(tmp_path, name)


def test_what_a_killed_command_left_is_not_a_model(tmp_path: Path) -> None:
    (tmp_path / "shop" / ".1-abc").mkdir(parents=True)
    assert next_version(tmp_path, "shop", "recommend") == "1"


def test_a_damaged_bundle_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "belt").mkdir()
    (tmp_path / "belt" / "bundle.toml").write_text("nonsense")
    with pytest.raises(Invalid, match=r"bundle\.toml"):
        next_version(tmp_path, "belt")
