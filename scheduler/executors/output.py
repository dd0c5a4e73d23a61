"""What a run wrote: its first and its last 32 KiB, however much it was."""

import re
import threading
from collections.abc import Callable, Iterable

KEEP = 32 * 1024
LINE = 500  # characters of a line that are worth a row

# Colours and cursor moves: "reset colours" would otherwise be the last line of many a program.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B])")


class Output:
    """A bounded capture of bytes; threads may write to it at once."""

    __slots__ = ("_head", "_lock", "_tail", "_told", "size")

    def __init__(self) -> None:
        self.size = 0
        self._told: tuple[Callable[[], None], ...] = ()
        self._head, self._tail = bytearray(), bytearray()
        # Re-entrant: a signal handler that prints may interrupt a write on the same thread.
        self._lock = threading.RLock()

    def write(self, data: bytes) -> None:
        with self._lock:
            self.size += len(data)
            room = KEEP - len(self._head)
            self._head += data[:room]
            self._tail += data[max(room, len(data) - KEEP) :]
            if len(self._tail) > 2 * KEEP:  # rarely, so that many small writes stay linear
                del self._tail[:-KEEP]
        for tell in self._told:
            tell()

    def tell(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after each write, in the thread that wrote; calling the result ends that."""
        with self._lock:
            self._told += (callback,)

        def forget() -> None:
            with self._lock:
                self._told = tuple(each for each in self._told if each is not callback)

        return forget

    def after(self, position: int) -> tuple[int, bytes]:
        """What there still is from `position` on, in one go or two, and how many bytes before it are lost."""
        with self._lock:
            if position < len(self._head):
                return 0, bytes(self._head[position:])
            lost = max(0, self.size - len(self._tail) - position)
            return lost, bytes(self._tail[len(self._tail) - (self.size - position - lost) :])

    def text(self) -> str:
        """All of it, or its two ends with a line between them that says how much is missing."""
        with self._lock:
            head, tail, size = bytes(self._head), bytes(self._tail[-KEEP:]), self.size
        missing = size - len(head) - len(tail)
        if not missing:  # joined before decoded: a character may lie across the seam
            return (head + tail).decode("utf-8", "replace")
        gap = f"\n… {missing:,} bytes left out …\n"
        return head.decode("utf-8", "replace") + gap + tail.decode("utf-8", "replace")

    def first_line(self) -> str:
        """The first line that says anything, without colours."""
        return _first_line(self.text().splitlines())

    def tail_line(self) -> str:
        """The last line that says anything, without colours."""
        return _first_line(reversed(self.text().splitlines()))


def _first_line(lines: Iterable[str]) -> str:
    plain = (ESCAPES.sub("", line).strip() for line in lines)
    return next((line for line in plain if line), "")[:LINE]
