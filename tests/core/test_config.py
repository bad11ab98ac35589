from pathlib import Path
from typing import Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from malmoi.core.config import describe, load_config
from malmoi.core.errors import ConfigError


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    port: int = Field(8080, le=65535)
    """Port to listen on."""
    name: str = "plain"
    ratio: float | None = None
    tags: tuple[str, ...] = ()


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    http: Section = Section()
    table: dict[str, str] = {}


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "malmoi.toml"
    file.write_text('[http]\nport = 1\nname = "file"\ntags = ["a"]\n')
    environ = {"MALMOI_HTTP__PORT": "2", "MALMOI_HTTP__RATIO": "0.5", "OTHER": "x"}
    tree = load_config(Tree, file=file, environ=environ, overrides=["http.port=3"])
    assert tree.http == Section(port=3, name="file", ratio=0.5, tags=("a",))


def test_a_field_of_text_takes_what_looks_like_a_number() -> None:
    assert load_config(Tree, overrides=["http.name=007"]).http.name == "007"
    assert load_config(Tree, overrides=["table.key=1"]).table == {"key": "1"}


def test_lists_are_written_as_in_toml() -> None:
    assert load_config(Tree, overrides=['http.tags=["a", "b"]']).http.tags == ("a", "b")


@pytest.mark.parametrize("override", ["http.prot=1", "htp.port=1"])
def test_an_unknown_key_names_its_source_path_and_neighbour(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(Tree, overrides=[override])
    key = override.partition("=")[0]
    assert f"--set {override}" in caught.value.message
    assert f"no setting {key if key == 'http.prot' else 'htp'}" in caught.value.message
    assert caught.value.fix == ("Did you mean http.port?" if key == "http.prot" else "Did you mean http?")


def test_an_unknown_key_far_from_any_lists_what_there_is(tmp_path: Path) -> None:
    file = tmp_path / "malmoi.toml"
    file.write_text("[http]\nzzz = 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(Tree, file=file)
    assert str(file) in caught.value.message
    assert "http.zzz" in caught.value.message
    assert caught.value.fix == "Known here: name, port, ratio, tags."


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["http.port=70000"], "http.port: Input should be less than or equal to 65535"),
        (["http.port=many"], "http.port: Input should be a valid integer"),
        (["http.port"], "has no '='"),
        (["http.port=1", "http.port.deep=2"], "http.port is not a section"),
    ],
)
def test_a_wrong_value_names_its_path(overrides: list[str], part: str) -> None:
    with pytest.raises(ConfigError, match=part.replace(".", r"\.")):
        load_config(Tree, overrides=overrides)


@pytest.mark.parametrize(
    ("data", "part"),
    [(b"[http\n", "not valid TOML"), (b"\xff\xfe", "not UTF-8"), (b"http = 3\n", "http: Input should be")],
)
def test_a_broken_file_is_named(tmp_path: Path, data: bytes, part: str) -> None:
    file = tmp_path / "malmoi.toml"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=part) as caught:
        load_config(Tree, file=file)
    assert str(file) in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no configuration file .*malmoi\.toml"):
        load_config(Tree, file=tmp_path / "malmoi.toml")


def test_describe_lists_every_setting() -> None:
    rows = describe(Tree)
    assert ("http.port", "8080", "Port to listen on.") in rows
    assert [path for path, _, _ in rows] == ["http.port", "http.name", "http.ratio", "http.tags", "table"]


class Wide(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    backup: Section | None = None
    mirrors: tuple[Section, ...] = ()

    @model_validator(mode="after")
    def _few(self) -> Self:
        if len(self.mirrors) > 2:
            raise ValueError("at most two mirrors")
        return self


@pytest.mark.parametrize(
    ("text", "key"), [("[backup]\nprot = 1\n", "backup.prot"), ("[[mirrors]]\nprot = 1\n", "mirrors.0.prot")]
)
def test_a_wrong_key_is_named_under_optional_and_listed_sections(tmp_path: Path, text: str, key: str) -> None:
    file = tmp_path / "malmoi.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=f"no setting {key}") as caught:
        load_config(Wide, file=file)
    assert caught.value.fix == f"Did you mean {key.removesuffix('prot')}port?"


def test_what_is_wrong_with_the_whole_has_no_empty_name(tmp_path: Path) -> None:
    file = tmp_path / "malmoi.toml"
    file.write_text("[[mirrors]]\n[[mirrors]]\n[[mirrors]]\n")
    with pytest.raises(ConfigError) as caught:
        load_config(Wide, file=file)
    assert caught.value.message.endswith("at most two mirrors.")
    assert ": :" not in caught.value.message
