"""Where panels, rows and columns lie, what a filter keeps and what the counts are: no terminal needed."""

from dataclasses import replace
from itertools import product

from rich.style import Style

from scheduler.core.state import Failure
from scheduler.core.task import Progress
from scheduler.core.views import Heartbeat, Snapshot, TaskStatus, TaskView
from tests.each import each
from tests.fakes import NOON
from tui.common.styles import NAMES, Styles
from tui.common.task_ref import Place
from tui.fleet.arrangement import Filter, Order, words_of
from tui.fleet.board import Board
from tui.fleet.panels.contents import FOLD, Density, Fold, below, ordered, rows_of
from tui.fleet.panels.layout import arrange, columns_for, share, widths_for
from tui.fleet.summary import FleetSummary
from tui.glyphs import UNICODE


def task(name: str, **more) -> TaskView:
    return TaskView(
        name, **{"kind": TaskStatus.OK, "schedule": "5m", "due": NOON + 60, "since": NOON, **more}
    )


def failing(name: str, again: int = 1, at: float = NOON) -> TaskView:
    return task(name, kind=TaskStatus.FAILED, error=Failure(at, f"{name} broke"), failures_in_a_row=again)


def board(*snapshots: Snapshot, width: int = 120, height: int = 40) -> Board:
    made = Board(UNICODE)
    made.set_citizens(sorted(snapshot.citizen for snapshot in snapshots))
    for snapshot in snapshots:
        made.update_snapshot(snapshot)
    made.arrange(width, height)
    return made


@each(
    ("panels", "width", "columns"),
    [
        (3, 119, 3),
        (30, 119, 3),
        (3, 79, 2),
        (2, 79, 2),
        (3, 59, 1),
        (1, 300, 1),
        (0, 119, 1),
        (9, 19, 1),
        (9, 0, 1),
    ],
)
def test_as_many_columns_as_are_readable_then_the_widest(panels, width, columns):
    assert columns_for(panels, width) == columns


def test_bands_are_as_high_as_their_highest_panel_and_columns_fill_the_width():
    layout = arrange([5, 9, 4, 3], widths_for(101, 2))
    assert layout.tops == (0, 9, 13)
    assert layout.widths == (51, 50)
    assert [layout.band_at(y) for y in (0, 8, 9, 12)] == [0, 0, 1, 1]
    assert [layout.column_at(x) for x in (0, 50, 51, 100)] == [0, 0, 1, 1]
    assert list(layout.panels_in(1)) == [2, 3]


def test_columns_never_take_more_cells_than_there_are():
    for inner, longest in product(range(8, 200), (1, 9, 14, 32)):
        case = f"{inner} cells, a name of {longest}"
        columns = share(inner, longest, 15)
        extra = (
            columns.schedule,
            columns.took,
            *(cells + 1 for cells in (columns.recent, columns.text) if cells),
        )
        used = columns.bar_end + sum(cells + 1 for cells in extra if cells)
        assert used <= inner or inner < 9 + 2, case
        assert used + columns.rest == inner or inner < 9 + 2, case
        assert columns.name <= max(longest, 14) or columns.name <= 8, case


def test_narrow_panels_keep_the_countdown_before_anything_else():
    columns = share(16, 14)
    assert (columns.bar, columns.schedule, columns.recent, columns.took, columns.text) == (0, 0, 0, 0, 0)
    assert columns.time_end == 16


@each(
    ("text", "kept"),
    [
        ("", True),
        ("!", True),
        ("  ", True),
        ("opus", True),
        ("NEWS", True),
        ("opus/news", True),
        ("broke", True),
        ("failed", True),
        ("fail", True),
        ("failing", True),
        ("fa", False),
        ("!fail", False),
        ("fail opus", True),
        ("paused", False),
        ("mira", False),
        ("!mira", True),
        ("!news", False),
    ],
)
def test_what_a_filter_keeps(text, kept):
    assert (Filter(text).all or Filter(text).wants("opus", failing("news_scan"))) is kept


@each(("text", "kept"), [("fail", True), ("pau", True), ("paused", True), ("runn", False)])
def test_a_task_that_fails_is_found_as_that_also_while_it_is_paused(text, kept):
    paused = replace(failing("news_scan"), kind=TaskStatus.PAUSED)
    assert Filter(text).wants("opus", paused) is kept
    assert Filter(text).may_want(words_of("opus", [paused])) is kept


@each(
    ("text", "all_of_them"),
    [("op us", True), ("OPUS", True), ("opus/", False), ("mira", False), ("!mira", False)],
)
def test_whether_a_filter_keeps_all_of_a_citizen(text, all_of_them):
    assert Filter(text).wants_all("opus") is all_of_them


