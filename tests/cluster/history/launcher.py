"""The program as the tests of many machines start it: with leases of less than three seconds, if asked.

What processes say to each other is sent twice, as after answers that were lost. Negative controls:
`without-epochs` trusts leases for ever, and fences no write; with `without-leases` workers do not end what
they may no longer carry; in both, the guard does not end it, either. `without-numbers` obeys a verb that
comes twice twice.
With `many` it runs the command lines that it reads, each in a copy of itself: imports take long.
"""

import json
import os
import signal
import sys
import time
from importlib import import_module

from scheduler.schema import values

FOR_EVER = 1e9  # of the clock of leases
SHORTEST = 0.5  # seconds of a lease: tests have no time for three
WITHOUT_EPOCHS = "without-epochs"
WITHOUT_LEASES = "without-leases"
WITHOUT_NUMBERS = "without-numbers"
MANY = "many"
PATIENCE = 20.0  # seconds after which an answer is not waited for any more
USED = ("cluster.coordinator", "control.fleet", "control.freezing", "engine.scheduler", "cli.verbs.force")
seconds = values.seconds


def send_twice() -> None:
    from scheduler.cluster import bus

    bus._SEND = bus._SEND.replace("%(rows)s) WITH", "%(rows)s || %(rows)s) WITH")


def forget_numbers() -> None:
    """The owner forgets which requests are under way, too: it refuses a second one with the same number."""
    from scheduler.cluster.bus import Bus
    from scheduler.control.wire.server import _Client

    start = _Client._start

    def start_again(client: _Client, line: bytes) -> None:
        client._requests.clear()
        start(client, line)

    Bus._is_known = lambda bus, session, number: False  # type: ignore[method-assign]
    _Client._start = start_again  # type: ignore[method-assign]
    _Client._ended = lambda client, number, task: client._requests.pop(number, None)  # type: ignore[method-assign]


def forget_epochs() -> None:
    from scheduler.cluster import fence, leases

    leases.Lease.held = property(lambda lease: True)  # type: ignore[method-assign, assignment]
    leases.Lease.lose = leases.Lease._over = lambda lease: None  # type: ignore[method-assign]
    leases.Lease.renew = lambda lease, deadline: setattr(lease, "deadline", FOR_EVER)  # type: ignore[method-assign]
    for name in ("_ENDS", "_STARTS", "_STARTS_HERE"):
        text = getattr(fence, name)
        begin = text.index("SELECT citizen, epoch FROM experience.owners")
        end = text.index("FOR KEY SHARE)", begin) + len("FOR KEY SHARE)")
        text = f"{text[:begin]}SELECT DISTINCT citizen, epoch FROM batch){text[end:]}"
        everything = "SELECT citizen, task, 1::bigint AS id FROM allowed"
        setattr(fence, name, text.replace("SELECT * FROM begun UNION SELECT * FROM again", everything))
    forget_deadlines()


def forget_leases() -> None:
    from scheduler.cluster.workers.worker_lease import WorkerLease

    WorkerLease._give_up = lambda lease, why: None  # type: ignore[method-assign]
    forget_deadlines()


def forget_deadlines() -> None:
    """The guard ends nothing: it kills a frozen owner inside which a handler runs, which could not go on."""
    from scheduler.cluster.guard import Guard

    Guard.renewed = lambda guard, deadline: None  # type: ignore[method-assign]


def run_many() -> None:
    """Each line holds an environment and arguments; the answer is the exit code, or null after a while."""
    for name in USED:
        import_module(f"scheduler.{name}")
    for line in sys.stdin:
        environment, arguments = json.loads(line)
        if (pid := os.fork()) == 0:
            for standard in (0, 1, 2):
                os.dup2(os.open(os.devnull, os.O_RDWR), standard)
            os.environ.update(environment)
            sys.argv[1:] = arguments
            return
        print(json.dumps(_exit_code(pid)), flush=True)
    os._exit(0)


def _exit_code(pid: int) -> int | None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if (ended := os.waitpid(pid, os.WNOHANG))[0]:
            return os.waitstatus_to_exitcode(ended[1])
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


if __name__ == "__main__":
    values.seconds = lambda low=0.0: seconds(min(low, SHORTEST))
    send_twice()
    if sys.argv[1] == WITHOUT_NUMBERS:
        forget_numbers()
    if sys.argv[1] == WITHOUT_EPOCHS:
        forget_epochs()
    if sys.argv[1] == WITHOUT_LEASES:
        forget_leases()
    del sys.argv[1]
    if sys.argv[1:] == [MANY]:
        run_many()
    from tui.__main__ import main

    sys.exit(main())
