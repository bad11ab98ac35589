"""OpenAPI documents as operations: what the model sees, and every fault with its line."""

import json
from typing import Any

import pytest

from malmoi.assist.skills.openapi import Api, read_api, read_document


def api(paths: dict[str, Any], version: str = "3.1.0", **more: Any) -> tuple[Api, list[Any]]:
    root = {"openapi": version, "info": {"title": "t", "version": "1"}, "paths": paths, **more}
    document, findings = read_document(json.dumps(root, indent=1).encode(), file="openapi.json")
    assert findings == []
    assert document is not None
    return read_api(document)


def test_parameters_and_body_become_one_object() -> None:
    found, findings = api(
        {
            "/cars/{id}/bookings": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "post": {
                    "operationId": "book car",
                    "summary": "Book",
                    "description": "Book a car.",
                    "parameters": [
                        {"name": "days", "in": "query", "schema": {"type": "integer"}, "example": 2},
                        {"name": "X-Lang", "in": "header", "schema": {"type": "string"}},
                        {"name": "Authorization", "in": "header", "required": True},
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {
                                "schema": {
                                    "allOf": [
                                        {"$ref": "#/components/schemas/Person"},
                                        {"type": "object", "properties": {"id": {"type": "integer"}}},
                                    ]
                                }
                            }
                        },
                    },
                },
            }
        },
        components={
            "schemas": {
                "Person": {
                    "type": "object",
                    "required": ["name", "seen"],
                    "properties": {"name": {"type": "string"}, "seen": {"readOnly": True}},
                }
            }
        },
    )
    assert findings == []
    [endpoint] = found.endpoints
    operation = endpoint.operation
    assert (operation.name, operation.effect, operation.description) == (
        "book_car",
        "write",
        "Book\nBook a car.",
    )
    assert operation.parameters == {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "days": {"type": "integer", "examples": [2]},
            "X-Lang": {"type": "string"},
            "body_id": {"type": "integer"},
            "name": {"type": "string"},
        },
        "additionalProperties": False,
        "required": ["id", "name"],
    }
    assert endpoint.fields == {"body_id": "id", "name": "name"}


def test_the_words_of_3_0_become_those_of_3_1() -> None:
    schema = {
        "type": "integer",
        "nullable": True,
        "minimum": 1,
        "exclusiveMinimum": True,
        "maximum": 9,
        "exclusiveMaximum": False,
        "example": 3,
        "enum": [2, 3],
        "xml": {"name": "x"},
    }
    parameter = {"name": "n", "in": "query", "schema": schema}
    found, _ = api({"/a": {"get": {"parameters": [parameter]}}}, "3.0.3")
    assert found.endpoints[0].operation.parameters["properties"]["n"] == {
        "type": ["integer", "null"],
        "exclusiveMinimum": 1,
        "maximum": 9,
        "enum": [2, 3, None],
        "examples": [3],
    }


@pytest.mark.parametrize(
    ("method", "mark", "effect"),
    [
        ("get", None, "read"),
        ("head", None, "read"),
        ("post", None, "write"),
        ("post", "read", "read"),
        ("get", "write", "write"),
        ("delete", None, "write"),
        ("put", None, "write"),
    ],
)
def test_effects(method: str, mark: str | None, effect: str) -> None:
    said = {"x-malmoi-effect": mark} if mark else {}
    found, findings = api({"/a": {method: said}})
    assert findings == []
    assert found.endpoints[0].operation.effect == effect


@pytest.mark.parametrize(
    ("method", "mark", "final"),
    [("delete", None, True), ("delete", False, False), ("post", None, False), ("post", True, True)],
)
def test_what_cannot_be_undone(method: str, mark: bool | None, final: bool) -> None:
    said = {} if mark is None else {"x-malmoi-final": mark}
    found, findings = api({"/a": {method: said}})
    assert findings == []
    assert found.endpoints[0].operation.is_final is final
    _, findings = api({"/a": {method: {"x-malmoi-final": "yes"}}})
    assert "true or false" in findings[0].message


def test_a_missing_operation_id_is_made_from_method_and_path() -> None:
    path = [{"name": "id", "in": "path", "schema": {}}]
    found, _ = api({"/places/{id}/hours": {"get": {"parameters": path}}})
    assert found.endpoints[0].operation.name == "get_places_by_id_hours"


def test_a_schema_that_holds_itself_is_cut() -> None:
    node = {
        "type": "object",
        "properties": {"next": {"$ref": "#/components/schemas/Node"}, "v": {"type": "string"}},
    }
    found, findings = api(
        {
            "/a": {
                "post": {
                    "requestBody": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}}
                    }
                }
            }
        },
        components={"schemas": {"Node": node}},
    )
    assert findings == []
    assert found.endpoints[0].operation.parameters["properties"] == {"next": {}, "v": {"type": "string"}}


