"""email_check: turns urgent mail into work in tasks/queue, once per message; never changes the mailbox."""

from asyncio import to_thread
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scheduler.core.task import Context, Report
from scheduler.core.wording.text import first_few, plural
from scheduler.errors import TaskFailed
from scheduler.handlers.email_check.body import body
from scheduler.handlers.email_check.message import BODY, MailHeaders, header, one_line, read_headers
from scheduler.handlers.email_check.options import Options
from scheduler.handlers.email_check.queued_mail import FULL, MailQueue, work
from scheduler.handlers.email_check.rules import priority
from scheduler.system.clock import SystemClock

if TYPE_CHECKING:
    from scheduler.handlers.email_check.connection import CuttableSocket
    from scheduler.handlers.email_check.mailbox import Found, Mailbox


A_RUN = 500  # urgent messages queued per run; the next run continues

Progress = Callable[[float, float, str], None]


async def email_check(ctx: Context) -> str | Report:
    """One line on the unread mail; `URGENT:n ...` if n urgent messages were queued."""
    from scheduler.handlers.email_check.connection import CuttableSocket

    options, line = ctx.options or Options(), CuttableSocket()
    try:
        return await to_thread(check, ctx.home, options, SystemClock.now(), ctx.progress, line)
    finally:
        line.cut()  # so that a cancelled run leaves no thread that waits for the server


def check(
    home: Path, options: Options, now: float, progress: Progress, line: "CuttableSocket"
) -> str | Report:
    """Check the mailbox once; raises TaskFailed, unless urgent mail was found before the failure."""
    from scheduler.handlers.email_check.mailbox import mailbox

    queue = MailQueue(home, now, options.since)
    found, problem = MailboxCheck(options, queue, now), ""
    try:
        with mailbox(options, line) as box:
            found.read(box, progress)
    except TaskFailed as error:
        if not found.queued:
            raise
        problem = str(error)
    finally:
        queue.save()
    return found.report(problem)


class MailboxCheck:
    """One check of a mailbox: the number of unread messages, and those that became work."""

    def __init__(self, options: Options, queue: MailQueue, now: float) -> None:
        self.queued: list[MailHeaders] = []
        self._options, self._queue, self._now = options, queue, now
        self._oldest = now - options.since
        self._unread = self._beyond = self._known = self._waiting = self._unreadable = 0
        self._textless = 0
        self._refusal = ""

    def read(self, box: "Mailbox", progress: Progress) -> None:
        """Go through the headers, newest first, and queue urgent messages."""
        since = datetime.fromtimestamp(max(0.0, self._oldest), UTC)
        uids = box.unread(since)
        checked, read = uids[: self._options.limit], set[str]()
        self._beyond = len(uids) - len(checked)
        for messages in box.headers(checked):
            for found in messages:
                self._consider(box, found)
            self._queue.save()
            read |= {found.uid for found in messages}
            progress(len(read), len(checked), "unread messages")
        if missing := {*checked} - read:  # those read or removed elsewhere since are not unread now
            self._unreadable = len(missing & {*box.unread(since)})
        self._refusal = box.refusal

    def report(self, problem: str) -> str | Report:
        """The result in one line; raises TaskFailed if there is unread mail and none could be read."""
        full, lacking = bool(self._waiting) and not self._queue.room, self._lacking()
        if self._unreadable and not self._unread and not problem:
            raise TaskFailed(f"{lacking}; the next run tries again")
        line = "; ".join(filter(None, (self._result(), self._waiting_text(full), lacking, problem)))
        warning = bool(problem or lacking) or full
        return Report(line, warning=True, urgent=bool(self.queued)) if warning else line

    def _consider(self, box: "Mailbox", found: "Found") -> None:
        if found.arrived is not None and found.arrived < self._oldest:
            return
        self._unread += 1
        options, message = self._options, read_headers(found.raw, f"{found.arrived} {found.size}")
        urgency = priority(message.addresses, message.subject, options.urgent_from, options.urgent_subjects)
        if not urgency:
            return
        if self._queue.knows(message.key):
            self._known += 1
        elif self._queue.room and len(self.queued) < A_RUN:
            self._enqueue(box, found, message, urgency)
        else:
            self._waiting += 1

    def _enqueue(self, box: "Mailbox", found: "Found", message: MailHeaders, urgency: str) -> None:
        raw, text = b"", ""
        try:
            raw = box.start(found.uid)
            self._textless += not raw
            text = body(raw) or (_later_text(box, found.uid) if len(raw) < found.size else "")
        finally:  # an urgent message is queued even without its text
            email = _email(message, raw, text, found.size)
            self._queue.add(message.key, work(email, message.subject, urgency, self._now))
            self.queued.append(message)

    def _result(self) -> str:
        if self.queued:
            return f"URGENT:{len(self.queued)} of {self._unread} unread: {_first_senders(self.queued)}"
        if not self._unread:
            return "no unread mail"
        newest = f" in the newest {self._options.limit}" if self._beyond else ""
        urgent = f"{self._known} urgent, queued before" if self._known else f"none urgent{newest}"
        return f"{self._unread + self._beyond} unread, {urgent}"

    def _lacking(self) -> str:
        """A text on what the server did not send, with its reason if it gave one."""
        refusal = f": {one_line(self._refusal)}" if self._refusal else ""
        lacks = [
            f"{plural(self._unreadable, 'unread message')} cannot be read" if self._unreadable else "",
            f"the text of {plural(self._textless, 'urgent message')} cannot be read"
            if self._textless
            else "",
        ]
        found = " and ".join(filter(None, lacks))
        return f"{found}{refusal or ': the server does not send what was asked for'}" if found else ""

    def _waiting_text(self, full: bool) -> str:
        if not self._waiting:
            return ""
        why = f"tasks/queue holds {FULL} files; clear it" if full else "the next run goes on"
        return f"{self._waiting} more are urgent and wait: {why}"


def _later_text(box: "Mailbox", uid: str) -> str:
    return next((text for part in box.later_texts(uid) if (text := body(part))), "")


def _email(message: MailHeaders, raw: bytes, text: str, size: int) -> dict[str, Any]:
    return {
        "id": message.id,
        "from": message.sender,
        "to": header(raw, "to"),
        "subject": message.subject,
        "date": message.date,
        "body": text[:BODY],
        "size": size,
        "truncated": len(raw) < size or len(text) > BODY,
    }


def _first_senders(letters: list[MailHeaders]) -> str:
    return first_few([f"{next(iter(each.addresses), 'unknown')}: {each.subject[:60]}" for each in letters])
