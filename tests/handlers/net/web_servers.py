"""Web servers for tests, on free loopback ports: one with prepared replies, and a real nginx."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.needs import PATH

Headers = dict[str, str]


@dataclass
class Reply:
    """What to send; `cut` ends the connection so many bytes too early, `drip` is a pause before each byte."""

    body: bytes = b""
    status: int = 200
    headers: Headers = field(default_factory=dict)
    cut: int = 0
    drip: float = 0.0


@dataclass
class Site:
    """A server: the replies of each path, the last one for ever; and all that it was asked."""

    base: str = ""
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[tuple[str, Headers]] = field(default_factory=list)
    default: Callable[[str], Reply] = lambda path: Reply(status=404)

    def at(self, path: str, *replies: Reply) -> str:
        self.replies[path] = list(replies)
        return self.base + path

    def reply(self, path: str) -> Reply:
        waiting = self.replies.get(path)
        if not waiting:
            return self.default(path)
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@contextlib.asynccontextmanager
async def site(tls: object = None) -> AsyncIterator[Site]:
    """A site on this loop, gone afterwards."""
    found, talks = Site(), set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            path = head[0].split(" ")[1]
            given = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
            found.asked.append((path, {name.lower(): value for name, value in given.items()}))
            await _send(writer, found.reply(path))
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client hung up, or the test is over
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    found.base = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, reply: Reply) -> None:
    headers = {"content-length": str(len(reply.body)), "connection": "close", **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} X", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    body = reply.body[: len(reply.body) - reply.cut]
    for part in [bytes([each]) for each in body] if reply.drip else [body]:
        await asyncio.sleep(reply.drip)
        writer.write(part)
        await writer.drain()


_CONF = """daemon off; worker_processes 1; pid {d}/pid; error_log {d}/errors;
events {{ worker_connections 256; }}
http {{
  access_log {d}/access; gzip on; gzip_types *; gzip_min_length 1;
  types {{ application/rss+xml rss; application/atom+xml atom; text/xml xml; application/feed+json json; }}
  client_body_temp_path {d}/t1; proxy_temp_path {d}/t2; fastcgi_temp_path {d}/t3;
  uwsgi_temp_path {d}/t4; scgi_temp_path {d}/t5;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    base: str
    log: Path

    def statuses(self) -> list[int]:
        """Of all requests so far."""
        return [int(line.split('" ')[1].split()[0]) for line in self.log.read_text().splitlines()]


@contextlib.contextmanager
def nginx(files: Path) -> Iterator[Nginx]:
    """A real nginx over a copy of these files, run by an ordinary user, ended by its pid."""
    folder = Path(tempfile.mkdtemp(prefix="experience-nginx-"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shutil.copytree(files, folder / "root")
    (folder / "conf").write_text(_CONF.format(d=folder, port=port, root=folder / "root"))
    with running_nginx(folder, port):
        yield Nginx(f"http://127.0.0.1:{port}", folder / "access")


@contextlib.contextmanager
def running_nginx(folder: Path, port: int) -> Iterator[None]:
    """An nginx with the `conf` in this folder, which goes with it."""
    program = shutil.which("nginx", path=PATH)
    assert program is not None
    argv = [program, "-e", str(folder / "errors"), "-c", str(folder / "conf")]
    process = subprocess.Popen(argv, user=_hand_over(folder), stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(5)
        shutil.rmtree(folder)


def _hand_over(folder: Path) -> int | None:
    """To an ordinary user, where we are root."""
    if os.geteuid():
        return None
    user = pwd.getpwnam("nobody").pw_uid
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, user, -1)
    return user


def _wait(port: int) -> None:
    end = time.monotonic() + 5
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < end, "nginx does not answer"
