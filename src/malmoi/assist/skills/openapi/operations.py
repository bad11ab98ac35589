"""The operations of a document: what the model sees of each, and what a request needs to know."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import jsonschema

from malmoi.assist.skills.finding import Finding
from malmoi.assist.skills.manifest import Auth
from malmoi.assist.skills.openapi.document import ApiDocument, Path
from malmoi.assist.skills.openapi.schema import SchemaReader, merge_all_of
from malmoi.assist.skills.operation import Effect, Operation

Place: TypeAlias = Literal["path", "query", "header"]
BodyKind: TypeAlias = Literal["json", "form", "none"]

MAX_OPERATIONS = 100
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_READS = frozenset({"get", "head", "options"})
_SPARE = re.compile(r"[^A-Za-z0-9_-]+")
_HOLE = re.compile(r"\{([^{}]*)\}")
# Headers that a call must not choose: they say where a request goes, who sends it, or how long it is.
_FIXED_HEADERS = frozenset(
    [
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "origin",
        "proxy-authorization",
        "referer",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
    ]
)


@dataclass(frozen=True, slots=True)
class Slot:
    """Where an argument goes in a request.

    Attributes:
        argument: its name for the model.
        name: its name for the server.
        place: of the request.
        style: of OpenAPI; how lists and objects are written.
        explode: of OpenAPI.
    """

    argument: str
    name: str
    place: Place
    style: str
    explode: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of an API.

    Attributes:
        operation: for the model.
        method: in capitals.
        path: with its holes, such as `/places/{id}`.
        slots: arguments outside of the body.
        body: how the body is written.
        fields: arguments that are properties of the body, by argument; the server's names.
        whole: the argument that is the whole body; empty: it is made of `fields`.
        secured: whether the caller's key is sent.
    """

    operation: Operation
    method: str
    path: str
    slots: tuple[Slot, ...]
    body: BodyKind
    fields: Mapping[str, str]
    whole: str
    secured: bool


@dataclass(frozen=True, slots=True)
class Api:
    """What a document says.

    Attributes:
        title: of the API.
        base_url: of the first server; it may be relative, or empty.
        endpoints: its operations, in order.
        auth: what its security scheme asks of each person.
    """

    title: str
    base_url: str
    endpoints: tuple[Endpoint, ...]
    auth: Auth


def read_api(document: ApiDocument) -> tuple[Api, list[Finding]]:
    """All operations of a document, and everything that is wrong with it."""
    return _Reader(document).read()


