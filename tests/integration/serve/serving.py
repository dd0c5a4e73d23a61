"""A real owner, a real `experience-tui serve` beside it, and ways to talk to that one."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from scheduler.system.unix_socket import socket_path

ROOT = Path(__file__).parents[3]
PATIENCE = 30.0  # seconds for what happens at the start
SETTINGS = """
root = "{root}"
[citizens.opus]
grace = "1s"
[citizens.opus.wake]
every = "10h"
[citizens.opus.tasks.note]
every = "24h"
priority = 0
command = ["sh", "-c", "echo ran >> ran"]
"""


@dataclass
class Place:
    """Settings and a home of a test's own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def opus(self) -> Path:
        return self.folder / "root" / "opus"

    @property
    def token(self) -> Path:
        return self.folder / "token"

    def ran(self) -> int:
        """How often the task has run."""
        with suppress(FileNotFoundError):
            return len((self.opus / "ran").read_text().splitlines())
        return 0


def place(folder: Path) -> Place:
    (folder / "root" / "opus").mkdir(parents=True)
    settings = folder / "experience.toml"
    settings.write_text(SETTINGS.format(root=folder / "root"))
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("EXPERIENCE_", "NO_COLOR"))
    }
    return Place(
        folder, kept | {"EXPERIENCE_CONFIG": str(settings), "HOME": str(folder), "XDG_STATE_HOME": ""}
    )


def start(place: Place, *arguments: str, **more: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tui", *arguments],
        cwd=ROOT,
        env=place.environment,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        **more,
    )


@contextmanager
def owner(place: Place) -> Iterator["subprocess.Popen[str]"]:
    """A headless owner, once it answers at its socket."""
    process = start(place, "--no-ui", "--own-as-root", stdout=subprocess.DEVNULL)
    try:
        wait_for(socket_path(place.opus).exists, process)
        yield process
    finally:
        end(process)


def wait_for(what: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    over = time.monotonic() + PATIENCE
    while not what():
        assert process.poll() is None and time.monotonic() < over, "it never came up"
        time.sleep(0.02)


def end(process: "subprocess.Popen[str]", number: int = signal.SIGTERM) -> None:
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass
class Served:
    """A server that is open; `log` is where its standard error goes."""

    process: "subprocess.Popen[str]"
    link: str
    log: Path

    @property
    def url(self) -> str:
        return self.link.partition("/?")[0]

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    @property
    def token(self) -> str:
        return self.link.partition("=")[2]

    def monitors(self) -> list[psutil.Process]:
        """The processes behind its tabs, the one in reserve too."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    async def request(self, path: str, method: str = "GET", **headers: str) -> aiohttp.ClientResponse:
        """One answer, read whole, from a client that keeps no cookies and follows nothing."""
        async with client() as session:
            asked = session.request(method, self.url + path, headers=spelt(headers), allow_redirects=False)
            async with asked as answer:
                await answer.read()
                return answer

    async def cookie(self) -> str:
        """What a browser sends once it has opened the link."""
        answer = await self.request(f"/?token={self.token}")
        name, value = re.match(r"([^=]+)=([^;]+)", answer.headers["Set-Cookie"]).groups()  # type: ignore[union-attr]  # it is there, or the test fails
        return f"{name}={value}"


def client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(20))


def spelt(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-").capitalize(): value for name, value in headers.items()}


@contextmanager
def serving(place: Place, *arguments: str, port: int = 0) -> Iterator[Served]:
    """`experience-tui serve` on a free port, once it has printed its link."""
    log = place.folder / "serve.log"
    flags: Sequence[str] = ("serve", f"--port={port}", f"--token-file={place.token}", *arguments)
    with log.open("a") as errors:
        process = start(place, *flags, stdout=subprocess.PIPE, stderr=errors)
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        link = process.stdout.readline().strip() if ready else ""
        assert "/?token=" in link, log.read_text()
        yield Served(process, link, log)
    finally:
        end(process)
        if process.stdout:
            process.stdout.close()
