"""The face that v2's callers know: handlers of one's own, and the verbs as plain calls."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler import Context, Report, TaskFailed, background, get_scheduler
from scheduler.background import (
    BACKGROUND_TASKS,
    background_force,
    background_reset,
    background_status,
    register_handler,
    run_background_tasks,
)
from scheduler.core.task import Outcome
from scheduler.core.views import TaskStatus
from scheduler.errors import NotSetUp, Owned, SchedulerError, UnknownCitizen, UnknownTask
from tests.each import each

ROOT = Path(__file__).parents[3]
# heartbeat, memory_summary and dream_generate work without settings, and look at this machine.
QUIET = "".join(
    f"[tasks.{name}]\nenabled = false\n" for name in ("heartbeat", "memory_summary", "dream_generate")
)


@pytest.fixture(autouse=True)
def _own_root(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "main.toml").write_text("")
    monkeypatch.setenv("EXPERIENCE_ROOT", str(tmp_path))
    monkeypatch.setenv("EXPERIENCE_CONFIG", str(tmp_path / "main.toml"))
    (home / "experience.toml").write_text(QUIET)
    background._scheduler.cache_clear()
    yield
    background._scheduler.cache_clear()


@contextlib.contextmanager
def another_process_owns(home: Path) -> Iterator[int]:
    """Another process owns this home: its pid."""
    script = (
        "import sys; from pathlib import Path; from scheduler.storage.lock import acquire\n"
        "kept = acquire(Path(sys.argv[1]), 5.0); print('mine', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", script, str(home)]
    owner = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert owner.stdout.readline() == b"mine\n"
        yield owner.pid
    finally:
        owner.communicate(timeout=10)


def saved(home: Path) -> dict:
    return json.loads((home / "background_tasks.json").read_text())


def test_the_table_is_plain_data_with_the_keys_of_v2():
    assert BACKGROUND_TASKS["heartbeat"]["interval"] == 300
    assert {entry["priority"] for entry in BACKGROUND_TASKS.values()} == {1, 2, 3, 4, 5, 6, 7}
    assert all(
        {"interval", "description", "priority", "max_runtime"} <= e.keys() for e in BACKGROUND_TASKS.values()
    )


def test_a_handler_of_ones_own_is_what_is_due_runs(home):
    asked = []

    def news(context: Context) -> str:
        asked.append((context.citizen, context.task, context.home))
        return "3 new"

    get_scheduler("opus").register_handler("news_scan", news)
    assert run_background_tasks("opus") == {"news_scan": Outcome.OK}
    assert asked == [("opus", "news_scan", home)]
    assert saved(home)["run_counts"] == {"news_scan": 1}
    assert run_background_tasks("opus") == {}, "it is not due again"


def test_a_handler_of_ones_own_is_what_is_forced():
    register_handler("news_scan", lambda citizen: f"scanned for {citizen}", "opus")
    assert background_force("news_scan", "opus") == "news_scan: ok: scanned for opus"


@each(
    ("returned", "said"),
    [("URGENT: war", "ok: URGENT: war"), (Report("thin", warning=True), "warning: thin"), (None, "ok")],
)
def test_what_a_handler_returns_is_how_it_went(returned, said):
    async def handler(context: Context) -> object:
        return returned

    get_scheduler("opus").register_handler("news_scan", handler)
    assert background_force("news_scan", "opus") == f"news_scan: {said}"


def test_a_handler_that_fails_is_a_failed_run_and_not_an_exception(home):
    def handler(context: Context) -> str:
        raise TaskFailed("Connection timeout\nafter 30 s")

    get_scheduler("opus").register_handler("news_scan", handler)
    assert background_force("news_scan", "opus") == "news_scan: failed: Connection timeout"
    assert saved(home)["errors"]["news_scan"]["error"] == "Connection timeout\nafter 30 s"


def test_forcing_runs_only_what_was_forced():
    ran = []
    for name in ("news_scan", "price_monitor"):
        get_scheduler("opus").register_handler(name, lambda context: ran.append(context.task) or "")
    background_force("news_scan", "opus")
    assert ran == ["news_scan"]


def test_what_is_due_runs_in_the_order_of_priority(home):
    (home / "experience.toml").write_text("workers = 1\n" + QUIET)
    ran = []
    for name in ("offsite_backup", "price_monitor", "news_scan"):
        get_scheduler("opus").register_handler(name, lambda context: ran.append(context.task) or "")
    run_background_tasks("opus")
    assert ran == ["price_monitor", "news_scan", "offsite_backup"]


def test_a_reset_task_is_due(home):
    get_scheduler("opus").register_handler("news_scan", lambda context: "")
    run_background_tasks("opus")
    assert background_reset("news_scan", "opus") == "news_scan: reset"
    assert saved(home)["last_run"] == {}
    assert run_background_tasks("opus") == {"news_scan": Outcome.OK}


def test_where_another_process_owns_the_citizen_a_handler_here_would_never_run(home):
    with another_process_owns(home) as pid, pytest.raises(Owned) as refused:
        get_scheduler("opus").register_handler("news_scan", lambda context: "")
    assert f"opus is owned by pid {pid}" in str(refused.value)
    assert "handler" in str(refused.value) and "news_scan" in str(refused.value)
    get_scheduler("opus").register_handler("news_scan", lambda context: "")


@pytest.mark.parametrize("verb", [run_background_tasks, lambda name: background_force("news_scan", name)])
def test_where_another_process_owns_the_citizen_nothing_runs_and_it_is_named(home, verb):
    with another_process_owns(home) as pid, pytest.raises(Owned, match=f"opus is owned by pid {pid}"):
        verb("opus")


def test_an_owner_that_was_killed_is_in_the_way_of_none(home):
    with another_process_owns(home):
        pass
    (home / ".experience" / "owner.json").write_text('{"pid": 1, "born": 1.0, "since": 1.0}')
    get_scheduler("opus").register_handler("news_scan", lambda context: "fine")
    assert background_force("news_scan", "opus") == "news_scan: ok: fine"


def test_unknown_names_are_said_with_the_nearest():
    with pytest.raises(UnknownTask, match=r"unknown task 'news_scna': did you mean news_scan\?"):
        get_scheduler("opus").register_handler("news_scna", lambda context: "")
    with pytest.raises(UnknownTask, match="did you mean"):
        background_reset("heartbeet", "opus")
    with pytest.raises(UnknownCitizen, match=r"unknown citizen 'opsu': did you mean opus\?"):
        get_scheduler("opsu").register_handler("news_scan", lambda context: "")
    with pytest.raises(UnknownCitizen):
        background_status("opsu")


def test_settings_that_cannot_be_used_are_what_is_said(home):
    (home / "experience.toml").write_text('[tasks.news_scan]\nevery = "often"\n')
    for call in (
        lambda: get_scheduler("opus").register_handler("news_scan", lambda context: ""),
        lambda: background_force("news_scan", "opus"),
        lambda: run_background_tasks("opus"),
    ):
        with pytest.raises(SchedulerError, match=r"tasks\.news_scan\.every: 'often' is not a duration"):
            call()


def test_a_task_that_is_not_set_up_says_what_to_add():
    with pytest.raises(NotSetUp, match="is not set up: it needs"):
        background_force("offsite_backup", "opus")


def test_the_scheduler_of_a_citizen_is_the_same_each_time():
    assert get_scheduler("opus") is get_scheduler("opus")
    assert get_scheduler("opus") is not get_scheduler("mira")


def test_looking_changes_nothing(home, tmp_path):
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in (tmp_path, *tmp_path.rglob("*")))
    assert background_status("opus").startswith("=== BACKGROUND TASKS ===\n\n")
    assert get_scheduler("opus").status().citizen == "opus"
    assert background.read_citizen("opus").task("heartbeat") is not None
    assert background.citizens() == ("opus",)
    after = sorted((str(path), path.lstat().st_mtime_ns) for path in (tmp_path, *tmp_path.rglob("*")))
    assert after == before


def test_a_process_that_has_just_ended_is_no_interrupted_run_while_there_is_an_owner(home):
    ended = {"pid": 2**22 - 1, "born": 1.0, "since": 5.0}
    state = {"last_run": {"news_scan": 5.0}, "tasks": {"news_scan": {"running": ended}}}
    (home / "background_tasks.json").write_text(json.dumps(state))
    with another_process_owns(home):
        assert background.read_citizen("opus").task("news_scan").kind is TaskStatus.RUNNING
    assert "interrupted" in background.read_citizen("opus").task("news_scan").error.text
