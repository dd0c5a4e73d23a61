"""The form for a new task: its fields, when it would run, and the lines that would be written."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from scheduler.core.editor import PlannedChange, Preview
from scheduler.errors import SchedulerError
from tui.common.questions.question import Form
from tui.common.text import cells, clean, countdown, shorten
from tui.glyphs import Glyphs

TIMES = 3
WIDE = 62  # cells inside the frame
FIELDS = {  # by name: the placeholder of the field
    "name": "small letters, digits, - and _",
    "when": "15m, 2h, or five fields of cron",
    "command": "python3 report.py",
    "timeout": "5m",
    "retries": "0",
}
Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NewTask:
    """The citizen and file of the new task, and its checks: `preview` at once, `plan` also reads files.

    Times are in `zone`, or in this machine's zone if there is none.
    """

    citizen: str
    file: str
    preview: Callable[[Fields], Preview]
    plan: Callable[[Fields], PlannedChange]
    now: Callable[[], float]
    zone: tzinfo | None = None


class TaskForm(Form[str]):
    """Writes the task, and gives back its name, or nothing if it was closed."""

    def __init__(self, new: NewTask, glyphs: Glyphs) -> None:
        super().__init__()
        self._new, self._glyphs = new, glyphs
        self._fields = {
            name: Input(placeholder=empty, id=name, compact=True) for name, empty in FIELDS.items()
        }
        self._times, self._says, self._lines = Static(id="times"), Static(id="says"), Static(id="lines")
        self._touched: set[str] = set()
        self._warned: tuple[str, ...] = ()
        self._refused = ""

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield self._row("name")
            yield self._row("when")
            yield self._times
            yield self._row("command")
            yield self._row("timeout", "retries")
            yield self._says
            yield self._lines
        box.border_title = f"Add a task to {self._new.citizen}"
        box.border_subtitle = ends(
            f"{self._glyphs.enter} write it   esc cancel", "tab next field", self._glyphs
        )

    def _row(self, *names: str) -> Horizontal:
        parts = [part for name in names for part in (Static(name, classes="label"), self._fields[name])]
        return Horizontal(*parts, classes="field")

    def on_mount(self) -> None:
        self._show()

    # -------------------------------------------------------------- while it is typed

    @property
    def typed(self) -> dict[str, str]:
        """The text of each field."""
        return {name: field.value.strip() for name, field in self._fields.items()}

    def changed(self, field: Input) -> None:
        self._touched.add(field.id or "")
        self._warned, self._refused = (), ""
        self._show()

    def _show(self) -> None:
        preview = self._new.preview(self.typed)
        self._times.update(Content("\n").join(self._when(preview)))
        self._says.update(self._said(preview))
        self._lines.update(Content("\n").join(self._written(preview)))

    def _when(self, preview: Preview) -> list[Content]:
        """The schedule in words and its next times, always the same number of lines."""
        wrong = preview.wrong.get("when", "") if self.typed["when"] else ""
        first = Content.styled(self._clean(wrong or preview.schedule), "$bad" if wrong else "$ink")
        now = self._new.now()
        times = [
            Content.assemble(
                (f"  {datetime.fromtimestamp(when, self._new.zone):%a %d %b %H:%M}", "$ink"),
                ("   now" if when <= now else f"   in {countdown(when - now)}", "$faint"),
            )
            for when in preview.times
        ]
        return [first, *times, *[Content()] * (TIMES - len(times))]

    def _said(self, preview: Preview) -> Content:
        """The first error in a field or in the whole task; else the warnings."""
        wrong = [
            f"{name}: {words}" for name, words in preview.wrong.items() if name in self._touched - {"when"}
        ]
        wrong = [words for words in wrong if self.typed.get(words.partition(":")[0])]
        if said := self._refused or next(iter(wrong), ""):
            return Content.styled(self._clean(said), "$bad")
        return Content.styled(self._clean("; ".join(self._warned)), "$warn")

    def _written(self, preview: Preview) -> list[Content]:
        header, *keys = preview.lines.splitlines() or [""]
        file = shorten(self._clean(self._new.file), WIDE - 2 - cells(header) - 2, self._glyphs.ellipsis)
        gap = " " * (WIDE - 2 - cells(header) - cells(file))
        first = Content.assemble((self._clean(header), "bold $title"), (gap + file, "$faint"))
        lines = [shorten(self._clean(line), WIDE - 2, self._glyphs.ellipsis) for line in keys]
        return [first, *(Content.styled(line, "bold $title") for line in lines)]

    def _clean(self, text: str) -> str:
        return clean(text, self._glyphs.plain)

    # -------------------------------------------------------------- when it is written

    def submitted(self) -> None:
        self._touched = {*FIELDS}
        wrong = self._new.preview(self.typed).wrong
        if wrong:
            self._show()
            self._fields[next(name for name in FIELDS if name in wrong)].focus()
        else:
            self.run_worker(self._write(), group="verbs", exclusive=True)

    async def _write(self) -> None:
        """Write the task; if there are new warnings, show them first, and write at the second enter."""
        try:
            change = await asyncio.to_thread(self._new.plan, self.typed)
            if change.warnings == self._warned:
                await asyncio.to_thread(change.apply)
                self.dismiss(self.typed["name"])
                return
            self._warned = change.warnings
        except (SchedulerError, OSError) as error:
            self._refused = str(error)
        self._show()


def ends(left: str, right: str, glyphs: Glyphs, wide: int = WIDE) -> str:
    """The line below the form, with text at its left and right."""
    return f"{left} {glyphs.across * max(1, wide - 6 - cells(left) - cells(right))} {right}"
