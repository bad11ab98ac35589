"""Operations described in a file beside their provider: what a model reads is data, not code.

[distance]
description = "Distance between two points, ..."
effect = "read"                                  # "read" where it is left out
title = { ko = "거리", en = "Distance" }
[distance.parameters.properties.point]           # JSON Schema
type = "string"
"""

import tomllib
from importlib.resources import files

from malmoi.assist.skills.operation import Operation

OPERATIONS = "operations.toml"


def described_operations(package: str) -> tuple[Operation, ...]:
    """The operations of `operations.toml` in a package; none takes arguments that it does not name."""
    told = tomllib.loads(files(package).joinpath(OPERATIONS).read_text(encoding="utf-8"))
    return tuple(
        Operation(
            name=name,
            description=one["description"],
            parameters={
                "type": "object",
                "properties": {},
                "additionalProperties": False,
                **one.get("parameters", {}),
            },
            effect=one.get("effect", "read"),
            title=one.get("title", {}),
        )
        for name, one in told.items()
    )
