"""The outages of providers as all machines know them, kept in the database."""

import asyncio
import logging
import math
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import psycopg

from scheduler.cluster.database import Connection, Database, require_schema
from scheduler.cluster.leases import too_slow
from scheduler.cluster.providers import outage_rows
from scheduler.cluster.providers.outage_rows import Noter
from scheduler.errors import DatabaseAway, SchedulerError
from scheduler.process.process_info import Running
from scheduler.providers.decisions import Decision, admission, ending, handover, refusal
from scheduler.providers.outage import Outage, Probe, Refused
from scheduler.providers.outages import Outages
from scheduler.system.clock import elapsed

log = logging.getLogger("experience.engine")

T = TypeVar("T")


class SharedOutages(Outages):
    """Shared by all machines; what changes something may block, for half of `failover` at most.

    While the database cannot be used, this process goes by what it knows; what it learns is noted later.
    """

    def __init__(self, database: Database, noter: Noter) -> None:
        super().__init__(noter.clock)
        self._database, self._noter = database, noter
        self._lock = threading.Lock()
        self._found: dict[str, Outage] = {}  # by the clock of this machine
        self._looked: dict[str, float] = {}  # when each was read last
        self._unsaved: list[tuple[str, Decision[Any]]] = []
        self._trouble = False

    @property
    def unsaved(self) -> bool:
        """Whether the database lacks something that this process has learnt."""
        return bool(self._unsaved)

    def all(self) -> list[Outage]:
        return [found for name in sorted(self._found) if (found := self.of(name))]

    def refresh(self) -> None:
        with self._lock:
            self._run(self._read)

    def begin(self, provider: str, run: Probe) -> Outage | None:
        return None if self.of(provider) is None else self._change_or_go_on(provider, admission(run))

    def before_handover(self, provider: str) -> Outage | None:
        return None if self.of(provider) is None else self._change_or_go_on(provider, handover)

    def refused(self, provider: str, by: Refused) -> Outage:
        return self._change_or_go_on(provider, refusal(provider, by), save=True)

    def ended(self, provider: str, run: str, *, tried: bool) -> bool:
        if self._known(provider) is None:
            return False
        return self._change_or_go_on(provider, ending(run, tried=tried), save=True)

    def _known(self, provider: str) -> Outage | None:
        return self._found.get(provider)

    def _alive(self, provider: str, process: Running) -> bool:
        """Whether the probe was alive a moment ago; later a run that wants to begin reads it again."""
        return elapsed() - self._looked.get(provider, -math.inf) < self._noter.failover

    def _change(self, provider: str, decide: Decision[T]) -> T:
        with self._lock:
            return self._run(partial(self._commit, provider, decide))

    def _change_or_go_on(self, provider: str, decide: Decision[T], *, save: bool = False) -> T:
        """Change it here alone if the database cannot be used; `save`: note it there later."""
        try:
            return self._change(provider, decide)
        except SchedulerError as error:
            if not self._trouble:
                log.warning(f"outages of providers are not shared: {error}")
            self._trouble = True
        with self._lock:
            if save:
                self._unsaved.append((provider, decide))
            alive = partial(self._alive, provider)
            after, answer = decide(self._known(provider), self._clock.now(), alive)
            self._note(provider, after)
            return answer

    def _note(self, provider: str, outage: Outage | None) -> None:
        self._looked[provider] = elapsed()
        if outage is None:
            self._found.pop(provider, None)
        else:
            self._found[provider] = outage

    # -------------------------------------------------------------- in the database

    def _run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return what the work on a new connection returns, in this thread; raises SchedulerError."""
        try:
            found = asyncio.run(self._within_time(work))
        except psycopg.Error as error:
            raise self._database.away(error) from error
        except TimeoutError as error:
            raise DatabaseAway(too_slow(self._database, self._noter.failover)) from error
        self._trouble = False
        return found

    async def _within_time(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with asyncio.timeout(self._noter.failover / 2), self._database.connection() as connection:
            await require_schema(connection, self._database)
            while self._unsaved:
                await outage_rows.change(connection, self._noter, *self._unsaved[0])
                del self._unsaved[0]
            return await work(connection)

    async def _read(self, connection: Connection) -> None:
        found = await outage_rows.read(connection, self._noter)
        self._found = {name: each.outage for name, each in found.items()}
        self._looked = dict.fromkeys(found, elapsed())

    async def _commit(self, provider: str, decide: Decision[T], connection: Connection) -> T:
        after, answer = await outage_rows.change(connection, self._noter, provider, decide)
        self._note(provider, after)
        return answer
