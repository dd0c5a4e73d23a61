"""Log lines for people and machines, written by threads of their own: no loop waits for a terminal."""

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from scheduler.core.schedule import in_words
from scheduler.core.text import clean
from scheduler.core.views import Event
from scheduler.system.files import NO_WAIT

QUEUED = 10_000  # lines; what a stuck reader does not take beyond that is dropped and counted
FILE_SIZE, FILES_KEPT = 10_000_000, 5


@contextmanager
def log_lines(stream: IO[str] | None, *, as_json: bool = False) -> Iterator[Callable[[str, Path], None]]:
    """Log lines to `stream`, if any, and to the homes; gives what must be told of each home."""
    formatter = Json() if as_json else Readable()
    files = HomeFiles(formatter)
    handlers = [Offloaded(files), *([Offloaded(Stream(stream, formatter))] if stream else [])]
    root = logging.getLogger("experience")
    before = (root.level, root.propagate)
    root.setLevel(logging.INFO)
    root.propagate = False
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield files.add
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.finish()
        root.setLevel(before[0])
        root.propagate = before[1]


class Offloaded(logging.Handler):
    """Hands records to a thread; a reader that stops costs lines, never time."""

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target, self._dropped = target, 0
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(QUEUED)
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:  # here, not on the thread: a line that a handler got wrong must not end the log
            record.msg, record.args = record.getMessage(), None
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            record.msg, record.args = f"{record.msg} ({type(error).__name__}: {error})", None
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    def finish(self, seconds: float = 2.0) -> None:
        """Write what is waiting, unless its reader is stuck."""
        try:
            self._queue.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _work(self) -> None:
        while (record := self._queue.get()) is not None:
            self._target.handle(record)
            if self._dropped:
                lost, self._dropped = self._dropped, 0
                self._target.handle(_record(f"{lost} log lines dropped: nobody read them"))


class Unlocked(logging.Handler):
    """Written to by one thread alone, and so without the lock that `logging` waits for when Python exits."""

    def createLock(self) -> None:
        self.lock = None


class Stream(Unlocked):
    """Lines on a stream; a stream that is gone swallows them."""

    def __init__(self, stream: IO[str], formatter: logging.Formatter) -> None:
        super().__init__()
        self._stream, self._descriptor = stream, _descriptor(stream)
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record) + "\n"
        try:
            if self._descriptor is None:
                self._stream.write(line)
                self._stream.flush()
            else:
                _write_all(self._descriptor, line.encode("utf-8", "replace"))
        except (OSError, ValueError):  # the terminal was closed
            return


def _descriptor(stream: IO[str]) -> int | None:
    """Where to write past the stream's own lock: Python takes that when it exits, and would wait for ever."""
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):  # a stand-in
        return None


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


class HomeFiles(Unlocked):
    """Each citizen's lines in its own logs/experience.log, ten megabytes and five old ones at most."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._homes: dict[str, Path] = {}
        self.setFormatter(formatter)

    def add(self, citizen: str, home: Path) -> None:
        self._homes[citizen] = home / "logs" / "experience.log"

    def emit(self, record: logging.LogRecord) -> None:
        path = self._homes.get(_citizen(record))
        if path is None:
            return
        try:
            path.parent.mkdir(exist_ok=True)
            if _append(path, self.format(record) + "\n") > FILE_SIZE:
                _rotate(path)
        except OSError:  # a full disk must not end the thread that logs
            return


class Readable(logging.Formatter):
    """`14:03:22 opus/news_scan failed in 30s: Connection timeout`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        event = getattr(record, "event", None)
        words = _sentence(event) if isinstance(event, Event) else _message(record)
        return f"{moment} {clean(words)}"


class Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {"time": record.created, "level": record.levelname.lower()}
        event = getattr(record, "event", None)
        if isinstance(event, Event):
            names = ("kind", "citizen", "task", "outcome", "text", "trigger", "duration", "late", "seq")
            fields |= {name: value for name in names if (value := getattr(event, name)) not in (None, "")}
        else:
            fields |= {"kind": record.name, "text": record.getMessage(), **_extras(record)}
            if record.exc_info:
                fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def _sentence(event: Event) -> str:
    who = f"{event.citizen}/{event.task}" if event.task else event.citizen
    what = f"{event.kind}" if event.outcome is None else f"{event.outcome}"
    if event.kind == "started" and event.trigger:
        late = int((event.late or 0.0) + 0.5)
        what += f" ({event.trigger}, {in_words(late)} late)" if late else f" ({event.trigger})"
    if event.duration is not None:
        what += f" in {event.duration:.1f}s"
    if event.kind.startswith("wake") and event.outcome is not None:
        what = f"wake {what}"
    return f"{who} {what}: {event.text}" if event.text else f"{who} {what}"


def _message(record: logging.LogRecord) -> str:
    extras = _extras(record)
    who = "/".join(str(extras.pop(key)) for key in ("citizen", "task") if key in extras)
    rest = ", ".join(f"{key} {value}" for key, value in extras.items() if key != "text")
    parts = [who, record.getMessage(), f"({rest})" if rest else ""]
    line = " ".join(part for part in parts if part)
    more = [extras.get("text"), record.exc_info and logging.Formatter().formatException(record.exc_info)]
    return line + "".join(f"\n{text}" for text in more if text)


_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "taskName",
}


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _citizen(record: logging.LogRecord) -> str:
    event = getattr(record, "event", None)
    return event.citizen if isinstance(event, Event) else str(getattr(record, "citizen", ""))


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord("experience", logging.WARNING, "", 0, text, (), None)


def _append(path: Path, line: str) -> int:
    """Add a line to a file that only its owner may read; its size now, in bytes."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | NO_WAIT, 0o600)
    try:
        os.write(descriptor, line.encode("utf-8", "replace"))
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _rotate(path: Path) -> None:
    for number in range(FILES_KEPT - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.replace(path.with_name(f"{path.name}.1"))
