"""Backs up to a restic repository: makes a snapshot, reads it back, and only then removes the oldest."""

import asyncio
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from scheduler.core.task import Context, Report
from scheduler.core.wording.text import size
from scheduler.errors import TaskFailed
from scheduler.handlers.net.cancellable import Stop, on_thread, raise_if_stopped
from scheduler.handlers.offsite_backup.archive_restore import SET_ID
from scheduler.handlers.offsite_backup.databases import clear, copy_databases
from scheduler.handlers.offsite_backup.files import (
    OWN,
    STAGED,
    Entry,
    Missing,
    Part,
    files,
    no_backup,
    own_folder,
    report,
    rules,
    walk,
)
from scheduler.handlers.offsite_backup.options import Options
from scheduler.handlers.offsite_backup.place import MOST, in_order
from scheduler.handlers.offsite_backup.restic import NoRepository, Restic
from scheduler.system.clock import SystemClock
from scheduler.system.files import read_json, replace_file, write_json
from scheduler.system.foreign_home import Place, below, closed_after, open_folder

KNOWN = "repository.json"  # names the known repository: if that is gone, no new one is made

SHORT = 8  # digits of a snapshot's id; early versions of restic report no more after a backup

KEEPS_ODD_LINKS = (0, 16)


async def back_up(ctx: Context, options: Options) -> str | Report:
    """One line on what was backed up and verified; raises TaskFailed."""
    restic, missing = Restic(ctx, options), Missing()
    ctx.progress(0, 0, "opening the repository")
    await _open(ctx, restic, options)
    try:
        excludes, odd_links = await on_thread(partial(_prepare, ctx, options, missing), "offsite_backup")
        if odd_links and await restic.version() < KEEPS_ODD_LINKS:
            for link in odd_links:
                missing.add(link, "restic before 0.16 gets a link wrong whose target is not UTF-8")
        summary = await _back_up(ctx, restic, excludes, missing)
    except OSError as error:
        raise TaskFailed(no_backup(error, ctx.home)) from error
    finally:
        with suppress(OSError):
            await asyncio.to_thread(clear, ctx.home)
    new = str(summary["snapshot_id"])[:SHORT]
    await asyncio.to_thread(_remember, ctx.home, new)
    read = await _verify(ctx, restic, options)
    warning = await _remove_oldest(ctx, restic, options, new)
    processed, new = summary["total_bytes_processed"], summary.get("data_added", 0)
    text = f"{files(summary['total_files_processed'])}, {size(processed)} ({size(new)} new), {read}"
    return report(text, missing, *([warning] if warning else []))


def tag(citizen: str) -> str:
    """The tag of this citizen's snapshots in a shared repository."""
    return f"experience-{citizen}"


# ------------------------------------------------------------------ the repository


async def _open(ctx: Context, restic: Restic, options: Options) -> None:
    """Make sure that there is a repository and that the password opens it."""
    note, place = ctx.home / OWN / KNOWN, hashlib.sha256(str(options.repository).encode()).hexdigest()
    try:
        await restic.run(ctx.home, "unlock")  # removes only dead locks; checks the password, too
    except NoRepository as error:
        if read_json(note, {}).get("place") == place:
            raise TaskFailed(
                f"the repository that was there is gone; is its disk mounted? For a new one remove {note}"
            ) from error
        await restic.run(ctx.home, "init")
    own_folder(ctx.home)
    known = read_json(note, {})
    write_json(note, known if known.get("place") == place else {"place": place})


async def _back_up(ctx: Context, restic: Restic, excludes: Path, missing: Missing) -> Mapping[str, Any]:
    """Make a snapshot; returns restic's own summary of it."""
    summary: dict[str, Any] = {}

    def listen(message: Mapping[str, Any]) -> None:
        match message.get("message_type"):
            case "status":
                done, total = message.get("bytes_done", 0), message.get("total_bytes", 0)
                ctx.progress(done, total, str(next(iter(message.get("current_files") or ()), "")))
            case "error":
                missing.add(
                    str(message.get("item", "?")).removeprefix(f"{ctx.home}/"), _why(message.get("error"))
                )
            case "summary":
                summary.update(message)

    words = ("backup", "--json", "--tag", tag(ctx.citizen), "--exclude-file", str(excludes), ".")
    ended = await restic.run(ctx.home, *words, listen=listen)
    if ended.code == 3 and not missing.count:
        missing.add("some files", ended.last_line)
    if "snapshot_id" not in summary:
        raise TaskFailed(f"restic named no snapshot, so there is no backup: {ended.last_line}")
    return summary


