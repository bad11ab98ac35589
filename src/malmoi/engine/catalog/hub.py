"""Models of the hub: listed with its own client, downloaded and verified by ours.

Only what a model needs is fetched: safetensors with configuration and tokenizer, or one GGUF file. Pickled
weights and Python files are never downloaded. HF_ENDPOINT and HF_TOKEN mean what they mean to the hub's own
client.
"""

import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from malmoi.core.errors import (
    DownloadFailed,
    Forbidden,
    InvalidInput,
    MissingExtra,
    ModelFileInvalid,
    NotFound,
)
from malmoi.engine.catalog.blocking import in_thread
from malmoi.engine.catalog.disk import require_room
from malmoi.engine.catalog.job import MODEL_FILE, Fetched, Job
from malmoi.engine.catalog.manifest import FileRecord
from malmoi.engine.catalog.part import Remote
from malmoi.engine.catalog.source import HubSource
from malmoi.engine.catalog.web import client, download
from malmoi.engine.modelfile.folder import check_options

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,200}")
_WANTED_SUFFIXES = (".json", ".jinja", ".model", ".txt")
_WANTED_NAMES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "README.md")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file to fetch: its name in the repository, and ours below the model's folder."""

    name: str
    path: str
    size: int
    remote: Remote


@dataclass(frozen=True, slots=True)
class HubPlan:
    """What to fetch: the files of one commit, small ones first."""

    commit: str
    files: tuple[HubFile, ...]
    license: str = ""
    languages: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size for file in self.files)


async def plan_hub(source: HubSource) -> HubPlan:
    """Ask the hub what there is and choose.

    Raises:
        NotFound: no such repository, revision or file, or not for this token.
        Forbidden: the model's terms have to be accepted first.
        InvalidInput: there are several GGUF files; the error names them.
        ModelFileInvalid: there is nothing that may be loaded.
        DownloadFailed: the hub did not answer.
    """
    return await in_thread(lambda _: _plan(source))


async def fetch_hub(source: HubSource, job: Job) -> Fetched:
    """Fetch all files into `ready`, each verified against the hub's own checksum."""
    plan = await plan_hub(source)
    require_room(job.workspace, plan.size_bytes)
    job.meter.stage("download", plan.size_bytes)
    done, records = 0, []
    async with client() as http:
        for file in plan.files:
            target = job.ready / file.path

            def report(count: int, _total: int, before: int = done) -> None:
                job.meter.at(before + count)

            arrived = await download(http, file.remote, target, on_bytes=report)
            if file.path.endswith(".json"):
                check_options(target)  # refuse custom code before the weights are fetched
            records.append(FileRecord(path=file.path, size=arrived.size, sha256=arrived.sha256))
            done += arrived.size
    if job.sha256 is not None and (len(records) != 1 or records[0].sha256 != job.sha256):
        raise ModelFileInvalid(
            f"hf:{source.repo}: the checksum of {source.file or 'its files'} is another one."
        )
    return Fetched(tuple(records), license=plan.license, languages=plan.languages)


def _plan(source: HubSource) -> HubPlan:
    info, api = _ask(source)
    commit = info.sha or source.revision or "main"
    sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or []}
    sums = {
        sibling.rfilename: (
            sibling.lfs.sha256 if sibling.lfs else None,
            None if sibling.lfs else sibling.blob_id,
        )
        for sibling in info.siblings or []
    }
    names = _choose(source, sizes)
    headers = {"Authorization": f"Bearer {api.token}"} if isinstance(api.token, str) else {}
    files = []
    for name in sorted(names, key=lambda name: (not name.endswith(".json"), sizes[name])):
        sha256, git_sha1 = sums[name]
        remote = Remote(_address(api, source.repo, name, commit), sizes[name], sha256, git_sha1, headers)
        files.append(HubFile(name, MODEL_FILE if name.endswith(".gguf") else name, sizes[name], remote))
    card = info.card_data
    licensed = card.get("license") if card else ""
    languages = card.get("language") if card else ()
    languages = [languages] if isinstance(languages, str) else languages
    return HubPlan(
        commit,
        tuple(files),
        licensed if isinstance(licensed, str) else "",
        tuple(item for item in languages or () if isinstance(item, str)),
    )


def _ask(source: HubSource) -> "tuple[ModelInfo, HfApi]":
    try:
        from huggingface_hub import HfApi, constants, get_token
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
    except ModuleNotFoundError as error:
        raise MissingExtra("Fetching models of the hub", "serve") from error
    # Read at the call, not when the client's module was first imported.
    endpoint = os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")
    api = HfApi(endpoint=endpoint, token=get_token() or False)
    where = f"hf:{source.repo}" + (f"@{source.revision}" if source.revision else "")
    try:
        return api.model_info(source.repo, revision=source.revision, files_metadata=True, timeout=30), api
    except GatedRepoError as error:
        raise Forbidden(
            f"{where} asks to accept its terms first.", fix="Accept them on its page, then set HF_TOKEN."
        ) from error
    except RevisionNotFoundError as error:
        raise NotFound(f"{where}: there is no such revision.") from error
    except RepositoryNotFoundError as error:
        raise NotFound(
            f"{where}: the hub has no such model.", fix="Check the name; for a private model set HF_TOKEN."
        ) from error
    except Exception as error:
        # The hub's client lets the errors of its transport through, and which one that is changes by release.
        raise DownloadFailed(
            f"{where}: the hub could not be asked: {str(error)[:300] or type(error).__name__}.",
            fix="Check the network and HF_ENDPOINT.",
        ) from error


def _address(api: "HfApi", repo: str, name: str, commit: str) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(repo, name, revision=commit, endpoint=api.endpoint)


def _choose(source: HubSource, sizes: dict[str, int]) -> list[str]:
    """The names of the files to fetch."""
    where = f"hf:{source.repo}"
    if source.file is not None:
        if not source.file.endswith(".gguf"):
            raise InvalidInput(
                f"{source.file!r} is not a .gguf file.", field="ref", fix=f"Use {where} for its safetensors."
            )
        if source.file not in sizes:
            raise NotFound(f"{where} has no file {source.file!r}.", fix=_listed(_ggufs(sizes)))
        return [source.file]
    plain = [name for name in sizes if _PLAIN.fullmatch(name) and not name.startswith("consolidated")]
    weights = [name for name in plain if name.endswith(".safetensors")]
    if weights and "config.json" in sizes:
        return weights + [name for name in plain if name.endswith(_WANTED_SUFFIXES) or name in _WANTED_NAMES]
    ggufs = _ggufs(sizes)
    if len(ggufs) == 1:
        return ggufs
    if ggufs:
        raise InvalidInput(f"{where} has {len(ggufs)} GGUF files.", field="ref", fix=_listed(ggufs, where))
    pickled = [
        name for name in sizes if PurePosixPath(name).suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl")
    ]
    raise ModelFileInvalid(
        f"{where} has neither safetensors nor GGUF files"
        + (f", only pickled weights such as {pickled[0]}." if pickled else "."),
        fix="Pickled weights can run code and are never loaded; look for a version as safetensors or GGUF.",
    )


def _ggufs(sizes: dict[str, int]) -> list[str]:
    return sorted(name for name in sizes if name.endswith(".gguf"))


def _listed(names: list[str], where: str = "") -> str:
    if not names:
        return ""
    shown = ", ".join(f"{where}/{name}" if where else name for name in names[:20])
    return f"Choose one: {shown}."
