"""A skill that is ready to be called: its manifest laid over what its source says."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema

from malmoi.assist.egress import Egress
from malmoi.assist.skills.cards import cards_of, in_language, sentence
from malmoi.assist.skills.finding import Finding, refuse_errors
from malmoi.assist.skills.hints import with_plain_hints
from malmoi.assist.skills.limits import SkillLimits
from malmoi.assist.skills.manifest import Auth, OperationText, Skill
from malmoi.assist.skills.openapi import Api, ApiDocument, OpenApiProvider, read_api, read_document
from malmoi.assist.skills.openapi.provider import Way
from malmoi.assist.skills.operation import CallContext, Operation, Provider, Result
from malmoi.assist.skills.python import open_python
from malmoi.assist.skills.secrets import Redaction, secret_values
from malmoi.assist.skills.trim import keep_paths
from malmoi.core.errors import (
    ConfigError,
    InvalidInput,
    MalmoiError,
    MissingExtra,
    SkillUnavailable,
    UnknownName,
)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedSkill:
    """A skill whose operations are known. It equals itself alone: one that is loaded anew is another.

    Attributes:
        skill: its manifest.
        provider: where calls go.
        operations: as the model and people see them.
        auth: what each person must give; the manifest's, or else what the source asks for.
        limits: of a call.
    """

    skill: Skill
    provider: Provider
    operations: tuple[Operation, ...]
    auth: Auth
    limits: SkillLimits

    @property
    def name(self) -> str:
        """Its name for the model."""
        return self.skill.manifest.name

    def operation(self, name: str) -> Operation:
        """One of its operations.

        Raises:
            UnknownName: it has none of this name.
        """
        for operation in self.operations:
            if operation.name == name:
                return operation
        raise UnknownName("operation", name, [one.name for one in self.operations])

    def missing(self, credentials: Mapping[str, str]) -> list[str]:
        """The values that a person has still to give."""
        needs = self.auth.needs()
        return [name for name, field in needs.items() if field.required and not credentials.get(name)]

    async def call(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        """Call an operation; whether it may be called at all was decided before (`runner.py`).

        What comes back holds no credentials, and `data` only what the manifest keeps.

        Raises:
            UnknownName: there is no such operation.
            InvalidInput: arguments that do not fit its schema; `field` says which.
            SkillUnavailable: no answer in time.
        """
        known = self.operation(operation)
        check_arguments(known, arguments)
        said = self.skill.manifest.operations.get(operation, OperationText())
        needs = self.auth.needs()
        given = {
            name: context.credentials.get(name) or field.default
            for name, field in needs.items()
            if context.credentials.get(name) or field.default
        }
        allowed = replace(
            context,
            credentials=given,
            documents=context.documents if self.skill.manifest.documents else None,
        )
        try:
            async with asyncio.timeout(self.limits.call_seconds):
                result = await self.provider.call(operation, {**arguments, **said.fixed}, allowed)
        except TimeoutError as error:
            raise SkillUnavailable(
                f"{self.name}.{operation} did not answer in {self.limits.call_seconds:g} s."
            ) from error
        return self._dressed(result, said, context, Redaction(secret_values(given, needs)))

    def _dressed(self, result: Result, said: OperationText, context: CallContext, hide: Redaction) -> Result:
        result = hide.result(result)
        if not result.is_error:
            text = result.text or sentence(said.say, result.data, context.language)
            cards = result.cards
            if not cards and said.card is not None:
                cards = cards_of(said.card, result.data, context.language)
            result = replace(result, text=text, cards=cards, data=keep_paths(result.data, said.keep))
        known = {operation.name for operation in self.operations}
        cards = tuple(
            replace(card, actions=tuple(one for one in card.actions if one.operation in known))
            for card in result.cards
        )
        files = tuple(file for file in result.files if len(file.content) <= self.limits.file_bytes)
        return replace(result, cards=cards, files=files[: self.limits.files])

    async def close(self) -> None:
        """Let go of connections and processes."""
        await self.provider.close()


def check_arguments(operation: Operation, arguments: Mapping[str, Any]) -> None:
    """Arguments must fit the operation's schema.

    Raises:
        InvalidInput: they do not; `field` is the path of the first fault.
    """
    validator = jsonschema.Draft202012Validator(
        dict(operation.parameters), format_checker=jsonschema.FormatChecker()
    )
    fault = jsonschema.exceptions.best_match(validator.iter_errors(dict(arguments)))
    if fault is not None:
        path = ".".join(str(part) for part in fault.absolute_path)
        # Only what is expected is told: the message itself may hold the whole value.
        expected = json.dumps(fault.validator_value, ensure_ascii=False, default=str)[:200]
        what = (
            fault.message
            if fault.validator in ("required", "additionalProperties")
            else (f"the value does not fit {fault.validator}: {expected}")
        )
        raise InvalidInput(
            f"{operation.name}: {path + ': ' if path else ''}{what}.",
            field=f"arguments.{path}" if path else "arguments",
        )


async def open_skill(
    skill: Skill,
    *,
    egress: Egress,
    limits: SkillLimits | None = None,
    way: Way | None = None,
    given: Mapping[str, str] | None = None,
) -> LoadedSkill:
    """Open the source of a skill, and lay its manifest over it.

    Args:
        skill: its manifest.
        egress: the way out.
        limits: of a call.
        way: what answers an OpenAPI skill's requests in the place of `egress`.
        given: somebody's credentials, for an MCP server that tells nobody its tools without them.

    Raises:
        ConfigError: the source is wrong; every fault with its file and line.
        SkillUnavailable: its server does not answer.
        Unauthenticated: its server tells what it can do to nobody without a key.
        MissingExtra: the source needs a package that is not installed.
    """
    chosen = limits if limits is not None else SkillLimits()
    manifest = skill.manifest
    source, auth = manifest.source, manifest.auth
    provider: Provider
    if source.python is not None:
        if skill.origin == "uploaded":
            raise ConfigError(f"{skill.name}: an uploaded skill cannot run Python here.")
        provider = open_python(source.python, source.settings)
    elif source.openapi is not None:
        document, findings = await read_source(skill, egress)
        refuse_errors(findings)
        assert document is not None
        api, findings = read_api(document)
        refuse_errors(findings)
        if auth.kind == "none":
            auth = api.auth
        provider = OpenApiProvider(
            api,
            base_url=base_url_of(skill, api),
            auth=auth,
            egress=way if way is not None else egress,
            seconds=chosen.call_seconds,
            max_bytes=chosen.answer_bytes,
        )
    else:
        assert source.mcp is not None
        if source.mcp.command is not None and skill.origin != "operator":
            raise ConfigError(f"{skill.name}: only skills of the operator's folder can start a command.")
        try:
            from malmoi.assist.skills.mcp import McpProvider
        except ImportError as error:
            raise MissingExtra("The MCP client", "skills") from error
        provider = McpProvider(source.mcp, auth=auth, egress=egress, seconds=chosen.call_seconds, given=given)
    try:
        operations = await provider.operations()
    except MalmoiError:
        await provider.close()
        raise
    return LoadedSkill(skill, provider, lay_over(skill, operations), auth, chosen)


def lay_over(skill: Skill, operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """The operations as the manifest wants them seen; those that it switches off are left out."""
    seen: list[Operation] = []
    for operation in operations:
        said = skill.manifest.operations.get(operation.name, OperationText())
        if not said.enabled:
            continue
        parameters = operation.parameters
        if skill.manifest.source.python is None:
            # A foreign pattern can take for ever to match; the server it came from checks it anyway.
            parameters = without_patterns(parameters)
            if skill.origin != "builtin":
                parameters = with_plain_hints(parameters)
        if said.fixed:
            parameters = without(parameters, said.fixed)
        effect = said.effect or operation.effect
        is_final = operation.is_final if said.final is None else said.final
        seen.append(
            replace(
                operation,
                description=said.description or operation.description,
                effect=effect,
                is_final=is_final and effect == "write",
                title={**operation.title, **{str(code): text for code, text in said.title.items()}},
                parameters=parameters,
            )
        )
    return tuple(seen)


def title_of(operation: Operation, language: str) -> str:
    """What people call an operation."""
    return in_language(operation.title, language) or operation.name


def without(parameters: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of arguments without some of them."""
    kept = dict(parameters)
    kept["properties"] = {
        name: one for name, one in parameters.get("properties", {}).items() if name not in names
    }
    if "required" in kept:
        kept["required"] = [name for name in kept["required"] if name not in names]
    return kept


