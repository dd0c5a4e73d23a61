"""The axis of the timeline: round cells, hours by the clocks of the place, days of 23 and 25 hours."""

import time
from collections.abc import Iterator
from datetime import datetime
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from tests.each import each
from tests.fakes import NOON
from tui.timeline.axis import PAST, ZOOMS, labels, moment, window_for, zoom_words


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    def of(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield of
    monkeypatch.undo()
    time.tzset()


def said(zone: str, at: str, hours: float, cells: int) -> list[str]:
    """What stands above an axis that starts about an hour before this local time."""
    now = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone)).timestamp()
    return [each.text + "!" * each.changed for each in labels(window_for(now, hours * 3600, cells))]


def test_the_past_hour_and_all_of_the_future_are_in_the_window():
    for ahead, cells in product(ZOOMS, (1, 7, 40, 90, 180, 280)):
        case = f"{ahead} s ahead in {cells} cells"
        window = window_for(NOON, ahead, cells)
        assert window.cells == cells, case
        if cells > 30:
            assert window.start <= NOON - PAST < window.start + window.cell, case
            assert window.end >= NOON + ahead - window.cell, case


def test_cells_begin_at_round_times_of_this_place(clocks):
    clocks("Asia/Kolkata")  # half an hour beside the world
    window = window_for(NOON + 777, 86400.0, 90)
    assert window.cell == 1200.0
    assert time.localtime(window.start).tm_min % 20 == 0
    assert all(each.text.endswith(":00") or each.day for each in labels(window))


def test_a_quiet_day_in_utc(clocks):
    clocks("UTC")
    assert said("UTC", "2026-03-02T12:00", 24, 90) == [
        "12:00", "15:00", "18:00", "21:00", "Tue 03", "03:00", "06:00", "09:00", "12:00", "15:00",
    ]  # fmt: skip


def test_berlin_in_spring_has_no_two_o_clock(clocks):
    clocks("Europe/Berlin")
    night = said("Europe/Berlin", "2026-03-29T01:00", 6, 90)
    assert night == ["Sun 29", "01:00", "03:00!", "04:00", "05:00", "06:00", "07:00", "08:00"]


def test_berlin_in_autumn_has_it_twice(clocks):
    clocks("Europe/Berlin")
    night = said("Europe/Berlin", "2026-10-25T01:00", 6, 90)
    assert night == ["Sun 25", "01:00", "02:00", "02:00!", "03:00", "04:00", "05:00", "06:00"]


def test_lord_howe_skips_and_repeats_half_an_hour(clocks):
    clocks("Australia/Lord_Howe")
    assert said("Australia/Lord_Howe", "2026-10-04T01:30", 3, 90)[:4] == ["01:00", "02:30!", "03:00", "04:00"]
    assert said("Australia/Lord_Howe", "2026-04-05T01:30", 3, 90)[:4] == ["01:00", "01:30!", "02:00", "03:00"]


@each("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
def test_labels_never_run_into_each_other_or_over_the_edge(clocks, zone):
    clocks(zone)
    for start, ahead, cells in product((NOON, 1774738800.0, 1792886400.0), ZOOMS, (10, 33, 90, 250)):
        case = f"from {start}, {ahead} s ahead in {cells} cells"
        found = labels(window_for(start, ahead, cells))
        ends = [each.cell + len(each.text) for each in found]
        assert all(end < after.cell for end, after in zip(ends, found[1:], strict=False)), case
        assert all(end <= cells for end in ends), case


def test_words(clocks):
    clocks("UTC")
    words = "1h, 3h, 6h, 12h, 24h, 3d, 7d"
    assert ", ".join(zoom_words(zoom) for zoom in range(len(ZOOMS))) == words
    assert moment(NOON) == "Mon 12:00"
