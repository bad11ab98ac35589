"""The models page: what there is, and downloads with their progress.

A download belongs to the server, not to the request that began it: a page that is closed or reloaded finds
it again. When it fails, its error stays with the model until somebody tries again; what has arrived is
kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response
from pydantic import BaseModel

from malmoi.core.errors import Conflict, DownloadFailed, MalmoiError, NotFound
from malmoi.serve.errors import envelope
from malmoi.serve.identity import Principal, require
from malmoi.serve.sse import EventStream, event

if TYPE_CHECKING:
    from malmoi.engine.catalog import Catalog, DownloadProgress
    from malmoi.serve.engines import ModelState
    from malmoi.serve.services import Services

_LOG = logging.getLogger("malmoi.serve")

# For keys, too; `usage` for auditors, whose pages show the models as well.
Reader = Annotated[Principal, Depends(require("models", "inference", "chat", "usage"))]
Manager = Annotated[Principal, Depends(require("models"))]
Name = Annotated[str, Path(max_length=200)]


class ErrorItem(BaseModel):
    """Why something failed, and what to do."""

    code: str
    message: str
    fix: str


class DownloadItem(BaseModel):
    """How far a download is."""

    stage: Literal["waiting", "download", "assemble", "verify", "done", "failed"]
    done_bytes: int = 0
    total_bytes: int = 0
    bytes_per_second: float = 0.0
    message: str = ""
    error: ErrorItem | None = None


class ModelItem(BaseModel):
    """A model of the models page."""

    name: str
    title: str
    description: str
    license: str
    languages: list[str]
    base: bool
    size_bytes: int
    context_length: int | None
    capabilities: list[str]
    state: Literal["ready", "loading", "installed", "downloading", "available", "failed"]
    default: bool
    error: ErrorItem | None
    download: DownloadItem | None


class ModelItems(BaseModel):
    """All models, the default first."""

    items: list[ModelItem]


@dataclass(eq=False)
class _Download:
    """One download: its task, its last report, and a signal for those who watch."""

    task: asyncio.Task[None] | None = None
    item: DownloadItem = field(default_factory=lambda: DownloadItem(stage="waiting"))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_running(self) -> bool:
        return self.task is not None and not self.task.done()

    def report(self, item: DownloadItem) -> None:
        self.item = item
        self.changed.set()
        self.changed = asyncio.Event()


class Downloads:
    """The downloads of one server, one at a time a model.

    Args:
        catalog: where models come from and go to.
        on_done: told the name of a model that has just been installed.
    """

    def __init__(self, catalog: Catalog, *, on_done: Callable[[str], None] | None = None) -> None:
        self._catalog = catalog
        self._on_done = on_done
        self._downloads: dict[str, _Download] = {}

    def item(self, name: str) -> DownloadItem | None:
        """The state of a model's download, if it runs or failed."""
        known = self._downloads.get(name)
        return None if known is None or known.item.stage == "done" else known.item

    def is_running(self, name: str) -> bool:
        """Whether a model is being downloaded."""
        known = self._downloads.get(name)
        return known is not None and known.is_running

    def start(self, name: str) -> None:
        """Begin to download a model of the catalog; one that already runs goes on.

        Raises:
            UnknownName: the catalog has no such model.
            Conflict: it is installed already.
        """
        self._catalog.info(name)
        if self._catalog.installed(name):
            raise Conflict(f"the model {name!r} is installed already.")
        if self.is_running(name):
            return
        download = self._downloads[name] = _Download()
        download.task = asyncio.create_task(self._run(name, download), name=f"download {name}")

    async def cancel(self, name: str) -> None:
        """Stop a download, or forget that it failed; what has arrived is kept for the next try.

        Raises:
            NotFound: there is none.
        """
        download = self._downloads.pop(name, None)
        if download is None:
            raise NotFound(f"the model {name!r} is not being downloaded.")
        if download.task is not None:
            download.task.cancel()
            await asyncio.gather(download.task, return_exceptions=True)

    async def watch(self, name: str) -> AsyncGenerator[DownloadItem, None]:
        """The state now and after each change, up to the end of the download.

        Raises:
            NotFound: the model is not being downloaded, and was not lately.
        """
        download = self._downloads.get(name)
        if download is None:
            raise NotFound(f"the model {name!r} is not being downloaded.")
        while True:
            changed = download.changed
            yield download.item
            if download.item.stage in ("done", "failed"):
                return
            await changed.wait()

    async def close(self) -> None:
        """Stop all downloads."""
        for name in list(self._downloads):
            await self.cancel(name)

    async def _run(self, name: str, download: _Download) -> None:
        def report(progress: DownloadProgress) -> None:
            if progress.stage != "done":  # only told when the catalog has it
                download.report(
                    DownloadItem(
                        stage=progress.stage,
                        done_bytes=progress.done_bytes,
                        total_bytes=progress.total_bytes,
                        bytes_per_second=progress.bytes_per_second,
                        message=progress.message,
                    )
                )

        last: DownloadItem
        try:
            await self._catalog.add(name, progress=report)
            last = DownloadItem(
                stage="done", done_bytes=download.item.total_bytes, total_bytes=download.item.total_bytes
            )
        except asyncio.CancelledError:
            download.report(download.item.model_copy(update={"stage": "failed", "error": _cancelled()}))
            raise
        except MalmoiError as error:
            last = download.item.model_copy(update={"stage": "failed", "error": error_item(error)})
        except OSError as error:
            failure = DownloadFailed(
                f"{name}: {error}.", fix="Check the network and the disk, then try again."
            )
            last = download.item.model_copy(update={"stage": "failed", "error": error_item(failure)})
        except Exception:
            # Nobody awaits this task: whatever escapes would be lost, and the page would wait for ever.
            _LOG.exception("the download of %s failed", name)
            failure = DownloadFailed(f"{name}: the download failed.", fix="Look at the server's log.")
            last = download.item.model_copy(update={"stage": "failed", "error": error_item(failure)})
        download.task = None
        if last.stage == "done" and self._on_done is not None:
            self._on_done(name)
        download.report(last)


