"""`check` on settings that cannot be used: practically every message that the readers of settings have."""

import os
import sys
from dataclasses import replace
from pathlib import Path

from tests.golden import seam
from tests.golden.case import CONFIG, OWN, ROOTED, Case

CHECK = f"experience-tui check {CONFIG}"
ENV = "homes/opus/.env"


def _own(toml: str, **files: str) -> Case:
    """A mistake in the citizen's own file."""
    return Case((CHECK,), {"main.toml": "", OWN: toml, **files}, ROOTED)


def _main(toml: str | bytes) -> Case:
    """A mistake in the main file."""
    return Case((CHECK,), {"main.toml": toml, OWN: ""}, ROOTED)


def _task(*tables: str) -> Case:
    """A mistake in each of these tables of tasks, which are named a, b, c..."""
    return _own(
        "\n".join(f"[tasks.{name}]\n{lines}" for name, lines in zip(_LETTERS, tables, strict=False)) + "\n"
    )


def _builtin(task: str, *lines: str) -> Case:
    """One wrong table of a built-in task for each of these; the first citizen is opus."""
    files = {
        f"homes/c{number:02}/experience.toml": f"[tasks.{task}]\n{each}\n"
        for number, each in enumerate(lines)
    }
    return Case((CHECK,), {"main.toml": "", **files}, ROOTED)


def _variables(**variables: str) -> Case:
    return Case((CHECK,), {"main.toml": "", OWN: ""}, {**ROOTED, **variables})


def _on_a_machine_without(module: str, toml: str) -> Case:
    """With this Python module missing."""
    return replace(_own(toml), machine=lambda patch: patch.setitem(sys.modules, module, None))


def _made(prepare: object) -> Case:
    return Case((CHECK,), {"main.toml": "", OWN: ""}, ROOTED, prepare=prepare)  # type: ignore[arg-type]


def _a_folder(root: Path) -> None:
    (root / OWN).unlink()
    (root / OWN).mkdir()


def _a_pipe(root: Path) -> None:
    (root / OWN).unlink()
    os.mkfifo(root / OWN)


def _a_folder_for_secrets(root: Path) -> None:
    (root / ENV).mkdir()


def _a_loop(root: Path) -> None:
    (root / OWN).parent.mkdir(parents=True)
    (root / OWN).symlink_to("experience.toml")


def _a_root_that_is_a_file(root: Path) -> None:
    (root / "root.toml").write_text("")


def _too_long(root: Path) -> None:
    (root / OWN).write_text("# " + "x" * (256 << 10))


def _too_deep(root: Path) -> None:
    (root / OWN).write_text("a = " + "[" * 21 + "]" * 21)


def _endless(root: Path) -> None:
    (root / OWN).write_text("a = " + "[" * 20_000)


_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_HOURLY = 'every = "1h"\ncommand = ["true"]\n'
_PREFIX = "EXPERIENCE_CITIZENS__OPUS__"