async def _verify(ctx: Context, restic: Restic, options: Options) -> str:
    """A text on how much was read back; raises TaskFailed if the check fails."""
    ctx.progress(0, 0, "verifying")
    share = f"{options.check:g}%"
    subset = (f"--read-data-subset={share}",) if options.check else ()
    try:
        await restic.run_alone(ctx.home, "check", *subset)
    except TaskFailed as error:
        raise TaskFailed(f"saved, but not verified: {error}") from error
    return f"verified, {share} of the data read back" if options.check else "structure verified"


async def _remove_oldest(ctx: Context, restic: Restic, options: Options, new: str) -> str:
    """Remove the oldest snapshots and the data only they used; returns a warning, or ""."""
    ctx.progress(0, 0, "removing old backups")
    try:
        found = await snapshots(ctx, options)
        # A snapshot with other tags is a person's. Not --keep-last, which goes by the snapshots' times.
        ours = [each["id"] for each in found if each.get("tags") == [tag(ctx.citizen)]]
        before = [each for each in ours if not each.startswith(new)]
        if old := before[: max(0, len(before) + 1 - options.keep)]:
            await restic.run_alone(ctx.home, "forget", *old, "--prune")
    except TaskFailed as error:
        return f"old backups are still there: {error}"
    return ""


# ------------------------------------------------------------------ what restic leaves out


def _prepare(ctx: Context, options: Options, missing: Missing, stop: Stop) -> tuple[Path, list[str]]:
    """Copy the databases and write the exclusions; returns their file, and the links with odd targets."""
    target = ctx.home / (options.repository or "").removeprefix("local:")  # it may lie inside the home
    ruled = rules(ctx.home, options.exclude, [target])
    special: list[Entry] = []
    odd_links: list[str] = []
    for entry in walk(ctx.home, ruled, lambda path, why: None):  # restic reports these itself
        raise_if_stopped(stop)
        if entry.part is not Part.KEEP:
            special.append(entry)
        elif stat.S_ISLNK(entry.stat.st_mode) and _is_odd(ctx.home / entry.path):
            odd_links.append(entry.path)
    databases = [each for each in special if each.part is Part.COPY]
    copies = copy_databases(ctx.home, databases, missing.add, stop)
    plain = {path for path, source in copies.items() if source == ctx.home / path}
    exact = [each.path for each in special if each.path not in plain]
    return _written(ctx.home, [*ruled.patterns], exact), odd_links


def _is_odd(link: Path) -> bool:
    try:
        os.fsencode(link.readlink()).decode()
    except UnicodeDecodeError:
        return True
    except OSError:
        return False  # gone again
    return False


def _written(home: Path, patterns: list[str], exact: list[str]) -> Path:
    lines = [
        *(_as_restic_pattern(home, each) for each in patterns),
        *(_escaped(os.fsencode(home / each)) for each in exact),
    ]
    file = home / OWN / "exclude"
    replace_file(file, b"".join(line + b"\n" for line in lines), durable=False, make=True)
    return file


def _as_restic_pattern(home: Path, pattern: str) -> bytes:
    anywhere = "/" not in pattern.rstrip("/")
    escaped = _escaped(os.fsencode(pattern.strip("/"))).replace(b"\\*", b"*").replace(b"\\?", b"?")
    return _escaped(os.fsencode(home)) + (b"/**/" if anywhere else b"/") + escaped


