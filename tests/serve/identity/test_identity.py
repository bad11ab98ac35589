"""Open and closed servers, log-in, throttling, sessions and keys, as a client sees them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from identity_client import PASSWORD, Client
from sqlalchemy import select, text, update

from malmoi.core.errors import ConfigError, RateLimited, Unauthenticated
from malmoi.serve.db import Database, utc_now
from malmoi.serve.db.tables import Account, ApiKey, BrowserSession, LoginAttempt
from malmoi.serve.identity import Identity, Role, check_may_listen
from malmoi.serve.identity.sessions import COOKIE
from malmoi.serve.settings import HttpSettings, ServeSettings

Browser = Callable[[], Awaitable[Client]]


async def test_an_open_server_has_one_local_owner(browser: Browser, identity: Identity) -> None:
    client = await browser()
    state = await client.refresh()
    assert (state["signed_in"], state["login_required"]) == (True, False)
    assert state["account"]["name"] == "owner"
    assert state["account"]["role"] == "owner"
    await identity.start()
    await identity.start()
    assert len(await identity.accounts.all()) == 1


async def test_an_open_server_takes_any_bearer_but_no_wrong_key(browser: Browser) -> None:
    client = await browser()
    answer = await client.post("/v1/echo", headers={"authorization": "Bearer sk-anything"})
    assert answer.json() == {"name": "owner", "key": None}
    wrong = await client.post("/v1/echo", headers={"authorization": "Bearer mm_aaaaaaaa_" + "x" * 43})
    assert wrong.status_code == 401


async def test_the_first_password_closes_the_server_and_takes_over_the_owner(
    browser: Browser, identity: Identity
) -> None:
    client = await browser()
    owner = (await client.refresh())["account"]["id"]
    made = await client.post("/api/accounts", json={"name": "김말모", "password": PASSWORD})
    assert made.status_code == 201
    assert (made.json()["id"], made.json()["role"]) == (owner, "owner")
    assert (await client.get("/api/keys")).status_code == 401
    state = await client.refresh()
    assert (state["signed_in"], state["login_required"], state["account"]) == (False, True, None)
    assert (await client.post("/v1/echo", headers={"authorization": "Bearer sk-any"})).status_code == 401
    assert (await client.log_in("김말모")).status_code == 200
    assert (await client.get("/api/keys")).status_code == 200


async def test_a_password_set_elsewhere_closes_the_server_within_a_second(
    browser: Browser, database: Database, settings: ServeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await browser()
    assert (await client.get("/api/keys")).status_code == 200
    command_line = Identity(database, settings)
    await command_line.accounts.add(None, "kim", PASSWORD)
    now = time.monotonic() + 1.01
    monkeypatch.setattr("malmoi.serve.identity.identity.time.monotonic", lambda: now)
    assert (await client.get("/api/keys")).status_code == 401


async def test_beyond_this_machine_there_must_be_a_password(database: Database, identity: Identity) -> None:
    for http in (HttpSettings(host="0.0.0.0"), HttpSettings(allowed_hosts=("chat.example.kr",))):
        settings = ServeSettings(http=http, home=Path("/srv/malmoi"))
        with pytest.raises(ConfigError) as caught:
            await check_may_listen(settings, database)
        assert "malmoi accounts add NAME" in caught.value.fix
        assert await Identity(database, settings).open_to() is None
    await check_may_listen(ServeSettings(), database)
    await identity.accounts.add(None, "kim", PASSWORD)
    await check_may_listen(ServeSettings(http=HttpSettings(host="0.0.0.0")), database)


async def test_a_session_cookie_is_hidden_from_scripts_and_changes_at_log_in(
    browser: Browser, identity: Identity, database: Database
) -> None:
    await identity.accounts.add(None, "kim", PASSWORD)
    client = await browser()
    client.cookies.set(COOKIE, "planted-by-somebody", domain="127.0.0.1")
    first = await client.log_in("KIM")  # names are compared without case
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert "planted" not in cookie
    token = client.cookies[COOKIE]
    await client.log_in("kim")
    assert client.cookies[COOKIE] != token
    async with database.reading() as session:
        rows = (await session.scalars(select(BrowserSession))).all()
    assert len(rows) == 1  # the one it replaced is over
    assert client.cookies[COOKIE] not in rows[0].token_hash
    ended = await client.delete("/api/session")
    assert ended.json()["signed_in"] is False
    assert (await client.get("/api/keys")).status_code == 401


async def test_over_https_the_cookie_is_secure(browser: Browser, identity: Identity) -> None:
    await identity.accounts.add(None, "kim", PASSWORD)
    client = await browser()
    client.headers["origin"] = "https://127.0.0.1:8080"
    assert "Secure" in (await client.log_in("kim")).headers["set-cookie"]


async def test_a_session_that_is_not_used_ends(
    browser: Browser, identity: Identity, database: Database
) -> None:
    await identity.accounts.add(None, "kim", PASSWORD)
    client = await browser()
    await client.log_in("kim")
    for days, status in ((13, 200), (15, 401)):
        async with database.session() as session:
            await session.execute(update(BrowserSession).values(seen_at=utc_now() - timedelta(days=days)))
        assert (await client.get("/api/keys")).status_code == status


async def test_guessing_pauses_log_in_for_the_name(browser: Browser, identity: Identity) -> None:
    await identity.accounts.add(None, "kim", PASSWORD)
    client = await browser()
    for _ in range(3):
        wrong = await client.log_in("kim", "wrong password")
        assert wrong.status_code == 401
    paused = await client.log_in("kim", PASSWORD)
    assert paused.status_code == 429
    assert 1 <= int(paused.headers["retry-after"]) <= 601


async def test_guessing_pauses_log_in_for_the_address(identity: Identity) -> None:
    await identity.accounts.add(None, "kim", PASSWORD)
    for name in ("a", "b", "c"):
        with pytest.raises(Unauthenticated):
            await identity.log_in(name, "wrong password", address="10.0.0.1", replaces=None)
    with pytest.raises(RateLimited):
        await identity.log_in("kim", PASSWORD, address="10.0.0.1", replaces=None)
    await identity.log_in("kim", PASSWORD, address="10.0.0.2", replaces=None)


async def test_a_burst_of_guesses_counts_in_full(identity: Identity) -> None:
    results = await asyncio.gather(
        *(
            identity.log_in("nobody", "wrong password", address=f"10.0.0.{n}", replaces=None)
            for n in range(12)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Unauthenticated) for result in results) == 3
    assert sum(isinstance(result, RateLimited) for result in results) == 9


async def test_old_failures_are_forgotten_and_success_clears_the_name(
    identity: Identity, database: Database
) -> None:
    await identity.accounts.add(None, "kim", PASSWORD)
    for number in range(2):
        with pytest.raises(Unauthenticated):
            await identity.log_in("kim", "wrong password", address=f"10.0.0.{number}", replaces=None)
    await identity.log_in("kim", PASSWORD, address="10.0.0.9", replaces=None)
    async with database.session() as session:
        subjects = (await session.scalars(select(LoginAttempt.subject))).all()
        assert sorted(subjects) == ["address:10.0.0.0", "address:10.0.0.1"]
        await session.execute(update(LoginAttempt).values(at=utc_now() - timedelta(minutes=11)))
    await identity.log_in("kim", PASSWORD, address="10.0.0.0", replaces=None)
    async with database.reading() as session:
        assert (await session.scalars(select(LoginAttempt))).all() == []


async def test_unknown_names_take_as_long_as_wrong_passwords(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    verify = identity.passwords._hasher.verify

    def spy(stored: str, password: str) -> bool:
        verified.append(stored[:30])
        return bool(verify(stored, password))

    monkeypatch.setattr(type(identity.passwords._hasher), "verify", lambda _, *args: spy(*args))
    account = await identity.accounts.add(None, "kim", PASSWORD)
    await identity.accounts.add(None, "lee", PASSWORD, Role.OWNER)
    await identity.accounts.change(None, account.id, disabled=True)
    for name in ("kim", "lee", "nobody"):
        with pytest.raises(Unauthenticated, match="the name or the password is wrong"):
            await identity.log_in(name, "wrong password", address=name, replaces=None)
    assert len(verified) == 3
    assert len(set(verified)) == 1  # the same parameters each time: $argon2id$v=19$m=19456,t=2,p=1
    assert "argon2id" in verified[0]
    assert "m=19456" in verified[0]


async def test_a_key_works_is_limited_to_its_scopes_and_ends_at_once(
    browser: Browser, identity: Identity
) -> None:
    client = await browser()
    made = (await client.post("/api/keys", json={"name": "script", "scopes": ["inference"]})).json()
    key = {"authorization": f"Bearer {made['secret']}"}
    program = await browser()
    program.headers.clear()
    assert (await program.post("/v1/echo", headers=key)).json() == {"name": "owner", "key": made["key"]["id"]}
    assert (await program.post("/v1/echo", headers={"x-api-key": made["secret"]})).status_code == 200
    for method, path in (
        ("GET", "/api/keys"),
        ("GET", "/api/preferences"),
        ("GET", "/api/usage"),
        ("POST", "/v1/models"),
    ):
        assert (await program.request(method, path, headers=key)).status_code == 403, path
    assert (await client.delete(f"/api/keys/{made['key']['id']}")).status_code == 204
    assert (await program.post("/v1/echo", headers=key)).status_code == 401
    assert (await client.get("/api/keys")).json() == {"items": []}


async def test_two_different_keys_at_once_are_refused(browser: Browser) -> None:
    client = await browser()
    answer = await client.post("/v1/echo", headers={"authorization": "Bearer a", "x-api-key": "b"})
    assert answer.status_code == 400


async def test_a_key_expires_and_notes_its_use(
    browser: Browser, identity: Identity, database: Database
) -> None:
    client = await browser()
    body = {"name": "script", "scopes": ["inference"], "expires_days": 1, "requests_per_minute": 7}
    made = (await client.post("/api/keys", json=body)).json()
    principal = await identity.keys.find(made["secret"])
    assert principal is not None
    assert principal.limits.requests_per_minute == 7
    await identity.keys.flush()
    listed = (await client.get("/api/keys")).json()["items"][0]
    assert listed["last_used_at"] is not None
    assert listed["requests_per_minute"] == 7
    async with database.session() as session:
        await session.execute(update(ApiKey).values(expires_at=utc_now()))
    identity.keys.forget()
    assert await identity.keys.find(made["secret"]) is None


async def test_a_key_that_another_process_revokes_ends_within_a_second(
    browser: Browser,
    identity: Identity,
    database: Database,
    settings: ServeSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = await browser()
    made = (await client.post("/api/keys", json={"name": "script", "scopes": ["inference"]})).json()
    key = {"authorization": f"Bearer {made['secret']}"}
    assert (await client.post("/v1/echo", headers=key)).status_code == 200
    await Identity(database, settings).keys.revoke(None, made["key"]["id"])
    now = time.monotonic() + 0.6
    monkeypatch.setattr("malmoi.serve.identity.keys.time.monotonic", lambda: now)
    assert (await client.post("/v1/echo", headers=key)).status_code == 401


async def test_the_right_id_with_another_secret_is_no_key(browser: Browser, identity: Identity) -> None:
    client = await browser()
    made = (await client.post("/api/keys", json={"name": "script", "scopes": ["inference"]})).json()
    forged = made["secret"][:-43] + "A" * 43
    assert await identity.keys.find(forged) is None


async def test_a_key_never_has_more_rights_than_its_owner(browser: Browser, identity: Identity) -> None:
    await identity.accounts.add(None, "root", PASSWORD)
    kim = await identity.accounts.add(None, "kim", PASSWORD, Role.ADMIN)
    client = await browser()
    await client.log_in("kim")
    made = (await client.post("/api/keys", json={"name": "s", "scopes": ["models", "inference"]})).json()
    await identity.accounts.change(None, kim.id, role=Role.MEMBER)
    principal = await identity.keys.find(made["secret"])
    assert principal is not None
    assert principal.scopes == {"inference"}
    for scopes in (["admin"], ["keys"], ["nonsense"], []):
        assert (await client.post("/api/keys", json={"name": "s", "scopes": scopes})).status_code in (
            400,
            403,
            422,
        )


async def test_a_disabled_account_is_out_at_once(browser: Browser, identity: Identity) -> None:
    await identity.accounts.add(None, "root", PASSWORD)
    kim = await identity.accounts.add(None, "kim", PASSWORD)
    client = await browser()
    await client.log_in("kim")
    key = (await client.post("/api/keys", json={"name": "s", "scopes": ["inference"]})).json()["secret"]
    await identity.accounts.change(None, kim.id, disabled=True)
    assert (await client.get("/api/preferences")).status_code == 401
    assert await identity.keys.find(key) is None
    assert (await client.log_in("kim")).status_code == 401


async def test_a_new_password_ends_other_sessions(browser: Browser, identity: Identity) -> None:
    kim = await identity.accounts.add(None, "kim", PASSWORD)
    here, there = await browser(), await browser()
    await here.log_in("kim")
    await there.log_in("kim")
    wrong = await here.patch(f"/api/accounts/{kim.id}", json={"password": "another one 1"})
    assert wrong.status_code == 401
    change = {"password": "another one 1", "current_password": PASSWORD}
    assert (await here.patch(f"/api/accounts/{kim.id}", json=change)).status_code == 200
    assert (await here.get("/api/preferences")).status_code == 200
    assert (await there.get("/api/preferences")).status_code == 401
    assert (await there.log_in("kim", "another one 1")).status_code == 200


async def test_hangul_passwords_match_however_they_are_typed(identity: Identity) -> None:
    await identity.accounts.add(None, "kim", "가나다라마바사아")
    decomposed = "가나다라마바사아"
    import unicodedata

    typed = unicodedata.normalize("NFD", decomposed)
    await identity.log_in("kim", typed, address="here", replaces=None)


async def test_preferences_are_kept_for_each_account(browser: Browser) -> None:
    client = await browser()
    assert (await client.get("/api/preferences")).json()["theme"] == "system"
    wish = {"language": "ko", "theme": "dark", "sampling": {"temperature": 0.5}}
    assert (await client.put("/api/preferences", json=wish)).status_code == 200
    kept = (await client.get("/api/preferences")).json()
    assert (kept["language"], kept["theme"], kept["sampling"]["temperature"]) == ("ko", "dark", 0.5)
    assert (await client.refresh())["language"] == "ko"
    bad = await client.put("/api/preferences", json={"theme": "pink"})
    assert bad.status_code in (400, 422)
    assert bad.json()["error"]["field"] == "theme"


async def test_secrets_are_nowhere_but_in_their_answer(
    browser: Browser, identity: Identity, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "canary-password-1"
    client = await browser()
    await client.post("/api/accounts", json={"name": "kim", "password": canary})
    answers = [await client.log_in("kim", canary)]
    made = await client.post("/api/keys", json={"name": "s", "scopes": ["inference"]})
    secret = made.json()["secret"]
    token = client.cookies[COOKIE]
    answers += [
        await client.get("/api/keys"),
        await client.get("/api/accounts"),
        await client.post("/v1/echo", headers={"authorization": f"Bearer {secret}x"}),
        await client.post("/v1/echo", headers={"authorization": f"Bearer {secret}", "x-api-key": canary}),
        await client.post("/api/session", json={"name": "kim", "password": [canary]}),
        await client.post("/api/session", json={"name": {"a": canary}, "password": "x"}),
        await client.post("/api/session", json={"name": "kim", "password": canary, "extra": secret}),
    ]
    rows = ""
    async with database.reading() as session:
        for table in ("accounts", "browser_sessions", "api_keys", "login_attempts"):
            rows += str((await session.execute(text(f"SELECT * FROM {table}"))).all())
    for hidden in (canary, secret, secret[12:], token):
        assert hidden not in rows
        assert hidden not in caplog.text
        assert all(hidden not in answer.text for answer in answers)


async def test_sql_in_credentials_is_only_text(browser: Browser, database: Database) -> None:
    client = await browser()
    for text_given in ("mm_' OR 1=1 --", "mm_aaaaaaaa_'; DROP TABLE accounts; --", "mm_\u00e9", "mm_%00"):
        answer = await client.post(
            "/v1/echo", headers={"authorization": f"Bearer {text_given}".encode("latin-1")}
        )
        assert answer.status_code == 401
    answer = await client.log_in("' OR '1'='1", "' OR '1'='1")
    assert answer.status_code == 401
    async with database.reading() as session:
        assert len((await session.scalars(select(Account))).all()) == 1


@pytest.mark.parametrize("name", [b"forwarded", b"x-forwarded-for", b"x-real-ip"])
async def test_an_open_server_does_not_trust_a_proxy(identity: Identity, name: bytes) -> None:
    assert await identity.authenticate([(b"host", b"localhost")], None) is not None
    with pytest.raises(Unauthenticated, match="a proxy sent the request") as caught:
        await identity.authenticate([(b"host", b"localhost"), (name, b"203.0.113.9")], None)
    assert "malmoi accounts passwd owner" in caught.value.fix
