"""Who stays connected when a socket is full: its own user gets in, and whoever does nothing makes room."""

import asyncio
from dataclasses import dataclass, field

CLIENTS = 256
OTHERS = 224  # of them members of the group; the rest is kept for the owner's user and root


@dataclass(eq=False, slots=True)
class Seat:
    """A connected client; `requests` are those under way, a watched or followed one among them."""

    task: asyncio.Task[None]
    trusted: bool
    requests: dict[int, asyncio.Task[None]] = field(default_factory=dict)


class ConnectionLimits:
    """The clients of one owner, in the order in which they came."""

    def __init__(self) -> None:
        self._taken: dict[Seat, None] = {}

    def take(self, seat: Seat) -> bool:
        """Whether there is a seat; the idle client that came first may lose its own."""
        if self._full(seat.trusted):
            idle = self._first_idle(seat.trusted)
            if idle is None:
                return False
            self.leave(idle)
            idle.task.cancel()
        self._taken[seat] = None
        return True

    def leave(self, seat: Seat) -> None:
        self._taken.pop(seat, None)

    def _full(self, trusted: bool) -> bool:
        others = sum(not seat.trusted for seat in self._taken)
        return len(self._taken) >= CLIENTS or (not trusted and others >= OTHERS)

    def _first_idle(self, for_trusted: bool) -> Seat | None:
        """Members of the group go first; they displace none of the owner's user."""
        idle = [seat for seat in self._taken if not seat.requests]
        others = [seat for seat in idle if not seat.trusted]
        return next(iter([*others, *(idle if for_trusted else [])]), None)
