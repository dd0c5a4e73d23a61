"""Loads all settings; the first call imports pydantic (150 ms), on the calling thread."""

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from scheduler.config.files import Files, Unusable, main_candidates
from scheduler.config.settings import CitizenSettings, Settings, fingerprint, taken_up, takes_away
from scheduler.core.ui_options import Monitor
from scheduler.errors import BadSettings

__all__ = [
    "CitizenSettings",
    "Settings",
    "fingerprint",
    "load",
    "load_or_raise",
    "peek",
    "taken_up",
    "takes_away",
]


def load(
    *,
    config: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    only: Collection[str] = (),
    create: bool = False,
) -> Settings:
    """All settings, and all problems in them; a bad file raises nothing.

    `only` limits the load to these citizens; `create` makes missing homes, and a first citizen.
    """
    from scheduler.config.main_file import load_all

    return load_all(config, environ, only, create=create)


def load_or_raise(
    *, config: Path | None = None, environ: Mapping[str, str] = os.environ, only: Collection[str] = ()
) -> Settings:
    """The settings, if nothing at all is wrong with them; raises BadSettings with every problem."""
    settings = load(config=config, environ=environ, only=only)
    own = (line for each in settings.citizens for line in each.problems)
    if problems := tuple(dict.fromkeys((*settings.problems, *own))):
        raise BadSettings(problems)
    return settings


def peek(config: Path | None, environ: Mapping[str, str] = os.environ) -> Monitor:
    """The monitor's options for the first frame, from the main file alone; problems are ignored."""
    files = Files()
    for each in main_candidates(config, environ):
        try:
            tables = files.toml(str(each))
        except Unusable:
            break
        if tables is not None:
            return _peeked(tables)
    return Monitor()


def _peeked(tables: Mapping[str, object]) -> Monitor:
    keys, table = tables.get("keys"), tables.get("monitor")
    if keys is table is None:
        return Monitor()
    from scheduler.config.ui import monitor

    found = monitor(keys if isinstance(keys, dict) else {}, table if isinstance(table, dict) else {}, "")
    return replace(found, problems=())
