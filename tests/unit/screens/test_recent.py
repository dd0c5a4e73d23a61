"""Which of the newest events are lines below the panels, and which are one line together."""

from dataclasses import replace

from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Event
from tests.fakes import NOON
from tui.glyphs import UNICODE
from tui.log.events import Gap, event_text
from tui.log.recent import Happened, recent, words_of


def ended(task: str, at: float, text: str = "", outcome: Outcome = Outcome.OK, took: float = 1.0) -> Event:
    return Event(int(at), NOON + at, "finished", "opus", task, outcome, text, Trigger.SCHEDULE, took)


def began(task: str, at: float) -> Event:
    return Event(int(at), NOON + at, "started", "opus", task, trigger=Trigger.SCHEDULE)


def lines(*entries, count: int = 10, running=()) -> list[tuple[str, int]]:
    return [(line.entry.task, line.times) for line in recent(entries, count, running)]


def said(line: Happened) -> str:
    return words_of(line, event_text(line.entry, UNICODE))


def test_equal_results_of_a_task_are_one_line_where_the_last_was():
    entries = [ended("beat", n, f"disk {60 + n}%, load 0.{n}", took=0.17) for n in range(0, 9, 3)]
    others = [ended("mail", 1, "none"), ended("mail", 2, "3 new"), ended("mail", 7, "none")]
    found = recent(sorted([*entries, *others], key=lambda each: each.time), 10, ())
    assert [(line.entry.task, line.times) for line in found] == [
        *[("mail", 1), ("mail", 1)],
        *[("beat", 3), ("mail", 1)],
    ]
    assert said(found[2]) == "ok 3 times since 12:00, last in 170ms: disk 66%, load 0.6"
    assert said(found[3]) == "ok in 1.0s: none"


def test_failures_are_never_folded():
    assert lines(*(ended("scan", n, "no route", Outcome.FAILED) for n in range(3))) == [("scan", 1)] * 3


def test_skips_are():
    found = recent([ended("nap", n, "nothing new", Outcome.SKIPPED) for n in range(3)], 5, ())
    assert [said(line) for line in found] == ["skipped 3 times since 12:00, last in 1.0s: nothing new"]


def test_skips_fold_between_two_wakes_and_each_wake_is_a_line():
    wake = replace(ended("wake", 3, "read"), number=7)
    skips = [ended("wake", n, "nothing new", Outcome.SKIPPED) for n in (1, 2, 4, 5)]
    entries = [*skips[:2], wake, replace(wake, seq=9, number=8), *skips[2:]]
    assert lines(*entries) == [("wake", 2), ("wake", 1), ("wake", 1), ("wake", 2)]


def test_a_start_is_a_line_while_the_run_goes_on():
    entries = [began("a", 1), began("b", 2), ended("a", 3), began("a", 4)]
    assert lines(*entries) == [("a", 1)]
    assert lines(*entries, running={("opus", "b")}) == [("b", 1), ("a", 1)]
    assert lines(*entries, running={("opus", "a")}) == [("a", 1), ("a", 1)]


def test_there_are_as_many_lines_as_there_is_room_and_the_count_goes_on_before_them():
    beats = [ended("beat", n, "fine") for n in range(0, 20, 2)]
    others = [ended(f"t{n}", n, "x") for n in range(1, 20, 2)]
    entries = sorted([*beats, *others], key=lambda each: each.time)
    found = recent(entries, 3, ())
    assert [line.entry.task for line in found] == ["t17", "beat", "t19"]
    assert found[1].times == 10


def test_a_chain_ends_where_something_else_happened_also_out_of_sight():
    entries = [ended("beat", 0, "fine"), ended("beat", 1, "bad", Outcome.FAILED), ended("beat", 2, "fine")]
    assert lines(*entries, count=1) == [("beat", 1)]


def test_a_gap_is_a_line_of_its_own():
    found = recent([Gap(NOON, "opus", 12), replace(ended("a", 1))], 5, ())
    assert [event_text(line.entry, UNICODE).text for line in found] == ["12 skipped", "ok in 1.0s"]
