"""Counts over the whole fleet, and its problems, the worst first."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from operator import attrgetter

from scheduler.core.machines import Cluster
from scheduler.core.values import value
from scheduler.core.views import Heartbeat, Hold, HoldKind, Snapshot, TaskStatus, TaskView
from scheduler.core.wording.text import freeze_words
from tui.common.task_ref import Place
from tui.fleet.broken import Broken, broken, files_of, parted
from tui.fleet.machines.words import verdict
from tui.fleet.money import NOTHING_SPENT, Spent, spent_by, together
from tui.fleet.notices import Severity, notices, stall_words, stalled
from tui.fleet.outages import Away, away, away_words

Weight = tuple[float, ...]
WRONG = (HoldKind.BUDGET, HoldKind.PROVIDER)  # holds that a person may want to lift
NOTHING_DUE = (float("inf"), "")


@value
class Problem:
    """A problem in full words; the lower its weight, the worse. `since` is when it failed.

    `row` is where to look: citizen and task; None if it concerns all.
    """

    weight: Weight
    where: str
    text: str
    since: float | None = None
    again: int = 0
    row: Place | None = None
    sign: TaskStatus = TaskStatus.FAILED
    provider: str = ""  # the provider waited for; all its waits are one problem
    away: str = ""  # that provider's outage, in words
    editable: bool = False  # whether an editor can fix it
    settings: Broken | None = None  # the errors, if it concerns settings


@value
class Ratio:
    """What one citizen contributes to the counts."""

    tasks: int = 0
    running: int = 0
    failing: int = 0
    warnings: int = 0
    frozen: int = 0
    broken: int = 0
    next: tuple[float, str] = NOTHING_DUE
    problem_count: int = 0  # without waits for a provider
    worst: Problem | None = None
    waits: Mapping[str, str] = field(default_factory=dict)  # providers waited for, and the words
    over: bool = False  # whether its budget is used up
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
    waiting: int = 0  # citizens that wait for a provider
    over: int = 0  # citizens over their budget
    away: tuple[Away, ...] = ()  # providers that several citizens wait for
    money: Spent = NOTHING_SPENT
    broken: int = 0  # citizens with errors in their settings
    due: float | None = None
    next: str = ""
    worst: Problem | None = None
    problem_count: int = 0
    loading: bool = False
    cluster: Cluster | None = None
    place: int = 0  # the rank of the current problem, once the cursor was led to it


class FleetSummary:
    """The newest snapshots and their counts; only changed citizens are counted again."""

    def __init__(self) -> None:
        self._snapshots: dict[str, Snapshot] = {}
        self._ratios: dict[str, Ratio] = {}
        self._changed: set[str] = set()
        self._sum: FleetStatus | None = None
        self._running: set[tuple[str, str]] | None = None
        self.problems: tuple[str, ...] = ()
        self.loading = False
        self._cluster: Cluster | None = None

    def set_cluster(self, cluster: Cluster | None) -> None:
        """Set the machines that share citizens, as they are now."""
        before, self._cluster = self._cluster, cluster
        if (before and before.hosts) != (cluster and cluster.hosts):
            self._changed |= self._snapshots.keys()

    def set_citizens(self, names: set[str]) -> None:
        """Keep exactly these citizens."""
        self._sum = self._running = None
        in_order = sorted(names)  # of equally bad problems, the first is shown
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
        """The counts as of now; `pulse` is the slowest one seen."""
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
        """Count the snapshots that have arrived."""
        if self._changed:
            self._ratios |= {
                citizen: ratio(self._snapshots[citizen], self._is_silent(citizen))
                for citizen in self._changed
            }
            self._changed.clear()
            self._sum = self._running = None

    @property
    def running(self) -> set[tuple[str, str]]:
        """Citizen and task of every run."""
        self._count()
        if self._running is None:
            busy = (name for name, each in self._ratios.items() if each.running)
            self._running = {
                (name, task.name)
                for name in busy
                for task in self._snapshots[name].tasks
                if task.running_since is not None
            }
        return self._running

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
    """What this citizen contributes to the counts; on a `silent` machine, what runs is unknown."""
    citizen, tasks = snapshot.citizen, snapshot.tasks
    live = () if snapshot.stale or silent else tasks  # without an owner nothing runs, and nothing is due
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
    """Only the first of the problems that wait for the same provider."""
    first = {each.provider: each for each in reversed(problems)}
    return [each for each in problems if not each.provider or first[each.provider] is each]


def _worst(problems: list[Problem]) -> Problem | None:
    return min(problems, key=attrgetter("weight"), default=None)


def _problems(snapshot: Snapshot, silent: bool = False) -> list[Problem]:
    wrong = [note for note in notices(snapshot) if note.rank < Severity.FACT]
    settings, whole = broken(snapshot), Place(snapshot.citizen)
    if settings:  # reported as one
        wrong.remove(next(note for note in wrong if note.rank is Severity.PROBLEM))
    if silent:  # reported once per machine
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
    """The settings errors as one problem: a single one in full, several as their number."""
    one = parted(wrong.lines[0])
    what = ": ".join(filter(None, [one.key, one.words])) if len(wrong.lines) == 1 else wrong.many
    file = files_of(wrong.lines) + (f":{one.line}" if one.line and len(wrong.lines) == 1 else "")
    row = Place(citizen)
    return Problem((Severity.PROBLEM,), file or citizen, what, row=row, editable=True, settings=wrong)


def _main_settings(problems: Sequence[str]) -> Problem:
    """The errors in the main file: no new citizen starts, and running ones go on."""
    text = problems[0] if len(problems) == 1 else f"{len(problems)} problems; what runs goes on as it was"
    return Problem((Severity.PROBLEM,), "settings", text, editable=True)


def _failure(citizen: str, task: TaskView) -> Problem:
    """The failure of a task; more in a row is worse, then a newer one."""
    error = task.error
    assert error is not None  # the caller checked
    again = max(1, task.failures_in_a_row)
    text = error.first_line or "without a message"
    weight, row = (Severity.FACT, -again, -error.time), Place(citizen, task.name)
    return Problem(weight, f"{citizen}/{task.name}", text, error.time, again, row)
