"""The negative control: the same program, but leases are trusted for ever and writes are not fenced."""

from scheduler.cluster import fence, leases
from tui.__main__ import main

leases.Lease.held = property(lambda lease: True)  # type: ignore[method-assign, assignment]
leases.Lease.lose = leases.Lease._over = lambda lease: None  # type: ignore[method-assign]
for name in ("_ENDS", "_STARTS"):
    text = getattr(fence, name)
    begin = text.index("SELECT citizen, epoch FROM experience.owners")
    end = text.index("FOR SHARE)", begin) + len("FOR SHARE)")
    text = f"{text[:begin]}SELECT DISTINCT citizen, epoch FROM batch){text[end:]}"
    everything = "SELECT citizen, task FROM allowed"
    setattr(fence, name, text.replace("SELECT * FROM begun UNION SELECT * FROM again", everything))

if __name__ == "__main__":
    main()
