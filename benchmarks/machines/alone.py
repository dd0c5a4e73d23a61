"""The peer: Procrastinate as it comes, with one job for each run and nothing else.

python -m benchmarks.machines.alone URL        # a worker
"""

import asyncio
import sys

from procrastinate import App, PsycopgConnector

from benchmarks.machines.stamp import note

QUEUE, SCHEMA = "alone", "alone"


def app_of(url: str) -> App:
    connector = PsycopgConnector(conninfo=url, kwargs={"options": f"-c search_path={SCHEMA}"}, min_size=1)
    app = App(connector=connector)

    @app.task(name="run")
    async def run(name: str) -> None:
        note(name)

    return app


async def work(url: str) -> None:
    app = app_of(url)
    async with app.open_async():
        await app.run_worker_async(queues=[QUEUE], delete_jobs="always", fetch_job_polling_interval=1.0)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
