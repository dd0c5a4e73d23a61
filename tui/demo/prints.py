"""What the make-believe runs print: lines in colour, and tracebacks."""

DIM, OK, WARN, BAD, INFO, END = ("\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[36m", "\x1b[0m")


def script(task: str) -> list[str]:
    """The lines of a whole run."""
    made = _SCRIPTS.get(task, lambda: [f"{task}: begins", f"{OK}{task}: done{END}"])
    return [f"{line}\n" for line in made()]


def printing(task: str, number: int) -> str:
    """The line with this number of a run under way; nothing once all is said."""
    lines = script(task)
    return lines[number] if number < len(lines) else ""


def traceback(task: str, text: str) -> list[str]:
    """Where it claims to have failed."""
    first = text.splitlines()[0] if text else "no reason given"
    return [
        "Traceback (most recent call last):",
        f'  File "/srv/experience/scheduler/handlers/{task}.py", line 131, in {task}',
        "    answers = await gather(*(ask(place, context) for place in options.places))",
        "              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        '  File "/srv/experience/scheduler/handlers/web.py", line 88, in fetch',
        "    reader, writer = await open_connection(host, port, ssl=context)",
        "                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        f"ConnectionError: {first}",
    ]


def _heartbeat() -> list[str]:
    return [
        f"disk     {OK}61 %{END}  of 458 GB   /",
        f"memory   {OK}38 %{END}  of 31 GB",
        f"load     {OK}0.4{END}   per processor, over five minutes",
        f"peers    {OK}29{END}    awake, none asleep for more than an hour",
    ]


def _price_monitor() -> list[str]:
    return [
        f"{DIM}GET https://api.exchange.example.org/v2/prices (3 pairs){END}",
        f"BTC-EUR   61,240.10   {OK}+0.4 %{END}",
        f"ETH-EUR    3,012.55   {BAD}-1.1 %{END}",
        f"SOL-EUR      148.02   {OK}+2.3 %{END}",
        f"{DIM}appended 3 lines to prices.jsonl{END}",
    ]


def _email_check() -> list[str]:
    letters = ("Invoice 4471", "Re: tomorrow's call", "Weekly report")
    return [
        f"{DIM}imap.example.org:993, TLS 1.3, INBOX: 1,204 messages{END}",
        "3 unread since the last look",
        *(f"  {INFO}{n}{END}  {letter}" for n, letter in enumerate(letters, 1)),
        f"{OK}none urgent{END}",
    ]


def _news_scan() -> list[str]:
    feeds = (("world", 5, 304), ("science", 4, 200), ("local", 3, 200), ("releases", 0, 304))
    return [
        f"{DIM}4 feeds, at most 30 s each{END}",
        *(f"  {feed:<9} {INFO}{status}{END}  {new} new" for feed, new, status in feeds),
        f"{WARN}releases: nothing new for 9 days{END}",
        f"{OK}12 new items{END} written to news/",
    ]


def _dream_generate() -> list[str]:
    steps = ("reading the last 48 hours of memory", "6 memories chosen", "writing the prompt")
    words = ("a corridor of clocks,", "each one a little late;", "someone counts backwards")
    return [
        *(f"{DIM}{step}{END}" for step in steps),
        *(f"  {INFO}{line}{END}" for line in words),
        f"{OK}stored in contexts/dreams.json{END}",
    ]


def _memory_summary() -> list[str]:
    days = ("2026-02-28", "2026-03-01")
    return [
        *(f"memory/raw/{day.replace('-', '/')}.json  {INFO}412 events{END}" for day in days),
        *(f"memory/daily/{day.replace('-', '/')}.json  {OK}written{END}" for day in days),
        "2 days summarised",
    ]


def _offsite_backup() -> list[str]:
    files = (f"  {done:>2}/40  {name}" for done, name in enumerate(_FILES, 1))
    return [
        f"{DIM}to /mnt/vault/backups, excluding .env, caches, logs{END}",
        *files,
        f"archive of {INFO}184 MB{END} written, reading it back",
        f"{OK}verified: 40 files, checksums agree{END}",
        f"{DIM}30 kept, 1 removed{END}",
    ]


_FILES = tuple(f"memory/raw/2026/02/{day:02}.json" for day in range(1, 29)) + tuple(
    f"news/2026-02-{day:02}.jsonl" for day in range(17, 29)
)
_SCRIPTS = {
    "heartbeat": _heartbeat,
    "price_monitor": _price_monitor,
    "email_check": _email_check,
    "news_scan": _news_scan,
    "dream_generate": _dream_generate,
    "memory_summary": _memory_summary,
    "offsite_backup": _offsite_backup,
}
