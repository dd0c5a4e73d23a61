"""Copies of a home's files for the other machines that may run its citizen."""

from typing import Protocol

FREEZE, WAKE_NOTE, METADATA = "freeze", "wake", "metadata"  # names of the files


class NotCopied(OSError):
    """A file was written, but not its copy for other machines."""


class FileCopies(Protocol):
    """The place where other machines read; methods block, and raise OSError if a copy cannot be stored."""

    def keep(self, name: str, content: bytes) -> None:
        """Store the new content of the file with this name."""

    def add(self, line: bytes) -> None:
        """Add a line to the ledger."""


class NoCopies:
    """Keeps no copies: a single machine has its files."""

    def keep(self, name: str, content: bytes) -> None: ...

    def add(self, line: bytes) -> None: ...


NO_COPIES = NoCopies()
