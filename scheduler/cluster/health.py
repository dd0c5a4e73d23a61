"""Problems of the shared database and between machines, each in one line with the fix."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

import psycopg

from scheduler.cluster.database import Database, one
from scheduler.cluster.presence import same_name
from scheduler.errors import DatabaseAway

_SESSION = """
SELECT coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false), host(inet_client_addr()),
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'
"""
# Rolled back; it fails if a write would find no room.
_ROOM = "CREATE TEMP TABLE room ON COMMIT DROP AS SELECT repeat('x', 2000) FROM generate_series(1, 100)"
_MACHINES = """
SELECT name, pid, boot, version FROM experience.machines
WHERE seen > clock_timestamp() - make_interval(secs => seconds) ORDER BY name, pid
"""


async def problems(database: Database) -> list[str]:
    """Return the problems that a person has to fix; raises DatabaseAway."""
    ((encrypted, client, read_only),) = await database.rows(_SESSION)
    machines = await database.rows(_MACHINES)
    found = [*_about_session(database.name, encrypted, client, read_only), *_about_machines(machines)]
    if not read_only:
        found += [*await _about_room(database), *await _about_copies(database)]
    return list(dict.fromkeys(found))


async def _about_room(database: Database) -> list[str]:
    try:
        async with database.connection() as connection, connection.transaction(force_rollback=True):
            await connection.execute(_ROOM)
    except DatabaseAway as error:
        return [str(error)] if isinstance(error.__cause__, psycopg.errors.DiskFull) else []
    return []


async def _about_copies(database: Database) -> list[str]:
    async with database.connection() as connection:
        (server,) = await one(connection, "SELECT experience.server()")
        replaced = await database.replaced(connection, server)
    return [replaced] if replaced else []


def _about_session(name: str, encrypted: bool, client: str | None, read_only: bool) -> Iterator[str]:
    if client and not encrypted and not ip_address(client).is_loopback:
        yield f"{name} is reached without TLS: add ?sslmode=verify-full to [engine] url"
    if read_only:
        yield f"{name} is read-only, maybe a replica: point [engine] url at the primary"


def _about_machines(machines: Iterable[tuple[str, int, str, str]]) -> Iterator[str]:
    boots: dict[str, set[str]] = defaultdict(set)
    versions: dict[str, set[str]] = defaultdict(set)
    for name, pid, boot, version in machines:
        if boots[name] and boot not in boots[name]:
            yield same_name(name, pid)
        boots[name].add(boot)
        versions[version].add(name)
    if len(versions) > 1:
        each = ", ".join(
            f"{version} on {' and '.join(sorted(versions[version]))}" for version in sorted(versions)
        )
        yield f"machines run different versions: {each}; update the older ones"
