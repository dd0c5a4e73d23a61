"""Above the keys one line says which provider several citizens wait for, while they do."""

from dataclasses import replace

from scheduler.core.views import Hold, HoldKind
from tests.fakes import FakeClock, FakeFleet
from tests.screens.driving import screen, shown
from tests.screens.money_situations import AWAY, MIRA, NOW, control, many
from tui.fleet.outages import Away, OutageLine, away, away_words, outage_line
from tui.glyphs import ASCII, UNICODE


def line(pilot) -> str:
    """The last line but that of the keys, if it is there."""
    return shown(pilot).split("\n")[-2].rstrip() if pilot.app.query_one(OutageLine).display else ""


def waiting(name: str, held: Hold | None = AWAY):
    return replace(MIRA, citizen=name, tasks=(replace(MIRA.tasks[0], held=held), *MIRA.tasks[1:]))


async def test_it_is_there_while_several_wait_and_no_longer():
    people = [control(waiting(name)) for name in ("ada", "bob", "eve")]
    async with screen(FakeFleet(*people, clock=FakeClock(NOW))) as pilot:
        assert line(pilot) == " ◷ anthropic is away until 15:00 (usage limit): 3 citizens wait"
        for person in people[:2]:
            person.show(waiting(person.citizen, None))
        await pilot.pause()
        pilot.app.tick()
        await pilot.pause()
        assert line(pilot) == ""


async def test_it_says_how_many_citizens_are_further_down():
    async with screen(many()) as pilot:
        assert line(pilot).startswith(" ◷ anthropic is away until 15:00 (usage limit): 14 citizens wait  ")
        assert line(pilot).endswith("   3 more citizens: pgdn")
        await pilot.press("G")
        await pilot.pause()
        assert line(pilot).endswith("14 citizens wait")


def test_one_that_waits_says_so_itself():
    assert away([{"anthropic": "is away"}, {"openai": "is away"}]) == ()
    assert away([{"a": "x", "b": "y"}, {"a": "x"}, {"b": "y"}, {"b": "y"}]) == (Away("y", 3), Away("x", 2))


def test_who_tries_it_is_said():
    tried = Hold(HoldKind.PROVIDER, "waits for anthropic, which clio tries now", None, "anthropic")
    assert away_words(tried) == "anthropic is away, clio tries now"


def test_the_words_of_others_are_cut_and_harmless():
    evil = (Away("\x1b[31manthropic is away " + "x" * 90, 2),)
    ((said, _),) = outage_line(evil, "3 more citizens: pgdn", 60, ASCII)
    assert len(said) <= 60 and "\x1b" not in said
    assert outage_line((), "3 more citizens: pgdn", 60, UNICODE) == []
