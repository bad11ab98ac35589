"""`malmoi safety score`: what a classifier thinks of texts."""

import json
import sys
from pathlib import Path

import click

from malmoi.cli.options import home_option

_BATCH = 64


@click.command()
@click.argument("classifier")
@click.argument("text", default="-")
@click.option("--context", default="", help="What was said before the text.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a text.")
@home_option
def score(classifier: str, text: str, context: str, as_json: bool, home: Path) -> None:
    """Score TEXT, each line of a file TEXT, or each line of standard input (-).

    CLASSIFIER is an id or name in the store, a folder, or `latest`.

    Example: malmoi safety score safety-ko "오늘 날씨가 좋네요"
    """
    from malmoi.cli.live import printable
    from malmoi.cli.safety.figures import find_classifier
    from malmoi.engine.classify import load_classifier

    loaded = load_classifier(find_classifier(classifier, home))
    texts = _texts(text)
    for begin in range(0, len(texts), _BATCH):
        batch = texts[begin : begin + _BATCH]
        chances = loaded.predict(batch, [context] * len(batch) if context else None)
        for one, row in zip(batch, chances.tolist(), strict=True):
            values = dict(zip(loaded.labels, row, strict=True))
            chosen = {g.name: g.choose([values[label] for label in g.labels]) for g in loaded.groups}
            if as_json:
                rounded = {label: round(value, 6) for label, value in values.items()}
                line = {"text": one, "chances": rounded, "chosen": chosen}
                click.echo(json.dumps(line, ensure_ascii=False))
                continue
            click.secho(printable(one), bold=True)
            for group in loaded.groups:
                listed = ", ".join(f"{label} {values[label]:.3f}" for label in group.labels)
                click.echo(f"  {group.name:<16}{chosen[group.name]:<18}{listed}")


def _texts(text: str) -> list[str]:
    from malmoi.core.errors import InvalidInput

    if text != "-" and not _is_file(text):
        return [text]
    try:
        raw = sys.stdin.buffer.read() if text == "-" else Path(text).read_bytes()
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InvalidInput(f"{text}: it is not UTF-8.", fix="Save it as UTF-8.") from None
    except OSError as error:
        raise InvalidInput(f"{text} cannot be read: {error.strerror}.") from None
    return [line for line in lines if line.strip()]


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a sentence may be too long for a name
        return False