_PLACES = {
    "missing-file": Case((CHECK,), {}, ROOTED),
    "missing-file-by-variable": Case(
        ("experience-tui check",), {}, {**ROOTED, "EXPERIENCE_CONFIG": "{root}/nowhere.toml"}
    ),
    "unknown-citizen": Case((f"{CHECK} opsu", f"{CHECK} zzz --json"), {"main.toml": "", OWN: ""}, ROOTED),
    "file-is-a-folder": _made(_a_folder),
    "file-is-a-pipe": _made(_a_pipe),
    "file-is-a-loop": Case((CHECK,), {"main.toml": "[citizens.opus]\n"}, ROOTED, prepare=_a_loop),
    "file-is-too-long": _made(_too_long),
    "file-is-too-deep": _made(_too_deep),
    "file-nests-without-end": _made(_endless),
    "file-is-not-utf-8": Case((CHECK,), {"main.toml": "", OWN: b"a = 1\nb = '\xff'\n"}, ROOTED),
    "main-file-is-not-utf-8": _main(b"\xff\xfe"),
    "secrets-are-a-folder": _made(_a_folder_for_secrets),
    "secrets-are-not-utf-8": Case((CHECK,), {"main.toml": "", OWN: "", ENV: b"A=1\nB=\xff\n"}, ROOTED),
    "root-is-a-file": Case(
        (CHECK,), {"main.toml": "root = '{root}/root.toml'\n"}, prepare=_a_root_that_is_a_file
    ),
    "root-is-a-file-where-a-home-is-made": Case(
        (f"core.py --citizen opus {CONFIG}", f"core.py --citizen opus --loop {CONFIG}"),
        {"main.toml": "root = '{root}/root.toml'\n"},
        prepare=_a_root_that_is_a_file,
    ),
    "root-is-relative": Case((CHECK,), {"main.toml": "root = 'homes'\n"}),
    "root-is-the-home-of-no-user": Case((CHECK,), {"main.toml": "root = '~no_such_login/x'\n"}),
    "root-is-a-number": Case((CHECK,), {"main.toml": "root = 3\n"}),
}

_SYNTAX = {
    "syntax-value": _own("workers = \n"),
    "syntax-end": _own("workers = [1,\n"),
    "syntax-twice": _own("workers = 1\nworkers = 2\n"),
    "syntax-table-twice": _own("[wake]\n[wake]\n"),
    "syntax-quote": _own('[wake]\nevery = "5m\n'),
    "syntax-bare-word": _own("grace = ten\n"),
    "syntax-no-equals": _own("[tasks.a]\nevery 5\n"),
    "syntax-date": _own("grace = 2026-13-45\n"),
    "syntax-number": _own(f"workers = {'9' * 5000}\n"),
    "syntax-dots": _own("a" + ".a" * 101 + " = 1\n"),
    "syntax-in-the-main-file": _main("[citizens.opus\n"),
    "syntax-escape": _own('[wake]\ncommand = ["\\x"]\n'),
}

_MAIN = {
    "main-unknown-keys": _main("zzz = 1\nmonitr = {}\ncitizen = {}\nworkers = 3\n"),
    "main-wrong-types": _main(
        "citizens = 3\nllm = 'x'\nalerts = []\nhistory = true\n"
        "monitor = 1.5\nkeys = 2026-01-01\nsocket_group = 4\n"
    ),
    "main-citizen-is-no-table": _main("[citizens]\nopus = 3\nmira = 'x'\n"),
    "main-citizen-has-no-name": _main(
        "[citizens.Opus]\n[citizens.'a b']\n[citizens.9lives]\n[citizens.''.wake]\n"
    ),
    "main-citizen-name-too-long": _main(f"[citizens.{'a' * 33}]\n"),
    "main-citizen-keys": _main(
        "[citizens.opus]\nworkerz = 3\n[citizens.opus.tasks.a]\nevery = 'x'\ncommand = ['a']\n"
    ),
    "main-shared-tables": _main(
        "[llm]\nurl = 'x'\n[alerts]\nafter = 0\n[history]\nkeep = 'all'\n[citizens.mira]\n[citizens.nova]\n"
    ),
    "main-socket-group": _main('socket_group = "no_such_group_here"\n'),
    "monitor-theme": _main("[monitor]\ntheme = 'pink'\n"),
    "monitor-types": _main("[monitor]\ntheme = 3\nascii = 'yes'\ntitle = 1\nbell = []\n"),
    "monitor-unknown-keys": _main("[monitor]\nthem = 'dark'\nzzz = 1\n"),
    "keys-unknown": _main("[keys]\nforze = 'x'\nzzz = 'y'\n"),
    "keys-wrong": _main(
        "[keys]\nforce = 3\nreset = ''\npause = []\nhelp = 'ctrl+'\nquit = 'f13'\nsort = ['s', 7]\n"
    ),
    "keys-conflicts": _main("[keys]\nforce = 'r'\nquit = 'w'\nhelp = ['slash', 'h']\n"),
    "keys-conflict-everywhere": _main("[keys]\nquit = 'S'\n"),
}

