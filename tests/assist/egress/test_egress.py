"""Requests to foreign servers reach only what they may: every trick is tried against real sockets."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpcore
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malmoi.assist.egress import Egress, EgressRefused, EgressRules
from malmoi.assist.egress.addresses import is_public
from malmoi.assist.egress.backend import CheckedBackend
from malmoi.assist.egress.rules import plain_host
from malmoi.assist.egress.transport import EgressTransport
from malmoi.core.errors import InvalidInput, SkillUnavailable


@dataclass
class Site:
    """A real server on the loopback that answers as it is told, and notes what it was asked."""

    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    delay: float = 0.0
    port: int = 0
    open: list[asyncio.Task[None] | None] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.append(asyncio.current_task())
        try:
            await self.talk(reader, writer)
        finally:
            writer.close()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.asked.append(head)
        if self.delay:  # longer than anybody waits
            await asyncio.sleep(self.delay)
        path = head.split(" ")[1]
        writer.write(self.answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
        with suppress(ConnectionError):
            await writer.drain()


@asynccontextmanager
async def serve(site: Site) -> AsyncIterator[Site]:
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        await server.wait_closed()
        for task in site.open:
            if task is not None:
                task.cancel()
        await asyncio.gather(*filter(None, site.open), return_exceptions=True)


def ok(body: bytes, *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in (*headers, f"Content-Length: {len(body)}", "Connection: close"))
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body


def redirect(place: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()


def names(**addresses: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A resolver that knows `{name}.test`."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        name = host.removesuffix(".test")
        if name.replace(".", "").isdigit() or ":" in name:
            return [name]
        if name not in addresses:
            raise OSError(f"no address for {host}")
        return addresses[name].split(",")

    return resolve


class Recorder(httpcore.AsyncNetworkBackend):
    """Notes what would be connected to, and lets nothing through."""

    def __init__(self) -> None:
        self.connected: list[str] = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):  # type: ignore[no-untyped-def]
        self.connected.append(host)
        raise httpcore.ConnectError("nothing is connected in this test")


BAD = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2606:4700::5efe:7f00:1",
]


@pytest.mark.parametrize("address", BAD)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/",
        "example.com",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https://good.example@127.0.0.1/",
        "https://good.example\\@127.0.0.1/",
        "https://example.com:22/",
        "https://example.com:8080/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://1.2.3.4.5/",
        "https://example.com /",
        "https://example.com/\r\nX: y",
        "https://exa\tmple.com/",
        "https://" + "a" * 9000,
    ],
)
async def test_addresses_that_are_refused_before_anything_is_resolved(url: str) -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError("resolved")

    with pytest.raises(EgressRefused):
        await Egress(resolve=never).send("GET", url)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:10.0.0.1]", "10.0.0.1"]
)
async def test_an_address_in_numbers_is_refused(address: str) -> None:
    with pytest.raises(EgressRefused, match="public internet"):
        await Egress().send("GET", f"https://{address}/")


async def test_a_name_with_one_private_address_is_refused() -> None:
    with pytest.raises(EgressRefused, match=r"mixed\.test is not on the public internet"):
        await Egress(resolve=names(mixed="93.184.216.34,127.0.0.1")).send("GET", "https://mixed.test/")


async def test_a_name_that_changes_its_mind_is_connected_to_what_was_checked() -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return next(answers)

    recorder = Recorder()
    rules = EgressRules()
    transport = EgressTransport(rules, CheckedBackend(rules, resolve=rebinding, inner=recorder))
    with pytest.raises(httpx.ConnectError):
        await transport.handle_async_request(httpx.Request("GET", "https://rebind.test/"))
    with pytest.raises(EgressRefused):
        await transport.handle_async_request(httpx.Request("GET", "https://rebind.test/"))
    assert recorder.connected == ["93.184.216.34"]
    await transport.aclose()


async def test_a_socket_file_is_never_opened() -> None:
    with pytest.raises(EgressRefused):
        await CheckedBackend(EgressRules()).connect_unix_socket("/run/docker.sock")


async def test_tls_keeps_the_name_of_the_host() -> None:
    seen: list[str | None] = []

    class Stream(httpcore.AsyncMockStream):
        async def start_tls(self, ssl_context, server_hostname=None, timeout=None):  # type: ignore[no-untyped-def]
            seen.append(server_hostname)
            return self

    class Inner(Recorder):
        async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):  # type: ignore[no-untyped-def]
            self.connected.append(host)
            return Stream([ok(b"hello")])

    inner, rules = Inner(), EgressRules()
    backend = CheckedBackend(rules, resolve=names(site="93.184.216.34"), inner=inner)
    transport = EgressTransport(rules, backend)
    response = await transport.handle_async_request(httpx.Request("GET", "https://site.test/"))
    assert await response.aread() == b"hello"
    assert (inner.connected, seen) == (["93.184.216.34"], ["site.test"])
    await transport.aclose()


def trusting(site: Site, **other: str) -> Egress:
    """A client that trusts start.test on the site's port, and nothing else."""
    rules = EgressRules(trusted_hosts=(f"start.test:{site.port}",), allow_http=True)
    return Egress(rules, resolve=names(start="127.0.0.1", **other))


