"""`migrate` on crontabs of our own making: every kind of line, as a table and as JSON; there and back."""

import sys
from dataclasses import replace
from pathlib import Path

from tests.golden.case import CONFIG, OWN, Case

CRONTABS = Path(__file__).parent / "crontabs"
MAIN = 'root = "{root}/homes"\n'
# A stand-in for crontab(1), which keeps the crontab in a file of the case.
_PROGRAM = """\
#!/bin/sh
case $1 in
    -l) cat {root}/mine.crontab 2>/dev/null || { echo "no crontab for opus" >&2; exit 1; } ;;
    -r) rm {root}/mine.crontab ;;
    -) cat >{root}/mine.crontab ;;
esac
"""


def _of(name: str, words: str = "", **files: str) -> Case:
    commands = (
        f"experience-tui migrate {words} {{root}}/{name}.crontab {CONFIG}".replace("  ", " "),
        f"experience-tui migrate {words} --json {{root}}/{name}.crontab {CONFIG}".replace("  ", " "),
    )
    return Case(commands, {**_files(name), **files})


def _files(name: str) -> dict[str, str | bytes]:
    return {"main.toml": MAIN, OWN: "", f"{name}.crontab": (CRONTABS / f"{name}.crontab").read_bytes()}


def _asked(words: str, **files: str | bytes) -> Case:
    return Case((f"experience-tui migrate {words} {CONFIG}",), {"main.toml": MAIN, OWN: "", **files})


_LINE = "0 9 * * * /opt/bin/report\n"
_PROGRAMS = {"bin/crontab": _PROGRAM, "mine.crontab": "# mine\n*/5 * * * * /opt/bin/beat\n* * * * 9 never\n"}

CASES = {
    "plain": _of("plain"),
    "settings": _of("settings"),
    "refused": _of("refused"),
    "first-version": _of("first_version"),
    "first-version-builtin": _of("first_version", "--builtin"),
    "first-version-every": _of("first_version", "--every"),
    "users": _of("users"),
    "users-said": _of("users", "--user-column"),
    "users-denied": _of("users", "--no-user-column"),
    "names": _of("names"),
    "taken": _of(
        "first_version",
        **{OWN: "[wake]\nevery = '5m'\n[tasks.heartbeat]\nevery = '1m'\n[tasks.report]\nevery = 60\n"},
    ),
    "other-citizens": _of("first_version", "--citizen mira", **{"homes/mira/experience.toml": ""}),
    "for-whom": _asked("{root}/a", a="0 9 * * * x\n", **{"homes/mira/experience.toml": ""}),
    "for-a-new-one": _asked("{root}/a --citizen nova", a=_LINE),
    "bad-name": _asked("{root}/a --citizen Nova", a=_LINE),
    "unknown-user": _asked("{root}/a --user no_such_login", a=_LINE),
    "another-user": _asked("{root}/a --user root", a=_LINE),
    "empty": _asked("{root}/a", a=""),
    "wake-at-the-start": _asked("{root}/a", a="@reboot /srv/citizens/opus/autonomous_wake.sh\n"),
    "wake-with-input": _asked("{root}/a", a="0 9 * * * /srv/citizens/opus/autonomous_wake.sh%hello\n"),
    "only-comments": _asked("{root}/a", a="# nothing here\n\n"),
    "no-such-file": _asked("{root}/a"),
    "a-folder": _asked(
        "{root}/d",
        **{"d/one": f"{_LINE}", "d/two": "0 9 * * * opus x\n", "d/not.this": _LINE, "d/or~": _LINE},
    ),
    "two-files": _asked("{root}/a {root}/b", a=_LINE, b=_LINE),
    "odd-bytes": _asked(
        "{root}/a", a=b"\xef\xbb\xbf0 9 * * * x\r\n0 9 * * * \xff\n0 9 * * * a\0b\nA=\xff\n5 9 * * * y"
    ),
    "own-crontab": Case((f"experience-tui migrate {CONFIG}",), {"main.toml": MAIN, OWN: "", **_PROGRAMS}),
    "own-crontab-missing": Case(
        (f"experience-tui migrate {CONFIG}",), {"main.toml": MAIN, OWN: "", "bin/crontab": _PROGRAM}
    ),
    "own-crontab-refused": Case(
        (f"experience-tui migrate {CONFIG}",),
        {
            "main.toml": MAIN,
            OWN: "",
            "bin/crontab": "#!/bin/sh\necho 'you (opus) are not allowed' >&2\nexit 1\n",
        },
    ),
    "no-program-crontab": Case(
        (f"experience-tui migrate {CONFIG}",), {"main.toml": MAIN, OWN: ""}, {"PATH": "{root}/bin"}
    ),
    "no-cron": replace(
        _asked("{root}/a", a=_LINE), machine=lambda patch: patch.setitem(sys.modules, "pwd", None)
    ),
    "broken-settings": _asked("{root}/a", a=_LINE, **{"main.toml": "zzz = 1\n"}),
    "broken-own-settings": _asked("{root}/a", a=_LINE, **{OWN: "zzz = 1\n"}),
    "exclusive": _asked("--apply --undo"),
    "nothing-to-undo": Case(
        (f"experience-tui migrate --undo {CONFIG}", f"experience-tui migrate --undo --citizen opus {CONFIG}"),
        {"main.toml": MAIN, OWN: ""},
    ),
    "there": Case(
        (
            f"experience-tui migrate --apply {CONFIG}",
            f"experience-tui check {CONFIG}",
            f"experience-tui migrate --apply {CONFIG}",
        ),
        {"main.toml": MAIN, OWN: "# mine\nworkers = 3\n", **_PROGRAMS},
        shows=(OWN, "mine.crontab"),
    ),
    "there-from-a-file": Case(
        (
            f"experience-tui migrate --apply {{root}}/settings.crontab {CONFIG}",
            f"experience-tui check {CONFIG}",
        ),
        _files("settings"),
        shows=(OWN, "settings.crontab"),
    ),
    "there-the-first-version": Case(
        (f"experience-tui migrate --apply --every --builtin {{root}}/first_version.crontab {CONFIG}",),
        _files("first_version"),
        shows=(OWN, "first_version.crontab"),
    ),
    "there-and-back": Case(
        (f"experience-tui migrate --apply {CONFIG}", f"experience-tui migrate --undo {CONFIG}"),
        {"main.toml": MAIN, OWN: "# mine\nworkers = 3\n", **_PROGRAMS},
        shows=(OWN, "mine.crontab"),
    ),
}
