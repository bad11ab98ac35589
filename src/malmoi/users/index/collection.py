"""Versioned vectors of users, under HOME/users/<name>.

    current.json        which versions there are: the active one, and the one before for going back
    versions/000001/    one version (index/version.py)
    work/               half-done refreshes
    lock

A version never changes. Every change writes a new one beside it and then replaces `current.json` by one
rename, so a reader sees the old state or the new one, also after a crash. Taking somebody out rewrites all
versions that are kept and switches all of them by that one rename; what `current.json` does not name is swept
away. A person who was taken out stays out: a refresh from logs that still hold the person is told by a salted
hash.
"""

import hashlib
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from malmoi.core.errors import Conflict, InvalidInput, NotFound, UnknownName
from malmoi.core.files import write_json
from malmoi.core.locks import locked
from malmoi.users.index.draft import Change, write_version
from malmoi.users.index.version import Facts, Found, Meta, Version

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_POINTER = "current.json"
MAX_KEY = 200
"""Longest name of a user, in characters."""


class Pointer(BaseModel):
    """`current.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    active: str
    previous: str | None = None
    number: int = 1
    """Of the newest version that was ever made."""
    salt: str
    forgotten: tuple[str, ...] = ()
    """Salted hashes of the users who were taken out."""

    @property
    def names(self) -> list[str]:
        """The versions that are kept."""
        return [self.active, *([self.previous] if self.previous else [])]


class Collection:
    """Vectors of users by one name; `open_collection` finds it, `create` makes it.

    One object may be used by several threads; changes made by other processes are seen at the next call.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self._lock = Lock()
        self._opened: tuple[Pointer, Version] | None = None

    @classmethod
    def create(cls, home: Path, name: str, *, model: str, size: int) -> "Collection":
        """Make an empty collection.

        Args:
            home: Malmoi's home.
            name: small letters, digits, '.', '_' and '-'.
            model: which model its vectors are of.
            size: their length.

        Raises:
            InvalidInput: the name or size is not possible.
            Conflict: there is one already.
        """
        collection = cls(_folder(home, name))
        if size < 1:
            raise InvalidInput(f"vectors of {size} numbers are not possible.", field="size")
        with collection._writing():
            if (collection.folder / _POINTER).exists():
                raise Conflict(f"there is a collection {name!r} already.")
            collection._sweep([])
            write_version(collection._path("000001"), None, Change(), model=model, size=size)
            collection._point(Pointer(active="000001", salt=secrets.token_hex(16)))
        return collection

    @property
    def pointer(self) -> Pointer:
        """What `current.json` says now.

        Raises:
            NotFound: the collection is gone, or its file cannot be read.
        """
        try:
            return Pointer.model_validate_json((self.folder / _POINTER).read_bytes())
        except (FileNotFoundError, ValidationError) as error:
            raise NotFound(
                f"there is no collection {self.name!r}.", fix="Make it: malmoi users index."
            ) from error

    @property
    def active(self) -> Version:
        """The version that is searched now."""
        with self._lock:
            for _ in range(3):
                pointer = self.pointer
                if self._opened is not None and self._opened[0] == pointer:
                    return self._opened[1]
                # Another process may switch and sweep between the two steps.
                with suppress(NotFound, OSError):
                    self._opened = (pointer, Version(self._path(pointer.active)))
                    return self._opened[1]
        raise NotFound(f"the active version of collection {self.name!r} is gone.", fix="Make it again.")

    @property
    def meta(self) -> Meta:
        """Of the active version."""
        return self.active.meta

    def __len__(self) -> int:
        return len(self.active)

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        allowed: Sequence[str] | None = None,
        exact: bool | None = None,
    ) -> list[Found]:
        """The `k` nearest users of each vector; see `Version.search`."""
        return self.active.search(vectors, k, allowed=allowed, exact=exact)

    def upsert(
        self,
        keys: Sequence[str],
        vectors: NDArray[np.float32],
        *,
        model: str,
        facts: Mapping[str, Facts] | None = None,
        removed: Sequence[str] = (),
        watermark: int | None = None,
    ) -> None:
        """Add users, or replace their vectors, in one new version; the same again changes nothing.

        Users who were taken out stay out (`readmit`).

        Args:
            keys: their names, (n,); of a name that comes twice, the last vector counts.
            vectors: theirs, (n, D).
            model: which model they are of.
            facts: what else is to be kept, by key.
            removed: users that go in the same step; unlike with `remove`, older versions keep them.
            watermark: time of the newest event that is in them.

        Raises:
            InvalidInput: a key is not possible, or vectors are not finite or of another size.
            Conflict: the collection holds vectors of another model, or another process is writing.
        """
        with self._writing():
            base = self.active
            if model != base.meta.model:
                raise Conflict(
                    f"collection {self.name!r} holds vectors of model {base.meta.model}, "
                    f"these are of {model}.",
                    fix="Vectors of different models do not mix: make the collection anew with `replace`.",
                )
            change = _checked(keys, vectors, base.meta.size, facts or {}, removed, watermark)
            change = self._without_forgotten(change)
            self._write(base, change, model=model, size=base.meta.size)

    def replace(
        self,
        keys: Sequence[str],
        vectors: NDArray[np.float32],
        *,
        model: str,
        facts: Mapping[str, Facts] | None = None,
        watermark: int | None = None,
    ) -> None:
        """A new version of these users alone, also of another model; `rollback` goes back to the old one.

        Raises:
            InvalidInput: as `upsert`.
            Conflict: another process is writing.
        """
        table = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
        with self._writing():
            size = table.shape[1] if len(keys) else self.meta.size
            change = self._without_forgotten(_checked(keys, table, size, facts or {}, (), watermark))
            self._write(None, change, model=model, size=size)

    def remove(self, key: str) -> None:
        """Take a user out for good: from every version that is kept, and from half-done work.

        Raises:
            NotFound: no version has this user.
            Conflict: another process is writing.
        """
        self.remove_all([key])

    def remove_all(self, keys: Sequence[str]) -> None:
        """`remove` for several users in one step: all of them, or on any error none."""
        with self._writing():
            pointer = self.pointer
            old = {name: Version(self._path(name)) for name in pointer.names}
            try:
                known = set().union(*(version.rows(keys) for version in old.values()))
                for key in keys:
                    if key not in known:
                        raise NotFound(f"there is no user {key!r} in collection {self.name!r}.")
                shutil.rmtree(self.folder / "work", ignore_errors=True)
                number = pointer.number
                renamed: dict[str, str] = {}
                for name, version in old.items():
                    number += 1
                    renamed[name] = f"{number:06d}"
                    write_version(
                        self._path(renamed[name]),
                        version,
                        Change(removed=keys),
                        model=version.meta.model,
                        size=version.meta.size,
                    )
                marks = dict.fromkeys([*pointer.forgotten, *(_mark(pointer.salt, key) for key in keys)])
                changes = {
                    "active": renamed[pointer.active],
                    "previous": renamed.get(pointer.previous or ""),
                    "number": number,
                    "forgotten": tuple(marks),
                }
                self._point(pointer.model_copy(update=changes))
            finally:
                for version in old.values():
                    version.close()

    def rollback(self) -> None:
        """Make the version before the active one; again, and it is as it was.

        Raises:
            Conflict: there is none, or another process is writing.
        """
        with self._writing():
            pointer = self.pointer
            if pointer.previous is None:
                raise Conflict(f"collection {self.name!r} has no version to go back to.")
            self._point(pointer.model_copy(update={"active": pointer.previous, "previous": pointer.active}))

    def forgotten(self, keys: Iterable[str]) -> set[str]:
        """Those of the users who were taken out."""
        pointer = self.pointer
        marks = set(pointer.forgotten)
        return {key for key in keys if _mark(pointer.salt, key) in marks} if marks else set()

    def readmit(self, keys: Sequence[str]) -> None:
        """Let users who were taken out come back with the next refresh.

        Raises:
            NotFound: one of them was not taken out.
            Conflict: another process is writing.
        """
        with self._writing():
            pointer = self.pointer
            for key in keys:
                if not self.forgotten([key]):
                    raise NotFound(f"user {key!r} was not taken out of collection {self.name!r}.")
            back = {_mark(pointer.salt, key) for key in keys}
            left = tuple(mark for mark in pointer.forgotten if mark not in back)
            self._point(pointer.model_copy(update={"forgotten": left}))

    def _without_forgotten(self, change: Change) -> Change:
        """Looked up while writing is locked: somebody may be taken out while a refresh encodes."""
        out = self.forgotten(change.keys)
        if not out:
            return change
        kept = [place for place, key in enumerate(change.keys) if key not in out]
        facts = {key: value for key, value in change.facts.items() if key not in out}
        keys = tuple(change.keys[place] for place in kept)
        return replace(change, keys=keys, vectors=change.vectors[kept], facts=facts)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        busy = f"another process is writing collection {self.name!r}."
        with locked(self.folder / "lock", busy=busy, fix="Wait until it has finished, and try again."):
            if (self.folder / _POINTER).exists():
                self._sweep(self.pointer.names)  # what a crash has left
            yield

    def _write(self, base: Version | None, change: Change, *, model: str, size: int) -> None:
        pointer = self.pointer
        name = f"{pointer.number + 1:06d}"
        write_version(self._path(name), base, change, model=model, size=size)
        changes = {"active": name, "previous": pointer.active, "number": pointer.number + 1}
        self._point(pointer.model_copy(update=changes))

    def _point(self, pointer: Pointer) -> None:
        write_json(self.folder / _POINTER, pointer.model_dump(mode="json"))
        self._sweep(pointer.names)

    def _sweep(self, kept: Sequence[str]) -> None:
        """Remove every version that is not named: of a crash, or no longer wanted."""
        folder = self.folder / "versions"
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / "versions" / name