async def test_a_trusted_host_is_reached_by_its_name() -> None:
    async with serve(
        Site({"/a?b=1": ok(b'{"x": 1}', "Content-Type: application/json; charset=utf-8")})
    ) as site:
        egress = trusting(site)
        answer = await egress.send("GET", f"http://start.test:{site.port}/a?b=1", headers={"X-Key": "k"})
        assert (answer.status, answer.text(), answer.media_type) == (200, '{"x": 1}', "application/json")
        assert f"host: start.test:{site.port}\r\n" in site.asked[0].lower()
        assert "x-key: k\r\n" in site.asked[0].lower()
        # Another port of the same host is not trusted.
        with pytest.raises(EgressRefused):
            await egress.send("GET", "http://start.test/")
        await egress.close()


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "//127.0.0.1/x",
        "http://inside.test/",
        "http://2130706433/",
        "http://user@start.test/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:25/",
        "http://[broken",
    ],
)
async def test_a_redirect_is_checked_like_a_first_request(place: str) -> None:
    async with serve(Site({"/": redirect(place)})) as site:
        egress = trusting(site, inside="10.0.0.5")
        with pytest.raises(EgressRefused):
            await egress.send("GET", f"http://start.test:{site.port}/")
        assert len(site.asked) == 1
        await egress.close()


async def test_redirects_within_the_host_are_followed_three_times() -> None:
    async with serve(Site({f"/{n}": redirect(f"/{n + 1}") for n in range(9)})) as site:
        site.answers["/3"] = ok(b"here")
        egress = trusting(site)
        answer = await egress.send("GET", f"http://start.test:{site.port}/0")
        assert (answer.content, answer.url.path) == (b"here", "/3")
        site.answers["/3"] = redirect("/4")
        with pytest.raises(SkillUnavailable, match="more than 3 times"):
            await egress.send("GET", f"http://start.test:{site.port}/0")
        await egress.close()


async def test_keys_do_not_follow_to_another_host_and_neither_do_writes() -> None:
    async with serve(Site({"/land": ok(b"landed")})) as other, serve(Site()) as site:
        site.answers["/"] = redirect(f"http://other.test:{other.port}/land", 307)
        rules = EgressRules(trusted_hosts=("start.test", "other.test"))
        egress = Egress(rules, resolve=names(start="127.0.0.1", other="127.0.0.1"))
        url = f"http://start.test:{site.port}/"
        headers = {"Authorization": "Bearer secret", "X-Api-Key": "secret", "Cookie": "secret=1"}
        answer = await egress.send("GET", url, headers=headers)
        assert answer.content == b"landed"
        assert "secret" not in other.asked[0]
        with pytest.raises(EgressRefused, match="sends this request on"):
            await egress.send("POST", url, content=b"pay")
        assert len(other.asked) == 1
        await egress.close()


