"""A server of runs, for a browser.

Read-only, and of this machine alone unless another address is given. Only files of runs are handed
out: what lies beside a run, above it or behind a link that leads elsewhere is not there.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from analyzer.errors import UsageError
from analyzer.writers.markup import Html, element

_HEADS = ("run.json", "fleet.json")
"""What a folder with a run holds, or one with the report of all clusters."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".png": "image/png",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/octet-stream",
}
"""Everything else (patches, Markdown, YAML) is shown as plain text."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
_PAGE_POLICY = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The page of a run brings the rest of its policy along, with the digest of its script."""
_FILE_POLICY = f"default-src 'none'; sandbox; {_PAGE_POLICY}"


class _Cluster(msgspec.Struct):
    cluster: str


class _Head(msgspec.Struct):
    """What the list of runs tells of ``run.json``, or of ``fleet.json`` for all clusters."""

    meta: _Cluster | None = None
    created: str | None = None


@dataclass(frozen=True)
class Runs:
    """The runs in a folder: the folder itself, or those right below it, the latest first."""

    folder: Path

    def __iter__(self) -> Iterator[str]:
        if (self.folder / "run.json").is_file():
            yield ""
            return
        heads = [path for head in _HEADS for path in self.folder.glob(f"*/{head}")]
        names = {path.parent.name for path in heads if path.is_file()}
        yield from sorted(names, key=lambda name: (name == "latest", self._age(name)), reverse=True)

    def _age(self, name: str) -> float:
        for head in _HEADS:
            with suppress(OSError):  # replaced by a newer run at this moment
                return (self.folder / name / head).stat().st_mtime
        return 0.0

    def file(self, path: str) -> Path | None:
        """The file of a run that the `path` of an address names; None where there is none."""
        try:
            return self._find(path)
        except (OSError, RuntimeError):  # a name too long for the system; links in a circle
            return None

    def _find(self, path: str) -> Path | None:
        parts = [unquote(part, errors="surrogateescape") for part in path.split("/") if part]
        if any(part in (".", "..") or "/" in part or "\0" in part for part in parts):
            return None
        run = next((name for name in self if name in ("", *parts[:1])), None)
        if run is None:
            return None
        home = (self.folder / run).resolve()
        inside = parts[1:] if run else parts
        if inside and path.endswith("/"):
            return None
        found = home.joinpath(*(inside or ["index.html"])).resolve()
        return found if found.is_relative_to(home) and found.is_file() else None

    def head(self, name: str) -> tuple[str, str]:
        """The cluster and the date of a run."""
        for file in _HEADS:
            with suppress(OSError, ValueError):
                head = msgspec.json.decode((self.folder / name / file).read_bytes(), type=_Head)
                cluster = head.meta.cluster if head.meta else "all clusters"
                return cluster, (head.created or "")[:16].replace("T", " ")
        return "cannot be read", ""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD, to those who asked for this very server."""

    server_version, sys_version = "rightsize", ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def __init__(self, *words: Any, runs: Runs, local: bool) -> None:
        self.runs, self.local = runs, local
        super().__init__(*words)

    def do_GET(self) -> None:  # the name that http.server asks for
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *words: object) -> None:
        """Say nothing: who looks at what is nobody's business."""

    def _answer(self, *, body: bool) -> None:
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
            path = urlsplit(self.path).path
        except ValueError:
            self._send(400, b"this is no address\n", "text/plain", body=body)
            return
        # A page elsewhere whose name leads here must not read this machine's runs.
        if self.local and not is_loopback(host):
            self._send(403, b"ask for this server by its own address\n", "text/plain", body=body)
            return
        found = self.runs.file(path)
        page = found is not None and found.name == "index.html"
        if page and not path.endswith(("/", "/index.html")):
            self._redirect(f"{path}/")  # what the page links to lies beside it
        elif found is not None:
            self._send_file(found, body=body)
        elif path == "/":
            self._send(200, list_page(self.runs).encode(), _TYPES[".html"], body=body)
        else:
            self._send(404, b"there is no such file in a run\n", "text/plain", body=body)

    def _redirect(self, where: str) -> None:
        self.send_response(308)
        # One slash: two would name another host.
        self.send_header("Location", "/" + where.lstrip("/"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_file(self, path: Path, *, body: bool) -> None:
        kind = _TYPES.get(path.suffix, "text/plain; charset=utf-8")
        try:
            file = path.open("rb")
        except OSError:
            self._send(404, b"this file cannot be read\n", "text/plain", body=body)
            return
        with file:
            size = path.stat().st_size
            self._begin(200, size, kind)
            if body:
                shutil.copyfileobj(file, self.wfile)

    def _send(self, status: int, content: bytes, kind: str, *, body: bool) -> None:
        self._begin(status, len(content), kind)
        if body:
            self.wfile.write(content)

    def _begin(self, status: int, length: int, kind: str) -> None:
        self.send_response(status)
        policy = _PAGE_POLICY if kind.startswith("text/html") else _FILE_POLICY
        for name, value in {**_HEADERS, "Content-Security-Policy": policy}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def list_page(runs: Runs) -> Html:
    """The runs there are, the latest first, each with a link to its page."""
    items = []
    for name in runs:
        cluster, created = runs.head(name)
        link = element("a", name, href=f"/{quote(os.fsencode(name), safe='')}/")
        items.append(element("li", link, f" · {cluster}" + (f" · {created}" if created else "")))
    none = element("p", "There is none yet: `rightsize run` makes one.")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'"),
        element("title", "Runs of rightsize"),
    )
    main = element("main", element("h1", "Runs"), element("ul", *items) if items else none)
    return Html(f"<!doctype html>\n{element('html', head, element('body', main), lang='en')}\n")


class _Server(ThreadingHTTPServer):
    """Answers each connection in a thread of its own; those that break off end in silence."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let go of browsers that have left; anything else is told as usual."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _ServerOfIPv6(_Server):
    address_family = socket.AF_INET6


def server_of(folder: Path, address: str, port: int) -> ThreadingHTTPServer:
    """A server of the runs in `folder`. Raises `UsageError` where it cannot listen."""
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: is no folder with runs; name one, or run `rightsize run` first"
        )
    handler = partial(_Handler, runs=Runs(folder), local=is_loopback(address))
    kind = _ServerOfIPv6 if ":" in address else _Server
    try:
        return kind((address, port), handler)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "no such port"
        raise UsageError(
            f"{address}:{port} cannot be listened on ({why}); choose another --port or --address"
        ) from error


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `address`."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
