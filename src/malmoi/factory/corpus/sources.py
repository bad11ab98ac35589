"""What a source of text is: which files, which fields of their rows, whose it is, how much of it to use."""

from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class SourceSettings(BaseModel):
    """One source of the corpus."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[^\W_][\w.-]{0,63}$")
    """Short and unique; it also names files, so letters, digits, `_`, `-` and `.` only."""
    paths: tuple[str, ...] = Field(min_length=1)
    """Globs relative to the data folder, such as `news/**/*.jsonl.gz`."""
    fields: tuple[str, ...] = ()
    """Fields of a row that are its text, joined by a newline. Empty: the first of the usual names."""
    group_by: str | None = None
    """Rows that follow one another with the same value of this field are one document."""
    columns: tuple[str, ...] = ()
    """Names of the columns of .csv and .tsv files without a first row of names."""
    quoted: bool | None = None
    """Whether cells may stand in quotation marks. Not said: in .csv yes, in .tsv no."""
    documents: Literal["file", "paragraph", "line"] = "file"
    """What is one document in a .txt or .md file; "paragraph" ends at an empty line."""
    id_field: str | None = None
    """The field that identifies a row. Not said: its file and number do."""
    url_field: str = "url"
    """The field that holds a row's web address, for the opt-out list; rows may lack it."""
    language: str = Field("auto", pattern=r"^(auto|code|[a-z]{2,3})$")
    """The language of the whole source, "code", or "auto": each document is identified."""
    group: Literal["auto", "korean", "other", "code"] = "auto"
    """The third of the mixture this source belongs to; "auto": by the language of most of its text."""
    license: str = "unknown"
    """The licence of all documents, as an SPDX identifier where there is one."""
    license_field: str | None = None
    """The field that holds a row's own licence; rows without it have `license`."""
    weight: float | None = Field(None, ge=0)
    """The source's share within its group, relative to the other weights; not said: by its size."""
    epochs: float | None = Field(None, gt=0)
    """How often its documents may be repeated at most."""
    max_bytes: int | None = Field(None, gt=0)
    """UTF-8 bytes of text to use at most; documents are drawn by their ids, so a larger limit adds some."""
    max_share: float | None = Field(None, gt=0, le=1)
    """The largest share of its group that it may make up."""
    filters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of filters for this source alone, such as `{length = {min_characters = 4}}`."""

    @field_validator("paths")
    @classmethod
    def _stay_inside(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            parts = PurePosixPath(path).parts
            if not parts or PurePosixPath(path).is_absolute() or ".." in parts or "\0" in path:
                raise ValueError(f"{path!r} must be a path inside the data folder, without '..'")
        return paths
