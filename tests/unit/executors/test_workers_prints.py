"""What handlers print goes to their run, and everything else where it always went."""

import asyncio
import contextlib
import io
import sys

import pytest

from scheduler.executors.executor import Executor
from scheduler.executors.stdout_capture import capture_prints
from tests.watching import Watching, call


@contextlib.contextmanager
def captured():
    """A terminal under the stand-ins; gives what reached it."""
    screen = io.TextIOWrapper(under := io.BytesIO(), "utf-8", write_through=True)
    with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen), capture_prints():
        yield lambda: under.getvalue().decode()


async def test_prints_of_runs_at_the_same_time_go_to_each_and_not_to_the_screen(home):
    async def on_loop(ctx):
        print("one")
        await asyncio.sleep(0)
        await asyncio.create_task(deeper())
        sys.stderr.write("three\n")

    async def deeper():
        print("two")

    def on_thread():
        sys.stdout.buffer.write(b"caf\xc3\xa9\n")
        sys.stdout.writelines(["four\n", "five\n"])
        print("six", flush=True, file=sys.stderr)

    workers, first, second = Executor(), Watching(), Watching()
    with captured() as screen:
        print("before")
        await asyncio.gather(call(workers, on_loop, home, first), call(workers, on_thread, home, second))
        print("after")
    assert first.output.text() == "one\ntwo\nthree\n"
    assert second.output.text() == "café\nfour\nfive\nsix\n"
    assert screen() == "before\nafter\n"


async def test_a_handler_meets_a_file_as_any_other(home):
    async def handler():
        assert not sys.stdout.isatty() and sys.stdout.writable() and not sys.stdout.closed
        assert sys.stdout.encoding == "utf-8" and sys.stdout.errors == "strict"
        sys.stdout.close()
        print("still open \udcff")
        with pytest.raises(TypeError):
            sys.stdout.write(b"bytes")
        with pytest.raises(io.UnsupportedOperation):
            sys.stdout.fileno()  # the original's, which has none here

    watching = Watching()
    with captured() as screen:
        await call(Executor(), handler, home, watching)
        sys.stdout.buffer.write(b"bytes\n")
        sys.stdout.reconfigure(line_buffering=True)
    assert watching.output.text() == "still open \\udcff\n"
    assert screen() == "bytes\n"


def test_it_is_put_in_once_and_taken_out_whole(monkeypatch):
    monkeypatch.setattr(sys, "stdout", original := io.StringIO())
    with capture_prints():
        ours = sys.stdout
        with capture_prints():
            assert sys.stdout is ours
        assert sys.stdout is ours
        sys.stdout.buffer.write("as text: é".encode())
    assert sys.stdout is original
    assert original.getvalue() == "as text: é"


def test_what_others_put_over_it_stays(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    theirs = io.StringIO()
    with capture_prints():
        sys.stdout = theirs
    assert sys.stdout is theirs
