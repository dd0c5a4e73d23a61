"""Brings a snapshot back from a restic repository, its databases in their own places."""

import os
import shutil
from pathlib import Path
from typing import Any

from scheduler.core.task import Context
from scheduler.handlers.offsite_backup.files import STAGED
from scheduler.handlers.offsite_backup.options import Options
from scheduler.handlers.offsite_backup.restic import Restic
from scheduler.handlers.offsite_backup.restic_backup import tag


async def snapshots(ctx: Context, options: Options) -> list[dict[str, Any]]:
    """This citizen's snapshots, the oldest first: `short_id`, `id`, `time`."""
    found: list[dict[str, Any]] = []
    await Restic(ctx, options).run(
        Path("/"),
        *("snapshots", "--json", "--tag", tag(ctx.citizen)),
        listen=lambda message: found.extend(message.get("found", ())),
    )
    return sorted(found, key=lambda each: str(each["time"]))


async def unpack(ctx: Context, options: Options, snapshot: str, to: Path) -> None:
    """Everything in the snapshot, every hash compared; raises TaskFailed, and `to` is then incomplete."""
    await Restic(ctx, options).run(Path("/"), "restore", snapshot, "--target", str(to), "--verify")
    put_databases_back(to)


def put_databases_back(to: Path) -> None:
    """Move the copies of databases to where the databases were; folders keep their times."""
    staged = to / STAGED
    if not staged.is_dir():
        return
    for folder, _, names in os.walk(staged):
        for name in names:
            _move(Path(folder, name), to / Path(folder).relative_to(staged) / name)
    found = staged.parent.stat()
    shutil.rmtree(staged)
    os.utime(staged.parent, ns=(found.st_atime_ns, found.st_mtime_ns))


def _move(copy: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    before = place.parent.stat()
    copy.rename(place)
    os.utime(place.parent, ns=(before.st_atime_ns, before.st_mtime_ns))
