"""Everything that can be said about a skill before anybody uses it, with the file and the line."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import jsonschema

from malmoi.assist.egress import Egress, EgressRefused
from malmoi.assist.skills.finding import Finding
from malmoi.assist.skills.loading import base_url_of, lay_over, open_skill, read_source
from malmoi.assist.skills.manifest import MANIFEST_NAME, Skill
from malmoi.assist.skills.manifest_reading import line_of
from malmoi.assist.skills.openapi import read_api
from malmoi.assist.skills.operation import Operation
from malmoi.assist.skills.toml_lines import Path as KeyPath
from malmoi.assist.skills.toml_lines import toml_lines
from malmoi.core.errors import MalmoiError

FEW_EXAMPLES = 3  # of an operation
MANY_TOKENS = 3000
_CHARACTERS_PER_TOKEN = 2.5  # of Korean and JSON together


async def check_skill(skill: Skill, *, egress: Egress) -> tuple[list[Operation], list[Finding]]:
    """Read a skill's source, and hold its manifest against it.

    Returns:
        The operations as the model will see them, and all findings, in the order of the files.
    """
    try:
        lines = toml_lines((skill.folder / MANIFEST_NAME).read_text(encoding="utf-8-sig"))
    except OSError:
        lines = {(): 1}
    check = _Check(skill, lines)
    source = skill.manifest.source
    operations: Sequence[Operation] = ()
    try:
        if source.openapi is not None:
            document, findings = await read_source(skill, egress)
            check.findings += findings
            if document is not None:
                api, findings = read_api(document)
                check.findings += findings
                operations = [endpoint.operation for endpoint in api.endpoints]
                check.methods({one.operation.name: one.method for one in api.endpoints})
                check.address(egress, base_url_of(skill, api))
        else:
            loaded = await open_skill(skill, egress=egress)
            try:
                operations = await loaded.provider.operations()
            finally:
                await loaded.close()
    except MalmoiError as error:
        check.say("error", ("source",), str(error))
    if operations:
        check.operations(operations)
    return list(lay_over(skill, operations)), check.findings


def prompt_tokens(operations: Sequence[Operation]) -> int:
    """About how many tokens the operations take in a prompt."""
    told = [
        f"{one.name}{one.description}{json.dumps(one.parameters, ensure_ascii=False)}" for one in operations
    ]
    return round(sum(map(len, told)) / _CHARACTERS_PER_TOKEN)


class _Check:
    """Collects what is wrong with one manifest."""

    def __init__(self, skill: Skill, lines: dict[KeyPath, int]) -> None:
        self._skill = skill
        self._lines = lines
        self.findings: list[Finding] = []

    def say(self, level: str, path: KeyPath, message: str) -> None:
        self.findings.append(
            Finding(
                "error" if level == "error" else "warning",
                MANIFEST_NAME,
                line_of(self._lines, path),
                ".".join(map(str, path)),
                message,
            )
        )

    def address(self, egress: Egress, url: str) -> None:
        try:
            egress.rules.check(url)
        except EgressRefused as error:
            self.say("error", ("source", "base_url"), str(error))

    def methods(self, methods: dict[str, str]) -> None:
        for name, said in self._skill.manifest.operations.items():
            if said.effect == "read" and methods.get(name) in ("PUT", "PATCH", "DELETE"):
                message = (
                    f'{methods[name]} changes something, but is said to be a "read": nobody will be asked.'
                )
                self.say("warning", ("operations", name, "effect"), message)

    def operations(self, operations: Sequence[Operation]) -> None:
        known = {operation.name: operation for operation in operations}
        manifest = self._skill.manifest
        for name, said in manifest.operations.items():
            path: KeyPath = ("operations", name)
            if name not in known:
                self.say("error", path, f"the source has no operation {name!r}{_near(name, known)}.")
                continue
            if said.final and (said.effect or known[name].effect) == "read":
                message = f'nobody is asked before {name}, a "read"; take this out, or say effect = "write".'
                self.say("error", (*path, "final"), message)
            properties = known[name].parameters.get("properties", {})
            for argument in said.fixed:
                if argument not in properties:
                    self.say("error", (*path, "fixed", argument), f"{name} takes no {argument!r}.")
            for number, button in enumerate(said.card.actions if said.card is not None else ()):
                if button.operation not in known:
                    where = (*path, "card", "actions", number, "operation")
                    self.say("error", where, f"the source has no operation {button.operation!r}.")
        seen = {one.name: one for one in lay_over(self._skill, operations)}
        self._examples(seen)
        if not seen:
            self.say("error", ("operations",), "every operation is switched off.")
        tokens = prompt_tokens(list(seen.values()))
        if tokens > MANY_TOKENS:
            self.say(
                "warning",
                ("operations",),
                f"the operations take about {tokens} tokens of a prompt; switch some off, or shorten them.",
            )

    def _examples(self, known: dict[str, Operation]) -> None:
        queries: dict[str, int] = {}
        counts = dict.fromkeys(known, 0)
        for number, example in enumerate(self._skill.manifest.examples):
            path: KeyPath = ("examples", number)
            query = " ".join(example.query.split()).casefold()
            if query in queries:
                self.say("warning", (*path, "query"), f"the same query as examples.{queries[query]}.")
            queries.setdefault(query, number)
            name = example.operation
            if name is None:
                continue
            if name not in known:
                self.say(
                    "error",
                    (*path, "operation"),
                    f"the source has no operation {name!r}{_near(name, known)}.",
                )
                continue
            counts[name] += 1
            if example.arguments is not None:
                fault = _misfit(known[name].parameters, example.arguments)
                if fault is not None:
                    self.say("error", (*path, "arguments", *fault[0]), f"{name}: {fault[1]}.")
        few = [name for name, count in counts.items() if count < FEW_EXAMPLES]
        if few:
            self.say(
                "warning",
                ("examples",),
                f"fewer than {FEW_EXAMPLES} examples for {', '.join(few)}; with 5 to 15 each, queries find "
                "their way more surely.",
            )


def _misfit(schema: Any, arguments: dict[str, Any]) -> tuple[KeyPath, str] | None:
    validator = jsonschema.Draft202012Validator(dict(schema), format_checker=jsonschema.FormatChecker())
    fault = jsonschema.exceptions.best_match(validator.iter_errors(arguments))
    return None if fault is None else (tuple(fault.absolute_path), fault.message)


def _near(name: str, known: dict[str, Operation]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
