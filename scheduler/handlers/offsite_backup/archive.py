"""Writes a .tar.gz with a hash of every entry, then reads it back and compares."""

import gzip
import hashlib
import os
import re
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO

from scheduler.core.task import Context, Report
from scheduler.core.wording.text import size
from scheduler.errors import TaskFailed
from scheduler.handlers.net.cancellable import Stop, on_thread, raise_if_stopped
from scheduler.handlers.offsite_backup.databases import clear, copy_databases
from scheduler.handlers.offsite_backup.files import (
    NO_FOLLOW_NO_BLOCK,
    Entry,
    Missing,
    Part,
    Problem,
    files,
    no_backup,
    report,
    rules,
    walk,
)
from scheduler.handlers.offsite_backup.options import Options
from scheduler.handlers.offsite_backup.place import (
    NOTE,
    Place,
    in_order,
    is_elsewhere,
    place_of,
    remember,
    remembered,
)
from scheduler.system.clock import SystemClock
from scheduler.system.foreign_home import open_file, sync

DIGEST = hashlib.sha256
CHUNK = 1 << 18  # bytes read at once: takes little memory and few reads
LEVEL = 6
LONGEST_END = 1000  # bytes
_BROKEN = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)


class Damaged(Exception):
    """The archive cannot be read, or differs from what was written."""


class Writer:
    """Writes the archive; `digests` holds the hashes of the entries one after the other, in their order."""

    def __init__(self, file: Path, problem: Problem, stop: Stop) -> None:
        self.digests, self.files, self.bytes = bytearray(), 0, 0
        self._problem, self._stop = problem, stop
        self._linked: dict[tuple[int, int], str] = {}
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file = open(handle, "wb")  # noqa: PTH123, SIM115 - the mode is set at creation; see __exit__
        self._gzip = gzip.GzipFile("", "wb", LEVEL, self._file)
        self._tar = tarfile.TarFile(fileobj=self._gzip, mode="w", format=tarfile.PAX_FORMAT)
        self._tar.copybufsize = CHUNK  # type: ignore[attr-defined] # not in the stubs

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Finish the archive and sync it to disk; after an error leave it unfinished."""
        with self._file:
            if kind is None:
                self._tar.close()
                self._gzip.write(end_of(DIGEST(self.digests)))
                self._gzip.close()
                self._file.flush()
                os.fsync(self._file.fileno())
                _drop_page_cache(self._file)
            else:
                self._gzip.fileobj = None  # type: ignore[assignment] # or it would write its end once it is forgotten

    def add(self, entry: Entry, source: Path) -> None:
        """Add the entry with the content of `source`, or call `problem` with the reason why not."""
        raise_if_stopped(self._stop)
        try:
            self._add(entry, source)
        except FileNotFoundError:
            self._problem(entry.path, "vanished")
        except _Unreadable as error:
            self._problem(entry.path, str(error))

    def _add(self, entry: Entry, source: Path) -> None:
        info = tar_header(entry)
        if stat.S_ISLNK(entry.stat.st_mode):
            with _reading():
                info.linkname = os.readlink(source)  # noqa: PTH115 - a Path would tidy it up
        if not info.isreg():
            self._put(info)
        elif first := self._linked.get((entry.stat.st_dev, entry.stat.st_ino)):
            info.type, info.linkname, info.size = tarfile.LNKTYPE, first, 0
            self._put(info)
        else:
            self._put_file(info, entry, source)

    def _put_file(self, info: tarfile.TarInfo, entry: Entry, source: Path) -> None:
        with _reading():
            file = open(os.open(source, NO_FOLLOW_NO_BLOCK), "rb")  # noqa: PTH123, SIM115 - no links, no pipes
        with file:
            before = os.fstat(file.fileno())
            info.size = before.st_size
            content = _Hashed(file, self._stop)
            self._put(info, content)
            after = os.fstat(file.fileno())
        if content.short or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            self._problem(entry.path, content.short or "changed while it was read")
        self.files += 1
        self.bytes += info.size
        if entry.stat.st_nlink > 1:
            self._linked[entry.stat.st_dev, entry.stat.st_ino] = entry.path

    def _put(self, info: tarfile.TarInfo, content: "_Hashed | None" = None) -> None:
        self._tar.addfile(info, content)  # type: ignore[arg-type] # read() is all that is asked of it
        self._tar.members.clear()  # type: ignore[attr-defined] # a million of them are a gigabyte
        self.digests += digest_of(info, content.hash if content else DIGEST())


class _Unreadable(Exception):
    """A file of the home cannot be read, as opposed to an archive that cannot be written."""


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _Unreadable(error.strerror or "cannot be read") from error


class _Hashed:
    """A file of constant length, filled up with zeros if need be, and the hash of what was read."""

    def __init__(self, file: IO[bytes], stop: Stop) -> None:
        self.hash, self.short = DIGEST(), ""
        self._file, self._stop = file, stop

    def read(self, count: int) -> bytes:
        raise_if_stopped(self._stop)
        content = self._content(count).ljust(count, b"\0")
        self.hash.update(content)
        return content

    def _content(self, wanted: int) -> bytes:
        try:
            content = b"" if self.short else self._file.read(wanted)
        except OSError as error:
            self.short, content = error.strerror or "cannot be read", b""
        if len(content) < wanted:
            self.short = self.short or "became shorter while it was read"
        return content


def tar_header(entry: Entry) -> tarfile.TarInfo:
    """The entry's header, with its time as text, since a float cannot hold nanoseconds."""
    found = entry.stat
    info = tarfile.TarInfo(entry.path)
    info.mode, info.uid, info.gid = stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid
    whole, part = divmod(abs(found.st_mtime_ns), 10**9)
    info.mtime = found.st_mtime_ns // 10**9
    info.pax_headers = {"mtime": f"{'-' if found.st_mtime_ns < 0 else ''}{whole}.{part:09d}"}
    info.type = {
        stat.S_IFDIR: tarfile.DIRTYPE,
        stat.S_IFLNK: tarfile.SYMTYPE,
        stat.S_IFIFO: tarfile.FIFOTYPE,
    }.get(stat.S_IFMT(found.st_mode), tarfile.REGTYPE)
    return info


