"""Keys one after the other: each finds the screen that the one before it has made."""

import asyncio
from collections.abc import Awaitable, Callable

from textual.app import App
from textual.events import Event

# The key and its action, what that asks of the app, the choice of a palette, what this asks: by then a
# field has the focus, or the screen above has gone.
ROUNDS = 4
PAINTED = 0.02  # seconds that a key which nobody follows is given to be painted
LOOK = 0.1  # seconds after which somebody looks whether a node that is waited for has gone


class TypedAhead:
    """Holds keys back while an earlier one is being answered.

    Textual hands a key to what has the focus when it is read. What `/` opens has it some turns of the loop
    later, and a person who types on, a paste or a macro would sort, force and wake instead of searching.
    """

    def __init__(self, app: App[None], let_in: Callable[[Event], Awaitable[None]]) -> None:
        self._app, self._let_in = app, let_in
        self._typed = asyncio.Queue[Event]()

    def put(self, event: Event) -> None:
        """A key or a paste, whose turn comes."""
        self._typed.put_nowait(event)

    async def run(self) -> None:
        """Let them in, until cancelled."""
        event = await self._typed.get()
        while True:
            await self._let_in(event)
            following = asyncio.ensure_future(self._typed.get())
            await asyncio.wait({following}, timeout=PAINTED)
            for _ in range(ROUNDS):
                await self._follow()
            event = await following

    async def _follow(self) -> None:
        """Go the way that a key or a message goes: what was sent before has then been answered."""
        for node in (self._app.focused or self._app.screen).ancestors_with_self:
            passed = asyncio.get_running_loop().create_future()
            waits = node.call_later(passed.set_result, None)
            while waits and node.is_attached and not passed.done():
                await asyncio.wait({passed}, timeout=LOOK)
