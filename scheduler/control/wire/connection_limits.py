"""Decides who stays connected when a socket is full: idle clients make room, and its own user gets in."""

import asyncio
from dataclasses import dataclass, field

CLIENTS = 256
OTHERS = 224  # of these for members of the group; the rest is reserved for the owner's user and root


@dataclass(eq=False, slots=True)
class Seat:
    """A connected client; `requests` holds those under way, including watches and follows."""

    task: asyncio.Task[None]
    trusted: bool
    requests: dict[int, asyncio.Task[None]] = field(default_factory=dict)


class ConnectionLimits:
    """The clients of one owner, in the order in which they came."""

    def __init__(self) -> None:
        self._taken: dict[Seat, None] = {}

    def take(self, seat: Seat) -> bool:
        """Whether there is a seat; the longest connected idle client may lose its seat."""
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
        """The first idle client, of the group if possible; a client of the group displaces no trusted one."""
        idle = [seat for seat in self._taken if not seat.requests]
        others = [seat for seat in idle if not seat.trusted]
        return next(iter([*others, *(idle if for_trusted else [])]), None)
