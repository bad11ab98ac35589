"""May this document be used: its licence, and what people asked to be left out.

An opt-out list is a text file with one entry a line; `#` begins a comment:

    id:news:2024-118          a document's id, with or without its source
    origin:news/2019/*.jsonl  a glob of the file it was read from
    url:https://example.com/private/   the beginning of its address
    domain:example.org        its address's host, and all below it
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase, translate
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from malmoi.core.errors import InvalidInput
from malmoi.factory.corpus.documents import Document

_ORIGIN = re.compile(r"(?P<path>.*)#\d+(?: (?P<url>\S+://\S+))?\Z", re.DOTALL)


class ProvenanceSettings(BaseModel):
    """What may be used."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    licenses: tuple[str, ...] = ()
    """Globs of licences that may be used, such as `CC-BY-*`, in any case of letters. Empty: all."""
    refused_licenses: tuple[str, ...] = ()
    """Globs of licences that may not, whatever `licenses` says."""
    opt_out: tuple[str, ...] = ()
    """Opt-out lists, paths relative to the data folder or absolute."""


class OptOut:
    """Everything that was asked to be left out."""

    def __init__(self, lines: Iterable[tuple[str, str]] = ()) -> None:
        self._ids: set[str] = set()
        self._domains: set[str] = set()
        self._urls: list[str] = []
        globs: list[str] = []
        for where, line in lines:
            kind, _, value = line.partition(":")
            value = value.strip()
            if kind not in ("id", "origin", "url", "domain") or not value:
                raise InvalidInput(
                    f"{where}: {line!r} is not an entry of an opt-out list.",
                    fix="Write id:..., origin:..., url:... or domain:...",
                )
            if kind == "id":
                self._ids.add(value)
            elif kind == "domain":
                self._domains.add(value.lower().lstrip("."))
            elif kind == "url":
                self._urls.append(_plain_address(value))
            else:
                globs.append(value)
        self._origins = re.compile("|".join(map(translate, globs))) if globs else None
        self._prefixes = tuple(self._urls)

    @classmethod
    def load(cls, paths: Iterable[Path]) -> "OptOut":
        """Read opt-out lists.

        Raises:
            InvalidInput: a file cannot be read, or a line is no entry; the message names file and line.
        """
        lines = []
        for path in paths:
            try:
                text = path.read_text("utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                raise InvalidInput(
                    f"the opt-out list {path} cannot be read: {error}.",
                    fix="A run must not go on without it: mend the path or the file.",
                ) from error
            for number, line in enumerate(text.splitlines(), start=1):
                entry = line.partition(" #")[0].strip()
                if entry and not entry.startswith("#"):
                    lines.append((f"{path}:{number}", entry))
        return cls(lines)

    def reason(self, document: Document) -> str | None:
        """Why the document is left out, or None."""
        if self._ids and (
            document.id in self._ids or document.id.removeprefix(f"{document.source}:") in self._ids
        ):
            return "opted_out_id"
        path, address = origin_parts(document.origin)
        if self._origins is not None and self._origins.match(path):
            return "opted_out_origin"
        if address:
            if self._prefixes and _plain_address(address).startswith(self._prefixes):
                return "opted_out_url"
            if self._domains and self._in_domain(address):
                return "opted_out_domain"
        return None

    def _in_domain(self, address: str) -> bool:
        try:
            host = (urlsplit(address).hostname or "").rstrip(".")
        except ValueError:  # an address such as http://[ has no host
            return False
        labels = host.split(".")
        return any(".".join(labels[start:]) in self._domains for start in range(len(labels)))


def origin_parts(origin: str) -> tuple[str, str]:
    """The path and the web address (or "") in a document's origin, `path#record address`."""
    match = _ORIGIN.match(origin)
    return (match["path"], match["url"] or "") if match else (origin, "")


def _plain_address(address: str) -> str:
    """An address without what does not change the place: scheme, `www.`, and the host's capitals."""
    _, found, rest = address.partition("://")
    rest = rest if found else address
    host, slash, path = rest.partition("/")
    return host.lower().removeprefix("www.") + slash + path


class Provenance:
    """The rule that keeps what may be used.

    Args:
        settings: licences and lists.
        data: the folder that relative paths of the lists start from.

    Raises:
        InvalidInput: an opt-out list cannot be read.
    """

    name = "provenance"

    def __init__(self, settings: ProvenanceSettings, data: Path) -> None:
        self._allowed = tuple(name.lower() for name in settings.licenses)
        self._refused = tuple(name.lower() for name in settings.refused_licenses)
        self._opt_out = OptOut.load([data / path for path in settings.opt_out])

    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`: its licence or the list it is on; None keeps it."""
        license = document.license.lower()
        if any(fnmatchcase(license, pattern) for pattern in self._refused):
            return "license_refused"
        if self._allowed and not any(fnmatchcase(license, pattern) for pattern in self._allowed):
            return "license_not_allowed"
        return self._opt_out.reason(document)
