"""The rows of providers that are away. Their moments are kept as seconds from the database's clock.

A probe lasts as long as the process that began it is heard of; a young one lasts in any case, since its
process may not have been heard of yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import UUID

from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from scheduler.cluster.bus import CHANNEL, NOTE
from scheduler.cluster.database import Connection
from scheduler.cluster.fence import storable
from scheduler.providers.decisions import Decision, admission
from scheduler.providers.outage import Outage, Probe, moved
from scheduler.schema.json_codec import InvalidJson, from_json, to_json
from scheduler.system.clock import Clock

T = TypeVar("T")

LOCKS = 7042616  # the class of the locks under which a provider's row is changed
_LOCK = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
_READ = """
SELECT provider, outage, run, extract(epoch FROM clock_timestamp() - noted)::float8,
    noted > clock_timestamp() - make_interval(secs => %(young)s)
    OR EXISTS (SELECT FROM experience.machines m WHERE m.holder = p.holder
        AND m.seen > clock_timestamp() - make_interval(secs => m.seconds))
    OR EXISTS (SELECT FROM experience.workers w WHERE w.id = p.holder AND w.until > clock_timestamp())
FROM experience.providers p WHERE %(provider)s::text IS NULL OR provider = %(provider)s
"""
_TOLD = f"SELECT pg_notify('{CHANNEL}', '{NOTE} ') FROM done"
_KEEP = f"""
WITH done AS (
    INSERT INTO experience.providers AS p (provider, outage, noted, run, holder)
    VALUES (%(provider)s, %(outage)s, clock_timestamp(), %(run)s, %(holder)s)
    ON CONFLICT (provider) DO UPDATE SET outage = excluded.outage, noted = excluded.noted, run = excluded.run,
        holder = CASE WHEN p.run = excluded.run THEN p.holder ELSE excluded.holder END
    RETURNING 1)
{_TOLD}
"""
_REMOVE = f"WITH done AS (DELETE FROM experience.providers WHERE provider = %(provider)s RETURNING 1) {_TOLD}"


@dataclass(frozen=True, slots=True)
class Noter:
    """A process that notes outages: its id and clock, and the seconds for which it may be silent."""

    holder: UUID
    clock: Clock
    failover: float


@dataclass(frozen=True, slots=True)
class Noted:
    """An outage by the clock of this machine, and whether its probe is alive."""

    outage: Outage
    alive: bool


async def read(connection: Connection, noter: Noter, provider: str | None = None) -> dict[str, Noted]:
    """Return the outage of this provider, or of all."""
    asked = {"young": noter.failover, "provider": provider}
    rows = await (await connection.execute(_READ, asked)).fetchall()
    now = noter.clock.now()
    found = (_noted(row, now) for row in rows)
    return {each.outage.provider: each for each in found if each}


async def begin(connection: Connection, noter: Noter, provider: str, run: Probe) -> Outage | None:
    """None if the run may begin, perhaps as the probe; else the outage it waits for."""
    return (await change(connection, noter, provider, admission(run)))[1]


async def change(
    connection: Connection, noter: Noter, provider: str, decide: Decision[T]
) -> tuple[Outage | None, T]:
    """Keep what the decision returns; return that and its answer. No other process changes it meanwhile."""
    async with connection.transaction():
        await connection.execute(_LOCK, (LOCKS, provider))
        noted = (await read(connection, noter, provider)).get(provider)
        before, now = noted.outage if noted else None, noter.clock.now()
        after, answer = decide(before, now, lambda process: noted is not None and noted.alive)
        if after is None and before is not None:
            await connection.execute(_REMOVE, {"provider": provider})
        elif after is not None and after is not before:
            await connection.execute(_KEEP, _values(after, now, noter))
    return after, answer


def _values(outage: Outage, now: float, noter: Noter) -> Mapping[str, Any]:
    return {
        "provider": outage.provider,
        "outage": Jsonb(storable(to_json(moved(outage, -now)))),
        "run": outage.probe.run if outage.probe else "",
        "holder": noter.holder,
    }


def _noted(row: TupleRow, now: float) -> Noted | None:
    provider, raw, run, age, alive = row
    try:
        found = moved(from_json(Outage, raw), now - age)
    except InvalidJson:  # any user of the database can write anything
        return None
    probe = found.probe if found.probe and found.probe.run == run else None
    return Noted(replace(found, provider=provider, probe=probe), alive)
