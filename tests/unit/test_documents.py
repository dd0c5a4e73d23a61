"""What the documents say: links lead somewhere, commands exist with their options, Python samples run."""

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from scheduler import Report, TaskFailed
from scheduler.cli.main import run
from scheduler.cli.original import core
from scheduler.core.task import Context, Outcome
from scheduler.engine.wake.letter import letter
from scheduler.engine.wake.results import TaskResult
from tui.__main__ import COMMANDS, monitor

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "SKILL.md"])
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]+)?\)")
_CALL = re.compile(r"(?:experience-tui|\./run\.sh) ([a-z][^`\n#;&|]*)")
OF_RUN_SH = {"serve"}


def headings(page: Path) -> set[str]:
    titles = re.findall(r"(?m)^#+ (.+)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text()):
        file = page if not target else (page.parent / target).resolve()
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor[1:] in headings(file), f"{page.name}: {target}{anchor}"


def calls(page: Path) -> list[list[str]]:
    """The words of every command line of ours in a page: those in code, not in sentences."""
    code = re.findall(r"```(?:bash|sh)?\n(.*?)```|`([^`\n]+)`", page.read_text(), re.DOTALL)
    return [call.split() for pair in code for text in pair for call in _CALL.findall(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_exist_with_their_options(page: Path) -> None:
    for verb, *words in calls(page):
        command = _command(verb)
        if command is None:  # a citizen's name: its loop
            assert not words or words[0].startswith("-"), (page.name, verb, words)
            continue
        while isinstance(command, click.Group) and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        before = words[: words.index("--")] if "--" in words else words
        for word in before:
            if word.startswith("--"):
                assert word.partition("=")[0] in known | {"--help"}, (page.name, verb, word)


def _command(verb: str) -> click.Command | None:
    if verb not in COMMANDS:
        return None
    module, _, name = COMMANDS[verb].partition(":")
    found: click.Command = getattr(import_module(module), name)
    return found


def test_options_of_the_monitor_are_known() -> None:
    known = {option for parameter in monitor.params for option in parameter.opts}
    assert {"--no-ui", "--demo", "--citizen"} <= known


def samples(page: str) -> list[str]:
    return re.findall(r"```python\n(# scripts/.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


def test_handlers_of_the_documents_do_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text("two words")
    count, read = (_handler(sample) for sample in samples("python-tasks.md"))
    context = Context("opus", tmp_path, "count_words", options={"limit": 1000})
    assert count(context) == "2 words"
    with pytest.raises(TaskFailed, match="inbox is missing"):
        read(context)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "urgent.txt").touch()
    assert read(context) == Report("1 files", urgent=True)


def _handler(sample: str):  # type: ignore[no-untyped-def]
    names: dict[str, object] = {}
    exec(sample, names)  # the document's own code
    return next(each for name, each in names.items() if getattr(each, "__code__", None))


def test_the_members_of_a_context_are_all_in_the_document() -> None:
    page = (ROOT / "docs" / "python-tasks.md").read_text()
    inner = {"report", "usage", "variables"}
    for name in {*Context.__annotations__, "progress", "used", "log"} - inner:
        assert f"`ctx.{name}" in page or f"ctx.{name}`" in page, name


def test_the_agent_of_the_documents_works(tmp_path: Path) -> None:
    """With the letter that the same page shows, and a budget for one of two pieces of work."""
    page = (ROOT / "docs" / "wake.md").read_text()
    shown = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    program = re.findall(r"```python\n(# agent.py.*?)```", page, re.DOTALL)[0]
    queue = tmp_path / "tasks" / "queue"
    queue.mkdir(parents=True)
    for name in ("a.json", "b.json"):
        (queue / name).write_text('{"subject": "hello"}')
    (tmp_path / "agent.py").write_text(program)
    asked = json.dumps({**shown, "queue": ["a.json", "b.json"]})
    around = {"EXPERIENCE_REPORT": str(tmp_path / "report"), "EXPERIENCE_BUDGET": "0.05"}
    done = subprocess.run(
        [sys.executable, "agent.py"], cwd=tmp_path, env=around, input=asked, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["working on hello", "1 done, 1 tasks failing"], done.stderr
    assert [file.name for file in queue.iterdir()] == ["b.json"]
    assert json.loads((tmp_path / "report").read_text())["cost_usd"] == 0.05


def test_the_settings_of_the_page_wake_the_agent_that_stands_in(tmp_path: Path, capsys) -> None:
    page, home = (ROOT / "docs" / "wake.md").read_text(), tmp_path / "opus"
    settings = re.findall(r"```toml\n(\[wake\].*?)```", page, re.DOTALL)[0]
    agent = tmp_path / "claude"
    agent.write_text(re.findall(r"```sh\n(#!/bin/sh.*?)```", page, re.DOTALL)[0])
    agent.chmod(0o755)
    home.mkdir()
    (home / "experience.toml").write_text(settings.replace('"claude", "-p"', f'"{agent}", "-p"'))
    config = tmp_path / "main.toml"
    config.write_text(f'root = "{tmp_path}"\n')
    assert run(core, ["--citizen", "opus", "--wake", "--no-background", "--config", str(config)]) == 0
    assert "nothing urgent" in capsys.readouterr().out
    assert json.loads((home / "letter.json").read_text())["why"] == "force"
    (wake,) = json.loads((home / "wake_log.json").read_text())["wakes"]
    assert (wake["text"], wake["cost_usd"]) == ("nothing urgent", "0.02")


def test_the_gate_of_the_documents_says_whether_it_is_worth_it(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "wake.md").read_text()
    (program,) = re.findall(r"```python\n(# worth_it.py.*?)```", page, re.DOTALL)
    for queue, worth in ((["a.json"], True), ([], False)):
        given = json.dumps({"queue": queue, "results": []})
        done = subprocess.run([sys.executable, "-c", program], input=given, capture_output=True, text=True)
        assert json.loads(done.stdout)["wakeAgent"] is worth, done.stderr


def test_the_letter_of_the_documents_has_the_keys_of_a_real_one(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "wake.md").read_text()
    shown = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    result = TaskResult("email_check", Outcome.OK, "", 0.0)
    real = letter("opus", 812, "schedule", [result], ["offsite_backup"], tmp_path)
    assert shown.keys() == real.keys()
    assert shown["results"][0].keys() == real["results"][0].keys()
