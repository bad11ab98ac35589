"""What an import read, kept and dropped, and why: JSON, and a short table for people."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from malmoi.users.logs import Logs


class FileReport(BaseModel):
    """One file: rows without the header, and the bad ones by reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: str
    rows: int
    bad: dict[str, int]


class ServiceReport(BaseModel):
    """What is kept of one service."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    users: int
    items: int
    events: int


class ImportReport(BaseModel):
    """Of one import."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    users: int
    items: int
    events: int
    services: tuple[ServiceReport, ...]
    median_length: float
    longest: int
    first_time: int | None
    """Seconds since 1970."""
    last_time: int | None
    files: tuple[FileReport, ...] = ()
    dropped: dict[str, int] = {}
    """Good rows that were left out, by reason."""
    noted: dict[str, int] = {}
    """What was seen and mended."""

    @property
    def bad(self) -> int:
        """Rows that could not be used."""
        return sum(count for file in self.files for count in file.bad.values())

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.users:,} users, {self.items:,} items, {self.events:,} events"
        yield f"  a user has {self.median_length:g} events at the median, {self.longest:,} at most"
        if len(self.services) > 1:
            for one in self.services:
                yield f"  {one.name}: {one.users:,} users, {one.items:,} items, {one.events:,} events"
        for file in self.files:
            for reason, count in file.bad.items():
                yield f"  bad: {count:,} of {file.rows:,} rows of {file.path}: {reason}"
        for reason, count in self.dropped.items():
            yield f"  dropped: {count:,} events: {reason}"
        for what, count in self.noted.items():
            yield f"  noted: {count:,} {what}"


def describe(logs: Logs, **more: Any) -> ImportReport:
    """The report of finished logs; `more` are the other fields."""
    events, lengths = np.asarray(logs.events), logs.lengths
    service = logs.items.service[events]
    services = []
    for number, name in enumerate(logs.items.services):
        own = np.concatenate([[0], np.cumsum(service == number)])
        users = int((own[logs.offsets[1:]] > own[logs.offsets[:-1]]).sum())
        count = int((logs.items.service == number).sum())
        services.append(ServiceReport(name=name, users=users, items=count, events=int(own[-1])))
    timed = logs.times is not None and len(logs.times) > 0
    return ImportReport(
        users=len(logs),
        items=len(logs.items),
        events=logs.num_events,
        services=tuple(services),
        median_length=float(np.median(lengths)) if len(lengths) else 0.0,
        longest=int(lengths.max()) if len(lengths) else 0,
        first_time=int(np.min(logs.times)) if timed and logs.times is not None else None,
        last_time=int(np.max(logs.times)) if timed and logs.times is not None else None,
        **more,
    )
