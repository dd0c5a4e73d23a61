"""What a release consists of: wheel and source archive are complete, manual page and Dockerfile hold."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
import setuptools

from release.manual import page
from release.unpacked import environment
from scheduler.system.version import VERSION
from tui.__main__ import COMMANDS, monitor

pytestmark = pytest.mark.timeout(180)  # a build writes a thousand files

ROOT = Path(__file__).parents[2]
NEVER = re.compile(r"(^|/)(\.venv|\.node|__pycache__|build|dist)(/|$)|\.pyc$|(^|/)\.env$")


def committed() -> list[str]:
    """Every file of the checkout that git has, or will have."""
    words = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive of a copy of the checkout, with some litter in it."""
    assert int(setuptools.__version__.split(".")[0]) >= 77, "./run.sh --check brings the newer setuptools"
    place = tmp_path_factory.mktemp("built")
    source, out = place / "source", place / "out"
    for name in committed():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    for litter in ("scheduler/__pycache__", ".venv", "tests/__pycache__"):
        (source / litter).mkdir()
        (source / litter / "old.pyc").touch()
    out.mkdir()
    lines = (f"b.build_wheel({str(out)!r})", f"b.build_sdist({str(out)!r})")
    for line in lines:
        words = [sys.executable, "-c", f"from setuptools import build_meta as b; {line}"]
        done = subprocess.run(words, cwd=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob("*.whl")))


@pytest.mark.needs("git")
def test_the_wheel_holds_the_program_its_data_and_the_documents(wheel):
    names = set(wheel.namelist())
    wanted = {
        name for name in committed() if name.startswith(("scheduler/", "tui/")) or name == "experience_tui.py"
    }
    assert wanted - names == set()
    docs = f"experience_tui-{VERSION}.data/data/share/doc/experience-tui/"
    pages = {name for name in committed() if name.startswith("docs/") and name.endswith(".md")}
    assert {f"{docs}{name}" for name in pages | {"README.md", "CHANGELOG.md", "SKILL.md"}} <= names
    info = f"experience_tui-{VERSION}.dist-info/"
    others = {name for name in names - wanted if not name.startswith((docs, info))}
    assert others == set()
    assert {name.partition("/")[0] for name in wanted} == {"scheduler", "tui", "experience_tui.py"}


@pytest.mark.needs("git")
def test_the_source_archive_is_a_checkout(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        members = {member.name.partition("/")[2]: member for member in archive.getmembers()}
    assert {name for name in committed() if name not in members} == set()
    assert [name for name in members if NEVER.search(name)] == []
    assert all(members[name].mode & 0o111 for name in ("run.sh", "core.py", "release/build.sh"))


@pytest.mark.needs("git")
def test_the_metadata_say_what_a_reader_of_an_index_wants_to_know(wheel):
    info = f"experience_tui-{VERSION}.dist-info/"
    about: Message = Parser().parsestr(wheel.read(f"{info}METADATA").decode())
    assert (about["Name"], about["Version"]) == ("experience-tui", VERSION)
    assert (about["License-Expression"], about["Requires-Python"]) == ("MIT", ">=3.11")
    urls = dict(line.split(", ") for line in about.get_all("Project-URL", []))
    assert urls.keys() == {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert {"cron", "agents", "tui"} <= set(about["Keywords"].split(","))
    assert len(about.get_all("Classifier", [])) >= 10
    assert about.get_payload().startswith("# Experience\n")
    scripts = wheel.read(f"{info}entry_points.txt").decode()
    assert "experience-tui = experience_tui:main" in scripts
    assert "experience-core = experience_tui:core" in scripts


def test_the_newest_changes_are_those_of_this_version_and_dated():
    newest = re.findall(r"(?m)^## .*$", (ROOT / "CHANGELOG.md").read_text())[0]
    assert re.fullmatch(rf"## \[{re.escape(VERSION)}\] - \d{{4}}-\d\d-\d\d", newest)


def test_the_manual_page_has_every_command_and_option():
    text = page()
    for name in COMMANDS:
        assert f"\n.SS {name}" in text
    for option in (option for parameter in monitor.params for option in parameter.opts):
        hidden = next(each.hidden for each in monitor.params if option in each.opts)  # type: ignore[attr-defined]
        assert hidden or option.replace("-", r"\-") in text, option
    assert VERSION in text.splitlines()[0]


@pytest.mark.needs("groff")
def test_the_manual_page_is_one(tmp_path):
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z"], input=page(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_environment_of_the_one_file_program_finds_its_packages(tmp_path):
    packages = tmp_path / "file_id" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "ours.py").write_text("print('found')")
    python = environment(packages)
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    line = "import sys, ours; print(sys.prefix)"
    done = subprocess.run([python, "-P", "-c", line], env=bare, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["found", str(tmp_path / "file_id" / "venv")], done.stderr
    assert environment(packages) == python
    assert {each.name for each in packages.parent.iterdir()} == {"site-packages", "venv"}


def instructions() -> list[tuple[str, str]]:
    """The lines of the Dockerfile, as an instruction and the rest."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def test_the_dockerfile_runs_one_process_as_an_ordinary_user():
    lines = instructions()
    known = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "STOPSIGNAL", "HEALTHCHECK"}
    assert {word for word, _ in lines} <= known | {"ENTRYPOINT", "CMD"}
    last = {word: rest for word, rest in lines}  # of each, the last counts
    assert last["USER"] == "experience" and "useradd" in last["RUN"] and "-o experience" in last["RUN"]
    assert lines.index(("USER", "experience")) > max(i for i, (word, _) in enumerate(lines) if word == "RUN")
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(last["ENTRYPOINT"]) == ["experience-tui"] and json.loads(last["CMD"]) == ["--no-ui"]
    asks = json.loads(last["HEALTHCHECK"].partition("CMD ")[2])
    assert asks == ["experience-tui", "doctor", "--alive"]
    assert "--require-hashes" in " ".join(rest for word, rest in lines if word == "RUN")


def test_the_dockerfile_builds_the_same_each_time_and_keeps_no_secret():
    """What a linter would say of it; there is none in every environment that runs the tests."""
    lines = instructions()
    (base,) = {rest.split()[0] for word, rest in lines if word == "FROM"}
    tag = re.fullmatch(r"python:3\.(\d+)-slim", base)
    assert tag and int(tag[1]) >= 11, base
    assert all(Path(rest).is_absolute() for word, rest in lines if word in ("WORKDIR", "VOLUME"))
    installs = [rest for word, rest in lines if word == "RUN" and "pip install" in rest]
    assert all(each.count("pip install") == each.count("--no-cache-dir") for each in installs)
    assert not any(re.search(r"(?i)secret|token|password|sudo|curl|;", rest) for _, rest in lines)
    left_out = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "**/.env"} <= {*left_out}, "the first stage copies the folder"


def test_what_the_dockerfile_copies_exists():
    for word, rest in instructions():
        sources = shlex.split(rest)[:-1] if word == "COPY" and not rest.startswith("--from") else []
        assert all((ROOT / source).exists() for source in sources), rest
