import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from web_server import Page, Request, Site

from malmoi.core.errors import (
    DownloadFailed,
    Forbidden,
    InvalidInput,
    MalmoiError,
    ModelFileInvalid,
    NotFound,
)
from malmoi.engine.catalog import Catalog
from malmoi.engine.catalog.fetch import plan
from malmoi.engine.catalog.source import parse_source
from model_files import gguf_bytes, write_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A hub with one repository, org/model."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.files: dict[str, bytes] = {}
        self.large: set[str] = set()
        self.card: dict[str, Any] = {"license": "apache-2.0", "language": ["ko", "en"]}
        self.site.pages["/api/models/org/model"] = self._info
        self.site.pages[f"/api/models/org/model/revision/{COMMIT}"] = self._info
        self.site.pages["/api/models/org/model/revision/v1"] = self._info

    def put(self, name: str, data: bytes) -> None:
        self.files[name] = data
        self.site.pages[f"/org/model/resolve/{COMMIT}/{name}"] = Page(
            status=302, headers={"Location": f"/store/{name}"}
        )
        self.site.pages[f"/store/{name}"] = Page(data)
        if name.endswith((".safetensors", ".gguf", ".bin")):
            self.large.add(name)

    def put_folder(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            self.put(path.name, path.read_bytes())

    def fetched(self) -> set[str]:
        paths = (request.path for request in self.site.requests)
        return {path.removeprefix("/store/") for path in paths if path.startswith("/store/")}

    def _info(self, request: Request) -> Page:
        siblings = []
        for name, data in self.files.items():
            entry: dict[str, Any] = {
                "rfilename": name,
                "size": len(data),
                "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
            }
            if name in self.large:
                entry["lfs"] = {
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "size": len(data),
                    "pointerSize": 130,
                }
            siblings.append(entry)
        told = {"id": "org/model", "sha": COMMIT, "siblings": siblings, "cardData": self.card}
        return Page(json.dumps(told).encode(), headers={"Content-Type": "application/json"}, etag=None)


@pytest.fixture
def hub(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    return Hub(site)


async def test_a_folder_of_safetensors_is_fetched_and_nothing_that_runs(
    hub: Hub, home: Path, tmp_path: Path
) -> None:
    hub.put_folder(write_folder(tmp_path / "model", shards=2))
    for name in ("pytorch_model.bin", "modeling_x.py", "training_args.bin", "consolidated.safetensors"):
        hub.put(name, b"never fetched")
    hub.put("README.md", b"# Model")
    card = await Catalog(home).add("hf:org/model")
    folder = Catalog(home).path("model")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "manifest.json",
        "model.safetensors.index.json", "README.md",
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    }  # fmt: skip
    assert (card.format, card.architecture, card.parameters) == ("safetensors", "LlamaForCausalLM", 8)
    assert (card.license, card.languages, card.source) == ("apache-2.0", ("ko", "en"), "hf:org/model")
    assert (card.bos_token, card.eos_id, card.special_tokens) == ("<s>", 2, ("<s>", "</s>"))
    assert (await Catalog(home).verify("model")) == card


async def test_the_only_gguf_is_taken(hub: Hub, home: Path) -> None:
    hub.put("sub/model-q4.gguf", gguf_bytes())
    hub.put("README.md", b"# Model")
    card = await Catalog(home).add("hf:org/model@v1", name="mine")
    assert (card.format, card.name) == ("gguf", "mine")
    assert Catalog(home).path("mine").read_bytes() == gguf_bytes()
    assert hub.fetched() == {"sub/model-q4.gguf"}


async def test_of_several_gguf_files_one_must_be_chosen(hub: Hub, home: Path) -> None:
    hub.put("model-q4.gguf", gguf_bytes())
    hub.put("model-q8.gguf", gguf_bytes(salt=1))
    with pytest.raises(InvalidInput, match="2 GGUF files") as caught:
        await Catalog(home).add("hf:org/model")
    assert "hf:org/model/model-q8.gguf" in caught.value.fix
    card = await Catalog(home).add("hf:org/model/model-q8.gguf")
    assert card.name == "model-q8"
    assert Catalog(home).path("model-q8").read_bytes() == gguf_bytes(salt=1)
    with pytest.raises(NotFound, match=r"no file 'model-q2\.gguf'"):
        await Catalog(home).add("hf:org/model/model-q2.gguf")
    with pytest.raises(InvalidInput, match=r"not a \.gguf"):
        await Catalog(home).add("hf:org/model/pytorch_model.bin")


async def test_pickled_weights_alone_are_refused(hub: Hub, home: Path) -> None:
    hub.put("config.json", b"{}")
    hub.put("pytorch_model.bin", b"pickle")
    with pytest.raises(ModelFileInvalid, match=r"pickled weights such as pytorch_model\.bin"):
        await Catalog(home).add("hf:org/model")
    assert hub.fetched() == set()


async def test_custom_code_is_refused_before_the_weights_are_fetched(
    hub: Hub, home: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "modeling_x.M"}}))
    hub.put_folder(folder)
    with pytest.raises(ModelFileInvalid, match="auto_map"):
        await Catalog(home).add("hf:org/model")
    assert "model.safetensors" not in hub.fetched()
    assert not Catalog(home).installed("model")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
