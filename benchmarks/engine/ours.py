"""Ours: citizens of seven tasks each, as the fleet runs them, on one clock and one set of workers."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engine.load import FinishLine, Planned, Record, staggered
from benchmarks.memory import resident
from benchmarks.numbers import Sample
from scheduler.core.schedules.schedule import Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Context, Task
from scheduler.engine.freezing import MemoryFreezes
from scheduler.engine.paid.shared_by_root import SharedByRoot, shared_by_root
from scheduler.engine.scheduler import Scheduler
from scheduler.executors.executor import Executor
from scheduler.process.garbage_collection import GarbageCollector, freeze_memory
from scheduler.storage.state_file import StateFile, States
from scheduler.storage.state_store import Adopt, DiskStore, Store
from scheduler.system.clock import SystemClock

TASKS = 7  # of one citizen
FAR = 7200.0
AT_ONCE = 50  # citizens come in together, as in the fleet
TAKING_IN = 4e-4  # seconds that it may take to take a job in


async def lateness(jobs: int, seconds: float, folder: str | None = None) -> Sample:
    """How late runs begin; with a folder, every state is on disk."""
    record, plan = Record(), staggered(jobs)
    await Watched(plan, record).take_in(Place(Path(folder) if folder else None))
    return await record.window(seconds, plan)


async def burst(jobs: int) -> Sample:
    """All jobs due at one instant: seconds until the last one began."""
    line = FinishLine(jobs)

    async def work(context: Context) -> None:
        line.passed()

    due = time.time() + 0.5 + jobs * TAKING_IN
    place = Place()
    await _apply_tasks(jobs, place, Call(work), due)
    GarbageCollector().start()
    if time.time() > due:
        raise TimeoutError(f"taking {jobs} jobs in took too long")
    return await line.seconds_since(due)


async def registration(jobs: int) -> Sample:
    """Seconds, and bytes a job, to take up jobs that are due in the far future."""
    place = Place()
    freeze_memory()
    memory, start = resident(), time.perf_counter()
    await _apply_tasks(jobs, place, Call(_nothing), time.time() + FAR)
    took = time.perf_counter() - start
    return {"seconds": took, "bytes": (resident() - memory) / jobs}


async def idle(jobs: int, seconds: float) -> Sample:
    """CPU time, in percent of a core, while nothing is due."""
    await _apply_tasks(jobs, Place(), Call(_nothing), time.time() + FAR)
    freeze_memory()
    await asyncio.sleep(1)
    before = time.process_time()
    await asyncio.sleep(seconds)
    return {"cpu": 100 * (time.process_time() - before) / seconds}


async def durable(folder: str, seconds: float) -> Sample:
    """Runs a second of one citizen's tasks forced one after the other, each force safe on disk."""
    done = asyncio.Event()

    async def work(context: Context) -> None:
        done.set()

    (citizen,) = await _apply_tasks(TASKS, Place(Path(folder)), Call(work), time.time() + FAR)
    runs, start = 0, time.perf_counter()
    while (took := time.perf_counter() - start) < seconds:
        done.clear()
        await citizen.force(_name(runs))
        await done.wait()
        runs += 1
    return {"per_second": runs / took}


async def durable_at_once(folder: str, seconds: float) -> Sample:
    """The same with all seven tasks at once: each is forced again as soon as its force is on disk."""
    done = {_name(job): asyncio.Event() for job in range(TASKS)}

    async def work(context: Context) -> None:
        done[context.task].set()

    (citizen,) = await _apply_tasks(TASKS, Place(Path(folder)), Call(work), time.time() + FAR)
    start = time.perf_counter()

    async def keep_forcing(task: str) -> int:
        runs = 0
        while time.perf_counter() - start < seconds:
            done[task].clear()
            await citizen.force(task, again=True)  # the last run may still be on its way out
            await done[task].wait()
            runs += 1
        return runs

    runs = await asyncio.gather(*(keep_forcing(_name(job)) for job in range(TASKS)))
    return {"per_second": sum(runs) / (time.perf_counter() - start)}


