"""Several machines: where a citizen runs is in its frame, and what a silent one showed never looks live."""

from dataclasses import replace

from tests.fakes import FakeFleet
from tests.screens.driving import press, screen, shown, toasts
from tests.screens.several_machines import CLUSTER, NOW, one_fleet
from tests.screens.situations import demo

QUIET = replace(
    CLUSTER,
    machines=tuple(machine for machine in CLUSTER.machines if not machine.silent),
    queues=(),
    hosts={name: host for name, host in CLUSTER.hosts.items() if name != "luna"},
)


def change(fleet: FakeFleet, cluster: object) -> None:
    fleet.show(replace(fleet.view, cluster=cluster))


async def test_the_frame_names_the_machine_at_every_width():
    for size in ((120, 40), (80, 24), (40, 24)):
        async with screen(one_fleet(), size=size) as pilot:
            assert "aria" in shown(pilot) and "m3" in shown(pilot), size


async def test_nothing_of_a_silent_machine_looks_live():
    async with screen(one_fleet()) as pilot:
        text = shown(pilot)
        assert "▲ m2 is silent: as of 14:02:41   41s" in text
        assert (
            "was running since 14:01:10" in text and "m2 · silent 41s" in text and "stays: own home" in text
        )
        assert "► 2 running" in text and "▲ m2 silent" in text  # luna's wake is none of them
        assert "m2 is silent for 41s: luna waits (its home is only on m2), nova runs on m3" in text
        rows = [line for line in text.splitlines() if "digest" in line]
        assert rows and all("– ──────" in line for line in rows)
        pilot.app._fleet.clock.wall = NOW + 19
        pilot.app.tick()
        await pilot.pause()
        assert "m2 · silent 1m" in shown(pilot) and "as of 14:02:41    1m" in shown(pilot)


async def test_a_move_is_news_for_ten_minutes():
    async with screen(one_fleet()) as pilot:
        assert "► moved from m2 to m3       14:03:14" in shown(pilot) and "moved 2h ago" in shown(pilot)
        pilot.app._fleet.clock.wall = NOW + 601
        change(pilot.app._fleet, replace(CLUSTER, answered=0.004))
        await pilot.pause()
        await pilot.pause()
        assert "moved from m2 to m3       14:03:14" not in shown(pilot) and "moved 10m ago" in shown(pilot)


async def test_the_lower_part_shows_machines_while_one_is_in_trouble():
    fleet = one_fleet()
    change(fleet, QUIET)
    async with screen(fleet) as pilot:
        assert "─ events ─" in shown(pilot) and "─ machines ─" not in shown(pilot)
        await press(pilot, "o", "o")
        assert "─ machines ─" in shown(pilot) and "db.example answers in 3ms" in shown(pilot)
        await press(pilot, "o", "o")
        assert "─ events ─" in shown(pilot)
        change(fleet, CLUSTER)
        await pilot.pause()
        await pilot.pause()
        assert "─ machines ─" in shown(pilot) and "queue gpu    1 worker   1 running   2 wait" in shown(pilot)
        change(fleet, QUIET)
        await pilot.pause()
        await pilot.pause()
        assert "─ events ─" in shown(pilot)


async def test_a_database_that_does_not_answer_is_the_worst_problem():
    fleet = one_fleet()
    change(fleet, replace(CLUSTER, away_since=NOW - 21))
    async with screen(fleet) as pilot:
        assert "✗ db.example does not answer since 14:03:01: nothing new is started" in shown(pilot)


async def test_m_asks_for_the_machine_and_offers_only_those_with_the_home():
    fleet = one_fleet()
    async with screen(fleet) as pilot:
        await press(pilot, "tab", "m")
        assert toasts(pilot) == ["luna stays: its home is only on m2"]
        await press(pilot, "tab", "m")
        text = shown(pilot)
        assert "Move mira?" in text and "1    m3" in text and "2 runs under way" in text
        await press(pilot, "1")
        assert fleet.asked == [("move", "mira", "m3")]


async def test_with_one_machine_nothing_of_this_exists():
    fleet = demo("hazel", "juno")()
    async with screen(fleet) as pilot:
        await press(pilot, "m", "o", "o", "o")
        assert "machine" not in shown(pilot) and fleet.asked == []
