"""`malmoi users recommend`: what is next for somebody, known or not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import home_option

if TYPE_CHECKING:
    from malmoi.core.store import Artifact
    from malmoi.users.logs import History
    from malmoi.users.opening import OpenModel


@click.command()
@click.argument("model")
@click.option(
    "--history",
    "texts",
    multiple=True,
    metavar="TEXT",
    help="What somebody did, oldest first: texts of items, or ids as ID or SERVICE:ID. Repeatable.",
)
@click.option("--user", metavar="ID", help="A user of the logs, instead of --history.")
@click.option("--logs", metavar="NAME", help="Where --user is.  [default: what the model was fitted on]")
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many items.")
@click.option("--service", "services", multiple=True, metavar="NAME", help="Only items of this. Repeatable.")
@click.option("--why", is_flag=True, help="Say which events speak for each item.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@home_option
def recommend(
    model: str,
    texts: Sequence[str],
    user: str | None,
    logs: str | None,
    top: int,
    services: Sequence[str],
    why: bool,
    as_json: bool,
    home: Path,
) -> None:
    """Rank all items of MODEL for a history, also of somebody it has never seen; without retraining.

    \b
    malmoi users recommend demo-markov-knn --history "텐트 추천 서울 검색" --history "가성비 침낭 1개 구매"
    malmoi users recommend demo-clue --user u000012 --top 5 --why

    A model of texts reads any text. A model of ids knows items only: what it could not match is said.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from malmoi.cli.evals.tables import table
    from malmoi.core.errors import InvalidInput
    from malmoi.users.opening import open_model
    from malmoi.users.ranked import rank

    if bool(texts) == (user is not None):
        raise InvalidInput("give either --history or --user.", field="history", fix="See --help.")
    opened = open_model(home, model)
    history, unmatched = read_history(opened, texts) if user is None else _of_user(opened, home, user, logs)
    found = rank(
        opened,
        history,
        top=top,
        services=services or None,
        exclude_seen=True,
        why=why,
        encode=lambda histories: opened.encoder.encode(histories),
    )
    if as_json:
        items = [
            {
                "item": one.item, "service": one.service, "text": one.text, "score": one.score,
                **({"why": [{"event": r.text, "drop": r.drop} for r in one.why]} if why else {}),
            }
            for one in found
        ]  # fmt: skip
        shown = {
            "model": opened.artifact,
            "history": list(history.texts),
            "unmatched": unmatched,
            "items": items,
        }
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    for text in unmatched:
        click.echo(f"not matched: {text}{_nearest(opened, text)}", err=True)
    head = ("", "score", "service", "item", "text", *(("because of",) if why else ()))
    rows = [
        (
            str(place), f"{one.score:.4g}", one.service, one.item, one.text,
            *(("; ".join(reason.text for reason in one.why[:2]),) if why else ()),
        )
        for place, one in enumerate(found, 1)
    ]  # fmt: skip
    for line in table([head, *rows], right={0, 1}):
        click.echo(line)


def read_history(opened: "OpenModel", texts: Sequence[str]) -> "tuple[History, list[str]]":
    """A history of texts and ids; what the model cannot make anything of.

    Raises:
        InvalidInput: the model knows ids only, and none was matched.
    """
    import numpy as np

    from malmoi.core.errors import InvalidInput
    from malmoi.users.base import TextRecommender
    from malmoi.users.logs import UNKNOWN, History

    items = opened.model.items
    by_id: dict[str, list[int]] = {}
    for number, name in enumerate(items.ids):
        by_id.setdefault(name, []).append(number)
    numbers, read, unmatched = [], [], []
    for text in texts:
        number = items.by_text.get(text.strip(), UNKNOWN)
        if number == UNKNOWN and len(by_id.get(text, ())) == 1:
            number = by_id[text][0]
        if number == UNKNOWN:
            service, _, name = text.partition(":")
            number = items.by_id.get((service, name), UNKNOWN)
        if number == UNKNOWN:
            unmatched.append(text)
        numbers.append(number)
        read.append(text if number == UNKNOWN else items.texts[number])
    history = History(tuple(read), np.array(numbers, dtype=np.int32))
    if isinstance(opened.model, TextRecommender):
        return history, []  # it reads every text
    if len(unmatched) == len(texts):
        raise InvalidInput(
            f"{opened.name} is of kind {opened.kind}, which knows items by their ids, and none of these is "
            f"one: {', '.join(unmatched[:5])}.{_nearest(opened, unmatched[0])}",
            field="history",
            fix="Give texts or ids of its items, or use a kind that reads texts: mean-text, clue, lmrec.",
        )
    return history, unmatched


def _of_user(opened: "OpenModel", home: Path, user: str, logs: str | None) -> "tuple[History, list[str]]":
    from malmoi.core.errors import UnknownName
    from malmoi.users.logs import load_logs
    from malmoi.users.ranking import match_items, renumbered

    loaded = load_logs(logs_of(home, opened.artifact, logs).path)
    if user not in loaded.users:
        raise UnknownName("user", user, loaded.users[:0], fix="Users are written as in the logs.")
    history = loaded.history(loaded.users.index(user))
    places = match_items(loaded.items, opened.model.items)
    return (history if places is None else renumbered(history, places)), []


def logs_of(home: Path, model: str, logs: str | None) -> "Artifact":
    """The logs that are named, or those that a model was fitted on.

    Raises:
        UnknownName: they are not there.
    """
    from malmoi.core.errors import UnknownName
    from malmoi.core.store import Store
    from malmoi.users.opening import find_logs

    store = Store(home / "store")
    if logs is not None:
        return find_logs(store, logs)
    for artifact in store.lineage(model):
        if artifact.manifest.kind == "logs":
            return artifact
    known = [artifact.manifest.name for artifact in store.artifacts("logs")]
    raise UnknownName("logs of", model, known, fix="Name some with --logs.")


def _nearest(opened: "OpenModel", text: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(text, opened.model.items.texts[:20_000], n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""
