"""The keys that tasks and the wake share: what runs, when, how long, and what follows a failure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from scheduler.agents import FILE, PROGRAMS
from scheduler.config.sections.services import PINGS, secret_address, subset_of
from scheduler.config.times import Times
from scheduler.schema.table import At, Nested, Problems, Table, key, read, table_of
from scheduler.schema.values import (
    Flag,
    Text,
    argv_of,
    flag,
    integer,
    name_of,
    one_of,
    pairs,
    path,
    seconds,
    text,
)


class WorkTable(Times):
    """The keys that say what runs, at which times, what its cost is known by, and whom it asks."""

    report: Annotated[str, one_of((*PROGRAMS, FILE))] = key(
        "", 'Whose output tells the cost; "file": EXPERIENCE_REPORT.'
    )
    provider: Annotated[str, name_of("provider", "anthropic")] = key(
        "", "The service that it calls, such as anthropic."
    )

    command: Annotated[tuple[str, ...] | None, argv_of] = key(
        None, "The program and its arguments; no shell."
    )
    handler: Annotated[str | None, text] = key(None, '"module:function" or "path/file.py:function".')
    isolated: Flag = key(False, "Run a module:function in a process of its own.")
    environment: Annotated[Mapping[str, str] | None, pairs] = key(None, "Variables for the command.")
    inherit_environment: Annotated[bool | None, flag] = key(None, "false: only its own variables.")
    working_folder: Annotated[Path | None, path] = key(None, "Where the command runs; else the home.")


class OnFailureTable(Table):
    """The keys of `on_failure`."""

    pause_after: Annotated[int, integer(0, 1000)] = key(
        0, "Paused after so many failures in a row; 0: never."
    )


class RunTable(WorkTable):
    """The keys of a run that do not depend on whose it is."""

    retries: Annotated[int, integer(0, 100)] = key(0, "How often a failed run is tried again.")
    retry_delay: Annotated[float, seconds()] = key(30.0, "The wait before the first retry; it doubles.")
    on_failure: Annotated[Nested, table_of(OnFailureTable)] = key(None, "What follows a failure.")
    jitter: Annotated[float, seconds()] = key(0.0, "Spreads starts over this long.")
    catch_up: Flag = key(True, "false: skip what was missed while nothing ran.")
    enabled: Flag = key(True, "false: only by force.")
    description: Text = key("", "A few words for the screen.")
    ping: Annotated[str, secret_address] = key(
        "", "A URL that is requested after runs, see ping_on; a secret."
    )
    ping_on: Annotated[frozenset[str], subset_of(PINGS)] = key(
        frozenset(("ok", "failed")), "Which events request it."
    )


def pause_after(table: RunTable, at: At, problems: Problems) -> int:
    """The failures in a row after which it is paused; 0: never."""
    return read(OnFailureTable, table.on_failure or {}, (*at, "on_failure"), problems).pause_after
