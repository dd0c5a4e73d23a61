"""Who asks, in words; and what the environment of a run says of this process."""

from scheduler.process import who
from scheduler.process.who import Who
from tests.each import each


@each(
    ("asked", "short", "full"),
    [
        (Who("ct", "experience-tui", 4711), "ct", "ct (experience-tui, pid 4711)"),
        (Who("ct", "", 4711), "ct", "ct (pid 4711)"),
        (Who("ct"), "ct", "ct"),
        (Who(), "somebody", "somebody"),
        (Who("ct", "python3", 7, browser=True), "browser of ct", "browser of ct (python3, pid 7)"),
        (Who("root", "sh", 7, run="wake #812"), "wake #812", "wake #812 (sh, pid 7)"),
    ],
)
def test_a_run_goes_before_its_user(asked, short, full):
    assert (str(asked), asked.in_full) == (short, full)


@each(
    ("around", "run"),
    [
        ({}, ""),
        ({"EXPERIENCE_TASK": "report", "CITIZEN": "opus"}, ""),
        ({"EXPERIENCE_RUN": "x", "EXPERIENCE_TASK": "report", "CITIZEN": "opus"}, "task report of opus"),
        ({"EXPERIENCE_RUN": "x", "EXPERIENCE_WAKE": "812", "EXPERIENCE_TASK": "wake"}, "wake #812"),
        ({"EXPERIENCE_RUN": "x"}, "a run"),
    ],
)
def test_a_process_inside_a_run_says_so_where_nothing_stands_between(around, run, monkeypatch):
    for name in ("EXPERIENCE_RUN", "EXPERIENCE_TASK", "EXPERIENCE_WAKE", "CITIZEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in around.items():
        monkeypatch.setenv(name, value)
    assert who._own_run() == run