_CITIZEN = {
    "unknown-key-near": _own("workerz = 3\ngrase = 1\n[tsks.a]\n"),
    "unknown-key-far": _own("zzz = 3\n"),
    "unknown-key-of-the-main-file": _own("root = '/x'\n[citizens.opus]\nworkers = 3\n[monitor]\n[keys]\n"),
    "whole-numbers": _own("workers = 0\n"),
    "whole-numbers-too-high": _own("workers = 257\n"),
    "whole-numbers-text": _own("workers = '4'\n"),
    "whole-numbers-truth": _own("workers = true\n"),
    "whole-numbers-fraction": _own("workers = 2.5\n"),
    "durations-below-nothing": _own("grace = -1\n"),
    "durations-no-number": _own("grace = nan\n"),
    "durations-infinite": _own("grace = inf\n"),
    "durations-too-long": _own("grace = '101 years'\n[wake]\npatience = '40000d'\n"),
    "durations-date": _own("grace = 2026-01-01\n"),
    "durations-time": _own("grace = 12:30:00\n"),
    "durations-truth": _own("grace = false\n"),
    "durations-list": _own("grace = [5]\n"),
    "durations-words": _own("grace = '5 parsecs'\n"),
    "durations-empty": _own("grace = ''\n"),
    "tables": _own("tasks = 3\nwake = []\nhistory = 'x'\nllm = true\nalerts = 1.5\n"),
    "table-of-a-task": _own("[tasks]\na = 3\nb = 'x'\nc = []\n"),
    "socket-group-unknown": _own('socket_group = "no_such_group_here"\n'),
    "socket-group-without-groups": _on_a_machine_without("grp", 'socket_group = "me"\n'),
    "socket-group-number": _own("socket_group = 4\n"),
    "history-keys": _own("[history]\nkeep = 0\nkeep_for = '0s'\nkept = 3\n"),
    "history-types": _own("[history]\nkeep = '10'\nkeep_for = {}\n"),
    "wake-unknown-keys": _own("[wake]\nevry = 3\ninput = 'x'\npriority = 2\non_failure.pause = 2\n"),
    "wake-durations": _own("[wake]\nevery = '0s'\npatience = 'x'\ntimeout = 0\nurgent_cooldown = -3\n"),
    "wake-command-text": _own("[wake]\ncommand = 'claude -p'\n"),
    "wake-command-and-handler": _own("[wake]\ncommand = ['a']\nhandler = 'json:loads'\n"),
    "wake-both-times": _own("[wake]\ncron = '@daily'\nevery = '5m'\n"),
    "wake-zone-alone": _own("[wake]\ntimezone = 'Asia/Tokyo'\n"),
    "wake-reboot": _own("[wake]\ncron = '@reboot'\n"),
    "wake-cron": _own("[wake]\ncron = '61 * * * *'\n"),
    "wake-cron-in-a-zone": _own("[wake]\ncron = 'TZ=Mars 0 9 * * *'\n"),
    "wake-handler-with-a-folder": _own("[wake]\nhandler = 'json:loads'\nworking_folder = '/srv'\n"),
    "wake-handler-missing": _own("[wake]\nhandler = 'scripts/wake.py:run'\n"),
}

