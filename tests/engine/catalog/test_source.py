from pathlib import Path

import pytest

from malmoi.core.errors import InvalidInput
from malmoi.engine.catalog.source import (
    HubSource,
    PackageParts,
    PathSource,
    Source,
    UrlSource,
    check_name,
    default_name,
    parse_source,
)


@pytest.mark.parametrize(
    ("ref", "source", "name"),
    [
        ("hf:Org/Name-1.5B", HubSource("Org/Name-1.5B"), "name-1.5b"),
        ("hf:org/name@v1.0", HubSource("org/name", "v1.0"), "name"),
        ("hf:org/name/sub/F-Q4_K_M.gguf", HubSource("org/name", None, "sub/F-Q4_K_M.gguf"), "f-q4_k_m"),
        ("hf:org/name@main/f.gguf", HubSource("org/name", "main", "f.gguf"), "f"),
        ("path:/a/My Model.gguf", PathSource(Path("/a/My Model.gguf")), "my-model"),
        ("path:/a/Folder-1.5", PathSource(Path("/a/Folder-1.5")), "folder-1.5"),
        ("https://host/a/b%20c.gguf?x=1#y", UrlSource("https://host/a/b%20c.gguf?x=1"), "b-c"),
        ("http://127.0.0.1:8000/한국어.gguf", UrlSource("http://127.0.0.1:8000/한국어.gguf"), "model"),
        ("packages:a-b-part1..22==0.2.0", PackageParts("a-b-part", 22, "0.2.0"), "a-b"),
    ],
)
def test_references_are_read(ref: str, source: Source, name: str) -> None:
    assert parse_source(ref) == source
    assert default_name(source) == name


@pytest.mark.parametrize(
    "ref",
    [
        "", "x", "ftp://host/x.gguf", "file:///x.gguf", "hf:", "hf:name", "hf:a/b/../../c", "hf:../b",
        "hf:a/b@x y", "path:", "path:/a\0b", "https:///x.gguf", "https://u:p@host/x.gguf", "https://host/x.bin",
        "https://host/x.pkl", "packages:x==1", "packages:--index-url1..2==1", "packages:a1..2==1;x",
        "packages:a1..2000==1", "hf:a/b@", "packages:A1..2==1", "git+https://host/x.gguf",
    ],
)  # fmt: skip
def test_anything_else_is_refused(ref: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_source(ref)
    assert caught.value.field == "ref"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "A", "-a", "a:b", "a" * 65, "a..b", "a b", "a\n", "한글"]
)
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_name(name)
