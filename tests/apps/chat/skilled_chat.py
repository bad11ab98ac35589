"""Conversations with skills, for tests: a skill that rents cars, and what a stream of a reply holds."""

import sys
import uuid
from pathlib import Path
from typing import Any

from chat_server import Server

sys.path.insert(0, str(Path(__file__).parents[2] / "serve" / "skills"))
from skills_provider import Cars
from skills_server import put_skill

FIND = "제주 렌터카 찾아줘"
BOOK = "A-7 예약을 마쳤습니다."

__all__ = [
    "BOOK",
    "FIND",
    "Cars",
    "ask_for",
    "card_call",
    "confirm_of",
    "put_rental",
    "put_skill_file",
    "reply_of",
    "trace_of",
]


def put_rental(home: Path, more: str = "") -> None:
    """The skill `rental`, which searches, books and reads documents."""
    put_skill(home, more=more)


def put_skill_file(home: Path, name: str, python: str, examples: dict[str, str]) -> None:
    """A skill of its own domain; `examples` are query -> operation."""
    folder = home / "skills" / name
    folder.mkdir(parents=True)
    lines = [
        f'name = "{name}"\ndomain = "{name}"\nversion = "1"\ndescription = "{name}."\ndocuments = true',
        f'[people.ko]\nname = "{name}"\ndescription = "{name}"',
        *(f'[[examples]]\nquery = "{query}"\noperation = "{one}"' for query, one in examples.items()),
        f'[source]\npython = "{python}"\n',
    ]
    (folder / "skill.toml").write_text("\n".join(lines), encoding="utf-8")


def card_call(operation: str = "book", **arguments: Any) -> dict[str, Any]:
    """What a card's button sends."""
    return {"skill": "rental", "operation": operation, "arguments": arguments or {"car_id": "A-7"}}


async def ask_for(server: Server, conversation_id: str, content: str, **fields: Any) -> list[tuple[str, Any]]:
    """Ask, and read the whole stream."""
    body = {"content": content, "client_id": uuid.uuid4().hex, **fields}
    return await server.events("POST", f"conversations/{conversation_id}/messages", body)


def reply_of(events: list[tuple[str, Any]]) -> dict[str, Any]:
    """The reply as it was saved."""
    name, data = events[-1]
    assert name in ("done", "error"), events
    return dict(data["message"])


def confirm_of(events: list[tuple[str, Any]]) -> dict[str, Any]:
    """What a yes to the call that waits has to say."""
    data = [data["data"] for name, data in events if name == "stage" and data["kind"] == "confirm"][-1]
    return {"call_id": data["call_id"], "arguments_hash": data["arguments_hash"]}


async def trace_of(server: Server, reply: dict[str, Any]) -> dict[str, Any]:
    """The run of a reply with its stages."""
    answer = await server.client.get(f"/api/skills/runs/{reply['run_id']}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
