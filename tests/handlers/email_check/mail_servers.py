"""Mail servers that do what no good one does: silence, cut lines, odd answers. In threads, on free ports."""

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.handlers.email_check.dovecot import certificates

CUT = b"<here the line is cut>"

Talk = Callable[[socket.socket], None]


@contextlib.contextmanager
def serving(talk: Talk) -> Iterator[int]:
    """The port on which `talk` is held with everybody who connects."""
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connections.append(server.accept()[0])
                threads.append(threading.Thread(target=_talk, args=(talk, connections[-1])))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        waiter = threading.Thread(target=accept)
        waiter.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in (waiter, *threads):
                thread.join(8)


def _talk(talk: Talk, connection: socket.socket) -> None:
    with contextlib.suppress(OSError), connection:
        talk(connection)


def silent(connection: socket.socket) -> None:
    """Takes everything, says nothing."""
    while connection.recv(4096):
        pass


def greeting(words: bytes) -> Talk:
    """Says these words without TLS, then nothing."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(words)
        silent(connection)

    return talk


def cutting(port: int, after: int) -> Talk:
    """A wire to that port which breaks after so many bytes from there."""

    def talk(connection: socket.socket) -> None:
        left = after
        with socket.create_connection(("127.0.0.1", port)) as behind:
            pump = threading.Thread(target=_pump, args=(connection, behind))
            pump.start()
            while left > 0 and (data := behind.recv(min(left, 4096))):
                connection.sendall(data)
                left -= len(data)
            for end in (connection, behind):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            pump.join(8)

    return talk


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(4096):
            target.sendall(data)


class Scripted:
    """Speaks IMAP over TLS by a script: what to answer to which command."""

    def __init__(
        self, folder: Path, welcome: bytes = b"* OK ready\r\n", **answers: bytes | list[bytes]
    ) -> None:
        certificates(folder)
        self.authority = folder / "authority.pem"
        self._trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._trust.load_cert_chain(folder / "good.pem", folder / "server.key")
        self._welcome = welcome
        self._answers = {name.upper(): value for name, value in answers.items()}
        self.heard: list[str] = []

    def __call__(self, connection: socket.socket) -> None:
        with self._trust.wrap_socket(connection, server_side=True) as secure, secure.makefile("rwb") as file:
            file.write(self._welcome)
            file.flush()
            for line in file:
                self.heard.append(line.decode())
                answer, cut, _ = self._answer(line).partition(CUT)
                file.write(answer)
                file.flush()
                if cut:
                    break

    def _answer(self, line: bytes) -> bytes:
        tag, _, command = line.rstrip().partition(b" ")
        name = re.sub(r"^UID ", "", command.decode().upper()).split(" ")[0]
        given = self._answers.get(name, _USUAL.get(name, b"$ OK done\r\n"))
        if isinstance(given, list):
            given = given.pop(0) if len(given) > 1 else given[0]
        return given.replace(b"$", tag).replace(b"\\L", line.rstrip())


_USUAL = {
    "CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n$ OK done\r\n",
    "EXAMINE": b"* 1 EXISTS\r\n$ OK [READ-ONLY] done\r\n",
    "SEARCH": b"* SEARCH 1\r\n$ OK done\r\n",
    "LOGOUT": b"* BYE\r\n$ OK done\r\n",
}


def fetched(number: int, headers: bytes, body: bytes = b"", *, uid_last: bool = False) -> bytes:
    """An answer to FETCH."""
    raw = headers + b"\r\n" + body
    uid = b"UID %d" % number
    first, last = (b"", b" " + uid) if uid_last else (uid + b" ", b"")
    return b"* %d FETCH (%sRFC822.SIZE %d BODY[] {%d}\r\n%s%s)\r\n" % (
        number,
        first,
        len(raw),
        len(raw),
        raw,
        last,
    )
