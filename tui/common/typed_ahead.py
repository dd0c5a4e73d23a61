"""Delivers keys one at a time: each one reaches the screen that the key before it opened."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App, ScreenStackError
from textual.events import Event, Key

# Rounds: the key and its action, what the action asks of the app, what the app asks in turn. By then a field
# has the focus, or the screen above has gone.
ROUNDS = 3
PAINTED = 0.02  # seconds to paint a key with no other behind it
LOOK, LOOKS = 0.1, 10  # seconds between two looks at a node that is waited for, and the most looks
ASKING = "asking"  # the group of workers that look up what a question shows
OUT = frozenset(("ctrl+c", "ctrl+q"))  # the keys to leave, which wait for nothing


class TypedAhead:
    """Holds keys and clicks back while an earlier one is being answered.

    Textual hands a key to whatever has the focus when it is read. The field that `/` opens gets it some
    turns of the loop later; until then fast typing, a paste or a macro would sort, force and wake.
    """

    def __init__(self, app: App[Any], let_in: Callable[[Event], Awaitable[None]]) -> None:
        self._app, self._let_in = app, let_in
        self._typed = asyncio.Queue[Event]()

    async def put(self, event: Event) -> None:
        """Queue a key, a click or a paste; the keys that leave are delivered at once."""
        if isinstance(event, Key) and event.key in OUT:
            await self._let_in(event)
        else:
            self._typed.put_nowait(event)

    async def run(self) -> None:
        """Deliver them until cancelled."""
        following = asyncio.ensure_future(self._typed.get())
        try:
            while True:
                event = await following
                writes = self._writes(event)
                await self._let_in(event)
                following = asyncio.ensure_future(self._typed.get())
                await asyncio.wait({following}, timeout=PAINTED)
                if not writes:
                    await self._follow()
        except ScreenStackError:
            pass  # the app is ending
        finally:
            following.cancel()

    def _writes(self, event: Event) -> bool:
        """Whether this is a letter for the focused field, which keeps the focus: the next key may follow."""
        field = self._app.focused
        return isinstance(event, Key) and bool(field and field.check_consume_key(event.key, event.character))

    async def _follow(self) -> None:
        """Wait until the effect of the key is visible, even a question that has to read something first."""
        await self._rounds()
        looks = LOOKS
        while looks and any(each.group == ASKING and not each.is_finished for each in self._app.workers):
            await asyncio.sleep(LOOK)
            looks -= 1
        if looks < LOOKS:
            await self._rounds()

    async def _rounds(self) -> None:
        for _ in range(ROUNDS):
            await self._round()

    async def _round(self) -> None:
        """Send a call the way keys and messages go: once it is done, everything sent before is handled.

        A node that is gone or hangs does not delay keys for long.
        """
        looks = LOOKS
        for node in (self._app.focused or self._app.screen).ancestors_with_self:
            passed = asyncio.get_running_loop().create_future()
            waits = node.call_later(_settle, passed)
            while waits and node.is_attached and looks and not passed.done():
                _, late = await asyncio.wait({passed}, timeout=LOOK)
                looks -= len(late)


def _settle(passed: "asyncio.Future[None]") -> None:
    """Set the result; in Python, since Textual takes 0.2 ms to count the parameters of a built-in."""
    passed.set_result(None)
