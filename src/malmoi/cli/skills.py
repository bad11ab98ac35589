"""`malmoi skills`: what a model can have done; look through a skill, and try what a query is for."""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import config_options, home_option, read_settings
from malmoi.core.errors import MalmoiError

if TYPE_CHECKING:
    from malmoi.assist.egress import Egress
    from malmoi.assist.skills.operation import Operation
    from malmoi.core.stage import Progress
    from malmoi.engine.embed import E5Embedder, UseEmbedder
    from malmoi.serve.settings import ServeSettings
    from malmoi.serve.skills.evaluation.keeping import Kept
    from malmoi.serve.skills.evaluation.queries import Query, Split
    from malmoi.serve.skills.evaluation.run import Outcome, Setting


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
    from malmoi.assist.skills.manifest import MANIFEST_NAME, Skill
    from malmoi.assist.skills.manifest_reading import read_manifest
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
    embedder = _embedder()
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


@skills.command()
@click.option(
    "--split",
    type=click.Choice(["dev", "test"]),
    default="dev",
    show_default=True,
    help="Which queries: ways are chosen on dev, and reported on test.",
)
@click.option(
    "--setting",
    type=click.Choice(["pair", "all", "both"]),
    default="both",
    show_default=True,
    help="Two skills are on, as on the platform, or all of them, which is harder.",
)
@click.option("--model", default="", help="A model that chooses operations and reads arguments.")
@click.option("--limit", type=click.IntRange(min=1), help="Only so many queries, evenly drawn.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
@click.option(
    "--shown", is_flag=True, help="The queries of dev are demonstrations, as rows of a trainer's set."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write what became of each query, a JSON object a line; what is there is not done again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print figures as JSON lines.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
@config_options
def evaluate(
    split: "Split",
    setting: str,
    model: str,
    limit: int | None,
    seed: int,
    shown: bool,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Measure how well queries find the operations of the built-in skills, and their arguments.

    Queries are routed and planned as in a run, by a clock of their own; no operation is called. Without a
    model only that is measured which needs none.
    """
    from malmoi.cli.live import open_progress
    from malmoi.serve.skills.evaluation.figures import figures
    from malmoi.serve.skills.evaluation.keeping import Kept
    from malmoi.serve.skills.evaluation.queries import load_queries
    from malmoi.serve.skills.evaluation.run import sample

    settings = read_settings(home, config_file, overrides)
    queries = load_queries(split)
    if limit is not None:
        queries = sample(queries, limit, seed=seed)
    chosen: list[Setting] = ["pair", "all"]
    if setting != "both":
        chosen = [one for one in chosen if one == setting]
    if shown and split == "dev":
        raise MalmoiError("the queries of dev cannot be shown and asked.", fix="Use --split test.")
    kept = Kept(out, f"{split} {model or '-'} {'shown' if shown else '-'} {seed}")
    with open_progress(quiet) as progress:
        outcomes = asyncio.run(
            _evaluate(settings, queries, chosen, model, seed, progress, kept, is_shown=shown)
        )
    rows = [row for some in outcomes for row in figures(some, with_model=bool(model))]
    for row in rows:
        if as_json:
            click.echo(json.dumps(row.to_json(), ensure_ascii=False))
        else:
            share = row.share
            value = 100 * (share.value or 0.0)
            between = f"{100 * share.low:5.1f} to {100 * share.high:5.1f} %"
            counts = f"{share.count} of {share.total}"
            click.echo(
                f"{row.setting:<5}{row.of:<8}{row.name:<19}{value:5.1f} %  ({between})  {counts}".rstrip()
            )


async def _evaluate(
    settings: "ServeSettings",
    queries: "Sequence[Query]",
    chosen: "Sequence[Setting]",
    model: str,
    seed: int,
    progress: "Progress",
    kept: "Kept",
    *,
    is_shown: bool,
) -> "list[list[Outcome]]":
    from contextlib import AsyncExitStack

    from malmoi.assist.skills.found import builtin_skills
    from malmoi.assist.skills.loading import open_skill
    from malmoi.assist.skills.routing import Router
    from malmoi.engine.open import open_engine
    from malmoi.engine.options import EngineOptions
    from malmoi.serve.skills.evaluation.asking import EngineModel
    from malmoi.serve.skills.evaluation.queries import load_queries
    from malmoi.serve.skills.evaluation.run import evaluate as measure
    from malmoi.serve.skills.evaluation.run import remembering, shown_by

    async with AsyncExitStack() as stack:
        egress = _egress(settings)
        stack.push_async_callback(egress.close)
        opened = []
        for one in builtin_skills():
            loaded = await open_skill(one, egress=egress)
            stack.push_async_callback(loaded.close)
            opened.append(loaded)
        embedder = _embedder()
        stack.push_async_callback(embedder.close)
        asked = None
        if model:
            engine = await open_engine(model, home=settings.home, options=EngineOptions(slots=1))
            stack.push_async_callback(engine.close)
            asked = EngineModel(engine)
            await asked.check()
        router = Router(remembering(embedder.embed))
        outcomes = []
        demonstrations = shown_by(load_queries("dev")) if is_shown else []
        for setting in chosen:
            with progress.task(f"Skills, {setting}", total=len(queries), unit="queries") as task:

                def done(outcome: "Outcome", advance: "Callable[[], None]" = task.advance) -> None:
                    kept.add(outcome)
                    advance()

                outcomes.append(
                    await measure(
                        queries,
                        opened,
                        router,
                        setting=setting,
                        model=asked,
                        seed=seed,
                        demonstrations=demonstrations,
                        known=kept.of(setting),
                        on_done=done,
                    )
                )
    return outcomes


def _embedder() -> "E5Embedder | UseEmbedder":
    """The encoder by which a server finds operations: the better one, where it is installed."""
    from malmoi.engine.embed import E5Embedder, UseEmbedder

    return E5Embedder() if E5Embedder.is_installed() else UseEmbedder()


def _egress(settings: "ServeSettings") -> "Egress":
    from malmoi.assist.egress import Egress, EgressRules

    told = settings.skills
    return Egress(EgressRules(trusted_hosts=told.trusted_hosts, allow_http=told.allow_http, ports=told.ports))
