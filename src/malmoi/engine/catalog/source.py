"""Where models come from: the references that `malmoi models add` takes, as checked data.

NAME                                   an entry of the catalog
hf:ORG/NAME[@REVISION][/FILE.gguf]     a model of the hub: its safetensors, or one GGUF file
path:FILE.gguf, path:DIR               files of this machine
https://HOST/FILE.gguf                 one GGUF file
packages:PREFIX1..N==VERSION           parts carried by Python packages
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from malmoi.core.errors import InvalidInput

_FORMS = "NAME, hf:ORG/NAME, path:FILE or an http(s) URL"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PACKAGES = re.compile(r"([a-z0-9][a-z0-9-]{0,80})1\.\.([1-9][0-9]{0,2})==([0-9][0-9a-z.]{0,30})")
_HUB = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})"
    r"(?:@(?P<revision>[A-Za-z0-9][\w.-]{0,99}))?"
    r"(?:/(?P<file>[\w][\w./ -]{0,250}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class PackageParts:
    """Packages `prefix`1 to `prefix``count` of one version."""

    prefix: str
    count: int
    version: str

    def requirement(self, number: int) -> str:
        """The requirement of one part, as pip takes it."""
        return f"{self.prefix}{number}=={self.version}"


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of the hub; without `file`, its safetensors or its only GGUF file."""

    repo: str
    revision: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True)
class PathSource:
    """A file or folder of this machine, by absolute path."""

    path: Path


@dataclass(frozen=True, slots=True)
class UrlSource:
    """One GGUF file behind an http(s) address."""

    url: str


Source: TypeAlias = PackageParts | HubSource | PathSource | UrlSource


def parse_source(ref: str) -> Source:
    """Read a reference that is not a name of the catalog.

    Raises:
        InvalidInput: it has none of the forms above.
    """
    scheme, colon, rest = ref.partition(":")
    if not colon or "\0" in ref:
        raise _wrong(ref, f"is not one of {_FORMS}")
    if scheme == "packages":
        parts = _PACKAGES.fullmatch(rest)
        if parts is None:
            raise _wrong(ref, "is not of the form packages:PREFIX1..N==VERSION")
        return PackageParts(parts[1], int(parts[2]), parts[3])
    if scheme == "hf":
        hub = _HUB.fullmatch(rest)
        if hub is None or ".." in rest:
            raise _wrong(ref, "is not of the form hf:ORG/NAME[@REVISION][/FILE]")
        return HubSource(hub["repo"], hub["revision"], hub["file"])
    if scheme == "path":
        if not rest:
            raise _wrong(ref, "names no file")
        return PathSource(Path(rest).expanduser().absolute())
    if scheme in ("http", "https"):
        return _url(ref)
    raise _wrong(ref, f"has the unknown scheme {scheme!r}; it must be {_FORMS}")


def default_name(source: Source) -> str:
    """A name made from the source's own: lower case, one word."""
    match source:
        case HubSource(repo=repo, file=file):
            text = PurePosixPath(file).stem if file else repo.partition("/")[2]
        case PathSource(path=path):
            text = path.stem if path.suffix.lower() == ".gguf" else path.name
        case UrlSource(url=url):
            text = PurePosixPath(unquote(urlsplit(url).path)).stem
        case PackageParts(prefix=prefix):
            text = prefix.removesuffix("-part")
    return check_name(re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:64] or "model")


def check_name(name: str) -> str:
    """The name itself, when it may be one.

    Raises:
        InvalidInput: it would not be safe as a folder name, or could be taken for a reference.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise InvalidInput(
            f"{name!r} cannot be a model's name.",
            field="name",
            fix="Use up to 64 small letters, digits, '.', '_' and '-', beginning with a letter or digit.",
        )
    return name


def _url(ref: str) -> UrlSource:
    parts = urlsplit(ref)
    if not parts.hostname or parts.username or parts.password:
        raise _wrong(ref, "has no host, or has a user name in it")
    if not parts.path.lower().endswith(".gguf"):
        raise _wrong(ref, "does not name a .gguf file")
    return UrlSource(parts._replace(fragment="").geturl())


def _wrong(ref: str, why: str) -> InvalidInput:
    return InvalidInput(f"{ref[:200]!r} {why}.", field="ref", fix="See `malmoi models add --help`.")
