import asyncio
import hashlib
import json
import random
import shutil
from pathlib import Path

import pytest
from web_server import Page, Site

from malmoi.core.errors import DiskFull, DownloadFailed, MalmoiError, ModelFileInvalid
from malmoi.engine.catalog import part
from malmoi.engine.catalog.part import Arrived, Remote
from malmoi.engine.catalog.web import ask_size, client, download

DATA = random.Random(7).randbytes(5_000_000)
SHA = hashlib.sha256(DATA).hexdigest()


async def get(remote: Remote, target: Path) -> tuple[Arrived, list[int]]:
    counts: list[int] = []
    async with client() as http:
        arrived = await download(http, remote, target, on_bytes=lambda n, _: counts.append(n), pause=0.001)
    return arrived, counts


async def test_a_file_arrives_whole_and_is_published_by_rename(site: Site, tmp_path: Path) -> None:
    site.pages["/m.gguf"] = Page(DATA)
    arrived, counts = await get(Remote(f"{site.url}/m.gguf"), tmp_path / "m.gguf")
    assert arrived == Arrived(len(DATA), SHA)
    assert (tmp_path / "m.gguf").read_bytes() == DATA
    assert counts == sorted(counts)
    assert counts[-1] == len(DATA)
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]


async def test_a_broken_connection_is_taken_up_where_it_broke(site: Site, tmp_path: Path) -> None:
    # More breaks than attempts: as long as something arrives, it goes on.
    site.pages["/m.gguf"] = Page(DATA, cut_after=[900_000] * 5)
    await get(Remote(f"{site.url}/m.gguf"), tmp_path / "m.gguf")
    assert (tmp_path / "m.gguf").read_bytes() == DATA
    asked = site.asked("/m.gguf")
    starts = [int(request.headers["range"].removeprefix("bytes=")[:-1]) for request in asked[1:]]
    assert len(asked) == 6
    assert starts == sorted(set(starts))
    assert {request.headers["if-range"] for request in asked[1:]} == {'"one"'}


async def begun(site: Site, page: Page, target: Path, **known: str) -> None:
    """A first try that stops for good after two million bytes."""
    site.pages["/m.gguf"] = Page(DATA, etag=page.etag, cut_after=[2_000_000], failures=[])
    cut = site.pages["/m.gguf"]
    site.pages["/m.gguf"] = lambda request: cut if "range" not in request.headers else Page(status=404)
    with pytest.raises(DownloadFailed, match="404") as caught:
        await get(Remote(f"{site.url}/m.gguf", **known), target)  # type: ignore[arg-type]
    assert "kept" in caught.value.fix
    assert not target.exists()
    site.pages["/m.gguf"] = page
    site.requests.clear()


async def test_the_next_try_goes_on(site: Site, tmp_path: Path) -> None:
    await begun(site, Page(DATA), tmp_path / "m.gguf")
    arrived, _ = await get(Remote(f"{site.url}/m.gguf"), tmp_path / "m.gguf")
    assert arrived.sha256 == SHA
    [request] = site.requests
    assert 0 < int(request.headers["range"].removeprefix("bytes=")[:-1]) <= 2_000_000


async def test_another_file_at_the_same_address_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    other = DATA[::-1]
    await begun(site, Page(other, etag='"one"'), tmp_path / "m.gguf")
    site.pages["/m.gguf"] = Page(other, etag='"two"')
    await get(Remote(f"{site.url}/m.gguf"), tmp_path / "m.gguf")
    assert (tmp_path / "m.gguf").read_bytes() == other


async def test_a_weak_tag_vouches_for_nothing(site: Site, tmp_path: Path) -> None:
    await begun(site, Page(DATA, etag='W/"one"'), tmp_path / "m.gguf", sha256=SHA)
    note = tmp_path / "m.gguf.note"
    assert json.loads(note.read_text())["validator"] == ""
    await get(Remote(f"{site.url}/m.gguf"), tmp_path / "m.gguf")  # no checksum now: from the beginning
    assert "range" not in site.requests[0].headers


async def test_a_checksum_lets_it_go_on_without_a_tag(site: Site, tmp_path: Path) -> None:
    await begun(site, Page(DATA, etag=None), tmp_path / "m.gguf", sha256=SHA)
    await get(Remote(f"{site.url}/m.gguf", sha256=SHA), tmp_path / "m.gguf")
    assert "range" in site.requests[0].headers
    assert "if-range" not in site.requests[0].headers


async def test_a_server_without_ranges_sends_it_all_again(site: Site, tmp_path: Path) -> None:
    await begun(site, Page(DATA, ranges=False), tmp_path / "m.gguf")
    await get(Remote(f"{site.url}/m.gguf"), tmp_path / "m.gguf")
    assert (tmp_path / "m.gguf").read_bytes() == DATA


async def test_a_shorter_file_than_what_we_have_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    await begun(site, Page(DATA[:1000]), tmp_path / "m.gguf")
    await get(Remote(f"{site.url}/m.gguf"), tmp_path / "m.gguf")
    assert (tmp_path / "m.gguf").read_bytes() == DATA[:1000]


