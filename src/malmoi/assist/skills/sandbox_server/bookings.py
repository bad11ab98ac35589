"""Bookings of cars, kept in one SQLite file, each for the owner of a token alone."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from malmoi.assist.skills.sandbox_server.cars import Car
from malmoi.assist.skills.sandbox_server.refusals import SandboxRefused

MOST_BOOKINGS = 50
_SCHEMA = """
CREATE TABLE IF NOT EXISTS bookings (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, car TEXT NOT NULL,
    start_day TEXT NOT NULL, end_day TEXT NOT NULL, driver TEXT NOT NULL,
    price INTEGER NOT NULL, status TEXT NOT NULL, changes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS bookings_by_owner ON bookings (owner, start_day);
CREATE INDEX IF NOT EXISTS bookings_by_car ON bookings (car, status);
CREATE TABLE IF NOT EXISTS requests (
    owner TEXT NOT NULL, request_key TEXT NOT NULL, digest TEXT NOT NULL, booking TEXT NOT NULL,
    PRIMARY KEY (owner, request_key)
);
"""
_COLUMNS = "id, owner, car, start_day, end_day, driver, price, status, changes"


@dataclass(frozen=True, slots=True)
class Booking:
    """A car for some days. `status` is "booked" or "cancelled"; `price` in won."""

    id: str
    owner: str
    car: str
    start: date
    end: date
    driver: str
    price: int
    status: str
    changes: int = 0


class Bookings:
    """The file of bookings.

    Args:
        path: is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def book(self, owner: str, car: Car, start: date, end: date, driver: str, key: str = "") -> Booking:
        """Book a car. The same `key` and request give the same booking again.

        Raises:
            SandboxRefused: none is left, it is booked already, or the key came with another request.
        """
        digest = sha256(json.dumps([car.id, start.isoformat(), end.isoformat(), driver]).encode()).hexdigest()
        with self._writing() as database:
            if key and (known := self._request(database, owner, key)) is not None:
                if known[0] != digest:
                    raise SandboxRefused(409, "other_request")
                return self._get(database, owner, known[1])
            held = [one for one in self._list(database, owner) if one.status == "booked"]
            for one in held:
                if (one.car, one.start, one.end) == (car.id, start, end):
                    raise SandboxRefused(409, "same_booking", id=one.id)
            if len(held) >= MOST_BOOKINGS:
                raise SandboxRefused(409, "too_many", most=MOST_BOOKINGS)
            self._check_free(database, car, start, end)
            booking = Booking(
                f"R{token_hex(4).upper()}", owner, car.id, start, end, driver, car.total(start, end), "booked"
            )
            self._put(database, booking)
            if key:
                database.execute("INSERT INTO requests VALUES (?, ?, ?, ?)", (owner, key, digest, booking.id))
            return booking

    def change(self, owner: str, booking_id: str, car: Car, start: date, end: date) -> Booking:
        """Other days or another car; the price is reckoned anew.

        Raises:
            SandboxRefused: there is no such booking of this owner, it is cancelled, or no car is left.
        """
        with self._writing() as database:
            booking = self._get(database, owner, booking_id)
            if booking.status == "cancelled":
                raise SandboxRefused(409, "cancelled")
            self._check_free(database, car, start, end, but=booking.id)
            changed = replace(
                booking,
                car=car.id,
                start=start,
                end=end,
                price=car.total(start, end),
                changes=booking.changes + 1,
            )
            self._put(database, changed)
            return changed

    def cancel(self, owner: str, booking_id: str) -> Booking:
        """Cancel; cancelling twice is no fault.

        Raises:
            SandboxRefused: there is no such booking of this owner.
        """
        with self._writing() as database:
            booking = replace(self._get(database, owner, booking_id), status="cancelled")
            self._put(database, booking)
            return booking

    def get(self, owner: str, booking_id: str) -> Booking:
        """One booking.

        Raises:
            SandboxRefused: there is no such booking of this owner.
        """
        with self._reading() as database:
            return self._get(database, owner, booking_id)

    def of(self, owner: str) -> list[Booking]:
        """All bookings of an owner, by their first day."""
        with self._reading() as database:
            return self._list(database, owner)

    def left(self, car: Car, start: date, end: date) -> int:
        """How many of these cars are free from a day to another."""
        with self._reading() as database:
            return self._left(database, car, start, end)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        try:
            database.executescript(_SCHEMA)
            yield database
        finally:
            database.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as database:
            # Taken before anything is read: two bookings of the last car cannot both see it free.
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    def _check_free(
        self, database: sqlite3.Connection, car: Car, start: date, end: date, but: str = ""
    ) -> None:
        if self._left(database, car, start, end, but) < 1:
            raise SandboxRefused(409, "taken", model=car.model)

    def _left(self, database: sqlite3.Connection, car: Car, start: date, end: date, but: str = "") -> int:
        # Returned on the day that another begins, a car is still being cleaned.
        query = (
            "SELECT COUNT(*) FROM bookings WHERE car = ? AND status = 'booked' AND id != ?"
            " AND start_day <= ? AND end_day >= ?"
        )
        (taken,) = database.execute(query, (car.id, but, end.isoformat(), start.isoformat())).fetchone()
        return car.units - int(taken)

    def _request(self, database: sqlite3.Connection, owner: str, key: str) -> tuple[str, str] | None:
        query = "SELECT digest, booking FROM requests WHERE owner = ? AND request_key = ?"
        found: tuple[str, str] | None = database.execute(query, (owner, key)).fetchone()
        return found

    def _get(self, database: sqlite3.Connection, owner: str, booking_id: str) -> Booking:
        query = f"SELECT {_COLUMNS} FROM bookings WHERE id = ? AND owner = ?"  # noqa: S608 - fixed columns
        row = database.execute(query, (booking_id.strip().upper(), owner)).fetchone()
        if row is None:
            raise SandboxRefused(404, "no_booking", name=booking_id)
        return _booking(row)

    def _list(self, database: sqlite3.Connection, owner: str) -> list[Booking]:
        query = f"SELECT {_COLUMNS} FROM bookings WHERE owner = ? ORDER BY start_day, id"  # noqa: S608
        return [_booking(row) for row in database.execute(query, (owner,))]

    def _put(self, database: sqlite3.Connection, booking: Booking) -> None:
        values = (
            *(booking.id, booking.owner, booking.car, booking.start.isoformat(), booking.end.isoformat()),
            *(booking.driver, booking.price, booking.status, booking.changes),
        )
        database.execute("INSERT OR REPLACE INTO bookings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)


def _booking(row: tuple[str, str, str, str, str, str, int, str, int]) -> Booking:
    name, owner, car, start, end, driver, price, status, changes = row
    first, last = date.fromisoformat(start), date.fromisoformat(end)
    return Booking(name, owner, car, first, last, driver, price, status, changes)
