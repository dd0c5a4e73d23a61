"""The table without a terminal: its order, its columns, and what its cells say."""

from dataclasses import replace

from rich.style import Style

from scheduler.core.state import Failure
from scheduler.core.task import Progress
from scheduler.core.views import Hold, HoldKind, TaskStatus, TaskView
from tests.each import each
from tests.fakes import NOON
from tui.common.styles import Styles
from tui.common.task_ref import TaskRef
from tui.common.usual_duration import usual
from tui.fleet.table.columns import LAST, NEXT, RECENT, TASK, Column, Moment, columns_for, says
from tui.fleet.table.foot import about
from tui.fleet.table.order import Order, SortedBy
from tui.fleet.table.rows import row_cells, row_look
from tui.glyphs import UNICODE


def task(name: str, **more) -> TaskView:
    return TaskView(name, **{"kind": TaskStatus.OK, "schedule": "5m", "due": NOON + 60, **more})


def running(name: str) -> TaskView:
    return task(name, kind=TaskStatus.RUNNING, running_since=NOON - 161, due=None)


def order(*tasks: TaskView, by: Column = NEXT, reverse: bool = False) -> Order:
    made = Order()
    made.fill([TaskRef("opus", each) for each in tasks])
    made.sort(SortedBy(by, reverse))
    return made


def names(made: Order) -> list[str]:
    return [name for _, name in made.rows]


def test_the_next_comes_first_after_what_runs_and_what_has_no_time_comes_last_both_ways():
    tasks = [task("b", due=NOON + 9), running("a"), task("c", due=NOON + 5), task("d", due=None)]
    assert names(order(*tasks)) == ["a", "c", "b", "d"]
    assert names(order(*tasks, reverse=True)) == ["b", "c", "a", "d"]
    paused = task("e", kind=TaskStatus.PAUSED, due=NOON)
    assert names(order(paused, task("b")))[-1] == "e"


def test_any_column_sorts():
    tasks = [
        task("b", last_run=NOON - 9, recent="oxx"),
        task("a", last_run=NOON - 1, recent="ooo"),
        task("c"),
    ]
    assert names(order(*tasks, by=TASK)) == ["a", "b", "c"]
    assert names(order(*tasks, by=LAST)) == ["a", "b", "c"]
    assert names(order(*tasks, by=RECENT, reverse=True)) == ["b", "a", "c"]


def test_the_order_stays_when_values_change_and_is_taken_when_a_row_comes_or_goes():
    made = order(task("a", due=NOON + 1), task("b", due=NOON + 2))
    assert not made.update("opus", [task("a", due=NOON + 9), task("b", due=NOON + 2)])
    assert names(made) == ["a", "b"]
    assert made.ref(0).task.due == NOON + 9
    assert made.update("opus", [task("a", due=NOON + 9), task("b", due=NOON + 2), task("c", due=NOON)])
    assert names(made) == ["c", "b", "a"] and made.at(("opus", "b")) == 1
    assert made.at(("opus", "z")) is None and made.ref(3) is None


@each(
    ("width", "shown"),
    [
        (40, ["who", "task", "next"]),
        (50, ["who", "task", "next", "today"]),
        (80, ["who", "task", "next", "last", "took", "p50", "last ten", "today"]),
        (60, ["who", "task", "next", "took", "last ten", "today"]),
        (120, ["who", "task", "next", "last", "took", "p50", "last ten", "runs", "today", "says"]),
        (
            200,
            [
                *("citizen", "task", "next", "last", "took", "p50", "p95"),
                *("last ten", "runs", "today", "month", "says"),
            ],
        ),
    ],
)
def test_narrow_tables_leave_out_the_less_important(width, shown):
    assert [column.name for column in columns_for(width, 14)] == shown


def test_the_machine_is_a_column_in_a_wide_table_of_several_machines():
    names = [column.name for column in columns_for(200, 14, shared=True)]
    assert names[-2:] == ["machine", "says"]
    assert "machine" not in [column.name for column in columns_for(120, 14, shared=True)]


def test_columns_never_take_more_than_there_is():
    for width in range(40, 240):
        for longest, shared in ((4, False), (14, True), (32, True)):
            columns = columns_for(width, longest, shared)
            assert 3 + sum(column.gap + column.cells for column in columns) <= width - 1


def test_what_is_usual_needs_ten_runs_and_slow_is_well_beyond_it():
    assert usual([1.0] * 9) is None
    known = usual([1.0, 1.1, 1.2] * 5)
    assert known is not None and (known.p50, known.p95) == (1.1, 1.2)
    assert not known.slow(1.6) and known.slow(1.7)
    assert not usual([1.0] * 9 + [9.0]).slow(5.0)


