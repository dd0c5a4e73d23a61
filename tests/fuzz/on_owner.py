"""The monitor's end of the socket: whatever an owner says, it is attached or disconnected, nothing else."""

import asyncio
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st

from scheduler.control.wire import client as remote
from scheduler.control.wire import messages
from scheduler.control.wire.client import RemoteControl
from scheduler.core.state import Failure
from scheduler.core.views import Event, OutputChunk, Snapshot, TaskStatus, TaskView, WakeView
from scheduler.errors import SchedulerError
from scheduler.system.clock import SystemClock
from scheduler.system.unix_socket import HomeSocket
from tests.fuzz.bent import bent

HELLO = messages.encode(method="hello", params={"protocol": messages.PROTOCOL, "citizen": "opus", "pid": 1})
ROW = TaskView("tick", TaskStatus.FAILED, "5m", due=1.0, error=Failure(1.0, "no"))
SNAPSHOT = Snapshot(
    "opus", (ROW,), wake=WakeView(count=3, due=9.0), events=(Event(1, 1.0, "finished", "opus", "tick"),)
)
MESSAGES = [
    b'{"jsonrpc":"2.0","id":[],"result":{}}\n',
    b'{"jsonrpc":"2.0","method":"item","params":{"id":{},"value":"x"}}\n',
    messages.item(1, messages.encoded(SNAPSHOT)),
    messages.encode(id=1, result=None),
    messages.encode(id=2, result={"text": "x"}),
    messages.item(3, messages.encoded(OutputChunk("printed", 2))),
    messages.failure(1, messages.BAD_REQUEST, "no"),
    json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"message": 5, "data": {"code": []}}}).encode() + b"\n",
]
TOKENS = (
    b'"id": 1',
    b'"params": {',
    b'"tasks": [',
    b'"events": [',
    b'"result": ',
    b'"error": ',
    b"\n",
    *MESSAGES,
)
CASES = st.tuples(
    st.one_of(
        st.just(HELLO),
        st.just(HELLO),
        bent([HELLO], [b'"pid": ', b'"error": ']).map(lambda each: each + b"\n"),
    ),
    st.lists(bent(MESSAGES, TOKENS), max_size=6),
)


class Rig:
    def __init__(self) -> None:
        remote.ANSWER_TIMEOUT = 0.05
        self.folder = TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = SystemClock()
        self.broken: list[object] = []
        self.runner.get_loop().set_exception_handler(lambda loop, context: self.broken.append(context))

    def close(self) -> None:
        self.runner.close()
        self.clock.close()
        self.folder.cleanup()


rig = cache(Rig)


def check(case: tuple[bytes, list[bytes]]) -> None:
    here = rig()
    here.runner.run(asyncio.wait_for(_attached(here, *case), 30.0))
    assert not here.broken, here.broken


async def _attached(here: Rig, hello: bytes, lines: list[bytes]) -> None:
    async def owner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(hello)
            for line in lines:
                writer.write(line + b"\n")
            await writer.drain()
            writer.close()

    path = Path(here.folder.name) / "socket"
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(owner, str(path))
    control = RemoteControl(HomeSocket(path, "opus", path.parent), here.clock)
    try:
        with suppress(SchedulerError):
            await control.start()
            await control.explain("tick")
        control.snapshot()
    finally:
        await control.stop()
        server.close()
