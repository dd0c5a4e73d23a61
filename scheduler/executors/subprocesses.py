"""Child processes of all citizens: started a few at a time, ended with all their descendants."""

import asyncio
import signal
from collections.abc import Callable

from scheduler.executors.child import LAST_WORDS, Reader, SpawnRequest, Subprocess
from scheduler.executors.process_tree import ProcessEntry, ProcessTree
from scheduler.executors.result import RunListener

HELD = 64  # pipes of what runs left in the background
POLL = 0.02  # seconds between two looks at whether a child has gone
ROUNDS = 40  # of killing and looking again, some 4 seconds; what is left then hangs in the kernel
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


class SubprocessPool:
    """Runs child processes to their end; a cancelled one gets SIGTERM, then SIGKILL."""

    def __init__(self, starts: int, grace: float) -> None:
        self._starts = asyncio.Semaphore(starts)
        self._turn = asyncio.Lock()
        self._grace = grace
        self._hurried = False
        self._process_tree = ProcessTree()
        self._children: dict[Subprocess, RunListener] = {}
        self._held: list[Reader] = []

    async def run(self, prepare: Callable[[], SpawnRequest], watcher: RunListener) -> int | None:
        """The exit code; output has gone to the watcher. Cancelled, it returns when nothing is left.

        The order is prepared when its turn comes: for 500 at once that is 50 ms, too much for one turn.
        """
        child: Subprocess | None = None
        try:
            async with self._starts:
                child = await self._start(prepare, watcher)
                await watcher.carried_by(child.running)
                child.go()
            child.exited.add_done_callback(lambda _: watcher.exited())
            await asyncio.wait([child.exited])  # a plain await would cancel the future with us
            await child.last_words()
            return child.exited.result()
        except asyncio.CancelledError:
            if child:
                await self._end(child, watcher)
            raise
        finally:
            if child:
                self._children.pop(child, None)
                self._hold(child.close())

    def _hold(self, pipe: Reader | None) -> None:
        """Read what background processes still write, as cron does; of too many pipes close the oldest."""
        if pipe is None:
            return
        self._held.append(pipe)
        pipe.ended.add_done_callback(lambda _: self._held.remove(pipe))
        if len(self._held) > HELD:
            self._held[0].close()

    def stop_now(self) -> None:
        """Give no more grace."""
        self._hurried = True

    async def close(self) -> None:
        """Kill what still runs; its runs report that."""
        self.stop_now()
        children = dict(self._children)
        await asyncio.gather(*(self._kill(child, watcher) for child, watcher in children.items()))
        if children:  # what hangs in the kernel is not waited for
            await asyncio.wait([child.closed for child in children], timeout=2 * LAST_WORDS)
        for pipe in tuple(self._held):
            pipe.close()

    async def _start(self, prepare: Callable[[], SpawnRequest], watcher: RunListener) -> Subprocess:
        async with self._turn:
            await asyncio.sleep(0)  # a start takes about a millisecond: not two in one turn of the loop
            child = Subprocess(prepare(), watcher.output)
            self._children[child] = watcher
            return child

    async def _end(self, child: Subprocess, watcher: RunListener) -> None:
        """Stop the child even if this is cancelled; cancelled again, kill it."""
        stopping = asyncio.ensure_future(self._stop(child, watcher))
        while not stopping.done():
            try:
                await asyncio.shield(stopping)
            except asyncio.CancelledError:
                child.hurried = True

    async def _stop(self, child: Subprocess, watcher: RunListener) -> None:
        child.stopped = True
        await self._ask(child)
        if not await self._went(child):
            await self._kill(child, watcher)
        await child.last_words(0.05 if self._hurried else LAST_WORDS)

    async def _ask(self, child: Subprocess) -> None:
        child.signal(signal.SIGTERM)
        if hasattr(signal, "SIGCONT"):  # one that was stopped takes it only when it goes on
            child.signal(signal.SIGCONT)
        for one in await self._left(child):
            if one.group != child.running.pid:  # twice would mean "at once" to some
                one.send(signal.SIGTERM)

    async def _went(self, child: Subprocess) -> bool:
        """Whether all of its processes end before the grace is over."""
        loop, pause = asyncio.get_running_loop(), POLL
        end = loop.time() + self._grace
        while loop.time() < end and not (self._hurried or child.hurried):
            if child.exited.done() and not await self._left(child):
                return True
            await asyncio.sleep(pause)
            pause = min(0.1, pause * 1.5)
        return False

    async def _kill(self, child: Subprocess, watcher: RunListener) -> None:
        left: list[ProcessEntry] = []
        for turn in range(ROUNDS):
            child.signal(_KILL)
            left = await self._left(child)
            for one in left:
                one.send(_KILL)
            if child.exited.done() and not left:
                return
            await asyncio.sleep(min(0.1, POLL * (turn + 1) / 2))
        pids = ", ".join(str(one.pid) for one in left) or str(child.running.pid)
        watcher.left_behind(f"process {pids}", lambda: any(one.alive() for one in left))

    async def _left(self, child: Subprocess) -> list[ProcessEntry]:
        return await self._process_tree.of(child.mark, child.running)
