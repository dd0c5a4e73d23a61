"""The theme that was chosen by hand, kept in the user's state folder."""

import json
from pathlib import Path

from scheduler.core.ui_options import TEXTUAL_THEMES, THEMES
from scheduler.errors import SchedulerError
from scheduler.system.files import read_file, replace_file

FILE = "theme.json"
LONGEST = 4096  # bytes of the file read at most


class ChosenTheme:
    """Reads and writes the choice, which holds until the setting that it replaced changes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of_user(cls) -> "ChosenTheme":
        """The choice of the user who runs this process."""
        from platformdirs import user_state_path  # 20 ms that other ways to start do not need

        return cls(user_state_path("experience") / FILE)

    def read(self, setting: str) -> tuple[str, str]:
        """The theme to show (`setting` itself if none was chosen), and why the file is ignored, if it is."""
        try:
            content = json.loads(read_file(self.path, most=LONGEST, only_ours=True))
            theme, instead_of = content["theme"], content["instead_of"]
        except FileNotFoundError:
            return setting, ""
        except (OSError, SchedulerError, ValueError, TypeError, KeyError, RecursionError):
            return setting, f"{self.path} is ignored: it holds no theme; T writes it again"
        if theme not in (*THEMES, *TEXTUAL_THEMES):
            return setting, f"{self.path} is ignored: it holds no theme of {', '.join(THEMES)}"
        return (theme if instead_of == setting else setting), ""

    def keep(self, theme: str, setting: str) -> None:
        """Show this theme in place of `setting` from now on. Raises OSError."""
        chosen = {"theme": theme, "instead_of": setting}
        replace_file(self.path, json.dumps(chosen).encode(), durable=False, make=True)
