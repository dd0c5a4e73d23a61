"""For the site: pictures lie beside the documents, and links to other files of the project become text."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_PICTURE = re.compile(r"\]\(\.\./screenshots/")
_FILE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for picture in sorted((ROOT / "screenshots").glob("*.svg")):
        site, urls = config["site_dir"], config["use_directory_urls"]
        files.append(File(f"screenshots/{picture.name}", str(ROOT), site, urls))
    return files


def on_page_markdown(markdown: str, **given: Any) -> str:
    return _FILE.sub(r"\1", _PICTURE.sub("](screenshots/", markdown))
