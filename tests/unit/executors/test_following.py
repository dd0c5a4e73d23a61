"""What a run prints reaches who follows it: bounded, in few pieces, and nothing is lost unsaid."""

import asyncio
import threading
from contextlib import aclosing

import pytest

from scheduler.core.views import OutputChunk
from scheduler.errors import Disconnected
from scheduler.executors.output import EVERY, KEEP, ROOM, ChunkQueue, OutputBuffer
from tests.fakes import settle, until


class Run:
    """Something that prints, and its reader."""

    def __init__(self, before: bytes = b"") -> None:
        self.output = OutputBuffer()
        self.output.write(before)
        self.pieces: list[OutputChunk] = []

    async def read(self) -> None:
        async with aclosing(self.output.subscribe()) as source:
            async for piece in source:
                self.pieces.append(piece)

    def end(self) -> None:
        self.output.close()

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


def after(output: OutputBuffer, position: int) -> tuple[int, int, bytes]:
    lost, data = output.after(position)
    return lost, position + lost, data


def test_every_byte_is_given_or_counted_wherever_a_reader_is():
    whole = bytes(i * 7 % 251 for i in range(5 * KEEP))
    output = OutputBuffer()
    for start in range(0, len(whole), 1000):
        output.write(whole[start : start + 1000])
        written = min(start + 1000, len(whole))
        for position in (0, 5, KEEP - 1, KEEP, KEEP + 1, 3 * KEEP, written - 1, written):
            if position > written:
                continue
            lost, at, data = after(output, position)
            assert data == whole[at : at + len(data)]
            assert at + len(data) in (min(KEEP, written), written)
            assert not lost or at >= written - 2 * KEEP
            if written - position <= KEEP:
                assert not lost


async def test_much_at_once_is_few_pieces():
    run = Run(b"begin\n")
    reading = asyncio.create_task(run.read())
    await until(lambda: run.pieces, "what is there comes at once")
    began = asyncio.get_running_loop().time()
    for number in range(1000):
        run.output.write(f"{number}\n".encode())
        await asyncio.sleep(0)
    await until(lambda: run.text.endswith("999\n"), "it comes")
    assert len(run.pieces) <= 2 + (asyncio.get_running_loop().time() - began) / EVERY
    run.end()
    await reading
    assert run.text == "begin\n" + "".join(f"{number}\n" for number in range(1000))


async def test_what_is_written_last_is_read_before_the_end():
    run = Run()
    reading = asyncio.create_task(run.read())
    await settle()
    run.output.write(b"last")
    run.end()
    await reading
    assert run.pieces == [OutputChunk("last")]


async def test_a_reader_that_leaves_is_unsubscribed():
    run = Run(b"x")
    async with aclosing(run.output.subscribe()) as source:
        await anext(source)
        assert run.output.followed
    assert not run.output.followed


async def test_threads_may_print_while_it_is_read():
    run = Run()
    reading = asyncio.create_task(run.read())
    threads = [
        threading.Thread(target=lambda: [run.output.write(b"x" * 10) for _ in range(2000)]) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    run.end()
    await reading
    assert len(run.text) + sum(piece.skipped for piece in run.pieces) == 60_000


async def test_what_a_slow_reader_leaves_is_bounded_and_counted():
    spool = ChunkQueue()
    for _ in range(100):
        spool.push(OutputChunk("é" * 10_000, 7))
    spool.close()
    found = [piece async for piece in spool.chunks()]
    assert sum(len(piece.text) for piece in found) <= ROOM
    assert sum(len(piece.text.encode()) + piece.skipped for piece in found) == 100 * (20_000 + 7)
    assert found[0].skipped > 7 and {piece.skipped for piece in found[1:]} == {7}


async def test_an_end_that_is_no_end_of_the_run_is_raised_after_what_came():
    spool = ChunkQueue()
    spool.push(OutputChunk("half"))
    spool.close(Disconnected("the owner (pid 7) is gone"))
    found: list[OutputChunk] = []
    with pytest.raises(Disconnected, match="is gone"):
        async for piece in spool.chunks():
            found.append(piece)
    assert found == [OutputChunk("half")]
