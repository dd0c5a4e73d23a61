"""Reads headers and beginnings of messages over IMAP and TLS, without changing anything in the mailbox."""

import contextlib
import imaplib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from imap_tools.errors import MailboxLoginError
from imap_tools.mailbox import BaseMailBox
from imap_tools.query import AND

from scheduler.errors import TaskFailed
from scheduler.handlers.email_check.connection import (
    FAILURES,
    Client,
    CuttableSocket,
    Refused,
    hide_login,
    server_text,
    why,
)
from scheduler.handlers.email_check.message import one_line
from scheduler.handlers.email_check.options import Options

BATCH = 500  # messages whose headers are requested at once
HEADERS = 8192  # bytes of headers that are read per message
START = 65_536  # bytes of a message that are read for its text
FAREWELL = 2.0  # seconds that a server may be silent at logout
SECTIONS = 8  # parts in which the text is searched if attachments come first

_FIELDS = f"BODY.PEEK[HEADER.FIELDS (MESSAGE-ID FROM SUBJECT DATE CONTENT-TYPE)]<0.{HEADERS}>"
_TEXT = re.compile(rb"^content-type:\s*(text/(plain|html)|multipart/)", re.I | re.M)
_ATTACHED = re.compile(rb"^content-disposition:\s*attachment", re.I | re.M)
# A short answer may come as a quoted string, which imaplib leaves in its line.
_QUOTED = re.compile(rb'BODY\[[^\]]*\](?:<\d+>)? "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Found:
    """One message as the server lists it; `raw` is the requested part of its content."""

    uid: str
    raw: bytes
    arrived: float | None = None
    size: int = 0


@contextlib.contextmanager
def mailbox(options: Options, line: CuttableSocket) -> Iterator["Mailbox"]:
    """The folder, opened read-only; every failure is a TaskFailed of one line."""
    try:
        with contextlib.closing(Mailbox(options, line)) as box:
            box.enter()
            yield box
    except FAILURES as error:
        raise TaskFailed(one_line(hide_login(why(error, options), options))) from None


class Mailbox(BaseMailBox):
    """imap-tools' mailbox on a connection that can be cut, for one folder."""

    def __init__(self, options: Options, line: CuttableSocket) -> None:
        self._options, self._line = options, line
        self.refusal = ""  # the server's words when it last refused a FETCH
        super().__init__()

    def _get_mailbox_client(self) -> Client:
        return Client(self._options, self._line)

    def enter(self) -> None:
        """Log in and open the folder with EXAMINE: not even the `recent` marks change."""
        options = self._options
        plain = f"{options.user}{options.password}".isascii()
        login = self.login if plain and "LOGINDISABLED" not in self.client.capabilities else self.login_utf8
        try:
            login(options.user, options.password, initial_folder=None)
        except imaplib.IMAP4.abort:
            raise
        except (imaplib.IMAP4.error, MailboxLoginError) as error:
            raise Refused(server_text(error)) from error
        self.folder.set(options.folder, readonly=True)

    def close(self) -> None:
        with contextlib.suppress(*FAILURES):
            self.client.sock.settimeout(FAREWELL)
            self.client.logout()
        with contextlib.suppress(OSError):
            self.client.shutdown()

    def unread(self, since: datetime) -> list[str]:
        """The UIDs of unread messages that arrived at this time or up to a day before it, newest first."""
        # SEARCH takes only days, in the server's zone.
        criteria = AND(seen=False, date_gte=(since - timedelta(days=1)).date())
        uids = self.uids(criteria, charset=None)
        return sorted(filter(str.isdigit, uids), key=int, reverse=True)

    def headers(self, uids: Sequence[str]) -> Iterator[list[Found]]:
        """The needed headers, in batches, without messages that the server does not send."""
        for start in range(0, len(uids), BATCH):
            batch = uids[start : start + BATCH]
            found = _messages(self._fetched(batch, f"(UID INTERNALDATE RFC822.SIZE {_FIELDS})"))
            yield [each for each in found if each.uid in batch and each.raw]

    def start(self, uid: str) -> bytes:
        """The first part of the message, its headers included."""
        data = self._fetched([uid], f"(UID BODY.PEEK[]<0.{START}>)")
        return b"".join(found.raw for found in _messages(data))

    def later_texts(self, uid: str) -> Iterator[bytes]:
        """The first part of each text after attachments, with its own headers."""
        asked = " ".join(f"BODY.PEEK[{number}.MIME]<0.{HEADERS}>" for number in range(1, SECTIONS + 1))
        for section, head in _sections(self._fetched([uid], f"(UID {asked})")):
            if _TEXT.search(head) and not _ATTACHED.search(head):
                found = _messages(self._fetched([uid], f"(UID BODY.PEEK[{section}]<0.{START}>)"))
                yield head + b"".join(each.raw for each in found)

    def _fetched(self, uids: Sequence[str], parts: str) -> Sequence[Any]:
        """The answer to UID FETCH, even if the server could not send all of it."""
        self.client.refill()
        status, data = self.client.uid("FETCH", ",".join(uids), parts)
        if status != "OK":  # a faulty server, or a message that another client has deleted
            self.refusal = hide_login(" ".join(_words(data)), self._options)  # it may quote anything
            data = self.client.response("FETCH")[1]
        return data or ()


def _messages(data: Sequence[Any]) -> Iterator[Found]:
    """The messages in an answer, where the UID may be on either side of the content."""
    for line, content in _contents(data):
        uid, size = re.search(rb"\bUID (\d+)", line), re.search(rb"RFC822\.SIZE (\d+)", line)
        moment = imaplib.Internaldate2tuple(line)
        yield Found(
            uid[1].decode() if uid else "",
            content,
            time.mktime(moment) if moment else None,
            int(size[1]) if size else 0,
        )


def _sections(data: Sequence[Any]) -> Iterator[tuple[str, bytes]]:
    for line, content in _contents(data):
        if section := re.search(rb"BODY\[(\d+)\.MIME\]", line):
            yield section[1].decode(), content


def _contents(data: Sequence[Any]) -> Iterator[tuple[bytes, bytes]]:
    """Each content with its line; imaplib gives (line, literal) pairs, then the rest of the line."""
    for position, item in enumerate(data):
        if isinstance(item, tuple):
            rest = data[position + 1] if position + 1 < len(data) else b""
            # The line comes first: in it, the content's own name precedes the others' names.
            yield item[0] + b" " + (rest if isinstance(rest, bytes) else b""), item[1]
        for found in _QUOTED.finditer(item if isinstance(item, bytes) else b""):
            assert isinstance(item, bytes)
            name = item[found.start() : found.start(1)]
            rest = item[: found.start()] + item[found.end() :]
            yield name + b" " + rest, re.sub(rb"\\(.)", rb"\1", found[1])


def _words(data: Sequence[Any] | None) -> Iterator[str]:
    for line in data or ():
        yield line.decode("utf-8", "replace") if isinstance(line, bytes) else ""