async def test_cancelling_keeps_what_has_arrived(site: Site, tmp_path: Path) -> None:
    site.pages["/m.gguf"] = Page(DATA)
    arrived = asyncio.Event()
    async with client() as http:
        task = asyncio.create_task(
            download(http, Remote(f"{site.url}/m.gguf"), tmp_path / "m", on_bytes=lambda *_: arrived.set())
        )
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    held = (tmp_path / "m.part").stat().st_size
    assert 0 < held <= len(DATA)
    site.requests.clear()
    await get(Remote(f"{site.url}/m.gguf"), tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == DATA
    assert site.requests[0].headers.get("range", "bytes=").startswith("bytes=")


@pytest.mark.parametrize(
    "known",
    [{"sha256": "0" * 64}, {"git_sha1": "0" * 40}, {"sha256": SHA, "git_sha1": "0" * 40}],
)
async def test_other_contents_than_promised_are_removed(
    known: dict[str, str], site: Site, tmp_path: Path
) -> None:
    site.pages["/m.gguf"] = Page(DATA)
    with pytest.raises(ModelFileInvalid, match=r"m\.gguf has"):
        await get(Remote(f"{site.url}/m.gguf", **known), tmp_path / "m.gguf")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


async def test_the_checksum_of_git_is_understood(site: Site, tmp_path: Path) -> None:
    site.pages["/a.json"] = Page(b"what is up, doc?")
    known = "bd9dbf5aae1a3862dd1526723246b20206e5fc37"  # the example of the Git book
    await get(Remote(f"{site.url}/a.json", git_sha1=known), tmp_path / "a.json")


async def test_five_redirects_are_followed_and_six_are_not(site: Site, tmp_path: Path) -> None:
    for step in range(1, 7):
        onward = f"/{step - 1}" if step % 2 else f"{site.url}/{step - 1}"
        site.pages[f"/{step}"] = Page(status=302, headers={"Location": onward})
    site.pages["/0"] = Page(DATA)
    assert (await get(Remote(f"{site.url}/5"), tmp_path / "m"))[0].sha256 == SHA
    with pytest.raises(DownloadFailed, match="more than 5 times"):
        await get(Remote(f"{site.url}/6"), tmp_path / "n")


@pytest.mark.parametrize("onward", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "javascript:x"])
async def test_redirects_out_of_http_are_not_followed(onward: str, site: Site, tmp_path: Path) -> None:
    site.pages["/m.gguf"] = Page(status=302, headers={"Location": onward})
    with pytest.raises(DownloadFailed, match="not followed"):
        await get(Remote(f"{site.url}/m.gguf"), tmp_path / "m")


async def test_credentials_go_to_the_first_host_alone(site: Site, tmp_path: Path) -> None:
    elsewhere = f"http://localhost:{site.port}/far"
    site.pages["/a"] = Page(status=302, headers={"Location": "/b"})
    site.pages["/b"] = Page(status=302, headers={"Location": elsewhere})
    site.pages["/far"] = Page(DATA)
    await get(Remote(f"{site.url}/a", headers={"Authorization": "Bearer secret"}), tmp_path / "m")
    sent = {request.path: request.headers.get("authorization") for request in site.requests}
    assert sent == {"/a": "Bearer secret", "/b": "Bearer secret", "/far": None}


@pytest.mark.parametrize(
    ("page", "known", "words"),
    [
        (Page(status=404), {}, "answered 404"),
        (Page(status=401), {}, "answered 401"),
        (Page(status=500), {}, "answered 500"),
        (Page(DATA), {"size": 10}, "not 10"),
        (Page(DATA, tell_length=False), {"size": 10}, "larger"),
        (Page(DATA, headers={"Content-Encoding": "gzip"}), {}, "compressed"),
    ],
)
async def test_a_bad_answer_is_told(
    page: Page, known: dict[str, int], words: str, site: Site, tmp_path: Path
) -> None:
    site.pages["/m.gguf"] = page
    with pytest.raises(DownloadFailed, match=words):
        await get(Remote(f"{site.url}/m.gguf?token=secret", **known), tmp_path / "m")  # type: ignore[arg-type]


async def test_addresses_in_errors_hide_their_query(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed) as caught:
        await get(Remote(f"{site.url}/m.gguf?token=secret"), tmp_path / "m")
    assert "secret" not in str(caught.value)


async def test_a_passing_fault_is_got_over(site: Site, tmp_path: Path) -> None:
    site.pages["/m.gguf"] = Page(DATA, failures=[503, 429, 500])
    assert (await get(Remote(f"{site.url}/m.gguf"), tmp_path / "m"))[0].sha256 == SHA


async def test_a_dead_server_is_told(tmp_path: Path, site: Site) -> None:
    with pytest.raises(DownloadFailed, match="could not be downloaded"):
        await get(Remote("http://127.0.0.1:1/m.gguf"), tmp_path / "m")


async def test_a_full_disk_is_told_before_the_contents(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    site.pages["/m.gguf"] = Page(DATA)
    with pytest.raises(DiskFull, match="1 MB free"):
        await get(Remote(f"{site.url}/m.gguf"), tmp_path / "m")


async def test_a_file_larger_than_any_model_is_refused(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "MAX_FILE_BYTES", 1_000_000)
    for told in (True, False):
        site.pages["/m.gguf"] = Page(DATA, tell_length=told)
        with pytest.raises(MalmoiError):
            await get(Remote(f"{site.url}/m.gguf"), tmp_path / "m")
    assert (tmp_path / "m.part").stat().st_size <= 1_000_000


async def test_the_size_can_be_asked_for_alone(site: Site) -> None:
    site.pages["/m.gguf"] = Page(DATA)
    async with client() as http:
        assert await ask_size(http, Remote(f"{site.url}/m.gguf")) == len(DATA)
        with pytest.raises(DownloadFailed, match="404"):
            await ask_size(http, Remote(f"{site.url}/none"))
