"""A proxy in front of a real server that does to answers what networks and servers do."""

from __future__ import annotations

import contextlib
import http.client
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Answer:
    """What the real server said; a fault may change any of it."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut_after: int | None = None
    pause: float = 0.0
    """Seconds between single bytes of the first kilobyte."""
    hang: float = 0.0
    length_told: bool = True
    """Whether the answer says how long it is; else it ends where the connection does."""


Fault = Callable[[Answer], Answer]


@dataclass
class Weather:
    """Which requests meet a fault: the first `times` of those whose path ends with `path`."""

    fault: Fault
    path: str = "/query_range"
    times: int = 1
    met: int = 0
    seen: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def applies(self, path: str, body: bytes) -> bool:
        with self.lock:
            self.seen.append(path)
            self.bodies.append(body)
            if not path.partition("?")[0].endswith(self.path) or self.met >= self.times:
                return False
            self.met += 1
            return True


class _Forwarding(BaseHTTPRequestHandler):
    """Forwards to `real` and lets `sky` change the answer."""

    protocol_version = "HTTP/1.1"
    real: str
    sky: Weather

    def log_message(self, *args: object) -> None:
        return

    def do_POST(self) -> None:
        self.forward()

    def do_GET(self) -> None:
        self.forward()

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upstream = http.client.HTTPConnection(urlsplit(self.real).netloc)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
        upstream.request(self.command, self.path, body, headers)
        response = upstream.getresponse()
        answer = Answer(response.status, {}, response.read())
        answer.headers["Content-Type"] = response.getheader("Content-Type", "")
        upstream.close()
        if self.sky.applies(self.path, body):
            answer = self.sky.fault(answer)
        with contextlib.suppress(OSError):
            self.give(answer)

    def give(self, answer: Answer) -> None:
        time.sleep(answer.hang)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.length_told:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if answer.pause:
            for position in range(1024):
                self.wfile.write(answer.body[position : position + 1])
                self.wfile.flush()
                time.sleep(answer.pause)
            self.wfile.write(answer.body[1024:])
        elif answer.cut_after is not None:
            self.wfile.write(answer.body[: answer.cut_after])
            self.close_connection = True
            self.connection.shutdown(2)
        else:
            self.wfile.write(answer.body)


class _Quiet(ThreadingHTTPServer):
    """Says nothing of clients that were killed."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def proxy(url: str, weather: Weather) -> Iterator[str]:
    """A proxy to `url` under `weather`; yields its URL."""

    class Handler(_Forwarding):
        real, sky = url, weather

    server = _Quiet(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def refuse(status: int, text: str = "", **headers: str) -> Fault:
    """Answer with an error instead."""

    def fault(answer: Answer) -> Answer:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return Answer(status, names | {"Content-Type": "application/json"}, text.encode())

    return fault


def rewrite(change: Callable[[bytes], bytes]) -> Fault:
    """Change the bytes of the answer."""

    def fault(answer: Answer) -> Answer:
        answer.body = change(answer.body)
        return answer

    return fault


def cut_off(share: float) -> Fault:
    """Break the connection within the body."""

    def fault(answer: Answer) -> Answer:
        answer.cut_after = int(len(answer.body) * share)
        return answer

    return fault


def drip(pause: float) -> Fault:
    """Send the first kilobyte byte by byte."""

    def fault(answer: Answer) -> Answer:
        answer.pause = pause
        return answer

    return fault


def hang(seconds: float) -> Fault:
    """Say nothing for a while."""

    def fault(answer: Answer) -> Answer:
        answer.hang = seconds
        return answer

    return fault
