import asyncio
from datetime import timedelta
from pathlib import Path
from time import process_time

import pytest
from sqlalchemy import event, func, select, text

from malmoi.core.errors import Conflict, DiskFull, Forbidden
from malmoi.engine.base import Usage
from malmoi.serve.db import Database, new_id, utc_now
from malmoi.serve.db.tables import LimitState, ReservedUsage, UsageEvent
from malmoi.serve.identity import KeyLimits, Principal, Role, account_principal
from malmoi.serve.limits import LimitExceeded
from malmoi.serve.metering import Metering, Reservation
from malmoi.serve.settings import HttpSettings, LimitSettings, ServeSettings
from malmoi.serve.usage import report_usage

KIM = account_principal("acc_kim", "kim", Role.MEMBER)


def key_of(account: Principal = KIM, key_id: str = "abcdefgh", **limits: int) -> Principal:
    return Principal(
        account.account_id, account.name, account.role, key_id, frozenset({"inference"}), KeyLimits(**limits)
    )


def metering_of(database: Database, *, port: int = 8080, **limits: int) -> Metering:
    settings = ServeSettings(limits=LimitSettings(**limits), http=HttpSettings(port=port))
    return Metering(database, settings)


async def begin(
    metering: Metering, principal: Principal = KIM, *, request_id: str = "", prompt: int = 10, most: int = 20
) -> Reservation:
    return await metering.open(
        principal,
        request_id=request_id or new_id("req"),
        model="small",
        source="openai",
        prompt_tokens=prompt,
        max_tokens=most,
    )


async def events(database: Database) -> list[UsageEvent]:
    async with database.reading() as session:
        return list((await session.scalars(select(UsageEvent).order_by(UsageEvent.request_id))).all())


async def count(database: Database, table: type[ReservedUsage | LimitState]) -> int:
    async with database.reading() as session:
        return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def test_usage_is_written_as_it_was(database: Database) -> None:
    metering = metering_of(database)
    reservation = await begin(metering, key_of())
    await metering.settle(reservation, Usage(10, 7, 4), finish_reason="stop", seconds=1.2345)
    (row,) = await events(database)
    assert (row.account_id, row.key_id, row.model, row.source) == ("acc_kim", "abcdefgh", "small", "openai")
    assert (row.prompt_tokens, row.completion_tokens, row.cached_tokens) == (10, 7, 4)
    assert (row.finish_reason, row.milliseconds, row.status) == ("stop", 1234, "measured")
    assert row.day == row.at.date().isoformat()


async def test_without_limits_nothing_touches_the_database_before_the_answer(database: Database) -> None:
    statements: list[str] = []
    listener = database._engine.sync_engine
    event.listen(listener, "before_cursor_execute", lambda *call: statements.append(call[2]))
    metering = metering_of(database)
    reservation = await begin(metering)
    assert statements == []
    await metering.settle(reservation, Usage(10, 5), finish_reason="stop", seconds=1)
    assert any(statement.startswith("INSERT INTO usage_events") for statement in statements)


async def test_settling_twice_counts_once(database: Database) -> None:
    metering = metering_of(database, tokens_per_minute=1000)
    reservation = await begin(metering, prompt=100, most=400)
    await metering.settle(reservation, Usage(100, 50), finish_reason="stop", seconds=1)
    await metering.settle(reservation, Usage(100, 50), finish_reason="stop", seconds=1)
    assert len(await events(database)) == 1
    status = (await begin(metering, prompt=1, most=0)).limits
    assert status.tokens is not None
    assert status.tokens.remaining == 1000 - 150 - 1


async def test_a_request_id_serves_once(database: Database) -> None:
    metering = metering_of(database, requests_per_minute=10)
    first = await begin(metering, request_id="req_1")
    with pytest.raises(Conflict):
        await begin(metering, request_id="req_1")
    await metering.settle(first, Usage(1, 1), finish_reason="stop", seconds=1)
    with pytest.raises(Conflict):
        await begin(metering, request_id="req_1")


