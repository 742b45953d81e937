"""Runs in a browser: what is handed out, and what never is."""

from __future__ import annotations

import http.client
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from analyzer.cli import main
from analyzer.cli.server import server_of
from analyzer.report import dump_report
from analyzer.writers.page import write_page
from tests.browser import Browser
from tests.samples import recommendation, report, resources

Answer = tuple[int, Mapping[str, str], bytes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs, something beside them, and a secret above."""
    found = report(recommendation(resources("1", "1Gi"), resources("200m", "512Mi")))
    for name, day in (("latest", 20), ("2026-11-13", 13)):
        made = replace(found, created=datetime(2026, 11, day, 6, tzinfo=UTC))
        run = tmp_path / "reports" / name
        (run / "patches").mkdir(parents=True)
        (run / "run.json").write_bytes(dump_report(made))
        (run / "index.html").write_bytes(write_page(made)["index.html"])
        (run / "patches" / "web.yaml").write_text("kind: Deployment\n")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "reports" / "notes.txt").write_text("secret")
    (tmp_path / "reports" / "other").mkdir()
    (tmp_path / "reports" / "other" / "a.txt").write_text("secret")
    (tmp_path / "reports" / "latest" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "reports" / "latest" / "up").symlink_to(tmp_path)
    return tmp_path / "reports"


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    with server_of(folder, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def ask(port: int, path: str, method: str = "GET", host: str | None = None) -> Answer:
    """What the server answers, with the path exactly as it is given."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest(method, path, skip_host=host is not None)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def test_the_latest_run_comes_first_and_each_has_its_page(port: int) -> None:
    """A list of runs with their dates; what is no run is not in it."""
    status, _, page = ask(port, "/")
    text = page.decode()
    assert status == 200
    assert text.index("latest") < text.index("2026-11-13")
    assert "lab · 2026-11-20 06:00" in text and "other" not in text
    assert ask(port, "/latest")[:2][1]["Location"] == "/latest/"
    assert b"Right-sizing lab" in ask(port, "/latest/")[2]
    assert ask(port, "/latest/index.html")[0] == 200
    assert ask(port, "/2026-11-13/run.json")[1]["Content-Type"] == "application/json"
    status, headers, patch = ask(port, "/latest/patches/web.yaml")
    assert (status, patch) == (200, b"kind: Deployment\n")
    assert headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "path",
    [
        *("/../secret", "/latest/../../secret", "/latest/%2e%2e/%2e%2e/secret", "//etc/passwd"),
        *("/latest/..%2f..%2fsecret", "/latest/link", "/latest/up/secret", "/latest/%00"),
        *("/notes.txt", "/other/a.txt", "/other/", "/latest/patches/", "/latest/patches"),
        *("/latest/run.json/", "/nowhere/", "/latest/nothing"),
    ],
)
def test_nothing_but_files_of_runs_is_handed_out(path: str, port: int) -> None:
    """Neither what lies above or beside a run, nor the list of a folder, nor where a link leads."""
    status, _, content = ask(port, path)
    assert status == 404
    assert b"secret" not in content


def test_a_folder_that_is_a_run_is_shown_as_one(folder: Path) -> None:
    """Without a list before it."""
    with server_of(folder / "latest", "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert b"Right-sizing lab" in ask(server.server_address[1], "/")[2]
        server.shutdown()


def test_nothing_can_be_changed_and_pages_elsewhere_read_nothing(port: int) -> None:
    """GET and HEAD alone; a name of somebody else that leads to this machine is refused."""
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(port, "/latest/run.json", method)[0] == 501
    status, headers, content = ask(port, "/latest/run.json", "HEAD")
    assert (status, content) == (200, b"") and int(headers["Content-Length"]) > 100
    status, _, content = ask(port, "/latest/run.json", host="evil.example")
    assert status == 403 and b"recommendations" not in content
    assert ask(port, "/latest/run.json", host=f"localhost:{port}")[0] == 200


def test_every_answer_forbids_what_a_file_needs_not(port: int) -> None:
    """No guessing of types, no frames, no referrer; what is no page may run nothing."""
    for path in ("/", "/latest/", "/latest/run.json", "/latest/patches/web.yaml", "/nowhere"):
        headers = ask(port, path)[1]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert ("sandbox" in headers["Content-Security-Policy"]) is not path.endswith("/")


def test_the_page_lives_when_it_is_served(browser: Browser, port: int) -> None:
    """Its script runs under the headers, and nothing is complained of."""
    browser.open(f"http://127.0.0.1:{port}/latest/")
    assert browser.run("document.getElementById('count').textContent") == "1 of 1 containers"
    assert [each for each in browser.complaints if "favicon" not in each] == []


def test_what_cannot_be_served_is_one_sentence(tmp_path: Path, port: int) -> None:
    """A folder that is not there, and a port that is taken."""
    for words, said in (
        ([str(tmp_path / "none")], "is no folder with runs"),
        (["--port", str(port), str(tmp_path)], "choose another --port or --address"),
        (["--address", "no.such.host.invalid", str(tmp_path)], "cannot be listened on"),
    ):
        done = CliRunner().invoke(main, ["serve", *words])
        assert done.exit_code == 2
        assert said in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        (f"/latest/{'a' * 5000}", "localhost", 404),  # longer than a name of a file may be
        ("/latest/circle", "localhost", 404),
        ("http://[x/", "localhost", 400),
        ("/", "[", 400),
    ],
)
def test_what_is_no_address_is_answered_and_not_told_on_the_terminal(
    path: str, host: str, status: int, folder: Path, port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever a stranger asks for gets an answer; no traceback is left behind."""
    (folder / "latest" / "circle").symlink_to("circle")
    assert ask(port, path, host=host)[0] == status
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("address", ["127.0.0.2", "::1"])
def test_every_address_of_this_machine_can_be_listened_on(folder: Path, address: str) -> None:
    """The address that is printed is one that is answered, and names from elsewhere are not."""
    with server_of(folder, address, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        for host, status in ((shown, 200), ("evil.example", 403), ("", 403)):
            connection = http.client.HTTPConnection(address, port, timeout=30)
            connection.request("GET", "/", headers={"Host": host})
            assert connection.getresponse().status == status
            connection.close()
        server.shutdown()


def test_a_folder_whose_name_is_no_text_is_listed_and_opened(folder: Path, port: int) -> None:
    """A file system holds bytes; the link asks for these very bytes."""
    (folder / "latest").rename(folder / os.fsdecode(b"caf\xe9"))
    status, _, page = ask(port, "/")
    assert status == 200 and b'href="/caf%E9/"' in page
    assert b"Right-sizing lab" in ask(port, "/caf%E9/")[2]
