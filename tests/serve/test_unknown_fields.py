"""Bodies with a field that nobody knows: our own API says so, others let it pass as their originals do."""

import re
from pathlib import Path
from typing import Any

from gateway import running
from malmoi.apps.chat import app as chat
from malmoi.apps.redteam import app as redteam


def objects(schema: Any, schemas: dict[str, Any], seen: set[str]) -> list[tuple[str, dict[str, Any]]]:
    """Every object with named fields in a schema, whatever it lies in."""
    found: list[tuple[str, dict[str, Any]]] = []
    if isinstance(schema, list):
        return [one for part in schema for one in objects(part, schemas, seen)]
    if not isinstance(schema, dict):
        return found
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name and name not in seen:
        seen.add(name)
        found += objects(schemas[name], schemas, seen)
    if "properties" in schema:
        found.append((schema.get("title", "?"), schema))
    return found + [one for part in schema.values() for one in objects(part, schemas, seen)]


async def test_every_body_of_our_own_api_knows_its_fields(home: Path) -> None:
    async with running(home, apps=[chat, redteam]) as gateway:
        document = gateway.app.openapi()
        gateway.client.headers["X-Malmoi-CSRF"] = (await gateway.client.get("/api/session")).json()["csrf"]
        asked = 0
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                content = operation.get("requestBody", {}).get("content", {})
                if not path.startswith("/api/") or "application/json" not in content:
                    continue
                schema = content["application/json"]["schema"]
                for title, one in objects(schema, document["components"]["schemas"], set()):
                    assert one.get("additionalProperties", True) is not True, (method, path, title)
                address = re.sub(r"\{[^}]*\}", "x", path)
                answer = await gateway.client.request(method, address, json={"no_such_field": 1})
                error = answer.json()["error"]
                assert (answer.status_code, error["field"]) == (400, "no_such_field"), (method, path, error)
                assert "there is no such field; " in error["message"]
                asked += 1
        assert asked > 30


async def test_the_nearest_name_is_told(home: Path) -> None:
    async with running(home, apps=[chat]) as gateway:
        gateway.client.headers["X-Malmoi-CSRF"] = (await gateway.client.get("/api/session")).json()["csrf"]
        for body, message in (
            ({"titel": "a"}, "titel: there is no such field; did you mean 'title'?"),
            (
                {"sampling": {"temprature": 1}},
                "sampling.temprature: there is no such field; did you mean 'temperature'?",
            ),
        ):
            answer = await gateway.post("/api/chat/conversations", body)
            assert answer.json()["error"]["message"] == message
        # As its original: a field that some other server knows is no fault.
        assert (await gateway.chat(titel="a")).status_code == 200
