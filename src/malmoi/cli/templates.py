"""`malmoi templates`: what conversations can begin from, and whether they keep their promises."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import click

from malmoi.cli import LazyGroup
from malmoi.cli.options import home_option

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from malmoi.assist.templates.template import Template
    from malmoi.assist.templates.trials import Answered


@click.group(
    cls=LazyGroup,
    table={
        "list": ("malmoi.cli.templates:list_templates", "List the built-in templates."),
        "show": ("malmoi.cli.templates:show", "Show a template: its fields, skills and tests."),
        "test": ("malmoi.cli.templates:test", "Run a template's tests with a model."),
    },
)
def templates() -> None:
    """Look at conversation templates, and test them.

    NAME is the id of a built-in template, or the path of a file of your own that ends in .toml.
    """


@click.command()
def list_templates() -> None:
    """List the built-in templates.

    A skill that a template uses and that is not installed is named as missing.
    """
    from malmoi.assist.templates import load_builtin, missing_skills, packaged_skills

    installed = frozenset(packaged_skills())
    for name, template in load_builtin().items():
        flow = template.flow.name if template.flow is not None else "-"
        click.echo(
            f"{name:<12} {template.kind:<9} {flow:<12} {len(template.tests):>2} tests  {template.name.en}"
        )
        missing = missing_skills(template, installed)
        if missing:
            click.echo(click.style(f"{'':<12} missing skills: {', '.join(missing)}", dim=True))


@click.command()
@click.argument("name")
@click.option(
    "--language", type=click.Choice(["ko", "en"]), default="ko", show_default=True, help="Of what is shown."
)
def show(name: str, language: str) -> None:
    """Show a template: its fields, skills and tests."""
    from malmoi.assist.templates import blank_form, find_template, missing_skills, opening, packaged_skills

    key, template = find_template(name)
    said: Literal["ko", "en"] = "ko" if language == "ko" else "en"
    click.echo(f"{key}: {template.name.of(said)}\n{template.description.of(said)}\n")
    click.echo(f"System prompt:\n  {template.system_prompt.of(said) or '(none)'}\n")
    first = opening(template, blank_form(template, said))
    if first:
        click.echo(f"Opening:\n  {first.replace(chr(10), chr(10) + '  ')}\n")
    for field in template.fields:
        choices = f" ({', '.join(choice.value for choice in field.choices)})" if field.choices else ""
        default = f", default {field.default}" if field.default else ""
        click.echo(f"Field {field.id}: {field.label.of(said)}, {field.kind}{choices}{default}")
    missing = missing_skills(template, frozenset(packaged_skills()))
    for skill in template.skills:
        click.echo(f"Skill {skill}{': missing' if skill in missing else ''}")
    if template.flow is not None:
        click.echo(f"Flow {template.flow.name}")
    for trial in template.tests:
        click.echo(f"Test {trial.name!r}: {len(trial.turns)} turns, {trial.language}")


@click.command()
@click.argument("name")
@click.option(
    "--model", default="standard", show_default=True, metavar="NAME", help="Model name or reference."
)
@click.option("--answers", is_flag=True, help="Show the answers as well.")
@home_option
def test(name: str, model: str, answers: bool, home: Path) -> None:
    """Run a template's tests with a model.

    The exit code is 1 when a check does not hold. Tests run without a server, and so without its guard.

    \b
      malmoi templates test interview --model standard
      malmoi templates test ./ours.toml --model scripted:script.toml
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from malmoi.assist.templates import find_template

    key, template = find_template(name)
    if not template.tests:
        click.echo(f"{key} has no tests.")
        return
    passed, total = asyncio.run(_run(template, model, home, answers=answers))
    click.echo(f"{key} with {model}: {passed} of {total} checks held.")
    if passed < total:
        raise SystemExit(1)


async def _run(template: "Template", model: str, home: Path, *, answers: bool) -> tuple[int, int]:
    """Run the tests and print each check; how many held, and how many there were."""
    from malmoi.assist.templates.trials import run_trials
    from malmoi.engine.open import open_engine
    from malmoi.engine.options import EngineOptions

    engine = await open_engine(model, home=home, options=EngineOptions(slots=1))
    passed = total = 0
    last = ""
    try:
        answered = cast("AsyncGenerator[Answered, None]", run_trials(template, engine))
        async with aclosing(answered) as results:
            async for one in results:
                if one.trial != last:
                    click.echo(click.style(one.trial, bold=True))
                    last = one.trial
                _print(one, answers=answers)
                passed += sum(result.passed for result in one.results)
                total += len(one.results)
    finally:
        await engine.close()
    return passed, total


def _print(one: "Answered", *, answers: bool) -> None:
    said = " ".join(one.said.split())[:60] or "(opening)"
    click.echo(f"  > {said}  [{one.calls} calls, {one.seconds:.1f} s]")
    if answers:
        click.echo("".join(f"    | {line}\n" for line in one.text.splitlines()), nl=False)
    for result in one.results:
        mark = click.style("pass", fg="green") if result.passed else click.style("FAIL", fg="red")
        detail = f": {result.detail}" if result.detail else ""
        click.echo(f"    {mark}  {result.check}{detail}")
