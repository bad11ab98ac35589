"""`malmoi safety policy`: what a policy of the guard does."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from malmoi.assist.guard import Policy


@click.command()
@click.argument("name", default="default", metavar="[NAME|FILE]")
@click.option("--source", is_flag=True, help="Print the TOML file itself, to begin one of your own with.")
@click.option("--json", "as_json", is_flag=True, help="Print every setting as JSON.")
def policy(name: str, source: bool, as_json: bool) -> None:
    """Check a policy of the guard, and show what it does.

    NAME is a policy of the package (default, strict, off), FILE a TOML file of yours. A wrong key is named
    with its file.

    Example: malmoi safety policy strict --source > ours.toml && malmoi safety policy ./ours.toml
    """
    from malmoi.assist.guard import load_policy
    from malmoi.assist.guard.policy import policy_file

    loaded = load_policy(name)
    if source:
        click.echo(policy_file(name).read_text(encoding="utf-8"), nl=False)
    elif as_json:
        click.echo(json.dumps(loaded.model_dump(mode="json"), ensure_ascii=False, indent=2))
    else:
        _show(policy_file(name), loaded)


def _show(file: Path, policy: "Policy") -> None:
    click.echo(f"{file.name} is valid. {policy.title}")
    click.echo(f"\n{'group':<20}{'question':<10}{'answer':<10}told by")
    for name, group in policy.groups.items():
        labels = (*group.labels, *group.input_labels)
        told = [*(f"list {one}" for one in group.lists), *(f"label {one}" for one in labels)]
        told += ["own words"] if group.words else []
        click.echo(f"{name:<20}{group.input:<10}{group.output:<10}{', '.join(told) or 'nothing'}")
    for name, topic in policy.topics.items():
        click.echo(f"{name:<20}{topic.input:<10}{'-':<10}rules")
    click.echo(f"{'personal data':<20}{policy.pii.input:<10}{policy.pii.output:<10}patterns")
    click.echo(
        f"{'orders in documents':<20}{policy.fence.injection:<10}{'-':<10}"
        f"rules; fences are {'on' if policy.fence.enabled else 'off'}"
    )
    if policy.holds_output():
        stream = policy.stream
        click.echo(
            f"\nStreams are held to the end of a sentence, at most {stream.hold_characters} characters "
            f"or {stream.hold_seconds:g} s."
        )
    if policy.best_of > 1:
        click.echo(f"\nThe safest of {policy.best_of} answers is given.")
