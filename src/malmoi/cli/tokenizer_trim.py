"""`malmoi tokenizer trim`: a model with the tokens that your texts need."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import home_option
from malmoi.core.errors import InvalidInput

if TYPE_CHECKING:
    from malmoi.factory.corpus.problems import Problems


@click.command()
@click.argument("model")
@click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File or folder of texts like those that the model will see. Repeatable.",
)
@click.option("--corpus", metavar="ARTIFACT", help="A corpus of the store (see `malmoi artifacts ls`).")
@click.option("--size", default=48_000, show_default=True, type=click.IntRange(min=1), help="Tokens to keep.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="New folder for the result.  [default: see --name]"
)
@click.option("--name", help="Put the result into HOME/trimmed/NAME.")
@click.option(
    "--also",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Texts of another kind that must stay cheap, such as English. Repeatable.",
)
@click.option(
    "--also-share",
    default=0.25,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="What the texts of --also weigh beside the data.",
)
@click.option(
    "--keep-languages",
    default="",
    metavar="CODES",
    help="Keep the commonest tokens of these in any case: ko, en, ja, zh, code; separated by commas.",
)
@click.option("--keep-placeholders", is_flag=True, help="Keep tokens such as <unused5>, too.")
@click.option(
    "--megabytes", default=64, show_default=True, type=click.IntRange(min=1), help="Text to read at most."
)
@click.option("--no-measure", is_flag=True, help="Do not decode with both models to compare their speed.")
@click.option("--dry-run", is_flag=True, help="Only say what would be kept and lost.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def trim(
    model: str,
    data: Sequence[Path],
    corpus: str | None,
    size: int,
    out: Path | None,
    name: str | None,
    also: Sequence[Path],
    also_share: float,
    keep_languages: str,
    keep_placeholders: bool,
    megabytes: int,
    no_measure: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Make MODEL's vocabulary smaller: keep the tokens that your texts need.

    MODEL is a GGUF file, a model folder, or the name of an installed model. What stays is as it was: rows of
    the embedding and of the output head are copied, never quantized again, and byte fallback lets any text
    through. A model with a large vocabulary becomes much smaller and faster.
    """
    from malmoi.cli.live import open_progress
    from malmoi.factory.corpus.problems import Problems
    from malmoi.factory.tokenizer.trim.model import open_trimmable
    from malmoi.factory.tokenizer.trim.render import render_report
    from malmoi.factory.tokenizer.trim.trim import Trimming, TrimSettings

    if not data and corpus is None:
        raise InvalidInput("no texts are named.", field="data", fix="Give --data FILE or --corpus ARTIFACT.")
    target = None if dry_run else _target(out, name, home)
    settings = TrimSettings(
        size=size,
        languages=tuple(code.strip() for code in keep_languages.split(",") if code.strip()),
        also_share=also_share,
        placeholders=keep_placeholders,
        max_bytes=megabytes * 1_000_000,
    )
    path, called = _find_model(model, home)
    problems = Problems()
    with open_progress(quiet) as progress:
        trimming = Trimming(open_trimmable(path, called), settings, progress)
        others = _texts(also, None, home, problems) if also else None
        report = trimming.plan(_texts(data, corpus, home, problems), others)
        if target is not None:
            report = trimming.write(report, target, home=home, measure=not no_measure)
    if as_json:
        click.echo(json.dumps(report.model_dump(mode="json", exclude={"kept"}), ensure_ascii=False, indent=2))
        return
    click.echo(render_report(report), nl=False)
    for reason, count in problems.counts.items():
        click.echo(f"  Left out while reading: {count} x {reason}")
    if target is None:
        click.echo("Nothing was written (--dry-run).")
        return
    file = target / "model.gguf"
    made = file if file.is_file() else target
    click.echo(f"Written: {made}")
    click.echo(f"To install it: malmoi models add path:{made} --name {target.name}")


def _target(out: Path | None, name: str | None, home: Path) -> Path:
    """Where the result goes."""
    if (out is None) == (name is None):
        raise InvalidInput(
            "say where the result goes.", field="out", fix="Give either -o FOLDER or --name NAME."
        )
    if out is not None:
        return out.expanduser().resolve()
    from malmoi.engine.catalog.source import check_name

    return home / "trimmed" / check_name(str(name))


def _find_model(model: str, home: Path) -> tuple[Path, str]:
    """The file or folder of a path or of an installed model, and what to call it."""
    from malmoi.engine.catalog import Catalog

    text = model.removeprefix("path:")
    path = Path(text).expanduser()
    if text != model or path.exists():
        return path.resolve(), path.name
    return Catalog(home).path(model), model


def _texts(paths: Sequence[Path], corpus: str | None, home: Path, problems: "Problems") -> Iterator[str]:
    from malmoi.core.store import Store
    from malmoi.factory.tokenizer.trim.texts import read_corpus, read_texts

    stored = read_corpus(Store(home / "store").artifact(corpus).path) if corpus is not None else iter(())
    return chain(stored, read_texts(paths, problems))
