"""Calendars as ICS files, one for each account: other programs can read them, and nothing else is needed."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from malmoi.core.errors import Conflict, InvalidInput
from malmoi.core.files import write_bytes
from malmoi.core.locks import locked

if TYPE_CHECKING:
    from icalendar import Calendar

MOST_BYTES = 8 << 20
_PRODUCT = "-//Malmoi//Calendar//KO"
_PATIENCE = 5.0  # seconds to wait for another writer


class CalendarStore:
    """A folder of calendars.

    Args:
        folder: is made with the first calendar.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, account_id: str) -> Path:
        """The file of an account; its name says nothing about whose it is, and cannot leave the folder."""
        return self._folder / f"{sha256(account_id.encode()).hexdigest()[:32]}.ics"

    def read(self, account_id: str) -> "Calendar":
        """The calendar of an account; an empty one where there is none.

        Raises:
            InvalidInput: the file is too large or no calendar.
        """
        from icalendar import Calendar

        path = self.path(account_id)
        try:
            if path.stat().st_size > MOST_BYTES:
                raise InvalidInput(f"{path} is larger than {MOST_BYTES >> 20} MiB.", fix="Remove old events.")
            content = path.read_bytes()
        except FileNotFoundError:
            calendar = Calendar()
            calendar.add("prodid", _PRODUCT)
            calendar.add("version", "2.0")
            return calendar
        try:
            return Calendar.from_ical(content)
        except ValueError as error:
            raise InvalidInput(
                f"{path} is no calendar ({error}).", fix="Repair or remove the file."
            ) from error

    @contextmanager
    def changing(self, account_id: str) -> "Iterator[Calendar]":
        """The calendar of an account, written back at the end of the block where nothing was raised.

        Raises:
            Conflict: somebody else has been writing for too long.
        """
        path = self.path(account_id)
        with _patiently(path.with_suffix(".lock")):
            calendar = self.read(account_id)
            yield calendar
            calendar.add_missing_timezones()
            write_bytes(path, calendar.to_ical(), mode=0o600)


@contextmanager
def _patiently(path: Path) -> Iterator[None]:
    """Hold a lock; wait a little where another holds it."""
    deadline = time.monotonic() + _PATIENCE
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(locked(path, busy="the calendar is being changed by another call."))
                break
            except Conflict:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.02)
        yield
