"""Opens, makes and removes files in a home that another user can write, without following their links.

Neither root nor any other user can trust a name in an agent's home: it may be a link to /etc or a pipe
without a writer, or become one between two looks. So folders are opened one after the other, each through
the descriptor of the one before, and what is made below them gets the owner of its folder.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

LINKS = 40  # followed on one path, as the kernel does
NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # without it, opening a pipe waits for a writer
# O_PATH, on macOS O_SEARCH: folders on the way need not be readable, only searchable.
_PASS = getattr(os, "O_PATH", 0x40000000 if hasattr(os, "O_EVTONLY") else 0)
_CLOSED = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_FOLDER = getattr(os, "O_DIRECTORY", 0) | _CLOSED
_BY_DESCRIPTOR = os.open in os.supports_dir_fd  # not on Windows, where no home is shared


class Refused(PermissionError):
    """A link, or a second name of a file, that another user put in the place of a file."""

    def __init__(self, what: str, path: object) -> None:
        super().__init__(errno.EPERM, f"is {what}; remove it", str(path))


class User(NamedTuple):
    """A user and its group, by number."""

    uid: int
    gid: int


class Place(NamedTuple):
    """A name in an open folder. No method follows a link of that name."""

    folder: int | None  # None: there are no folder descriptors, and `name` is the whole path
    name: str

    def beside(self, name: str) -> "Place":
        """Another name in the same folder."""
        return Place(self.folder, name if self.folder is not None else str(Path(self.name).with_name(name)))

    def status(self) -> os.stat_result | None:
        """The status of whatever lies there, None if nothing does."""
        with suppress(FileNotFoundError):
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        return None

    def open(self, flags: int) -> int:
        """A descriptor of the file; never waits for a pipe. A new one (O_CREAT) gets its folder's owner."""
        if flags & os.O_EXCL:
            return self._open_new(flags)
        if flags & os.O_CREAT:
            with suppress(FileNotFoundError):
                return self._open_existing(flags & ~os.O_CREAT)
            with suppress(FileExistsError):  # another process was faster
                return self._open_new(flags | os.O_EXCL)
        return self._open_existing(flags & ~os.O_CREAT)

    def _open_new(self, flags: int) -> int:
        descriptor = os.open(self.name, flags | _CLOSED, 0o600, dir_fd=self.folder)
        self.give(descriptor)
        return descriptor

    def _open_existing(self, flags: int) -> int:
        descriptor = os.open(self.name, flags | _CLOSED | NO_WAIT, dir_fd=self.folder)
        try:
            self.refuse_second_name(os.fstat(descriptor))
        except Refused:
            os.close(descriptor)
            raise
        return descriptor

    def refuse_second_name(self, found: os.stat_result) -> None:
        """Refuse a file with a second name: a hard link could make root use another user's file."""
        if self.folder is None or found.st_nlink < 2 or not stat.S_ISREG(found.st_mode):
            return
        maker = os.fstat(self.folder).st_uid
        if maker not in _trusted() and found.st_uid != maker:
            raise Refused("a second name of another user's file", self.name)

    def give(self, descriptor: int) -> None:
        """Give a file that root has made here to the owner of the folder; other users own theirs already."""
        if self.folder is not None and os.geteuid() == 0:
            owner = os.fstat(self.folder)
            os.fchown(descriptor, owner.st_uid, owner.st_gid)

    def make_folder(self, *, give: bool = True) -> None:
        """Make a folder of this name, 0700; root gives it to the owner of the folder around it."""
        os.mkdir(self.name, 0o700, dir_fd=self.folder)
        if give and self.folder is not None:
            with closed_after(os.open(self.name, os.O_RDONLY | _FOLDER, dir_fd=self.folder)) as made:
                self.give(made)

    def replace(self, other: "Place") -> None:
        """Take the place of whatever `other` names."""
        os.replace(self.name, other.name, src_dir_fd=self.folder, dst_dir_fd=other.folder)

    def remove(self) -> None:
        """Remove the file, pipe or link; nothing if it is gone."""
        with suppress(FileNotFoundError):
            os.unlink(self.name, dir_fd=self.folder)

    def sync_folder(self) -> None:
        """Sync the names in the folder to disk."""
        where = "." if self.folder is not None else str(Path(self.name).parent)
        with closed_after(os.open(where, os.O_RDONLY | _FOLDER, dir_fd=self.folder)) as folder:
            os.fsync(folder)


@contextmanager
def place(path: Path, *, make: bool = False, follow: bool = False) -> Iterator[Place]:
    """The place of `path`, reached without following another user's link; errors name the whole path.

    `make` makes missing folders; `follow` also follows `path` itself if it is a link that may be followed.
    """
    with _placed(path, path.absolute().parts[1:] or (".",), make, follow) as found:
        yield found


@contextmanager
def open_folder(path: Path, *, make: bool = False) -> Iterator[Place]:
    """The place of "." in the folder; `make` makes the folder and any missing ones above it."""
    with _placed(path, (*path.absolute().parts[1:], "."), make, False) as found:
        yield found


@contextmanager
def below(at: Place, path: str, *, make: bool = False) -> Iterator[Place]:
    """The place of a relative path below an open folder; a link on the way is a NotADirectoryError."""
    here = Place(os.open(".", _PASS | _FOLDER, dir_fd=at.folder), "")
    try:
        *above, name = path.split("/")
        for part in above:
            here = Place(here.folder, part)
            if make:
                with suppress(FileExistsError):
                    here.make_folder()
            step = os.open(part, _PASS | _FOLDER, dir_fd=here.folder)
            _leave(here)
            here = Place(step, "")
        yield Place(here.folder, name)
    finally:
        _leave(here)


