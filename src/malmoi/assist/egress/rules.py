"""What may be reached, and how much may come back."""

import re
from dataclasses import dataclass

import httpx

from malmoi.core.errors import InvalidInput

_NUMERIC = re.compile(r"(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?$")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:.]+")
_MAX_URL = 8000


class EgressRefused(InvalidInput):
    """An address that must not be reached from here."""

    code = "egress_refused"


@dataclass(frozen=True, slots=True)
class EgressRules:
    """The operator's rules for requests that leave the house.

    Attributes:
        trusted_hosts: "host" or "host:port": these may be private addresses, plain http, and use any port
            (a bare host) or this one.
        allow_http: plain http to public addresses.
        ports: of public addresses; 80 is added where http is allowed.
        seconds: a request may take, redirects included.
        connect_seconds: a connection may take.
        max_bytes: of an answer, after decompression.
        max_redirects: that are followed.
    """

    trusted_hosts: tuple[str, ...] = ()
    allow_http: bool = False
    ports: tuple[int, ...] = (443,)
    seconds: float = 30.0
    connect_seconds: float = 5.0
    max_bytes: int = 1024 * 1024
    max_redirects: int = 3

    def trusts(self, host: str, port: int) -> bool:
        """Whether the operator has put this host on the list."""
        listed = {entry.lower().rstrip(".") for entry in self.trusted_hosts}
        shown = f"[{host}]" if ":" in host else host
        return any(name in listed for name in (host, shown, f"{shown}:{port}"))

    def check(self, url: str | httpx.URL) -> httpx.URL:
        """The address, parsed once; what is returned is what must be requested.

        Names are not resolved here: that happens when the connection is made (`backend.py`).

        Raises:
            EgressRefused: it is no http address, or its scheme, host or port is not allowed.
        """
        if isinstance(url, str):
            if len(url) > _MAX_URL or any(ord(sign) <= 32 or ord(sign) == 127 for sign in url) or "\\" in url:
                raise _refused("the address is too long, or holds spaces, control signs or backslashes.")
            try:
                url = httpx.URL(url)
            except (httpx.InvalidURL, UnicodeError, ValueError) as error:
                raise _refused("this is not an address.") from error
        if url.scheme not in ("http", "https"):
            raise _refused(f"the address begins with {url.scheme!r}; only https is possible.")
        if url.userinfo:
            raise _refused("the address holds a user name or password; take it out.")
        host = plain_host(url)
        if not host:
            raise _refused("the address names no host.")
        if not _HOST.fullmatch(host):
            raise _refused("the address names a host that cannot be.")
        port = port_of(url)
        if self.trusts(host, port):
            return url
        if url.scheme == "http" and not self.allow_http:
            raise _refused(f"{host} is asked for over plain http.", "Use https, or have the host trusted.")
        if port not in self.ports and not (self.allow_http and port == 80):
            raise _refused(f"port {port} of {host} is not allowed.", "Have the host and port trusted.")
        if ":" not in host and _NUMERIC.search(host.rpartition(".")[2]) and not _is_plain_v4(host):
            raise _refused(f"{host} is a number that stands for an address.", "Write the name of the host.")
        return url


def plain_host(url: httpx.URL) -> str:
    """The host as it is connected to: ASCII, small letters, without brackets."""
    return url.raw_host.decode("ascii").lower().rstrip(".")


def port_of(url: httpx.URL) -> int:
    """The port, the usual one of the scheme where none is given."""
    return url.port if url.port is not None else 443 if url.scheme == "https" else 80


def _is_plain_v4(host: str) -> bool:
    parts = host.split(".")
    return len(parts) == 4 and all(
        part.isascii() and part.isdigit() and part == str(int(part)) and int(part) < 256 for part in parts
    )


def _refused(message: str, fix: str = "") -> EgressRefused:
    return EgressRefused(message, fix=fix)
