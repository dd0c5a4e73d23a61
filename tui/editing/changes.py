"""Carries out the keys that change settings: ask, write, and show the result in one line."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import tzinfo
from functools import cached_property
from pathlib import Path
from typing import Any

from textual.app import App

from scheduler.core.editor import Editor, Excerpt, SettingsPlace
from scheduler.core.views import TaskStatus, TaskView
from scheduler.errors import SchedulerError
from tui.actions.dialogs import Dialogs
from tui.common.questions.question import STAY, Choice, Words
from tui.common.typed_ahead import ASKING
from tui.fleet.broken import near, parted
from tui.glyphs import Glyphs

LISTED = 6  # problems listed in a question
UNDO = (Choice("u", "take it back"), Choice(STAY, "leave it"))
AGAIN = (Choice("e", "edit again, at the first"), Choice(STAY, "leave it for now"))


class SettingsChanges(Dialogs):
    """Adds tasks and citizens, opens the editor, undoes; `said` shows the result, a toast the problem."""

    def __init__(
        self,
        app: App[Any],
        editor: Callable[[], Editor] | None,
        now: Callable[[], float],
        glyphs: Glyphs,
        said: Callable[[str], None],
    ) -> None:
        super().__init__(app, glyphs)
        self._make, self._now, self._said = editor, now, said

    @cached_property
    def _editor(self) -> Editor:
        """Created on first use: importing what reads settings takes 150 ms."""
        if self._make is None:
            raise SchedulerError("these citizens are made up, and so are their settings")
        return self._make()

    def asked(self, what: str, citizen: str = "", view: TaskView | None = None) -> None:
        """Do what a key asks for, for this citizen and row."""
        if what == "edit":
            self.edit(citizen, view.name if view else "")
        elif what == "new" or not citizen:
            self.new_citizen()
        elif what == "add":
            self.add(citizen, view)
        else:
            self.undo(citizen)

    def add(self, citizen: str, view: TaskView | None = None) -> None:
        """Ask for a new task, or for the settings that this task lacks."""
        self._after_reading(
            lambda: self._allowed(citizen, lambda: (self._editor.place(citizen), self._editor.zone(citizen))),
            lambda found: self._open_form(citizen, found[0], found[1], view),
        )

    def _open_form(
        self, citizen: str, place: SettingsPlace, zone: tzinfo | None, view: TaskView | None
    ) -> None:
        from tui.editing.small_forms import LinesForm, keys_in  # the first frame does not wait for them
        from tui.editing.task_form import NewTask, TaskForm

        editor, file = self._editor, short(place.file)

        def added(name: str) -> None:
            self._said(f"added {citizen}/{name}; u takes it back")

        if view and view.kind is TaskStatus.NOT_SET_UP and keys_in(view.advice):
            name = view.name
            form = LinesForm(
                name, file, view.advice, lambda lines: editor.plan_lines(citizen, name, lines), self._glyphs
            )
            self.open_screen(form, added)
            return
        new = NewTask(
            citizen,
            file,
            lambda fields: editor.preview(fields, self._now(), zone),
            lambda fields: editor.plan(citizen, fields),
            self._now,
            zone,
        )
        self.open_screen(TaskForm(new, self._glyphs), added)

    def new_citizen(self) -> None:
        """Ask for the name of a new citizen, and make its home."""
        self._after_reading(lambda: (self._editor.why_not(""), None), lambda _: self._ask_name())

    def _ask_name(self) -> None:
        from tui.editing.small_forms import NameForm

        form = NameForm(self._editor.make, self._glyphs)
        self.open_screen(form, lambda name: self._said(f"made {name}; it appears here in 2s"))

    def edit(self, citizen: str, task: str = "") -> None:
        """Open the settings in the person's editor, at this task; then report problems in them."""
        self._after_reading(
            lambda: self._allowed(citizen, lambda: self._made(self._editor.place(citizen, task))),
            lambda place: self.edit_at(citizen, place),
        )

    def _made(self, place: SettingsPlace) -> SettingsPlace:
        """The place, once its folder exists."""
        place.file.parent.mkdir(parents=True, exist_ok=True)
        return place

    def edit_at(self, citizen: str, place: SettingsPlace) -> None:
        """Open the editor at this place."""
        from tui.terminal import editor
        from tui.terminal.external_program import CannotStepAside

        try:
            editor.edit(self._app, place.file, place.line)
        except CannotStepAside as reason:
            self.toast(str(reason), "warning")
            return
        self._after_reading(
            lambda: ("", self._editor.problems(citizen)), lambda found: self._on_return(citizen, place, found)
        )

    def _on_return(self, citizen: str, place: SettingsPlace, problems: Sequence[str]) -> None:
        if not problems:
            return
        listed = [line.removeprefix(f"{place.file}: ") for line in problems[:LISTED]]  # the title names it
        facts: list[Words] = [(f"  {near(line)}", "$bad") for line in listed]
        if len(problems) > LISTED:
            facts.append((f"  and {len(problems) - LISTED:,} more", "$faint"))
        goes_on = f"{citizen or 'the fleet'} goes on with the settings it had; a new start would not run it."
        facts += [("", "$ink"), (goes_on, "$ink")]

        many = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        title = f"{short(place.file)} has {many}"
        then = {"e": lambda: self.edit_problem(citizen, problems[0])}
        self.choose(title, facts, AGAIN, then, at="e")

    def excerpt(self, citizen: str, problem: str) -> Excerpt | None:
        """The excerpt of the file around this problem; None if its place is unknown."""
        one = parted(problem)
        with suppress(SchedulerError, OSError):
            return self._editor.excerpt(citizen, Path(one.file), one.line, one.key, one.words)
        return None

    def edit_problem(self, citizen: str, problem: str) -> None:
        """Open the settings where this problem stands."""
        one = parted(problem)

        def find() -> tuple[str, SettingsPlace]:
            why = self._editor.why_not(citizen)
            found = None if why else self.excerpt(citizen, problem)
            return why, SettingsPlace(Path(one.file), found.line if found else one.line or 1)

        self._after_reading(find, lambda place: self.edit_at(citizen, place))

    def undo(self, citizen: str) -> None:
        """Undo the last change of this citizen's settings, after a confirmation."""
        self._after_reading(
            lambda: self._allowed(citizen, lambda: self._editor.last_change(citizen)),
            lambda what: self._ask_undo(citizen, what),
        )

    def _ask_undo(self, citizen: str, what: str) -> None:
        def undo() -> None:
            self._after_reading(
                lambda: ("", self._editor.undo(citizen)), lambda undone: self._said(f"undone: {undone}")
            )

        facts = [
            ("The last change that was made from here or by a command:", "$ink"),
            (f"  {what}", "$title"),
        ]
        self.choose(f"Undo in {citizen}?", facts, UNDO, {"u": undo})

    def _allowed(self, citizen: str, read: Callable[[], Any]) -> tuple[str, Any]:
        """Why nothing may change, or the result of `read`."""
        why = self._editor.why_not(citizen)
        return why, None if why else read()

    def _after_reading(self, read: Callable[[], tuple[str, Any]], then: Callable[[Any], object]) -> None:
        """Read files in a thread, then call `then` with the result, or show why nothing is done."""

        async def work() -> None:
            try:
                why, found = await asyncio.to_thread(read)
            except (SchedulerError, OSError) as error:
                why, found = str(error), None
            if why:
                self.toast(why, "warning")
            else:
                then(found)

        self._app.run_worker(work(), group=ASKING)


def short(file: Path) -> str:
    """The file with its folder: the path above is the same for all."""
    return "/".join(file.parts[-2:])