async def test_other_contents_than_the_hub_lists_are_refused(
    name: str, hub: Hub, home: Path, tmp_path: Path
) -> None:
    hub.put_folder(write_folder(tmp_path / "model"))
    changed = bytearray(hub.files[name])
    changed[-1] ^= 1
    hub.site.pages[f"/store/{name}"] = Page(bytes(changed))
    with pytest.raises(ModelFileInvalid, match=f"{name} has"):
        await Catalog(home).add("hf:org/model")
    assert not Catalog(home).installed("model")


async def test_a_stopped_download_keeps_the_files_that_were_whole(
    hub: Hub, home: Path, tmp_path: Path
) -> None:
    hub.put_folder(write_folder(tmp_path / "model"))
    hub.site.pages["/store/model.safetensors"] = Page(status=403)
    with pytest.raises(DownloadFailed, match="403"):
        await Catalog(home).add("hf:org/model")
    hub.put("model.safetensors", hub.files["model.safetensors"])
    hub.site.requests.clear()
    await Catalog(home).add("hf:org/model")
    assert hub.fetched() == {"model.safetensors"}


async def test_the_token_goes_to_the_hub_and_not_to_its_store(hub: Hub, home: Path) -> None:
    hub.put("m.gguf", gguf_bytes())
    away = f"http://localhost:{hub.site.port}/store/m.gguf"
    hub.site.pages[f"/org/model/resolve/{COMMIT}/m.gguf"] = Page(status=302, headers={"Location": away})
    await Catalog(home).add("hf:org/model")
    sent = {request.path: request.headers.get("authorization") for request in hub.site.requests}
    assert sent["/api/models/org/model"] == "Bearer hf_secret"
    assert sent[f"/org/model/resolve/{COMMIT}/m.gguf"] == "Bearer hf_secret"
    assert sent["/store/m.gguf"] is None


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "RepoNotFound", NotFound),
        (404, "RevisionNotFound", NotFound),
        (403, "GatedRepo", Forbidden),
        (500, "", DownloadFailed),
    ],
)
async def test_what_the_hub_refuses_is_told(
    status: int, code: str, kind: type[MalmoiError], hub: Hub, home: Path
) -> None:
    hub.site.pages["/api/models/org/model"] = Page(status=status, headers={"X-Error-Code": code})
    with pytest.raises(kind, match="hf:org/model"):
        await Catalog(home).add("hf:org/model")


async def test_a_hub_that_does_not_answer_is_told(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(DownloadFailed, match="could not be asked"):
        await Catalog(home).add("hf:org/model")


async def test_a_plan_fetches_nothing(hub: Hub) -> None:
    hub.put("m.gguf", gguf_bytes())
    told = await plan(parse_source("hf:org/model"), 0)
    assert (told.items, told.size_bytes) == (("m.gguf",), len(gguf_bytes()))
    assert hub.fetched() == set()
