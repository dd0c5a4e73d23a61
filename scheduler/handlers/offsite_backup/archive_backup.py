"""A backup as a .tar.gz in a folder: written beside its place, read back, and only then given its name."""

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from scheduler.core.task import Context, Report
from scheduler.errors import TaskFailed
from scheduler.handlers.net.cancellable import Stop, go_on, on_thread
from scheduler.handlers.offsite_backup.archive import Damaged, Writer, compare
from scheduler.handlers.offsite_backup.databases import clear, copy_databases
from scheduler.handlers.offsite_backup.files import Entry, Part, rules, walk
from scheduler.handlers.offsite_backup.options import Options
from scheduler.handlers.offsite_backup.words import Missing, cannot, files, report, size
from scheduler.system.clock import SystemClock


async def back_up(ctx: Context, options: Options) -> str | Report:
    """What was written and verified; raises TaskFailed, and leaves the earlier backups as they were."""
    return await on_thread(partial(write, ctx, options), "offsite_backup")


def write(ctx: Context, options: Options, stop: Stop) -> str | Report:
    """The same, on this thread, until `stop` says so: then it raises Stopped."""
    folder = options.directory or Path()
    if not folder.is_dir():
        raise TaskFailed(f"there is no folder {folder} for the backups; mount it, or make it")
    final = folder / f"{ctx.citizen}-{datetime.fromtimestamp(SystemClock.now(), UTC):%Y%m%dT%H%M%SZ}.tar.gz"
    unfinished = folder / f".{final.name}.partial"
    try:
        for left in folder.glob(f".{ctx.citizen}-????????T??????Z.tar.gz.partial"):
            left.unlink()  # of a run that was killed
        text, missing = _written(ctx, options, unfinished, final, stop)
        return report(f"{text}; {_forget(ctx.citizen, folder, options.keep)}", missing)
    except OSError as error:
        raise TaskFailed(f"{cannot(error, folder)}; the earlier backups are as they were") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        with suppress(OSError):
            clear(ctx.home)


def archives(citizen: str, folder: Path) -> list[Path]:
    """The finished backups of this citizen, the oldest first."""
    name = re.compile(re.escape(citizen) + r"-\d{8}T\d{6}Z\.tar\.gz")
    return sorted(each for each in folder.iterdir() if name.fullmatch(each.name))


def _written(ctx: Context, options: Options, to: Path, final: Path, stop: Stop) -> tuple[str, Missing]:
    missing = Missing()
    found = _look(ctx, options, missing, stop)
    databases = (each for each in found if each.part is Part.COPY)
    copies = copy_databases(ctx.home, databases, missing.add, stop)
    total = sum(each.size for each in found)
    with Writer(to, missing.add, stop) as writer:
        for entry in found:
            ctx.progress(writer.bytes, 2 * total, entry.path)
            if entry.part is Part.KEEP:
                writer.add(entry, ctx.home / entry.path)
            elif entry.path in copies:
                writer.add(entry, copies[entry.path])
    _verify(ctx, to, writer, total, stop)
    _publish(to, final)
    where = f"{final.name} ({size(final.stat().st_size)})"
    return f"{files(writer.files)}, {size(writer.bytes)}, in {where}, verified", missing


def _look(ctx: Context, options: Options, missing: Missing, stop: Stop) -> list[Entry]:
    found = []
    for entry in walk(ctx.home, rules(ctx.home, options.exclude, [options.directory or Path()]), missing.add):
        go_on(stop)
        found.append(entry)
    return found


def _verify(ctx: Context, file: Path, writer: Writer, total: int, stop: Stop) -> None:
    def read(count: int, name: str) -> None:
        go_on(stop)
        ctx.progress(total + count, 2 * total, f"verifying {name}")

    try:
        compare(file, writer.digests, read)
    except Damaged as error:
        raise TaskFailed(f"what was read back is not what was written: {error}; check the disk") from error


def _publish(unfinished: Path, final: Path) -> None:
    unfinished.replace(final)
    handle = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _forget(citizen: str, folder: Path, keep: int) -> str:
    """Remove the oldest; only now that there is a new one which is known to be good."""
    every = archives(citizen, folder)
    for old in every[:-keep]:
        old.unlink()
    return f"{len(every[-keep:])} kept"
