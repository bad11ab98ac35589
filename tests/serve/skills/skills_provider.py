"""A skill's provider for tests: it rents cars, and notes what it was told."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from malmoi.assist.skills.operation import CallContext, Card, CardAction, File, Operation, Result


def _operation(name: str, effect: Any, required: Sequence[str], **properties: Any) -> Operation:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return Operation(name, f"{name} cars.", {**schema, "additionalProperties": False}, effect)


class Cars:
    """Rents cars."""

    calls: ClassVar[list[tuple[str, dict[str, Any], CallContext]]] = []
    told: ClassVar[dict[str, Any]] = {}

    async def operations(self) -> Sequence[Operation]:
        place = {"type": "string", "enum": ["제주", "부산"]}
        return [
            _operation("search", "read", ["place"], place=place),
            _operation("book", "write", ["car_id"], car_id={"type": "string"}),
            _operation("read", "read", ["document_id"], document_id={"type": "string"}),
        ]

    async def call(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        self.calls.append((operation, dict(arguments), context))
        told = self.told.get(operation)
        if told is not None:
            return await told(arguments, context) if callable(told) else told
        if operation == "read":
            assert context.documents is not None
            return Result(data=await context.documents.text(arguments["document_id"]))
        if operation == "book":
            return Result(text=f"{arguments['car_id']} 예약을 마쳤습니다.")
        action = CardAction("예약", "book", {"car_id": "A-7"})
        return Result(
            data=[{"car_id": "A-7", "echo": context.credentials}],
            text="차 1대, 35,000원.",
            cards=(Card("car", "아반떼", actions=(action,)),),
            files=(File("차.csv", "text/csv", b"a,b"),),
        )

    async def close(self) -> None:
        pass
