"""What keys do to the rows of a fleet, in panels or a table; the app carries out the requests."""

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from tui.common.line_view import LineView
from tui.common.task_ref import Place, TaskRef
from tui.common.text import clean
from tui.fleet.arrangement import Order
from tui.fleet.board import Board
from tui.glyphs import Glyphs
from tui.keys import FLEET_KEYS, FLEET_VERBS, key_of


@dataclass
class CitizenAsked(Message):
    """The person wants `what` for a citizen: `wake`, `budget`, `move` or `take over`."""

    what: str
    citizen: str


@dataclass
class SettingsAsked(Message):
    """The person wants to add, edit or undo something in the settings, or to make a citizen.

    Without a place, it concerns what is under the cursor of the fleet.
    """

    what: str
    place: Place | None = None


@dataclass
class Copied(Message):
    """The person wants this text, not yet cleaned, on the clipboard; empty if there is none."""

    text: str


class FleetRows(LineView):
    """Rows with the board's cursor and marks; posts what the person asks for."""

    BINDINGS: ClassVar[list[BindingType]] = [*FLEET_KEYS]

    @dataclass
    class Asked(Message):
        """The person wants `verb` done to these tasks; `sure` if it needs no further question."""

        verb: str
        places: tuple[Place, ...]
        sure: bool = True

    @dataclass
    class Opened(Message):
        """The person wants to see the details of this task."""

        place: Place

    @dataclass
    class StopAsked(Message):
        """The person wants to end the runs of these tasks; `marked` if these are the marked ones."""

        places: tuple[Place, ...]
        marked: bool = False

    @dataclass
    class FreezeAsked(Message):
        """The person wants to freeze or to thaw these citizens."""

        citizens: tuple[str, ...]

    class FindAsked(Message):
        """The person wants to type a filter."""

    class ViewChanged(Message):
        """The order, the filter or the marks have changed."""

    class NothingToClear(Message):
        """There is no filter and no mark, so the key can do something else."""

    class Moved(Message):
        """The cursor moved to another row."""

    def __init__(self, board: Board, glyphs: Glyphs, read_only: bool) -> None:
        super().__init__()
        self.board, self._glyphs, self._read_only = board, glyphs, read_only
        self._now = 0.0

    # -------------------------------------------------------------- for the kinds of rows

    def sync(self) -> None:
        """Repaint what looks different now."""

    def tick(self, now: float) -> None:
        """Repaint what looks different at `now`."""
        self._now = now
        self.sync()

    def apply_filter(self, text: str) -> None:
        """Show only what the filter keeps."""

    def go_to(self, place: Place) -> None:
        """Move the cursor to this task, in sight, even if the filter hides it."""

    def action_move(self, how: str, step: int) -> None:
        """Move the cursor."""

    # -------------------------------------------------------------- what there is

    def tasks(self) -> list[TaskRef]:
        """Every task that the filter keeps, in screen order."""
        return [TaskRef(panel.citizen, task) for panel in self.board.order for task in panel.tasks]

    def view_words(self, *, typing: bool = False) -> str:
        """Filter, order and marks in a few clean words, as far as they differ from the defaults.

        `typing`: the filter's own text stands in its field.
        """
        board = self.board
        said = "" if typing else f"/{clean(board.filter.text, self._glyphs.plain)} "
        words = [] if board.filter.all else [f"{said}{board.kept}"]
        words += [] if board.sorted_by is Order.NAME else [str(board.sorted_by)]
        words += [f"{len(board.marked):,} marked"] if board.marked else []
        return self._glyphs.dot.join(words)

    def nothing_matches(self) -> str:
        """The text in place of rows that the filter hides, in clean words."""
        said = clean(self.board.filter.text, self._glyphs.plain)
        return f"  nothing matches {said}   ({key_of(self, 'clear', 'esc')} shows everything)"

    def unmark(self) -> None:
        """Clear the marks."""
        if self.board.marked:
            self.board.marked = frozenset()
            self.sync()
            self.post_message(self.ViewChanged())

    # -------------------------------------------------------------- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if parameters == ("move",) and not self.board.shared:
            return False
        if action in FLEET_VERBS:
            return not (self._read_only or self.board.empty)
        return not (self.board.empty and action in ("find", "sort", "open"))

    def action_mark(self) -> None:
        self.board.mark()
        self.action_move("vertical", 1)
        self.post_message(self.ViewChanged())

    def action_clear(self) -> None:
        if not self.board.filter.all:
            self.apply_filter("")
        elif self.board.marked:
            self.unmark()
        else:
            self.post_message(self.NothingToClear())

    def action_find(self) -> None:
        self.post_message(self.FindAsked())

    def action_copy(self) -> None:
        place = self.board.cursor
        if view := self.board.view(place):
            said = view.error.text if view.error else view.text
            self.post_message(Copied(f"{place.citizen}/{place.task}: {said}" if said else ""))

    def action_ask(self, verb: str) -> None:
        places = self.board.chosen()
        self.post_message(self.Asked(verb, places, sure=not self.board.marked))

    def action_pause(self) -> None:
        views = [view for place in self.board.chosen() if (view := self.board.view(place))]
        self.action_ask("resume" if views and all(view.paused for view in views) else "pause")

    def action_force_failing(self) -> None:
        failing = [place for place in self.board.places() if self._fails(place)]
        self.post_message(self.Asked("force", tuple(failing), sure=False))

    def _fails(self, place: Place) -> bool:
        view = self.board.view(place)
        return view is not None and view.error is not None and view.running_since is None

    def action_stop(self) -> None:
        self.post_message(self.StopAsked(self.board.chosen(), marked=bool(self.board.marked)))

    def action_freeze(self) -> None:
        marked = sorted({place.citizen for place in self.board.marked})
        if citizens := marked or [name for name in [self.board.cursor.citizen] if name]:
            self.post_message(self.FreezeAsked(tuple(citizens)))

    def action_citizen(self, what: str) -> None:
        if self.board.cursor.citizen:
            self.post_message(CitizenAsked(what, self.board.cursor.citizen))

    def action_settings(self, what: str) -> None:
        self.post_message(SettingsAsked(what))
