"""The values that a screen shows of several machines: who runs a citizen, the machines and the queues.

Times are Unix seconds of this machine's clock.
"""

from collections.abc import Mapping
from dataclasses import field

from scheduler.core.values import value


@value
class Host:
    """The machine that runs a citizen, or ran it last; the machines in `others` have its home, too."""

    machine: str
    pid: int = 0
    silent_since: float | None = None  # time of its last sign of life, once its lease has ended
    moved_from: str = ""
    moved_at: float = 0.0
    others: tuple[str, ...] = ()


@value
class Machine:
    """A machine with a process that runs citizens or works for a queue."""

    name: str
    heard: float
    silent: bool = False
    citizens: tuple[str, ...] = ()
    running: int = 0
    load: float | None = None
    ahead: float | None = None  # seconds by which its clock is ahead of the database's
    queues: tuple[str, ...] = ()  # the queues it works for
    carries: tuple[str, ...] = ()  # what its workers run now, as citizen/task
    problem: str = ""


@value
class Queue:
    """Runs that wait for a worker; `since` is when the oldest of them began to wait."""

    name: str
    workers: int = 0
    running: int = 0
    waiting: int = 0
    since: float | None = None
    next: str = ""  # citizen/task


@value
class Cluster:
    """All machines that share citizens, as the database knows them."""

    database: str
    failover: float
    answered: float | None = None  # seconds that its last answer took
    away_since: float | None = None
    machines: tuple[Machine, ...] = ()
    queues: tuple[Queue, ...] = ()
    hosts: Mapping[str, Host] = field(default_factory=dict)

    @property
    def silent(self) -> tuple[Machine, ...]:
        return tuple(machine for machine in self.machines if machine.silent)

    @property
    def troubled(self) -> bool:
        """Whether something is wrong or waits: a silent machine, no database, or waiting runs."""
        return bool(self.silent or self.away_since or any(queue.waiting for queue in self.queues))
