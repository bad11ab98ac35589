"""`malmoi artifacts`: what runs have made."""

from pathlib import Path

import click

from malmoi.cli.options import home_option
from malmoi.core.store import Artifact, Store


@click.group()
def artifacts() -> None:
    """List, verify and remove what runs have made."""


@artifacts.command("ls")
@home_option
def list_artifacts(home: Path) -> None:
    """List finished artifacts, oldest first."""
    found = Store(home / "store").artifacts()
    for artifact in found:
        click.echo(_line(artifact))
    if not found:
        click.echo(f"No artifacts under {home / 'store'} yet.")


@artifacts.command()
@click.argument("artifact_id")
@home_option
def lineage(artifact_id: str, home: Path) -> None:
    """Show an artifact and everything it was made from."""
    found = Store(home / "store").lineage(artifact_id)
    for artifact in found:
        click.echo(_line(artifact))
    named = {name for artifact in found for name in artifact.manifest.inputs}
    for missing in sorted(named - {artifact.id for artifact in found}):
        click.echo(f"{missing:<44} missing: it was deleted")


@artifacts.command()
@click.argument("artifact_id")
@home_option
def verify(artifact_id: str, home: Path) -> None:
    """Compare every file of an artifact with its manifest."""
    Store(home / "store").artifact(artifact_id).verify()
    click.echo(f"{artifact_id} is whole.")


@artifacts.command("rm")
@click.argument("artifact_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_option
def remove(artifact_id: str, yes: bool, home: Path) -> None:
    """Remove an artifact that nothing else was made from."""
    store = Store(home / "store")
    artifact = store.artifact(artifact_id)
    if not yes:
        click.confirm(f"Remove {artifact.id} ({_size(artifact) / 1e6:.1f} MB)?", abort=True)
    store.remove_artifact(artifact_id)
    click.echo(f"Removed {artifact_id}.")


def _size(artifact: Artifact) -> int:
    return sum(record.size for record in artifact.manifest.files)


def _line(artifact: Artifact) -> str:
    made = artifact.manifest.created_at.strftime("%Y-%m-%d %H:%M")
    return f"{artifact.id:<44} {made}  {_size(artifact) / 1e6:9.1f} MB  run {artifact.manifest.run or '-'}"
