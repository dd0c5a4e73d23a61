"""Sentences about machines, not yet cleaned, for the frames, the first lines and the lower part."""

from collections.abc import Iterator

from scheduler.core.machines import Cluster, Host, Machine, Queue
from tui.common import text as words

NEWS = 600.0  # seconds for which a move is news
DAY = 86400.0
MOST_AHEAD = 1.0  # seconds that two clocks may differ without a warning


def seat(host: Host, here: bool, now: float) -> tuple[str, ...]:
    """Where a citizen runs, for its frame: in full, then ever shorter; each one names the machine."""
    name = host.machine
    if host.silent_since is not None:
        return f"{name} · silent {words.ago(now - host.silent_since)}", f"{name} · silent", name
    if here:
        return f"{name} · runs here: closing stops it", f"{name} · here", name
    return (f"{name} · pid {host.pid}", name) if host.pid else (name,)


def aside(host: Host, now: float) -> str:
    """The right end of the frame: where else the citizen may run, or when it moved."""
    if host.silent_since is not None:
        return "" if host.others else "stays: own home"
    if host.moved_from and NEWS <= now - host.moved_at < DAY:
        return f"moved {words.ago(now - host.moved_at)} ago"
    return f"or on {', '.join(host.others)}" if host.moved_from and host.others else ""


def is_news(host: Host, now: float) -> bool:
    """Whether the citizen has just moved."""
    return bool(host.moved_from) and 0 <= now - host.moved_at < NEWS


def silence(host: Host) -> str:
    assert host.silent_since is not None
    return f"{host.machine} is silent: as of {words.wall(host.silent_since)}"


def verdict(cluster: Cluster, now: float) -> str:
    """The worst problem of all machines in one sentence; empty if all is well."""
    if cluster.away_since is not None:
        return f"{answers(cluster)}: nothing new is started"
    if not cluster.silent:
        return ""
    machine = min(cluster.silent, key=lambda one: one.heard)
    fates = [_fate(name, host, machine.name) for name, host in sorted(cluster.hosts.items())]
    fated = ", ".join(fate for fate in fates if fate)
    said = f"{machine.name} is silent for {words.ago(now - machine.heard)}"
    return f"{said}: {fated}" if fated else said


def _fate(citizen: str, host: Host, machine: str) -> str:
    """What happens to a citizen of the silent machine; empty if it is not affected."""
    if host.machine == machine and host.silent_since is not None:
        why = f"moves to {host.others[0]}" if host.others else f"waits (its home is only on {machine})"
        return f"{citizen} {why}"
    if host.moved_from == machine:
        return f"{citizen} runs on {host.machine} since {words.wall(host.moved_at)}"
    return ""


def says(machine: Machine, cluster: Cluster, now: float) -> str:
    """The state of a machine, for its line."""
    if machine.problem and not machine.silent:
        return machine.problem
    if machine.silent:
        fates = [_short_fate(name, host, machine.name) for name, host in sorted(cluster.hosts.items())]
        fated = ", ".join(fate for fate in fates if fate)
        return f"silent since {words.wall(machine.heard)}" + (f": {fated}" if fated else "")
    if machine.queues:
        runs = f": runs {', '.join(machine.carries)}" if machine.carries else ": nothing to do"
        return f"worker for {', '.join(machine.queues)}{runs}"
    moved = [h for n, h in cluster.hosts.items() if n in machine.citizens and is_news(h, now)]
    said = words.plural(len(machine.citizens), "citizen")
    if not moved:
        return said
    newest = max(host.moved_at for host in moved)
    return f"{said}, {len(moved):,} moved here at {words.wall(newest)}"


def _short_fate(citizen: str, host: Host, machine: str) -> str:
    if host.machine == machine and host.silent_since is not None:
        return f"{citizen} stays" if not host.others else f"{citizen} moves"
    return f"{citizen} moved" if host.moved_from == machine else ""


def queue_says(queue: Queue) -> str:
    if queue.next:
        return f"next {queue.next}"
    if not queue.workers:
        return "nothing is lost: runs wait until a worker comes"
    return ""


def news(cluster: Cluster, now: float) -> Iterator[tuple[float, str, str, str]]:
    """Recent machine events: time, machine, words and style; the newest last."""
    happened = [
        (m.heard, m.name, f"silent; last heard {words.wall(m.heard)}", "warning") for m in cluster.silent
    ]
    happened += [
        (host.moved_at, citizen, f"moved from {host.moved_from} to {host.machine}", "running")
        for citizen, host in cluster.hosts.items()
        if host.moved_from and now - host.moved_at < DAY
    ]
    return iter(sorted(happened))


def answers(cluster: Cluster) -> str:
    """The state of the database in a few words, for the frame."""
    if cluster.away_since is not None:
        return f"{cluster.database} does not answer since {words.wall(cluster.away_since)}"
    took = "" if cluster.answered is None else f" answers in {words.took(max(0.001, cluster.answered))}"
    return f"{cluster.database}{took}"


def on_machines(cluster: Cluster) -> int:
    """How many machines run citizens, counting those that fell silent."""
    return len([machine for machine in cluster.machines if machine.citizens or not machine.queues])
