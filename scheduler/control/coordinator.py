"""Chooses how it is decided whether this process may run a citizen: by locks or by a shared database."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from scheduler.config.settings import CitizenSettings, EngineSettings
from scheduler.ownership.coordinator import Coordinator, LocalCoordinator
from scheduler.ownership.stream import RemoteStream
from scheduler.storage.file_copies import NO_COPIES, FileCopies
from scheduler.storage.shared_home import shared_home


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


def copies_of(engine: EngineSettings | None) -> Callable[[CitizenSettings | None], FileCopies]:
    """Copies, for other machines, of a command's files about a citizen (None: about all citizens)."""
    if engine is None:
        return lambda citizen: NO_COPIES
    from scheduler.cluster.database import Database
    from scheduler.cluster.shared_files import ROOT, Notes

    notes = Notes(Database(engine.url))

    def copies(citizen: CitizenSettings | None) -> FileCopies:
        if citizen is None:
            return notes.of(ROOT)
        return notes.of(citizen.name) if shared_home(citizen.home) else NO_COPIES

    return copies
