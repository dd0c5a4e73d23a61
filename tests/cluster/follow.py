"""Prints what a task prints, as it is heard: `python -m tests.cluster.follow CONFIG CITIZEN TASK`."""

import asyncio
import sys
from pathlib import Path

from scheduler.config.loader import load
from scheduler.control.wire.client import RemoteControl
from scheduler.system.clock import SystemClock
from scheduler.system.unix_socket import client_socket


async def follow(config: str, name: str, task: str) -> None:
    citizen = load(config=Path(config)).citizen(name)
    assert citizen
    clock = SystemClock()
    control = RemoteControl(client_socket(citizen.name, citizen.home), clock)
    await control.start()
    async for chunk in control.follow(task):
        print(chunk.text, end="", flush=True)
    await control.stop()
    clock.close()


if __name__ == "__main__":
    asyncio.run(follow(*sys.argv[1:]))
