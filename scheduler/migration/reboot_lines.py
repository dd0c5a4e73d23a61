"""Whether an @reboot line can move: not while cron's copy runs, nor if it leaves a daemon behind."""

import re
from collections.abc import Mapping, Sequence

from scheduler.migration.names import in_background

Processes = Mapping[int, Sequence[str]]  # by pid: the program and its arguments
# Commands that detach by themselves.
_DETACHES = re.compile(
    r"(?<![\w.-])(?:screen(?=[^;&|]*\s-\w*d)|tmux\s+new\S*(?=[^;&|]*\s-\w*d)|setsid(?=\s)|daemonize(?=\s))"
)


def leaves_a_daemon(command: str) -> bool:
    """Whether what the command starts outlives it: each start of the scheduler would start one more."""
    return in_background(command) or bool(_DETACHES.search(command))


def running_copy(command: str, processes: Processes) -> int | None:
    """The process that runs this command now, as far as can be seen; None if there is none."""
    text = re.sub(r"[\"']", "", command)
    return next((pid for pid, argv in processes.items() if command in argv or _is_part(argv, text)), None)


def _is_part(argv: Sequence[str], text: str) -> bool:
    """Whether this whole process, except for an interpreter in front, is one command of the text."""
    words = [[argv[0].rpartition("/")[2], *argv[1:]], list(argv)] if argv else []
    if "/" in "".join(argv[1:2]):  # /bin/sh /opt/daemon, for a script with #!
        words.append(list(argv[1:]))
    spelt = "|".join(re.escape(" ".join(each)) for each in words)
    return bool(spelt and re.search(rf"(?:^|[\s;&|(])(?:{spelt})\s*(?:$|[;&|)<>]|\d>)", text))
