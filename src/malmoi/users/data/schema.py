"""What the columns of a file of events mean: a TOML file, or these classes.

min_user = 5

[[sources]]
files = ["shop/*.csv.gz"]
service_name = "shop"
user = "customer_id"
item = "product_id"
time = "bought_at"                 # time_unit = "iso", "s" or "ms"
template = "{{ brand }} {{ title }} 구매"

[[sources]]
files = ["search.jsonl"]
service_name = "search"
user = "uid"
item = "query"                     # what was searched for is the item
text = "query"
time = "ts"
time_unit = "ms"
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from malmoi.core.config import ConfigTree, read_toml
from malmoi.core.stage import NEUTRAL, StageConfig

Format = Literal["auto", "csv", "jsonl", "parquet", "amazon_seq", "recbole", "amazon2018"]
TimeUnit = Literal["iso", "s", "ms"]


class TextColumns(StageConfig):
    """Where an item's text comes from, and how the file is written."""

    item: str = Field(default="item", min_length=1)
    """Column with the item's id."""
    service: str | None = None
    """Column with the name of the service; None: all rows are of `service_name`."""
    text: str | None = None
    """Column with the item's text."""
    template: str | None = None
    """Jinja template of the item's text over the columns, such as "{{ brand }} {{ title }}"; a column whose
    name is no identifier is row["its name"]."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """Between the columns of a CSV file; None: a tab for .tsv, .inter and .item, else a comma."""
    quote: str = Field(default='"', max_length=1)
    """Around texts of a CSV file; empty: there are no quotes."""

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if self.text is not None and self.template is not None:
            raise ValueError("give text (a column) or template, not both")
        return self


class ItemFiles(TextColumns):
    """Files with one row an item, where events name items by their ids alone."""

    files: tuple[str, ...] = Field(min_length=1)
    """Paths or patterns."""
    unknown: Literal["keep", "drop"] = "keep"
    """What becomes of events with items that these files have not: kept, the id as text, or dropped."""


class LogSchema(TextColumns):
    """What the columns of events mean."""

    user: str = Field(default="user", min_length=1)
    """Column with the user's id."""
    time: str | None = "time"
    """Column with the time; None: the file is in order of time."""
    time_unit: TimeUnit = "iso"
    """How times are written: ISO 8601 (UTC where they have no zone), or seconds or milliseconds from 1970."""


class Source(LogSchema):
    """Files of one service, or of several that a column names."""

    files: tuple[str, ...] = Field(min_length=1)
    """Paths or patterns, also compressed by gzip (.gz)."""
    format: Format = "auto"
    """auto: by the file's name (.csv .tsv .jsonl .json .parquet .inter); the others are published formats."""
    service_name: str = Field(default="logs", min_length=1)
    """Of the service, where no column names it."""
    items: ItemFiles | None = None
    """Files with the texts of items."""

    @model_validator(mode="after")
    def _same_service(self) -> Self:
        if self.service is not None and self.items is not None and self.items.service is None:
            raise ValueError("events name their service by a column, so items.service must name one too")
        return self


class ImportSettings(StageConfig):
    """What is read, and what is kept of it."""

    sources: tuple[Source, ...] = Field(min_length=1)
    """In order; where times are equal, earlier sources come first."""
    min_user: int = Field(default=1, ge=1)
    """Events that a user must have; with `min_item` this is the k-core: both hold at once in the end."""
    min_item: int = Field(default=1, ge=1)
    """Events that an item must have."""
    max_history: int = Field(default=10_000, ge=1)
    """Most recent events that are kept of a user."""
    duplicates: Literal["drop", "keep"] = "drop"
    """What becomes of events that agree in user, service, item and time."""
    strict: bool = False
    """Whether the first bad row is an error; else it is counted and kept in rejects.jsonl, and the rest goes
    on."""
    limit: int | None = Field(default=None, ge=1)
    """Rows of each file that are read; None: all."""
    max_rejects: int = Field(default=1000, ge=0, json_schema_extra=NEUTRAL)
    """Bad rows of each file that are kept in rejects.jsonl; all are counted."""
    memory: float = Field(default=2.0, gt=0.1, json_schema_extra=NEUTRAL)
    """Gigabytes that the import may hold; the rest goes to disk."""
    threads: int | None = Field(default=None, ge=1, json_schema_extra=NEUTRAL)
    """None: one for each core."""


def read_schema(
    file: Path | None,
    *,
    files: tuple[str, ...] = (),
    format: Format | None = None,
    overrides: dict[str, Any] | None = None,
) -> ImportSettings:
    """Settings from a TOML file; patterns in it are relative to its folder.

    A schema without [[sources]] may hold the keys of one source at the top; `files` are then what it reads.

    Args:
        file: the schema; None: the usual names of columns.
        files: what to read, where the schema does not say.
        format: of these files; None: as the schema says, or by their names.
        overrides: keys of `ImportSettings`, or of every source, that win over the file.

    Raises:
        ConfigError: the file is missing or wrong; the message names the key.
    """
    tree = ConfigTree()
    values = read_toml(file) if file is not None else {}
    own = set(Source.model_fields)
    of_sources = {key: value for key, value in (overrides or {}).items() if key in own}
    if "sources" not in values:
        source = {key: values.pop(key) for key in list(values) if key in own}
        if files:
            source["files"] = list(files)
        if format is not None:
            source["format"] = format
        values["sources"] = [source]
    elif files:
        from malmoi.core.errors import ConfigError

        raise ConfigError(
            f"{file} says itself which files to read, in [[sources]].", fix="Leave out FILES, or [[sources]]."
        )
    if of_sources and isinstance(values["sources"], list):
        values["sources"] = [{**source, **of_sources} for source in values["sources"]]
    values.update({key: value for key, value in (overrides or {}).items() if key not in own})
    tree.merge(values, origin=str(file) if file is not None else "the import")
    return tree.validate(ImportSettings)


def find_files(patterns: tuple[str, ...], base: Path | None) -> list[Path]:
    """Files that match, in order of the patterns and then of their names; relative ones below `base`.

    Raises:
        InvalidInput: a pattern matches nothing.
    """
    from glob import glob

    from malmoi.core.errors import InvalidInput

    found: dict[Path, None] = {}
    for pattern in patterns:
        at = Path(pattern).expanduser()
        whole = at if at.is_absolute() or base is None else base / at
        # A file may be named like a pattern.
        matches = [whole] if whole.is_file() else [Path(m) for m in sorted(glob(str(whole), recursive=True))]
        matches = [match for match in matches if match.is_file()]
        if not matches:
            raise InvalidInput(
                f"no file matches {pattern}" + (f" in {base}." if base is not None else "."),
                field="files",
                fix="Give the paths of your files; quote patterns with * in the shell.",
            )
        found.update(dict.fromkeys(match.resolve() for match in matches))
    return list(found)
