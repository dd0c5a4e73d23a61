"""`experience-tui migrate` as a person runs it: a crontab that a program keeps, moved and brought back."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.config.loader import load
from scheduler.core.task import Context, Outcome
from scheduler.executors.executor import Executor
from tests.each import each
from tests.watching import Watching, task

ROOT = Path(__file__).parents[2]
V1 = (ROOT / "tests/data/v1.crontab").read_bytes()
# A crontab(1) that keeps its file where we can see it.
PROGRAM = """\
#!/bin/sh
case "$1" in
-l) [ -f {file} ] || {{ echo "no crontab for me" >&2; exit 1; }}; exec cat {file} ;;
-r) exec rm {file} ;;
-) cat > {file}.new && exec mv {file}.new {file} ;;
*) exit 2 ;;
esac
"""


class Place:
    """A folder with citizens, settings and a crontab of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.crontab = folder / "root", folder / "spool"
        self.root.mkdir()
        (folder / "bin").mkdir()
        (folder / "bin" / "crontab").write_text(PROGRAM.format(file=shlex.quote(str(self.crontab))))
        (folder / "bin" / "crontab").chmod(0o755)
        (folder / "main.toml").write_text("")
        self.environ = {
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "EXPERIENCE_ROOT": str(self.root),
            "EXPERIENCE_CONFIG": str(folder / "main.toml"),
            "HOME": str(folder),
        }

    def run(self, *argv: str | Path, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tui", "migrate", *map(str, argv)],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    def home(self, text: str | None = "", name: str = "opus") -> Path:
        home = self.root / name
        home.mkdir()
        if text is not None:
            (home / "experience.toml").write_text(text)
        return home

    def bytes(self) -> dict[str, bytes]:
        """All that a move may change."""
        files = [self.crontab, *self.root.glob("*/experience.toml")]
        return {str(file.relative_to(self.root.parent)): file.read_bytes() for file in files if file.exists()}

    def opus(self):
        return next(each for each in load(environ=self.environ).citizens if each.name == "opus")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# ------------------------------------------------------------------ there and back


def test_v1s_crontab_moves_in_one_command_and_undo_gives_the_same_bytes_back(place):
    place.crontab.write_bytes(V1)
    assert "23 lines: 1 wake, 7 tasks, 8 comments, 7 blank" in place.run()
    assert place.bytes() == {"spool": V1}
    assert "moved to" in place.run("--apply")
    opus = place.opus()
    assert opus.problems == ()
    assert str(opus.wake.schedule) == "*/10 * * * *"
    assert opus.wake.work and opus.wake.work.argv[2] == "/root/claude/opus/autonomous_wake.sh"
    moved = {task.name: task for task in opus.tasks if getattr(task.work, "argv", ("",))[0] == "/bin/sh"}
    for line in V1.decode().splitlines():
        if line and not line.startswith("#") and "wake" not in line:
            when, command = " ".join(line.split(None, 5)[:5]), line.split(None, 5)[5]
            assert any(str(t.schedule) == when and t.work.argv[2] == command for t in moved.values()), line
    assert len(moved) == 7
    for one in moved.values():  # as cron: nothing that was missed, nothing again, and no end but a late one
        assert (one.catch_up, one.retries, one.timeout) == (False, 0, 86400)
        assert (str(one.work.folder), one.work.inherit) == (one.work.environment["HOME"], False)
    left = place.crontab.read_text()
    assert not [line for line in left.splitlines() if line and not line.startswith("#")]
    assert "nothing to move" in place.run()
    place.run("--undo")
    assert place.bytes() == {"spool": V1}


def test_comments_order_and_format_of_the_settings_survive(place):
    text = (
        "# mine\ngrace   =  5 # short\n\n[tasks.tidy]   # keep\nevery='1h'\ncommand=['true'] \n\n# the end\n"
    )
    place.home(text)
    place.crontab.write_bytes(V1)
    place.run("--apply")
    after = (place.root / "opus" / "experience.toml").read_text()
    lines = [line for line in after.splitlines() if not line.startswith("workers")]
    assert "\n".join(lines).startswith(text.rstrip("\n"))
    assert [task.name for task in place.opus().tasks if task.name == "tidy"]
    place.run("--undo")
    assert place.bytes() == {"spool": V1, "root/opus/experience.toml": text.encode()}


@pytest.mark.parametrize(
    "text",
    [
        "tasks.tidy.every = '1h'\ntasks.tidy.command = ['true']\n",
        "[tasks]\ntidy = { every = '1h', command = ['true'] }\n",
        "[tasks.tidy]\nevery = 9\n[wake]\npatience = '1m'\n[tasks.other]\nevery = 5\ncommand = ['true']",
        "workers = 2",
        "# nothing\r\n\r\n[wake]\r\npatience = '1m'\r\n",
        "\ufeffgrace = 3\n",
    ],
)
def test_settings_of_any_shape_can_be_added_to_and_come_back(place, text):
    home = place.home(None)
    (home / "experience.toml").write_bytes(text.encode())
    place.crontab.write_bytes(V1 + b"1 2 * * * tidy\n")
    place.run("--apply")
    opus = place.opus()
    assert opus.problems == ()
    assert opus.wake.configured
    assert opus.workers == (2 if text == "workers = 2" else 9)
    assert opus.wake.patience == (60 if "patience" in text else 300)
    place.run("--undo")
    assert (home / "experience.toml").read_bytes() == text.encode()


def test_a_shape_that_cannot_be_added_to_is_said_and_nothing_is_changed(place):
    place.home("tasks = {}\n")
    place.crontab.write_bytes(b"0 0 * * * x\n")
    before = place.bytes()
    assert "experience.toml" in place.run("--apply", code=2)
    assert place.bytes() == before


def test_more_than_a_settings_file_may_hold_is_said_and_nothing_is_changed(place):
    place.home("")
    place.crontab.write_text("".join(f"{n % 60} * * * * /opt/job{n}\n" for n in range(3000)))
    before = place.bytes()
    assert "would be longer than 256 KiB" in place.run("--apply", code=2)
    assert place.bytes() == before


def test_odd_bytes_around_the_lines_survive_there_and_back(place, tmp_path):
    content = b"\xef\xbb\xbf0 0 * * * a\r\n# \xff\n  \t5 0 * * *\tb  \n@never x\nA=1\n0 1 * * * c\n"
    file = tmp_path / "a.cron"  # a crontab of this machine would be judged by the cron installed here
    file.write_bytes(content)
    place.run("--apply", "--citizen", "opus", "--no-user-column", file)
    after = file.read_bytes()
    assert after.startswith(b"\xef\xbb\xbf# moved to experience (opus/a): 0 0 * * * a\r\n# \xff\n")
    assert b"\n@never x\nA=1\n" in after
    place.run("--undo")
    assert file.read_bytes() == content


def test_files_move_too_and_keep_their_permissions(place, tmp_path):
    folder = tmp_path / "cron.d"
    folder.mkdir()
    me = place.run("--json", "--no-user-column", _file(tmp_path, "0 0 * * * x"))
    user = json.loads(me)["user"]
    (folder / "jobs").write_text(f"0 0 * * * {user} /opt/a\n0 0 * * * daemon /opt/b\n")
    (folder / "jobs").chmod(0o640)
    (folder / "not.read").write_text("0 0 * * * x y\n")
    plan = json.loads(place.run("--json", folder))
    (source,) = plan["sources"]
    assert (source["path"], source["user_column"]) == (str(folder / "jobs"), True)
    assert [line["becomes"] for line in source["lines"]] == ["task", "needs you"]
    place.run("--apply", folder)
    assert (folder / "jobs").stat().st_mode & 0o777 == 0o640
    assert (folder / "jobs").read_text().startswith("# moved to experience (opus/a): ")
    assert not [file.name for file in folder.iterdir() if file.name.startswith(".")]


def _file(folder: Path, text: str) -> Path:
    file = folder / "a.cron"
    file.write_text(text)
    return file


def test_two_moves_are_undone_one_after_the_other(place):
    place.crontab.write_text("0 0 * * * a\n")
    place.run("--apply")
    between = place.bytes()
    place.crontab.write_bytes(place.crontab.read_bytes() + b"0 1 * * * a\n")
    first = place.bytes()
    place.run("--apply")
    assert {"a", "a_2"} <= {task.name for task in place.opus().tasks}
    place.run("--undo")
    assert place.bytes() == first
    assert place.bytes() != between


# ------------------------------------------------------------------ stopped half-way


MINE = "# mine\n[tasks.tidy]\nevery = '1h'\ncommand = ['true']\n"


@pytest.mark.parametrize(("verb", "settings"), [("--apply", MINE), ("--apply", None), ("--undo", None)])
def test_stopped_at_any_step_nothing_happened_or_undo_restores_every_byte(place, verb, settings):
    place.home(settings)
    place.crontab.write_bytes(V1)
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.moves", verb],
        cwd=ROOT,
        env={**place.environ, "CRONTAB_FILE": str(place.crontab)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("changed: [(False, False), (False, True), (True, True)]\n")
    assert int(done.stdout.split()[1]) >= 8


def test_a_move_that_was_stopped_has_to_be_undone_before_the_next(place):
    home = place.home("")
    place.crontab.write_bytes(V1)
    place.run("--apply")
    (done,) = home.glob(".experience/migrate/*/done")
    done.unlink()
    place.crontab.write_bytes(place.crontab.read_bytes() + b"0 0 * * * x\n")
    assert "was interrupted" in place.run("--apply", code=2)


def test_what_was_changed_since_is_not_undone_and_nothing_else_is(place):
    home = place.home("")
    place.crontab.write_bytes(V1)
    place.run("--apply")
    (home / "experience.toml").write_text("# by hand\n")
    before = place.bytes()
    said = place.run("--undo", code=2)
    assert "experience.toml has changed since" in said
    assert str(home / ".experience/migrate") in said
    assert place.bytes() == before


def test_a_crontab_that_is_not_taken_leaves_everything_as_it_was(place, tmp_path):
    place.home("")
    place.crontab.write_bytes(V1)
    before = place.bytes()
    program = tmp_path / "bin" / "crontab"
    program.write_text(program.read_text().replace("-) cat", "-) echo full >&2; exit 1; cat"))
    assert "crontab rejected the new table: full" in place.run("--apply", code=2)
    assert place.bytes() == before
    assert "nothing to undo" in place.run("--undo", code=2)


# ------------------------------------------------------------------ what a person can get wrong


@each(
    "argv, said",
    [
        (("--apply", "--undo"), "exclude each other"),
        (("nowhere.cron",), "nowhere.cron: cannot be read"),
        ((), "has no crontab; name a file"),
        (("--undo",), "nothing to undo"),
        (("--user", "no-such-user"), "unknown user no-such-user"),
        (("--citizen", "../x", "pyproject.toml"), "is not a valid name for a citizen"),
    ],
)
def test_mistakes_are_one_line(place, argv, said):
    found = place.run(*argv, code=2)
    assert said in found
    assert found.count("\n") == 1


def test_broken_settings_are_said_before_anything_is_changed(place):
    place.home("[tasks.x]\nevry = 5\n")
    place.crontab.write_bytes(V1)
    assert "evry" in place.run("--apply", code=2)
    assert place.crontab.read_bytes() == V1


def test_of_several_citizens_one_has_to_be_named_unless_v1s_wake_names_it(place):
    place.home("", "opus")
    place.home("", "mira")
    place.crontab.write_text("0 0 * * * x\n")
    assert "for which citizen? Add --citizen, one of: mira, opus" in place.run(code=2)
    place.crontab.write_bytes(V1)
    assert "tasks of opus" in place.run()


def test_builtin_takes_ours_where_it_is_set_up(place):
    place.home("[tasks.price_monitor]\nsource = 'kraken'\npairs = ['BTC/EUR']\n")
    place.crontab.write_bytes(V1)
    place.run("--apply", "--builtin")
    built_in = {
        task.name: str(task.schedule) for task in place.opus().tasks if not hasattr(task.work, "argv")
    }
    assert built_in == {
        "heartbeat": "*/5 * * * *",
        "price_monitor": "*/15 * * * *",
        "dream_generate": "0 3,9,15,21 * * *",
        "memory_summary": "6h",
    }


def test_lines_of_another_user_are_not_run_as_the_owner_of_the_home(place, tmp_path):
    place.home("")
    file = _file(tmp_path, "0 0 * * * daemon /opt/x\n")
    plan = json.loads(place.run("--user", "daemon", "--user-column", "--json", file))
    assert plan["sources"][0]["counts"]["task"] == 1
    said = place.run("--user", "daemon", "--user-column", "--apply", file, code=2)
    assert "does not belong to daemon" in said
    assert file.read_text() == "0 0 * * * daemon /opt/x\n"


def test_a_crontab_program_that_refuses_is_heard(place, tmp_path):
    (tmp_path / "bin" / "crontab").write_text("#!/bin/sh\necho 'You are not allowed' >&2; exit 1\n")
    assert "crontab -l: You are not allowed" in place.run(code=2)


# ------------------------------------------------------------------ what cron would run is what we run


HARMLESS = r"""
A="two words"
PATH=/usr/bin:/bin:/nowhere
* * * * * env | sort | grep -v -e ^_= -e ^EXPERIENCE -e ^CITIZEN -e ^SHLVL
* * * * * pwd; echo "$0"
* * * * * cat%one%two \% three%%four\five
* * * * * printf '<\%s>\n' 'a\\b' "$A" '$A' ${A} $(echo x | tr x y)
* * * * * cd / && pwd; echo ${UNSET-unset} `echo back`
* * * * * exit 3
* * * * * echo err >&2; wc -c < /dev/stdin
B=${A}
SHELL=/bin/bash
* * * * * [[ $B == '${A}' ]] && echo "$B" $((1+2)) <(true) | sed s/63/N/
* * * * * echo ünïcödé "tab	tab" # not a comment in cron, but one in the shell
"""


async def test_the_tasks_print_what_cron_would_have_printed(place, tmp_path):
    place.crontab.write_text(f"HOME={tmp_path}\n{HARMLESS}")
    place.run("--apply")
    workers = Executor()
    try:
        ran = 0
        for line, around in _jobs(f"HOME={tmp_path}\n{HARMLESS}"):
            found = next(t for t in place.opus().tasks if getattr(t.work, "argv", ("",) * 3)[2] == line[0])
            watching = Watching()
            context = Context("opus", place.root / "opus", found.name, secrets={"SECRET": "s"})
            result = await workers.run(task(found.work), context, watching)
            expected = _as_cron(*line, around)
            assert watching.output.text() == expected.stdout.decode(), line
            assert (result.outcome is Outcome.OK) == (expected.returncode == 0)
            ran += 1
        assert ran == 9
    finally:
        await workers.close()


def _as_cron(command: str, given: bytes, around: dict[str, str]) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [around["SHELL"], "-c", command],
        env=around,
        cwd=around["HOME"],
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=10,
        check=False,
    )


def _jobs(text: str):
    """The commands and inputs by another reading of crontab(5): only what the text above needs."""
    around = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "LOGNAME": _logname()}
    for line in text.splitlines():
        if setting := re.fullmatch(r'(\w+)="?(.*?)"?', line):
            around[setting[1]] = setting[2]
        elif line.startswith("* * * * * "):
            command, *given = re.split(r"(?<!\\)%", line.removeprefix("* * * * * "))
            content = "".join(f"{each}\n" for each in given).replace("\\%", "%")
            yield (re.sub(r"\\([%\\])", r"\1", command), content.encode()), {**around, "PWD": around["HOME"]}


def _logname() -> str:
    from pwd import getpwuid

    return getpwuid(os.getuid()).pw_name
