"""The calendar skill: repeated events and their exceptions, free time, and nobody else's calendar."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

pytest.importorskip("icalendar")

import icalendar

from malmoi.assist.skills.builtin.calendar.occurrences import between, free_slots
from malmoi.assist.skills.builtin.calendar.provider import CalendarProvider
from malmoi.assist.skills.builtin.calendar.store import CalendarStore
from malmoi.assist.skills.operation import CallContext
from malmoi.core.errors import InvalidInput

SEOUL = ZoneInfo("Asia/Seoul")
NOW = datetime(2026, 11, 22, 12, tzinfo=SEOUL)  # a Sunday


@pytest.fixture
def calendar(tmp_path):
    return CalendarProvider(str(tmp_path / "calendars"))


def context(account="mina", language="ko", now=NOW):
    return CallContext(account, language, now)


async def starts(calendar, first, last, account="mina"):
    listed = await calendar.call("list_events", {"start": first, "end": last}, context(account))
    return [event["start"] for event in listed.data["events"]]


async def test_makes_moves_and_cancels_an_event(calendar):
    made = await calendar.call(
        "create_event", {"title": "치과", "start": "2026-11-24T15:00", "place": "종로"}, context()
    )
    assert made.text == "치과 일정을 11월 24일(화) 15:00~16:00에 넣었습니다."
    (card,) = made.cards
    assert card.fields == (("때", "11월 24일(화) 15:00~16:00"), ("곳", "종로"))
    later, cancel = card.actions

    moved = await calendar.call(later.operation, later.arguments, context())
    assert moved.data["start"] == "2026-11-25T15:00+09:00"
    assert moved.data["end"] == "2026-11-25T16:00+09:00"
    cancelled = await calendar.call(cancel.operation, cancel.arguments, context())
    assert cancelled.text == "치과 일정을 취소했습니다."
    assert await starts(calendar, "2026-11-20", "2026-11-30") == []
    again = await calendar.call(cancel.operation, cancel.arguments, context())
    assert again.is_error


async def test_repeats_events_and_excepts_single_days(calendar):
    arguments = {
        "title": "주간회의",
        "start": "2026-11-23T09:00",
        "repeat": "weekly",
        "repeat_until": "2026-12-14",
    }
    made = await calendar.call("create_event", arguments, context())
    number = {"event_id": made.data["event_id"]}
    assert [day[:10] for day in await starts(calendar, "2026-11-01", "2027-01-31")] == [
        *("2026-11-23", "2026-11-30", "2026-12-07", "2026-12-14"),
    ]
    await calendar.call("cancel_event", {**number, "only_on": "2026-11-30"}, context())
    await calendar.call(
        "move_event", {**number, "start": "2026-12-08T10:00", "only_on": "2026-12-07"}, context()
    )
    assert await starts(calendar, "2026-11-01", "2027-01-31") == [
        *("2026-11-23T09:00+09:00", "2026-12-08T10:00+09:00", "2026-12-14T09:00+09:00"),
    ]
    again = {**number, "start": "2026-12-09T11:00", "only_on": "2026-12-08"}
    await calendar.call("move_event", again, context())
    assert (await starts(calendar, "2026-12-01", "2026-12-13")) == ["2026-12-09T11:00+09:00"]
    await calendar.call("cancel_event", {**number, "only_on": "2026-12-09"}, context())
    assert (await starts(calendar, "2026-12-01", "2026-12-13")) == []
    nothing = await calendar.call("cancel_event", {**number, "only_on": "2026-11-24"}, context())
    assert nothing.is_error
    await calendar.call("cancel_event", number, context())
    assert await starts(calendar, "2026-11-01", "2027-01-31") == []


async def test_tells_times_in_the_callers_zone(calendar):
    await calendar.call("create_event", {"title": "통화", "start": "2026-11-24T09:00"}, context())
    york = context(now=NOW.astimezone(ZoneInfo("America/New_York")))
    listed = await calendar.call("list_events", {"start": "2026-11-23"}, york)
    assert "11월 23일(월) 19:00~20:00" in listed.text


async def test_keeps_the_hour_of_repeated_events_over_a_change_of_clocks(calendar):
    berlin = context(now=datetime(2026, 3, 20, 12, tzinfo=ZoneInfo("Europe/Berlin")))
    await calendar.call(
        "create_event", {"title": "x", "start": "2026-03-28T09:00", "repeat": "daily"}, berlin
    )
    listed = await calendar.call("list_events", {"start": "2026-03-28", "end": "2026-03-30"}, berlin)
    assert [event["start"] for event in listed.data["events"]] == [
        *("2026-03-28T09:00+01:00", "2026-03-29T09:00+02:00", "2026-03-30T09:00+02:00"),
    ]


async def test_warns_of_two_events_at_once_and_takes_whole_days(calendar):
    first = {"title": "회의", "start": "2026-11-24T10:00", "minutes": 90}
    await calendar.call("create_event", first, context())
    second = await calendar.call(
        "create_event", {"title": "전화", "start": "2026-11-24T11:00"}, context("mina", "en")
    )
    assert second.text.endswith("There is something else at that time: 회의")
    trip = {"title": "출장", "start": "2026-12-01", "end": "2026-12-03", "all_day": True}
    made = await calendar.call("create_event", trip, context())
    assert made.text == "출장 일정을 12월 1일(화) ~ 12월 3일(목) 하루 종일에 넣었습니다."
    assert len(await starts(calendar, "2026-12-03", "2026-12-03")) == 1
    assert await starts(calendar, "2026-12-04", "2026-12-04") == []


async def test_finds_free_time_between_events(calendar):
    for start, minutes in (("2026-11-23T09:00", 60), ("2026-11-23T10:30", 90), ("2026-11-23T11:00", 120)):
        await calendar.call("create_event", {"title": "바쁨", "start": start, "minutes": minutes}, context())
    free = await calendar.call("find_free_time", {"start": "2026-11-23", "minutes": 45}, context())
    assert [(one["start"][11:16], one["end"][11:16]) for one in free.data["free"]] == [("13:00", "18:00")]
    anyday = {"start": "2026-11-22", "weekdays_only": False}
    today = await calendar.call("find_free_time", anyday, context())
    assert today.data["free"][0]["start"].startswith("2026-11-22T12:00")
    sunday = await calendar.call("find_free_time", {"start": "2026-11-22"}, context())
    assert sunday.data == {"free": []}


def test_cuts_what_is_busy_out_of_what_is_open():
    hour = [NOW + timedelta(hours=n) for n in range(8)]
    busy = [(hour[1], hour[2]), (hour[1], hour[3]), (hour[5], hour[7])]
    assert free_slots(busy, [(hour[0], hour[6])], timedelta(hours=1)) == [
        (hour[0], hour[1]),
        (hour[3], hour[5]),
    ]
    assert free_slots([], [(hour[0], hour[1])], timedelta(hours=2)) == []


async def test_keeps_calendars_apart(calendar, tmp_path):
    made = await calendar.call(
        "create_event", {"title": "비밀", "start": "2026-11-24T15:00"}, context("mina")
    )
    assert await starts(calendar, "2026-11-01", "2026-12-31", "joon") == []
    for operation in ("cancel_event", "move_event"):
        arguments = {"event_id": made.data["event_id"], "start": "2026-11-25T10:00"}
        theirs = await calendar.call(operation, arguments, context("joon"))
        assert theirs.is_error
    assert len(await starts(calendar, "2026-11-01", "2026-12-31")) == 1
    store = CalendarStore(tmp_path / "calendars")
    for account in ("../../etc/passwd", "mina/../joon", ""):
        assert store.path(account).parent == tmp_path / "calendars"


def test_is_not_worn_out_by_a_foreign_file(tmp_path):
    store = CalendarStore(tmp_path)
    rules = [
        "FREQ=SECONDLY",
        "FREQ=DAILY;BYSECOND=1,2,3",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY",
        "X",
    ]
    events = "".join(
        f"BEGIN:VEVENT\r\nUID:{n}\r\nSUMMARY:s\r\nDTSTART:19700101T000000Z\r\nRRULE:{rule}\r\nEND:VEVENT\r\n"
        for n, rule in enumerate(rules[:4])
    )
    path = store.path("mina")
    path.write_text(f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
    found = between(store.read("mina"), NOW, NOW + timedelta(days=2))
    assert {one.id for one in found} == {"3"}
    path.write_text("no calendar")
    with pytest.raises(InvalidInput):
        store.read("mina")


async def test_writes_files_that_other_programs_read(calendar, tmp_path):
    arguments = {
        "title": "회의; 표,",
        "start": "2026-11-24T15:00",
        "notes": "BEGIN:VEVENT\nX",
        "repeat": "weekdays",
    }
    await calendar.call("create_event", arguments, context())
    content = CalendarStore(tmp_path / "calendars").path("mina").read_bytes()
    told = icalendar.Calendar.from_ical(content)
    (event,) = told.walk("VEVENT")
    assert str(event["summary"]) == "회의; 표,"
    assert event["dtstart"].params["TZID"] == "Asia/Seoul"
    assert [str(zone["TZID"]) for zone in told.walk("VTIMEZONE")] == ["Asia/Seoul"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"start": "모레"}, "‘모레’ 시간을 읽을 수 없습니다."),
        ({"start": "2026-11-24T15:00", "end": "2026-11-24T14:00"}, "끝나는 때가"),
        ({"start": "0001-01-01T00:00"}, "‘0001-01-01T00:00’ 시간을"),
    ],
)
async def test_says_what_is_no_time(calendar, arguments, text):
    result = await calendar.call("create_event", {"title": "x", **arguments}, context())
    assert result.is_error
    assert result.text.startswith(text)
