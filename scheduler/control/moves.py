"""Lets citizens come, go and change in background steps, one at a time for each citizen."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger("experience.fleet")

ARRIVAL = 5.0  # seconds that a citizen still arriving gets when the fleet ends


class Moves:
    """The citizens that are being added, released or changed now."""

    def __init__(self) -> None:
        self._moving: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._moving

    def __len__(self) -> int:
        return len(self._moving)

    def begin(self, name: str, work: Coroutine[Any, Any, None], moved: Callable[[], None]) -> None:
        """Do the work, and call `moved` after it, unless the citizen is moving already."""
        if name in self._moving:
            work.close()  # the next check sees what is left to do
            return
        self._moving[name] = move = asyncio.create_task(work, name=f"{name}/move")
        move.add_done_callback(lambda move: self._moved(name, moved, move))

    async def wait(self, name: str) -> None:
        """Return when the citizen is not moving any more."""
        if move := self._moving.get(name):
            await asyncio.wait({move})

    async def end(self, goes_anyway: Callable[[str], bool]) -> None:
        """End all moves: cancel those of citizens that end anyway, and give the others time to finish."""
        for name, move in self._moving.items():
            if goes_anyway(name):
                move.cancel()
        if self._moving:
            _, late = await asyncio.wait(self._moving.values(), timeout=ARRIVAL)
            for move in late:
                move.cancel()

    def _moved(self, name: str, moved: Callable[[], None], move: "asyncio.Task[None]") -> None:
        del self._moving[name]
        if not move.cancelled() and (error := move.exception()):
            log.error("citizen not changed", exc_info=error, extra={"citizen": name})
        moved()
