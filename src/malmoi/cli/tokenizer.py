"""`malmoi tokenizer`: train vocabularies, measure them, and see how they cut text."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import home_option

if TYPE_CHECKING:
    from malmoi.factory.corpus.documents import Document

# name -> (where it is, what it does), as in the table of the whole tree.
SUBCOMMANDS: Mapping[str, tuple[str, str]] = {
    "train": ("malmoi.cli.tokenizer:train", "Train a vocabulary on text files or a corpus."),
    "eval": ("malmoi.cli.tokenizer:evaluate", "Compare tokenizers on held-out text."),
    "encode": ("malmoi.cli.tokenizer:encode", "Show how a text is cut into tokens."),
    "trim": ("malmoi.cli.tokenizer_trim:trim", "Cut a model's vocabulary down to what a corpus needs."),
}
_COLOURS = ("blue", "yellow", "green", "magenta", "cyan")


class _Group(click.Group):
    """Commands that are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        module, _, attribute = SUBCOMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in SUBCOMMANDS.items()])


@click.group(cls=_Group)
def tokenizer() -> None:
    """Train, measure, look at and trim tokenizers."""


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--corpus", metavar="ID", help="Train on an artifact of the store instead of files.")
@click.option("--vocab-size", default=16384, show_default=True, help="Tokens in all; a multiple of 64.")
@click.option(
    "--kind",
    type=click.Choice(["morpheme", "byte", "character"]),
    default="morpheme",
    show_default=True,
    help="Inside what merges are made: Korean morphemes, whole words, or characters.",
)
@click.option("--whole-word-share", default=0.0, help="Part of the vocabulary that may join morphemes.")
@click.option("--sample-mb", default=32.0, show_default=True, help="Text to learn from, in MB.")
@click.option("--seed", default=0, show_default=True, help="Chooses the sample.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The folder to make.")
@home_option
def train(
    files: tuple[Path, ...],
    corpus: str | None,
    vocab_size: int,
    kind: str,
    whole_word_share: float,
    sample_mb: float,
    seed: int,
    out: Path,
    home: Path,
) -> None:
    """Train a vocabulary and write it as a Hugging Face folder.

    FILES are .txt, .md, .jsonl(.gz|.zst), .parquet, .csv or .html files, or folders of them.
    """
    from tempfile import TemporaryDirectory

    from malmoi.cli.live import open_progress
    from malmoi.core.config import load_config
    from malmoi.core.errors import Conflict
    from malmoi.core.files import new_directory
    from malmoi.factory.tokenizer.train import TrainingSettings, checked_size
    from malmoi.factory.tokenizer.train import train as train_vocabulary
    from malmoi.factory.tokenizer.words import count_words, shares_by_size
    from malmoi.factory.tokenizer.writing import write_tokenizer

    if out.exists():
        raise Conflict(f"{out} is there already.", fix="Name a new folder, or remove it first.")
    settings = load_config(
        TrainingSettings,
        overrides=[
            f"kind={kind}",
            f"vocab_size={vocab_size}",
            f"whole_word_share={whole_word_share}",
            f"sample_bytes={round(sample_mb * 1e6)}",
        ],
    )
    checked_size(settings.vocab_size)
    documents = list(_documents(files, corpus, home, "train"))
    shares = shares_by_size(documents)
    size = min(settings.sample_bytes, sum(share.bytes for share in shares.values()))
    with open_progress() as progress, TemporaryDirectory() as work:
        with progress.task("Count words", total=size, unit="B") as task:
            words = count_words(documents, shares, sample_bytes=size, seed=seed, task=task)
        trained = train_vocabulary(words, settings, work=Path(work), progress=progress)
    with new_directory(out) as folder:
        write_tokenizer(trained.backend, folder)
    for note in trained.notes:
        click.echo(note, err=True)
    click.echo(f"{out}: {trained.vocab_size} tokens, {len(trained.merges)} merges ({kind}).")


@click.command("eval")
@click.argument("ref", metavar="TOKENIZER")
@click.option("--data", "files", multiple=True, type=click.Path(path_type=Path), help="Held-out text.")
@click.option("--corpus", metavar="ID", help="Measure on the validation split of this artifact.")
@click.option("--against", default="", metavar="A,B", help="Installed models or paths to compare with.")
@click.option("--slice-mb", default=1.0, show_default=True, help="Text to measure of each language, in MB.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Also write report.html and .json here.")
@home_option
def evaluate(
    ref: str,
    files: tuple[Path, ...],
    corpus: str | None,
    against: str,
    slice_mb: float,
    as_json: bool,
    out: Path | None,
    home: Path,
) -> None:
    """Compare a tokenizer with others: tokens, bytes a token, boundaries crossed, speed.

    TOKENIZER is a folder, a tokenizer.json, a GGUF file, an installed model or an artifact of the store.
    """
    import json

    from malmoi.cli.live import open_progress
    from malmoi.factory.tokenizer.morphemes import BOUNDARIES
    from malmoi.factory.tokenizer.opening import open_tokenizer
    from malmoi.factory.tokenizer.report import choose_documents, measure, render_table
    from malmoi.factory.tokenizer.report_page import write_report

    names = [ref, *(name.strip() for name in against.split(",") if name.strip())]
    tokenizers = {_short(name): open_tokenizer(_stored(name, home), home=home) for name in names}
    documents = _documents(files, corpus, home, "validation")
    texts = choose_documents(documents, slice_bytes=round(slice_mb * 1e6))
    with open_progress(quiet=as_json) as progress:
        report = measure(tokenizers, texts, boundaries=BOUNDARIES, progress=progress)
    if out is not None:
        write_report(report, out, tokenizer=tokenizers[_short(ref)], texts=texts)
    click.echo(
        json.dumps(report.to_json(), ensure_ascii=False, indent=2) if as_json else render_table(report)
    )
    if out is not None:
        click.echo(f"Written: {out / 'report.html'}", err=True)


