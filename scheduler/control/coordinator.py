"""Chooses what decides whether this process may run a citizen: locks, or the database that machines share."""

from collections.abc import Callable, Coroutine
from typing import Any

from scheduler.config.settings import EngineSettings
from scheduler.ownership.coordinator import Coordinator, LocalCoordinator
from scheduler.ownership.stream import RemoteStream


def coordinator_of(
    engine: EngineSettings | None,
    local: LocalCoordinator,
    calls: Callable[[], int],
    let_go: Callable[[str, str, bool], None],
    accept: Callable[[str, RemoteStream, str], Coroutine[Any, Any, None]],
) -> Coordinator:
    """What decides whether this process may run a citizen, by its settings.

    `calls` counts the handlers inside this process; `let_go` hears which citizen it has to stop, why, and
    whether its runs have time to end. `accept` serves a client of another machine: its citizen, its stream,
    and who it is.
    """
    if engine is None:
        return local
    # An extra: PostgreSQL's client is installed only with it.
    from scheduler.cluster.coordinator import ClusterCoordinator

    return ClusterCoordinator(local, engine, calls, let_go, accept)
