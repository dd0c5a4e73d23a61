"""The hours in which tasks and wakes may start, as the settings give them."""

from scheduler.core.schedules.active_hours import ActiveHours
from scheduler.core.schedules.schedule import Cron, Every, zone_named
from scheduler.system import time_zones
from tests.each import each
from tests.unit.config.test_settings import Place, place

__all__ = ["place"]
TOKYO = zone_named("Asia/Tokyo")


def report(place: Place, own: str, main: str = "") -> object:
    if main:
        place.main.write_text(f"[citizens.opus.tasks.report]\ncommand = ['a']\n{main}")
    place.home("opus", f"[tasks.report]\ncommand = ['a']\n{own}")
    return place.task("report")


@each(
    "own, zone",
    [
        ("every = '1h'", None),
        ("every = '1h'\ntimezone = 'Asia/Tokyo'", TOKYO),
        ("cron = '@daily'\ntimezone = 'Asia/Tokyo'", TOKYO),
        ("cron = 'TZ=Asia/Tokyo 0 9 * * *'", TOKYO),
    ],
)
def test_hours_are_read_in_the_zone_of_the_task(place, own, zone):
    task = report(place, f"{own}\nactive = 'mon-fri 08:00-18:00'")
    assert task.active == ActiveHours("mon-fri 08:00-18:00", zone or time_zones.local_zone())
    assert place.opus().problems == ()


def test_a_wake_has_hours_too(place):
    place.home("opus", "[wake]\nactive = '08:00-22:00'\ntimezone = 'Asia/Tokyo'")
    assert place.opus().wake.active == ActiveHours("08:00-22:00", TOKYO)


def test_an_interval_in_a_higher_place_keeps_the_zone_of_the_hours_below(place):
    main = "cron = '@daily'\ntimezone = 'Asia/Tokyo'\nactive = '08:00-22:00'"
    task = report(place, "every = '1h'", main)
    assert (task.schedule, task.active) == (Every(3600), ActiveHours("08:00-22:00", TOKYO))


@each(
    "lines, problem",
    [
        ("active = '8-22'", "active: '8-22' is not a window of hours; write hours like"),
        ("active = 8", "active: is a number; write it as text, in quotes"),
        (
            "active = '08:00-22:00'\ncron = '@daily'\ncatch_up = false",
            "active: no time of @daily is in",
        ),
    ],
)
def test_a_mistake_names_the_key_and_the_fix(place, lines, problem):
    every = "" if "cron" in lines else "every = 1\n"
    place.home("opus", f"[tasks.x]\ncommand = ['a']\n{every}{lines}")
    (found,) = place.opus().problems
    assert f"tasks.x.{problem}" in found


def test_hours_in_an_unknown_zone_stop_their_task_only(place, monkeypatch):
    monkeypatch.setenv("TZ", "Mars/Olympus")
    place.home("opus", "[tasks.x]\ncommand = ['a']\nevery = 60\nactive = '08:00-22:00'")
    opus = place.opus()
    assert not next(task for task in opus.tasks if task.name == "x").set_up
    assert "tasks.x.active: the machine's time zone is not known" in opus.refused[0]
    assert opus.problems == ()


def test_an_update_of_their_zone_is_noticed(place):
    report(place, "every = '1h'\ntimezone = 'Asia/Tokyo'\nactive = '08:00-22:00'")
    assert "Asia/Tokyo" in place.load().mark.zones


def test_a_macro_has_no_hours_of_its_own(place):
    task = report(place, "cron = '@daily'\nactive = '00:00-01:00'\ncatch_up = false")
    assert isinstance(task.schedule, Cron)


MAIN_ZONE = "timezone = 'America/New_York'\n"


def test_the_zone_of_a_citizen_is_that_of_its_times_and_of_its_money(place):
    place.main.write_text(f"{MAIN_ZONE}[budget]\nday = 9\n[citizens.mira]\nworkers = 1")
    lines = "[tasks.x]\ncommand = ['a']\n"
    own = "timezone = 'Asia/Tokyo'\n[wake]\nactive = '08:00-22:00'\n"
    place.home("opus", f"{own}{lines}cron = '@daily'\nactive = '08:00-22:00'")
    place.home(
        "mira", f"{lines}cron = '@daily'\ntimezone = 'Asia/Tokyo'\n[tasks.y]\n{lines[10:]}cron = '@daily'"
    )
    opus, mira = (place.load().citizen(name) for name in ("opus", "mira"))
    york = zone_named("America/New_York")
    assert place.task("x").schedule == Cron("@daily", TOKYO)
    assert place.task("x").active == opus.wake.active == ActiveHours("08:00-22:00", TOKYO)
    assert [each.schedule.zone for each in mira.tasks if each.name in "xy"] == [TOKYO, york]
    assert [each.spending.budget.zone for each in (opus, mira)] == [TOKYO, york]
    assert opus.spending.together.zone is mira.spending.together.zone is york
    assert {"Asia/Tokyo", "America/New_York"} <= place.load().mark.zones.keys()


def test_without_a_zone_a_citizen_has_the_machines(place):
    place.home("opus", "[tasks.x]\ncommand = ['a']\ncron = '@daily'")
    assert place.task("x").schedule == Cron("@daily", time_zones.local_zone())
    assert place.opus().spending.budget.zone is None


def test_a_citizen_with_a_zone_runs_where_the_machines_is_unknown(place, monkeypatch):
    monkeypatch.setenv("TZ", "Mars/Olympus")
    place.home("opus", "timezone = 'Asia/Tokyo'\n[tasks.x]\ncommand = ['a']\ncron = '@daily'")
    assert place.opus().refused == ()


def test_an_unknown_zone_of_a_citizen_stops_it_and_no_other(place):
    home = place.home("opus", "timezone = 'Europe/Berlim'")
    place.home("mira")
    (problem,) = place.opus().problems
    assert problem.startswith(f"{home}/experience.toml: timezone: ") and "Europe/Berlim" in problem
    assert place.load().problems == () and place.load().citizen("mira").tasks


def test_an_unknown_zone_in_the_main_file_is_one_problem(place):
    place.main.write_text("timezone = 'Europe/Berlim'")
    place.home("opus")
    (problem,) = place.load().problems
    assert "timezone: unknown time zone 'Europe/Berlim'" in problem
