"""Writes `screenshots/` from the situations that the tests look at, so that pictures cannot lie."""

import asyncio
import os
import time
from pathlib import Path

from tests.screens.details.details_situations import DETAILS
from tests.screens.driving import arrive
from tests.screens.pictures import moving_picture
from tests.screens.situations import SITUATIONS, Situation

FOLDER = Path(__file__).resolve().parents[3] / "screenshots"
SHOWN = (
    "fleet",
    "failing",
    "running",
    "light",
    "ascii",
    "narrow",
    "help",
    "log",
    "table",
    "timeline",
    "palette",
)
SHOWN_OF_DETAILS = {"details": "details_failing", "details_running": "details_running"}


async def picture(situation: Situation) -> str:
    """The situation as an SVG that needs nothing from elsewhere."""
    app = situation.app()
    async with app.run_test(size=situation.size) as pilot:
        await arrive(*situation.keys)(pilot)
        return app.export_screenshot()


def main() -> None:
    os.environ["TZ"] = "UTC"
    time.tzset()
    FOLDER.mkdir(exist_ok=True)
    shown = {name: SITUATIONS[name] for name in SHOWN}
    shown |= {name: DETAILS[found] for name, found in SHOWN_OF_DETAILS.items()}
    for name, situation in shown.items():
        (FOLDER / f"{name}.svg").write_text(asyncio.run(picture(situation)))
        print(f"screenshots/{name}.svg")
    moving_picture.main(FOLDER / "demo.svg")
    print("screenshots/demo.svg")


if __name__ == "__main__":
    main()
