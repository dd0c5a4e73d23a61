"""The gate: a new process waits in it until its pid is on record, then becomes its program.

The program starts after a line on standard input, sent once the run is in the state file. If the scheduler
dies before, the gate reads end-of-file and nothing runs: there is no unknown orphan. The gate also takes back
what this process did to its own limits.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from scheduler.process.startup import OPEN_FILES

# The script is constant, the command is only its arguments; a POSIX `read` takes no byte beyond its line.
_SHELL = Path("/bin/sh")
_SCRIPT = 'read -r go || exit; ulimit -Sn "$0"; exec "$@"'
_PYTHON = str(Path(__file__).with_name("start_gate_main.py"))

# Names that shells set themselves; names that are no identifiers (`my.name`, `BASH_FUNC_f%%`) they may drop.
_SHELLS_OWN = {
    "BASHOPTS",
    "BASHPID",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "GROUPS",
}
_SHELLS_OWN |= {"HISTCMD", "IFS", "LINENO", "OPTARG", "OPTERR", "OPTIND", "PPID", "PS1", "PS2", "PS3", "PS4"}
_SHELLS_OWN |= {"RANDOM", "SECONDS", "SHELLOPTS", "SRANDOM", "UID"}


def gate(names: Iterable[str]) -> tuple[str, ...]:
    """The words before a program's own that let it wait, for an environment of these names.

    A shell takes half a millisecond, Python ten: it stands in where a shell would lose or change a name.
    """
    if not _SHELL.exists():
        return ()
    if all(name.isidentifier() and name.isascii() and name not in _SHELLS_OWN for name in names):
        return (str(_SHELL), "-c", _SCRIPT, OPEN_FILES)
    # Isolated and without site: nothing but this file is loaded, whatever the environment says.
    added = "" if "LC_CTYPE" in names else "LC_CTYPE"
    return (sys.executable, "-I", "-S", _PYTHON, OPEN_FILES, added)


def go(gate: tuple[str, ...]) -> bytes:
    """What opens this gate, on standard input."""
    return b"go\n" if gate else b""
