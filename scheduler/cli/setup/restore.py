"""`experience-tui restore`: restores a citizen's backup into an empty folder."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from scheduler.cli.completion import citizens
from scheduler.config.loader import load
from scheduler.core.secrets import Masks
from scheduler.core.task import Context
from scheduler.core.wording.text import clean, size
from scheduler.errors import BadSettings, NotSetUp, SchedulerError, TaskFailed
from scheduler.handlers.offsite_backup.files import files
from scheduler.handlers.offsite_backup.place import NOTE, remembered
from scheduler.system.clock import SystemClock
from scheduler.system.foreign_home import User, is_ours, open_folder, other_user_of, place

LISTED = 30  # backups listed, the newest
SHOWN = 20  # entries of the restored folder listed
TASK = "offsite_backup"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup: its name, and when it was made."""

    name: str
    when: str
    place: str  # the full id for restic, else the file


@click.command(
    "restore",
    short_help="Restore a backup into an empty folder.",
    epilog="Example: experience-tui restore opus --to /tmp/opus",
)
@click.argument("name", metavar="CITIZEN", shell_complete=citizens)
@click.option("--to", type=click.Path(path_type=Path), metavar="DIR", help="A new or empty folder.")
@click.option("--snapshot", metavar="ID", help="Which backup; by default the newest.")
@click.option("--list", "listing", is_flag=True, help="Only list the backups.")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The settings file."
)
def restore_command(
    name: str, to: Path | None, snapshot: str | None, listing: bool, config: Path | None
) -> int:
    """Restore a backup into an empty folder. The citizen's home is not touched.

    Backups hold no .env, caches or logs.
    """
    if to is None and not listing:
        raise click.UsageError("where to? Add --to DIR, a new or empty folder")
    ctx, masks = _context(name, config)
    try:
        if to is None:
            return _list(backups(ctx))
        _check(to)
        return _restore(ctx, _chosen(backups(ctx), name, snapshot), to.absolute())
    except TaskFailed as error:  # the handler's message fits here, too
        raise SchedulerError(masks.hide(str(error))) from error
    except OSError as error:
        text = f"{error.filename or to}: {error.strerror or error}"
        raise SchedulerError(masks.hide(text)) from error


def backups(ctx: Context) -> list[Backup]:
    """The citizen's backups, the oldest first; raises TaskFailed if they cannot be listed."""
    if ctx.options.repository:
        from asyncio import run  # 30 ms that a .tar.gz backup does not need

        from scheduler.handlers.offsite_backup.restic_backup import snapshots

        found = run(snapshots(ctx, ctx.options))
        return [Backup(each["short_id"], each["time"][:19], each["id"]) for each in found]
    from scheduler.handlers.offsite_backup.archive import archive_name, archives, moment_of

    made = remembered(ctx.home / NOTE).made  # empty on a new machine: then names from the future count as old
    now = made[-1] if made else archive_name(ctx.citizen, SystemClock.now())
    paths = archives(ctx.citizen, ctx.options.directory, made, now)
    return [Backup(path.name, f"{moment_of(path):%Y-%m-%dT%H:%M:%S}", str(path)) for path in paths]


def _context(name: str, config: Path | None) -> tuple[Context, Masks]:
    settings = load(config=config, only=(name,))
    citizen = settings.named(name)
    if other_user_of(citizen.home):  # the settings must not get at root's environment
        ours = {name: value for name, value in os.environ.items() if name.startswith("EXPERIENCE_")}
        citizen = load(config=config, environ=ours, only=(name,)).named(name)
    if problems := citizen.problems or settings.problems:
        raise BadSettings(problems)
    options = next((task.options for task in citizen.tasks if task.name == TASK), None)
    if not (getattr(options, "repository", None) or getattr(options, "directory", None)):
        raise NotSetUp(f"{name}: {TASK} has neither repository nor directory; add one, see docs/tasks.md")
    return Context(name, citizen.home, TASK, options, citizen.secrets), Masks(citizen.hidden)


