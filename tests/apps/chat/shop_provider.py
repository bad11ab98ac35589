"""Skills' providers for tests of attacks: a shop that looks, pays and reads, and a bank."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from malmoi.assist.skills.operation import CallContext, Operation, Result


def _operation(name: str, effect: Any, **properties: Any) -> Operation:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return Operation(name, f"{name}.", {**schema, "additionalProperties": False}, effect)


class Noted:
    """Answers as it is told, and notes every call."""

    calls: ClassVar[list[tuple[str, dict[str, Any]]]] = []
    told: ClassVar[dict[str, Any]] = {}

    async def call(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        self.calls.append((operation, dict(arguments)))
        if operation == "read_note":
            assert context.documents is not None
            return Result(text=await context.documents.text(arguments["document_id"]))
        told = self.told.get(operation, Result(data={"done": operation}))
        return told if isinstance(told, Result) else await told(arguments, context)

    async def close(self) -> None:
        pass


class Shop(Noted):
    """A shop."""

    async def operations(self) -> Sequence[Operation]:
        text = {"type": "string"}
        return [
            _operation("find_shop", "read", what=text),
            _operation("pay", "write", amount={"type": "integer"}),
            _operation("read_note", "read", document_id=text),
        ]


class Bank(Noted):
    """A bank."""

    async def operations(self) -> Sequence[Operation]:
        return [_operation("transfer", "write", to={"type": "string"})]
