"""What can go wrong with an upstream server, as data."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

FaultKind: TypeAlias = Literal[
    "status",  # refuse with `status` (and `retry_after`, `message`)
    "drop",  # close the connection without an answer
    "hang",  # take the request and never answer
    "hang_after",  # send `after` events, then nothing more
    "cut",  # send `after` events, then close the connection
    "error_event",  # send `after` events, then an `error` object inside the stream
    "garbage",  # send `after` events, then one that is not JSON
    "no_usage",  # leave out the usage
    "html",  # a page instead of the API (a proxy's login, say)
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, for one request to `path` (none: to any generation route).

    `after` counts events of a stream; `message` is the text of the refusal.
    """

    kind: FaultKind
    status: int = 500
    retry_after: str | None = None
    after: int = 1
    message: str = "scripted fault"
    path: str | None = None
