"""Log lines never hold up a loop: what cannot be written is dropped and counted."""

import io
import logging
import os
import threading
from pathlib import Path

from scheduler.core.task import Context
from scheduler.runtime import log_output
from scheduler.runtime.log_output import (
    BackgroundHandler,
    HomeLogs,
    JsonFormatter,
    TextFormatter,
    log_lines,
    stream_writer,
)
from tests.each import each
from tests.fakes import until


def record(text: str, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("experience", logging.INFO, "", 0, text, (), None)
    vars(made).update(more)
    return made


class Stuck:
    """A reader that takes nothing until it is let go."""

    def __init__(self) -> None:
        self.go, self.reading = threading.Event(), threading.Event()
        self.taken: list[str] = []

    def __call__(self, record: logging.LogRecord, line: str) -> None:
        self.reading.set()
        self.go.wait(10)
        self.taken.append(record.getMessage())


async def test_what_a_stopped_reader_does_not_take_is_dropped_and_counted(monkeypatch):
    monkeypatch.setattr(log_output, "QUEUED", 3)
    stuck = Stuck()
    handler = BackgroundHandler(stuck, TextFormatter())
    handler.handle(record("first"))
    await until(stuck.reading.is_set, "the reader is stuck with the first")
    for number in range(10):
        handler.handle(record(str(number)))
    stuck.go.set()
    handler.finish()
    assert stuck.taken == ["first", "7 log lines dropped: the reader is stuck", "0", "1", "2"]


async def test_the_end_waits_only_so_long_for_a_stuck_reader():
    stuck = Stuck()
    handler = BackgroundHandler(stuck, TextFormatter())
    handler.handle(record("first"))
    handler.finish(0.01)
    assert stuck.taken == []
    stuck.go.set()
    await until(lambda: stuck.taken, "it is written in the end")


def test_a_line_is_written_past_the_buffer_of_the_stream():
    reading, writing = os.pipe()
    with os.fdopen(reading) as pipe, os.fdopen(writing, "w") as stream:
        stream_writer(stream)(record("said"), "said\n")
        assert pipe.readline() == "said\n", "nothing is left in the stream's own buffer"


def test_a_stand_in_for_a_stream_gets_its_lines_too():
    stream = io.StringIO()
    stream_writer(stream)(record("said"), "said\n")
    assert stream.getvalue() == "said\n"


def test_a_stream_that_is_gone_swallows_lines():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        stream_writer(stream)(record("said"), "said\n")


def test_a_home_log_that_cannot_be_written_ends_nothing(tmp_path):
    blocked, odd, fine = (tmp_path / name for name in ("blocked", "odd", "fine"))
    for home in (blocked, odd, fine):
        home.mkdir()
    (blocked / "logs").write_text("in the way")
    (odd / "logs" / "experience.log").mkdir(parents=True)
    logs = HomeLogs()
    for home in (blocked, odd, fine):
        logs.add(home.name, home)
        logs.write(record("said", citizen=home.name), f"{home.name} said\n")
    logs.write(record("of another", citizen="mira"), "of another\n")
    log = fine / "logs" / "experience.log"
    assert log.read_text() == "fine said\n" and log.stat().st_mode & 0o777 == 0o600


def test_a_long_log_is_rotated_and_the_oldest_is_dropped(home, monkeypatch):
    monkeypatch.setattr(log_output, "FILE_SIZE", 10)
    logs = HomeLogs()
    logs.add("opus", home)
    for number in range(9):
        logs.write(record("said", citizen="opus"), f"line number {number}\n")
    found = {path.name: path.read_text() for path in (home / "logs").iterdir()}
    assert found == {
        f"experience.log.{n}": f"line number {9 - n}\n" for n in range(1, log_output.FILES_KEPT + 1)
    }


def test_a_line_that_a_handler_got_wrong_does_not_end_the_log():
    stream = io.StringIO()
    with log_lines(stream):
        log = Context("opus", Path(), "t").log
        log.info("%d of them", "x")
        log.info("after it")
    assert "after it" in stream.getvalue() and "TypeError" in stream.getvalue()


@each("formatter", [TextFormatter(), JsonFormatter()])
def test_an_error_is_logged_with_what_it_was(formatter):
    error = KeyError("boom")
    record = logging.LogRecord("experience", logging.ERROR, "", 0, "broke", (), (KeyError, error, None))
    assert "KeyError: 'boom'" in formatter.format(record)