def without_patterns(schema: Any) -> Any:
    """A schema without regular expressions, at any depth."""
    if isinstance(schema, Mapping):
        plain = {}
        for key, value in schema.items():
            if key == "properties" and isinstance(value, Mapping):
                plain[key] = {name: without_patterns(one) for name, one in value.items()}
            elif key not in ("pattern", "patternProperties"):
                plain[key] = without_patterns(value)
        return plain
    return [without_patterns(one) for one in schema] if isinstance(schema, list) else schema


async def read_source(skill: Skill, egress: Egress) -> tuple[ApiDocument | None, list[Finding]]:
    """The OpenAPI document of a skill: a file beside its manifest, or behind an https address.

    Raises:
        SkillUnavailable: the address does not answer.
    """
    place = skill.manifest.source.openapi
    assert place is not None
    if "://" in place:
        answer = await egress.send("GET", place, headers={"accept": "application/json, application/yaml"})
        if answer.status != 200:
            raise SkillUnavailable(f"{place} answered {answer.status} instead of an OpenAPI document.")
        return read_document(answer.content, file=place)
    if "/" in place or "\\" in place or place.startswith("."):
        message = f"source.openapi: {place!r} must be the name of a file beside the manifest, or an address."
        return None, [Finding("error", "skill.toml", 0, "source.openapi", message)]
    try:
        content = (skill.folder / place).read_bytes()
    except OSError as error:
        message = f"the file cannot be read ({error.__class__.__name__})."
        return None, [Finding("error", place, 0, "", message)]
    return read_document(content, file=place)


def base_url_of(skill: Skill, api: Api) -> str:
    """Where the requests of a skill go.

    Raises:
        ConfigError: neither the manifest nor the document says it.
    """
    told = skill.manifest.source.base_url or api.base_url
    place = skill.manifest.source.openapi or ""
    if told and not urlsplit(told).scheme and "://" in place:
        told = str(httpx.URL(place).join(told))
    if not urlsplit(told).scheme:
        raise ConfigError(
            f"{skill.name}: the document does not say where its server is.",
            fix="Add `base_url` to [source] of skill.toml.",
        )
    return told
