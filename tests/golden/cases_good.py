"""Valid settings, and the values they result in: environment over own file over main file over defaults.

`settings FILE [TASK]...` is not a command of this program: it prints every value set by the settings in FILE.
"""

import grp
from dataclasses import replace
from types import SimpleNamespace

from tests.golden.case import CONFIG, OWN, ROOTED, Case

MAIN = "main.toml"
ENV = "homes/opus/.env"
_PREFIX = "EXPERIENCE_CITIZENS__OPUS__"


def _of(tasks: str, main: str = "", own: str = "", env: str = "", **variables: str) -> Case:
    commands = (f"experience-tui check {CONFIG}", f"settings {{root}}/main.toml {tasks}".rstrip())
    files = {MAIN: main, OWN: own} | ({ENV: env} if env else {})
    return Case(commands, files, {**ROOTED, **variables})


_EVERY_KEY = """\
workers = 7
grace = "1m30s"

[wake]
every = "30m"
command = ["claude", "-p", "x"]
environment = { A = "b" }
inherit_environment = false
working_folder = "/srv"
patience = "2 minutes"
timeout = 90
urgent_cooldown = "1h"

[history]
keep = 50
keep_for = "2w"

[llm]
url = "http://127.0.0.1:11434/"
model = "small"
api = "openai"
key = "hush"
timeout = 30

[alerts]
on = ["failed"]
after = 3
command = ["notify"]
webhook = "https://hooks.example.org/x"
apprise = ["json://localhost"]

[tasks.report]
cron = "0 9 * * mon-fri"
timezone = "Asia/Tokyo"
command = ["python3", "report.py"]
environment = { LANG = "C" }
inherit_environment = false
working_folder = "/srv"
input = "ä"
timeout = "5m"
priority = 3
retries = 2
retry_delay = "1m"
jitter = 5
catch_up = false
enabled = false
description = "the report"
ping = "https://hc.example.org/x"
ping_on = ["start", "failed"]
"""

_EVERY_OPTION = """\
[tasks.heartbeat]
disk_warning = "70%"
disk_failure = 99.5
memory_warning = 50
memory_failure = "60 %"
swap_warning = 10
load_warning = 1
load_failure = 3.5
queue_limit = 0
peers = false
peer_stale = "2h"
[tasks.price_monitor]
source = "json"
pairs = ["BTC/USD", "BTC/USD", " ETH/USD "]
url = "https://example.org/{pair}?key=x"
path = "a.b"
time_path = "t"
endpoint = "https://example.org"
headers = { X = "hush" }
alert_percent = 2.5
alert_window = "30m"
stale = 60
patience = 5
[tasks.email_check]
host = " imap.example.org "
port = 143
user = "me"
password = "hush"
folder = "Mail"
ca_file = "/etc/ca.pem"
urgent_from = ["CT@Example.org", "example.net"]
urgent_subjects = [" down "]
since = "2d"
limit = 5
[tasks.news_scan]
feeds = ["https://example.org/a?key=x", "https://example.org/a", "https://example.org/b"]
keywords = ["two  words"]
patience = 3
keep = "30d"
[tasks.dream_generate]
instructions = "dream"
events = 0
keep = 2
llm = false
[tasks.memory_summary]
llm = false
prose_time = 10
keep_raw = "1d"
keep_summaries = 0
[tasks.offsite_backup]
repository = "s3:https://example.org/x"
password = "hush"
environment = { KEY = "hush" }
check = "0%"
keep = 3
exclude = ["*.tmp", "data/raw"]
"""

_MAIN_LAYER = """\
[history]
keep = 11
keep_for = "1d"
[alerts]
command = ["all"]
[citizens.opus]
workers = 2
grace = 1
[citizens.opus.wake]
every = "1m"
patience = "1m"
timeout = "1m"
[citizens.opus.history]
keep = 22
[citizens.opus.tasks.report]
every = "1h"
handler = "json:loads"
retries = 1
priority = 1
jitter = 1
[citizens.opus.tasks.tea]
cron = "0 16 * * *"
timezone = "Asia/Tokyo"
command = ["tea"]
input = "x"
environment = { A = "main", B = "main" }
"""
_OWN_LAYER = """\
workers = 3
[wake]
patience = "2m"
timeout = "2m"
[tasks.report]
cron = "@daily"
command = ["own"]
retries = 2
priority = 2
[tasks.tea]
every = "2h"
environment = { B = "own" }
"""

