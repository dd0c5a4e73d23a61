"""Where the socket of a citizen is, and who may come in."""

import hashlib
import os
import socket
import stat
import struct
import sys
import tempfile
from pathlib import Path

NAME = "control.sock"
LONGEST = 100  # bytes: sockaddr_un holds 108 on Linux, 104 on macOS


def socket_path(home: Path) -> Path:
    """The socket in the home; in the runtime folder of the home's user where that path is too long."""
    inside = home.absolute() / ".experience" / NAME
    if len(os.fsencode(inside)) <= LONGEST:
        return inside
    digest = hashlib.sha256(os.fsencode(home.absolute())).hexdigest()[:24]
    return _runtime(home.stat().st_uid) / f"{digest}.sock"


def _runtime(uid: int) -> Path:
    """A folder of that user's own: /run/user/UID where there is one, else below the temporary folder."""
    session = Path(f"/run/user/{uid}")
    base = session if session.is_dir() else Path(tempfile.gettempdir())
    return base / f"experience-{uid}"


def prepare(path: Path) -> None:
    """Make the socket's folder, ours alone, and remove what a dead owner left there; needs the lock."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    status = path.parent.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (os.geteuid(), 0):
        raise PermissionError(f"{path.parent} belongs to somebody else; remove it")
    path.unlink(missing_ok=True)


def admitted(peer: socket.socket, group: int | None) -> bool:
    """Whether the process at the other end may steer: our user, root, or the group it was opened to."""
    uid = _uid_of(peer)
    return uid is None or uid in (os.geteuid(), 0) or group is not None


def _uid_of(peer: socket.socket) -> int | None:
    """The user at the other end; None where the platform does not tell, and the file's mode must do."""
    if sys.platform != "linux":
        return None
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
