"""One TOML file, typed; every mistake at once, with its place and the accepted range."""

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from aisle.runtime.config import Config, ConfigError, annotated, build, load_config


def test_no_file_is_a_valid_configuration() -> None:
    assert load_config(None) == Config()


def test_the_annotated_example_names_every_key_and_gives_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "aisle.toml"
    path.write_text(annotated())
    assert load_config(path) == Config()
    table = tomllib.loads(annotated())
    for section in fields(Config):
        assert set(table[section.name]) == {f.name for f in fields(section.default_factory)}


def test_the_shipped_example_is_the_generated_one() -> None:
    shipped = Path(__file__).parents[2] / "docs" / "aisle.toml"
    assert shipped.read_text() == annotated(), "run: aisle config > docs/aisle.toml"


def test_every_mistake_is_reported_at_once_with_place_and_range() -> None:
    with pytest.raises(ConfigError) as caught:
        build({"server": {"prot": 1, "port": 70000, "host": 5}, "queue": {"max_requests": True}, "srever": {},
               "log": {"level": "loud"}, "device": 3}, {}, "x.toml")
    text = str(caught.value)
    assert "x.toml: 7 mistakes" in text
    assert "server.prot: unknown key; did you mean 'port'?" in text
    assert "server.port: expected a whole number from 0 to 65535, got 70000" in text
    assert "server.host: expected a string, got 5" in text
    assert "queue.max_requests: expected a whole number from 1 to 1000000, got True" in text
    assert "[srever]: unknown section; did you mean 'server'?" in text
    assert "log.level: expected one of debug, info, warning, error, got 'loud'" in text
    assert "device: expected a section" in text


@pytest.mark.parametrize("text", ["[server\n", "\x00", "server = ["])
def test_a_file_that_is_not_toml_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "aisle.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(path)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "aisle.toml"
    path.write_text("[server]\nport = 1\nhost = 'localhost'\n")
    config = load_config(path, {"server": {"port": 2}})
    assert (config.server.port, config.server.host) == (2, "localhost")


def test_half_a_tls_pair_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected both or neither"):
        build({"server": {"tls_cert": "a.pem"}}, {}, "x")


def test_not_a_number_is_not_a_number_of_seconds() -> None:
    with pytest.raises(ConfigError, match="drain_s"):
        build({"server": {"drain_s": float("nan")}}, {}, "x")
