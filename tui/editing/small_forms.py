"""The forms for the lines that a built-in task needs, and for the name of a new citizen."""

import asyncio
import re
from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from scheduler.core.editor import PlannedChange
from scheduler.errors import SchedulerError
from tui.common.questions.question import Form
from tui.common.text import clean
from tui.editing.task_form import ends
from tui.glyphs import Glyphs

_LINE = re.compile(r"(?m)^([a-z_]+) = (.*?)(?: +#.*)?$")
RULE = "small letters, digits, - and _"


def keys_in(advice: str) -> dict[str, str]:
    """The keys that the lines set, with their values as TOML; comments are left out."""
    return {found[1]: found[2] for found in _LINE.finditer(advice)}


class WritingForm(Form[str]):
    """Writes something, and gives back a name, or nothing if it was closed."""

    def __init__(self, glyphs: Glyphs, hint: str = "") -> None:
        super().__init__()
        self._glyphs, self._hint = glyphs, Content.styled(hint, "$faint")
        self._says = Static(self._hint, id="says")

    def changed(self, field: Input) -> None:
        self._says.update(self._hint)

    def write(self, name: str, write: Callable[[], object]) -> None:
        """Write in a thread, then give back the name; show what went wrong instead."""
        self.run_worker(self._write(name, write), group="verbs", exclusive=True)

    async def _write(self, name: str, write: Callable[[], object]) -> None:
        try:
            await asyncio.to_thread(write)
        except (SchedulerError, OSError) as error:
            self._says.update(Content.styled(clean(str(error), self._glyphs.plain), "$bad"))
        else:
            self.dismiss(name)


class LinesForm(WritingForm):
    """Writes the keys that a task needs, and gives back the task's name."""

    def __init__(
        self, task: str, file: str, advice: str, plan: Callable[[str], PlannedChange], glyphs: Glyphs
    ) -> None:
        super().__init__(glyphs)
        self._set_up, self._file, self._plan = task, file, plan
        self._fields = {
            key: Input(clean(value), id=f"key-{key}", compact=True) for key, value in keys_in(advice).items()
        }

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            head = clean(f"[tasks.{self._set_up}]", self._glyphs.plain)
            yield Static(Content.assemble((head, "bold $title"), (f"   {clean(self._file)}", "$faint")))
            yield Static()
            for key, field in self._fields.items():
                yield Horizontal(Static(f"{key} =", classes="label"), field, classes="field")
            yield Static()
            yield self._says
        box.border_title = f"Set up {clean(self._set_up, self._glyphs.plain)}"
        box.border_subtitle = ends(
            f"{self._glyphs.enter} write it   esc cancel", "tab next field", self._glyphs
        )

    def submitted(self) -> None:
        given = {key: field.value.strip() for key, field in self._fields.items()}
        lines = "\n".join(f"{key} = {value}" for key, value in given.items() if value)
        self.write(self._set_up, lambda: self._plan(lines).apply())


class NameForm(WritingForm):
    """Makes a citizen, and gives back its name."""

    def __init__(self, make: Callable[[str], object], glyphs: Glyphs) -> None:
        super().__init__(glyphs, RULE)
        self._make = make
        self._field = Input(placeholder="opus", id="name", compact=True, max_length=32)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield Horizontal(Static("name", classes="label"), self._field, classes="field")
            yield self._says
        box.border_title = "New citizen"
        box.border_subtitle = f"{self._glyphs.enter} make it   esc cancel"

    def submitted(self) -> None:
        if name := self._field.value.strip():
            self.write(name, lambda: self._make(name))