def open_collection(home: Path, name: str) -> Collection:
    """The collection of this name.

    Raises:
        UnknownName: there is none; the message names the nearest.
    """
    if not _NAME.fullmatch(name) or not (home / "users" / name / _POINTER).is_file():
        raise UnknownName(
            "collection of users", name, collection_names(home), fix="Make one: malmoi users index."
        )
    return Collection(home / "users" / name)


def collection_names(home: Path) -> list[str]:
    """All collections, sorted."""
    return sorted(path.parent.name for path in (home / "users").glob(f"*/{_POINTER}"))


def _folder(home: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is not a name for a collection.",
            field="collection",
            fix="Use small letters, digits, '.', '_' and '-', beginning with a letter or digit.",
        )
    return home / "users" / name


def _mark(salt: str, key: str) -> str:
    return hashlib.blake2b(
        key.encode("utf-8", "surrogatepass"), key=bytes.fromhex(salt), digest_size=16
    ).hexdigest()


def _checked(
    keys: Sequence[str],
    vectors: NDArray[np.float32],
    size: int,
    facts: Mapping[str, Facts],
    removed: Sequence[str],
    watermark: int | None,
) -> Change:
    table = np.asarray(vectors, dtype=np.float32).reshape(len(keys), -1) if len(keys) else np.zeros((0, size))
    if table.shape[1] != size:
        raise InvalidInput(f"the vectors have {table.shape[1]} numbers, those of the collection {size}.")
    if not np.isfinite(table).all():
        bad = keys[int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])]
        raise InvalidInput(f"the vector of user {bad!r} is not finite.", fix="Look at the model.")
    for key in keys:
        if not 0 < len(key) <= MAX_KEY or "\0" in key:
            raise InvalidInput(f"{key[:40]!r} is not the name of a user: 1 to {MAX_KEY} characters, no NUL.")
    last = {key: place for place, key in enumerate(keys)}
    return Change(
        keys=tuple(last),
        vectors=np.asarray(table[list(last.values())], dtype=np.float32),
        facts=facts,
        removed=removed,
        watermark=watermark,
    )
