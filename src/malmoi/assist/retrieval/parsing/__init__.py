"""Files to documents: each is read in a child process with limits, by one small module a format."""

from malmoi.assist.retrieval.parsing.formats import FormatInfo, known_formats
from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.assist.retrieval.parsing.parse import parse_file

__all__ = ["FormatInfo", "ParseLimits", "known_formats", "parse_file"]