_TASKS = {
    "task-names": _own("[tasks.Report]\nevery = 3\n[tasks.'a b/../c']\n[tasks.'']\n[tasks.9]\n[tasks.'ä']\n"),
    "task-no-schedule": _task('command = ["a"]'),
    "task-both-times": _task("every = 1\ncron = '@daily'"),
    "task-zone-alone": _task("every = 1\ntimezone = 'UTC'", "timezone = 'UTC'"),
    "task-zone-unknown": _task(
        "cron = '@daily'\ntimezone = 'Mars'", "cron = '@daily'\ntimezone = '../etc/passwd'"
    ),
    "task-zone-type": _task("cron = '@daily'\ntimezone = 3", "cron = '@daily'\ntimezone = ''"),
    "task-cron-fields": _task(
        *(
            f"cron = '{each}'"
            for each in ("61 * * * *", "* 24 * * *", "* * 32 * *", "* * * 13 *", "* * * * 8", "60 0 0 * * *")
        )
    ),
    "task-cron-parts": _task(
        *(
            f"cron = '{each}'"
            for each in ("*/0 * * * *", "5-1 * * * *", "1,, * * * *", "a * * * *", "* * * * mond")
        )
    ),
    "task-cron-never": _task("cron = '0 0 30 2 *'", "cron = '0 0 31 4,6 *'"),
    "task-cron-count": _task("cron = '5m'", "cron = '* * * *'", "cron = '* * * * * * *'", "cron = ''"),
    "task-cron-interval": _task("cron = '1 h 30 m 5 s'"),
    "task-cron-macro": _task("cron = '@fortnightly'", "cron = '@every 5m'"),
    "task-cron-without-a-zone": replace(
        _own("[wake]\ncron = '@daily'\n[tasks.a]\ncron = '@hourly'\n[tasks.b]\ncron = '@reboot'\n"),
        machine=seam.without_a_zone,
    ),
    "task-cron-type": _task("cron = 5", "cron = ['@daily']", "cron = true"),
    "task-cron-zone": _task("cron = 'CRON_TZ=Mars 0 9 * * *'"),
    "task-every": _task(
        "every = '5 parsecs'", "every = 0.01", "every = inf", "every = '0'", "every = []", "every = ''"
    ),
    "task-command": _task(
        *(
            f"every = 1\ncommand = {each}"
            for each in ("[]", "['']", "['  ']", "['a', 3]", "'a b'", "{}", "3", '["a\\u0000"]', "[['a']]")
        )
    ),
    "task-command-and-handler": _task("every = 1\ncommand = ['a']\nhandler = 'json:loads'"),
    "task-command-isolated": _task("every = 1\ncommand = ['a']\nisolated = true"),
    "task-handler-form": _task(
        *(
            f"every = 1\nhandler = {each}"
            for each in (
                "'json'",
                "'json:no such'",
                "':f'",
                "'json:'",
                "'a/b:run'",
                "'a..b:f'",
                "3",
                "['json:loads']",
            )
        )
    ),
    "task-handler-missing": _task(
        "every = 1\nhandler = 'json:nope'",
        "every = 1\nhandler = 'json:__name__'",
        "every = 1\nhandler = 'nowhere_at_all:f'",
        "every = 1\nhandler = 'json.nowhere:f'",
        "every = 1\nhandler = 'nowhere_at_all:f'\nisolated = true",
        "every = 1\nhandler = 'no.py:f'",
        "every = 1\nhandler = '/no/such.py:f'",
    ),
    "task-handler-with-keys-of-a-command": _task(
        "every = 1\nhandler = 'json:loads'\ninput = 'x'\nenvironment = { A = 'b' }\n"
        "inherit_environment = false\nworking_folder = '/srv'"
    ),
    "task-environment": _task(
        *(
            f"every = 1\nenvironment = {each}"
            for each in ("{ A = 1 }", "{ 'A=' = 'x' }", "'A=x'", "{ '' = 'x' }", '{ "A\\u0000" = "x" }', "[]")
        )
    ),
    "task-folder": _task(
        *(f"every = 1\nworking_folder = {each}" for each in ("'srv'", "3", "''", "'~no_such_login'"))
    ),
    "task-numbers": _task(
        "every = 1\npriority = 1001\nretries = -1",
        "every = 1\npriority = '3'\nretries = 1.5",
        "every = 1\nretries = 101",
    ),
    "task-durations": _task(
        "every = 1\ntimeout = 0\nretry_delay = -1\njitter = 'some'",
        "every = 1\ntimeout = true\nretry_delay = []",
    ),
    "task-truths": _task(
        "every = 1\nenabled = 'yes'\ncatch_up = 1\nisolated = 'no'\ninherit_environment = 0"
    ),
    "task-texts": _task('every = 1\ninput = 3\ndescription = ["x"]', 'every = 1\ninput = "a\\u0000b"'),
    "task-pings": _task(
        "every = 1\nping = 'hc.example.org'",
        "every = 1\nping = 3",
        "every = 1\nping_on = 'ok'",
        "every = 1\nping_on = ['ok', 'fine']",
        "every = 1\nping = 'ftp://x.example.org'\nping_on = [3]",
    ),
    "task-unknown-keys": _task(
        "every = 1\ndisk_warning = 5", "every = 1\nretry = 3\ntimeuot = 4", "evry = 1"
    ),
    "task-many-at-once": _task("every = 'x'\nretries = 'y'\nzzz = 1\ncommand = 'z'"),
}

