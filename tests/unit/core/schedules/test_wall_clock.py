"""Cron slots against a walk over every minute, which knows nothing of how we find them."""

import csv
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from scheduler.cli.queries import next as commands_next
from scheduler.core.schedules.schedule import NEVER, Cron
from scheduler.errors import BadSchedule, SchedulerError
from tests.each import each

MINUTE = 60
VECTORS = Path(__file__).parents[5] / "shared/data/cron_vectors/vectors.csv"
# Zones with something odd, and the year in which it happened.
ODD = [
    ("Europe/Berlin", 2026), ("America/New_York", 2026), ("Australia/Lord_Howe", 2026),
    ("Pacific/Chatham", 2026), ("Antarctica/Troll", 2026), ("Africa/Cairo", 2024),
    ("America/Santiago", 2026), ("America/Havana", 2026), ("Asia/Gaza", 2023),
    ("Pacific/Apia", 2011), ("Africa/Casablanca", 2026), ("America/St_Johns", 2008),
    ("Asia/Tehran", 2022), ("America/Sao_Paulo", 2018), ("Asia/Pyongyang", 2018),
    ("America/Caracas", 2007), ("Asia/Kathmandu", 1985), ("Pacific/Kwajalein", 1993),
    ("Antarctica/Casey", 2010), ("Antarctica/Vostok", 2023), ("Europe/Dublin", 2026),
    ("Atlantic/Azores", 2026), ("America/Asuncion", 2023), ("Asia/Beirut", 2022),
    ("Europe/London", 1941), ("America/Scoresbysund", 2024),
]  # fmt: skip
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
STEPS = (1, 2, 3, 5, 7, 10, 15, 20, 30)


def changes(zone: ZoneInfo, year: int) -> list[int]:
    """The minutes of a year in which the clock is set, Unix seconds."""
    start, end = (int(datetime(each, 1, 1, tzinfo=UTC).timestamp()) for each in (year, year + 1))
    return [_bisect(zone, at, at + 21600) for at in range(start, end, 21600) if _moves(zone, at, at + 21600)]


def _moves(zone: ZoneInfo, low: int, high: int) -> bool:
    return datetime.fromtimestamp(low, zone).utcoffset() != datetime.fromtimestamp(high, zone).utcoffset()


def _bisect(zone: ZoneInfo, low: int, high: int) -> int:
    while high - low > MINUTE:
        middle = (low + high) // 2 // MINUTE * MINUTE
        low, high = (low, middle) if _moves(zone, low, middle) else (middle, high)
    return high


