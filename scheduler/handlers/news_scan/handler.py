"""news_scan: what is new in the feeds, each item once, in news/YYYY-MM-DD.jsonl."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scheduler.core.task import Context, Report
from scheduler.errors import TaskFailed
from scheduler.handlers.news_scan.options import Options

if TYPE_CHECKING:
    from scheduler.handlers.news_scan.feed import Feed
    from scheduler.handlers.news_scan.feed_state import Memory
    from scheduler.handlers.news_scan.files import NewsFiles

AT_ONCE = 8  # feeds that are asked at the same time


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one feed: how many new items were written, or the problem with it."""

    feed: str
    new: int = 0
    problem: str = ""


async def news_scan(ctx: Context) -> str | Report:
    """How many items are new; a warning names the feeds that could not be read."""
    from asyncio import to_thread

    from scheduler.handlers.news_scan.feed import Feed
    from scheduler.handlers.news_scan.feed_state import Memory
    from scheduler.handlers.news_scan.files import NewsFiles
    from scheduler.system.clock import SystemClock

    options, now = ctx.options or Options(), SystemClock.now()
    feeds = [Feed(name, url) for name, url in (options.feeds or {}).items()]
    if not feeds:
        raise TaskFailed("there are no feeds to scan; add feeds to the settings of news_scan")
    memory = await to_thread(Memory, ctx.home, now)
    files = await to_thread(NewsFiles, ctx.home, now)
    try:
        outcomes = await _scan(ctx, feeds, memory, files, now)
    finally:  # also when the time is over: what was found is not asked for again
        await to_thread(files.sync)
        await to_thread(memory.save)
    await to_thread(files.prune, options.keep)
    return _told(outcomes)


async def _scan(
    ctx: Context, feeds: Sequence["Feed"], memory: "Memory", files: "NewsFiles", now: float
) -> list[Outcome]:
    import asyncio

    from scheduler.handlers.net.http import open_web
    from scheduler.handlers.news_scan.feed import look
    from scheduler.handlers.news_scan.parser_pool import Readers

    options, outcomes = ctx.options or Options(), list[Outcome]()
    slots, writing = asyncio.Semaphore(AT_ONCE), asyncio.Lock()

    async def scan(feed: "Feed") -> None:
        known = memory.of(feed.url)
        async with slots:
            found = await look(feed, known, web, readers, now)
            async with writing:
                added = await asyncio.to_thread(files.add, found.new)
            found.remember(known, memory.today)
        outcomes.append(Outcome(feed.name, added, found.problem))
        ctx.progress(len(outcomes), len(feeds), feed.name)

    async with open_web(options.patience) as web, Readers(options.keywords) as readers:
        try:
            async with asyncio.TaskGroup() as group:
                for feed in feeds:
                    group.create_task(scan(feed))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # a failure of ours ends the scan, and is one line
    return outcomes


def _told(outcomes: Sequence[Outcome]) -> str | Report:
    bad = [f"{each.feed}: {each.problem}" for each in outcomes if each.problem]
    more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
    problems = "; ".join(sorted(bad)[:3]) + more
    many = f"{len(outcomes)} feeds" if len(outcomes) > 1 else "1 feed"
    if len(bad) == len(outcomes):
        raise TaskFailed(f"no news from {many}: {problems}")
    new, sources = sum(each.new for each in outcomes), sum(each.new > 0 for each in outcomes)
    items = "1 new item" if new == 1 else f"{new} new items"
    line = f"{items} from {sources} of {many}" if new else f"nothing new in {many}"
    return Report(f"{line}; {len(bad)} with problems: {problems}", warning=True) if bad else line
