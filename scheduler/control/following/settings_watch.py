"""Decides when changed settings apply: files are written in steps, and missing parts may come back."""

from collections.abc import Callable

from scheduler.config.loader import Settings, fingerprint, takes_away

AGAIN = 1.0  # seconds until a change is read a second time
TAKEN_AWAY = 10.0  # seconds for which a part must be missing: files may be copied or disks mounted again


class SettingsWatch:
    """Reads changed settings and holds them back until two readings agree."""

    def __init__(self, read: Callable[[], Settings], elapsed: Callable[[], float]) -> None:
        self._read, self._elapsed = read, elapsed
        self._found: Settings | None = None
        self._since = 0.0
        self._asked = False

    @property
    def undecided(self) -> bool:
        """Whether a change was seen that does not apply yet."""
        return self._found is not None

    def look(self, known: Settings, *, asked: bool = False) -> Settings | None:
        """Return the settings that apply from now on, if they differ from `known`; blocks.

        `asked`: a person says that they are complete, so anything missing in them is intended.
        """
        self._asked = self._asked or asked
        now, found = self._elapsed(), self._found
        if found is None or _changed(found):
            self._found = self._read() if self._asked or _changed(known) else None
            self._since = now
            return None
        if not self._asked and takes_away(known, found) and now - self._since < TAKEN_AWAY:
            return None
        self._found, self._asked = None, False
        return found


def _changed(settings: Settings) -> bool:
    return fingerprint(settings) != settings.mark