@click.command()
@click.argument("text", required=False)
@click.option(
    "-t", "--tokenizer", "ref", required=True, metavar="TOKENIZER", help="Folder, file, model or artifact."
)
@click.option("--file", "file", type=click.Path(dir_okay=False, path_type=Path), help="Read the text here.")
@click.option("--ids", is_flag=True, help="Print the ids alone.")
@home_option
def encode(text: str | None, ref: str, file: Path | None, ids: bool, home: Path) -> None:
    """Show how TEXT is cut into tokens: a colour and a bar for each, and their number."""
    from malmoi.core.errors import InvalidInput
    from malmoi.factory.tokenizer.opening import open_tokenizer
    from malmoi.factory.tokenizer.report_page import pieces

    if (text is None) == (file is None):
        raise InvalidInput("give either a text or --file.", fix='malmoi tokenizer encode -t DIR "안녕하세요"')
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{file} is not UTF-8.", fix="Save it as UTF-8.") from error
        except OSError as error:
            raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
    assert text is not None
    found = open_tokenizer(_stored(ref, home), home=home)
    if ids:
        click.echo(" ".join(map(str, found.encode(text))))
        return
    shown = pieces(found, text)
    bar = click.style("|", dim=True)
    coloured = (
        click.style(_visible(piece), fg=_COLOURS[number % len(_COLOURS)])
        for number, (_, piece) in enumerate(shown)
    )
    click.echo(bar.join(coloured))
    size = len(text.encode("utf-8", "replace"))
    click.echo(
        f"{len(shown)} tokens, {len(text)} characters, {size} bytes"
        f" ({size / max(len(shown), 1):.2f} bytes a token)"
    )


def _visible(piece: str) -> str:
    """Text as a terminal may show it: no control characters but line ends, which stay visible too."""
    shown = piece.replace("\n", "⏎\n").replace("\t", "→")
    return "".join(c if c == "\n" or c.isprintable() else f"\\u{ord(c):04x}" for c in shown)


def _short(ref: str) -> str:
    return Path(ref).name or ref


def _stored(ref: str, home: Path) -> str:
    """The folder of a tokenizer artifact, if `ref` is the id of one; else `ref` itself."""
    from malmoi.core.store import Store

    if Path(ref).expanduser().exists():
        return ref
    store = Store(home / "store")
    known = {artifact.id: artifact.path for artifact in store.artifacts("tokenizer")}
    return str(known.get(ref, ref))


def _documents(files: tuple[Path, ...], corpus: str | None, home: Path, split: str) -> "Iterable[Document]":
    """The documents of files and folders, or of a corpus artifact."""
    from malmoi.core.errors import InvalidInput
    from malmoi.core.store import Store
    from malmoi.factory.corpus.documents import read_documents

    if (corpus is None) == (not files):
        raise InvalidInput("give either files or --corpus.")
    if corpus is not None:
        yield from read_documents(Store(home / "store").artifact(corpus).path, split)
        return
    yield from _read_files(files)


def _read_files(files: tuple[Path, ...]) -> "Iterable[Document]":
    import re

    from malmoi.core.errors import InvalidInput
    from malmoi.factory.corpus.problems import Problems
    from malmoi.factory.corpus.readers import discover_sources, read_source
    from malmoi.factory.corpus.sources import SourceSettings

    problems = Problems()
    count = 0
    for number, path in enumerate(files, start=1):
        if path.is_dir():
            sources, data = discover_sources(path, problems), path
        elif path.is_file():
            name = re.sub(r"[^\w.-]+", "-", path.name).strip("._-")[:48] or "file"
            literal = re.sub(r"([*?\[])", r"[\1]", path.name)
            sources, data = [SourceSettings(name=f"{number}-{name}", paths=(literal,))], path.parent
        else:
            raise InvalidInput(f"there is no file or folder {path}.")
        for source in sources:
            for document in read_source(source, data, problems):
                count += 1
                yield document
    for reason, times in problems.counts.items():
        click.echo(f"Left out: {times} x {reason}", err=True)
    problems.require_documents(count, ", ".join(map(str, files)))
