"""Whether a citizen is frozen, by its files, read before anything starts; the verbs freeze and thaw."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from scheduler.core.schedules.freeze import Freeze, FreezeNote, Freezes, Span
from scheduler.core.secrets import Masks
from scheduler.core.views import Receipt
from scheduler.core.wording.spans import moment
from scheduler.core.wording.text import freeze_words
from scheduler.errors import PROGRAM, BadSchedule, Frozen, SchedulerError
from scheduler.process.who import Who
from scheduler.system.clock import Clock, Timer
from scheduler.system.hanging_disks import SILENT

LOOK = 0.25  # while runs start, the files are read at most this often (seconds)
AHEAD = 1.0  # seconds; a freeze that begins later than this in the future shows that the clock was corrected


Changed = Callable[[Freeze | None, Who | None], None]


class OwnFile(Protocol):
    """Where the freezes of one citizen are kept; every method may block and raise OSError."""

    def freeze(self, freeze: Freeze) -> None: ...

    def thaw(self, now: float) -> None: ...


class FreezeFiles(Protocol):
    """The files that say whether a citizen is frozen."""

    @property
    def own(self) -> OwnFile: ...

    def read(self, now: float) -> Freezes:
        """Return the freezes in force; cheap if nothing has changed."""

    def own_differs(self) -> bool:
        """Whether the citizen's own file has changed since it was read; for any thread."""

    def believe(self, now: float) -> None:
        """Note that a freeze which begins in the future began now; blocks, and may raise OSError."""


class Freezing:
    """The freeze of one citizen, as its scheduler sees it.

    `changed` is called when a freeze begins, ends or is replaced, with the previous one and who asked for it.
    """

    def __init__(self, citizen: str, files: FreezeFiles, clock: Clock, changed: Changed) -> None:
        self.current: Freeze | None = None
        self.over: tuple[Span, ...] = ()
        self.problems: tuple[str, ...] = ()
        self._citizen, self._files, self._clock, self._changed = citizen, files, clock, changed
        self._looked_at = -LOOK
        self._never: Freezes | None = None  # what the files say, as long as nothing was ever frozen
        self._unsaved: Freeze | None = None  # its file could not be written: it holds until this process ends
        self._timer: Timer | None = None
        self._correcting: asyncio.Task[None] | None = None

    def load(self) -> None:
        """Read the files before the first start; blocks."""
        self._take_up(self._clock.now())

    def begin(self) -> None:
        """From now on, look again when the freeze ends by itself."""
        self._set_timer()

    def frozen(self) -> Freeze | None:
        """The freeze in force; reads the files unless they were read a moment ago."""
        elapsed = self._clock.elapsed()
        if not 0 <= elapsed - self._looked_at < LOOK:
            self.look()
        return self.current

    def words(self) -> str:
        """The text that says until when and why nothing may start; empty if tasks may start."""
        return freeze_words(self.current, self._clock.now()) if self.frozen() and self.current else ""

    def look(self, who: Who | None = None) -> Freeze | None:
        """The freeze in force, read from the files now; `who` has changed it."""
        now, before = self._clock.now(), self.current
        self._take_up(now)
        if self.current != before:
            self._set_timer()
            self._changed(before, who)
        if self.current and self.current.since > now + AHEAD and self._correcting is None:
            self._correcting = asyncio.create_task(self._correct(), name=f"{self._citizen}/freeze")
        return self.current

    def own_differs(self) -> bool:
        """Whether the citizen's own file has changed; blocks, for any thread."""
        return self._files.own_differs()

    async def close(self) -> None:
        if self._correcting:  # it may set the timer
            await asyncio.wait({self._correcting})
        if self._timer:
            self._timer.cancel()

    def refuse(self) -> None:
        """Raise Frozen if the citizen is frozen."""
        if freeze := self.look():
            whose = "" if freeze.together else f" {self._citizen}"
            fix = "" if freeze.problem.endswith(SILENT) else f"; thaw it first: {PROGRAM} thaw{whose}"
            raise Frozen(f"{self._citizen} is {freeze_words(freeze, self._clock.now())}{fix}")

    def _take_up(self, now: float) -> None:
        self._looked_at = self._clock.elapsed()
        found = self._files.read(now)
        if self._unsaved:
            found = Freezes(found.own.frozen(self._unsaved), found.root, found.problems)
        if found is self._never:
            return
        self._never = found if found == Freezes() else None
        self.current, self.over, self.problems = found.now(now), found.over(now), found.problems

    def _set_timer(self) -> None:
        """Look when the freeze ends by itself."""
        if self._timer:
            self._timer.cancel()
        until = self.current.until if self.current else None
        self._timer = None if until is None else self._clock.call_at(until, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.look()
        if self.current and self._timer is None:  # the clock has just been set back
            self._set_timer()

    async def _correct(self) -> None:
        """Keep the length of a freeze that was made while the clock was ahead, also after restarts."""
        with suppress(OSError):  # then the freeze ends by the clock
            await asyncio.to_thread(self._files.believe, self._clock.now())
        self._correcting = None
        self.look()

    # -------------------------------------------------------------- verbs

    async def freeze(self, until: float | None, why: str, who: Who, masks: Masks) -> Receipt:
        """Start nothing of the citizen from now on."""
        now = self._clock.now()
        if until is not None and until <= now:
            at = moment(until, now)
            raise BadSchedule(f"{self._citizen}: the freeze would end before it begins: {at} is over")
        freeze = Freeze(now, until, str(who), masks.hide(why))
        unsaved = ""
        try:
            await asyncio.to_thread(self._files.own.freeze, freeze)
        except OSError as error:
            self._unsaved, unsaved = freeze, error.strerror or str(error)
        self.look(who)
        text = f"{self._citizen}: {freeze_words(self.current or freeze, now)}"
        return Receipt(f"{text}; done, not saved: {unsaved}", saved=False) if unsaved else Receipt(text)

    async def thaw(self, who: Who) -> Receipt:
        """Lift the citizen's own freeze; raises Frozen while all citizens are frozen."""
        try:
            await asyncio.to_thread(self._files.own.thaw, self._clock.now())
        except OSError as error:
            where = error.filename or self._citizen
            raise SchedulerError(f"{where}: {error.strerror or error}; remove it by hand") from error
        self._unsaved = None
        if freeze := self.look(who):
            words = freeze_words(freeze, self._clock.now())
            raise Frozen(f"{self._citizen} is still {words}; thaw all citizens: {PROGRAM} thaw")
        return Receipt(f"{self._citizen}: thawed")


class MemoryFreezes:
    """Freezes in memory only, for tests, demos and benchmarks."""

    def __init__(self) -> None:
        self.note, self._known = FreezeNote(), Freezes()

    @property
    def own(self) -> "MemoryFreezes":
        return self

    def read(self, now: float) -> Freezes:
        if self._known.own is not self.note:
            self._known = Freezes(self.note)
        return self._known

    def own_differs(self) -> bool:
        return False

    def freeze(self, freeze: Freeze) -> None:
        self.note = self.note.frozen(freeze)

    def thaw(self, now: float) -> None:
        self.note = self.note.thawed(now)

    def believe(self, now: float) -> None:
        if self.note.last:
            self.note = FreezeNote(self.note.last.believed(now), self.note.past)
