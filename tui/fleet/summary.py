"""Counts over the whole fleet, its worst problem, and the bar at the top that shows them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from operator import attrgetter

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from scheduler.core.machines import Cluster
from scheduler.core.values import value
from scheduler.core.views import Heartbeat, Hold, HoldKind, Snapshot, TaskStatus, TaskView
from scheduler.core.wording.text import freeze_words
from tui.common import text as words
from tui.common.task_ref import Place
from tui.fleet.broken import Broken, broken, files_of, meanwhile, parted
from tui.fleet.machines.words import on_machines, verdict
from tui.fleet.money import NOTHING_SPENT, Spent, money_words, spent_by, together
from tui.fleet.notices import Severity, notices, stall_words, stalled
from tui.fleet.outages import Away, away, away_words
from tui.glyphs import Glyphs
from tui.keys import key_of

WIDE = 100  # cells from which on the line of the worst problem has full words
LINES_FOR_PROBLEM = 6  # of a terminal: a lower one has no line for the worst problem
Weight = tuple[float, ...]
WRONG = (HoldKind.BUDGET, HoldKind.PROVIDER)  # holds that a person may want to lift
NOTHING_DUE = (float("inf"), "")
Piece = tuple[str, str]  # text and style, as Content.assemble takes them


@value
class Problem:
    """Something wrong, in full words; the lower its weight, the worse. `since` is when it failed.

    `row` is where to look at it: citizen and task; None for what is wrong with all.
    """

    weight: Weight
    where: str
    text: str
    since: float | None = None
    again: int = 0
    row: Place | None = None
    sign: TaskStatus = TaskStatus.FAILED
    provider: str = ""  # that it waits for: for all who do it is one problem
    away: str = ""  # that provider, in words
    editable: bool = False  # in an editor
    settings: Broken | None = None  # it is about these


@value
class Ratio:
    """What one citizen adds to the counts."""

    tasks: int = 0
    running: int = 0
    failing: int = 0
    warnings: int = 0
    frozen: int = 0
    broken: int = 0
    next: tuple[float, str] = NOTHING_DUE
    problem_count: int = 0  # without those that wait for a provider
    worst: Problem | None = None
    waits: Mapping[str, str] = field(default_factory=dict)  # for these providers, in words
    over: bool = False  # its budget
    money: Spent = NOTHING_SPENT


@value
class FleetStatus:
    """The fleet in one line."""

    citizens: int = 0
    tasks: int = 0
    running: int = 0
    failing: int = 0
    warnings: int = 0
    frozen: int = 0
    waiting: int = 0  # citizens, for a provider
    over: int = 0  # citizens, their budgets
    away: tuple[Away, ...] = ()  # providers that several wait for
    money: Spent = NOTHING_SPENT
    broken: int = 0  # whose settings are wrong
    due: float | None = None
    next: str = ""
    worst: Problem | None = None
    problem_count: int = 0
    loading: bool = False
    cluster: Cluster | None = None
    place: int = 0  # of the problem among all, when the cursor was led to it


class FleetSummary:
    """The newest snapshots and their counts; only citizens that changed are counted again."""

    def __init__(self) -> None:
        self._snapshots: dict[str, Snapshot] = {}
        self._ratios: dict[str, Ratio] = {}
        self._changed: set[str] = set()
        self._sum: FleetStatus | None = None
        self.problems: tuple[str, ...] = ()
        self.loading = False
        self._cluster: Cluster | None = None

    def set_cluster(self, cluster: Cluster | None) -> None:
        """The machines that share citizens, as they are now."""
        before, self._cluster = self._cluster, cluster
        if (before and before.hosts) != (cluster and cluster.hosts):
            self._changed |= self._snapshots.keys()

    def set_citizens(self, names: set[str]) -> None:
        """These citizens and no others."""
        self._sum = None
        in_order = sorted(names)  # of equal problems the first is the worst
        self._ratios = {name: self._ratios.get(name, Ratio()) for name in in_order}
        self._snapshots = {name: each for name, each in self._snapshots.items() if name in names}
        self._changed &= names

    def update_snapshot(self, snapshot: Snapshot) -> bool:
        """Take the newest snapshot; True if it is the first of its citizen."""
        citizen = snapshot.citizen
        if citizen not in self._ratios:
            return False
        first = citizen not in self._snapshots
        self._snapshots[citizen] = snapshot
        self._changed.add(citizen)
        return first

    def status(self, pulse: Heartbeat | None = None, *, now: float = 0.0) -> FleetStatus:
        """The counts now; `pulse` is the slowest one seen."""
        self._count()
        if self._sum is None:
            self._sum = _sum([*self._ratios.values()])
        more = [_main_settings(self.problems)] if self.problems else []
        if pulse is not None and stalled(pulse):
            more.append(Problem((Severity.STALLED,), "scheduler", stall_words(pulse)))
        if self._cluster and (said := verdict(self._cluster, now)):
            away = self._cluster.away_since is not None
            more.append(
                Problem((Severity.STALE,), "", said, sign=TaskStatus.FAILED if away else TaskStatus.WARNING)
            )
        return replace(
            self._sum,
            cluster=self._cluster,
            worst=_worst([*more, *([self._sum.worst] if self._sum.worst else [])]),
            problem_count=self._sum.problem_count + len(more),
            broken=self._sum.broken + bool(self.problems),
            loading=self.loading,
        )

    def _count(self) -> None:
        """Take up the snapshots that have come."""
        if self._changed:
            self._ratios |= {
                citizen: ratio(self._snapshots[citizen], self._is_silent(citizen))
                for citizen in self._changed
            }
            self._changed.clear()
            self._sum = None

    @property
    def running(self) -> set[tuple[str, str]]:
        """Citizen and task of all that runs."""
        self._count()
        busy = (name for name, each in self._ratios.items() if each.running)
        return {
            (name, task.name)
            for name in busy
            for task in self._snapshots[name].tasks
            if task.running_since is not None
        }

    def _is_silent(self, citizen: str) -> bool:
        host = self._cluster.hosts.get(citizen) if self._cluster else None
        return host is not None and host.silent_since is not None

    def all_problems(self) -> list[Problem]:
        """All problems, the worst first."""
        wrong = [name for name, each in self._ratios.items() if each.problem_count or each.waits]
        found = [each for name in wrong for each in _problems(self._snapshots[name], self._is_silent(name))]
        return _once(sorted(found, key=lambda problem: (*problem.weight, problem.where)))


def _sum(ratios: list[Ratio]) -> FleetStatus:
    due, name = min((each.next for each in ratios), default=NOTHING_DUE)
    waits = [each.waits for each in ratios if each.waits]
    providers = {provider for each in waits for provider in each}
    return FleetStatus(
        citizens=len(ratios),
        tasks=sum(each.tasks for each in ratios),
        running=sum(each.running for each in ratios),
        failing=sum(each.failing for each in ratios),
        warnings=sum(each.warnings for each in ratios),
        frozen=sum(each.frozen for each in ratios),
        waiting=len(waits),
        away=away(waits),
        over=sum(each.over for each in ratios),
        money=together(each.money for each in ratios),
        problem_count=sum(each.problem_count for each in ratios) + len(providers),
        broken=sum(each.broken for each in ratios),
        due=due if name else None,
        next=name,
        worst=_worst([each.worst for each in ratios if each.worst]),
    )


def ratio(snapshot: Snapshot, silent: bool = False) -> Ratio:
    """What this citizen adds to the counts; of a `silent` machine it is unknown what runs."""
    citizen, tasks = snapshot.citizen, snapshot.tasks
    live = () if snapshot.stale or silent else tasks  # without an owner nothing runs, and nothing is next
    ahead = () if snapshot.freeze else live
    dues = (
        (each.due, f"{each.name}@{citizen}") for each in ahead if each.due is not None and not each.queued
    )
    problems = _problems(snapshot, silent)
    waits = {each.provider: each.away for each in problems if each.provider}
    return Ratio(
        tasks=len(snapshot.background),
        running=sum(task.running_since is not None for task in live),
        failing=sum(task.error is not None for task in tasks),
        warnings=sum(task.kind is TaskStatus.WARNING for task in tasks),
        frozen=snapshot.freeze is not None,
        broken=broken(snapshot) is not None,
        next=min(dues, default=NOTHING_DUE),
        problem_count=sum(not each.provider for each in problems),
        worst=_worst(problems),
        waits=waits,
        over=any(task.kind is TaskStatus.OVER_BUDGET for task in live),
        money=spent_by(snapshot.money),
    )


def _once(problems: list[Problem]) -> list[Problem]:
    """Of those that wait for the same provider the first."""
    first = {each.provider: each for each in reversed(problems)}
    return [each for each in problems if not each.provider or first[each.provider] is each]


def _worst(problems: list[Problem]) -> Problem | None:
    return min(problems, key=attrgetter("weight"), default=None)


def _problems(snapshot: Snapshot, silent: bool = False) -> list[Problem]:
    wrong = [note for note in notices(snapshot) if note.rank < Severity.FACT]
    settings, whole = broken(snapshot), Place(snapshot.citizen)
    if settings:  # said as one
        wrong.remove(next(note for note in wrong if note.rank is Severity.PROBLEM))
    if silent:  # said once for its machine
        wrong = [note for note in wrong if note.rank is not Severity.STALE]
    said = [_settings(snapshot.citizen, settings)] if settings else []
    said += [Problem((note.rank,), snapshot.citizen, note.text, row=whole) for note in wrong]
    said += [_failure(snapshot.citizen, task) for task in snapshot.tasks if task.error is not None]
    if snapshot.freeze:
        text = freeze_words(snapshot.freeze, snapshot.freeze.since)
        said.append(Problem((Severity.FROZEN,), snapshot.citizen, text, row=whole, sign=TaskStatus.PAUSED))
    if not (snapshot.freeze or snapshot.stale):
        said += [
            _hold(snapshot.citizen, task, task.held)
            for task in snapshot.tasks
            if task.held and task.held.kind in WRONG
        ]
    return said


def _hold(citizen: str, task: TaskView, held: Hold) -> Problem:
    provider = held.about if held.kind is HoldKind.PROVIDER else ""
    said = away_words(held) if provider else ""
    weight, row = (Severity.HELD, held.kind is HoldKind.PROVIDER), Place(citizen, task.name)
    where = f"{citizen}/{task.name}"
    return Problem(weight, where, held.why, row=row, sign=task.kind, provider=provider, away=said)


def _settings(citizen: str, wrong: Broken) -> Problem:
    """One problem in full, of several their number; and what runs meanwhile."""
    one = parted(wrong.lines[0])
    what = ": ".join(filter(None, [one.key, one.words])) if len(wrong.lines) == 1 else wrong.many
    file = files_of(wrong.lines) + (f":{one.line}" if one.line and len(wrong.lines) == 1 else "")
    row = Place(citizen)
    return Problem((Severity.PROBLEM,), file or citizen, what, row=row, editable=True, settings=wrong)


def _main_settings(problems: Sequence[str]) -> Problem:
    """What is wrong with the main file: no new citizen runs, and those that run go on."""
    text = problems[0] if len(problems) == 1 else f"{len(problems)} problems; what runs goes on as it was"
    return Problem((Severity.PROBLEM,), "settings", text, editable=True)


def _failure(citizen: str, task: TaskView) -> Problem:
    """Among failures the most in a row are the worst, then the newest."""
    error = task.error
    assert error is not None  # the caller chose it for that
    again = max(1, task.failures_in_a_row)
    text = error.first_line or "without a message"
    weight, row = (Severity.FACT, -again, -error.time), Place(citizen, task.name)
    return Problem(weight, f"{citizen}/{task.name}", text, error.time, again, row)


# ------------------------------------------------------------------ the bar


class StatusBar(Vertical):
    """Draws the status; its second line is there only when something is wrong."""

    def __init__(self, glyphs: Glyphs, label: str = "") -> None:
        super().__init__()
        self._glyphs, self._label = glyphs, label
        self._counts = Static(markup=False, id="counts")
        self._worst_line = Static(markup=False, id="trouble")
        self._drawn: tuple[list[Piece], list[Piece]] = ([], [])
        self._worst_line.display = False
        self.read_only = False

    def compose(self) -> ComposeResult:
        yield self._counts
        yield self._worst_line

    def show(self, status: FleetStatus, now: float) -> None:
        """Draw the status as it is at `now`, if that looks any different."""
        width = self.app.size.width
        counts = counts_line(status, now, width, self._glyphs, self._label)
        edit = "" if self.read_only else key_of(self, "edit", "e")
        problem = problem_line(status, now, width, self._glyphs, edit)
        before, self._drawn = self._drawn, (counts, problem)
        for line, pieces, drawn in zip((self._counts, self._worst_line), self._drawn, before, strict=True):
            if pieces != drawn:
                line.update(Content.assemble(*pieces), layout=False)
        self._worst_line.display = bool(problem) and self.app.size.height >= LINES_FOR_PROBLEM


def counts_line(status: FleetStatus, now: float, width: int, glyphs: Glyphs, label: str = "") -> list[Piece]:
    """As much of the status as fits into `width` cells, the time of day at the right."""
    groups = list(_groups(status, now, glyphs, label))
    clock = words.wall(now)
    left, kept = width - 1, set[int]()
    for index in _WEIGHT:
        cells = sum(words.cells(text) for text, _ in groups[index])
        if cells <= left - (len(clock) + 2 if index in _LESS else 0):
            kept.add(index)
            left -= cells
    pieces = [piece for index in sorted(kept) for piece in groups[index]]
    if left < len(clock) + 2:
        return pieces
    return [*pieces, (" " * (left - len(clock)), ""), (clock, "$faint")]


# Which groups of the line stay when not all fit; _LESS matter less than the time of day.
_NAME, _LABEL, _CITIZENS, _TASKS, _RUNNING, _STATE, _SILENT = range(7)
_WAITS, _FROZEN, _OVER, _MONEY, _MONTH, _NEXT = range(7, 13)
_LESS = (_NEXT, _TASKS, _WAITS, _FROZEN, _OVER, _MONTH)
_WEIGHT = (_LABEL, _STATE, _SILENT, _NAME, _RUNNING, _MONEY, _CITIZENS, *_LESS)


def _groups(status: FleetStatus, now: float, glyphs: Glyphs, label: str) -> Iterator[list[Piece]]:
    """What belongs together, in the order of the line."""
    yield [(" Experience", "bold $title")]
    yield [("  ", ""), (f" {label} ", "bold reverse $warn")] if label else []
    yield [(_size(status, glyphs), "$faint")]
    known = status.citizens and not (status.loading or status.cluster)
    yield [(f"{glyphs.dot}{words.plural(status.tasks, 'task')}", "$faint")] if known else []
    style = "$run" if status.running else "$faint"
    running = [(f"  {glyphs.kind[TaskStatus.RUNNING]} {status.running} running", style)]
    yield running if status.citizens or status.loading else []
    yield _state(status, glyphs)
    yield _silent(status.cluster, glyphs)
    waits = "waits" if status.waiting == 1 else "wait"
    yield _count(glyphs.kind[TaskStatus.WAITS], status.waiting, waits)
    yield _count(glyphs.kind[TaskStatus.PAUSED], status.frozen, "frozen")
    yield _count(glyphs.kind[TaskStatus.OVER_BUDGET], status.over, "over budget")
    yield from money_words(status.money, glyphs)
    next = [(f"  next {words.clean(status.next, glyphs.plain)} ", "$faint")]
    left = "" if status.due is None else words.countdown(status.due - now).rjust(len("00:00"))
    yield [] if status.due is None else [*next, (left, "$ink")]


def _count(sign: str, number: int, words: str) -> list[Piece]:
    """How many citizens something keeps from running; nothing for none."""
    return [(f"  {sign} {number} {words}", "$warn")] if number else []


def _state(status: FleetStatus, glyphs: Glyphs) -> list[Piece]:
    if status.broken and not status.failing:
        return [(f"  {glyphs.kind[TaskStatus.FAILED]} settings", "bold $bad")]
    if status.failing:
        return [(f"  {glyphs.kind[TaskStatus.FAILED]} {status.failing} failing", "bold $bad")]
    if status.warnings:
        many = words.plural(status.warnings, "warning")
        return [(f"  {glyphs.kind[TaskStatus.WARNING]} {many}", "$warn")]
    well = status.tasks and not status.problem_count
    return [(f"  {glyphs.kind[TaskStatus.OK]} all well", "$ok")] if well else []


def _silent(cluster: Cluster | None, glyphs: Glyphs) -> list[Piece]:
    if cluster is None or not cluster.silent:
        return []
    names = words.clean(", ".join(machine.name for machine in cluster.silent), glyphs.plain)
    return [(f"  {glyphs.kind[TaskStatus.WARNING]} {names} silent", "$warn")]


def _size(status: FleetStatus, glyphs: Glyphs) -> str:
    if status.loading:
        return f"  loading {'...' if glyphs.plain else '…'}"
    if not status.citizens:
        return "  no citizens"
    on = f" on {words.plural(on_machines(status.cluster), 'machine')}" if status.cluster else ""
    return f"  {words.plural(status.citizens, 'citizen')}{on}"


def problem_line(status: FleetStatus, now: float, width: int, glyphs: Glyphs, edit: str = "") -> list[Piece]:
    """The worst problem in one line, nothing if all is well; `edit` is the key for one of the settings."""
    problem = status.worst
    if problem is None:
        return []
    more = _aside(status, problem, width, edit)
    row = f"{glyphs.dot}{problem.again} in a row" if problem.again > 1 else ""
    hold = problem.weight >= (Severity.FROZEN,)
    mark = f" {glyphs.kind[problem.sign]} "
    style = "$warn" if hold or problem.sign is TaskStatus.WARNING else "$bad"
    room = width - words.cells(mark + row + more) - 1
    if room < 20:
        row, more, room = "", "", width - words.cells(mark) - 1
    said = words.shorten(words.clean(sentence(problem, now), glyphs.plain), room, glyphs.ellipsis)
    gap = " " * (room - words.cells(said) + 1)
    return [
        (mark, f"bold {style}"),
        (said, style),
        (row, "$faint"),
        *([(gap + more, "$faint")] if more else []),
    ]


def _aside(status: FleetStatus, problem: Problem, width: int, edit: str) -> str:
    """How many others there are, or what to do about the only one."""
    others = status.problem_count - 1
    if others < 1:
        return f"{edit} edit " if edit and problem.editable else ""
    if status.place:
        return f"{status.place} of {status.problem_count} "
    return f"{others} more: n " if width >= WIDE else f"n +{others} "


def sentence(problem: Problem, now: float) -> str:
    """A problem as one sentence, not yet cleaned."""
    if not problem.where:
        return problem.text
    if problem.settings:
        return f"{problem.where}: {problem.text}; {meanwhile(problem.settings, now)}"
    if problem.since is None:
        joint = " " if problem.where == "scheduler" else ": "
        return f"{problem.where}{joint}{problem.text}"
    return f"{problem.where} failed {words.ago(now - problem.since)} ago: {problem.text}"
