"""Connections that are made to the checked address and to no other.

The check is where the socket is opened: httpcore asks for a connection to a host, the name is resolved here,
every address it has is looked at, and the socket goes to one of these addresses. There is no second look-up
that could say something else (DNS rebinding), and redirects and kept connections cannot go around it. TLS is
negotiated with the name afterwards, so certificates and SNI are those of the host.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias

import httpcore

from malmoi.assist.egress.addresses import is_public
from malmoi.assist.egress.rules import EgressRefused, EgressRules

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
_TRIED = 4  # addresses of one name, one after another


async def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, in the order in which the system would try them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Opens sockets to public addresses, and to hosts that the operator trusts.

    Args:
        rules: what is trusted.
        resolve: all addresses of a name.
        inner: opens the socket to an address.
    """

    def __init__(
        self,
        rules: EgressRules,
        *,
        resolve: Resolve = resolve,
        inner: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._rules = rules
        self._resolve = resolve
        self._inner = inner if inner is not None else httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A socket to one of the host's checked addresses.

        Raises:
            EgressRefused: an address of the host is not public, and the host is not trusted.
        """
        limit = min(timeout or self._rules.connect_seconds, self._rules.connect_seconds)
        try:
            async with asyncio.timeout(limit):
                addresses = await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"the name {host} was not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host} cannot be resolved") from error
        plain = host.lower().rstrip(".")
        # One bad address among good ones is enough: whoever serves the name chooses which comes first.
        if not self._rules.trusts(plain, port) and not all(map(_is_public, addresses)):
            raise EgressRefused(
                f"{plain} is not on the public internet.", fix="Have the host trusted, if this is meant."
            )
        failure: Exception = httpcore.ConnectError(f"the name {host} has no address")
        for address in addresses[:_TRIED]:
            try:
                return await self._inner.connect_tcp(address, port, limit, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never: a socket file is not on the internet."""
        raise EgressRefused("sockets of this machine cannot be reached.")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def _is_public(address: str) -> bool:
    try:
        return is_public(address)
    except ValueError:
        return False
