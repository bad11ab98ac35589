"""`malmoi corpus`: look at what a corpus holds, and at what was left out."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import home_option
from malmoi.core.errors import InvalidInput
from malmoi.core.store import Artifact, Store

if TYPE_CHECKING:
    from malmoi.factory.corpus.report import CorpusReport


@click.group()
def corpus() -> None:
    """Look at a corpus: what was kept, what was dropped, and why."""


@corpus.command()
@click.argument("artifact_id", default="latest")
@click.option("--samples", default=2, show_default=True, help="Samples of each source and each reason.")
@click.option("--source", metavar="NAME", help="Only samples of this source.")
@click.option("--reason", metavar="NAME", help="Only documents dropped for this reason, or by this step.")
@click.option("--grep", metavar="TEXT", help="Only samples that hold this text.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with these samples."
)
@click.option("--open", "opened", is_flag=True, help="Open the page in a browser.")
@home_option
def look(
    artifact_id: str,
    samples: int,
    source: str | None,
    reason: str | None,
    grep: str | None,
    html: Path | None,
    opened: bool,
    home: Path,
) -> None:
    """Show a corpus: counts, mixture, samples, rejects. ARTIFACT_ID may be `latest`."""
    from malmoi.core.files import write_text
    from malmoi.factory.corpus.report import describe, read_report, render_report

    artifact = _corpus(Store(home / "store"), artifact_id)
    report = read_report(artifact.path, samples=max(samples, 0), source=source, reason=reason, grep=grep)
    if source is not None and source not in report.counts["sources"]:
        raise InvalidInput(
            f"{artifact.id} has no source {source!r}.",
            fix=f"Its sources: {', '.join(report.counts['sources'])}.",
        )
    click.echo(artifact.id)
    for line in describe(report):
        click.echo(line)
    _show_samples(report, kept=reason is None)
    page = artifact.path / "about" / "report.html"
    if html is not None:
        write_text(html, render_report(report, title=artifact.id))
        page = html
    click.echo(f"\nThe page: {page}")
    if opened:
        click.launch(str(page.resolve()))


@corpus.command("try")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--samples", default=5, show_default=True, help="Documents to show of each outcome.")
@click.option("--language", default="auto", show_default=True, help="The language of all of it, or auto.")
def try_(file: Path, samples: int, language: str) -> None:
    """Show what the rules would do to the documents of a file."""
    from collections import Counter

    from malmoi.factory.corpus.problems import Problems
    from malmoi.factory.corpus.trial import try_file

    problems = Problems()
    outcomes: Counter[str] = Counter()
    for trial in try_file(file, problems, language=language):
        outcome = f"{trial.step}: {trial.reason}" if trial.step else "kept"
        outcomes[outcome] += 1
        if outcomes[outcome] <= samples:
            click.secho(f"\n{trial.document.origin}  {outcome}", bold=True)
            if trial.did:
                click.secho(f"  {', '.join(trial.did)}", dim=True)
            _show_text(trial.document.text)
    problems.require_documents(sum(outcomes.values()), str(file))
    click.echo("\n" + ", ".join(f"{outcome} {count:,}" for outcome, count in outcomes.most_common()))
    if problems.counts:
        click.echo("Not read: " + ", ".join(f"{name} {n:,}" for name, n in sorted(problems.counts.items())))


def _corpus(store: Store, identifier: str) -> Artifact:
    if identifier != "latest":
        artifact = store.artifact(identifier)
        if artifact.manifest.kind != "corpus":
            raise InvalidInput(f"{identifier} is a {artifact.manifest.kind}, not a corpus.")
        return artifact
    found = store.artifacts("corpus")
    if not found:
        raise InvalidInput(
            f"there is no corpus under {store.root} yet.",
            fix="Make one: malmoi run RECIPE --data FOLDER --until corpus",
        )
    return found[-1]


def _show_samples(report: "CorpusReport", *, kept: bool) -> None:
    for name, documents in report.samples.items() if kept else ():
        for document in documents:
            click.secho(f"\n{name}  {document.origin}  {document.language}", bold=True)
            _show_text(document.text)
    for (step, reason), rejects in report.rejects.items():
        for reject in rejects:
            click.secho(f"\ndropped by {step}: {reason}  {reject.document.origin}", bold=True)
            _show_text(reject.document.text)


def _show_text(text: str) -> None:
    """The beginning of a text, without personal data and without anything that steers a terminal."""
    from malmoi.factory.corpus.report import excerpt

    for line in excerpt(text, 300).split("\n")[:8]:
        shown = "".join(
            character if character.isprintable() or character == "\t" else "�" for character in line
        )
        click.echo(f"  {shown}")
