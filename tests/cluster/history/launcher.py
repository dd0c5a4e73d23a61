"""The program as the tests of many machines start it: with leases of less than three seconds, if asked.

What processes say to each other is sent twice, as after answers that were lost. Negative controls:
`without-epochs` trusts leases for ever, and fences no write; with `without-leases` workers do not end what
they may no longer carry, nor does their guard; `without-numbers` obeys a verb that comes twice twice.
"""

import sys

from scheduler.schema import values

FOR_EVER = 1e9  # of the clock of leases
SHORTEST = 0.5  # seconds of a lease: tests have no time for three
WITHOUT_EPOCHS = "without-epochs"
WITHOUT_LEASES = "without-leases"
WITHOUT_NUMBERS = "without-numbers"
seconds = values.seconds


def send_twice() -> None:
    from scheduler.cluster import bus

    bus._SEND = bus._SEND.replace("%(rows)s) WITH", "%(rows)s || %(rows)s) WITH")


def forget_numbers() -> None:
    from scheduler.cluster.bus import Bus

    Bus._is_known = lambda bus, session, number: False  # type: ignore[method-assign]


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


def forget_leases() -> None:
    from scheduler.cluster.guard import Guard
    from scheduler.cluster.workers.worker_lease import WorkerLease

    WorkerLease._give_up = lambda lease, why: None  # type: ignore[method-assign]
    Guard.renewed = lambda guard, deadline: None  # type: ignore[method-assign]


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
    from tui.__main__ import main

    sys.exit(main())
