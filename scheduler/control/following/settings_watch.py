"""Decides when changed settings count: files are written in steps, and what is missing may come back."""

from collections.abc import Callable

from scheduler.config.loader import Settings, fingerprint, takes_away

AGAIN = 1.0  # seconds until the second look at a change
TAKEN_AWAY = (
    10.0  # seconds that something must be missing: a file that is copied, a disk that is mounted again
)


class SettingsWatch:
    """Reads settings that have changed and holds them back until they have been the same for two looks."""

    def __init__(self, read: Callable[[], Settings], elapsed: Callable[[], float]) -> None:
        self._read, self._elapsed = read, elapsed
        self._found: Settings | None = None
        self._since = 0.0
        self._asked = False

    @property
    def undecided(self) -> bool:
        """Whether a change was seen that does not count yet."""
        return self._found is not None

    def look(self, known: Settings, *, asked: bool = False) -> Settings | None:
        """The settings that count from now on, if they are others than `known`; blocks.

        `asked`: a person says that they are complete, so what is missing in them was meant.
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
