"""The models that run now.

A model is opened at its first request, once however many ask for it, and stays open until another needs its
memory: at most `max_loaded` models that compute here are open, and the one unused for longest makes room. A
model that answers somebody is never closed. Models that use no memory here (remote servers, scripts, the
small sentence encoder) do not count.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from malmoi.core.errors import EngineError, EngineUnavailable, MalmoiError, NotFound, UnknownName
from malmoi.engine.base import Engine, EngineInfo
from malmoi.engine.options import EngineOptions
from malmoi.serve.settings import ModelSettings

if TYPE_CHECKING:
    from malmoi.engine.catalog import Catalog, ModelCard

Opener: TypeAlias = Callable[..., Awaitable[Engine]]
LoadState: TypeAlias = Literal["ready", "loading", "installed", "available", "failed"]

_LIGHT = (
    "http://",
    "https://",
    "scripted:",
    "embed:",
)  # references of models that take no memory to speak of
# The sentence encoders that come with the package; the first embeds when a request names none.
_BUILT_IN = {"use": "embed:use", "e5": "embed:e5", "search": "embed:search"}
_RETRY_SECONDS = 5.0  # a model that failed to open is not tried again sooner


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model as people see it: what it is, and whether it runs.

    `failure` is why it could not be opened, until it could. `card` is None for models outside the catalog.
    `promised` is what a model outside the catalog can do as far as that is known before it is open.
    """

    name: str
    state: LoadState
    is_default: bool
    info: EngineInfo | None
    card: ModelCard | None
    failure: MalmoiError | None = None
    promised: frozenset[str] = frozenset()

    @property
    def is_usable(self) -> bool:
        """Whether a request may name it: it runs, or would be opened for the request."""
        return self.state != "available"


@dataclass(slots=True)
class _Slot:
    """One model: its engine when it is open, or the task that opens it."""

    engine: Engine | None = None
    given: bool = False
    opening: asyncio.Task[Engine] | None = None
    users: int = 0
    used_at: float = 0.0
    failure: MalmoiError | None = None
    failed_at: float = 0.0
    info: EngineInfo | None = field(default=None)


