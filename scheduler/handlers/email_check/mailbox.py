"""Reads a mailbox over IMAP and TLS: headers and beginnings of messages; nothing in it ever changes."""

import contextlib
import imaplib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from imap_tools.query import AND

from scheduler.errors import TaskFailed
from scheduler.handlers.email_check import connection as imap_client
from scheduler.handlers.email_check.connection import Box, Server
from scheduler.handlers.email_check.failures import FAILURES, why
from scheduler.handlers.email_check.line import Line
from scheduler.handlers.email_check.message import one_line

BATCH = 500  # messages of which the headers are asked for at once
HEADERS = 8192  # bytes of them that are read, of each message
START = 65_536  # bytes of a message that are read for its text
SECTIONS = 8  # of a message with its attachments first: where its text is looked for

_FIELDS = f"BODY.PEEK[HEADER.FIELDS (MESSAGE-ID FROM SUBJECT DATE CONTENT-TYPE)]<0.{HEADERS}>"
_TEXT = re.compile(rb"^content-type:\s*(text/(plain|html)|multipart/(alternative|related))", re.I | re.M)


@dataclass(frozen=True, slots=True)
class Found:
    """One message as the server lists it: `raw` is what was asked for of its content."""

    uid: str
    raw: bytes
    arrived: float | None = None
    size: int = 0


@contextlib.contextmanager
def mailbox(server: Server, line: Line) -> Iterator["Mailbox"]:
    """The folder, opened for reading alone; whatever goes wrong is a TaskFailed of one line."""
    try:
        with contextlib.closing(Box(server, line)) as box:
            box.enter()
            yield Mailbox(box)
    except FAILURES as error:
        sentence = why(error, server.host, server.port, imap_client.TIMEOUT)
        raise TaskFailed(one_line(server.hide(sentence))) from None


class Mailbox:
    """What can be asked of an open folder."""

    def __init__(self, box: "Box") -> None:
        self._box = box

    def unread(self, since: datetime) -> list[str]:
        """The UIDs of unread messages that arrived at this time or up to a day before it, newest first."""
        # SEARCH knows days only, in the server's zone.
        criteria = AND(seen=False, date_gte=(since - timedelta(days=1)).date())
        uids = self._box.uids(criteria, charset=None)
        return sorted(filter(str.isdigit, uids), key=int, reverse=True)

    def headers(self, uids: Sequence[str]) -> Iterator[list[Found]]:
        """What is needed of the headers, in batches; a message that has gone meanwhile is left out."""
        for start in range(0, len(uids), BATCH):
            parts = f"(UID INTERNALDATE RFC822.SIZE {_FIELDS})"
            yield list(_messages(self._box.fetch_parts(uids[start : start + BATCH], parts)))

    def start(self, uid: str) -> bytes:
        """The first part of the message, its headers included."""
        data = self._box.fetch_parts([uid], f"(UID BODY.PEEK[]<0.{START}>)")
        return b"".join(found.raw for found in _messages(data))

    def later_text(self, uid: str) -> bytes:
        """The first part of the first text after attachments, with its own headers; b"" if there is none."""
        asked = " ".join(f"BODY.PEEK[{number}.MIME]<0.{HEADERS}>" for number in range(1, SECTIONS + 1))
        for section, head in _sections(self._box.fetch_parts([uid], f"(UID {asked})")):
            if _TEXT.search(head):
                found = _messages(self._box.fetch_parts([uid], f"(UID BODY.PEEK[{section}]<0.{START}>)"))
                return head + b"".join(each.raw for each in found)
        return b""


def _messages(data: Sequence[Any]) -> Iterator[Found]:
    """imaplib gives (line, literal) pairs and the rest of each line; the UID may be on either side."""
    for position, item in enumerate(data):
        if isinstance(item, tuple):
            rest = data[position + 1] if position + 1 < len(data) else b""
            line = item[0] + b" " + (rest if isinstance(rest, bytes) else b"")
            uid, size = re.search(rb"\bUID (\d+)", line), re.search(rb"RFC822\.SIZE (\d+)", line)
            moment = imaplib.Internaldate2tuple(line)
            yield Found(
                uid[1].decode() if uid else "",
                item[1],
                time.mktime(moment) if moment else None,
                int(size[1]) if size else 0,
            )


def _sections(data: Sequence[Any]) -> Iterator[tuple[str, bytes]]:
    for item in data:
        if isinstance(item, tuple) and (section := re.search(rb"BODY\[(\d+)\.MIME\]", item[0])):
            yield section[1].decode(), item[1]
