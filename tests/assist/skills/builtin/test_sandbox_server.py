"""The sandbox server: places that are open, plans that hold, cars that are booked once, for one person."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from itertools import pairwise

import httpx
import pytest

pytest.importorskip("fastapi")

from malmoi.assist.egress import Answer
from malmoi.assist.skills.builtin import builtin_manifests
from malmoi.assist.skills.loading import check_arguments, open_skill
from malmoi.assist.skills.manifest_reading import load_skill
from malmoi.assist.skills.operation import CallContext
from malmoi.assist.skills.sandbox_server import account_token, openapi_documents, sandbox_app
from malmoi.assist.skills.sandbox_server.bookings import Bookings
from malmoi.assist.skills.sandbox_server.cars import all_cars
from malmoi.assist.skills.sandbox_server.itinerary import plan_days
from malmoi.assist.skills.sandbox_server.places import all_places, distance_km, find_place
from malmoi.assist.skills.sandbox_server.refusals import SandboxRefused

TODAY = date(2026, 11, 22)  # a Sunday
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TOKENS = {name: account_token(b"a secret of the tests", name) for name in ("mina", "joon")}
XMAS = {"start_date": "2026-12-24", "end_date": "2026-12-26"}


class SandboxEgress:
    """A way out that leads into the sandbox, by ASGI."""

    def __init__(self, folder):
        app = sandbox_app(folder, today=lambda: TODAY)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8799")

    async def send(self, method, url, *, headers=None, content=b"", seconds=None, max_bytes=None):
        answer = await self.client.request(method, url, headers=headers, content=content)
        return Answer(answer.status_code, dict(answer.headers), answer.content, answer.url)


@pytest.fixture
async def egress(tmp_path):
    egress = SandboxEgress(tmp_path / "sandbox")
    yield egress
    await egress.client.aclose()


async def opened(name, egress):
    (manifest,) = [path for path in builtin_manifests() if path.parent.name == name]
    return await open_skill(load_skill(manifest.parent, origin="builtin"), egress=egress)


def context(account="mina", language="ko"):
    return CallContext(account, language, NOW, {"token": TOKENS[account]})


def test_knows_enough_places_of_every_kind():
    places = all_places()
    counts = Counter(place.city for place in places)
    assert set(counts) == {"jeju", "jeonju", "busan", "seoul"}
    assert min(counts.values()) >= 40
    assert len({place.id for place in places}) == len(places)
    assert all(33 < place.latitude < 38 and 126 < place.longitude < 130 for place in places)
    assert all(place.opens < place.closes and place.stay > 0 for place in places)
    assert all(text for place in places for text in (*place.name.values(), *place.about.values()))


def test_measures_the_way_on_the_ball_of_the_earth():
    palace, tower = find_place("경복궁"), find_place("남산서울타워")
    assert distance_km(palace, tower) == pytest.approx(3.31, abs=0.02)
    assert find_place("Gyeongbokgung Palace") is palace


@pytest.mark.parametrize("city", ["jeju", "jeonju", "busan", "seoul"])
def test_plans_days_in_which_everything_is_open(city):
    places = [place for place in all_places() if place.city == city]
    planned = plan_days(places, date(2026, 11, 23), 3)
    stops = [stop for day in planned for stop in day]
    assert all(len(day) >= 4 for day in planned)
    assert len({stop.place.id for stop in stops}) == len(stops)
    for number, day in enumerate(planned):
        for stop in day:
            assert stop.place.is_open(date(2026, 11, 23 + number), stop.start)
            assert stop.end <= min(stop.place.closes, 20 * 60)
        assert all(after.start >= before.end for before, after in pairwise(day))
        assert [stop.meal for stop in day if stop.meal][:1] == ["lunch"]


async def test_finds_places_by_what_is_asked(egress):
    travel = await opened("travel", egress)
    found = await travel.call(
        "search_places", {"city": "seoul", "kind": "history", "open_on": "2026-11-24"}, context()
    )
    names = [item["name"] for item in found.data["items"]]
    assert "창덕궁" in names
    assert "경복궁" not in names  # closed on Tuesdays
    assert found.cards[0].kind == "place"
    assert "latitude" not in found.data["items"][0]  # the manifest keeps what the model needs
    near = await travel.call(
        "search_places", {"city": "busan", "near": "해운대해수욕장", "limit": 3}, context()
    )
    distances = [item["distance_km"] for item in near.data["items"]]
    assert distances == sorted(distances)
    english = await travel.call("get_place", {"place_id": "경복궁"}, context(language="en"))
    assert english.data["name"] == "Gyeongbokgung Palace"
    assert english.data["sample"] is True
    unknown = await travel.call("get_place", {"place_id": "없는곳"}, context())
    assert unknown.is_error
    assert unknown.text == "‘없는곳’이라는 장소가 없습니다."


async def test_plans_days_as_cards(egress):
    travel = await opened("travel", egress)
    planned = await travel.call("plan_itinerary", {"city": "jeonju", "days": 2}, context())
    assert [card.title for card in planned.cards] == ["1일째 · 2026-11-22", "2일째 · 2026-11-23"]
    assert planned.cards[0].fields[0][1].startswith("09:30-")
    assert planned.text.startswith("1일째 ")
    assert " / 2일째 " in planned.text
    assert planned.text.endswith("가격과 예약은 예시이며 실제가 아닙니다.")


async def test_books_shows_changes_and_cancels_a_car(egress):
    cars = await opened("cars", egress)
    effects = {operation.name: operation.effect for operation in cars.operations}
    assert effects == {
        "search_cars": "read", "list_bookings": "read", "get_booking": "read",
        "book_car": "write", "change_booking": "write", "cancel_booking": "write",
    }  # fmt: skip
    found = await cars.call("search_cars", {"city": "jeju", "kind": "compact", **XMAS}, context())
    assert "가장 싼 것은 기아 모닝(제주국제공항), 2일에 66,900원입니다." in found.text
    (button,) = found.cards[0].actions
    assert button.operation == "book_car"
    assert button.arguments == {"car_id": found.data["items"][0]["car_id"], **XMAS}

    booked = await cars.call(button.operation, button.arguments, context())
    (card,) = booked.cards
    assert card.kind == "booking"
    assert "예약을 마쳤습니다" in booked.text
    assert "예시" in booked.text
    longer, cancel = card.actions

    changed = await cars.call(longer.operation, longer.arguments, context())
    assert changed.data["end_date"] == "2026-12-27"
    assert changed.data["total_price"] > booked.data["total_price"]
    listed = await cars.call("list_bookings", {}, context())
    assert [item["status"] for item in listed.data["items"]] == ["booked"]
    assert listed.text.startswith("예약이 1건 있습니다: R")

    cancelled = await cars.call(cancel.operation, cancel.arguments, context())
    assert cancelled.data["status"] == "cancelled"
    again = await cars.call(longer.operation, longer.arguments, context())
    assert again.is_error
    assert again.text == "이미 취소된 예약입니다."


async def test_shows_nobody_elses_bookings(egress):
    cars = await opened("cars", egress)
    booked = await cars.call("book_car", {"car_id": "jeju-hallabong-ray", **XMAS}, context("mina"))
    number = {"booking_id": booked.data["booking_id"]}
    for operation in ("get_booking", "cancel_booking", "change_booking"):
        theirs = await cars.call(operation, number, context("joon"))
        assert theirs.is_error
        assert theirs.exchanges[0].status == 404
    assert (await cars.call("list_bookings", {}, context("joon"))).data["count"] == 0
    assert cars.missing({}) == ["token"]
    assert TOKENS["mina"] not in json.dumps([str(exchange) for exchange in booked.exchanges])


@pytest.mark.parametrize(
    ("days", "key"),
    [
        ({"start_date": "2026-11-01", "end_date": "2026-11-03"}, "past"),
        ({"start_date": "2026-12-26", "end_date": "2026-12-24"}, "backwards"),
        ({"start_date": "2026-12-01", "end_date": "2027-02-01"}, "too_long"),
        ({"start_date": "2028-01-01", "end_date": "2028-01-02"}, "too_far"),
    ],
)
async def test_refuses_days_that_make_no_sense(egress, days, key):
    answer = await egress.client.get("/cars/cars", params={"city": "jeju", **days})
    assert answer.status_code == 422
    assert answer.json()["code"] == key


async def test_takes_the_same_request_once(egress):
    headers = {"authorization": f"Bearer {TOKENS['mina']}", "idempotency-key": "k1"}
    body = {"car_id": "jeju-hallabong-ray", **XMAS}
    first = await egress.client.post("/cars/bookings", json=body, headers=headers)
    second = await egress.client.post("/cars/bookings", json=body, headers=headers)
    other = await egress.client.post("/cars/bookings", json={**body, "driver": "X"}, headers=headers)
    without_key = {"authorization": headers["authorization"]}
    twice = await egress.client.post("/cars/bookings", json=body, headers=without_key)
    assert first.json()["booking_id"] == second.json()["booking_id"]
    assert (other.status_code, other.json()["code"]) == (409, "other_request")
    assert (twice.status_code, twice.json()["code"]) == (409, "same_booking")


@pytest.mark.parametrize("header", ["", "Bearer short", "Basic YTpi"])
async def test_keeps_bookings_for_good_tokens_alone(egress, header):
    answer = await egress.client.get("/cars/bookings", headers={"authorization": header})
    assert answer.status_code == 401


def test_sells_the_last_car_once(tmp_path):
    bookings = Bookings(tmp_path / "bookings.sqlite3")
    car = next(car for car in all_cars() if car.units == 1)
    start, end = date(2026, 12, 24), date(2026, 12, 26)

    def book(number):
        try:
            return bookings.book(f"owner{number}", car, start, end, "")
        except SandboxRefused as refused:
            return refused.key

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(book, range(4)))
    assert sorted(str(outcome) for outcome in outcomes if isinstance(outcome, str)) == ["taken"] * 3
    assert bookings.left(car, date(2026, 12, 26), date(2026, 12, 28)) == 0  # it comes back that day
    assert bookings.left(car, date(2026, 12, 27), date(2026, 12, 28)) == 1


async def test_makes_up_the_same_weather_twice_and_says_so(egress):
    weather = await opened("weather", egress)
    first = await weather.call("weather_forecast", {"city": "jeju", "days": 3}, context())
    second = await weather.call("weather_forecast", {"city": "jeju", "days": 3}, context())
    today = await weather.call("current_weather", {"city": "seoul"}, context("mina", "en"))
    assert first.data == second.data
    assert first.data["sample"] is True
    assert first.text.startswith("제주: 11-22 ")
    assert "no forecast" in today.text
    assert all(card.kind == "weather" for card in (*first.cards, *today.cards))


@pytest.mark.parametrize("name", ["cars", "travel", "weather"])
def test_has_the_document_that_the_server_has(name):
    kept = json.loads(_folder(name).joinpath("openapi.json").read_text("utf-8"))
    made = json.loads(json.dumps(openapi_documents()[name]))
    # If not: python -m malmoi.assist.skills.sandbox_server --openapi src/malmoi/assist/skills/builtin
    assert _outline(kept) == _outline(made)


def _outline(document):
    return {
        (path, method): (
            told["operationId"],
            [(one["name"], one["in"]) for one in told.get("parameters", [])],
        )
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    }


@pytest.mark.parametrize("name", ["cars", "travel", "weather"])
async def test_has_examples_that_fit_the_operations(name, egress):
    skill = await opened(name, egress)
    counts = dict.fromkeys((operation.name for operation in skill.operations), 0)
    for example in skill.skill.manifest.examples:
        if example.arguments is not None:  # some show only what a query is for
            check_arguments(skill.operation(example.operation), example.arguments)
        counts[example.operation] += 1
    assert min(counts.values()) >= 8


def _folder(name):
    return next(path.parent for path in builtin_manifests() if path.parent.name == name)
