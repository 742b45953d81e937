"""A hook of mkdocs: what a page links outside docs/ leads to the repository that shows the site."""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)\s]+)\)")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Links to files outside docs/ as addresses; as plain words where no repository is told.

    A page in a folder of docs/ may lead up to another page, which stays as it is.
    """
    depth = page.file.src_uri.count("/")

    def address(found: re.Match[str]) -> str:
        if found[0].count("../") <= depth:
            return found[0]
        home = config.repo_url
        return f"[{found[1]}]({home.rstrip('/')}/blob/main/{found[2]})" if home else found[1]

    return _OUTSIDE.sub(address, markdown)
