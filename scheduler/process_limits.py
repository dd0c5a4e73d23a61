"""What this process needs of the system before it runs a thousand citizens."""

import contextlib
import signal
import sys


def prepare_process() -> None:
    """Room for open files, and children whose exit codes are kept; call it from the main thread."""
    if sys.platform == "win32":
        return
    import resource

    # A lock and a socket for each citizen: the usual soft limit of 1,024 ends at five hundred of them.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses "infinity"
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Inherited as ignored, SIGCHLD would make the kernel throw the exit codes of our children away.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
