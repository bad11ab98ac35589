"""An audience, and the file that a marketing tool reads."""

import csv
import io
from collections.abc import Sequence

from malmoi.apps.users.types import AudienceIn, AudienceOut, NeighbourOut
from malmoi.users.service import UserService

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def build_audience(service: UserService, collection: str, wanted: AudienceIn) -> AudienceOut:
    """The users who are like those that are named.

    Raises:
        NotFound: none of them is in the collection.
        UnknownName: there is no such collection or campaign.
    """
    audience = service.look_alike(collection, wanted.users, wanted.size)
    chances: dict[str, float] = {}
    if wanted.campaign is not None and audience.found.keys:
        chances = service.propensity(collection, wanted.campaign, audience.found.keys)
    users = [
        NeighbourOut(key=key, score=score, probability=chances.get(key))
        for key, score in zip(audience.found.keys, audience.found.scores.tolist(), strict=True)
    ]
    return AudienceOut(users=users, unknown=audience.unknown)


def render_csv(users: Sequence[NeighbourOut]) -> bytes:
    """The audience as CSV in UTF-8 with a mark, as spreadsheets want it.

    A name that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    has_chances = any(user.probability is not None for user in users)
    writer.writerow(["user", "score", *(["probability"] if has_chances else [])])
    for user in users:
        key = f"'{user.key}" if user.key.startswith(_FORMULA) else user.key
        chance = "" if user.probability is None else f"{user.probability:.6f}"
        writer.writerow([key, f"{user.score:.6f}", *([chance] if has_chances else [])])
    return file.getvalue().encode("utf-8-sig")
