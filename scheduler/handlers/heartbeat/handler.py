"""heartbeat: checks the machine's disk, memory and load against limits, and whether the peers are awake."""

from asyncio import to_thread
from dataclasses import dataclass
from pathlib import Path

from scheduler.core.task import Context, Report
from scheduler.core.wording.text import ago, plural
from scheduler.errors import TaskFailed
from scheduler.handlers.heartbeat.options import Options
from scheduler.handlers.heartbeat.peers import Peer, check_peers
from scheduler.handlers.home_files import count_files
from scheduler.system.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Reading:
    """The measured values: shares in per cent, the load per processor."""

    disk: float
    memory: float
    swap: float = 0.0
    load: float = 0.0
    queued: int = 0
    peers: tuple[Peer, ...] = ()


async def heartbeat(ctx: Context) -> str | Report:
    """One line about the machine and the peers; a warning or a failure if a limit is exceeded."""
    options = ctx.options or Options()
    reading = await to_thread(measure, ctx.home, SystemClock.now(), options.peers)
    return evaluate(reading, options)


def measure(home: Path, now: float, peers: bool = True) -> Reading:
    """The present values; raises TaskFailed if the disk of `home` cannot be measured."""
    import psutil

    try:
        disk = psutil.disk_usage(str(home)).percent
    except OSError as error:
        raise TaskFailed(f"the disk of {home} cannot be measured: {error.strerror}") from error
    return Reading(
        disk=disk,
        memory=psutil.virtual_memory().percent,
        swap=psutil.swap_memory().percent,
        load=psutil.getloadavg()[1] / (psutil.cpu_count() or 1),
        queued=count_files(home / "tasks" / "queue"),
        peers=check_peers(home, now) if peers else (),
    )


def evaluate(reading: Reading, options: Options) -> str | Report:
    """The reading in one line, as a Report if it needs attention; raises TaskFailed past a failure limit."""
    if failures := _failures(reading, options):
        raise TaskFailed("; ".join(failures))
    warnings = _warnings(reading, options)
    line = ", ".join(filter(None, (_summary(reading), _peers_awake(reading, options))))
    return Report("; ".join((line, *warnings)), warning=True) if warnings else line


def _summary(reading: Reading) -> str:
    return f"disk {reading.disk:.0f}%, memory {reading.memory:.0f}%, load {reading.load:.1f}"


def _peers_awake(reading: Reading, options: Options) -> str:
    awake, known = sum(each.awake(options.peer_stale) for each in reading.peers), len(reading.peers)
    if not known:
        return ""
    peers = plural(known, "peer")
    return f"{peers} awake" if awake == known else f"{awake} of {peers} awake"


def _failures(reading: Reading, options: Options) -> list[str]:
    return [
        *_over("disk", reading.disk, options.disk_failure, "%"),
        *_over("memory", reading.memory, options.memory_failure, "%"),
        *_over("load", reading.load, options.load_failure),
    ]


def _warnings(reading: Reading, options: Options) -> list[str]:
    return [
        *_over("disk", reading.disk, options.disk_warning, "%"),
        *_over("memory", reading.memory, options.memory_warning, "%"),
        *_over("swap", reading.swap, options.swap_warning, "%"),
        *_over("load", reading.load, options.load_warning),
        *_over("files in tasks/queue:", reading.queued, options.queue_limit),
        *filter(None, (_peer_warning(peer, options.peer_stale) for peer in reading.peers)),
    ]


def _over(what: str, value: float, limit: float, unit: str = "") -> list[str]:
    return [f"{what} {value:.3g}{unit} is over {limit:g}{unit}"] if value > limit else []


def _peer_warning(peer: Peer, stale: float) -> str:
    if peer.gone:
        return f"{peer.name}: the process that ran it is gone"
    if peer.asleep is not None and peer.asleep > stale:
        return f"{peer.name}: last wake {ago(peer.asleep)} ago"
    return ""