async def test_cookies_and_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1/")
    async with serve(Site({"/": ok(b"", "Set-Cookie: a=b; Path=/")})) as site:
        egress = trusting(site)
        for _ in range(2):
            answer = await egress.send("GET", f"http://start.test:{site.port}/")
            assert "set-cookie" not in answer.headers
        assert all("cookie" not in head.lower() for head in site.asked)
        await egress.close()


async def test_an_answer_that_is_too_large_or_too_slow_ends() -> None:
    async with serve(Site({"/large": ok(b"x" * 5000), "/bomb": b"", "/odd": b""})) as site:
        bomb = gzip.compress(b"\0" * 50_000_000)
        site.answers["/bomb"] = ok(bomb, "Content-Encoding: gzip")
        site.answers["/fine"] = ok(gzip.compress("안녕".encode()), "Content-Encoding: gzip")
        site.answers["/odd"] = ok(b"xx", "Content-Encoding: br")
        site.answers["/damaged"] = ok(b"xx", "Content-Encoding: gzip")
        egress = trusting(site)
        base = f"http://start.test:{site.port}"
        with pytest.raises(SkillUnavailable, match="larger than 4000"):
            await egress.send("GET", f"{base}/large", max_bytes=4000)
        with pytest.raises(SkillUnavailable, match="larger than 1048576"):
            await egress.send("GET", f"{base}/bomb")
        assert (await egress.send("GET", f"{base}/fine")).text() == "안녕"
        for path in ("/odd", "/damaged"):
            with pytest.raises(SkillUnavailable):
                await egress.send("GET", base + path)
        site.delay = 5
        with pytest.raises(SkillUnavailable, match=r"did not answer in 0\.05 s"):
            await egress.send("GET", f"{base}/fine", seconds=0.05)
        await egress.close()


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "키", "a\nb"])
async def test_a_key_that_no_header_can_hold_is_refused_and_not_told(value: str) -> None:
    async with serve(Site({"/": ok(b"")})) as site:
        egress = trusting(site)
        with pytest.raises((SkillUnavailable, InvalidInput)) as raised:
            await egress.send("GET", f"http://start.test:{site.port}/", headers={"Authorization": value})
        assert value not in str(raised.value)
        assert site.asked == []
        await egress.close()


async def test_a_server_that_is_gone_is_named() -> None:
    egress = Egress(EgressRules(trusted_hosts=("gone.test",)), resolve=names(gone="127.0.0.1"))
    with pytest.raises(SkillUnavailable, match=r"gone\.test cannot be reached"):
        await egress.send("GET", "http://gone.test:1/")
    with pytest.raises(SkillUnavailable, match="cannot be resolved"):
        await egress.send("GET", "https://nowhere.test/")
    await egress.close()


_HOSTS = st.one_of(
    st.sampled_from(
        ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "good.example", "한국.example", "a.b", "１２７.1"]
    ),
    st.text(alphabet="abc.0127xX:@#?/\\%[]-_한。％", min_size=1, max_size=24),
    st.from_regex(r"[a-z0-9.-]{1,20}(:[0-9]{1,5})?", fullmatch=True),
)


@settings(max_examples=300, deadline=None)
@given(before=st.sampled_from(["", "user@", "a:b@", "good.example@", "good.example%40", "//"]), host=_HOSTS)
def test_what_is_checked_is_what_is_connected_to(before: str, host: str) -> None:
    """The host that the check has seen is the one that is resolved, whatever the text looks like."""
    asked: list[str] = []

    async def resolve(name: str, port: int) -> Sequence[str]:
        asked.append(name.lower().rstrip("."))
        return ["93.184.216.34"]

    async def run() -> None:
        rules, recorder = EgressRules(), Recorder()
        try:
            checked = rules.check(f"https://{before}{host}/path")
        except EgressRefused:
            return
        transport = EgressTransport(rules, CheckedBackend(rules, resolve=resolve, inner=recorder))
        with pytest.raises((httpx.TransportError, EgressRefused)):
            await transport.handle_async_request(httpx.Request("GET", checked))
        assert asked == [plain_host(checked)]
        assert set(recorder.connected) <= {"93.184.216.34"}
        assert "@" not in plain_host(checked)
        await transport.aclose()

    asyncio.run(run())