def _check(to: Path) -> None:
    if not to.exists():
        return
    if not is_ours(to):
        raise SchedulerError(f"{to} belongs to another user; name a new folder")
    if not to.is_dir() or any(to.iterdir()):
        raise SchedulerError(f"{to} is not empty; name a new or empty folder")


def _chosen(found: list[Backup], citizen: str, snapshot: str | None) -> Backup:
    if not found:
        raise SchedulerError(f"there is no backup of {citizen} yet")
    if snapshot is None:
        return found[-1]
    fitting = [each for each in found if snapshot in (each.name, each.place, each.when)]
    fitting = fitting or [each for each in found if each.place.startswith(snapshot) or snapshot in each.name]
    if len(fitting) != 1:
        many = "several backups" if fitting else "no backup"
        names = ", ".join(each.name for each in reversed(found[-LISTED:]))
        raise SchedulerError(f"{many} of {citizen} for {snapshot!r}; there are: {names}")
    return fitting[0]


def _list(found: list[Backup]) -> int:
    for each in found[-LISTED:]:
        click.echo(f"{each.name}  {each.when}")
    if not found:
        click.echo("no backup yet")
    return 0


def _restore(ctx: Context, backup: Backup, to: Path) -> int:
    click.echo(f"restoring {ctx.citizen} as of {backup.when} ({backup.name}) to {clean(str(to))}")
    owner = _owner_of(ctx.home)
    with place(to, make=True, follow=True) as at, suppress(FileExistsError):
        at.make_folder(give=False)  # root's own until everything is restored
    if ctx.options.repository:
        from asyncio import run

        from scheduler.handlers.offsite_backup.restic_backup import unpack as from_restic

        if user := other_user_of(ctx.home):  # restic runs as this user
            _check_way(to, user)
            _give(to, user)
        run(from_restic(ctx, ctx.options, backup.place, to))
    else:
        from scheduler.handlers.offsite_backup.archive_restore import unpack

        if not unpack(Path(backup.place), to, owner):
            click.echo(
                "an older version made it, without hashes: only the checksum of the whole was compared"
            )
        _give(to, owner)
    for line in _shown(to):
        click.echo(clean(line))
    click.echo("not in a backup: .env, caches, logs")
    return 0


def _owner_of(home: Path) -> User | None:
    """The user that gets the restored files; the backup's author could have put any user into it."""
    if os.geteuid() != 0:
        return None
    return other_user_of(home) or User(os.geteuid(), os.getegid())


def _check_way(to: Path, user: User) -> None:
    for folder in to.absolute().parents:
        found = folder.stat()
        if not found.st_mode & (0o100 if found.st_uid == user.uid else 0o001):
            raise SchedulerError(
                f"{folder} is closed to user {user.uid}, as whom restic runs; name a folder that is open"
            )


def _give(to: Path, owner: User | None) -> None:
    if owner:
        with open_folder(to) as at:
            os.chown(at.name, *owner, dir_fd=at.folder, follow_symlinks=False)


def _shown(to: Path) -> Iterator[str]:
    """What the folder holds now: its first entries, then the totals."""
    entries = {path: _sizes(path) for path in sorted(to.iterdir())}
    for path, sizes in list(entries.items())[:SHOWN]:
        slash = "/" if path.is_dir() and not path.is_symlink() else ""
        yield f"  {path.name}{slash}  {files(len(sizes))}, {size(sum(sizes))}"
    if len(entries) > SHOWN:
        yield f"  and {len(entries) - SHOWN} more"
    every = [each for sizes in entries.values() for each in sizes]
    yield f"restored: {files(len(every))}, {size(sum(every))}"


def _sizes(path: Path) -> list[int]:
    """The size of the file, or of each file in the folder, in bytes."""
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    found = [each.lstat() for each in inside]
    return [
        each.st_size if stat.S_ISREG(each.st_mode) else 0 for each in found if not stat.S_ISDIR(each.st_mode)
    ]
