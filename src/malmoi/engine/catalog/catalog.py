"""The catalog: which models there are, which are installed, and how they come and go.

HOME/models/NAME/model.gguf        or the files of a folder
HOME/models/NAME/manifest.json     written last: where it is, the model is whole and was checked
HOME/downloads/NAME/               what an interrupted download has left; the next try goes on from there
HOME/downloads/NAME.lock           held while one process fetches NAME
"""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from malmoi.core.errors import Conflict, InvalidInput, MalmoiError, ModelFileInvalid, NotFound, UnknownName
from malmoi.core.files import sync_directory, write_text
from malmoi.engine.catalog.blocking import in_thread
from malmoi.engine.catalog.builtin import builtin_cards
from malmoi.engine.catalog.card import ModelCard
from malmoi.engine.catalog.enrich import described
from malmoi.engine.catalog.job import MODEL_FILE, Fetched, Job
from malmoi.engine.catalog.lock import exclusive
from malmoi.engine.catalog.manifest import MANIFEST, Manifest, hash_file
from malmoi.engine.catalog.progress import Meter, ProgressCallback
from malmoi.engine.catalog.source import PathSource, Source, check_name, default_name, parse_source
from malmoi.engine.modelfile import check_model_async

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `add` was asked for: the card as far as it is known, and where the files come from.

    An entry of the catalog may be fetched from anywhere, for its checksum is known.
    """

    ref: str
    card: ModelCard
    source: Source


class Catalog:
    """The models of one home directory. Cheap to make; several processes may share the directory."""

    def __init__(self, home: Path, *, builtin: Mapping[str, ModelCard] | None = None) -> None:
        """Open the catalog of `home`; `builtin` replaces the entries that come with it."""
        self._models = home / "models"
        self._downloads = home / "downloads"
        self._builtin = builtin_cards() if builtin is None else builtin
        # A manifest is parsed again only when its file has changed.
        self._read: dict[str, tuple[tuple[int, int], Manifest]] = {}

    def entries(self) -> list[ModelCard]:
        """Every card: the built-in entries first, then what else is installed, by name."""
        cards = {name: self._card(name) or card for name, card in self._builtin.items()}
        for path in sorted(self._models.glob(f"*/{MANIFEST}")):
            name = path.parent.name
            if name not in cards and (card := self._card(name)) is not None:
                cards[name] = card
        return list(cards.values())

    def installed(self, name: str) -> bool:
        """Whether the model can be opened; False for unknown names, too."""
        try:
            self.path(name)
        except MalmoiError:
            return False
        return True

    def path(self, name: str) -> Path:
        """The GGUF file, or the folder of safetensors, of an installed model.

        Raises:
            UnknownName: no such entry.
            NotFound: it is not installed.
            ModelFileInvalid: its manifest is damaged, or files used in place have gone.
        """
        manifest = self._manifest(name)
        if manifest is None:
            self.info(name)
            raise NotFound(f"the model {name!r} is not installed.", fix=f"Run: malmoi models add {name}")
        folder = self._models / name
        path = Path(manifest.location) if manifest.location else folder
        if not manifest.location and manifest.card.format == "gguf":
            path = folder / MODEL_FILE
        if not path.exists():
            raise ModelFileInvalid(
                f"{path}: is missing.", fix=f"Run: malmoi models rm {name}, then add it again."
            )
        return path

    def info(self, name: str) -> ModelCard:
        """The card of an entry, installed or not.

        Raises:
            UnknownName: no such entry, with the nearest names.
            ModelFileInvalid: its manifest is damaged.
        """
        manifest = self._manifest(name)
        if manifest is not None:
            return manifest.card
        if name not in self._builtin:
            raise UnknownName(
                "model", name, [card.name for card in self.entries()], fix="See `malmoi models add --help`."
            )
        return self._builtin[name]

    def wanted(self, ref: str, *, name: str | None = None, sha256: str | None = None) -> Wanted:
        """Read a reference: what would be added, from where, under which name.

        Raises:
            UnknownName: not a reference, and no entry of the catalog.
            InvalidInput: the reference, name or checksum is not well-formed.
        """
        if ":" not in ref:
            if ref not in self._builtin:
                raise UnknownName("model", ref, self._builtin, fix="See `malmoi models add --help`.")
            if name not in (None, ref) or sha256 is not None:
                raise InvalidInput(f"{ref!r} is an entry of the catalog: its name and checksum are fixed.")
            return Wanted(ref, self._builtin[ref], parse_source(self._builtin[ref].source))
        source = parse_source(ref)
        chosen = check_name(name) if name is not None else default_name(source)
        if chosen in self._builtin and (sha256 is None or sha256 == self._builtin[chosen].sha256):
            return Wanted(ref, self._builtin[chosen], source)
        if chosen in self._builtin:
            raise InvalidInput(
                f"{chosen!r} is an entry of the catalog, with another checksum.",
                field="name",
                fix="Choose a --name.",
            )
        if sha256 is not None and (len(sha256) != 64 or set(sha256) - set("0123456789abcdef")):
            raise InvalidInput("sha256 is not 64 small hexadecimal digits.", field="sha256")
        return Wanted(ref, ModelCard(name=chosen, title=chosen, source=ref, sha256=sha256), source)

    async def add(
        self,
        ref: str,
        *,
        name: str | None = None,
        sha256: str | None = None,
        copy: bool = False,
        progress: ProgressCallback | None = None,
    ) -> ModelCard:
        """Fetch, check and install a model; a model that is installed already is left as it is.

        Cancelling is safe at any moment: what has arrived is kept for the next try.

        Args:
            ref: see `malmoi.engine.catalog.source`.
            name: its name in the catalog; None: made from the reference.
            sha256: checksum that its one file must have.
            copy: copy the files of a `path:` reference instead of using them in place.
            progress: called from the event loop, a few times a second.

        Raises:
            UnknownName, InvalidInput: the reference is wrong.
            Conflict: another model has this name.
            NotFound, Forbidden: the hub does not give it.
            DownloadFailed: it can be tried again, and goes on where it stopped.
            DiskFull: no room.
            ModelFileInvalid: the files must not be loaded; nothing was installed.
        """
        wanted = self.wanted(ref, name=name, sha256=sha256)
        card = wanted.card
        meter = Meter(card.name, progress)
        async with exclusive(
            self._downloads / f"{card.name}.lock",
            waiting=lambda: meter.say("waiting for another process that adds this model"),
        ):
            there = self._card(card.name)
            if there is not None and there.source != card.source:
                raise Conflict(
                    f"a model named {card.name!r} is installed, from {there.source}.",
                    fix=f"Choose another --name, or run: malmoi models rm {card.name}",
                )
            if there is None or not self.installed(card.name):
                there = await self._install(wanted, meter, copy=copy)
        meter.stage("done", there.size_bytes, done_bytes=there.size_bytes)
        return there

    async def verify(self, name: str, *, progress: ProgressCallback | None = None) -> ModelCard:
        """Compare every file with its recorded checksum and check the model again.

        Raises:
            UnknownName, NotFound: not installed.
            ModelFileInvalid: naming the file that has changed, and how.
        """
        path = self.path(name)
        manifest = self._manifest(name)
        assert manifest is not None, "path() would have raised"
        meter, done = Meter(name, progress), 0
        meter.stage("verify", manifest.card.size_bytes)
        root = path if path.is_dir() else path.parent
        for record in manifest.files:
            file = path if not path.is_dir() else root / record.path
            fix = f"Run: malmoi models rm {name}, then add it again."
            if not file.is_file():
                raise ModelFileInvalid(f"{file}: is missing.", fix=fix)
            if (size := file.stat().st_size) != record.size:
                raise ModelFileInvalid(f"{file}: has {size} bytes, not {record.size}.", fix=fix)
            sha256 = await in_thread(lambda stop, file=file: hash_file(file, stop))  # type: ignore[misc]
            if sha256 != record.sha256:
                raise ModelFileInvalid(f"{file}: has changed: sha256 {sha256}, not {record.sha256}.", fix=fix)
            done += record.size
            meter.at(done)
        await check_model_async(path)
        meter.stage("done", done, done_bytes=done)
        return manifest.card

    def remove(self, name: str) -> None:
        """Remove an installed model and what a download of it has left. Files used in place stay.

        Raises:
            UnknownName: no such entry.
            NotFound: nothing of it is here.
        """
        check_name(name)
        folder, left = self._models / name, self._downloads / name
        if not folder.exists() and not left.exists():
            self.info(name)
            raise NotFound(f"the model {name!r} is not installed.")
        (folder / MANIFEST).unlink(missing_ok=True)  # first: from here on it is not installed
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(left, ignore_errors=True)

    def destination(self, name: str) -> Path:
        """The folder where a model of this name is, or would be."""
        return self._models / check_name(name)

    async def _install(self, wanted: Wanted, meter: Meter, *, copy: bool) -> ModelCard:
        from malmoi.engine.catalog.fetch import fetch  # the HTTP client takes a while to import

        card, workspace = wanted.card, self._downloads / wanted.card.name
        origin = workspace / "source.txt"
        if not origin.is_file() or origin.read_text(encoding="utf-8") != wanted.ref:
            shutil.rmtree(workspace, ignore_errors=True)  # left by a download from elsewhere
            write_text(origin, wanted.ref)
        job = Job(workspace, meter, size_bytes=card.size_bytes, sha256=card.sha256)
        try:
            fetched = await fetch(wanted.source, job, copy=copy)
        except BaseException:  # cancelling, too: of files that are here already, nothing is worth keeping
            if isinstance(wanted.source, PathSource):
                shutil.rmtree(workspace, ignore_errors=True)
            raise
        meter.stage("verify", card.size_bytes)
        path = fetched.location or job.ready
        try:
            single = path.is_dir() and (path / MODEL_FILE).is_file()
            info = await check_model_async(path / MODEL_FILE if single else path)
            if info.gguf is not None and info.gguf.kind != "model":
                raise ModelFileInvalid(
                    f"{card.name}: the file is of the kind {info.gguf.kind!r}, not a model."
                )
        except ModelFileInvalid:
            shutil.rmtree(workspace, ignore_errors=True)  # it would be refused again
            raise
        return self._publish(described(card, info, fetched), fetched, job)

    def _publish(self, card: ModelCard, fetched: Fetched, job: Job) -> ModelCard:
        folder = self._models / card.name
        self._models.mkdir(parents=True, exist_ok=True)
        if folder.exists():  # without a manifest: the rest of a removal or of a crash at this point
            shutil.rmtree(folder)
        if fetched.location is None:
            job.ready.rename(folder)
        else:
            folder.mkdir()
        sync_directory(self._models)
        location = str(fetched.location) if fetched.location else None
        Manifest(card=card, files=fetched.files, location=location).write(folder)
        shutil.rmtree(job.workspace, ignore_errors=True)
        return card

    def _card(self, name: str) -> ModelCard | None:
        """The card in the manifest; None when there is none, or a damaged one."""
        try:
            manifest = self._manifest(name)
        except ModelFileInvalid as error:
            _log.warning("%s", error)
            return None
        return manifest.card if manifest else None

    def _manifest(self, name: str) -> Manifest | None:
        try:
            folder = self._models / check_name(name)
            status = (folder / MANIFEST).stat()
        except (InvalidInput, FileNotFoundError):
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        if name not in self._read or self._read[name][0] != stamp:
            self._read[name] = (stamp, Manifest.read(folder))
        return self._read[name][1]