async def test_request_limits_are_exact_under_a_race_of_fifty(database: Database) -> None:
    metering = metering_of(database, requests_per_minute=20)
    results = await asyncio.gather(*(begin(metering) for _ in range(50)), return_exceptions=True)
    admitted = [r for r in results if isinstance(r, Reservation)]
    refused = [r for r in results if isinstance(r, LimitExceeded)]
    assert (len(admitted), len(refused)) == (20, 30)
    assert await count(database, ReservedUsage) == 20


async def test_token_limits_are_exact_under_a_race_of_fifty(database: Database) -> None:
    metering = metering_of(database, tokens_per_minute=1000, tokens_per_day=100_000)

    async def run(number: int) -> int:
        try:
            reservation = await begin(metering, prompt=30, most=70)
        except LimitExceeded:
            return 0
        assert reservation.limits.tokens is not None
        assert reservation.limits.tokens.remaining >= 0
        used = 30 + number % 70
        await metering.settle(reservation, Usage(30, used - 30), finish_reason="stop", seconds=0)
        return used

    first = await asyncio.gather(*(run(number) for number in range(50)))
    assert sum(1 for used in first if used) >= 10
    used = sum(first) + sum(await asyncio.gather(*(run(number) for number in range(50))))
    assert sum(first) < used <= 1000  # what was given back could be used again, and not one token more
    probe = await begin(metering, prompt=1, most=0)
    assert probe.limits.tokens is not None
    assert probe.limits.tokens.remaining == 1000 - used - 1
    assert await count(database, ReservedUsage) == 1


async def test_two_servers_share_one_limit(database: Database) -> None:
    other = Database.open(database.url.render_as_string(hide_password=False))
    servers = [metering_of(database, requests_per_minute=9), metering_of(other, requests_per_minute=9)]
    results = await asyncio.gather(
        *(begin(servers[number % 2]) for number in range(30)), return_exceptions=True
    )
    assert sum(isinstance(result, Reservation) for result in results) == 9
    await other.close()


async def test_a_keys_own_limit_comes_on_top_of_the_accounts(database: Database) -> None:
    metering = metering_of(database, requests_per_minute=3)
    tight, wide = key_of(requests_per_minute=1), key_of(key_id="zyxwvuts", requests_per_minute=1000)
    await begin(metering, tight)
    with pytest.raises(LimitExceeded, match="1 requests"):
        await begin(metering, tight)
    await begin(metering, wide)
    await begin(metering, wide)
    with pytest.raises(LimitExceeded, match="3 requests"):  # a key of one's own making lifts no limit
        await begin(metering, wide)
    await begin(metering, account_principal("acc_lee", "lee", Role.MEMBER))


async def test_what_a_dead_server_had_reserved_is_charged_once(database: Database) -> None:
    died = metering_of(database, port=1, tokens_per_minute=1000)
    lost = await begin(died, prompt=100, most=200)
    alive = metering_of(database, port=2, tokens_per_minute=1000)
    running = await begin(alive, prompt=10, most=20)
    restarted = metering_of(database, port=1, tokens_per_minute=1000)
    await restarted.start()
    await restarted.start()
    (row,) = await events(database)
    assert (row.request_id, row.prompt_tokens, row.completion_tokens) == (lost.request_id, 100, 200)
    assert (row.status, row.finish_reason) == ("estimated", "lost")
    assert await count(database, ReservedUsage) == 1  # the living server's
    await died.settle(lost, Usage(100, 1), finish_reason="stop", seconds=1)  # too late
    await alive.settle(running, Usage(10, 3), finish_reason="stop", seconds=1)
    assert sum(row.completion_tokens for row in await events(database)) == 203
    status = (await begin(restarted, prompt=1, most=0)).limits
    assert status.tokens is not None
    assert status.tokens.remaining == 1000 - 300 - 13 - 1


