"""A frame with the machines that share citizens, their workers' queues, and recent machine events."""

from collections.abc import Callable, Iterator

from scheduler.core.machines import Cluster, Machine, Queue
from scheduler.core.task import Outcome
from scheduler.core.views import Event, TaskStatus
from tui.common import text as words
from tui.common.pane import EMPTY, Pane, Row, styled
from tui.fleet.machines.words import MOST_AHEAD, answers, news, queue_says, says
from tui.glyphs import Glyphs
from tui.log.events import EventLog, event_text

WHERE = 22  # cells for a machine, a citizen or a task
LOOKED_AT = 1000  # events, the newest
HEADS = f"  {'machine':<10}{'citizens':>9}{'running':>10}{'load':>7}   {'clock':<6}{'heard':>14}   says"


class MachinesPane(Pane, can_focus=False):
    """Fills the lower part while a machine is silent or a run waits for a worker."""

    def __init__(self, log: EventLog, glyphs: Glyphs, now: Callable[[], float]) -> None:
        super().__init__(glyphs, "machines")
        self._log, self._clock = log, now
        self.cluster: Cluster | None = None

    def set_cluster(self, cluster: Cluster | None) -> None:
        """Set the machines as they are now."""
        self.cluster = cluster
        if self.display:
            self.sync()

    def count(self) -> int:
        return self.inside

    def row(self, index: int) -> Row:
        rows = [*self._rows()] if self.cluster else []
        return rows[index] if index < len(rows) else EMPTY

    def foot(self) -> tuple[str, str]:
        if self.cluster is None:
            return "", ""
        said = words.clean(answers(self.cluster), self.glyphs.plain)
        return said, f"failover {words.limit(self.cluster.failover)}"

    def _rows(self) -> Iterator[Row]:
        assert self.cluster
        now = self._clock()
        above = [styled((HEADS, "faint"))]
        above += [self._machine(machine, now) for machine in self.cluster.machines]
        if self.cluster.queues:
            above += [EMPTY, *(self._queue(queue, now) for queue in self.cluster.queues)]
        yield from above
        if (room := self.inside - len(above) - 1) > 0 and (happened := [*self._news(now)][-room:]):
            yield EMPTY
            yield from happened

    def _machine(self, machine: Machine, now: float) -> Row:
        cluster, glyphs, silent = self.cluster, self.glyphs, machine.silent
        assert cluster
        wrong = silent or bool(machine.problem)
        sign = glyphs.kind[TaskStatus.WARNING if wrong else TaskStatus.OK]
        runs = "?" if silent else str(len(machine.carries) if machine.queues else machine.running)
        load = "?" if silent or machine.load is None else f"{machine.load:.1f}"
        clock = "?" if silent or machine.ahead is None else f"{machine.ahead:+z.1f} s"
        heard = f"{words.ago(now - machine.heard)} ago" if silent else "now"
        name = words.fit(words.clean(machine.name, glyphs.plain), 10, glyphs.ellipsis)
        off = machine.ahead is not None and abs(machine.ahead) >= MOST_AHEAD
        citizens = str(len(machine.citizens)) if machine.citizens or not machine.queues else ""
        faint = "faint" if silent else "ink"
        return styled(
            (f"{sign} ", "warning" if wrong else "ok"),
            (f"{name}{citizens:>9}{runs:>10}{load:>7}   ", faint),
            (f"{clock:<6}", "warning" if off else faint),
            (f"{heard:>14}   ", "warning" if silent else faint),
            (words.clean(says(machine, cluster, now), glyphs.plain), "warning" if wrong else "ink"),
        )

    def _queue(self, queue: Queue, now: float) -> Row:
        left = queue.waiting and not queue.workers
        name = words.fit(words.clean(queue.name, self.glyphs.plain), 6, self.glyphs.ellipsis)
        counts = f"{words.plural(queue.workers, 'worker'):<11}{f'{queue.running} running':<12}"
        waits = f"{f'{queue.waiting} wait':<9}"
        oldest = f"oldest {words.elapsed(now - queue.since):<8}" if queue.since is not None else ""
        said = words.clean(queue_says(queue), self.glyphs.plain)
        style = "warning" if left else "ink"
        queued = (f"{counts}{waits}{oldest}", style)
        return styled((f"queue {name} ", "faint"), queued, (said, style if left else "faint"))

    def _news(self, now: float) -> Iterator[Row]:
        assert self.cluster
        glyphs = self.glyphs
        signs = {"warning": glyphs.kind[TaskStatus.WARNING], "running": glyphs.kind[TaskStatus.RUNNING]}
        lines = [
            (when, where, text, style, signs[style]) for when, where, text, style in news(self.cluster, now)
        ]
        for entry in self._log.entries[-LOOKED_AT:]:
            if isinstance(entry, Event) and entry.outcome is Outcome.INTERRUPTED and entry.kind == "finished":
                line = event_text(entry, glyphs)
                lines.append((entry.time, line.where, line.text, line.style, line.sign))
        for when, where, text, style, sign in sorted(lines):
            name = words.fit(words.clean(where, glyphs.plain), WHERE - 2, glyphs.ellipsis)
            loud = style if style in ("failed", "warning") else "ink"
            said = words.clean(text, glyphs.plain)
            at = f"{words.wall(when)}  "
            yield styled((at, "faint"), (f"{sign} ", style), (f"{name}  ", "ink"), (said, loud))
