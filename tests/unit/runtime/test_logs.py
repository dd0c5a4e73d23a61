"""Log lines never hold anybody up: what cannot be written is dropped and counted."""

import io
import logging
import os
import threading
from pathlib import Path

import pytest

from scheduler.core.task import Context
from scheduler.runtime import log_output as logs
from scheduler.runtime.log_output import HomeFiles, Json, Offloaded, Readable, Stream, log_lines
from tests.fakes import until


def record(text: str, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("experience", logging.INFO, "", 0, text, (), None)
    vars(made).update(more)
    return made


class Stuck(logging.Handler):
    """A reader that takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.taken: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.go.wait(10)
        self.taken.append(record.getMessage())


async def test_what_a_stopped_reader_does_not_take_is_dropped_and_counted(monkeypatch):
    monkeypatch.setattr(logs, "QUEUED", 3)
    stuck = Stuck()
    offloaded = Offloaded(stuck)
    offloaded.emit(record("first"))
    await until(lambda: offloaded._queue.empty(), "the reader is stuck with the first")
    for number in range(10):
        offloaded.emit(record(str(number)))
    stuck.go.set()
    offloaded.finish()
    assert stuck.taken == ["first", "7 log lines dropped: nobody read them", "0", "1", "2"]


def test_the_end_waits_only_so_long_for_a_stuck_reader():
    stuck = Stuck()
    offloaded = Offloaded(stuck)
    offloaded.emit(record("first"))
    offloaded.finish(0.01)
    assert stuck.taken == []
    stuck.go.set()
    offloaded._thread.join(5)


def test_a_line_is_written_past_the_lock_that_python_takes_when_it_exits():
    reading, writing = os.pipe()
    with os.fdopen(reading) as pipe, os.fdopen(writing, "w") as stream:
        handler = Stream(stream, Readable())
        assert handler.lock is None
        handler.handle(record("said"))
        assert pipe.readline().endswith(" said\n"), "nothing is left in the stream's own buffer"


def test_a_stand_in_for_a_stream_gets_its_lines_too():
    stream = io.StringIO()
    Stream(stream, Readable()).handle(record("said"))
    assert stream.getvalue().endswith(" said\n")


def test_a_stream_that_is_gone_swallows_lines():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        Stream(stream, Readable()).handle(record("said"))


@pytest.mark.parametrize("hindrance", ["file", "folder", "nothing"])
def test_a_home_log_that_cannot_be_written_ends_nothing(home, hindrance):
    if hindrance == "file":
        (home / "logs").write_text("in the way")
    if hindrance == "folder":
        (home / "logs" / "experience.log").mkdir(parents=True)
    files = HomeFiles(Readable())
    files.add("opus", home)
    files.handle(record("said", citizen="opus"))
    files.handle(record("of somebody else", citizen="mira"))
    if hindrance == "nothing":
        log = home / "logs" / "experience.log"
        assert log.read_text().endswith("opus said\n") and log.stat().st_mode & 0o777 == 0o600


def test_a_line_that_a_handler_got_wrong_does_not_end_the_log():
    stream = io.StringIO()
    with log_lines(stream):
        log = Context("opus", Path(), "t").log
        log.info("%d of them", "x")
        log.info("after it")
    assert "after it" in stream.getvalue() and "TypeError" in stream.getvalue()


@pytest.mark.parametrize("formatter", [Readable(), Json()])
def test_an_error_is_logged_with_what_it_was(formatter):
    error = KeyError("boom")
    record = logging.LogRecord("experience", logging.ERROR, "", 0, "broke", (), (KeyError, error, None))
    assert "KeyError: 'boom'" in formatter.format(record)
