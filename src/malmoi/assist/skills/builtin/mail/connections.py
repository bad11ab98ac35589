"""Connections to mail servers: by TLS, to the checked address of a host, and with an end to waiting.

A person names the hosts, so they are treated like every address that somebody else has chosen: all
addresses of the name must be on the public internet (unless the operator trusts the host), and the socket
goes to one of those that were looked at.
"""

import imaplib
import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from malmoi.assist.egress.addresses import is_public
from malmoi.assist.egress.rules import EgressRules
from malmoi.assist.skills.builtin.refusals import SkillRefused
from malmoi.core.errors import SkillUnavailable

Security: TypeAlias = Literal["tls", "starttls", "plain"]
_MOST_LITERAL = 8 << 20
_SECURITY: dict[int, Security] = {993: "tls", 143: "starttls", 465: "tls", 587: "starttls"}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where a server is, and who logs in.

    Attributes:
        host: its name.
        port: 993 and 465 are TLS from the start, 143 and 587 by STARTTLS; others only for trusted hosts.
        username: for the login.
        password: for the login.
        seconds: that one step may take.
    """

    host: str
    port: int
    username: str
    password: str
    seconds: float = 15.0

    def security(self, rules: EgressRules) -> Security:
        """How the connection is secured; only trusted hosts may do without.

        Raises:
            SkillRefused: the port is none that mail servers use.
        """
        if self.port in _SECURITY:
            return _SECURITY[self.port]
        if rules.trusts(self.host.lower(), self.port):
            return "plain"
        raise SkillRefused("port", port=self.port)


def checked_address(server: MailServer, rules: EgressRules) -> str:
    """The address to connect to.

    Raises:
        SkillRefused: the host has an address that must not be reached.
        SkillUnavailable: the name is not known.
    """
    host = server.host.strip().lower().rstrip(".")
    try:
        found = socket.getaddrinfo(host, server.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SkillUnavailable(f"the mail server {host} is not known.", fix="Check its name.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not rules.trusts(host, server.port) and not all(map(is_public, addresses)):
        raise SkillRefused("host", host=host)
    return addresses[0]


class _Imap(imaplib.IMAP4):
    """IMAP over a socket to an address that was checked."""

    def __init__(self, server: MailServer, address: str, security: Security) -> None:
        self._server, self._address, self._security = server, address, security
        super().__init__(server.host, server.port, timeout=server.seconds)
        if security == "starttls":
            self.starttls(ssl.create_default_context())

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return _socket(self._server, self._address, self._security)

    def read(self, size: int) -> bytes:
        if size > _MOST_LITERAL:
            raise self.abort(f"the server sends {size} bytes at once")
        return super().read(size)


class _Smtp(smtplib.SMTP):
    """SMTP over a socket to an address that was checked."""

    def __init__(self, server: MailServer, address: str, security: Security) -> None:
        self._server, self._address, self._security = server, address, security
        super().__init__(server.host, server.port, local_hostname="localhost", timeout=server.seconds)
        if security == "starttls":
            self.starttls(context=ssl.create_default_context())

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return _socket(self._server, self._address, self._security)


def _socket(server: MailServer, address: str, security: Security) -> socket.socket:
    opened = socket.create_connection((address, server.port), timeout=server.seconds)
    if security != "tls":
        return opened
    try:
        return ssl.create_default_context().wrap_socket(opened, server_hostname=server.host)
    except (OSError, ValueError):
        opened.close()
        raise


def open_imap(server: MailServer, rules: EgressRules) -> imaplib.IMAP4:
    """A logged-in IMAP connection; `logout` ends it.

    Raises:
        SkillRefused: the host, the port or the login is refused.
        SkillUnavailable: the server does not answer.
    """
    security = server.security(rules)
    address = checked_address(server, rules)
    try:
        connection = _Imap(server, address, security)
    except (OSError, imaplib.IMAP4.error) as error:
        raise _gone(server, error) from error
    try:
        connection.login(server.username, _quoted(server.password))
    except (SkillRefused, OSError, imaplib.IMAP4.error) as error:
        connection.shutdown()
        if isinstance(error, OSError | imaplib.IMAP4.abort):
            raise _gone(server, error) from error
        raise SkillRefused("login", host=server.host) from error
    return connection


def send(
    server: MailServer, rules: EgressRules, message: Any, sender: str, recipients: Sequence[str]
) -> None:
    """Send a message.

    Raises:
        SkillRefused: the host, the login or a recipient is refused.
        SkillUnavailable: the server does not answer.
    """
    security = server.security(rules)
    address = checked_address(server, rules)
    try:
        with _Smtp(server, address, security) as connection:
            connection.login(server.username, server.password)
            connection.send_message(message, sender, list(recipients))
    except smtplib.SMTPAuthenticationError as error:
        raise SkillRefused("login", host=server.host) from error
    except smtplib.SMTPRecipientsRefused as error:
        raise SkillRefused("recipients", recipients=", ".join(error.recipients)) from error
    except smtplib.SMTPResponseException as error:
        raise SkillRefused("server_refused", host=server.host, code=error.smtp_code) from error
    except (OSError, smtplib.SMTPException) as error:
        raise _gone(server, error) from error


def _quoted(password: str) -> str:
    # imaplib quotes what it sends, but a line end would still end the command.
    if any(sign in password for sign in "\r\n\0"):
        raise SkillRefused("login", host="")
    return password


def _gone(server: MailServer, error: Exception) -> SkillUnavailable:
    kind = type(error).__name__
    return SkillUnavailable(
        f"the mail server {server.host}:{server.port} does not answer ({kind}).", fix="Try again later."
    )
