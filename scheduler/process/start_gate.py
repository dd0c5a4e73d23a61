"""The gate, in which a new process waits until its pid is on record before it becomes its program.

The program starts after a line on standard input, sent once the run is in the state file. If the scheduler
dies before that, the gate reads end-of-file and nothing runs, so there is no unknown orphan. The gate also
restores the limits that this process changed for itself.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from scheduler.process.startup import OPEN_FILES

# The script is constant; the command is its arguments. A POSIX `read` takes no byte beyond its line.
_SHELL = Path("/bin/sh")
_SCRIPT = 'read -r go || exit; ulimit -Sn "$0"; exec "$@"'
_PYTHON = str(Path(__file__).with_name("start_gate_main.py"))

# Names that shells set themselves. They may also drop names such as `my.name` and `BASH_FUNC_f%%`.
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
    """The words to put before a command so that it waits at the gate; `names` are those of its environment.

    A shell takes half a millisecond, Python ten: it is used only where a shell would lose or change a name.
    """
    if not _SHELL.exists():
        return ()
    if all(name.isidentifier() and name.isascii() and name not in _SHELLS_OWN for name in names):
        return (str(_SHELL), "-c", _SCRIPT, OPEN_FILES)
    # Isolated and without site: nothing but this file is loaded, whatever the environment says.
    added = "" if "LC_CTYPE" in names else "LC_CTYPE"
    return (sys.executable, "-I", "-S", _PYTHON, OPEN_FILES, added)


def go(gate: tuple[str, ...]) -> bytes:
    """The line that opens this gate, for its standard input."""
    return b"go\n" if gate else b""
