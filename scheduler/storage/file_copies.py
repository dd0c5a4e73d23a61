"""What files of a home say, shared with the other machines that may run its citizen."""

from typing import Protocol

FREEZE, WAKE_NOTE, METADATA = "freeze", "wake", "metadata"  # the files, by what they are about


class FileCopies(Protocol):
    """Where other machines read it; each method blocks, and raises OSError where they would not."""

    def keep(self, name: str, content: bytes) -> None:
        """The file of this name says this from now on."""

    def add(self, line: bytes) -> None:
        """One more line of the ledger."""


class NoCopies:
    """There is one machine: its files say it all."""

    def keep(self, name: str, content: bytes) -> None: ...

    def add(self, line: bytes) -> None: ...


NO_COPIES = NoCopies()