def test_the_cursor_stays_on_its_task_when_others_go():
    first = Snapshot("opus", (task("a"), task("b"), task("c")))
    made = board(first)
    made.move_to(0, 1)
    made.update_snapshot(replace(first, tasks=(task("b"), task("c"))))
    made.arrange(120, 40)
    assert (made.cursor, made.at) == (Place("opus", "b"), (0, 0))
    made.update_snapshot(replace(first, tasks=(task("x"),)))
    made.arrange(120, 40)
    assert made.cursor == Place("opus", "x")


def test_marks_of_citizens_that_are_gone_are_forgotten():
    made = board(Snapshot("mira", (task("a"),)), Snapshot("opus", (task("a"),)))
    made.mark()
    made.set_citizens(["opus"])
    assert made.chosen() == (Place("opus", "a"),)
    assert made.marked == frozenset()


def test_a_new_snapshot_moves_panels_only_if_its_own_has_another_height():
    made = board(Snapshot("opus", (task("a"), task("b"))))
    assert not made.update_snapshot(Snapshot("opus", (task("a", run_count=2), task("b"))))
    assert made.update_snapshot(Snapshot("opus", (failing("a"), task("b"))))


def test_the_same_task_keeps_its_line_so_that_nothing_is_painted():
    made = board(Snapshot("opus", (task("a"), task("b"))))
    before = made.states(2, NOON), made.states(3, NOON)  # below the title and the heads
    made.update_snapshot(Snapshot("opus", (task("a"), task("b", run_count=1))))
    assert made.states(2, NOON) == before[0]
    assert made.states(3, NOON) != before[1]


def test_orders_are_taken_once():
    made = board(Snapshot("a", (task("x"),)), Snapshot("b", (failing("x"),)))
    made.sort(Order.FAILING)
    assert [panel.citizen for panel in made.order] == ["b", "a"]
    made.update_snapshot(Snapshot("a", (failing("x"), failing("y"))))
    made.arrange(120, 40)
    assert [panel.citizen for panel in made.order] == ["b", "a"]


def counted(*snapshots: Snapshot) -> FleetSummary:
    summary = FleetSummary()
    summary.set_citizens({snapshot.citizen for snapshot in snapshots})
    for snapshot in snapshots:
        summary.update_snapshot(snapshot)
    return summary


def test_the_counts_and_what_comes_next():
    running = task("r", kind=TaskStatus.RUNNING, due=None, running_since=NOON)
    summary = counted(
        Snapshot("mira", (running, task("later"))), Snapshot("opus", (task("soon", due=NOON + 5),))
    )
    status = summary.status()
    assert (status.citizens, status.tasks, status.running, status.failing) == (2, 3, 1, 0)
    assert (status.due, status.next) == (NOON + 5, "soon@opus")
    assert status.worst is None
    summary.set_citizens({"mira"})
    assert summary.status().next == "later@mira"


@each(
    ("snapshots", "worst"),
    [
        ([Snapshot("a", (failing("x"), failing("y", again=3)))], "a/y"),
        ([Snapshot("a", (failing("x", at=NOON - 9),)), Snapshot("b", (failing("y"),))], "b/y"),
        ([Snapshot("a", (failing("x"),)), Snapshot("b", (), unsaved="full")], "b"),
        ([Snapshot("a", (), unsaved="full"), Snapshot("b", (), stale="gone")], "b"),
    ],
)
def test_the_worst_is_said_first(snapshots, worst):
    status = counted(*snapshots).status()
    assert status.worst is not None and status.worst.where == worst


def test_a_stalled_scheduler_is_worse_than_anything():
    summary = counted(Snapshot("a", (), stale="gone"))
    summary.problems = ("bad settings",)
    status = summary.status(Heartbeat(7.0, "a/slow"))
    assert status.worst is not None and status.worst.text == "stalled 7 s by a/slow"
    assert status.problem_count == 3
    assert summary.status(Heartbeat(1.0)).problem_count == 2


def test_what_keeps_a_task_from_running_is_said_before_its_last_error():
    waits = "waits for pid 7, started by an owner that died"
    assert said_below(replace(failing("nap"), note=waits), 60) == [(waits, "warning")]
    assert said_below(replace(failing("nap"), note="attempt 2 of 3"))[0] == ("nap broke", "failed")


def said_below(task: TaskView, width: int = 36, density: Density = Density.ROOMY) -> list[tuple[str, str]]:
    return [line[:2] for line in below(task, width, density, UNICODE)]