def _escaped(path: bytes) -> bytes:
    """The path as a line for restic, which strips trailing blanks and expands wildcards and $NAMEs."""
    path = re.sub(rb"([\\*?\[\]])", rb"\\\1", path).replace(b"$", b"$$")
    path = path.replace(b"\n", b"[\t-\x0b]").replace(b"\r", b"[\x0c-\x0e]")
    return re.sub(rb"[ \t]$", lambda blank: b"[" + blank[0] + b"]", path)


def _why(error: object) -> str:
    """The reason in restic's message, which is Go's own error: {"Op": "open", "Path": ..., "Err": 13}."""
    number = error.get("Err") if isinstance(error, dict) else None
    if isinstance(number, int):
        return os.strerror(number)
    return str(error.get("message", "cannot be read")) if isinstance(error, dict) else "cannot be read"


async def snapshots(ctx: Context, options: Options) -> list[dict[str, Any]]:
    """This citizen's snapshots, oldest first: `short_id`, `id`, `time`."""
    found: list[dict[str, Any]] = []
    await Restic(ctx, options).run(
        Path("/"),
        *("snapshots", "--json", "--tag", tag(ctx.citizen)),
        listen=lambda message: found.extend(message.get("found", ())),
    )
    return in_order(found, _made(ctx.home), lambda each: str(each["id"])[:SHORT], _moment, SystemClock.now())


def _moment(snapshot: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(str(snapshot["time"])).timestamp()


def _made(home: Path) -> list[str]:
    """The snapshots of this home in the order made, which their times may not show."""
    made = read_json(home / OWN / KNOWN, {}).get("made")
    return [each for each in made if isinstance(each, str)] if isinstance(made, list) else []


def _remember(home: Path, snapshot: str) -> None:
    note = home / OWN / KNOWN
    with suppress(OSError):  # the order then follows the times
        write_json(note, {**read_json(note, {}), "made": [*_made(home), snapshot[:SHORT]][-MOST:]})


async def unpack(ctx: Context, options: Options, snapshot: str, to: Path) -> None:
    """Unpack the snapshot, comparing every hash; raises TaskFailed, and `to` is then incomplete."""
    await Restic(ctx, options).run(Path("/"), "restore", snapshot, "--target", str(to), "--verify")
    with open_folder(to) as at:
        try:
            restore_databases(at)
        except NotADirectoryError as error:
            raise TaskFailed(
                f"{to} is incomplete: {error.filename} lies below a link of the snapshot"
            ) from error
        remove_set_id(at)


def restore_databases(to: Place) -> None:
    """Move the copies of databases into the databases' places; folders keep their times."""
    with ExitStack() as stack:
        try:
            staged = stack.enter_context(below(to, STAGED))
        except FileNotFoundError:
            return
        found = staged.status()
        if found is None or not stat.S_ISDIR(found.st_mode):
            return
        before = os.stat(".", dir_fd=staged.folder)
        for folder, _, names, descriptor in os.fwalk(staged.name, dir_fd=staged.folder):
            inside = folder.removeprefix(staged.name).strip("/")
            for name in names:
                _move(Place(descriptor, name), to, f"{inside}/{name}" if inside else name)
        shutil.rmtree(staged.name, dir_fd=staged.folder)
        os.utime(".", ns=(before.st_atime_ns, before.st_mtime_ns), dir_fd=staged.folder)


def _move(copy: Place, to: Place, name: str) -> None:
    with below(to, name, make=True) as place:
        before = os.stat(".", dir_fd=place.folder)
        copy.replace(place)
        os.utime(".", ns=(before.st_atime_ns, before.st_mtime_ns), dir_fd=place.folder)


def remove_set_id(to: Place) -> None:
    """Remove setuid and setgid from files; on folders setgid only passes on the group."""
    for _, _, names, descriptor in os.fwalk(to.name, dir_fd=to.folder):
        for name in names:
            found = Place(descriptor, name).status()
            if found and stat.S_ISREG(found.st_mode) and found.st_mode & SET_ID:
                with closed_after(Place(descriptor, name).open(os.O_RDONLY)) as file:
                    os.fchmod(file, stat.S_IMODE(found.st_mode) & ~SET_ID)
