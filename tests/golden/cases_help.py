"""The help of every command, and what is said to a command line that cannot be meant."""

from tests.golden.case import CONFIG, OWN, Case
from tui.__main__ import COMMANDS

SUBCOMMANDS = (
    *(name for name in COMMANDS if name != "service"),
    *("service", "service install", "service remove", "service show"),
)


def _help(command: str) -> Case:
    return Case((f"{command} --help",))


# Nothing may run that looks at this machine.
_OWN = """\
[tasks.report]
every = "1h"
command = ["true"]
[tasks.heartbeat]
enabled = false
[tasks.dream_generate]
enabled = false
[tasks.memory_summary]
enabled = false
"""
_FILES = {"main.toml": 'root = "{root}/homes"\n', OWN: _OWN}


def _usage(*commands: str) -> Case:
    return Case(commands, _FILES)


CASES = {
    "core": _help("core.py"),
    "core-itself": Case(("./core.py --help", "./core.py -h")),
    "run": Case(("./run.sh --help", "./run.sh -h")),
    "experience-tui": _help("experience-tui"),
    **{name.replace(" ", "-"): _help(f"experience-tui {name}") for name in SUBCOMMANDS},
    "usage-core": _usage(
        f"core.py {CONFIG}",
        f"core.py --status --loop {CONFIG}",
        f"core.py --background-only --no-background {CONFIG}",
        f"core.py --force report {CONFIG}",
        f"core.py --citizen opsu --status {CONFIG}",
        f"core.py --citizen opus --force reprot {CONFIG}",
        f"core.py --citizen opus --interval often --loop {CONFIG}",
        "core.py --sttaus",
        "core.py --citizen",
        "core.py surplus",
    ),
    "usage-experience-tui": _usage(
        "experience-tui",
        "experience-tui sttaus",
        "experience-tui --nonsense",
        "experience-tui --no-ui --demo",
        "experience-tui --no-ui --read-only",
        "experience-tui --no-ui --attach",
        "experience-tui --no-ui --interval soon",
        "experience-tui --config {root}",
    ),
    "usage-verbs": _usage(
        f"experience-tui force {CONFIG}",
        f"experience-tui force opus {CONFIG}",
        f"experience-tui reset --all {CONFIG}",
        f"experience-tui pause opsu report {CONFIG}",
        f"experience-tui pause opus reprot {CONFIG}",
        f"experience-tui pause opus reprot --json {CONFIG}",
        f"experience-tui wake {CONFIG}",
        f"experience-tui wake opus --all {CONFIG}",
        "experience-tui service",
        "experience-tui service start opus",
    ),
    "verbs": _usage(
        f"experience-tui pause opus report {CONFIG}",
        f"experience-tui pause opus report {CONFIG}",
        f"experience-tui status opus {CONFIG}",
        f"experience-tui resume opus report {CONFIG}",
        f"experience-tui reset opus report --json {CONFIG}",
        f"experience-tui force opus news_scan {CONFIG}",
        f"experience-tui force opus report {CONFIG}",
        f"core.py --citizen opus --force report {CONFIG}",
        f"core.py --citizen opus --reset report {CONFIG}",
        f"experience-tui wake opus {CONFIG}",
    ),
    "completion-bash": Case(("experience-tui completion bash",)),
    "completion-zsh": Case(("experience-tui completion zsh",)),
    "completion-fish": Case(("experience-tui completion fish",)),
    "completion-other": Case(("experience-tui completion tcsh", "experience-tui completion")),
}
