"""A connection to a mail server that believes only who proves to be the right one, and only so much."""

import contextlib
import imaplib
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imap_tools.errors import MailboxLoginError
from imap_tools.mailbox import BaseMailBox

from scheduler.handlers.email_check.failures import FAILURES, NotTrusted, Refused, words
from scheduler.handlers.email_check.line import Line

TIMEOUT = 15.0  # seconds that a server may be silent
FAREWELL = 2.0  # the same when all is done
MOST = 10 << 20  # bytes that the answer to one command may have


@dataclass(frozen=True, slots=True)
class Server:
    """Whom to ask, and as whom."""

    host: str
    port: int
    user: str
    password: str
    folder: str = "INBOX"
    ca_file: str = ""

    def __repr__(self) -> str:
        return f"{self.host}:{self.port}"

    def hide(self, text: str) -> str:
        """The text without the password, however often it was quoted on its way."""
        token = b64encode(f"\0{self.user}\0{self.password}".encode()).decode()
        for secret in (re.escape(token), "".join(map(_quoted, self.password))):
            text = re.sub(secret, "***", text) if secret else text
        return text


def _quoted(char: str) -> str:
    """A pattern for the character as it was sent, or as IMAP or Python quotes it."""
    if char == "\\":
        return r"\\+"
    escapes = (repr(char.encode(charset, "replace"))[2:-1].strip("\\") for charset in ("utf-8", "latin-1"))
    bytewise = "|".join(re.escape(each).replace(r"\\", r"\\+") for each in escapes)
    return rf"\\*(?:{re.escape(char)}|{bytewise}" + ("" if char.isascii() else "|\ufffd+") + ")"


class _Client(imaplib.IMAP4_SSL):
    """An IMAP connection that can be cut, and that believes no server which sends without end."""

    def __init__(self, server: Server, line: Line) -> None:
        self._line, self._left = line, MOST
        super().__init__(server.host, server.port, ssl_context=trust(server.ca_file), timeout=TIMEOUT)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((self.host, self.port), timeout)
        secure: ssl.SSLSocket = self.ssl_context.wrap_socket(
            plain, server_hostname=self.host, do_handshake_on_connect=False
        )
        self._line.hold(secure)
        try:
            secure.do_handshake()
        except OSError:
            secure.close()
            raise
        return secure

    def refill(self) -> None:
        self._left = MOST

    def read(self, size: int) -> bytes:
        self._spend(size)
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()
        self._spend(len(line))
        return line

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self.abort(f"its answer is longer than {MOST >> 20} MiB")


class Box(BaseMailBox):
    """imap-tools' mailbox on such a connection."""

    def __init__(self, server: Server, line: Line) -> None:
        self._server, self._line = server, line
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        return _Client(self._server, self._line)

    def enter(self) -> None:
        """Log in and open the folder with EXAMINE: not even the `recent` marks change."""
        server = self._server
        plain = (
            f"{server.user}{server.password}".isascii() and "LOGINDISABLED" not in self.client.capabilities
        )
        login = self.login if plain else self.login_utf8
        try:
            login(server.user, server.password, initial_folder=None)
        except imaplib.IMAP4.abort:
            raise
        except (imaplib.IMAP4.error, MailboxLoginError) as error:
            raise Refused(words(error)) from error
        self.folder.set(server.folder, readonly=True)

    def fetch_parts(self, uids: Sequence[str], parts: str) -> Sequence[Any]:
        """UID FETCH; what the server sent is taken also where it could not send all."""
        self.client.refill()
        status, data = self.client.uid("FETCH", ",".join(uids), parts)
        if status != "OK":  # a message that another client deletes meanwhile makes it NO
            data = self.client.response("FETCH")[1]
        return data or ()

    def close(self) -> None:
        with contextlib.suppress(*FAILURES):
            self.client.sock.settimeout(FAREWELL)
            self.client.logout()
        with contextlib.suppress(OSError):
            self.client.shutdown()


def trust(ca_file: str) -> ssl.SSLContext:
    """Certificates of the system's authorities, or only those of `ca_file`."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        why = "no certificates in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise NotTrusted(f"ca_file {ca_file}: {why}") from error
