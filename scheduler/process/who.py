"""Who asks for something: a user and the process that acts for them, or a run of a citizen."""

import os
from dataclasses import dataclass
from functools import lru_cache

from scheduler.process.process_info import name

UNKNOWN_USER = "somebody"
UNKNOWN_RUN = "a run"  # which one is not known


@dataclass(slots=True, unsafe_hash=True)  # frozen by agreement, as in core/values
class Who:
    """Who asked, by the system's knowledge and never a peer's claim; `run` is set if a run asked."""

    user: str = ""
    process: str = ""  # the name of the program
    pid: int = 0
    run: str = ""  # "task heartbeat", "wake #812"
    browser: bool = False

    def __str__(self) -> str:
        if self.run:
            return self.run
        user = self.user or UNKNOWN_USER
        return f"browser of {user}" if self.browser else user

    @property
    def in_full(self) -> str:
        """The user with the process: `ct (experience-tui, pid 4711)`."""
        process = ", ".join(filter(None, [self.process, f"pid {self.pid}" if self.pid else ""]))
        return f"{self} ({process})" if process else str(self)


@lru_cache(maxsize=256)
def user_name(uid: int) -> str:
    """The name of the user with this number."""
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError, OverflowError):  # Windows; a container without a name for it
        return f"uid {uid}"


def this_process() -> Who:
    """The user of this process, for requests that come through no socket."""
    pid = os.getpid()
    return _this_process(pid)


@lru_cache(maxsize=1)
def _this_process(pid: int) -> Who:
    user = user_name(os.geteuid()) if hasattr(os, "geteuid") else os.environ.get("USERNAME", "")
    return Who(user, name(pid), pid, _own_run())


def _own_run() -> str:
    """The run that this process is part of, read from its environment without asking another process."""
    if "EXPERIENCE_RUN" not in os.environ:
        return ""
    wake, task, citizen = (
        os.environ.get(f"{key}", "") for key in ("EXPERIENCE_WAKE", "EXPERIENCE_TASK", "CITIZEN")
    )
    what = f"wake #{wake}" if wake else f"task {task}" if task else UNKNOWN_RUN
    return f"{what} of {citizen}" if citizen else what
