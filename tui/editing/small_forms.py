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


class LinesForm(Form[str]):
    """Writes the keys that a task needs, and gives back its name, or nothing if it was closed."""

    def __init__(
        self, task: str, file: str, advice: str, plan: Callable[[str], PlannedChange], glyphs: Glyphs
    ) -> None:
        super().__init__()
        self._set_up, self._file, self._plan, self._glyphs = task, file, plan, glyphs
        self._fields = {
            key: Input(clean(value), id=f"key-{key}", compact=True) for key, value in keys_in(advice).items()
        }
        self._says = Static(id="says")

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

    def changed(self, field: Input) -> None:
        self._says.update("")

    def submitted(self) -> None:
        self.run_worker(self._write(), group="verbs", exclusive=True)

    async def _write(self) -> None:
        given = {key: field.value.strip() for key, field in self._fields.items()}
        lines = "\n".join(f"{key} = {value}" for key, value in given.items() if value)
        try:
            change = await asyncio.to_thread(self._plan, lines)
            await asyncio.to_thread(change.apply)
        except (SchedulerError, OSError) as error:
            self._says.update(Content.styled(clean(str(error), self._glyphs.plain), "$bad"))
        else:
            self.dismiss(self._set_up)


class NameForm(Form[str]):
    """Makes a citizen, and gives back its name, or nothing if it was closed."""

    def __init__(self, make: Callable[[str], object], glyphs: Glyphs) -> None:
        super().__init__()
        self._make, self._glyphs = make, glyphs
        self._field = Input(placeholder="opus", id="name", compact=True, max_length=32)
        self._says = Static(Content.styled(RULE, "$faint"), id="says")

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield Horizontal(Static("name", classes="label"), self._field, classes="field")
            yield self._says
        box.border_title = "New citizen"
        box.border_subtitle = f"{self._glyphs.enter} make it   esc cancel"

    def changed(self, field: Input) -> None:
        self._says.update(Content.styled(RULE, "$faint"))

    def submitted(self) -> None:
        if name := self._field.value.strip():
            self.run_worker(self._write(name), group="verbs", exclusive=True)

    async def _write(self, name: str) -> None:
        try:
            await asyncio.to_thread(self._make, name)
        except (SchedulerError, OSError) as error:
            self._says.update(Content.styled(clean(str(error), self._glyphs.plain), "$bad"))
        else:
            self.dismiss(name)
