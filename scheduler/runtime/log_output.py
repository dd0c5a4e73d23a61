"""Log lines for people and programs, written on threads so that no event loop waits for a terminal."""

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler
from pathlib import Path
from typing import IO, Any

from scheduler.core.schedules.schedule import short_duration
from scheduler.core.secrets import NOTHING_SECRET, Masks
from scheduler.core.views import Event
from scheduler.core.wording.spans import took
from scheduler.core.wording.text import clean
from scheduler.process import standard_streams
from scheduler.schema.json_codec import to_json
from scheduler.spending.money import price, tokens
from scheduler.system.foreign_home import closed_after, make_folder, open_file, rename
from scheduler.system.hanging_disks import require_disk

QUEUED = 10_000  # lines; further lines are dropped and counted while a reader is stuck
FILE_SIZE, FILES_KEPT = 10_000_000, 5
EVENT_FIELDS = (
    *("kind", "citizen", "task", "outcome", "text", "trigger", "duration", "late", "seq", "who"),
    *("cost", "number", "provider"),
)
STANDARD_FIELDS = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}

Write = Callable[[logging.LogRecord, str], None]


@contextmanager
def log_lines(
    stream: IO[str] | None, *, as_json: bool = False
) -> Iterator[Callable[[str, Path, Masks], None]]:
    """Log to `stream`, if any, and to the homes; yield the function that adds a home and its secrets."""
    homes = HomeLogs()

    def writer(write: Write, dated: bool) -> BackgroundHandler:
        return BackgroundHandler(write, MaskingFormatter(_formatter(as_json, dated=dated), homes.masks))

    handlers = [writer(homes.write, True)]
    if stream:
        handlers += [writer(stream_writer(stream), not stream.isatty())]
    root = logging.getLogger("experience")
    before = (root.level, root.propagate)
    root.setLevel(logging.INFO)
    root.propagate = False
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield homes.add
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.finish()
        root.setLevel(before[0])
        root.propagate = before[1]


def _formatter(as_json: bool, *, dated: bool) -> logging.Formatter:
    return JsonFormatter() if as_json else TextFormatter(dated=dated)


class BackgroundHandler(QueueHandler):
    """Formats and writes on a thread; if the reader is stuck, lines are dropped and no caller waits.

    logging's QueueListener would wait for the reader without limit, and its handlers have locks that
    Python takes at exit.
    """

    def __init__(self, write: Write, formatter: logging.Formatter) -> None:
        self._records: queue.Queue[logging.LogRecord | None] = queue.Queue(QUEUED)
        super().__init__(self._records)
        self._write, self._line, self._dropped = write, formatter.format, 0
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Format the arguments now: an error in them must not end the thread."""
        try:
            record.msg, record.args = record.getMessage(), None
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            record.msg, record.args = f"{record.msg} ({type(error).__name__}: {error})", None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self._records.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    def finish(self, seconds: float = 2.0) -> None:
        """Write the queued lines, unless the reader is stuck."""
        with suppress(queue.Full):
            self._records.put(None, timeout=seconds)
            self._thread.join(seconds)

    def _work(self) -> None:
        while (record := self._records.get()) is not None:
            self._write(record, self._line(record) + "\n")
            if self._dropped:
                lost, self._dropped = self._dropped, 0
                report = {"name": "experience", "msg": f"{lost} log lines dropped: the reader is stuck"}
                record = logging.makeLogRecord({**report, "levelno": logging.WARNING, "levelname": "WARNING"})
                self._write(record, self._line(record) + "\n")


def stream_writer(stream: IO[str]) -> Write:
    """A writer that avoids the stream's lock, which Python takes at exit, and ignores a closed stream."""
    try:
        descriptor = stream.fileno()
        if descriptor < 3:  # a handler may close this descriptor and another file may get its number
            descriptor = standard_streams.copy_of(descriptor) or descriptor
    except (AttributeError, OSError, ValueError):  # not a file
        descriptor = None

    def write(record: logging.LogRecord, line: str) -> None:
        with suppress(OSError, ValueError):
            if descriptor is None:
                stream.write(line)
                stream.flush()
                return
            data = line.encode("utf-8", "replace")
            while data:
                data = data[os.write(descriptor, data) :]

    return write


