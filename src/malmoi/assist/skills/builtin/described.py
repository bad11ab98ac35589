"""Skills in Python whose operations are described in a file beside them: what a model reads is data.

[distance]
description = "Distance between two points, ..."
effect = "read"                                  # "read" where it is left out
final = false                                    # true: what it writes cannot be undone
title = { ko = "거리", en = "Distance" }
[distance.parameters.properties.point]           # JSON Schema
type = "string"
"""

import asyncio
import tomllib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, TypeAlias

from malmoi.assist.skills.builtin.refusals import SkillRefused, refusal
from malmoi.assist.skills.builtin.texts import Texts
from malmoi.assist.skills.operation import CallContext, Operation, Result
from malmoi.core.errors import UnknownName

OPERATIONS = "operations.toml"

Deed: TypeAlias = Callable[[Mapping[str, Any], CallContext], Result | Awaitable[Result]]
"""What carries an operation out. It may block, as it runs in a thread, unless it is a coroutine function."""


class DescribedProvider:
    """A provider (`malmoi.assist.skills.operation.Provider`) of what its package describes.

    Args:
        package: that has `operations.toml` and `texts.toml`.
        deeds: by the name of their operation.
    """

    def __init__(self, package: str, deeds: Mapping[str, Deed]) -> None:
        self._operations = described_operations(package)
        self._texts = Texts(package)
        self._deeds = deeds

    async def operations(self) -> Sequence[Operation]:
        """What it can do."""
        return self._operations

    async def call(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        """Do it; what a deed does not do is said in the caller's language.

        Raises:
            UnknownName: there is no such operation.
        """
        deed = self._deeds.get(operation)
        if deed is None:
            raise UnknownName("operation", operation, self._deeds)
        try:
            done = await asyncio.to_thread(deed, arguments, context)
            return done if isinstance(done, Result) else await done
        except SkillRefused as refused:
            return refusal(refused, self._texts, context.language)

    async def close(self) -> None:
        """Nothing is held."""


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
            is_final=one.get("final", False),
        )
        for name, one in told.items()
    )
