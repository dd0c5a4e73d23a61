"""`next`: of citizens, and of expressions."""

from tests.golden.case import CONFIG, OWN, STATE, Case

_MAIN = 'root = "{root}/homes"\n'
_OPUS = """\
[tasks.report]
cron = "30 9 * * mon-fri"
command = ["true"]
[tasks.tokyo]
cron = "0 9 * * *"
timezone = "Asia/Tokyo"
command = ["true"]
[tasks.often]
every = "90s"
command = ["true"]
[tasks.boot]
cron = "@reboot"
command = ["true"]
[tasks.off]
every = "1m"
enabled = false
command = ["true"]
"""
_STATE = '{"last_run": {"heartbeat": 1772452700.0, "often": 1772452790.0, "memory_summary": 1772450000}}'
_TEA = {"homes/mira/experience.toml": 'builtin = []\n[tasks.tea]\ncron = "0 16 * * *"\ncommand = ["true"]\n'}
_HOURS = {
    "homes/mira/experience.toml": """\
builtin = []
[tasks.feed]
every = "4h"
active = "mon-fri 08:00-18:00"
command = ["true"]
[tasks.yearly]
cron = "@yearly"
command = ["true"]
"""
}
_TWO = {
    "main.toml": _MAIN,
    OWN: _OPUS,
    STATE: _STATE,
    "homes/mira/experience.toml": '[tasks.tea]\ncron = "0 16 * * *"\ncommand = ["true"]\n',
}


def _tasks(words: str) -> Case:
    return Case((f"experience-tui next {words} {CONFIG}",), _TWO)


def _cron(*commands: str) -> Case:
    return Case(tuple(f"experience-tui next --cron {each}" for each in commands))


CASES = {
    "all-citizens": _tasks("-n 50"),
    "five-by-default": _tasks(""),
    "one-citizen": _tasks("opus -n 20"),
    "several-with-a-comma": _tasks("mira,opus -n 2"),
    "json": _tasks("opus -n 4 --json"),
    "days": _tasks("--days 2"),
    "days-json": Case((f"experience-tui next mira --days 2 --json {CONFIG}",), {"main.toml": _MAIN, **_TEA}),
    "days-of-a-closed-window": Case(
        (f"experience-tui next mira --days 4 {CONFIG}",), {"main.toml": _MAIN, **_HOURS}
    ),
    "unknown-citizen": _tasks("opsu"),
    "no-citizens": Case(
        (f"experience-tui next {CONFIG}", f"experience-tui next --json {CONFIG}"), {"main.toml": _MAIN}
    ),
    "broken-settings": Case(
        (f"experience-tui next {CONFIG}",), {"main.toml": _MAIN, OWN: "workers = 'many'\n"}
    ),
    "expressions": _cron(
        "'0 9 * * mon-fri'",
        "'*/20 * * * *' -n 3",
        "'30 9 1,15 * *' -n 2",
        "'0 0 29 2 *' -n 3",
        "@daily -n 2",
        "@hourly -n 2",
        "@weekly -n 2",
        "@monthly -n 2",
        "@yearly -n 2",
        "'*/15 30 12 * * *' -n 3",
        "'0 12 L * *' -n 3",
        "'0 12 * * 5L' -n 3",
        "'0 12 * * 5#2' -n 3",
        "'0 12 LW * *' -n 3",
        "'CRON_TZ=Asia/Tokyo 0 9 * * *' -n 2",
    ),
    "zones": _cron(
        "'0 9 * * *' --timezone Asia/Tokyo -n 2",
        "'0 9 * * *' --timezone UTC -n 2 --json",
        "'0 9 * * *' --timezone America/New_York --from 2026-03-07T00:00 -n 3",
    ),
    "clock-changes": _cron(
        "'30 2 * * *' --from 2026-03-28T00:00 -n 3",
        "'*/30 * * * *' --from 2026-03-29T01:00 -n 4",
        "'30 2 * * *' --from 2026-10-24T12:00 -n 3",
        "'*/30 * * * *' --from 2026-10-25T01:30:00+02:00 -n 5",
    ),
    "expressions-refused": _cron(
        "'61 * * * *'",
        "'* 24 * * *'",
        "'* * 0 * *'",
        "'* * * 13 *'",
        "'* * * * 8'",
        "'0 0 30 2 *'",
        "'5-1 * * * *'",
        "'*/0 * * * *'",
        "'* * * *'",
        "'* * * * mond'",
        "''",
        "5m",
        "@reboot",
        "@fortnightly",
        "'0 9 * * *' --timezone Mars/Olympus",
        "'TZ=Mars 0 9 * * *'",
        "'0 9 * * *' --from yesterday",
        "'0 9 * * *' -n 0",
        "'0 9 * * *' -n many",
        "'0 9 * * *' opus",
        "'0 9 * * *' --days 2",
    ),
    "options-refused": _tasks("--timezone UTC"),
    "days-refused": _tasks("--days 2 -n 3"),
    "from-refused": _tasks("--from 2026-03-29"),
}
