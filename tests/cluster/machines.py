"""Machines for the tests: processes with a root of their own and a wire to the database that can be cut."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from scheduler.storage.shared_home import mark_shared, shared_home

FORWARDER = """
import asyncio, sys

async def pipe(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()

async def serve(port):
    async def accept(reader, writer):
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pipe(reader, to_writer), pipe(to_reader, writer), return_exceptions=True)
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(serve(int(sys.argv[1])))
"""


@dataclass
class Machine:
    """One process of the scheduler; its root and its output lie in its folder."""

    name: str
    folder: Path
    port: int
    settings: str
    launcher: tuple[str, ...] = ("-P", "-m", "tui")
    arguments: tuple[str, ...] = ("--no-ui",)
    process: "subprocess.Popen[bytes] | None" = None
    wire: "subprocess.Popen[str] | None" = None
    output: list[IO[bytes]] = field(default_factory=list)

    def prepare(self) -> None:
        """Write its settings, and lay its wire."""
        (self.folder / "root").mkdir(parents=True, exist_ok=True)
        self.wire = subprocess.Popen(
            (sys.executable, "-c", FORWARDER, str(self.port)), stdout=subprocess.PIPE, text=True
        )
        assert self.wire.stdout
        port = int(self.wire.stdout.readline())
        engine = (
            f'[engine]\nurl = "postgresql://experience@127.0.0.1:{port}/postgres"\nmachine = "{self.name}"\n'
        )
        self.config.write_text(f'root = "{self.folder / "root"}"\n{engine}{self.settings}')

    @property
    def config(self) -> Path:
        return self.folder / "experience.toml"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "EXPERIENCE_CONFIG": str(self.config), "MACHINE": self.name}

    def home(self, citizen: str) -> Path:
        return self.folder / "root" / citizen

    def share_homes(self, other: "Machine", *citizens: str) -> None:
        """As if both saw the same disk: the mark of the home is what says so."""
        for citizen in citizens:
            other.home(citizen).mkdir(exist_ok=True)
            mark = shared_home(self.home(citizen))
            assert mark
            mark_shared(other.home(citizen), mark.home_id, mark.through)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = (sys.executable, *self.launcher, *arguments)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def start(self) -> None:
        log = (self.folder / "out").open("ab")
        self.output.append(log)
        command = (sys.executable, *self.launcher, *self.arguments)
        self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def cut(self) -> None:
        """The wire delivers nothing, and later everything."""
        assert self.wire
        self.wire.send_signal(signal.SIGSTOP)

    def mend(self) -> None:
        assert self.wire
        self.wire.send_signal(signal.SIGCONT)

    def said(self) -> str:
        return (self.folder / "out").read_text(errors="replace")

    def close(self, *, gently: bool = True) -> None:
        if self.running and not gently:
            self.kill()
        for process in (self.process, self.wire):
            if process and process.poll() is None:
                process.send_signal(signal.SIGCONT)
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.wire:
            self.wire.kill()
            self.wire.wait()
            assert self.wire.stdout
            self.wire.stdout.close()
        for log in self.output:
            log.close()
