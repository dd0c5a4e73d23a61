"""What the screen shows in place of the fleet while there is no citizen: how to make the first one."""

from typing import ClassVar

from textual.widget import Widget

from tui.common.line_view import STYLES
from tui.glyphs import Glyphs
from tui.keys import key_of
from tui.lessons.start_here import Lesson
from tui.lessons.steps import Facts, Line, no_citizens


class NoCitizens(Lesson):
    """Teaches how to make a citizen; stays empty until it is known whether there are any."""

    COMPONENT_CLASSES: ClassVar[set[str]] = STYLES

    def __init__(self, glyphs: Glyphs, read_only: bool) -> None:
        super().__init__(glyphs, "no citizens yet")
        self._read_only, self._root = read_only, ""

    def show(self, root: str, main: str, jobs: int) -> None:
        """Set the homes' folder, the main settings file and the number of lines that cron runs; all clean."""
        self._root = root
        makes = "" if self._read_only else key_of(self, "new-citizen", "i")
        self.entitle("no citizens yet")
        self.teach([*no_citizens(Facts("opus", "", jobs), main, makes=makes)])
        self.sync()

    def wait(self) -> None:
        """Show that citizens are still being looked for."""
        self.entitle("loading ..." if self.glyphs.plain else "loading …")
        self.teach([Line()])
        self.sync()

    def styles_source(self) -> Widget:
        return self

    def foot(self) -> tuple[str, str]:
        return f"root: {self._root}" if self._root else "", ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("hide", "leave") or (self._read_only and action == "settings"):
            return False
        return super().check_action(action, parameters)
