"""Settings that are wrong: taken apart line by line, and what runs meanwhile."""

from dataclasses import replace

from scheduler.core.views import OWNER_GONE, Snapshot
from tests.each import each
from tests.fakes import NOON
from tui.fleet.broken import Broken, Problem, broken, meanwhile, parted

LINE = "/srv/opus/experience.toml: tasks.report.evry: unknown key; did you mean every?"


@each(
    ("line", "problem"),
    [
        (
            LINE,
            Problem("/srv/opus/experience.toml", 0, "tasks.report.evry", "unknown key; did you mean every?"),
        ),
        ("/a b/e.toml:10: is not UTF-8", Problem("/a b/e.toml", 10, "", "is not UTF-8")),
        ("/e.toml:3: Invalid value: x", Problem("/e.toml", 3, "", "Invalid value: x")),
        ("environment: TASKS: bad", Problem("", 0, "", "environment: TASKS: bad")),
    ],
)
def test_a_problem_has_a_file_a_line_a_key_and_words(line, problem):
    assert parted(line) == problem


def test_what_is_no_problem_of_settings_is_none_here():
    set_aside = Snapshot("opus", problems=("background_tasks.json was set aside",), settings_from=NOON)
    assert broken(set_aside) is None and broken(Snapshot("opus", problems=(LINE,))) is None
    assert broken(Snapshot("opus", stale=f"{OWNER_GONE}: process 7 ended")) is None


def test_it_is_said_what_runs_meanwhile():
    goes_on = broken(Snapshot("opus", problems=("x", LINE), settings_from=NOON))
    assert goes_on == Broken((LINE,), NOON)
    assert meanwhile(goes_on, NOON + 60) == "goes on with the settings of 12:00"
    assert meanwhile(goes_on, NOON + 86400).endswith("Mon 12:00"), "yesterday's are named with their day"
    stopped = broken(Snapshot("opus", stale=f"{LINE}\n{LINE}"))
    assert stopped and meanwhile(stopped, NOON) == "it does not run until they are gone"
    assert meanwhile(replace(stopped, lines=(LINE,)), NOON) == "it does not run until it is gone"