def test_a_task_that_waits_for_its_next_attempt_says_which():
    waiting = replace(failing("nap"), note="attempt 2 of 3")
    assert said_below(waiting) == [("nap broke", "failed"), ("next: attempt 2 of 3", "faint")]
    assert said_below(waiting, density=Density.SHORT_ERRORS) == [("nap broke", "failed")]


def test_an_error_may_take_two_lines_and_tells_how_often_in_a_row():
    error = Failure(NOON, "Connection timeout: feeds.example.org:443")
    late = replace(failing("news", again=2), error=error)
    assert said_below(late) == [("Connection timeout:", "failed"), ("feeds.example.org:443", "failed")]
    assert [line.end for line in below(late, 36, Density.ROOMY, UNICODE)] == ["", "×2"]
    (line,) = below(late, 36, Density.SHORT_ERRORS, UNICODE)
    assert (line.text, line.end) == ("Connection timeout: feeds.exampl…", "×2")
    endless = replace(late, error=Failure(NOON, "many words " * 20))
    assert len(said_below(endless)) == 2 and said_below(endless)[1][0].endswith("…")


def test_progress_has_its_own_line_while_there_is_room():
    busy = task("render", kind=TaskStatus.RUNNING, running_since=NOON, progress=Progress(31, 50, "frames"))
    assert said_below(busy) == [("62% · frames", "running")]
    assert said_below(busy, density=Density.NO_PROGRESS) == []
    assert said_below(replace(busy, paused_at=NOON)) == [("62% · frames · paused after this run", "running")]


def needy(name: str) -> TaskView:
    return task(name, kind=TaskStatus.NOT_SET_UP, due=None, builtin=True, missing="feeds")


def test_the_wake_comes_first_then_own_tasks_then_built_in_ones():
    tasks = [needy("news_scan"), task("heartbeat", builtin=True), task("report"), task("wake", due=NOON)]
    assert [each.name for each in ordered(tasks)] == ["wake", "report", "heartbeat", "news_scan"]


def test_built_in_tasks_that_need_settings_are_one_row_until_it_is_opened():
    tasks = ordered([needy("news_scan"), needy("email_check"), task("report")])
    folded = rows_of(tasks, folded=True, density=Density.ROOMY)
    assert [row.name for row in folded] == ["report", FOLD]
    assert isinstance(folded[-1], Fold) and folded[-1].words == "2 built-in tasks need settings"
    opened = rows_of(tasks, folded=False, density=Density.ROOMY)
    assert [row.name for row in opened] == ["report", FOLD, "news_scan", "email_check"]
    assert [row.name for row in rows_of(tasks, folded=True, density=Density.NO_FOLD)] == ["report"]
    assert [row.name for row in rows_of(tasks[1:], folded=True, density=Density.NO_FOLD)] == [FOLD]
    assert Fold(1).words == "1 built-in task needs settings"


def test_the_cursor_opens_the_folded_row_and_closes_it_again():
    made = board(Snapshot("opus", (task("report"), needy("news_scan"))))
    assert not made.unfold()
    made.move_to(0, 1)
    assert made.cursor == Place("opus", FOLD) and made.chosen() == ()
    made.mark()
    assert not made.marked
    assert made.unfold()
    assert [row.name for row in made.order[0].rows] == ["report", FOLD, "news_scan"]
    assert made.unfold()
    assert [row.name for row in made.order[0].rows] == ["report", FOLD]


def test_a_filter_shows_what_it_finds_and_folds_nothing():
    made = board(Snapshot("opus", (task("report"), needy("news_scan"))))
    made.apply_filter(Filter("news"))
    assert [row.name for row in made.order[0].rows] == ["news_scan"]


def test_panels_leave_out_only_as_much_as_the_screen_asks_for():
    error = replace(failing("news"), error=Failure(NOON, "Connection timeout: feeds.example.org:443"))
    tasks = (error, task("b"), task("c"), needy("d"))
    made = board(Snapshot("opus", tasks), width=39)
    for height, lines in ((9, 8), (8, 8), (7, 7), (6, 6), (5, 5), (4, 6)):
        made.arrange(39, height)
        assert made.layout.height == lines, height


def test_columns_forget_a_long_name_once_it_is_gone():
    long = task("experience_generator")
    made = board(Snapshot("opus", (long, task("a"))), width=45)
    before = name_cells(made)
    assert made.update_snapshot(Snapshot("opus", (task("a"),)))
    made.arrange(45, 40)
    assert (before, name_cells(made)) == (19, 8)


def name_cells(made: Board) -> int:
    """Where the countdowns begin, by what is drawn."""
    (state,) = made.states(1, NOON)
    look = Styles(dict.fromkeys(NAMES, Style()))
    return "".join(segment.text for segment in state.line.paint(state, look)).index("01:00") - 5
