"""`malmoi users campaign`: learn who answers a message, from those who did and did not."""

import csv
from pathlib import Path

import click

from malmoi.cli.options import home_option

_YES = {"1", "yes", "true"}
_NO = {"0", "no", "false"}


@click.command()
@click.argument("collection")
@click.argument("name")
@click.argument("answers", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Of the parts by which it is calibrated.")
@home_option
def campaign(collection: str, name: str, answers: Path, seed: int, home: Path) -> None:
    """Learn the campaign NAME from a CSV file with the columns user and answered (1 or 0).

    The gateway then gives the chance of an answer for any user of the COLLECTION: POST /v1/users/propensity.

    Example: malmoi users campaign people spring-sale answers.csv
    """
    from malmoi.users.campaigns import learn_campaign
    from malmoi.users.index import open_collection

    answered, silent = read_answers(answers)
    learned = learn_campaign(open_collection(home, collection), name, answered, silent, seed=seed)
    total = learned.positives + learned.negatives
    skipped = len(answered) + len(silent) - total
    more = f" {skipped} are not in the collection and do not count." if skipped else ""
    click.echo(f"{name}: learned from {total} users, of whom {learned.positives} answered.{more}")


def read_answers(path: Path) -> tuple[list[str], list[str]]:
    """Users who answered, and users who did not.

    Raises:
        InvalidInput: a column is missing, or a line says neither; the message names it.
    """
    from malmoi.core.errors import InvalidInput

    found: dict[bool, list[str]] = {True: [], False: []}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        missing = {"user", "answered"} - set(rows.fieldnames or ())
        if missing:
            raise InvalidInput(f"{path} has no column {min(missing)!r}.", fix="It needs user and answered.")
        try:
            for row in rows:
                said = (row["answered"] or "").strip().lower()
                if said not in _YES | _NO or not row["user"]:
                    raise InvalidInput(
                        f"{path}, line {rows.line_num}: {said!r} is no answer.", fix="Write 1 or 0."
                    )
                found[said in _YES].append(row["user"])
        except (UnicodeDecodeError, csv.Error) as error:
            raise InvalidInput(
                f"{path}, line {rows.line_num}: {error}.", fix="It must be CSV in UTF-8."
            ) from error
    return list(dict.fromkeys(found[True])), list(dict.fromkeys(found[False]))