class HomeLogs:
    """Each citizen's lines in its own logs/experience.log: at most ten megabytes, and five older files."""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}
        self.masks: dict[str, Masks] = {}

    def add(self, citizen: str, home: Path, masks: Masks = NOTHING_SECRET) -> None:
        self._files[citizen] = home / "logs" / "experience.log"
        self.masks[citizen] = masks

    def write(self, record: logging.LogRecord, line: str) -> None:
        if path := self._files.get(_citizen_of(record)):
            with suppress(OSError):  # neither a full nor a hanging disk may stop the thread
                require_disk(path.parent.parent)
                make_folder(path.parent)
                if _append(path, line) > FILE_SIZE:
                    _rotate(path)


def _citizen_of(record: logging.LogRecord) -> str:
    event = getattr(record, "event", None)
    return event.citizen if isinstance(event, Event) else str(getattr(record, "citizen", ""))


def _append(path: Path, line: str) -> int:
    """Add a line to a file that only its owner may read; return its size in bytes."""
    with closed_after(open_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)) as file:
        os.write(file, line.encode("utf-8", "replace"))
        return os.fstat(file).st_size


def _rotate(path: Path) -> None:
    for number in range(FILES_KEPT - 1, -1, -1):
        older = path.with_name(f"{path.name}.{number}") if number else path
        if older.exists():
            rename(older, f"{path.name}.{number + 1}")


class TextFormatter(logging.Formatter):
    """`14:03:22 opus/news_scan failed in 30s: Connection timeout`; `dated` adds the day."""

    def __init__(self, *, dated: bool = True) -> None:
        super().__init__()
        self._moment = "%Y-%m-%d %H:%M:%S" if dated else "%H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime(self._moment, time.localtime(record.created))
        event = getattr(record, "event", None)
        return f"{moment} {clean(_sentence(event) if isinstance(event, Event) else self._message(record))}"

    def _message(self, record: logging.LogRecord) -> str:
        extras = _extras(record)
        who = "/".join(str(extras.pop(key)) for key in ("citizen", "task") if key in extras)
        rest = ", ".join(f"{key} {value}" for key, value in extras.items() if key != "text")
        line = " ".join(part for part in (who, record.getMessage(), f"({rest})" if rest else "") if part)
        more = [extras.get("text"), record.exc_info and self.formatException(record.exc_info)]
        return line + "".join(f"\n{text}" for text in more if text)


class MaskingFormatter(logging.Formatter):
    """Another formatter's lines without the secrets of their citizens."""

    def __init__(self, formatter: logging.Formatter, masks: Mapping[str, Masks]) -> None:
        super().__init__()
        self._formatter, self._masks = formatter, masks

    def format(self, record: logging.LogRecord) -> str:
        line, masks = self._formatter.format(record), self._masks.get(_citizen_of(record))
        return masks.hide(line) if masks else line


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {"time": record.created, "level": record.levelname.lower()}
        event = getattr(record, "event", None)
        if isinstance(event, Event):
            given = {name: to_json(getattr(event, name)) for name in EVENT_FIELDS}
            given["number"] = event.number or None
            fields |= {name: value for name, value in given.items() if value not in (None, "")}
        else:
            fields |= {"kind": record.name, "text": record.getMessage(), **_extras(record)}
            if record.exc_info:
                fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def _sentence(event: Event) -> str:
    who = event.about
    if event.outcome is None and event.text.startswith(event.kind):
        return f"{who} {event.text}"
    what = event.kind if event.outcome is None else str(event.outcome)
    if event.kind == "started" and event.trigger:
        late = int((event.late or 0.0) + 0.5)
        by = f" by {event.who.in_full}" if event.who else ""
        what += f" ({event.trigger}{by}, {short_duration(late)} late)" if late else f" ({event.trigger}{by})"
    elif event.who and event.outcome is None:
        what += f" by {event.who.in_full}"
    if event.duration is not None:
        what += f" in {took(event.duration)}"
    what += "".join(f", {amount}" for amount in (price(event.cost), tokens(event.cost)) if amount)
    return f"{who} {what}: {event.text}" if event.text else f"{who} {what}"


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in STANDARD_FIELDS}