class _Reader:
    """Goes through one document."""

    def __init__(self, document: ApiDocument) -> None:
        self._document = document
        self._root = document.value
        self._findings: list[Finding] = []
        self._schemas = SchemaReader(document, self._findings)

    def read(self) -> tuple[Api, list[Finding]]:
        version = self._root.get("openapi")
        if not isinstance(version, str) or not re.fullmatch(r"3\.[01]\.\d+", version):
            if "swagger" in self._root:
                self._fault(("swagger",), "this is Swagger 2; convert it to OpenAPI 3.0 or 3.1.")
            else:
                self._fault(("openapi",), "`openapi` must be 3.0.x or 3.1.x.")
            return Api("", "", (), Auth()), self._findings
        info = self._object(self._root.get("info", {}), ("info",))
        endpoints: list[Endpoint] = []
        names: dict[str, Path] = {}
        paths = self._object(self._root.get("paths", {}), ("paths",))
        for route, item in paths.items():
            where: Path = ("paths", route)
            if not str(route).startswith("/"):
                self._fault(where, "a path begins with /.")
                continue
            item, place = self._schemas.resolve(item, where)
            item = self._object(item, place)
            for method in (one for one in _METHODS if one in item):
                here = (*place, method)
                endpoint = self._endpoint(str(route), method, item, here)
                name = endpoint.operation.name
                if name in names:
                    self._fault(here, f"the operation {name!r} is there twice; give one another operationId.")
                    continue
                names[name] = here
                endpoints.append(endpoint)
        if not endpoints and not self._findings:
            self._fault(("paths",), "the document has no operations.")
        if len(endpoints) > MAX_OPERATIONS:
            self._fault(("paths",), f"{len(endpoints)} operations; at most {MAX_OPERATIONS} are possible.")
        return Api(
            str(info.get("title", "")), self._base_url(), tuple(endpoints), self._auth()
        ), self._findings

    def _endpoint(self, route: str, method: str, item: Mapping[str, Any], here: Path) -> Endpoint:
        self._schemas.start()
        said = self._object(item[method], here)
        properties: dict[str, Any] = {}
        required: list[str] = []
        slots = self._slots(item, said, here, properties, required)
        holes = set(_HOLE.findall(route))
        filled = {slot.name for slot in slots if slot.place == "path"}
        for hole in sorted(holes - filled):
            self._fault(here, f"the path has {{{hole}}}, which is not among the parameters.")
        for extra in sorted(filled - holes):
            self._fault(here, f"the parameter {extra!r} is said to be in the path, which has no {{{extra}}}.")
        body, fields, whole = self._body(said, here, properties, required)
        schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            schema["required"] = required
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            at = ".".join(str(part) for part in error.absolute_path)
            self._fault(here, f"the schema of the arguments is wrong at {at or 'its top'}: {error.message}")
        security = said.get("security", self._root.get("security"))
        return Endpoint(
            operation=Operation(
                name=self._name(said, route, method, here),
                description=_description(said, route, method),
                parameters=schema,
                effect=self._effect(said, method, here),
                is_final=self._is_final(said, method, here),
            ),
            method=method.upper(),
            path=route,
            slots=tuple(slots),
            body=body,
            fields=fields,
            whole=whole,
            secured=not (isinstance(security, list) and not security),
        )

    def _slots(
        self,
        item: Mapping[str, Any],
        said: Mapping[str, Any],
        here: Path,
        properties: dict[str, Any],
        required: list[str],
    ) -> list[Slot]:
        chosen: dict[tuple[str, str], tuple[Mapping[str, Any], Path]] = {}
        for owner, base in ((item, here[:-1]), (said, here)):
            listed = owner.get("parameters", [])
            if not isinstance(listed, list):
                self._fault((*base, "parameters"), "`parameters` is a list.")
                continue
            for number, one in enumerate(listed):
                one, place = self._schemas.resolve(one, (*base, "parameters", number))
                one = self._object(one, place)
                chosen[str(one.get("name", "")), str(one.get("in", ""))] = (one, place)
        slots: list[Slot] = []
        for (name, where), (one, place) in chosen.items():
            must = one.get("required") is True or where == "path"
            if where == "cookie" or (where == "header" and name.lower() in _FIXED_HEADERS):
                if must and name.lower() not in ("authorization", "accept", "content-type"):
                    self._fault(place, f"the {where} {name!r} cannot be sent from here.")
                continue
            if where not in ("path", "query", "header") or not name:
                self._fault(place, "a parameter needs `name`, and `in`: path, query or header.")
                continue
            if where == "header" and not re.fullmatch(r"[A-Za-z0-9-]+", name):
                self._fault(place, f"{name!r} is no name of a header.")
                continue
            argument = _free(name, where, properties)
            content = one.get("content")
            schema_value, schema_path = one.get("schema", {}), (*place, "schema")
            if isinstance(content, Mapping) and content:
                kind = next(iter(content))
                schema_value = self._object(content[kind], (*place, "content", kind)).get("schema", {})
                schema_path = (*place, "content", kind, "schema")
            schema = self._schemas.read(schema_value, schema_path)
            if isinstance(one.get("description"), str) and "description" not in schema:
                schema["description"] = one["description"]
            if "example" in one and "examples" not in schema:
                schema["examples"] = [one["example"]]
            properties[argument] = schema
            if must:
                required.append(argument)
            style = str(one.get("style", "form" if where == "query" else "simple"))
            if isinstance(content, Mapping) and content:
                style = "json"
            explode = one.get("explode")
            slots.append(
                Slot(
                    argument=argument,
                    name=name,
                    place="path" if where == "path" else "query" if where == "query" else "header",
                    style=style,
                    explode=explode if isinstance(explode, bool) else style == "form",
                )
            )
        return slots

    def _body(
        self, said: Mapping[str, Any], here: Path, properties: dict[str, Any], required: list[str]
    ) -> tuple[BodyKind, dict[str, str], str]:
        if "requestBody" not in said:
            return "none", {}, ""
        body, place = self._schemas.resolve(said["requestBody"], (*here, "requestBody"))
        body = self._object(body, place)
        content = self._object(body.get("content", {}), (*place, "content"))
        kinds = {str(kind).partition(";")[0].strip().lower(): kind for kind in content}
        chosen: tuple[BodyKind, Any] | None = None
        for kind, key in kinds.items():
            if kind == "application/json" or kind.endswith("+json") or kind == "*/*":
                chosen = ("json", key)
                break
            if kind == "application/x-www-form-urlencoded" and chosen is None:
                chosen = ("form", key)
        if chosen is None:
            self._fault(
                (*place, "content"), "the body must be application/json or application/x-www-form-urlencoded."
            )
            return "none", {}, ""
        kind_name, key = chosen
        media = self._object(content[key], (*place, "content", key))
        schema = merge_all_of(self._schemas.read(media.get("schema", {}), (*place, "content", key, "schema")))
        must = body.get("required") is True
        if "properties" not in schema or any(word in schema for word in ("anyOf", "oneOf", "allOf")):
            whole = _free("body", "body", properties)
            properties[whole] = schema
            if must:
                required.append(whole)
            return kind_name, {}, whole
        fields: dict[str, str] = {}
        for name, one in schema["properties"].items():
            argument = _free(str(name), "body", properties)
            properties[argument] = one
            fields[argument] = str(name)
            if must and name in schema.get("required", []):
                required.append(argument)
        return kind_name, fields, ""

    def _effect(self, said: Mapping[str, Any], method: str, here: Path) -> Effect:
        told = said.get("x-malmoi-effect")
        if told == "read":
            return "read"
        if told == "write":
            return "write"
        if told is not None:
            self._fault((*here, "x-malmoi-effect"), '`x-malmoi-effect` is "read" or "write".')
        return "read" if method in _READS else "write"

    def _is_final(self, said: Mapping[str, Any], method: str, here: Path) -> bool:
        told = said.get("x-malmoi-final", method == "delete")
        if not isinstance(told, bool):
            self._fault((*here, "x-malmoi-final"), "`x-malmoi-final` is true or false.")
        return told is True

    def _name(self, said: Mapping[str, Any], route: str, method: str, here: Path) -> str:
        told = said.get("operationId")
        if told is not None and not isinstance(told, str):
            self._fault((*here, "operationId"), "`operationId` is text.")
        made = f"{method}_" + _HOLE.sub(r"by_\1", route)
        base = told if isinstance(told, str) and told else made
        name = re.sub("__+", "_", _SPARE.sub("_", base)).strip("_")[:64]
        if not name:
            self._fault((*here, "operationId"), "`operationId` needs letters or digits (A-Z, 0-9, _ and -).")
        return name

    def _base_url(self) -> str:
        servers = self._root.get("servers")
        if not isinstance(servers, list) or not servers:
            return ""
        first = self._object(servers[0], ("servers", 0))
        url = str(first.get("url", ""))
        variables = self._object(first.get("variables", {}), ("servers", 0, "variables"))
        for name, told in variables.items():
            if isinstance(told, Mapping):
                url = url.replace(f"{{{name}}}", str(told.get("default", "")))
        if "{" in url:
            self._fault(("servers", 0), "the address has variables without a default.")
        return url

    def _auth(self) -> Auth:
        """What the first security requirement asks for, as far as a person can give it."""
        components = self._object(self._root.get("components", {}), ("components",))
        schemes = components.get("securitySchemes")
        needed = self._root.get("security")
        if not isinstance(schemes, Mapping) or not isinstance(needed, list):
            return Auth()
        for one in needed:
            for name in one if isinstance(one, Mapping) else ():
                scheme, _ = self._schemas.resolve(
                    schemes.get(name, {}), ("components", "securitySchemes", name)
                )
                found = _auth_of(scheme if isinstance(scheme, Mapping) else {})
                if found is not None:
                    return found
        return Auth()

    def _object(self, value: Any, path: Path) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        self._fault(path, "this must be an object.")
        return {}

    def _fault(self, path: Path, message: str) -> None:
        self._findings.append(self._document.finding("error", path, message))


def _auth_of(scheme: Mapping[str, Any]) -> Auth | None:
    kind, way = scheme.get("type"), str(scheme.get("scheme", "")).lower()
    if (kind == "http" and way == "bearer") or kind in ("oauth2", "openIdConnect"):
        return Auth(kind="bearer")
    if kind == "http" and way == "basic":
        return Auth(kind="basic")
    name, place = str(scheme.get("name", "")), scheme.get("in")
    if kind == "apiKey" and re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name) and place in ("header", "query"):
        return Auth(kind="api_key", name=name, place="query" if place == "query" else "header")
    return None


def _description(said: Mapping[str, Any], route: str, method: str) -> str:
    texts = [str(said[key]).strip() for key in ("summary", "description") if isinstance(said.get(key), str)]
    return "\n".join(dict.fromkeys(text for text in texts if text)) or f"{method.upper()} {route}"


def _free(name: str, where: str, taken: Mapping[str, Any]) -> str:
    """A name for an argument that no other one has."""
    plain = _SPARE.sub("_", name)[:64] or where
    while plain in taken:
        plain = f"{where}_{plain}"[:64] if not plain.startswith(f"{where}_") else f"{plain[:60]}_2"
    return plain
