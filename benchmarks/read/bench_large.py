"""What the client needs for ten thousand containers, without a server that holds them.

    python benchmarks/read/bench_large.py --data /tmp/bench --times 10

A proxy stands in front of a real Prometheus that holds a thousand containers (backfilled by
bench_read.py) and repeats every series under other pod names. Client CPU and peak RSS are real;
the server's CPU is that of the thousand, and is not reported.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cluster import Prometheus


class Repeating(BaseHTTPRequestHandler):
    """Forwards to `real` and repeats what comes back `times` times."""

    protocol_version = "HTTP/1.1"
    real = ""
    times = 10

    def log_message(self, *args: object) -> None:
        return

    def do_GET(self) -> None:
        self.forward(b"")

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        form = {name: [re.sub(r"\bx\d+-", "", v) for v in values] for name, values in form.items()}
        self.forward(urlencode(form, doseq=True).encode())

    def forward(self, body: bytes) -> None:
        upstream = http.client.HTTPConnection(urlsplit(self.real).netloc)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        upstream.request(self.command, self.path, body or None, kind if body else {})
        response = upstream.getresponse()
        answer = self.repeat(response.read(), body)
        self.send_response(response.status)
        self.send_header("Content-Length", str(sum(map(len, answer))))
        self.end_headers()
        for part in answer:
            self.wfile.write(part)

    def repeat(self, answer: bytes, form: bytes) -> list[bytes]:
        if b"count+by+%28namespace%29" in form:
            data = json.loads(answer)
            for series in data["data"]["result"]:
                series["value"][1] = str(int(series["value"][1]) * self.times)
            return [json.dumps(data, separators=(",", ":")).encode()]
        match = re.search(rb'"(?:result|data)":\[\{', answer)
        if match is None or b'"app-' not in answer:
            return [answer]
        begin = match.end() - 1
        end = answer.rindex(b"]}")
        inner = answer[begin:end]
        parts = [answer[:begin]]
        for number in range(self.times):
            parts.append(inner.replace(b'"app-', b'"x%d-app-' % number))
            parts.append(b"," if number < self.times - 1 else answer[end:])
        return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--days", type=float, default=14)
    arguments = parser.parse_args()
    print("| containers | client CPU s | wall s | client peak MB | MB read | M points |")
    print("|---|---|---|---|---|---|")
    for times in arguments.times:
        with Prometheus(arguments.data / f"1000-{arguments.days:g}d-60s") as server:
            Repeating.real, Repeating.times = server.url, times
            proxy = ThreadingHTTPServer(("127.0.0.1", 0), Repeating)
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            command = [sys.executable, str(Path(__file__).with_name("bench_read.py"))]
            command += ["--way", "whole", "--url", f"http://127.0.0.1:{proxy.server_port}"]
            command += ["--containers", str(1000 * times), "--days", str(arguments.days)]
            command += ["--points", str(4_000_000)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout)
            proxy.shutdown()
            print(
                f"| {1000 * times} | {found['client']:.1f} | {found['wall']:.0f} "
                f"| {found['rss']:.0f} | {found['bytes'] / 1e6:.0f} | {found['points'] / 1e6:.1f} |"
            )


if __name__ == "__main__":
    main()
