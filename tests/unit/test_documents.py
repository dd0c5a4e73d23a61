"""What the documents say: links lead somewhere, Python samples run, pictures are there."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scheduler import Report, TaskFailed
from scheduler.cli.main import run
from scheduler.cli.v2_flags import core
from scheduler.core.task import Context, Outcome
from scheduler.engine.wake.letter import letter
from scheduler.engine.wake.results import TaskResult
from tests.documents import OTHERS, PAGES, ROOT
from tests.each import each

_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]+)?\)")


def headings(page: Path) -> set[str]:
    titles = re.findall(r"(?m)^#+ (.+)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@each("page", [*PAGES, *OTHERS])
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text()):
        file = page if not target else (page.parent / target).resolve()
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor[1:] in headings(file), f"{page.name}: {target}{anchor}"


def test_the_moving_picture_needs_nothing_and_is_small() -> None:
    file = ROOT / "screenshots" / "demo.svg"
    root = ElementTree.parse(file).getroot()
    links = {value for each in root.iter() for name, value in each.attrib.items() if name.endswith("href")}
    assert all(link.startswith("#") for link in links) and len(links) > 100
    text = file.read_text()
    assert len(text) < 1_000_000 and "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert text.count("{transform:") > 20
    assert "DEMO 15x" in text and "screenshots/demo.svg" in (ROOT / "README.md").read_text()


def samples(page: str) -> list[str]:
    return re.findall(r"```python\n(# scripts/.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


def test_handlers_of_the_documents_do_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text("two words")
    count, read = (_handler(sample) for sample in samples("python-tasks.md"))
    context = Context("opus", tmp_path, "count_words", options={"pattern": "*.md"})
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
