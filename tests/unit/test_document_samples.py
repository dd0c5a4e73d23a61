"""Every command, setting and document that the documents show is tried: none is there for its looks."""

import configparser
import grp
import json
import os
import re
import shlex
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
import yaml

from scheduler.cli.main import run
from scheduler.cli.v2_flags import core
from scheduler.config.loader import load
from scheduler.core.schedules.schedule import Every
from scheduler.errors import AlreadyRunning
from tests.documents import PAGES, Block, blocks, calls, shell_lines
from tests.needs import PATH
from tui.__main__ import COMMANDS, monitor
from tui.serve.metrics import GAUGES

# What a command line may begin with that is not ours. What is new here must be looked at.
FOREIGN = {"createuser", "curl", "docker", "journalctl", "npm", "ssh", "systemctl"}
# These act on more than a root: they are parsed here, and run in tests of their own.
ELSEWHERE = {"down", "engine", "loop", "migrate", "restore", "serve", "service", "up", "worker"}
MEANT = {"NAME": "opus", "CITIZEN": "opus", "TASK": "report", "VERB": "status", "SHELL": "bash", "USD": "2"}
LANGUAGES = {"", "bash", "ini", "json", "nginx", "python", "sh", "toml", "yaml"}

SETTINGS = """\
builtin = false
[wake]
every = "10h"
[budget]
day = 5.0
[tasks.report]
every = "24h"
command = ["sh", "-c", "echo reading 31 files; echo 3 pages"]
[tasks.news_scan]
every = "4h"
command = ["true"]
[tasks.backup]
every = "24h"
command = ["true"]
"""


