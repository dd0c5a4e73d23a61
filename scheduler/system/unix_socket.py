"""Where the socket of a citizen is, and who may connect."""

import hashlib
import os
import re
import socket
import stat
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from scheduler.system.foreign_home import closed_after, make_folder, open_folder, place
from scheduler.system.foreign_home import remove as unlink
from scheduler.system.hanging_disks import on_disk

NAME = "control.sock"
GROUP_FOLDER = ".experience-group"  # holds only a socket: .experience itself stays closed to the group
SO_PEERGROUPS = 59  # Linux; Python has no name for it
PEERGROUPS_SIZE = 1024  # bytes: the most that Python accepts, 256 groups
_ACCEPTS = 0x10000  # in the kernel's list of sockets: it listens
_SOCKET = re.compile(
    r"[0-9a-fA-F]+: [0-9A-F]{8} [0-9A-F]{8} (?P<flags>[0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +(?P<inode>\d+)"
    r"(?: (?P<path>.*))?",
    re.DOTALL,
)
PATH_LIMIT = 100  # bytes: sockaddr_un holds 108 on Linux, 104 on macOS


def socket_path(home: Path) -> Path:
    """The socket in the home, or in the runtime folder of the home's user where that path is too long."""
    inside = home.absolute() / ".experience" / NAME
    if len(os.fsencode(inside)) <= PATH_LIMIT:
        return inside
    digest = hashlib.sha256(os.fsencode(home.absolute())).hexdigest()[:24]
    return _runtime(home.stat().st_uid) / f"{digest}.sock"


class HomeSocket(NamedTuple):
    """Where a citizen's owner listens, and the user that it must belong to."""

    path: Path
    citizen: str
    home: Path

    def allows(self, peer: "Peer | None") -> bool:
        """Whether the process that listens there belongs to the home's user or to root."""
        return peer is None or peer.uid in (self.home.stat().st_uid, 0)


def home_id(home: Path) -> str:
    """A text that tells this home from its copies and from homes of the same name; empty if it is gone."""
    try:
        status = on_disk(home, home.stat)
    except OSError:
        return ""
    return f"{status.st_dev}:{status.st_ino}"


def shared_path(home: Path) -> Path:
    """The socket for the members of `socket_group`."""
    return home.absolute() / GROUP_FOLDER / NAME


def client_socket(citizen: str, home: Path) -> HomeSocket:
    """The socket of this citizen's owner for this user; raises what `client_path` raises."""
    return HomeSocket(client_path(home), citizen, home)


def client_path(home: Path) -> Path:
    """The path that this user connects to; raises OSError if it is out of reach, or another user's."""
    uid = home.stat().st_uid
    if os.geteuid() not in (0, uid):
        return shared_path(home)
    path = socket_path(home)
    with suppress(FileNotFoundError):
        if path.parent.lstat().st_uid not in (0, uid):  # below /tmp, any user could have made it first
            raise PermissionError(f"{path.parent} belongs to another user; remove it")
    return path


def is_foreign(home: Path) -> bool:
    """Whether the home belongs to another user and this one cannot read its files."""
    try:
        return os.geteuid() not in (0, home.stat().st_uid)
    except OSError:
        return False


def _runtime(uid: int) -> Path:
    """The user's runtime folder: /run/user/UID where there is one, else one below the temporary folder."""
    session = Path(f"/run/user/{uid}")
    base = session if session.is_dir() else Path(tempfile.gettempdir())
    return base / f"experience-{uid}"


def prepare(path: Path, group: int | None = None) -> None:
    """Make the socket's folder, open to this user and the group only, and remove a dead owner's socket.

    Only the process that holds the lock may call this.
    """
    user = _user_of(path.parent)
    make_folder(path.parent)
    with open_folder(path.parent) as at:
        with closed_after(at.open(os.O_RDONLY)) as folder:
            if os.fstat(folder).st_uid not in (os.geteuid(), 0, user):
                raise PermissionError(f"{path.parent} belongs to another user; remove it")
            if os.geteuid() == 0:
                os.fchown(folder, user, -1)  # else a folder that root made would be closed to its user
            if group is not None:
                os.fchown(folder, -1, group)
                os.fchmod(folder, 0o710)
        at.beside(path.name).remove()


def _user_of(folder: Path) -> int:
    """The user whose socket lies there: the owner of the home around the folder, or the user in its name."""
    number = folder.name.removeprefix("experience-")
    return int(number) if number.isdecimal() else folder.parent.stat().st_uid