CASES = {
    "defaults": _of(""),
    "every-key": _of("report", own=_EVERY_KEY),
    "every-key-in-the-main-file": _of(
        "report",
        main=_EVERY_KEY.replace("[tasks", "[citizens.opus.tasks")
        .replace("[wake", "[citizens.opus.wake")
        .replace('workers = 7\ngrace = "1m30s"\n', ""),
    ),
    "every-option": _of("", own=_EVERY_OPTION),
    "layers-main": _of("report tea", main=_MAIN_LAYER),
    "layers-own-over-main": _of("report tea", main=_MAIN_LAYER, own=_OWN_LAYER),
    "layers-environment-over-own-over-main": _of(
        "report tea",
        main=_MAIN_LAYER,
        own=_OWN_LAYER,
        **{
            f"{_PREFIX}WAKE__TIMEOUT": "3m",
            f"{_PREFIX}WORKERS": "4",
            f"{_PREFIX}TASKS__REPORT__PRIORITY": "-3",
            f"{_PREFIX}TASKS__REPORT__EVERY": "5m",
            f"{_PREFIX}TASKS__REPORT__COMMAND": '["python3", "007"]',
            f"{_PREFIX}TASKS__REPORT__INPUT": "12345",
            f"{_PREFIX}TASKS__TEA__ENABLED": "no",
            f"{_PREFIX}TASKS__TEA__ENVIRONMENT": '{"C": "123"}',
            "EXPERIENCE_WAKE": "12",
        },
    ),
    "variables-alone": _of(
        "report",
        **{
            f"{_PREFIX}TASKS__REPORT__EVERY": "1h30m",
            f"{_PREFIX}TASKS__REPORT__CATCH_UP": "0",
            f"{_PREFIX}TASKS__HEARTBEAT__LOAD_WARNING": "1.5",
            "experience_citizens__mira__workers": "2",
        },
    ),
    "url-drops-the-key-below": _of(
        "",
        main="[llm]\nurl = 'http://a'\nmodel = 'x'\nkey = 'hush'\n",
        own="[llm]\nurl = 'http://b'\n[tasks.heartbeat]\nenabled = false\n",
    ),
    "secrets": _of(
        "report",
        own=(
            "[tasks.report]\nevery = '${EVERY}'\ncommand = ['x', 'a ${TOKEN} b', '$${TOKEN}', '$TOKEN']\n"
            "retries = '${TWO}'\nenabled = '${YES}'\ninput = '${TOKEN}'\nping = 'https://hc.example.org/${TOKEN}'\n"
            "[llm]\nurl = 'http://a'\nmodel = 'x'\nkey = '${OUTER}'\n"
        ),
        env="# a comment\nexport TOKEN='hush'\nTWO=2\nEVERY=5m\nYES=yes\nEMPTY=\nODD\n",
        OUTER="from-outside",
    ),
    "intervals": _of(
        "a b c d e f g h",
        own="".join(
            f"[tasks.{name}]\nevery = {every}\n"
            for name, every in zip(
                "abcdefgh",
                ("90", '"90"', '"5m"', '"1h30m"', '"2 hours"', "0.1", '"500ms"', '"1 WEEK"'),
                strict=True,
            )
        ),
    ),
    "crons": _of(
        "a b c d e f",
        own="".join(
            f"[tasks.{name}]\ncron = {cron}\n"
            for name, cron in zip(
                "abcdef",
                (
                    "'@reboot'",
                    "'@daily'",
                    "'*/5 * * * *'",
                    "'0 30 9 * * *'",
                    "'TZ=Asia/Tokyo 0 9 * * *'",
                    "'0 0 L * *'",
                ),
                strict=True,
            )
        ),
    ),
    "scripts": Case(
        (f"experience-tui check {CONFIG}", "settings {root}/main.toml mine other news_scan heartbeat"),
        {
            MAIN: "",
            OWN: "[tasks.mine]\nevery = '1h'\ninput = 'x'\n[tasks.other]\nevery = '1h'\n",
            "homes/opus/scripts/mine.py": "",
            "homes/opus/scripts/news_scan.py": "",
            "homes/opus/scripts/heartbeat.py": "",
            "homes/opus/body/specialists/news_scan.py": "",
        },
        ROOTED,
    ),
    "handlers": Case(
        (f"experience-tui check {CONFIG}", "settings {root}/main.toml a b c heartbeat"),
        {
            MAIN: "",
            OWN: (
                "[tasks.a]\nevery = 60\nhandler = 'json:loads'\n"
                "[tasks.b]\nevery = 60\nhandler = 'json.decoder:scan'\nisolated = true\n"
                "[tasks.c]\nevery = 60\nhandler = 'sub/mine.py:run'\n"
                "[tasks.heartbeat]\nhandler = 'json:loads'\n"
                "[wake]\nhandler = 'sub/mine.py:run'\n"
            ),
            "homes/opus/sub/mine.py": "raise SystemExit('this is not imported here')\n",
        },
        ROOTED,
    ),
    "wake-by-cron": _of(
        "none", own="[wake]\ncron = '*/10 * * * *'\ntimezone = 'Asia/Tokyo'\ncommand = ['x']\n"
    ),
    "no-alerts": _of("none", main="[alerts]\non = []\n", own="socket_group = ''\n"),
    "monitor": _of(
        "none",
        main=(
            "[monitor]\ntheme = 'light'\nascii = true\ntitle = false\nbell = true\n"
            "[keys]\nforce = ['E', 'f5']\nhelp = 'ctrl+h'\nsort = ','\n"
        ),
    ),
    "socket-group": replace(
        _of("none", own="socket_group = 'friends'\n"),
        machine=lambda patch: patch.setattr(grp, "getgrnam", lambda name: SimpleNamespace(gr_gid=4711)),
    ),
    "root-in-the-main-file": Case(
        (f"experience-tui check {CONFIG}", f"experience-tui check --json {CONFIG}"),
        {MAIN: "root = '{root}/elsewhere'\n[citizens.aria]\n", "elsewhere/mira/experience.toml": "", OWN: ""},
    ),
    "root-by-a-variable-first": Case(
        (f"experience-tui check {CONFIG}",),
        {MAIN: "root = '{root}/elsewhere'\n", "elsewhere/mira/experience.toml": "", OWN: ""},
        ROOTED,
    ),
    "main-file-of-the-user-first": Case(
        ("experience-tui check",),
        {
            "config/experience/experience.toml": "[citizens.user]\n",
            "etc/experience/experience.toml": "[citizens.system]\n",
        },
    ),
    "main-file-of-the-system": Case(
        ("experience-tui check",), {"etc/experience/experience.toml": "[citizens.system]\n"}
    ),
    "main-file-by-a-variable": Case(
        ("experience-tui check", f"experience-tui check {CONFIG}"),
        {
            MAIN: "[citizens.option]\n",
            "chosen.toml": "[citizens.variable]\n",
            "config/experience/experience.toml": "[citizens.user]\n",
        },
        {"EXPERIENCE_CONFIG": "{root}/chosen.toml"},
    ),
    "only-homes-are-citizens": Case(
        (
            f"experience-tui check {CONFIG}",
            f"experience-tui check mira {CONFIG}",
            f"experience-tui check --json {CONFIG}",
        ),
        {
            MAIN: "",
            OWN: "",
            "homes/mira/background_tasks.json": "{}",
            "homes/alice/notes.txt": "",
            "homes/Bad Name/experience.toml": "",
            "homes/notes.txt": "",
        },
        ROOTED,
    ),
}
