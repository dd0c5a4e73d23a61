"""The output of the runs of the made-up fleet."""

from scheduler.core.task import Outcome

DIM, OK, WARN, BAD, INFO, END = ("\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[36m", "\x1b[0m")
FILES = 40
_COPIED = "\n".join(f"  {n:>2}/{FILES}  memory/raw/{n:03}.json" for n in range(1, FILES + 1))
SCRIPTS = {
    "heartbeat": f"""\
disk     {OK}61%{END}  of 458 GB   /
memory   {OK}38%{END}  of 31 GB
load     {OK}0.4{END}   per processor, over five minutes
peers    {OK}29{END}    awake, none asleep for more than an hour""",
    "price_monitor": f"""\
{DIM}GET https://api.exchange.example.org/v2/prices (3 pairs){END}
BTC-EUR   61,240.10   {OK}+0.4%{END}
ETH-EUR    3,012.55   {BAD}-1.1%{END}
{DIM}appended 3 lines to prices.jsonl{END}""",
    "email_check": f"""\
{DIM}imap.example.org:993, TLS 1.3, INBOX: 1,204 messages{END}
3 unread since the last look
  {INFO}1{END}  Invoice 4471
  {INFO}2{END}  Re: tomorrow's call
  {INFO}3{END}  Weekly report
{OK}none urgent{END}""",
    "news_scan": f"""\
{DIM}4 feeds, at most 30 s each{END}
  world     {INFO}304{END}  5 new
  science   {INFO}200{END}  4 new
  local     {INFO}200{END}  3 new
{WARN}releases: nothing new for 9 days{END}
{OK}12 new items{END} written to news/""",
    "dream_generate": f"""\
{DIM}reading the last 48 hours of memory{END}
{DIM}6 memories chosen{END}
  {INFO}a corridor of clocks,{END}
  {INFO}each one a little late{END}
{OK}stored in contexts/dreams.json{END}""",
    "memory_summary": f"""\
memory/raw/2026/03/01.json  {INFO}412 events{END}
memory/daily/2026/03/01.json  {OK}written{END}
2 days summarised""",
    "wake": f"""\
{DIM}reading the queue: 2 items{END}
starting a turn
  {INFO}answered{END}  Re: tomorrow's call
  {INFO}put aside{END} Invoice 4471: it asks for a person
{OK}done, nothing left in the queue{END}""",
    "offsite_backup": f"""\
{DIM}to /mnt/vault/backups, excluding .env, caches, logs{END}
{_COPIED}
archive of {INFO}184 MB{END} written, reading it back
{OK}verified: 40 files, checksums agree{END}""",
}
# Output that tries to steer a terminal; it is shown as harmless text.
HOSTILE = (
    "\x1b]0;a title\x07\x1b]52;c;c3RvbGVu\x07\x1b[2J\x1b[1;1H"
    "clear the screen, set the title, fill the clipboard\x1b[?1049l\n"
    "[bold]markup[/bold] [/red] [@click=quit]click here[/]\n"
    "right to left: \u202egnp.exe\u202c, nothing between these: a\u200bb\u2060c\n"
    "wide: 日本語のエラー 🙂 ☕\ufe0f 🇩🇪 👨\u200d👩\u200d👧\n"
    "bell\x07 backspace\x08\x08 over\rwritten, \x9b31mC1\x9c, NUL \x00\n"
    f"one word: {'x' * 300}"
)
TRACEBACK = """\
Traceback (most recent call last):
  File "/srv/experience/task.py", line 131, in run
    answers = await gather(*(ask(place, context) for place in options.places))
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""


def script(task: str, result: Outcome, hostile: bool = False) -> str:
    """The output of a run; a failed one stops halfway, with a traceback."""
    if hostile:
        return f"{HOSTILE}\n{TRACEBACK}"
    lines = SCRIPTS[task].splitlines()
    return "\n".join([*lines[: len(lines) // 2], TRACEBACK] if result.bad else [*lines, ""])
