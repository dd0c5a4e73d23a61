"""Chooses how it is decided whether this process may run a citizen: by locks or by a shared database."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from scheduler.config.settings import EngineSettings, Settings
from scheduler.core.ports import FleetOptions
from scheduler.ownership.coordinator import Coordinator, LocalCoordinator
from scheduler.ownership.stream import RemoteStream
from scheduler.system.clock import SystemClock


def coordinator_of(
    engine: EngineSettings | None,
    root: Path,
    local: LocalCoordinator,
    look: Callable[[], None],
    let_go: Callable[[str, str, bool], None],
    accept: Callable[[str, RemoteStream, str], Coroutine[Any, Any, None]],
) -> Coordinator:
    """Return the coordinator that the settings choose: it decides whether this process may run a citizen.

    `look` is called when files of homes have changed. `let_go`
    gets the citizen to stop, why, and whether its runs have time to end. `accept` serves a client
    of another machine, given its citizen, its stream, and who it is.
    """
    if engine is None:
        return local
    # Optional: PostgreSQL's client is installed only with the extra.
    from scheduler.cluster.coordinator import ClusterCoordinator

    return ClusterCoordinator(local, engine, root, look, let_go, accept)


def coordinator_of_a_command(settings: Settings) -> Coordinator:
    """Return the coordinator of a process that owns nothing, but reaches owners on other machines.

    What it changes in files is copied for those.
    """

    async def refuse(name: str, stream: RemoteStream, asked_by: str) -> None:
        stream.abort()

    local = LocalCoordinator(FleetOptions(), SystemClock())
    return coordinator_of(settings.engine, settings.root, local, lambda: None, lambda *_: None, refuse)
