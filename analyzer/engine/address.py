"""Which scheduler is meant: one that runs somewhere, workers on this machine, or none at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

NONE = "none"
_MOST_LOCAL = 256
_RUNNING = re.compile(r"(tcp|tls)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}", re.ASCII)
_LOCAL = re.compile(r"local(?::(\d{1,3}))?", re.ASCII)


@dataclass(frozen=True)
class Address:
    """A scheduler: at `url` where it runs, else of `local` workers (None: one for each core)."""

    text: str
    url: str | None = None
    local: int | None = None


def parse_address(text: str) -> Address | None:
    """``tcp://host:8786``, ``tls://host:8786``, ``local``, ``local:4``; None for ``none``.

    Raises ValueError for anything else. An address holds no secret: certificates and keys of
    ``tls://`` come from the files that Dask's own configuration names.
    """
    if text == NONE:
        return None
    if _RUNNING.fullmatch(text):
        return Address(text, url=text)
    found = _LOCAL.fullmatch(text)
    if found and (found[1] is None or 1 <= int(found[1]) <= _MOST_LOCAL):
        return Address(text, local=int(found[1]) if found[1] else None)
    raise ValueError(
        "a scheduler is tcp://HOST:PORT, tls://HOST:PORT, local, "
        f"local:N with N up to {_MOST_LOCAL}, or {NONE}; found {text!r}"
    )