_TABLES = {
    "llm-empty": _own("[llm]\n"),
    "llm-no-model": _own("[llm]\nurl = 'http://127.0.0.1:11434'\n"),
    "llm-no-url": _own("[llm]\nmodel = 'x'\n"),
    **{
        f"llm-url-{name}": _own(f"[llm]\nmodel = 'x'\nurl = {url}\n")
        for name, url in {
            "scheme": "'ftp://127.0.0.1'",
            "port": "'http://127.0.0.1:99999'",
            "blank": "'http://a b'",
            "password": "'http://me:secret@127.0.0.1'",
            "query": "'http://127.0.0.1/?key=secret'",
            "number": "11434",
            "brackets": "'http://[::1'",
        }.items()
    },
    "llm-api": _own("[llm]\nurl = 'http://a'\nmodel = 'x'\napi = 'grpc'\n"),
    "llm-types": _own("[llm]\nurl = 'http://a'\nmodel = 3\napi = []\nkey = 4\ntimeout = 0\n"),
    "llm-key": _own("[llm]\nurl = 'http://a'\nmodel = 'x'\nkey = 'two words'\n"),
    "llm-unknown-keys": _own("[llm]\nurl = 'http://a'\nmodel = 'x'\nmodle = 'y'\nzzz = 1\n"),
    "alerts-empty": _own("[alerts]\n"),
    "alerts-kinds": _own("[alerts]\non = ['failed', 'fixed']\ncommand = ['x']\n"),
    "alerts-types": _own(
        "[alerts]\non = 'failed'\nafter = 0\ncommand = 'x'\nwebhook = 'here'\napprise = 'mailtos://x'\n"
    ),
    "alerts-apprise": _own("[alerts]\napprise = ['nothing']\n"),
    "alerts-apprise-number": _own("[alerts]\napprise = [3]\n"),
    "alerts-without-apprise": _on_a_machine_without("apprise", "[alerts]\napprise = ['json://x']\n"),
    "alerts-webhook": _own("[alerts]\nwebhook = 'https://a b'\n"),
    "alerts-unknown-keys": _own("[alerts]\ncommand = ['x']\nwebhok = 'y'\n"),
}

