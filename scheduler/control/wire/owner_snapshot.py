"""The newest snapshot from a citizen's owner, by one blocking exchange: `--status` needs no asyncio."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from scheduler.control.wire import messages
from scheduler.control.wire.greeting import check_user, checked_greeting
from scheduler.core.views import Snapshot
from scheduler.errors import Disconnected
from scheduler.system.unix_socket import HomeSocket, client_path, peer_of

PATIENCE = 0.25  # seconds without a byte from the owner after which the files are read instead


def owner_snapshot(citizen: str, home: Path, patience: float = PATIENCE) -> Snapshot | None:
    """The citizen as its owner sees it; None without an owner that answers within `patience` seconds."""
    try:
        at = HomeSocket(client_path(home), citizen, home)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(patience)
            connection.connect(str(at.path))
            check_user(at, peer_of(connection))
            with connection.makefile("rb") as answers:
                return _asked(connection, answers, at)
    except (OSError, Disconnected):
        return None


def _asked(connection: socket.socket, answers: BinaryIO, at: HomeSocket) -> Snapshot:
    greeting = checked_greeting(_next(answers), at)
    connection.sendall(messages.encode(id=1, method="watch", params={"after": 0}))
    item = messages.typed(messages.Item, _next(answers).get("params"))
    snapshot = messages.typed(Snapshot, item.value)
    return replace(snapshot, owner=f"pid {greeting.pid}", zone=greeting.zone)


def _next(answers: BinaryIO) -> dict[str, object]:
    return messages.decode(answers.readline(messages.ANSWER_LIMIT))