class Watched:
    """Jobs of a staggered load, and how late their runs begin.

    An interval counts from the start of the last run, so each run is due that much after the one before.
    """

    def __init__(self, plan: Sequence[Planned], record: Record) -> None:
        self._plan, self._record = plan, record
        self._due = [0.0] * len(plan)
        self._stores: list[_InMemory | _OnDisk] = []
        self._work = Call(self.run)  # one function for all, as handlers are

    async def run(self, context: Context) -> None:
        now = time.time()
        job: int = context.options
        self._record.began(now, self._due[job])
        began = self._stores[job // TASKS].states()[context.task].last_run
        self._due[job] = (began or now) + self._plan[job].every

    async def take_in(self, place: "Place") -> None:
        """Bring the citizens in, and return when the first of them may be due.

        Meanwhile their clock stands still, so that no contestant starts with a backlog. Each
        task's last run was just so long ago that its phase is right.
        """
        opening = time.time() + 0.5 + len(self._plan) * TAKING_IN
        place.clock.now = lambda: opening
        citizens = list(_citizens(len(self._plan)))
        for first in range(0, len(citizens), AT_ONCE):
            some = citizens[first : first + AT_ONCE]
            await asyncio.gather(*(self._citizen(place, number, jobs, opening) for number, jobs in some))
        GarbageCollector().start()
        del place.clock.now
        if time.time() > opening:
            raise TimeoutError(f"taking {len(self._plan)} jobs in took too long")
        await asyncio.sleep(opening - time.time())

    async def _citizen(self, place: "Place", number: int, jobs: range, now: float) -> None:
        plan = self._plan
        states = {_name(job): self._state(job, now) for job in jobs}
        tasks = [Task(_name(job), Every(plan[job].every), self._work, options=job) for job in jobs]
        self._stores.append(place.store(number, states))
        await place.citizen(number, tasks, self._stores[number])

    def _state(self, job: int, now: float) -> TaskState:
        planned = self._plan[job]
        last = now - (1 - planned.phase) * planned.every
        self._due[job] = last + planned.every
        return TaskState(last_run=last, first_seen=last)


@dataclass(slots=True)
class Place:
    """Where the citizens live: in memory, or in folders of `root`."""

    root: Path | None = None
    clock: SystemClock = field(default_factory=SystemClock)
    workers: Executor = field(default_factory=Executor)
    shared: SharedByRoot = field(init=False)  # of all citizens, as in the fleet

    def __post_init__(self) -> None:
        self.shared = shared_by_root(self.root or Path("/nowhere"), self.clock)

    async def citizen(self, number: int, tasks: Iterable[Task], store: Store) -> Scheduler:
        home = self._home(number)
        freezes = None if self.root else MemoryFreezes()
        around = {
            "store": store,
            "clock": self.clock,
            "workers": self.workers,
            "freezes": freezes,
            "shared": self.shared,
        }
        scheduler = Scheduler(home.name, home, tasks, **around)
        await scheduler.start()
        return scheduler

    def store(self, number: int, states: States) -> "_InMemory | _OnDisk":
        if self.root is None:
            return _InMemory(states)
        home = self._home(number)
        home.mkdir()
        StateFile(home).save(states, version=1, durable=False)
        return _OnDisk(home, self.clock)

    def _home(self, number: int) -> Path:
        return (self.root or Path("/nowhere")) / f"c{number}"


class _Seen:
    """A store that shows the states it was given to save."""

    def begin(self, states: Callable[[], States], adopt: Adopt, ready: Callable[[], None]) -> None:
        self.states = states
        super().begin(states, adopt, ready)  # type: ignore[misc]  # the store beside it in the bases


class _InMemory(_Seen, Store): ...


class _OnDisk(_Seen, DiskStore): ...


async def _apply_tasks(jobs: int, place: Place, work: Call, due: float) -> list[Scheduler]:
    """Citizens whose tasks are all due at one instant."""
    state = TaskState(last_run=due - FAR, first_seen=due - FAR)
    arrivals = [
        place.citizen(
            number,
            [Task(_name(job), Every(FAR), work) for job in jobs_of],
            place.store(number, {_name(job): state for job in jobs_of}),
        )
        for number, jobs_of in _citizens(jobs)
    ]
    some = range(0, len(arrivals), AT_ONCE)
    return [each for i in some for each in await asyncio.gather(*arrivals[i : i + AT_ONCE])]


async def _nothing(context: Context) -> None: ...


def _citizens(jobs: int) -> Iterable[tuple[int, range]]:
    """Each citizen's number and its jobs."""
    for number in range(-(-jobs // TASKS)):
        yield number, range(number * TASKS, min(jobs, (number + 1) * TASKS))


def _name(job: int) -> str:
    return f"t{job % TASKS}"
