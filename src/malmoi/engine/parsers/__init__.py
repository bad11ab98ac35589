"""Output parsers: a model's text in, visible text, reasoning and tool calls out, while it streams."""

from malmoi.engine.parsers.base import NewId, OutputParser, Parsed, ParsedDelta, collect, random_id
from malmoi.engine.parsers.parser import (
    Parser,
    ParserRules,
    ParserState,
    finish,
    parser_for,
    rules_for,
    start,
    step,
)

__all__ = [
    "NewId",
    "OutputParser",
    "Parsed",
    "ParsedDelta",
    "Parser",
    "ParserRules",
    "ParserState",
    "collect",
    "finish",
    "parser_for",
    "random_id",
    "rules_for",
    "start",
    "step",
]