class EnginePool:
    """Opens, keeps and closes engines by the names of their models.

    Args:
        home: Malmoi's home directory.
        settings: which models, how many at a time, with which options.
        catalog: the models that are installed.
        engines: engines that are used as they are; they are closed by whoever gave them.
        opener: how a reference becomes an engine (`malmoi.engine.open.open_engine`).
        patience: seconds to wait for a busy model to make room.
    """

    def __init__(
        self,
        *,
        home: Path,
        settings: ModelSettings,
        catalog: Catalog,
        engines: Mapping[str, Engine] | None = None,
        opener: Opener | None = None,
        patience: float = 120.0,
    ) -> None:
        self._home = home
        self._settings = settings
        self._catalog = catalog
        self._opener = opener or _open_engine
        self._patience = patience
        self._slots: dict[str, _Slot] = {
            name: _Slot(engine=engine, given=True, info=engine.info)
            for name, engine in (engines or {}).items()
        }
        self._given = tuple(self._slots)
        self._changed = asyncio.Condition()
        self._room = asyncio.Lock()
        self._preloading: asyncio.Task[None] | None = None

    @property
    def default(self) -> str:
        """The model that answers when a request names none."""
        if self._given and self._settings.default_name not in self._references():
            return self._given[0]
        return self._settings.default_name

    @property
    def default_embedder(self) -> str:
        """The model that embeds when a request names none: an open one that can, else the built-in one."""
        for name, slot in self._slots.items():
            if name not in _BUILT_IN and slot.info is not None and "embed" in slot.info.capabilities:
                return name
        return next(iter(_BUILT_IN))

    @property
    def is_preloading(self) -> bool:
        """Whether the default model is being opened since the start."""
        return self._preloading is not None and not self._preloading.done()

    async def start(self) -> None:
        """Begin to open the default model, if it is installed and the settings say so."""
        if self._settings.preload and self.default not in self._given and self._is_openable(self.default):
            self._preloading = asyncio.create_task(self._preload(), name="preload")

    def installed(self, name: str) -> None:
        """A model has just been installed: begin to open it if it is the default."""
        if name == self.default and not self.is_preloading and self._settings.preload:
            self._preloading = asyncio.create_task(self._preload(), name="preload")

    async def close(self) -> None:
        """Close every engine that this pool opened; loads under way are given up."""
        openings = [slot.opening for slot in self._slots.values() if slot.opening is not None]
        if self._preloading is not None:
            openings.append(self._preloading)  # type: ignore[arg-type]
        for task in openings:
            task.cancel()
        await asyncio.gather(*openings, return_exceptions=True)
        for slot in self._slots.values():
            if slot.engine is not None and not slot.given:
                await slot.engine.close()
                slot.engine = None

    def states(self) -> list[ModelState]:
        """Every model that is known here, the default first."""
        cards = {card.name: card for card in self._catalog.entries()}
        names = dict.fromkeys([self.default, *self._given, *self._references(), *cards])
        return [self.state(name, cards) for name in names if name in cards or name in self._references()]

    def state(self, name: str, cards: Mapping[str, ModelCard] | None = None) -> ModelState:
        """One model as people see it.

        Raises:
            UnknownName: there is no such model.
        """
        if cards is None:
            cards = {card.name: card for card in self._catalog.entries()}
        if name not in cards and name not in self._references():
            raise UnknownName("model", name, [*self._references(), *cards])
        slot = self._slots.get(name, _Slot())
        state: LoadState = "available"
        if slot.engine is not None:
            state = "ready"
        elif slot.opening is not None:
            state = "loading"
        elif slot.failure is not None:
            state = "failed"
        elif name in self._references() or self._catalog.installed(name):
            state = "installed"
        promised = frozenset({"embed"}) if name in _BUILT_IN else frozenset[str]()
        return ModelState(
            name, state, name == self.default, slot.info, cards.get(name), slot.failure, promised
        )

    def resolve(self, name: str) -> str:
        """The model that a request means by `name`; empty means the default.

        Raises:
            UnknownName: there is no such model.
            NotFound: it is in the catalog but not installed.
        """
        name = name or self.default
        slot = self._slots.get(name)
        if slot is not None and slot.engine is not None:
            return name  # the usual case, without a look at the disk
        if name in self._references():
            return name
        if not any(card.name == name for card in self._catalog.entries()):
            usable = [card.name for card in self._catalog.entries() if self._catalog.installed(card.name)]
            raise UnknownName("model", name, [*self._references(), *usable])
        if not self._catalog.installed(name):
            raise NotFound(
                f"the model {name!r} is not installed.",
                fix=f"Download it on the models page, or run: malmoi models add {name}",
            )
        return name

    def info(self, name: str) -> EngineInfo | None:
        """What the engine of a resolved model is, if it was ever open."""
        slot = self._slots.get(name)
        return slot.info if slot is not None else None

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Engine]:
        """The engine of a resolved model, opened if need be; it stays open during the block.

        Raises:
            EngineUnavailable: it failed a moment ago, or busy models leave it no room.
            MalmoiError: whatever kept it from opening.
        """
        slot = self._slots.setdefault(name, _Slot())
        slot.users += 1
        try:
            yield slot.engine if slot.engine is not None else await self._open(name, slot)
        finally:
            slot.users -= 1
            slot.used_at = time.monotonic()
            if slot.users == 0 and self._room.locked():
                async with self._changed:
                    self._changed.notify_all()

    async def unload(self, name: str) -> None:
        """Close a model that nobody uses, if it is open."""
        slot = self._slots.get(name)
        if slot is not None and slot.users == 0 and not slot.given:
            await self._close(slot)

    async def _preload(self) -> None:
        try:
            async with self.lease(self.default):
                pass
        except MalmoiError:
            pass  # it is kept in the slot, shown by /api/models, and raised to whoever asks for the model

    async def _open(self, name: str, slot: _Slot) -> Engine:
        if slot.opening is None:
            if slot.failure is not None and time.monotonic() - slot.failed_at < _RETRY_SECONDS:
                raise slot.failure
            slot.opening = asyncio.create_task(self._load(name, slot), name=f"open {name}")
            # When everybody has given up waiting, nobody is left to be told of a failure.
            slot.opening.add_done_callback(lambda task: task.cancelled() or task.exception())
        # One who gives up waiting must not end the load for the others.
        return await asyncio.shield(slot.opening)

    async def _load(self, name: str, slot: _Slot) -> Engine:
        try:
            ref = self._references().get(name, name)
            if ref.startswith(_LIGHT):
                slot.engine = await self._opener(ref, home=self._home, options=self._settings.engine)
            else:
                async with self._room:
                    await self._make_room()
                    slot.engine = await self._opener(ref, home=self._home, options=self._settings.engine)
            slot.info = slot.engine.info
            slot.failure = None
            return slot.engine
        except MalmoiError as error:
            slot.failure, slot.failed_at = error, time.monotonic()
            raise
        except OSError as error:
            # A model file that vanished, a port that is taken: a person can mend it, so it is told as such.
            failure = EngineError(f"the model {name!r} could not be opened: {error}.", fix="Look at the log.")
            slot.failure, slot.failed_at = failure, time.monotonic()
            raise failure from error
        finally:
            slot.opening = None

    async def _make_room(self) -> None:
        def heavy() -> list[_Slot]:
            return [
                slot
                for name, slot in self._slots.items()
                if slot.engine is not None
                and not slot.given
                and not self._references().get(name, name).startswith(_LIGHT)
            ]

        def has_candidate() -> bool:
            return len(heavy()) < self._settings.max_loaded or any(slot.users == 0 for slot in heavy())

        try:
            async with asyncio.timeout(self._patience), self._changed:
                await self._changed.wait_for(has_candidate)
        except TimeoutError:
            raise EngineUnavailable(
                "all models that may be loaded at the same time are busy.",
                fix="Try again later, or raise models.max_loaded.",
            ) from None
        while len(heavy()) >= self._settings.max_loaded:
            idle = [slot for slot in heavy() if slot.users == 0]
            if not idle:
                break
            await self._close(min(idle, key=lambda slot: slot.used_at))

    async def _close(self, slot: _Slot) -> None:
        engine, slot.engine = slot.engine, None
        if engine is not None:
            await engine.close()

    def _references(self) -> Mapping[str, str]:
        """Models outside the catalog: those given, those of the settings, and what comes with the package."""
        return {**_BUILT_IN, **self._settings.references, **dict.fromkeys(self._given, "")}

    def _is_openable(self, name: str) -> bool:
        try:
            self.resolve(name)
        except MalmoiError:
            return False
        return True


async def _open_engine(ref: str, *, home: Path, options: EngineOptions) -> Engine:
    from malmoi.engine.open import open_engine

    return await open_engine(ref, home=home, options=options)