def numbers(text: str, low: int, high: int) -> set[int]:
    """A field by the rules of crontab(5)."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


class Walk:
    """Every minute of a stretch of time, asked whether cron would run this expression in it."""

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        self.zone, self.texts = zone, expression.split()
        self.sets = [numbers(text, *bounds) for text, bounds in zip(self.texts, RANGES, strict=True)]
        self.fixed = not (self.texts[0].startswith("*") or self.texts[1].startswith("*"))
        self.both = self.texts[2].startswith("*") or self.texts[4].startswith("*")

    def slots(self, start: int, end: int) -> Iterator[int]:
        before = self.wall(start)
        furthest = before
        for minute in range(start + MINUTE, end + 1, MINUTE):
            now = self.wall(minute)
            if not self.fixed:
                if self.named(now):
                    yield minute
            elif now > furthest:  # a minute that the clock has not shown yet, and those that it jumped over
                missed = int((now - furthest) / timedelta(minutes=1))
                if any(self.named(now - timedelta(minutes=back)) for back in range(missed)):
                    yield minute
            furthest = max(furthest, now)

    def wall(self, minute: int) -> datetime:
        return datetime.fromtimestamp(minute, self.zone).replace(tzinfo=None, fold=0)

    def named(self, at: datetime) -> bool:
        minutes, hours, days, months, weekdays = self.sets
        if at.minute not in minutes or at.hour not in hours or at.month not in months:
            return False
        day, weekday = at.day in days, bool({at.isoweekday(), at.isoweekday() % 7} & weekdays)
        return day and weekday if self.both else day or weekday


def field(dice: random.Random, low: int, high: int, star: float) -> str:
    if dice.random() < star:
        return dice.choice(("*", f"*/{dice.choice(STEPS)}"))
    return ",".join(part(dice, low, high) for _ in range(dice.choice((1, 1, 1, 2, 3))))


def part(dice: random.Random, low: int, high: int) -> str:
    first, last = sorted((dice.randint(low, high), dice.randint(low, high)))
    return dice.choice((f"{first}", f"{first}-{last}", f"{first}-{last}/{dice.choice(STEPS)}"))


def expression(dice: random.Random) -> str:
    stars = (0.4, 0.4, 0.8, 0.9, 0.7)
    return " ".join(field(dice, *bounds, star) for bounds, star in zip(RANGES, stars, strict=True))


@each(("name", "year"), ODD)
def test_the_slots_are_those_of_a_walk_over_every_minute(name, year):
    zone, dice = ZoneInfo(name), random.Random(f"{name}{year}")
    places = changes(zone, year)
    assert places, "the year has no change of the clock"
    for place in places:
        for _ in range(12):
            text = expression(dice)
            start = place - dice.randint(1, 30 * 60) * MINUTE
            end = place + 30 * 60 * MINUTE
            try:
                schedule = Cron(text, zone)
            except BadSchedule:
                continue  # a day that no month has
            walked = Walk(text, zone).slots(
                place - 60 * 60 * MINUTE, end
            )  # an overlap may begin before start
            expected = [slot for slot in walked if slot > start][:40]
            assert upcoming(schedule, start, end)[: len(expected) or 1] == expected, (text, start)
            assert schedule.upcoming(start, len(expected)) == expected


def upcoming(schedule: Cron, start: float, end: float, limit: int = 40) -> list[float]:
    found: list[float] = []
    while len(found) < limit and (start := schedule.after(start)) <= end:
        found.append(start)
    return found


@each(("name", "year"), ODD)
def test_from_any_second_the_next_slot_is_the_first_one_after_it(name, year):
    zone, dice = ZoneInfo(name), random.Random(f"{year}{name}")
    place = dice.choice(changes(zone, year))
    for _ in range(15):
        schedule = Cron(f"{dice.randint(0, 59)} {dice.choice(('*', '0-4', '23,0-3', '*/2'))} * * *", zone)
        slots = upcoming(schedule, place - 7200.0, place + 7200.0)
        for _ in range(20):
            moment = place + dice.uniform(-7000, 7000)
            expected = next((slot for slot in slots if slot > moment), None)
            assert expected is None or schedule.after(moment) == expected


@each(("name", "year"), ODD)
def test_seconds_count_inside_the_minutes_of_the_other_five_fields(name, year):
    zone, dice = ZoneInfo(name), random.Random(f"seconds{name}")
    for place in changes(zone, year):
        five = f"{dice.randint(0, 59)} {dice.choice(('*', '0-3'))} * * *"
        start, end = place - 10800, place + 10800
        minutes = upcoming(Cron(five, zone), start, end)
        expected = [minute + second for minute in minutes for second in (10, 50)]
        assert upcoming(Cron(f"10,50 {five}", zone), start + 60, end + 60, len(expected)) == expected


def test_where_the_calendar_ends_nothing_comes_any_more():
    assert Cron("0 0 * * *").after(1e18) == NEVER
    assert Cron("0 0 29 2 *").after(253402300000.0) == NEVER
    assert Cron("0 0 * * *").after(-1e18) == NEVER
    assert Cron("0 0 * * *").upcoming(1e18, 3) == Cron("* * * * *").upcoming(1e18, 3) == []


def test_letters_that_only_look_like_a_name_are_refused():
    with pytest.raises(BadSchedule, match="Bad character"):
        Cron("0 0 * * fr\u0131")


@each(
    ("text", "same"),
    [
        ("4-4/3 * * * *", "4 * * * *"),
        ("0-0/15 04-4/2 * * *", "0 4 * * *"),
        ("0 0 * * mon-Mon/2", "0 0 * * 1"),
        ("0 0 1-1/5,3 * *", "0 0 1,3 * *"),
    ],
)
def test_a_range_of_one_is_one_whatever_its_step(text, same):
    assert upcoming(Cron(text), 0, 1e8, 5) == upcoming(Cron(same), 0, 1e8, 5)


def test_a_range_of_one_without_a_step_is_still_refused_where_it_is_wrong():
    with pytest.raises(BadSchedule):
        Cron("4-4/0 * * * *")


@pytest.mark.skipif(not VECTORS.is_file(), reason="the shared test data is not beside the project")
def test_every_vector_of_the_shared_test_data():
    wrong = []
    with VECTORS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (found := fires(row)) != row["expected_fires"]:
                wrong.append((row["expr"], row["tz"], row["start_exclusive"], found))
    assert not wrong


def fires(row: dict[str, str]) -> str:
    """What `experience-tui next --cron` says, in the words of the vectors."""
    expected = row["expected_fires"].split(";")
    try:
        _, found = commands_next.upcoming(row["expr"], row["tz"], row["start_exclusive"], 12)
    except SchedulerError:
        return "ERROR" if row["policy"] == "reject" else ""
    times = [each.isoformat() for each in found]
    end = datetime.fromisoformat(row["start_exclusive"]) + timedelta(hours=9)
    if row["source"] == "walk":
        return ";".join(each for each in times if datetime.fromisoformat(each) <= end)
    return ";".join(times[: len(expected)])