def end_of(digests: "hashlib._Hash") -> bytes:
    """The bytes after the archive, which tar ignores: one hash of the hashes of all entries."""
    return f"experience-sha256: {digests.hexdigest()}\n".encode()


def members(file: Path, end: bytearray | None = None) -> Iterator[tuple[tarfile.TarInfo, Iterator[bytes]]]:
    """Each entry of the archive with its content, to be read before the next entry; raises Damaged.

    `end` gets the bytes after the archive; archives of older versions have none.
    """
    with (
        _damage(file),
        open(open_file(file, os.O_RDONLY), "rb") as packed,  # noqa: PTH123 - a link of another user is refused
        gzip.open(packed) as unpacked,
        tarfile.open(fileobj=unpacked, mode="r|") as tar,
    ):
        while info := tar.next():
            tar.members = []  # type: ignore[attr-defined] # as above
            yield info, _content(file, tar, info)
        while rest := unpacked.read(CHUNK):  # at its end gzip compares its checksum
            if end is not None and len(end) < LONGEST_END:
                end += rest.strip(b"\0")


def _content(file: Path, tar: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    with _damage(file):  # the content is read by the caller, outside of `members`
        if info.isreg() and (content := tar.extractfile(info)):
            while chunk := content.read(CHUNK):
                yield chunk


@contextmanager
def _damage(file: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise Damaged(f"{file.name}: {error}") from error


def compare(file: Path, digests: bytes | bytearray, read: Callable[[int, str], None]) -> None:
    """Read the archive again and compare every hash; raises Damaged for the first that differs."""
    place, total, width = 0, 0, DIGEST().digest_size
    for info, content in members(file):
        found = DIGEST()
        for chunk in content:
            found.update(chunk)
            total += len(chunk)
            read(total, info.name)
        if digest_of(info, found) != digests[place : place + width]:
            raise Damaged(f"{info.name} differs")
        place += width
    if place != len(digests):
        raise Damaged(f"{(len(digests) - place) // width} entries are missing at its end")


def digest_of(info: tarfile.TarInfo, content: "hashlib._Hash") -> bytes:
    """The hash of an entry: of its header and its content."""
    about = (info.name.rstrip("/"), info.type, info.mode, info.uid, info.gid, info.size, info.linkname)
    found = DIGEST(repr((*about, info.pax_headers.get("mtime"))).encode("utf-8", "surrogateescape"))
    found.update(content.digest())
    return found.digest()


def _drop_page_cache(file: IO[bytes]) -> None:
    """Drop the file from the page cache, so that it is read back from the disk."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


async def back_up(ctx: Context, options: Options) -> str | Report:
    """One line on what was written and verified; raises TaskFailed, leaving earlier backups unchanged."""
    return await on_thread(partial(write, ctx, options), "offsite_backup")


def write(ctx: Context, options: Options, stop: Stop) -> str | Report:
    """The same on this thread; raises Stopped once `stop` is true."""
    folder = options.directory or Path()
    if not folder.is_dir():
        raise TaskFailed(f"there is no folder {folder} for the backups; mount it, or create it")
    final = folder / archive_name(ctx.citizen, SystemClock.now())
    unfinished = folder / f".{final.name}.partial"
    try:
        place = _same_place(ctx, folder).also(final.name)
        for left in folder.glob(f".{ctx.citizen}-????????T??????Z.tar.gz.partial"):
            left.unlink()  # from a killed run
        text, missing = _written(ctx, options, unfinished, stop)
        warnings = _remembered(ctx.home / NOTE, place)  # first: a killed run must leave no backup out of it
        _publish(unfinished, final)
        text = f"{text}, in {final.name} ({size(final.stat().st_size)}), verified"
        kept = _remove_oldest(archives(ctx.citizen, folder, place.made, final.name), options.keep)
        return report(f"{text}; {kept}", missing, *warnings)
    except OSError as error:
        raise TaskFailed(f"{no_backup(error, folder)}; the earlier backups are as they were") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        with suppress(OSError):
            clear(ctx.home)


def archives(citizen: str, folder: Path, made: Sequence[str] = (), now: str = "") -> list[Path]:
    """The finished backups of this citizen, oldest first; `now` is the name of one made now."""
    name = re.compile(re.escape(citizen) + r"-\d{8}T\d{6}Z\.tar\.gz")
    found = [each for each in folder.iterdir() if name.fullmatch(each.name)]
    return in_order(found, made, lambda each: each.name, lambda each: each.name, now)


def archive_name(citizen: str, now: float) -> str:
    """The name of a backup made now."""
    return f"{citizen}-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}.tar.gz"


def _same_place(ctx: Context, folder: Path) -> Place:
    """The place of the folder now; raises TaskFailed if its disk is not the one that held the backups."""
    note = ctx.home / NOTE
    before, now = remembered(note), place_of(folder)
    if is_elsewhere(now, before, archives(ctx.citizen, folder)):
        raise TaskFailed(
            f"{folder} is not on the disk that held the backups; mount it, or for a new one remove {note}"
        )
    return replace(now, made=before.made if now.folder == before.folder else ())


def moment_of(archive: Path) -> datetime:
    """When `opus-20260302T120000Z.tar.gz` was made."""
    digits = archive.name[-len("20260302T120000Z.tar.gz") :][:15]
    return datetime.strptime(f"{digits}+0000", "%Y%m%dT%H%M%S%z")


def _written(ctx: Context, options: Options, to: Path, stop: Stop) -> tuple[str, Missing]:
    missing = Missing()
    ruled = rules(ctx.home, options.exclude, [options.directory or Path()])
    found = []
    for entry in walk(ctx.home, ruled, missing.add):
        raise_if_stopped(stop)
        found.append(entry)
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
    return f"{files(writer.files)}, {size(writer.bytes)}", missing


def _publish(unfinished: Path, final: Path) -> None:
    unfinished.replace(final)
    sync(final.parent)


def _verify(ctx: Context, file: Path, writer: Writer, total: int, stop: Stop) -> None:
    def read(count: int, name: str) -> None:
        raise_if_stopped(stop)
        ctx.progress(total + count, 2 * total, f"verifying {name}")

    try:
        compare(file, writer.digests, read)
    except Damaged as error:
        raise TaskFailed(f"what was read back is not what was written: {error}; check the disk") from error


def _remembered(note: Path, place: Place) -> list[str]:
    """Remember the place; a warning if that fails, which does not spoil the backup."""
    try:
        remember(note, place)
    except OSError as error:
        return [f"{note} cannot be written: {error.strerror}"]
    return []


def _remove_oldest(every: Sequence[Path], keep: int) -> str:
    """Remove the oldest backups; called only once the new one is known to be good."""
    for old in every[:-keep]:
        old.unlink()
    return f"{len(every[-keep:])} kept"
