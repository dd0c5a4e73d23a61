"""Child processes of all citizens: started a few at a time, ended with all their descendants."""

import asyncio
import os
import signal
from collections.abc import Callable, Collection
from functools import partial

from scheduler.executors.child import LAST_WORDS, Reader, SpawnRequest, Subprocess
from scheduler.executors.process_tree import OUTSIDE, Origin, ProcessEntry, ProcessTree, line_of
from scheduler.executors.result import RunListener
from scheduler.process.adopted import AdoptedChildren, Makers, is_reaper
from scheduler.process.process_info import Running, alive, name
from scheduler.process.threads import in_thread

HELD = 64  # pipes of background processes that runs left behind
REMEMBERED = 1000  # runs whose background processes are recognised when they ask for something
POLL = 0.02  # seconds between the first two looks at whether a child has exited
KILLING = 3.0  # seconds of killing and looking again; what is left hangs in the kernel or is another user's
LOOK, IDLE_LOOK = 0.1, 1.0  # seconds between two looks at adopted children: while there may be some, and else
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


class SubprocessPool:
    """Runs child processes to their end; a cancelled one gets SIGTERM, then SIGKILL."""

    def __init__(self, starts: int, grace: float, makers: Makers | None = None) -> None:
        self._starts = asyncio.Semaphore(starts)
        self._turn = asyncio.Lock()
        self._grace = grace
        self._hurried = False
        self._process_tree = ProcessTree()
        self._children: dict[Subprocess, RunListener] = {}
        self._makers = makers or Makers()
        self._adopted = AdoptedChildren(self._makers)
        self._next_look: asyncio.TimerHandle | None = None
        self._held: list[Reader] = []
        self.spared: set[int] = set()  # children that are no runs
        self._marks: dict[str, RunListener] = {}  # the newest runs by mark, ended or not

    async def run(self, prepare: Callable[[], SpawnRequest], listener: RunListener) -> int | None:
        """The exit code, once all output is with the listener. Cancelled, it returns when no process is left.

        The request is prepared when its turn comes: 500 at once take 50 ms, too long for a turn of the loop.
        """
        child: Subprocess | None = None
        try:
            async with self._starts:
                child = await self._start(prepare, listener)
                await listener.carried_by(child.running)
                child.go()
            child.exited.add_done_callback(lambda _: listener.exited())
            await asyncio.wait([child.exited])  # a plain await would cancel the future, too
            await child.last_words()
            return child.exited.result()
        except asyncio.CancelledError:
            if child:
                await self._end(child, listener)
            raise
        finally:
            if child:
                self._children.pop(child, None)
                self._makers.end(child)
                self._hold(child.close())

    async def origin(self, pid: int) -> Origin:
        """The run that the process came from; this process itself counts as its running handlers."""
        if pid == os.getpid():
            return self._of_handlers(self._makers.calls())
        self._look()
        line = await in_thread(partial(line_of, pid), "line", lambda thread: None)
        if line is None:
            return Origin(True)
        for child in tuple(self._children):
            child.seen |= self._adopted.left_by(child)
            if child.family().members(line.members):
                return _one_of([child])
        marks = [self._marks[one.mark] for one in line.members if one.mark in self._marks]
        if marks:
            return Origin(True, marks[0])
        return self._of_child(line.members[-1]) if line.ours else OUTSIDE

    def _of_child(self, child: ProcessEntry) -> Origin:
        """The origin of a descendant of `child`, a child of this process that is not the first of a run."""
        makers = self._adopted.makers_of(child.identity)
        # A command's processes cannot enter this process's session, so a handler has started this one.
        if child.session == os.getsid(0):
            return self._of_handlers(makers & self._makers.calls())
        return _one_of(makers)

    def _of_handlers(self, calls: Collection[object]) -> Origin:
        return _one_of(calls) if calls else OUTSIDE

    def collect_adopted(self) -> None:
        """From now on collect the children that this process adopts, if it adopts any."""
        if is_reaper():
            self._keep_looking()

    def _look(self) -> None:
        if self._next_look:
            self._adopted.look({child.running.pid for child in self._children} | self.spared)

    def _keep_looking(self) -> None:
        self._look()
        self._look_in(LOOK if self._adopted or self._makers.active else IDLE_LOOK)

    def _look_in(self, seconds: float) -> None:
        if self._next_look:
            self._next_look.cancel()
        self._next_look = asyncio.get_running_loop().call_later(seconds, self._keep_looking)

    def _hold(self, pipe: Reader | None) -> None:
        """Go on reading what background processes write, as cron does; beyond HELD pipes close the oldest."""
        if pipe is None:
            return
        self._held.append(pipe)
        pipe.ended.add_done_callback(lambda _: self._held.remove(pipe))
        if len(self._held) > HELD:
            self._held[0].close()

    def stop_now(self) -> None:
        """Kill without grace from now on."""
        self._hurried = True

    async def close(self) -> None:
        """Kill what still runs; the runs report it."""
        self.stop_now()
        children = dict(self._children)
        await asyncio.gather(*(self._kill(child, listener) for child, listener in children.items()))
        if children:  # at most so long, since some may hang in the kernel
            await asyncio.wait([child.closed for child in children], timeout=2 * LAST_WORDS)
        for pipe in tuple(self._held):
            pipe.close()
        if self._next_look:
            self._next_look.cancel()

    async def _start(self, prepare: Callable[[], SpawnRequest], listener: RunListener) -> Subprocess:
        async with self._turn:
            await asyncio.sleep(0)  # one start, about a millisecond, in a turn of the loop
            child = Subprocess(prepare(), listener.output)
            child.listener = listener
            self._remember(child.mark, listener)
            self._children[child] = listener
            self._makers.begin(child)
            soon = asyncio.get_running_loop().time() + LOOK  # by then a short run may have left children
            if self._next_look and self._next_look.when() > soon:
                self._look_in(LOOK)
            return child

    def _remember(self, mark: str, listener: RunListener) -> None:
        """Remember the run by its mark, to recognise what it leaves in the background."""
        self._marks[mark] = listener
        if len(self._marks) > REMEMBERED:
            del self._marks[next(iter(self._marks))]

    async def _end(self, child: Subprocess, listener: RunListener) -> None:
        """Stop the child even if this is cancelled; cancelled again, kill it."""
        stopping = asyncio.ensure_future(self._stop(child, listener))
        while not stopping.done():
            try:
                await asyncio.shield(stopping)
            except asyncio.CancelledError:
                child.hurried = True

    async def _stop(self, child: Subprocess, listener: RunListener) -> None:
        child.stopped = True
        await self._ask(child)
        if await self._went(child) or await self._kill(child, listener):
            self._report_doubtful(child, listener)
        await child.last_words(0.05 if self._hurried else LAST_WORDS)

    async def _ask(self, child: Subprocess) -> None:
        family = await self._left(child)  # first, while all still have their parents
        child.signal(signal.SIGTERM)
        if hasattr(signal, "SIGCONT"):  # a stopped process takes SIGTERM only when continued
            child.signal(signal.SIGCONT)
        for one in family:
            if one.group != child.running.pid:  # some programs take a second one as "at once"
                one.send(signal.SIGTERM)

    async def _went(self, child: Subprocess) -> bool:
        """Whether all processes of the child's run end within the grace."""
        loop, pause = asyncio.get_running_loop(), POLL
        end = loop.time() + self._grace
        while loop.time() < end and not (self._hurried or child.hurried):
            if child.exited.done() and not await self._left(child):
                return True
            await asyncio.sleep(pause)
            pause = min(0.1, pause * 1.5)
        return False

    async def _kill(self, child: Subprocess, listener: RunListener) -> bool:
        """Kill all processes of the child's run; whether none is left."""
        loop, pause = asyncio.get_running_loop(), POLL
        end = loop.time() + KILLING
        while (left := await self._left(child)) or not child.exited.done():
            child.signal(_KILL)
            for one in left:
                one.send(_KILL)
            if loop.time() > end:
                _report(left, listener, child.running)
                return False
            await asyncio.sleep(pause)
            pause = min(0.1, pause * 1.5)
        return True

    def _report_doubtful(self, child: Subprocess, listener: RunListener) -> None:
        """Report processes that may belong to this run or to another: they are not killed or waited for."""
        doubtful = [Running(*each, 0.0) for each in self._adopted.maybe_left_by(child) - child.seen]
        if living := [each for each in doubtful if alive(each)]:
            names = ", ".join(f"process {each.pid} ({name(each.pid)})" for each in living)
            listener.left_behind(f"{names}, of this run or another", lambda: False, living[0])

    async def _left(self, child: Subprocess) -> list[ProcessEntry]:
        """The living processes of the child's run; each is remembered once found."""
        self._look()
        child.seen |= self._adopted.left_by(child)
        found = await self._process_tree.of(child.family())
        child.seen |= {one.identity for one in found}
        return found


def _report(left: Collection[ProcessEntry], listener: RunListener, leader: Running) -> None:
    """Report the processes that cannot be ended: the task does not start again while they live."""
    processes = [Running(one.pid, one.born, leader.since, leader.boot) for one in left] or [leader]
    names = ", ".join(f"process {one.pid} ({name(one.pid)})" for one in processes)
    listener.left_behind(names, lambda: any(map(alive, processes)), processes[0])


def _one_of(makers: Collection[object]) -> Origin:
    """The origin of a process that one of these runs has made, or none of them if that run has ended."""
    runs = [maker.listener if isinstance(maker, Subprocess) else maker for maker in makers]
    return Origin(True, runs[0] if len(runs) == 1 else None)
