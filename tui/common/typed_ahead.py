"""Keys one after the other: each finds the screen that the one before it has made."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App, ScreenStackError
from textual.events import Event, Key

# The key and its action, what that asks of the app, what this asks: by then a field has the focus, or the
# screen above has gone.
ROUNDS = 3
PAINTED = 0.02  # seconds to paint a key with no other behind it
LOOK, LOOKS = 0.1, 10  # seconds between two looks at a node that is waited for, and how many there are
ASKING = "asking"  # the group of workers that look up what a question says
OUT = frozenset(("ctrl+c", "ctrl+q"))  # leaving waits for nothing


class TypedAhead:
    """Holds keys and clicks back while an earlier one is being answered.

    Textual hands a key to what has the focus when it is read. What `/` opens has it some turns of the loop
    later, and a person who types on, a paste or a macro would sort, force and wake instead of searching.
    """

    def __init__(self, app: App[Any], let_in: Callable[[Event], Awaitable[None]]) -> None:
        self._app, self._let_in = app, let_in
        self._typed = asyncio.Queue[Event]()

    async def put(self, event: Event) -> None:
        """A key, a click or a paste, whose turn comes."""
        if isinstance(event, Key) and event.key in OUT:
            await self._let_in(event)
        else:
            self._typed.put_nowait(event)

    async def run(self) -> None:
        """Let them in, until cancelled."""
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
        """A letter for the focused field leaves the focus there: the next key may follow directly."""
        field = self._app.focused
        return isinstance(event, Key) and bool(field and field.check_consume_key(event.key, event.character))

    async def _follow(self) -> None:
        """What the key asked for has come, be it a question for which something is read first."""
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
        """Go the way that a key or a message goes: what was sent before has then been answered.

        One that is gone or hangs delays no key for long.
        """
        looks = LOOKS
        for node in (self._app.focused or self._app.screen).ancestors_with_self:
            passed = asyncio.get_running_loop().create_future()
            waits = node.call_later(_settle, passed)
            while waits and node.is_attached and looks and not passed.done():
                _, late = await asyncio.wait({passed}, timeout=LOOK)
                looks -= len(late)


def _settle(passed: "asyncio.Future[None]") -> None:
    """A function in Python: Textual counts the parameters, which takes 0.2 ms of a built-in one."""
    passed.set_result(None)