def test_what_a_row_says_is_what_is_news():
    at = Moment(NOON, UNICODE, lambda ref: None, lambda citizen: "frozen" if citizen == "aria" else "")

    def said(view: TaskView, citizen: str = "opus") -> tuple[str, str]:
        return says(TaskRef(citizen, view), at)

    assert said(task("a", text="3 new\nmore")) == ("3 new", "faint")
    assert said(task("a", kind=TaskStatus.WARNING, text="hot")) == ("hot", "warning")
    broken = task("a", kind=TaskStatus.FAILED, error=Failure(NOON, "no route\nat all"))
    assert said(broken) == ("no route", "failed")
    assert said(replace(broken, kind=TaskStatus.PAUSED)) == ("paused", "faint")
    assert said(task("a", kind=TaskStatus.NOT_SET_UP, missing="feeds")) == ("needs: feeds", "faint")
    assert said(broken, "aria") == ("no route", "failed")  # its wake says that all of it is frozen
    assert said(task("wake"), "aria") == ("frozen", "warning")
    hold = Hold(HoldKind.BUDGET, "over budget until 00:00 ($5.02 of $5.00)", NOON + 9)
    held = task("wake", kind=TaskStatus.OVER_BUDGET, held=hold)
    assert said(held) == ("over budget until 00:00", "warning")
    assert NEXT.show(TaskRef("opus", held), at) == ("00:09", "warning")
    busy = replace(running("a"), progress=Progress(31, 50, "31 of 50 frames"))
    assert said(busy) == ("62% · 31 of 50 frames", "running")
    assert said(replace(running("a"), paused_at=NOON)) == ("paused after this run", "running")


def test_the_foot_says_since_when_a_task_runs_of_which_nothing_else_is_known():
    at = Moment(NOON, UNICODE, lambda _: None, lambda _: "")
    (first, _), _ = about(TaskRef("opus", running("a")), at, 80, "", False)
    assert first[0].startswith(" ► running since ")


def test_what_is_frozen_or_held_stands_where_its_next_time_puts_it_and_needs_settings_come_last():
    hold = Hold(HoldKind.BUDGET, "over budget", NOON + 30)
    made = Order(lambda citizen: "frozen" if citizen == "aria" else "")
    unset = task("a", kind=TaskStatus.NOT_SET_UP, due=None)
    made.fill([TaskRef("aria", task("wake", due=NOON + 1)), TaskRef("aria", unset)])
    held, late = task("wake", due=NOON, held=hold), task("b", due=NOON + 60)
    made.update("opus", [late, held, unset])
    assert made.rows == [("opus", "wake"), ("opus", "b"), ("aria", "wake"), ("aria", "a"), ("opus", "a")]


def moment_at(now: float) -> Moment:
    return Moment(now, UNICODE, lambda ref: None, lambda citizen: "")


def test_a_second_changes_only_the_cells_that_tick():
    """Both countdown and age of a row tick; the rest of it is not drawn again."""
    styles, columns = Styles.read(lambda name: Style()), columns_for(120, 14)
    ref = TaskRef("opus", task("news", last_run=NOON - 9, recent="oxo", run_count=7, text="fine"))
    looks = [row_look(ref, 0, columns, moment_at(now)) for now in (NOON, NOON + 1)]
    assert looks[0] != looks[1] and looks[0][1:] == looks[1][1:]
    first = row_cells(looks[0], styles, 120, moment_at(NOON), None)
    second = row_cells(looks[1], styles, 120, moment_at(NOON + 1), first)
    assert second.left is first.left and second.right is first.right
    texts = ["".join(segment.text for segment in row.all) for row in (first, second)]
    fresh = row_cells(looks[1], styles, 120, moment_at(NOON + 1), None)
    assert texts[0] != texts[1] == "".join(segment.text for segment in fresh.all)


def test_ticking_columns_stand_beside_each_other_at_every_width():
    for width in range(20, 201, 10):
        ticks = [column.ticks for column in columns_for(width, 14)]
        assert ticks == sorted(ticks[: ticks.index(True)]) + sorted(ticks[ticks.index(True) :], reverse=True)


LONGEST = task(
    "a" * 60,
    last_run=NOON - 400 * 86400,
    due=NOON + 400 * 86400,
    last_duration=400 * 86400.0,
    recent="o" * 30,
    run_count=123_456_789,
    cost_today="123.45",
    cost_month="98765.43",
    text="日本語のエラー 🙂 " * 20,
)


@each("width", [40, 80, 120, 160, 200])
def test_a_row_takes_exactly_its_cells_whatever_is_in_it(width):
    styles, columns = Styles.read(lambda name: Style(bold=name == "ink")), columns_for(width, 60, shared=True)
    at = Moment(NOON, UNICODE, lambda ref: None, lambda citizen: "", lambda citizen: "machine" * 9)
    for each_task in (LONGEST, task("a"), replace(LONGEST, running_since=NOON - 400 * 86400.0)):
        look = row_look(TaskRef("日本" * 9, each_task), 0, columns, at)
        row = row_cells(look, styles, width, at, None)
        assert sum(segment.cell_length for segment in row.all) == width


def test_a_cost_too_long_for_its_column_is_shortened_not_cut():
    columns = {column.name: column for column in columns_for(200, 20)}
    at = Moment(NOON, UNICODE, lambda ref: None, lambda citizen: "")
    shown = {name: columns[name].show(TaskRef("opus", LONGEST), at)[0] for name in ("today", "month")}
    assert shown == {"today": "$123", "month": "$98k"}