def bind(listener: socket.socket, path: Path, group: int | None = None) -> int:
    """Bind the socket to the path, for the user of its folder and for the group; returns that user."""
    before = os.umask(0o177 if group is None else 0o117)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    with place(path) as at:
        own = os.geteuid()
        user = os.fstat(at.folder).st_uid if own == 0 and at.folder is not None else own
        os.chown(at.name, user, -1 if group is None else group, dir_fd=at.folder, follow_symlinks=False)
    return user


def remove(path: Path) -> None:
    """Remove the socket, and its folder if that is the group's."""
    with suppress(OSError):
        unlink(path)
        if path.parent.name == GROUP_FOLDER:
            path.parent.rmdir()


def first_closed_folder(group: int, home: Path) -> Path | None:
    """The first folder on the way to the home that members of the group cannot enter, if there is one."""
    folders = [*reversed(home.resolve().parents), home.resolve()]
    return next((folder for folder in folders if not _can_enter(group, folder)), None)


def _can_enter(group: int, folder: Path) -> bool:
    status = folder.stat()
    if status.st_mode & stat.S_IXOTH or (status.st_gid == group and status.st_mode & stat.S_IXGRP):
        return True
    with suppress(OSError, AttributeError):  # with an access control list the mode is not the whole truth
        return bool(os.getxattr(folder, "system.posix_acl_access"))
    return False


class Peer(NamedTuple):
    """The process at the other end of a socket, as the kernel knows it."""

    pid: int
    uid: int
    groups: frozenset[int]


def is_admitted(peer: Peer | None, group: int | None, user: int | None = None) -> bool:
    """Whether the peer may connect: it is this user, root, the home's `user`, or a member of the group."""
    if peer is None:  # the modes of the socket and its folder have to suffice
        return True
    return is_trusted(peer, user) or group in peer.groups


def is_trusted(peer: Peer | None, user: int | None = None) -> bool:
    """Whether the peer belongs to this user, to root, or to the home's `user`."""
    return peer is None or peer.uid in (os.geteuid(), 0, user)


def peer_of(connection: socket.socket) -> Peer | None:
    """The process at the other end, client or listener; None if the system does not report it."""
    if sys.platform != "linux":
        return None
    pid_uid_gid = struct.Struct("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, pid_uid_gid.size)
    pid, uid, gid = pid_uid_gid.unpack(credentials)
    groups = {gid}
    with suppress(OSError):  # a kernel before 4.13, or more groups than fit
        more = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, PEERGROUPS_SIZE)
        groups.update(number for (number,) in struct.iter_unpack("I", more))
    return Peer(pid, uid, frozenset(groups))


def owners_among(pids: Sequence[int]) -> dict[int, str]:
    """Those of these processes that listen at a citizen's socket, each with one such citizen; Linux only.

    Taken from the kernel's own list, since a file in a home may name any process.
    """
    listening = dict(_listening())
    found = {pid: [listening[inode] for inode in _sockets_of(pid) if inode in listening] for pid in pids}
    return {pid: _citizen_at(paths[0]) for pid, paths in found.items() if paths}


def _listening() -> Iterator[tuple[str, Path]]:
    """The inode and the path of each socket that an owner listens at.

    The kernel escapes nothing, so any user's socket may have a name that looks like further lines. An inode
    that is on two lines is skipped.
    """
    with suppress(OSError):
        lines = Path("/proc/net/unix").read_bytes().decode(errors="replace").split("\n")
        found = [match for line in lines if (match := _SOCKET.fullmatch(line))]
        inodes = Counter(each["inode"] for each in found)
        for each in found:
            inode, path = each["inode"], each["path"] or ""
            ours = path.endswith(f"/.experience/{NAME}") or "/experience-" in path
            if ours and inodes[inode] == 1 and int(each["flags"], 16) & _ACCEPTS:
                yield inode, Path(path)


def _sockets_of(pid: int) -> Iterator[str]:
    """The inodes of the sockets that the process has open."""
    with suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if (target := str(file.readlink())).startswith("socket:["):
                    yield target[len("socket:[") : -1]


def _citizen_at(path: Path) -> str:
    """The citizen whose socket this is, "" if the path does not tell."""
    return path.parent.parent.name if path.name == NAME else ""
