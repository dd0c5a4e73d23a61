"""Names a task after the script that its command runs."""

import re
from functools import lru_cache

_TEXT = r"\"(?:\\.|[^\"\\])*\"|'[^']*'|\\."
_INNER = r"\$\([^()]*\)|`[^`]*`"  # a command whose output is inserted into this one
# These, redirections and sudo's user say nothing about the work.
_ASIDE = re.compile(_INNER + r"|[0-9]*[<>]+&?\s*[^\s;&|()]*|(?<=\bsudo)\s+-u\s+\S+")
_QUOTED = re.compile(rf"(?<!-c )(?:{_TEXT})")  # what follows -c is itself a command
_HIDDEN = re.compile(f"{_TEXT}|{_INNER}")
_ENDS = re.compile(r"[;&|()]+")
_ALONE = re.compile(r"(?<![&<>])&(?![&>])")
_LOOKS_FOR_IT = re.compile(r"\b(pgrep|pidof)\b|\bps\b.*\|\s*grep\b")
_NO_NAME = re.compile(r"-|[0-9]+[smhd]?$|[A-Za-z_]\w*=")  # an option, a number, an assignment
# What precedes the work: changing the folder or the environment, or checking whether there is work.
_BEFORE = """
    cd . source test [ [[ export set unset umask ulimit sleep true : if while until for case pgrep pidof ps
    grep kill pkill echo printf mkdir touch rm date which type exit wait
"""
# Commands that take the working command as their arguments.
_AROUND = """
    nice ionice chrt time timeout nohup setsid exec sudo env command chronic flock su xargs run-parts python
    python2 python3 sh bash dash zsh ksh perl ruby node php Rscript lua then do else { } !
"""
BEFORE, AROUND = frozenset(_BEFORE.split()), frozenset(_AROUND.split())
_EXTENSION = re.compile(r"\.(py|sh|bash|pl|rb|js|php|R|jar|ts|lua|zsh|ksh)$")


@lru_cache(maxsize=4096)
def script_of(command: str) -> str:
    """The program or script that the command runs, without its folders: `news_scanner_local.py`; or empty."""
    words = _QUOTED.sub(lambda found: _ENDS.sub(" ", found[0]), _ASIDE.sub(" ", command))
    parts = _ENDS.split(words.replace('"', " ").replace("'", " "))
    programs = [name for part in parts if (name := _program(part.split()))]
    return next((name for name in programs if name not in BEFORE), programs[0] if programs else "")


def _program(words: list[str]) -> str:
    """The program of one simple command: the first word that is no option and no wrapper such as nice."""
    names = [word.rstrip("/").rpartition("/")[2] for word in words if not _NO_NAME.match(word)]
    after = zip(["", *names], names, strict=False)
    names = [name for before, name in after if before not in ("flock", "su")]  # a lock file, a user
    return next((name for name in names if name not in AROUND), "")


def name_of(command: str) -> str:
    """A valid task name that tells what the command runs."""
    name = _EXTENSION.sub("", script_of(command)).lower()
    name = re.sub(r"[^a-z0-9_-]+", "_", name).strip("_-")
    if not re.match(r"[a-z]", name):
        name = f"job_{name}" if name else "job"
    return name[:32].rstrip("_-")


def numbered(name: str, number: int) -> str:
    """The name for another such command: `backup_2`."""
    end = f"_{number}"
    return name[: 32 - len(end)].rstrip("_-") + end


def folders_in(command: str) -> list[str]:
    """The folders of the absolute paths in the command, in order."""
    paths = re.findall(r"(?<![\w.])/[\w./-]+", command)
    return [part for path in paths for part in path.split("/")[:-1] if part]


def keeps_alive(command: str) -> bool:
    """Whether the command only starts something in the background unless it is running already."""
    return in_background(command) and bool(_LOOKS_FOR_IT.search(command))


def in_background(command: str) -> bool:
    """Whether part of the command keeps running in the background."""
    return bool(_ALONE.search(_HIDDEN.sub("", command)))
