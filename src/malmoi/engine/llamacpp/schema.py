"""JSON Schema to a grammar that llama.cpp obeys (its llguidance sampler).

Two facts of this llama.cpp shape the file. It compiles the schema with llguidance, whether it comes as
`json_schema` or through `json_schema_to_grammar`; and when llguidance refuses a schema, text is generated
unconstrained with status 200. So unknown keywords are relaxed (`lenient`) instead of refused, and
`LlamaCppEngine` probes every new grammar with a token that no JSON text can begin with before it is trusted.
"""

import json
from collections.abc import Mapping
from typing import Any

from malmoi.core.errors import InvalidInput
from malmoi.core.types import JsonSchema

MAX_BYTES = 64 << 10
MAX_DEPTH = 64

# Larger counts are left out of a grammar, and only looked at in the answer: compiling them takes llama.cpp
# seconds to minutes, in which it answers nobody.
MAX_COUNT = 1000
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_DATA = frozenset({"const", "default", "enum", "examples"})  # what is below is no schema

# One-line JSON as Python writes it: with free white space, small models write blanks until their tokens
# run out.
_STYLE = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": True,
    "coerce_one_of": True,
}
HEADER = "%llguidance"


def schema_grammar(schema: JsonSchema) -> str:
    """The grammar of the JSON texts that fit `schema`; keywords it cannot express are left out of it.

    Raises:
        InvalidInput: it is no schema, too large or too deep.
    """
    field = "json_schema"
    depth = _depth(schema, MAX_DEPTH + 1)
    if depth > MAX_DEPTH:
        raise InvalidInput(
            f"the JSON schema is nested deeper than {MAX_DEPTH}.", field=field, fix="Use $defs and $ref."
        )
    try:
        text = json.dumps(
            {**_without_large_counts(schema), "x-guidance": _STYLE}, ensure_ascii=False, allow_nan=False
        )
        size = len(text.encode())
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the JSON schema is not plain JSON: {error}.", field=field) from error
    if size > MAX_BYTES:
        raise InvalidInput(f"the JSON schema has {size} bytes, more than {MAX_BYTES}.", field=field)
    return f"{HEADER} {{}}\nstart: %json {text}\n"


def check_gbnf(grammar: str) -> str:
    """A grammar of the caller's own, as it is.

    Raises:
        InvalidInput: it is empty, too large, or not GBNF.
    """
    if not grammar.strip() or len(grammar) > MAX_BYTES:
        raise InvalidInput(f"the grammar must have 1 to {MAX_BYTES} characters.", field="grammar")
    if grammar.lstrip().startswith(HEADER):
        raise InvalidInput(
            "the grammar is written for llguidance, not in GBNF.",
            field="grammar",
            fix="Use json_schema, or GBNF.",
        )
    return grammar


def _without_large_counts(node: Any) -> Any:
    """The same schema without counts beyond `MAX_COUNT`; its depth is bounded already."""
    if isinstance(node, (list, tuple)):
        return [_without_large_counts(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    return {
        name: value if name in _DATA else _without_large_counts(value)
        for name, value in node.items()
        if not (name in _COUNTS and isinstance(value, (int, float)) and abs(value) > MAX_COUNT)
    }


def _depth(value: Any, limit: int) -> int:
    """How deep `value` is nested, counted up to `limit`; without recursion."""
    level, depth = [value], 0
    while level and depth < limit:
        depth += 1
        level = [
            child
            for item in level
            if isinstance(item, (dict, list, tuple))
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list, tuple))
        ]
    return depth