_BUILT_IN = {
    "heartbeat": _builtin(
        "heartbeat",
        "disk_warning = 150",
        "disk_failure = 0",
        "memory_warning = 'much'",
        "memory_failure = true",
        "swap_warning = '101%'",
        "load_warning = 'x'",
        "load_failure = -1",
        "load_warning = inf",
        "queue_limit = -1",
        "queue_limit = 1000001",
        "peers = 'no'",
        "peer_stale = 0.5",
        "disk_warnin = 5",
        "zzz = 5",
        "environment = { A = 'b' }",
        "input = 'x'",
        "working_folder = '/srv'",
        "isolated = true",
        "timezone = 'UTC'",
        "every = 1\ncron = '@daily'",
        "command = ['a']\ndisk_warning = 70",
    ),
    "price-monitor": _builtin(
        "price_monitor",
        "source = 'mars'",
        "source = 3",
        "pairs = 'BTC/USD'",
        "pairs = []",
        "pairs = {}",
        "pairs = ['BTC/USD', '']",
        "pairs = [3]",
        f"pairs = {[f'P{number}' for number in range(201)]}",
        "url = 'example.org'",
        "endpoint = 3",
        "path = 3\ntime_path = []",
        "headers = ['x']",
        "headers = { A = 1 }",
        "alert_percent = 0",
        "alert_percent = '5%'",
        "alert_percent = -1",
        "alert_window = 0\nstale = 'x'\npatience = 0",
        "source = 'json'",
        "source = 'json'\nurl = 'https://example.org/{pair}'",
        "sorce = 'kraken'",
    ),
    "email-check": _builtin(
        "email_check",
        "hosst = 'x'",
        "host = 'imap.example.org:993'",
        "host = ''",
        "host = 3",
        f"host = '{'.'.join(['a' * 60] * 5)}'",
        "port = 0",
        "port = 65536",
        'user = "a\\nb"',
        "user = '  '",
        "password = ''",
        'password = "a\\nb"',
        "password = 3",
        "folder = ''",
        "ca_file = 'ca.pem'",
        "urgent_from = 'ct@example.org'",
        "urgent_from = ['not an address']",
        "urgent_from = [3]",
        "urgent_subjects = 'urgent'",
        "urgent_subjects = ['']",
        "since = '1m'",
        "limit = 0",
    ),
    "news-scan": _builtin(
        "news_scan",
        "feeds = 'https://example.org/feed.xml'",
        "feeds = []",
        "feeds = {}",
        "feeds = ['example.org']",
        "feeds = { a = 'https://' }",
        "feeds = ['https://example.org:0/']",
        "feeds = ['https://[::1/']",
        "feeds = [3]",
        "keywords = 'python'",
        "keywords = ['']",
        "keywords = [3]",
        "patience = 0",
        "keep = '1h'",
        "feed = []",
    ),
    "dream-generate": _builtin(
        "dream_generate",
        "instructions = 3",
        "events = 501",
        "keep = 1",
        "llm = 'yes'",
        "evens = 3",
    ),
    "memory-summary": _builtin(
        "memory_summary",
        "llm = 'x'",
        "prose_time = 0",
        "keep_raw = 'some'",
        "keep_summaries = -1",
        "keep = 3",
    ),
    "offsite-backup": _builtin(
        "offsite_backup",
        "repository = 'vault'",
        "repository = 3",
        "password = 3",
        "environment = ['A']",
        "environment = { A = 1 }",
        "check = 101",
        "check = true",
        "directory = 'backup'",
        "keep = 0",
        "exclude = '*.tmp'",
        "exclude = ['**']",
        "exclude = ['../x']",
        "exclude = ['a//b']",
        "exclude = [3]",
        "repository = '/a'\ndirectory = '/b'",
        "directory = '/b'\npassword = 'x'",
        "directory = '/b'\nenvironment = { A = 'x' }",
        "directry = '/b'",
    ),
}

