"""news_scan: writes new items of the feeds to news/YYYY-MM-DD.jsonl, each item once."""

import asyncio
from asyncio import to_thread
from collections.abc import Sequence

from scheduler.core.task import Context, Report
from scheduler.core.wording.text import first_few, plural, with_problems
from scheduler.errors import TaskFailed
from scheduler.handlers.net.http import open_web
from scheduler.handlers.news_scan.feed import Check, Feed, check
from scheduler.handlers.news_scan.feed_state import Memory
from scheduler.handlers.news_scan.files import NewsFiles
from scheduler.handlers.news_scan.options import Options
from scheduler.handlers.news_scan.parser_pool import parsers
from scheduler.system.clock import SystemClock

AT_ONCE = 8  # feeds that are requested at the same time


async def news_scan(ctx: Context) -> str | Report:
    """One line on the new items; a warning names the feeds that could not be read."""
    options, now = ctx.options or Options(), SystemClock.now()
    feeds = [Feed(name, url) for name, url in (options.feeds or {}).items()]
    if not feeds:
        raise TaskFailed("there are no feeds to scan; add feeds to the settings of news_scan")
    memory = await to_thread(Memory, ctx.home, now)
    files = await to_thread(NewsFiles, ctx.home, now)
    try:
        checks = await _scan(ctx, feeds, memory, files, now)
    finally:  # even after a timeout, since found items are not requested again
        await to_thread(files.sync)
        await to_thread(memory.save)
    await to_thread(files.prune, options.keep)
    return _summary(checks)


async def _scan(
    ctx: Context, feeds: Sequence[Feed], memory: Memory, files: NewsFiles, now: float
) -> list[tuple[Check, int]]:
    """The check of each feed, and the number of its new items."""
    options, checks = ctx.options or Options(), list[tuple[Check, int]]()
    slots, writing = asyncio.Semaphore(AT_ONCE), asyncio.Lock()

    async def scan(feed: Feed) -> None:
        known = memory.of(feed.url)
        async with slots:
            found = await check(feed, known, web, parse, options.keywords, now)
            async with writing:
                added = await to_thread(files.add, found.new)
            found.remember(known, memory.today)
        checks.append((found, added))
        ctx.progress(len(checks), len(feeds), feed.name)

    async with open_web(options.patience) as web, parsers() as parse:
        try:
            async with asyncio.TaskGroup() as group:
                for feed in feeds:
                    group.create_task(scan(feed))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # a failure of this machine ends the scan
    return checks


def _summary(checks: Sequence[tuple[Check, int]]) -> str | Report:
    problems = sorted(f"{each.feed.name}: {each.problem}" for each, _ in checks if each.problem)
    feeds = plural(len(checks), "feed")
    if len(problems) == len(checks):
        raise TaskFailed(f"no news from {feeds}: {first_few(problems)}")
    new, sources = sum(added for _, added in checks), sum(added > 0 for _, added in checks)
    line = f"{plural(new, 'new item')} from {sources} of {feeds}" if new else f"nothing new in {feeds}"
    return Report(with_problems(line, problems), warning=True) if problems else line
