"""The tools that list and run skills. What would change something is never done: it takes a person's yes."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from malmoi.assist.skills.manifest import Skill
from malmoi.assist.skills.running import DirectCall
from malmoi.core.errors import Forbidden, MalmoiError
from malmoi.serve.mcp.tool import Call, Told
from malmoi.serve.mcp.types import (
    CallMade,
    FileMade,
    Nothing,
    Run,
    RunOutcome,
    SkillListing,
    SkillListings,
    SkillOperation,
)
from malmoi.serve.skills.service import SkillRun, Stage

_EXAMPLES = 3


async def list_skills(call: Call, _: Nothing) -> Told:
    """All skills; those that are on with their operations."""
    skills = call.services.skills
    on = await skills.choices.switched_on(call.principal.account_id)
    found = await skills.registry.all()
    items = [await _listing(call, one, name in on) for name, one in sorted(found.items())]
    told: list[str] = []
    for item in items:
        state = "on" if item.switched_on else "off"
        told.append(f"- {item.name} ({state}): {item.description}{f' {item.problem}' * bool(item.problem)}")
        for operation in item.operations:
            kind = "" if operation.reads else " (changes something: a person has to approve it)"
            told.append(f"    {item.name}.{operation.name}{kind}: {operation.description}")
    told.append("Only skills that are on can be run; a person switches them on in the browser.")
    return Told("\n".join(told), SkillListings(skills=items))


async def _listing(call: Call, skill: Skill, is_on: bool) -> SkillListing:
    name, manifest = call.material.name, skill.manifest
    operations: list[SkillOperation] = []
    problem = ""
    if is_on:
        try:
            loaded = await call.services.skills.load(call.principal, manifest.name)
        except MalmoiError as error:
            problem = name(error.message)  # it may tell what the skill's server has said
        else:
            operations = [
                SkillOperation(
                    name=one.name,
                    description=name(one.description),
                    reads=one.effect == "read",
                    parameters=dict(one.parameters),
                )
                for one in loaded.operations
            ]
    return SkillListing(
        name=manifest.name,
        title=name(manifest.people_text("en").name),
        description=name(manifest.description),
        switched_on=is_on,
        examples=[name(example.query) for example in manifest.examples[:_EXAMPLES]],
        operations=operations,
        problem=problem,
    )


async def run_skill(call: Call, wanted: Run) -> Told:
    """Run skills for a query, or one operation; what would change something ends the run undone.

    Raises:
        Forbidden: it would change something.
        Conflict: a skill is not on.
        MalmoiError: whatever the run itself raises.
    """
    skills = call.services.skills
    run = _Run(call)
    async with aclosing(skills.run(call.principal, _asked(wanted))) as stages:
        async for stage in stages:
            run.take(stage)
            await call.progress(stage.number + 1, run.told_of(stage))
    waiting = run.waiting
    if waiting is not None:
        # Nobody else can say yes to it either: the question is closed, and the audit has it.
        await skills.deny(call.principal, run.run_id, call_id=waiting["call_id"])
        raise Forbidden(
            f"{waiting['skill']}.{waiting['operation']} would change something, and only a person can "
            f"approve that. Nothing was done (run {run.run_id}).",
            fix="The person can ask for it in the browser and approve it there.",
        )
    return run.outcome()


def _asked(wanted: Run) -> SkillRun:
    direct = None
    if wanted.operation is not None and wanted.skill is not None:
        direct = DirectCall(wanted.skill, wanted.operation, wanted.arguments)
    return SkillRun(
        query=wanted.query,
        skills=None if wanted.skill is None else [wanted.skill],
        language=wanted.language,
        zone=wanted.zone,
        direct=direct,
    )


@dataclass(slots=True)
class _Run:
    """A run as its stages tell it."""

    call: Call
    run_id: str = ""
    skill: str = ""
    operation: str = ""
    reason: str = ""
    question: str = ""
    waiting: dict[str, Any] | None = None
    text: list[str] = field(default_factory=list)
    arguments: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[CallMade] = field(default_factory=list)
    files: list[FileMade] = field(default_factory=list)

    def take(self, stage: Stage) -> None:
        """Note a stage."""
        data = stage.data
        match stage.kind:
            case "run":
                self.run_id = data["run_id"]
            case "routed":
                self.skill, self.operation = data["skill"] or "", data["operation"] or ""
            case "confirm":
                self.waiting = data
            case "called":
                self.skill, self.operation = data["skill"], data["operation"]
                self.arguments[data["call_id"]] = data["arguments"]
            case "observed":
                self.calls.append(
                    CallMade(
                        skill=data["skill"],
                        operation=data["operation"],
                        arguments=self.arguments.get(data["call_id"], {}),
                        is_error=data["is_error"],
                        result=self.call.material.text(data["text"]),
                    )
                )
            case "file":
                path = f"/api/skills/runs/{self.run_id}/files/{data['file_id']}"
                name = self.call.material.name(data["name"])
                self.files.append(
                    FileMade(name=name, media_type=data["media_type"], size=data["size"], path=path)
                )
            case "text":
                self.text.append(data["text"])
            case "asked":
                self.question = data["question"]
            case "ended":
                self.reason = data["reason"]

    def told_of(self, stage: Stage) -> str:
        """A few words about a stage, for people who wait."""
        if stage.kind in ("routed", "planned", "called", "observed", "confirm") and self.skill:
            return f"{stage.kind}: {self.skill}.{self.operation}"
        return stage.kind

    def outcome(self) -> Told:
        """What came of it."""
        material = self.call.material
        answer = "" if self.question else "".join(self.text)  # a question is told as such
        data = RunOutcome(
            notice=material.notice,
            run_id=self.run_id,
            outcome=self.reason,
            skill=self.skill,
            operation=self.operation,
            answer=material.text(answer) if answer else "",
            question=material.name(self.question),
            calls=self.calls,
            files=self.files,
        )
        told = [material.notice] if answer or self.calls else []
        told += [f"{one.skill}.{one.operation} gave:\n{one.result}" for one in self.calls]
        told += [f"Answer:\n{data.answer}"] if answer else []
        told += [f"File: {one.name} ({one.media_type}, {one.size} bytes) at {one.path}" for one in self.files]
        if self.reason == "none":
            told.append("No skill that is on is for this. list_skills tells what there is.")
        elif self.question:
            told.append(f"This has to be known first; ask again with it in the query: {data.question}")
        elif self.reason != "answered":
            told.append(f"The run ended early: {self.reason}.")
        return Told("\n\n".join(told), data)