async def test_a_full_database_keeps_usage_until_there_is_room(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    metering = metering_of(database)
    write = metering._write

    async def full(*_: object) -> None:
        raise DiskFull("there is no room")

    monkeypatch.setattr(metering, "_write", full)
    for number in range(3):
        reservation = await begin(metering, request_id=f"req_{number}")
        await metering.settle(reservation, Usage(10, 5), finish_reason="stop", seconds=1)
    assert await events(database) == []
    assert "usage rows kept in memory: 3" in caplog.text
    monkeypatch.setattr(metering, "_write", write)
    await metering.stop()
    assert len(await events(database)) == 3


async def test_the_rows_add_up_to_what_the_engine_counted(database: Database) -> None:
    """Whole answers, streams that are cancelled, and engines that fail: every token is charged, once."""
    metering = metering_of(database, tokens_per_minute=10**9)
    engine = {"prompt": 0, "completion": 0}
    streaming = asyncio.Semaphore(0)

    async def run(number: int) -> None:
        reservation = await begin(metering, key_of() if number % 2 else KIM, prompt=7, most=50)
        prompt = completion = 0
        reason = "abort"
        try:
            prompt = 7
            engine["prompt"] += 7
            for _ in range(number % 11):
                await asyncio.sleep(0)
                completion += 1
                engine["completion"] += 1
                if number % 5 == 0 and completion == 3:
                    raise RuntimeError("the engine died")
            if number % 3 == 0:
                streaming.release()
                await asyncio.Event().wait()  # until the client leaves
            reason = "stop"
        finally:
            usage = Usage(prompt, completion)
            await metering.settle(reservation, usage, finish_reason=reason, seconds=0)

    tasks = [asyncio.create_task(run(number)) for number in range(40)]
    for _ in range(sum(1 for number in range(40) if number % 3 == 0 and (number % 5 or number % 11 < 3))):
        await streaming.acquire()
    await asyncio.wait([task for number, task in enumerate(tasks) if number % 3])
    for _ in range(2):  # twice, so that the second one hits the settling
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    await metering.stop()
    rows = await events(database)
    assert len(rows) == 40
    assert sum(row.prompt_tokens for row in rows) == engine["prompt"]
    assert sum(row.completion_tokens for row in rows) == engine["completion"]
    assert await count(database, ReservedUsage) == 0
    report = await report_usage(database, KIM, days=1)
    assert report.totals.requests == 40
    assert report.totals.completion_tokens == engine["completion"]
    assert sum(day.requests for day in report.by_day) == 40
    assert {key.key_id: key.requests for key in report.by_key} == {None: 20, "abcdefgh": 20}


async def test_a_report_shows_ones_own_days_only(database: Database) -> None:
    metering = metering_of(database)
    lee = account_principal("acc_lee", "lee", Role.MEMBER)
    for principal in (KIM, KIM, lee):
        reservation = await begin(metering, principal)
        await metering.settle(reservation, Usage(10, 5, 2), finish_reason="stop", seconds=1)
    long_ago = (utc_now() - timedelta(days=40)).date().isoformat()
    async with database.session() as session:
        await session.execute(
            text("UPDATE usage_events SET day = :day WHERE account_id = 'acc_lee'"), {"day": long_ago}
        )
    report = await report_usage(database, KIM, days=30)
    assert report.totals.model_dump() == {
        "requests": 2,
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "cached_tokens": 4,
    }
    assert (await report_usage(database, lee, days=30)).totals.requests == 0
    with pytest.raises(Forbidden):
        await report_usage(database, KIM, days=30, everyone=True)
    auditor = account_principal("acc_park", "park", Role.AUDITOR)
    assert (await report_usage(database, auditor, days=366, everyone=True)).totals.requests == 3


async def test_opening_without_limits_is_fast(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'm.sqlite'}")
    metering = metering_of(database)
    started = process_time()
    for _ in range(200):
        await begin(metering)
    assert (process_time() - started) / 200 < 0.001
    await database.close()