def make_folder(path: Path) -> None:
    """Make the folder if it is missing, but not those above it: a removed home must not come back."""
    with place(path, follow=True) as at:
        try:
            at.make_folder()
        except FileExistsError:
            found = at.status()
            if found is None or not stat.S_ISDIR(found.st_mode):
                raise


def open_file(path: Path, flags: int, *, make: bool = False, follow: bool = True) -> int:
    """A descriptor of the file; see Place.open and place."""
    with place(path, make=make, follow=follow) as at:
        return at.open(flags)


@contextmanager
def closed_after(descriptor: int) -> Iterator[int]:
    """Lend the descriptor, then close it."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def names_in(path: Path) -> list[str]:
    """The names in the folder; none if there is no folder."""
    with suppress(FileNotFoundError), open_folder(path) as at, closed_after(at.open(os.O_RDONLY)) as folder:
        return os.listdir(folder)  # noqa: PTH208 - a descriptor
    return []


def other_user_of(home: Path) -> User | None:
    """The user of the home, if this is root and the home is not root's."""
    with suppress(OSError), place(home, follow=True) as at:
        found = at.status()
        if found is not None and found.st_uid != os.geteuid() == 0:
            return User(found.st_uid, found.st_gid)
    return None


def is_ours(path: Path) -> bool:
    """Whether the path, or the target of a link that may be followed, belongs to this user."""
    with suppress(OSError), place(path, follow=True) as at:
        found = at.status()
        return found is not None and found.st_uid == os.geteuid()
    return False


def remove(path: Path) -> None:
    """Remove the file, or the link; nothing if it is gone."""
    with suppress(FileNotFoundError), place(path) as at:
        at.remove()


def rename(path: Path, name: str) -> Path:
    """Give the file or folder another name in its folder; returns the new path."""
    with place(path) as at:
        at.replace(at.beside(name))
    return path.with_name(name)


def sync(path: Path) -> None:
    """Sync the file, or the names in the folder, to disk."""
    with closed_after(open_file(path, os.O_RDONLY)) as descriptor:
        os.fsync(descriptor)


# ------------------------------------------------------------------ the way to a folder


@contextmanager
def _placed(path: Path, parts: Sequence[str], make: bool, follow: bool) -> Iterator[Place]:
    try:
        found = _walk(parts, make, follow) if _BY_DESCRIPTOR else _named(path, make)
        try:
            yield found
        finally:
            if found.folder is not None:
                os.close(found.folder)
    except OSError as error:
        name = error.filename  # none if a write to the open file failed
        if error.errno and (name is None or not Path(os.fsdecode(name)).is_absolute()):
            error.filename = str(path)
        raise


def _named(path: Path, make: bool) -> Place:
    if make:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Place(None, str(path))


def _walk(parts: Sequence[str], make: bool, follow: bool) -> Place:
    """Go from / to the folder of the last part; the caller closes its descriptor."""
    if (straight := _straight(parts)) is not None:
        if not (follow and _is_link(straight)):
            return straight
        _leave(straight)
    here, ahead, links = Place(_root(), ""), [*reversed(parts)], 0
    try:
        while True:
            here = Place(here.folder, ahead.pop())
            if not ahead and not (follow and _is_link(here)):
                return here
            target = _step(here, make)
            if isinstance(target, Place):
                _leave(here)
                here = target
                continue
            links += 1
            if links > LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), here.name)
            ahead += [*reversed(target.strip("/").split("/"))]
            if target.startswith("/"):
                _leave(here)
                here = Place(_root(), "")
    except OSError:
        _leave(here)
        raise


def _straight(parts: Sequence[str]) -> Place | None:
    """The same in one step, in half the time, if the kernel confirms that no link was on the way."""
    path = "/" + "/".join(parts[:-1])
    try:
        folder = os.open(path, _PASS | _FOLDER)
    except OSError:  # the walk raises the right error
        return None
    with suppress(OSError):  # no /proc
        if os.readlink(f"/proc/self/fd/{folder}") == path:  # noqa: PTH115 - it is compared as text
            return Place(folder, parts[-1])
    os.close(folder)
    return None


def _root() -> int:
    return os.open("/", _PASS | _FOLDER)


def _leave(here: Place) -> None:
    if here.folder is not None:
        os.close(here.folder)


def _step(here: Place, make: bool) -> Place | str:
    """The place inside the folder of this name, or the target of a link in its place; raises Refused."""
    try:
        return Place(os.open(here.name, _PASS | _FOLDER, dir_fd=here.folder), "")
    except FileNotFoundError:
        if not make:
            raise
        with suppress(FileExistsError):
            here.make_folder()
        return Place(os.open(here.name, _PASS | _FOLDER, dir_fd=here.folder), "")
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR) or not _is_link(here):
            raise
    return _target(here)


def _target(link: Place) -> str:
    assert link.folder is not None
    found = link.status()
    # The folder's owner can move any link there, even one of root's from elsewhere.
    if {os.fstat(link.folder).st_uid, found.st_uid if found else 0} - _trusted():
        raise Refused("a link that another user made", link.name)
    return os.readlink(link.name, dir_fd=link.folder)


def _is_link(here: Place) -> bool:
    found = here.status()
    return found is not None and stat.S_ISLNK(found.st_mode)


def _trusted() -> set[int]:
    """The users whose links are followed: root, this one, the owner of / (root in a user namespace)."""
    return {0, os.geteuid(), Path("/").stat().st_uid}
