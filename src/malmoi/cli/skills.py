"""`malmoi skills`: what a model can have done; look through a skill, and try what a query is for."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import config_options, home_option, read_settings
from malmoi.core.errors import MalmoiError

if TYPE_CHECKING:
    from malmoi.assist.egress import Egress
    from malmoi.assist.skills.operation import Operation
    from malmoi.serve.settings import ServeSettings


@click.group()
def skills() -> None:
    """List, check and try skills.

    A skill is a folder with a skill.toml. Those of `skills` under the home are found by themselves; others
    come with packages, or are built in.
    """


@skills.command("list")
@home_option
@config_options
def list_skills(home: Path, config_file: Path | None, overrides: Sequence[str]) -> None:
    """List the skills that are here."""
    from malmoi.assist.skills.found import find_skills

    settings = read_settings(home, config_file, overrides)
    found, broken = find_skills(settings.home)
    width = max(len(one.name) for one in found)
    for one in found:
        manifest = one.manifest
        person = manifest.people_text("en")
        shown = f"{one.name:<{width}}  {manifest.source.kind:<8} {one.origin:<9} {person.name}"
        click.echo(f"{shown}: {person.description}")
    for name, error in broken.items():
        click.echo(f"{name}: cannot be used: {error}", err=True)


@skills.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@home_option
@config_options
def validate(folder: Path, home: Path, config_file: Path | None, overrides: Sequence[str]) -> None:
    """Look through a skill: its manifest, and what its source says. Every fault is named with its line."""
    from malmoi.assist.skills.manifest import MANIFEST_NAME, Skill, read_manifest
    from malmoi.assist.skills.validation import check_skill

    settings = read_settings(home, config_file, overrides)
    file = folder / MANIFEST_NAME
    if not file.is_file():
        raise MalmoiError(f"{file} is not there.", fix=f"A skill's folder has a {MANIFEST_NAME}.")
    manifest, findings = read_manifest(file.read_bytes())
    operations: list[Operation] = []
    if manifest is not None:
        skill = Skill(manifest, folder, "operator")
        operations, more = asyncio.run(check_skill(skill, egress=_egress(settings)))
        findings = [*findings, *more]
    for finding in findings:
        click.echo(f"{finding.level}: {finding}")
    for operation in operations:
        names = ", ".join(operation.parameters.get("properties", {}))
        click.echo(f"{operation.effect:<5} {operation.name}({names})")
    errors = sum(finding.level == "error" for finding in findings)
    click.echo(f"{errors} errors, {len(findings) - errors} warnings, {len(operations)} operations")
    sys.exit(1 if errors else 0)


@skills.command("try")
@click.argument("query")
@click.option("--skill", "names", multiple=True, help="Only these skills are on. [default: all]")
@click.option("--call", is_flag=True, help="Call the operation, if it only reads.")
@click.option(
    "--language", type=click.Choice(["ko", "en"]), default="ko", show_default=True, help="Of the person."
)
@home_option
@config_options
def try_query(
    query: str,
    names: Sequence[str],
    call: bool,
    language: str,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Show what a query is for, and the arguments that need no model.

    Nothing is changed anywhere: operations that write are planned and never called.
    """
    settings = read_settings(home, config_file, overrides)
    asyncio.run(_try(settings, query, names, is_called=call, language=language))


async def _try(
    settings: "ServeSettings", query: str, names: Sequence[str], *, is_called: bool, language: str
) -> None:
    from datetime import datetime

    from malmoi.assist.skills.found import find_skills
    from malmoi.assist.skills.loading import open_skill
    from malmoi.assist.skills.operation import CallContext
    from malmoi.assist.skills.planning import Planner, PlanRequest, Spent
    from malmoi.assist.skills.routing import Router
    from malmoi.core.errors import UnknownName
    from malmoi.engine.embed import UseEmbedder

    found, _ = find_skills(settings.home)
    known = {one.name: one for one in found}
    for name in names:
        if name not in known:
            raise UnknownName("skill", name, known)
    egress = _egress(settings)
    opened = []
    for one in found:
        if names and one.name not in names:
            continue
        try:
            opened.append(await open_skill(one, egress=egress))
        except MalmoiError as error:
            click.echo(f"{one.name}: cannot be used: {error}", err=True)
    embedder = UseEmbedder()
    try:
        routing = await Router(embedder.embed).route(query, opened)
        for choice in routing.choices:
            mark = "->" if choice == routing.choice else "  "
            click.echo(
                f"{mark} {choice.score:.2f}  {choice.skill}.{choice.operation}  (nearest: {choice.nearest})"
            )
        if routing.choice is None:
            click.echo(f"none: no score reaches {routing.threshold:.2f}")
            return
        skill = next(one for one in opened if one.name == routing.choice.skill)
        operation = skill.operation(routing.choice.operation)
        now = datetime.now().astimezone()
        request = PlanRequest(query, now, language, demonstrations=routing.demonstrations)
        plan = await Planner(None, Spent(0)).plan(skill, operation, request)
        asks = f"  asks: {plan.question}" if plan.question else ""
        click.echo(f"{operation.effect}: {json.dumps(plan.arguments, ensure_ascii=False)}{asks}")
        if is_called and plan.is_ready and operation.effect == "read":
            context = CallContext("local", "ko" if language == "ko" else "en", now)
            result = await skill.call(operation.name, plan.arguments, context)
            click.echo(result.text or str(result.data))
    finally:
        for loaded in opened:
            await loaded.close()
        await embedder.close()
        await egress.close()


def _egress(settings: "ServeSettings") -> "Egress":
    from malmoi.assist.egress import Egress, EgressRules

    told = settings.skills
    return Egress(EgressRules(trusted_hosts=told.trusted_hosts, allow_http=told.allow_http, ports=told.ports))
