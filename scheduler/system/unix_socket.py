"""Where the socket of a citizen is, and who may come in."""

import hashlib
import os
import socket
import stat
import struct
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

NAME = "control.sock"
SHARED = ".experience-group"  # beside our own folder, which stays closed: nothing but a socket is in it
SO_PEERGROUPS = 59  # Linux; Python has no name for it
ROOM = 1024  # bytes of an answer: the most that Python takes, 256 groups
LONGEST = 100  # bytes: sockaddr_un holds 108 on Linux, 104 on macOS


def socket_path(home: Path) -> Path:
    """The socket in the home; in the runtime folder of the home's user where that path is too long."""
    inside = home.absolute() / ".experience" / NAME
    if len(os.fsencode(inside)) <= LONGEST:
        return inside
    digest = hashlib.sha256(os.fsencode(home.absolute())).hexdigest()[:24]
    return _runtime(home.stat().st_uid) / f"{digest}.sock"


def shared_path(home: Path) -> Path:
    """The socket for the members of `socket_group`."""
    return home.absolute() / SHARED / NAME


def door(home: Path) -> Path:
    """Where this user is let in; raises OSError where it cannot get there, or somebody else put it there."""
    uid = home.stat().st_uid
    if os.geteuid() not in (0, uid):
        return shared_path(home)
    path = socket_path(home)
    with suppress(FileNotFoundError):
        if path.parent.lstat().st_uid not in (0, uid):  # below /tmp, anybody may have made it first
            raise PermissionError(f"{path.parent} belongs to somebody else; remove it")
    return path


def not_ours(home: Path) -> bool:
    """Whether the home is another user's, whose files are closed to us."""
    try:
        return os.geteuid() not in (0, home.stat().st_uid)
    except OSError:
        return False


def _runtime(uid: int) -> Path:
    """A folder of that user's own: /run/user/UID where there is one, else below the temporary folder."""
    session = Path(f"/run/user/{uid}")
    base = session if session.is_dir() else Path(tempfile.gettempdir())
    return base / f"experience-{uid}"


def prepare(path: Path, group: int | None = None) -> None:
    """Make the socket's folder, ours alone but for a group that may pass through it; needs the lock.

    What a dead owner left there is removed.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    status = path.parent.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (os.geteuid(), 0):
        raise PermissionError(f"{path.parent} belongs to somebody else; remove it")
    path.unlink(missing_ok=True)
    if group is not None:
        os.chown(path.parent, -1, group)
        path.parent.chmod(0o710)


def bind(door: socket.socket, path: Path, group: int | None = None) -> None:
    """Put the socket there, for our own user, and for a group if there is one."""
    before = os.umask(0o177)
    try:
        door.bind(str(path))
    finally:
        os.umask(before)
    if group is not None:
        os.chown(path, -1, group)
        path.chmod(0o660)


def remove(path: Path) -> None:
    """No socket is left there, nor the folder if it was there for nothing else."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
        if path.parent.name == SHARED:
            path.parent.rmdir()


def closed_to(group: int, home: Path) -> Path | None:
    """The first folder on the way to the home that members of the group cannot pass; None if all are open."""
    folders = [*reversed(home.resolve().parents), home.resolve()]
    return next((folder for folder in folders if not _passes(group, folder)), None)


def _passes(group: int, folder: Path) -> bool:
    status = folder.stat()
    if status.st_mode & stat.S_IXOTH or (status.st_gid == group and status.st_mode & stat.S_IXGRP):
        return True
    with suppress(OSError, AttributeError):  # with a list of its own the mode says too little
        return bool(os.getxattr(folder, "system.posix_acl_access"))
    return False


class Peer(NamedTuple):
    """The process at the other end of a socket, as the kernel knows it."""

    pid: int
    uid: int
    groups: frozenset[int]


def admitted(peer: Peer | None, group: int | None) -> bool:
    """Whether it may steer: our user, root, or a member of the group."""
    if peer is None:  # the modes of the socket and its folder must do
        return True
    return ours(peer) or group in peer.groups


def ours(peer: Peer | None) -> bool:
    """Whether it is a process of our own user, or of root."""
    return peer is None or peer.uid in (os.geteuid(), 0)


def peer_of(connection: socket.socket) -> Peer | None:
    """Who is at the other end: who connected, or who listens; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    pid_uid_gid = struct.Struct("3i")
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, pid_uid_gid.size)
    pid, uid, gid = pid_uid_gid.unpack(told)
    groups = {gid}
    with suppress(OSError):  # a kernel before 4.13, or more groups than there is room for
        more = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, ROOM)
        groups.update(number for (number,) in struct.iter_unpack("I", more))
    return Peer(pid, uid, frozenset(groups))
