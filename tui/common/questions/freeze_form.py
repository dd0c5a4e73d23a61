"""The form that freezes citizens: which, until when and why, and whether running tasks are stopped."""

from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from scheduler.core.schedules.schedule import local_zone, zone_named
from scheduler.core.schedules.until import moment_from
from scheduler.core.values import value
from scheduler.core.views import Snapshot
from scheduler.errors import BadSchedule
from tui.common.questions.question import Form
from tui.common.text import clean, countdown, moment, shorten
from tui.glyphs import Glyphs

NAMED = 3  # citizens named in the first choice; of more, only their number
LONGEST_WHY = 300


@value
class Wish:
    """What was filled in; without names it means all citizens."""

    names: tuple[str, ...]
    until: float | None
    why: str
    stop_runs: bool


@value
class Offer:
    """The citizens that can be frozen, their running tasks, and the time zone for the end."""

    names: tuple[str, ...]
    running: tuple[str, ...]
    zone: tzinfo
    now: Callable[[], float]


def offer_of(citizens: Sequence[str], shown: Iterable[Snapshot | None], now: Callable[[], float]) -> Offer:
    """The form's offer for these citizens; the end is read in the zone of the first one's owner."""
    known = [one for one in shown if one]
    running = [f"{one.citizen}/{task.name}" for one in known for task in one.tasks if task.running_since]
    running += [f"{one.citizen}/wake" for one in known if one.wake.running_since and not one.task("wake")]
    try:
        zone = zone_named(known[0].zone)
    except (BadSchedule, IndexError):  # the citizen runs here, or its owner has not reported a zone
        zone = local_zone()
    return Offer(tuple(citizens), tuple(running), zone, now)


class Toggle(Static, can_focus=True):
    """One of a few choices next to each other; arrows and space select the next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "turn(1)", "next", show=False),
        Binding("left", "turn(-1)", "before", show=False),
    ]

    def __init__(self, choices: Sequence[str], glyphs: Glyphs) -> None:
        super().__init__()
        self.chosen, self._choices, self._glyphs = 0, [clean(each, glyphs.plain) for each in choices], glyphs

    def on_mount(self) -> None:
        self._draw()

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self._draw()

    def action_turn(self, step: int) -> None:
        self.chosen = (self.chosen + step) % len(self._choices)
        self._draw()

    def _draw(self) -> None:
        self.update(Content.assemble(*self._pieces()))

    def _pieces(self) -> list[tuple[str, str]]:
        mark = f"{self._glyphs.cursor} "
        bright = "bold $ink" if self.has_focus else "$ink"
        return [
            piece
            for number, words in enumerate(self._choices)
            for piece in (
                (mark if number == self.chosen else "  ", "$run"),
                (f"{words}   ", bright if number == self.chosen else "$faint"),
            )
        ]


class Tick(Toggle):
    """Yes or no."""

    def __init__(self, words: str, glyphs: Glyphs) -> None:
        super().__init__(("no", "yes"), glyphs)
        self._words = clean(words, glyphs.plain)

    def _pieces(self) -> list[tuple[str, str]]:
        box = "[x]" if self.chosen else "[ ]"
        return [(f"{box} ", "bold $run" if self.has_focus else "$ink"), (self._words, "$ink")]


class FreezeForm(Form[Wish]):
    """Gives back what was filled in, or nothing if the form was closed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "freeze", show=False)]

    def __init__(self, offer: Offer, glyphs: Glyphs) -> None:
        super().__init__()
        self._offer, self._glyphs = offer, glyphs
        self._who = Toggle((_named(offer.names), "all citizens"), glyphs)
        self._until = Input(placeholder="08:00, mon 9:00, 2h", id="until", compact=True)
        self._why = Input(placeholder="the reason", id="why", compact=True, max_length=LONGEST_WHY)
        self._read, self._says = Static(id="read"), Static(id="says")
        self._stop = Tick(f"stop what runs now{_listed(offer.running)}", glyphs)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            for label, field in (("who", self._who), ("until", self._until), ("why", self._why)):
                with Horizontal(classes="field"):
                    yield Static(label, classes="label")
                    yield field
                    if field is self._until:
                        yield self._read
            yield Static()
            yield self._stop
            yield Static()
            yield self._says
        box.border_title = "Freeze"
        box.border_subtitle = f"{self._glyphs.enter} freeze   esc cancel   tab next field"

    def on_mount(self) -> None:
        self._until.focus()
        self._show()

    def changed(self, field: Input) -> None:
        self._show()

    def submitted(self) -> None:
        self.action_submit()

    def action_submit(self) -> None:
        try:
            until = self._end()
        except BadSchedule:
            self._until.focus()
            return
        names = () if self._who.chosen else self._offer.names
        self.dismiss(Wish(names, until, self._why.value.strip(), bool(self._stop.chosen)))

    def _end(self) -> float | None:
        """The end that was typed, None if there is none; raises BadSchedule."""
        text = self._until.value.strip()
        return moment_from(text, self._offer.now(), self._offer.zone) if text else None

    def _show(self) -> None:
        """Show how the end is understood, while it is typed."""
        now = self._offer.now()
        try:
            end = self._end()
        except BadSchedule as error:
            wrong = clean(str(error).partition(": ")[0], self._glyphs.plain)
            self._read.update(Content(wrong).stylize("$bad"))
        else:
            words = "until it is thawed" if end is None else f"{moment(end, now)}, in {countdown(end - now)}"
            self._read.update(Content(words).stylize("$faint"))
        said = "Nothing of these starts until then, wakes included, not even after a restart."
        self._says.update(Content(said).stylize("$faint"))


def _named(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= NAMED else f"{len(names):,} citizens"


def _listed(running: Sequence[str]) -> str:
    return f"  ({shorten(', '.join(running), 36, '…')})" if running else ""
