"""What the scheduler logs, as facts: it decides a start, records an end, notices a clock that was set."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from scheduler.core.views import Event

Note = Callable[[str, str, Any], None]
KINDS = {"paused": "pause", "resumed": "resume", "reset": "reset", "clock jumped": "noticed"}


class EventLog(logging.Handler):
    def __init__(self, note: Note) -> None:
        super().__init__()
        self._note = note

    def handle(self, record: logging.LogRecord) -> bool:
        if event := getattr(record, "event", None):
            self._read(event)
        return True

    def _read(self, event: Event) -> None:
        match event.kind:
            case "started":
                self._note("starting", event.task, str(event.trigger))
            case "finished":
                self._note("finished", event.task, (str(event.outcome), event.duration or 0.0, event.text))
            case kind if kind in KINDS:
                self._note(KINDS[kind], event.task, None)


@contextmanager
def event_log(note: Note) -> Iterator[None]:
    """Everything that is logged meanwhile becomes a fact."""
    log, handler = logging.getLogger("experience"), EventLog(note)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
