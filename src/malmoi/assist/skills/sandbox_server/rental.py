"""Rental cars over HTTP: found, booked, changed and cancelled."""

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import Depends, FastAPI, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from malmoi.assist.skills.builtin.texts import Texts
from malmoi.assist.skills.sandbox_server.bookings import Booking, Bookings
from malmoi.assist.skills.sandbox_server.cars import (
    FARTHEST,
    MOST_DAYS,
    Car,
    all_cars,
    rental_days,
)
from malmoi.assist.skills.sandbox_server.clock import MaybeDay, Today
from malmoi.assist.skills.sandbox_server.places import City
from malmoi.assist.skills.sandbox_server.refusals import SandboxRefused, answer_refusals, language_of
from malmoi.assist.skills.sandbox_server.tokens import owner_of

AnyCar: TypeAlias = Literal["any", "compact", "small", "mid", "large", "suv", "van", "electric"]


class NewBooking(BaseModel):
    """What is booked."""

    model_config = ConfigDict(extra="forbid")

    car_id: str = Field(max_length=100, description="from search_cars")
    start_date: date = Field(description="day of pick-up, YYYY-MM-DD")
    end_date: date = Field(description="day of return, YYYY-MM-DD")
    driver: str = Field(default="", max_length=60, description="name of the driver")


class BookingChange(BaseModel):
    """What changes; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    car_id: str = Field(default="", max_length=100, description="another car from search_cars")
    start_date: MaybeDay = Field(default=None, description="new day of pick-up, YYYY-MM-DD")
    end_date: MaybeDay = Field(default=None, description="new day of return, YYYY-MM-DD")


def owner(request: Request) -> str:
    """Whose bookings these are.

    Raises:
        SandboxRefused: there is no good token.
    """
    found = owner_of(request.headers.get("authorization", ""))
    if found is None:
        raise SandboxRefused(401, "no_token")
    return found


Owner = Annotated[str, Depends(owner)]


def cars_api(folder: Path, today: Today) -> FastAPI:
    """The desk of the rental companies.

    Args:
        folder: where the bookings are kept.
        today: bookings are for this day and later.
    """
    app = FastAPI(title="Sample car rental", version="1", description="Made-up companies and sample prices.")
    answer_refusals(app)
    bookings = Bookings(folder / "bookings.sqlite3")
    texts = Texts(__package__)

    def note(request: Request) -> dict[str, Any]:
        return {"sample": True, "note": texts.say(language_of(request), "note_prices")}

    def told(booking: Booking, request: Request) -> dict[str, Any]:
        return {**_told(booking, language_of(request)), **note(request)}

    @app.get(
        "/cars", operation_id="search_cars", summary="Find rental cars that are free from a day to another"
    )
    def search_cars(
        request: Request,
        city: Annotated[City, Query(description="where the car is picked up")],
        start_date: Annotated[date, Query(description="day of pick-up, YYYY-MM-DD")],
        end_date: Annotated[date, Query(description="day of return, YYYY-MM-DD")],
        kind: Annotated[AnyCar, Query(description="class of car; compact is 경차")] = "any",
        min_seats: Annotated[int, Query(ge=1, le=12)] = 1,
        max_price_per_day: Annotated[int, Query(ge=0, description="in won")] = 1_000_000,
        limit: Annotated[int, Query(ge=1, le=20)] = 6,
    ) -> dict[str, Any]:
        _check_days(start_date, end_date, today())
        days = rental_days(start_date, end_date)
        items = []
        for car in all_cars():
            total = car.total(start_date, end_date)
            if car.city != city or (kind != "any" and car.kind != kind) or car.seats < min_seats:
                continue
            if total > max_price_per_day * days:
                continue
            left = bookings.left(car, start_date, end_date)
            if left > 0:
                period = {
                    "start_date": start_date.isoformat(),
                    "end_date": end_date.isoformat(),
                    "days": days,
                }
                items.append({**car.told(language_of(request)), **period, "total_price": total, "left": left})
        items.sort(key=lambda item: (item["total_price"], item["car_id"]))
        remark = note(request)
        values = {"count": len(items), "first": items[0] if items else {}, "note": remark["note"]}
        summary = texts.say(language_of(request), "cars" if items else "no_cars", **values)
        return {"summary": summary, "count": len(items), "items": items[:limit], **remark}

    @app.post("/bookings", operation_id="book_car", summary="Book a car", status_code=201)
    def book_car(
        request: Request,
        body: NewBooking,
        account: Owner,
        idempotency_key: Annotated[str, Header(max_length=100, include_in_schema=False)] = "",
    ) -> dict[str, Any]:
        _check_days(body.start_date, body.end_date, today())
        car = _car(body.car_id)
        driver = " ".join(body.driver.split())
        booking = bookings.book(account, car, body.start_date, body.end_date, driver, idempotency_key)
        return told(booking, request)

    @app.get("/bookings", operation_id="list_bookings", summary="All car bookings of the caller")
    def list_bookings(request: Request, account: Owner) -> dict[str, Any]:
        items = [_told(booking, language_of(request)) for booking in bookings.of(account)]
        summary = texts.say(language_of(request), "bookings" if items else "no_bookings", items=items)
        return {"summary": summary, "count": len(items), "items": items, **note(request)}

    @app.get("/bookings/{booking_id}", operation_id="get_booking", summary="One car booking of the caller")
    def get_booking(request: Request, booking_id: str, account: Owner) -> dict[str, Any]:
        return told(bookings.get(account, booking_id), request)

    @app.patch("/bookings/{booking_id}", operation_id="change_booking", summary="Other days or another car")
    def change_booking(
        request: Request, booking_id: str, body: BookingChange, account: Owner
    ) -> dict[str, Any]:
        known = bookings.get(account, booking_id)
        start, end = body.start_date or known.start, body.end_date or known.end
        if body.start_date is not None and body.end_date is None:
            end = start + (known.end - known.start)  # moved as a whole
        _check_days(start, end, today())
        return told(bookings.change(account, booking_id, _car(body.car_id or known.car), start, end), request)

    @app.delete("/bookings/{booking_id}", operation_id="cancel_booking", summary="Cancel a car booking")
    def cancel_booking(request: Request, booking_id: str, account: Owner) -> dict[str, Any]:
        return told(bookings.cancel(account, booking_id), request)

    return app


def _car(car_id: str) -> Car:
    for car in all_cars():
        if car.id == car_id.strip():
            return car
    raise SandboxRefused(404, "no_car", name=car_id)


def _check_days(start: date, end: date, now: date) -> None:
    if start < now:
        raise SandboxRefused(422, "past", today=now.isoformat())
    if end < start:
        raise SandboxRefused(422, "backwards")
    if rental_days(start, end) > MOST_DAYS:
        raise SandboxRefused(422, "too_long", days=MOST_DAYS)
    if (start - now).days > FARTHEST:
        raise SandboxRefused(422, "too_far", days=FARTHEST)


def _told(booking: Booking, language: str) -> dict[str, Any]:
    car = _car(booking.car)
    return {
        "booking_id": booking.id,
        "status": booking.status,
        **car.told(language),
        "start_date": booking.start.isoformat(),
        "end_date": booking.end.isoformat(),
        "days": rental_days(booking.start, booking.end),
        "driver": booking.driver,
        "total_price": booking.price,
        "one_day_longer": (booking.end + timedelta(days=1)).isoformat(),
    }