def test_a_schema_that_grows_without_end_is_refused() -> None:
    # Each level names the next one ten times: ten to the twelfth parts, written out.
    schemas = {
        f"L{n}": {
            "type": "object",
            "properties": {f"p{m}": {"$ref": f"#/components/schemas/L{n + 1}"} for m in range(10)},
        }
        for n in range(12)
    }
    schemas["L12"] = {"type": "string"}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/L0"}}}}
    _, findings = api({"/a": {"post": {"requestBody": body}}}, components={"schemas": schemas})
    assert [one.message for one in findings] == ["the schemas of this operation have more than 5000 parts."]


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({"parameters": [{"$ref": "https://evil.example/x.json"}]}, "outside of this document"),
        ({"parameters": [{"$ref": "#/components/parameters/none"}]}, "is not in this document"),
        ({"parameters": [{"$ref": "#/components/parameters/loop"}]}, "in a circle"),
        ({"parameters": [{"name": "c", "in": "cookie", "required": True}]}, "cannot be sent from here"),
        ({"parameters": [{"name": "Host", "in": "header", "required": True}]}, "cannot be sent from here"),
        ({"parameters": [{"name": "a b", "in": "header"}]}, "no name of a header"),
        ({"parameters": [{"name": "id", "in": "path"}]}, "which has no {id}"),
        ({"parameters": {}}, "`parameters` is a list"),
        ({"parameters": [{"name": "q", "in": "query", "schema": {"type": "text"}}]}, "arguments is wrong"),
        ({"requestBody": {"content": {"multipart/form-data": {}}}}, "the body must be"),
        ({"operationId": "!!"}, "needs letters or digits"),
        ({"x-malmoi-effect": "never"}, "`x-malmoi-effect`"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_faults_of_an_operation(operation: dict[str, Any], words: str) -> None:
    loop = {"loop": {"$ref": "#/components/parameters/loop"}}
    _, findings = api({"/a": {"post": operation}}, components={"parameters": loop})
    assert any(words in one.message and one.line > 5 for one in findings), findings


def test_faults_name_the_line() -> None:
    text = """{
 "openapi": "3.0.0",
 "paths": {
  "/a": {
   "get": {
    "operationId": "x",
    "parameters": [
     {"name": "q", "in": "query", "schema": {"$ref": "other.json"}}
    ]
   }
  },
  "/b": {"get": {"operationId": "x"}}
 }
}"""
    document, _ = read_document(text.encode(), file="a.json")
    assert document is not None
    _, findings = read_api(document)
    assert [(one.line, one.key) for one in findings] == [
        (8, "paths./a.get.parameters.0.schema"),
        (12, "paths./b.get"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('{"a": 1,\n "b" 2}', 2, "not JSON"),
        ('{"a": 1, "a": 2}', 0, "given twice"),
        ('{"a": NaN}', 0, "not JSON"),
        ("[1]", 1, "not an object"),
        ("a: 1\nb: [", 2, "not YAML"),
        ("a: &x [1]\nb: *x\n", 2, "aliases"),
        ("a: 1\na: 2\n", 2, "given twice"),
        ("a: !!python/object/apply:os.system ['true']\n", 0, "openapi"),
        ('{"a":' * 2000 + "1" + "}" * 2000, 0, "nested"),
        ("[" * 100000, 0, "nested"),
    ],
    ids=lambda value: str(value)[:16],
)
def test_documents_that_cannot_be_read(text: str, line: int, words: str) -> None:
    document, findings = read_document(text.encode(), file="x")
    if document is not None:  # it was read, and made nothing but plain values
        _, findings = read_api(document)
    assert words in findings[0].message, findings
    assert line in (findings[0].line, 0)


def test_yaml_says_the_same_as_json() -> None:
    text = """openapi: 3.0.1
info: {title: t, version: '1'}
paths:
  /a:
    get:
      operationId: a
      parameters:
        - {name: day, in: query, required: yes, schema: {type: string, example: 2026-01-01}}
"""
    document, findings = read_document(text.encode(), file="a.yaml")
    assert findings == []
    assert document is not None
    found, findings = read_api(document)
    assert findings == []
    assert found.endpoints[0].operation.parameters == {
        "type": "object",
        "properties": {"day": {"type": "string", "examples": ["2026-01-01"]}},
        "additionalProperties": False,
        "required": ["day"],
    }
    assert document.line(("paths", "/a", "get", "parameters", 0)) == 8


@pytest.mark.parametrize(
    ("scheme", "kind"),
    [
        ({"type": "http", "scheme": "bearer"}, "bearer"),
        ({"type": "http", "scheme": "Basic"}, "basic"),
        ({"type": "apiKey", "name": "X-Key", "in": "header"}, "api_key"),
        ({"type": "oauth2", "flows": {}}, "bearer"),
        ({"type": "apiKey", "name": "sid", "in": "cookie"}, "none"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_security_schemes_say_what_a_person_gives(scheme: dict[str, str], kind: str) -> None:
    found, _ = api(
        {"/a": {"get": {}, "post": {"security": []}}},
        components={"securitySchemes": {"s": scheme}},
        security=[{"s": []}],
    )
    assert found.auth.kind == kind
    assert [one.secured for one in found.endpoints] == [True, False]


def test_servers_and_versions() -> None:
    servers = [{"url": "https://{region}.example/v1", "variables": {"region": {"default": "kr"}}}]
    assert api({"/a": {"get": {}}}, servers=servers)[0].base_url == "https://kr.example/v1"
    assert "OpenAPI" in api({}, swagger="2.0", openapi=2)[1][0].message
    assert api({}, "4.0.0")[1][0].key == "openapi"
    assert "no operations" in api({})[1][0].message