def every(*languages: str) -> Iterator[Block]:
    return (block for page in PAGES for block in blocks(page) if block.language in languages)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with two citizens whose report has run."""
    root = tmp_path_factory.mktemp("made")
    for name in ("opus", "mira"):
        (root / name).mkdir()
        (root / name / "experience.toml").write_text(SETTINGS)
    (root / "main.toml").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPERIENCE_ROOT", str(root))
        assert run(monitor, ["force", "opus,mira", "report", "--config", str(root / "main.toml")]) == 0
        assert run(monitor, ["wake", "opus", "--wait", "--config", str(root / "main.toml")]) == 0
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is what a command without options uses."""
    shutil.copytree(made, tmp_path / "root")
    monkeypatch.setenv("EXPERIENCE_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("EXPERIENCE_CONFIG", str(tmp_path / "root" / "main.toml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "root"


def test_every_block_says_what_it_is_in():
    assert {block.place: block.language for block in every() if block.language not in LANGUAGES} == {}
    assert {block.language for page in PAGES for block in blocks(page)} == LANGUAGES


def test_no_line_for_a_shell_is_left_out():
    for block in every("sh", "bash", ""):
        for line in shell_lines(block):
            word = re.sub(r'^(sudo |eval "\$\()', "", line).split()[0]
            known = word in FOREIGN | {"./run.sh", "./core.py", "experience-tui", "experience-core"}
            assert known or re.match(r"[A-Z_]+=", word), f"{block.place}: {line}"


def test_every_command_can_be_parsed(root):
    for place, (program, *words) in _calls():
        if program in ("./core.py", "experience-core"):
            core.make_context("core.py", words)
        else:
            _parsed(monitor, [word for word in words if word not in ("--help", "--citizen")], place)


def _parsed(command: click.Command, words: list[str], place: str) -> None:
    """As click does it, without running anything."""
    if command is monitor and words[:1] == ["opus"]:  # a citizen's loop
        words = ["loop", *words]
    if words[:1] == ["help"]:
        return
    try:
        if isinstance(command, click.Group) and words and not words[0].startswith("-"):
            inner = _command(command, words[0])
            assert inner is not None, f"{place}: {words}"
            _parsed(inner, words[1:], place)
        else:
            command.make_context(command.name, list(words))
    except click.ClickException as error:
        raise AssertionError(f"{place}: {words}: {error.format_message()}") from error


def _command(group: click.Group, name: str) -> click.Command | None:
    if group is not monitor:
        return group.commands.get(name)
    if name not in COMMANDS:
        return None
    module, _, found = COMMANDS[name].partition(":")
    command: click.Command = getattr(import_module(module), found)
    return command


def _calls() -> Iterator[tuple[str, list[str]]]:
    """Each command line once; a verb alone, in a sentence, is a name and no command line."""
    seen = set()
    for page in PAGES:
        for place, words in calls(page):
            meant = [MEANT.get(word, word) for word in words if word not in ("...", "[ARG]")]
            if len(meant) > 1 and tuple(meant) not in seen and (":" in place or len(meant) > 2):
                seen.add(tuple(meant))
                yield place, meant


def test_every_command_that_needs_only_a_root_does_what_it_should(made, tmp_path, monkeypatch, capsys):
    ran = 0
    for number, (place, (program, *words)) in enumerate(_calls()):
        if program not in ("experience-tui", "./run.sh") or words[0] in ELSEWHERE | {"opus", "help"}:
            continue
        if words[0].startswith("-"):
            continue
        root = tmp_path / str(number)
        shutil.copytree(made, root)
        monkeypatch.setenv("EXPERIENCE_ROOT", str(root))
        monkeypatch.setenv("EXPERIENCE_CONFIG", str(root / "main.toml"))
        _prepare(words, root)
        capsys.readouterr()
        code = run(monitor, words, "experience-tui")
        said = capsys.readouterr()
        if words[0] == "stop":
            assert "is not running" in said.err, f"{place}: {words}: {said}"
        else:
            assert code == (words[0] == "doctor"), f"{place}: {words}: {said}"  # these two have no owner
        ran += 1
    assert ran >= 30


def _prepare(words: list[str], root: Path) -> None:
    """What must be so before the command makes sense."""
    own = root / "opus" / "experience.toml"
    if words[0] == "init":
        shutil.rmtree(root / "opus")
    elif words[0] == "add":
        own.write_text(SETTINGS.replace("tasks.report", "tasks.other"))
    elif words[0] == "alert":
        own.write_text(f'{own.read_text()}\n[alerts]\ncommand = ["true"]\n')
    elif words[0] == "undo":
        assert run(monitor, ["disable", "opus", "report"]) == 0
    elif words[0] == "resume":
        assert run(monitor, ["pause", "opus", "report"]) == 0
    elif words[0] == "thaw":
        assert run(monitor, ["freeze", "opus"]) == 0


# ------------------------------------------------------------------ what commands print


DATABASE = "postgresql://experience:secret@db.example/experience?sslmode=verify-full"
VARIABLE = (  # what differs from one run to the next
    (r"/\S+/opus/", "/home/opus/"),
    (r"until (\w{3} )?\d\d:\d\d", "until TIME"),
    (r" by \w+( \(.*?\))?:", " by WHO:"),
)
STATUS = """\
builtin = ["heartbeat", "news_scan"]
[tasks.news_scan]
command = ["true"]
"""


def test_transcripts_are_what_the_commands_print(root, capsys):
    """Each block of commands.md with a prompt, line for line; times and names differ."""
    tried = []
    for line, shown in _sessions():
        verb = line.split()[1]
        tried.append(verb)
        _before(verb, line, root)
        capsys.readouterr()
        run(monitor, shlex.split(line)[1:], "experience-tui")
        said = capsys.readouterr()
        if "--json" in line:  # mira's run; opus has none under way here
            shown = shown.splitlines()[0]
        printed = _worded(said.out or said.err)
        if "--json" in line:  # in the order in which they end
            printed = [each for each in printed if '"mira"' in each]
        assert printed == _worded(shown), line
    assert tried == ["status", "add", "pause", "freeze", "force", "force", "force"]


def _sessions() -> Iterator[tuple[str, str]]:
    page = next(page for page in PAGES if page.name == "commands.md")
    for block in blocks(page):
        if not block.language:
            for session in re.split(r"(?m)^\$ ", block.text)[1:]:
                line, _, shown = session.partition("\n")
                yield line, shown


def _before(verb: str, line: str, root: Path) -> None:
    own = root / "opus" / "experience.toml"
    if verb == "status":
        own.write_text(STATUS)
        now = time.time()
        error = {"time": "2026-03-02T12:00:00+00:00", "error": "Connection timeout"}
        state = {
            "last_run": {"heartbeat": now - 130, "news_scan": now - 5.5 * 3600},
            "run_counts": {"heartbeat": 42, "news_scan": 2},
            "errors": {"news_scan": error},
        }
        (own.parent / "background_tasks.json").write_text(json.dumps(state))
    elif verb == "add":
        own.write_text(SETTINGS.replace("tasks.report", "tasks.other"))
    elif verb == "pause":
        own.write_text(SETTINGS)
    elif verb == "force" and "--wait" in line:
        run(monitor, ["thaw", "opus"])


def _worded(text: str) -> list[str]:
    for pattern, word in VARIABLE:
        text = re.sub(pattern, word, text)
    return text.replace("experience-tui ", "./run.sh ").rstrip().splitlines()


def test_what_is_said_of_a_task_that_runs_already_is_in_the_code():
    _, shown = next(session for session in _sessions() if "--json" in session[0])
    answer = json.loads(shown.splitlines()[1])
    error = AlreadyRunning("report is already running (force --again queues another run)")
    assert (answer["error"], answer["code"]) == (str(error), error.code)


# ------------------------------------------------------------------ settings and documents


def test_every_settings_sample_is_without_a_mistake(tmp_path, monkeypatch):
    """As a citizen's own file, or as the main one, with the secrets and the files that it names."""
    monkeypatch.setattr(grp, "getgrnam", lambda name: SimpleNamespace(gr_gid=4))  # whatever this machine has
    for number, block in enumerate(every("toml")):
        tomllib.loads(block.text)
        own = _problems(block, tmp_path / f"{number}-own", own=True)
        problems = own and _problems(block, tmp_path / f"{number}-main", own=False)
        assert not problems, f"{block.place}: {own}, or as the main file: {problems}"


def _problems(block: Block, place: Path, own: bool) -> list[str]:
    home = place / "opus"
    home.mkdir(parents=True)
    main = place / "main.toml"
    text = re.sub(r"(?m)^root = .*$", "", block.text)
    engine = "" if "[engine]" in text else '\n[engine]\nurl = "${EXPERIENCE_ENGINE}"\n'
    main.write_text(engine if own else text + engine)
    if own:
        (home / "experience.toml").write_text(text)
    names = re.findall(r"\$\{(\w+)\}", text)
    around = {name: f"https://{name.lower()}.example/x" for name in names}
    around |= {"EXPERIENCE_ROOT": str(place), "EXPERIENCE_ENGINE": DATABASE}
    for file, function in re.findall(r'"([\w/]+\.py)(?::(\w+))?"', text):
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_text(f"def {function or 'main'}(citizen): return citizen\n")
    settings = load(config=main, environ={**os.environ, **around})
    return [
        *settings.problems,
        *settings.monitor.problems,
        *(p for c in settings.citizens for p in c.problems),
    ]


def test_the_variables_in_settings_md_set_what_they_name(tmp_path):
    text = next(block.text for block in every("sh") if block.page == "settings.md")
    around = dict(line.split("=", 1) for line in shlex.split(text, comments=True))
    assert around.pop("EXPERIENCE_ROOT") == "/home"
    (tmp_path / "opus").mkdir()
    (tmp_path / "opus" / "experience.toml").write_text('[tasks.report]\nevery = "1h"\ncommand = ["true"]\n')
    settings = load(environ={**os.environ, **around, "EXPERIENCE_ROOT": str(tmp_path)})
    (opus,) = settings.citizens
    assert (opus.problems, opus.wake.schedule) == ((), Every(300.0))
    (report,) = (task for task in opus.tasks if task.name == "report")
    assert report.work.argv == ("python3", "report.py")


def test_json_yaml_and_units_can_be_read():
    for block in every("json"):
        rest = block.text.strip()
        while rest:
            _, end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:].strip()
    for block in every("yaml"):
        assert yaml.safe_load(block.text), block.place
    for block in every("ini"):
        unit = configparser.ConfigParser(strict=False)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read_string(block.text)
        assert unit["Service"]["ExecStart"].split()[1:2] == ["serve"]


def test_the_metrics_of_the_alerts_exist():
    known = {f"task_{name}" for name, *_ in GAUGES} | {"owner_up"}
    names = {name for block in every("yaml") for name in re.findall(r"\bexperience_(\w+)", block.text)}
    assert names and names <= known


@pytest.mark.needs("nginx", "openssl")
def test_nginx_takes_the_proxy_of_browser_md(tmp_path):
    (block,) = every("nginx")
    text = block.text.replace("/etc/ssl/", f"{tmp_path}/")
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=opus.example.org"]
    files = ["-keyout", str(tmp_path / "opus.key"), "-out", str(tmp_path / "opus.pem")]
    subprocess.run([*request, *files], check=True, capture_output=True)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{text}}}\n"
    )
    nginx = shutil.which("nginx", path=PATH)
    assert nginx
    words = [
        nginx,
        "-t",
        "-p",
        str(tmp_path),
        "-e",
        str(tmp_path / "errors"),
        "-c",
        str(tmp_path / "nginx.conf"),
    ]
    tried = subprocess.run(words, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr
