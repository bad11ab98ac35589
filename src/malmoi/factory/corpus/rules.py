"""What a rule about documents is.

A `Filter` looks at one document and gives a reason to drop it, or None. A `Change` gives the document back,
changed, with counts of what it did. Both are plain objects that know nothing of pipelines; `batches.py` puts
them into datatrove. Filters of other packages come in by the entry point group `malmoi.corpus_filters`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from malmoi.core.errors import ConfigError
from malmoi.core.registry import Registry
from malmoi.factory.corpus.documents import Document

S = TypeVar("S", bound="FilterSettings")


class Judge(Protocol):
    """Anything that can decide about a document."""

    name: str

    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`, in one lower-case word with underscores; None keeps it."""


class Change(Protocol):
    """Anything that gives a document back changed."""

    name: str

    def change(self, document: Document) -> tuple[Document, Mapping[str, int]]:
        """The new document, and how often each thing was done to it."""


class FilterSettings(BaseModel):
    """Base of every filter's settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    enabled: bool = True
    """Whether the filter looks at all."""


class Filter(ABC, Generic[S]):
    """One filter: made from its settings, it judges documents one at a time."""

    Settings: ClassVar[type[FilterSettings]]

    def __init__(self, settings: S) -> None:
        self.settings = settings

    @abstractmethod
    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`, or None."""


BUILT_IN = {
    "length": "malmoi.factory.corpus.filters.length:LengthFilter",
    "mojibake": "malmoi.factory.corpus.filters.mojibake:MojibakeFilter",
    "symbols": "malmoi.factory.corpus.filters.symbols:SymbolFilter",
    "words": "malmoi.factory.corpus.filters.words:WordFilter",
    "lines": "malmoi.factory.corpus.filters.lines:LineFilter",
    "repetition": "malmoi.factory.corpus.filters.repetition:RepetitionFilter",
    "boilerplate": "malmoi.factory.corpus.filters.boilerplate:BoilerplateFilter",
    "advertising": "malmoi.factory.corpus.filters.wordlists:AdvertisingFilter",
    "hate": "malmoi.factory.corpus.filters.wordlists:HateFilter",
}
"""The filters that always run unless they are disabled, cheap ones first."""


def corpus_filters() -> Registry[type]:
    """All filters by name, ours and those of installed packages; each entry is a subclass of `Filter`."""
    registry: Registry[type] = Registry("corpus_filter", expected=type)
    for name, target in BUILT_IN.items():
        registry.add(name, target)
    return registry


class SourceFilter:
    """One filter in all its settings: a document is judged by those of its source.

    Args:
        name: the filter's name, which is also the step's.
        default: for sources without settings of their own; None keeps their documents.
        by_source: for sources with settings of their own.
    """

    def __init__(
        self, name: str, default: Filter[Any] | None, by_source: Mapping[str, Filter[Any] | None]
    ) -> None:
        self.name = name
        self._default = default
        self._by_source = dict(by_source)

    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`, or None."""
        chosen = self._by_source.get(document.source, self._default)
        return chosen.judge(document) if chosen is not None else None


def build_filters(
    settings: Mapping[str, Mapping[str, Any]],
    by_source: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> list[SourceFilter]:
    """All filters that look at anything, in their order: ours, then the others that the settings name.

    Args:
        settings: filter name -> its settings.
        by_source: source name -> filter name -> settings that replace the general ones key by key.

    Raises:
        UnknownName: there is no such filter.
        ConfigError: a setting is unknown or wrong; the message names the filter and the key.
    """
    registry = corpus_filters()
    named = list(settings) + [name for own in by_source.values() for name in own]
    others = sorted(set(named) - set(BUILT_IN))
    built = []
    for name in [*BUILT_IN, *others]:
        general = dict(settings.get(name, {}))
        own = {
            source: _build(registry, name, {**general, **filters[name]}, f"sources.{source}.filters.{name}")
            for source, filters in by_source.items()
            if name in filters
        }
        # A filter of another package that only a source names looks at that source alone.
        asked = name in BUILT_IN or name in settings
        default = _build(registry, name, general, f"filters.{name}") if asked else None
        if default is not None or any(entry is not None for entry in own.values()):
            built.append(SourceFilter(name, default, own))
    return built


def _build(registry: Registry[type], name: str, values: dict[str, Any], where: str) -> Filter[Any] | None:
    kind = registry.get(name)
    if not issubclass(kind, Filter):
        raise ConfigError(
            f"the corpus filter {name!r} is {kind!r}, not a subclass of malmoi.factory.corpus.rules.Filter.",
            fix="Mend or remove the package that provides it.",
        )
    try:
        settings = kind.Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([where, *map(str, first["loc"])])
        known = ", ".join(sorted(kind.Settings.model_fields))
        raise ConfigError(f"{key}: {first['msg']}.", fix=f"Settings of this filter: {known}.") from error
    return kind(settings) if settings.enabled else None
