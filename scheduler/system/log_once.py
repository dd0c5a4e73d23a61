"""A warning that outsiders can cause at will: logged once, then counted."""

import asyncio
import logging
from typing import Any

EVERY = 60.0  # seconds from one line to the next
TEXTS = 100  # remembered at a time; further texts share one line
OTHERS = "further warnings"


class CountedWarning:
    """Logs a warning at once; repeats within the next minute become one line with their number."""

    def __init__(self, log: logging.Logger, **extra: Any) -> None:
        self._log, self._extra = log, extra
        self._more: dict[str, int] = {}

    def __call__(self, text: str, details: str = "") -> None:
        """Log the text, its details only the first time; needs a running loop."""
        if text not in self._more and len(self._more) >= TEXTS:
            text, details = OTHERS, ""
        if text in self._more:
            self._more[text] += 1
            return
        self._more[text] = 0
        self._log.warning(text + details, extra=self._extra)
        asyncio.get_running_loop().call_later(EVERY, self._count, text)

    def _count(self, text: str) -> None:
        if more := self._more.pop(text):
            self._log.warning(f"{text}: {more:,} more", extra=self._extra)
