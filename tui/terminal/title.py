"""The title of the terminal's window: how many tasks run and fail, seen from any other window."""

import os

from tui.fleet.summary import FleetStatus

# The title that was there is kept by terminals that can, and given back at the end; the others show none.
_KEEP, _GIVE_BACK = "\x1b[22;2t", "\x1b]2;\x07\x1b[23;2t"
_WITHOUT = ("linux", "dumb", "vt")  # terminals without a title


def title(status: FleetStatus, plain: bool) -> str:
    """A few words; numbers only, so that nothing in them can be anybody else's."""
    said = [f"{status.failing} failing"] if status.failing else []
    said += [f"{status.running} running"] if status.running else []
    return " - ".join([*said, "Experience"]) if plain else " · ".join([*said, "Experience"])


def has_title() -> bool:
    """Does this terminal have one?"""
    return not os.environ.get("TERM", "").startswith(_WITHOUT)


class TerminalTitle:
    """What to write to the terminal so that its title is right."""

    def __init__(self) -> None:
        self._said = ""

    def change(self, words: str) -> str:
        """What makes this the title; nothing if it is already."""
        if words == self._said:
            return ""
        keep, self._said = "" if self._said else _KEEP, words
        return f"{keep}\x1b]2;{words}\x07"

    def give_back(self) -> str:
        """What brings the old title back; nothing if it was never changed."""
        changed, self._said = bool(self._said), ""
        return _GIVE_BACK if changed else ""