def error_item(error: MalmoiError) -> ErrorItem:
    """An error as the page shows it."""
    return ErrorItem(code=error.code, message=error.message, fix=error.fix)


def model_item(state: ModelState, download: DownloadItem | None, is_downloading: bool) -> ModelItem:
    """A model as the page shows it."""
    card, info = state.card, state.info
    known = info if info is not None else card
    capabilities = known.capabilities if known is not None else state.promised
    shown = "downloading" if is_downloading else state.state
    if shown == "available" and download is not None and download.error is not None:
        shown = "failed"
    return ModelItem(
        name=state.name,
        title=card.title if card is not None else state.name,
        description=card.description if card is not None else info.description if info is not None else "",
        license=card.license if card is not None else "",
        languages=list(card.languages) if card is not None else [],
        base=card.base if card is not None else False,
        size_bytes=card.size_bytes if card is not None else 0,
        context_length=info.context_length
        if info is not None
        else card.context_length
        if card is not None
        else None,
        capabilities=sorted(capabilities),
        state=shown,
        default=state.is_default,
        error=error_item(state.failure) if state.failure is not None else None,
        download=download,
    )


def models_router(services: Services) -> APIRouter:
    """`/api/models` and downloads."""
    router = APIRouter(prefix="/api/models", tags=["models"])
    downloads = services.downloads

    def item(state: ModelState) -> ModelItem:
        return model_item(state, downloads.item(state.name), downloads.is_running(state.name))

    @router.get("", summary="All models")
    async def list_models(principal: Reader) -> ModelItems:
        """Every model that is known here, the default first."""
        return ModelItems(items=[item(state) for state in services.engines.states()])

    @router.post("/{name}/download", status_code=202, summary="Download a model")
    async def start_download(principal: Manager, name: Name) -> ModelItem:
        """Begin, or go on after a failure; the answer does not wait for the end."""
        downloads.start(name)
        return item(services.engines.state(name))

    @router.delete("/{name}/download", status_code=204, summary="Stop a download")
    async def cancel_download(principal: Manager, name: Name) -> Response:
        """Stop it, or forget that it failed. What has arrived is kept."""
        await downloads.cancel(name)
        return Response(status_code=204)

    @router.get(
        "/{name}/download",
        summary="Watch a download",
        response_class=Response,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def watch_download(principal: Reader, name: Name) -> Response:
        """Events `progress`, and at the end `done` or `error`."""

        async def events() -> AsyncGenerator[bytes, None]:
            async for state in downloads.watch(name):
                kind = {"done": "done", "failed": "error"}.get(state.stage, "progress")
                yield event(state.model_dump(mode="json"), name=kind)

        return EventStream(
            events(),
            on_error=lambda error: event(envelope(error, "own"), name="error"),
            send_timeout=services.settings.http.send_timeout,
        )

    return router


def _cancelled() -> ErrorItem:
    return ErrorItem(
        code="cancelled", message="the download was stopped.", fix="Start it again: it goes on where it was."
    )
