"""Captures what handlers print as output of their runs, since the screen belongs to the monitor."""

import contextlib
import io
import sys
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, TextIO

from scheduler.executors.result import RunListener

# The run on whose behalf the current code executes; tasks and threads that it starts inherit it.
current: ContextVar[RunListener | None] = ContextVar("run", default=None)


@contextlib.contextmanager
def capture_prints() -> Iterator[None]:
    """Send text written inside a run to the run's output, and any other text where it went before.

    Enter it after anything else that replaces `sys.stdout` (Textual does, while its app runs).
    """
    if isinstance(sys.stdout, _Divider):
        yield
        return
    before = sys.stdout, sys.stderr
    replaced = sys.stdout, sys.stderr = _Divider(before[0]), _Divider(before[1])
    try:
        yield
    finally:  # keep a replacement that another library has installed since
        sys.stdout = before[0] if sys.stdout is replaced[0] else sys.stdout
        sys.stderr = before[1] if sys.stderr is replaced[1] else sys.stderr


class _Divider(io.TextIOBase):
    """A text file that writes to the current run's output, or to the original file outside of runs."""

    def __init__(self, original: TextIO) -> None:
        self._original = original
        self.buffer = _BytesDivider(self)

    def write(self, text: str) -> int:
        run = current.get()
        if run is None:
            self._original.write(text)
            return len(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        run.output.write(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override] # typeshed has it take bytes too
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if current.get() is None and self._original is not None:
            self._original.flush()

    def isatty(self) -> bool:
        return current.get() is None and self._original.isatty()

    def fileno(self) -> int:
        return self._original.fileno()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Do nothing: a handler must not close the monitor's screen."""

    @property
    def encoding(self) -> str:  # type: ignore[override] # a property in TextIOWrapper, too; typeshed has an attribute
        return getattr(self._original, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override] # as above
        return getattr(self._original, "errors", None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class _BytesDivider(io.RawIOBase):
    """The same for bytes, used as `sys.stdout.buffer`."""

    def __init__(self, text: _Divider) -> None:
        self._text = text

    def write(self, data: Any) -> int:
        content = bytes(data)
        if (run := current.get()) is not None:
            run.output.write(content)
        elif hasattr(self._text._original, "buffer"):
            self._text._original.buffer.write(content)
        else:
            self._text.write(content.decode(self._text.encoding, "replace"))
        return len(content)

    def flush(self) -> None:
        self._text.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._text.fileno()

    def isatty(self) -> bool:
        return self._text.isatty()

    def close(self) -> None: ...
