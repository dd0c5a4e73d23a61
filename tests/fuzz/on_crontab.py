"""The crontab reader and all behind it: every line is accounted for, and what moves can be written."""

import json
import os
import tomllib
from pathlib import Path

from hypothesis import strategies as st

from scheduler.config.citizen import Sources
from scheduler.core.schedules.schedule import local_zone
from scheduler.errors import SchedulerError
from scheduler.migration.crontab import LineKind, read
from scheduler.migration.plan import plan
from scheduler.migration.planned import Fate, MigrationRequest, Source
from scheduler.migration.report import as_json, lines
from scheduler.migration.settings_writer import Target, crontab_without, settings_with
from tests.fuzz.bent import bent

DATA = Path(__file__).parents[1] / "data"
HARD = """SHELL=/bin/bash
CRON_TZ=Australia/Lord_Howe
MAILTO="a b"
*/5 * * * * root test -x /x && ( cd / && run-parts --report /etc/cron.daily )
@reboot sleep 5; x &
0 0 13 * fri printf '\\%s' "a\\\\b" ${HOME}%one%two
-*/10 8-18/2 1,15 jan-mar mon-fri -n -q flock -n /tmp/l -c 'y z' # no comment
"""
SAMPLES = [(DATA / "v1.crontab").read_bytes(), HARD.encode(), HARD.replace("\n", "\r\n").encode()]
TOKENS = (
    b"* * * * * ",
    b"@daily ",
    b"@every 5m ",
    b"CRON_TZ=",
    b"TZ=Europe/Berlin\n",
    b"HOME=",
    b"SHELL=\n",
    b"5/15 ",
    b"L",
    b"5#2",
    b"~",
    b"?",
    b"fri-mon ",
    b"autonomous_wake.sh",
    b"/root/mira/heartbeat.py",
    b" &",
    b"||",
    b"$(",
    b"`",
    b"'''",
    b'"""',
    b"${A}",
    b"$${B}",
    b"# moved to experience (opus/x): ",
    b"MAILTO=",
    b"python3 -m ",
)
WANTED = st.builds(
    MigrationRequest,
    citizen=st.just("opus"),
    user=st.sampled_from(("root", "opus")),
    home=st.sampled_from(("/root", "/")),
    now=st.floats(0, 4e9),
    zone=st.just(local_zone()),
    builtin=st.sampled_from((frozenset(), frozenset({"heartbeat"}))),
    every=st.booleans(),
    taken=st.sampled_from(({}, {"x": "there"}, {"wake": "there"})),
    others=st.sampled_from((frozenset(), frozenset({"mira"}))),
)
CASES = st.tuples(bent(SAMPLES, TOKENS), st.sampled_from((None, True, False)), WANTED)
EMPTY = Target("opus", Path("/nowhere/opus"), Sources({}, {}, "main.toml", os.environ), "# mine\ngrace = 5\n")


def check(case: tuple[bytes, bool | None, MigrationRequest]) -> None:
    content, column, wanted = case
    assert b"".join(line.raw for line in read(content)) == content
    (crontab,) = plan([Source("fuzz", content, Path("fuzz"), column)], wanted)
    assert sum(crontab.counts().values()) == len(crontab.lines)
    moved = [planned for planned in crontab.lines if planned.moves]
    names = [planned.name for planned in moved]
    assert len(set(names)) == len(names)
    for planned in crontab.lines:
        assert planned.moves or planned.fate is not Fate.NEEDS_YOU or planned.reason
    assert all(len(row) <= 80 for row in lines(crontab, wanted, 80))
    json.dumps(as_json([crontab], wanted)).encode()
    _left(crontab, content)
    try:
        text = settings_with(EMPTY, moved)
    except SchedulerError as error:
        assert "longer than 256 KiB" in str(error) or "dots" in str(error), error
    else:
        tomllib.loads(text)


def _left(crontab, content: bytes) -> None:
    """Of the lines that are left, each is what it was, and those that moved are comments."""
    left = read(crontab_without(crontab, "opus"))
    assert len(left) == len(crontab.lines)
    for planned, line in zip(crontab.lines, left, strict=True):
        if planned.moves:
            assert line.kind is LineKind.COMMENT
            assert line.raw.endswith(planned.line.raw.removeprefix(b"\xef\xbb\xbf"))
        else:
            assert line == planned.line