_SECRETS = {
    "secret-missing": _own("[tasks.a]\nevery = 1\ncommand = ['x', '${TOKEN}']\n"),
    "secret-missing-with-a-file": _own("[wake]\ncommand = ['${TOKEN}']\n", **{ENV: "OTHER=x\n"}),
    "secret-missing-with-odd-lines": _own(
        "[tasks.a]\nevery = 1\nenvironment = { A = '${TOKEN}' }\ncommand = ['x']\n",
        **{ENV: "OTHER=x\nTOKEN: y\nexport\n'quote\n"},
    ),
    "secret-missing-twice": _own("[tasks.a]\nevery = 1\ncommand = ['${ONE}', '${TWO} ${ONE}']\n"),
    "secret-missing-in-the-main-file": _main("[llm]\nurl = 'http://a'\nmodel = 'x'\nkey = '${LLM_KEY}'\n"),
    "secret-not-shown": _own(
        "workers = '${MANY}'\ngrace = '${LONG}'\n[tasks.a]\nevery = '${LONG}'\ncommand = '${LONG}'\n"
        "[tasks.b]\ncron = '${LONG}'\n[tasks.c]\nevery = 1\nhandler = '${LONG}'\nping = '${LONG}'\n",
        **{ENV: "MANY=0\nLONG=hush\n"},
    ),
    "secret-not-shown-by-built-in-tasks": _own(
        "[tasks.email_check]\nhost = '${S}'\nurgent_from = ['${S}']\n[tasks.news_scan]\nfeeds = ['${S}']\n"
        "[tasks.heartbeat]\ndisk_warning = '${S}'\n[llm]\nurl = '${S}'\nmodel = 'x'\n",
        **{ENV: "S='hush hush'\n"},
    ),
}

_ENVIRONMENT = {
    "variable-not-shown": _variables(**{f"{_PREFIX}WORKERS": "many"}),
    "variable-too-high": _variables(**{f"{_PREFIX}WORKERS": "300"}),
    "variable-unknown-key": _variables(**{f"{_PREFIX}WORKERZ": "3"}),
    "variable-task": _variables(
        **{f"{_PREFIX}TASKS__A__EVERY": "soon", f"{_PREFIX}TASKS__A__ENABLED": "perhaps"}
    ),
    "variable-list": _variables(**{f"{_PREFIX}TASKS__A__EVERY": "5m", f"{_PREFIX}TASKS__A__COMMAND": "true"}),
    "variable-broken-json": _variables(EXPERIENCE_CITIZENS="[broken"),
    "variable-broken-json-below": _variables(**{f"{_PREFIX}TASKS__A__COMMAND": "[broken"}),
    "variable-no-table": _variables(EXPERIENCE_CITIZENS="opus"),
    "variable-citizen-is-no-table": _variables(EXPERIENCE_CITIZENS__OPUS="3"),
    "variable-bad-name": _variables(**{"EXPERIENCE_CITIZENS__9LIVES__WORKERS": "3"}),
}

_MANY_FILES = {
    "main.toml": (
        "zzz = 1\n[history]\nkeep = 0\n[citizens.opus]\nworkers = 0\n[citizens.opus.tasks.x]\nevery = 'x'\n"
        "[citizens.Bad]\n[monitor]\ntheme = 'pink'\n[keys]\nforce = 3\n"
    ),
    OWN: "grace = 'z'\n[tasks.x]\nretries = 'y'\n[wake]\nevry = 3\n",
    "homes/mira/experience.toml": "nonsense\n",
    "homes/nova/experience.toml": "",
    ENV: "A: b\n",
}
_MANY = {
    "many-everywhere": Case(
        (CHECK, f"{CHECK} --json", f"{CHECK} mira", f"{CHECK} opus --json", f"{CHECK} nova"),
        _MANY_FILES,
        {**ROOTED, f"{_PREFIX}GRACE": "q", "EXPERIENCE_CITIZENS__NOVA__WORKERS": "many"},
    ),
    "many-stop-what-runs": Case(
        (
            f"core.py --status {CONFIG}",
            f"core.py --citizen opus --force heartbeat {CONFIG}",
            f"core.py --citizen opus --loop {CONFIG}",
            f"experience-tui pause opus heartbeat {CONFIG}",
            f"experience-tui next {CONFIG}",
        ),
        _MANY_FILES,
        ROOTED,
    ),
}

CASES = {
    **_PLACES,
    **_SYNTAX,
    **_MAIN,
    **_CITIZEN,
    **_TASKS,
    **_TABLES,
    **_BUILT_IN,
    **_SECRETS,
    **_ENVIRONMENT,
    **_MANY,
}
