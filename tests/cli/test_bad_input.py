"""Bad input: one clear sentence, the right exit code, and the previous output untouched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from analyzer.cli import main

SAMPLE = Path(__file__).parents[2] / "sample-data"


def call(*words: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, [str(word) for word in words])


def sentence(result: Result) -> str:
    """The one line that says what is wrong; a traceback or a second line fails the test."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert len(lines) == 1, result.output
    assert "Traceback" not in result.output
    return lines[0]


class _Strange(BaseHTTPRequestHandler):
    """A web server that is no Prometheus."""

    code, body, kind = 200, b"<html>hello</html>", "text/html"

    def do_GET(self) -> None:
        """Answer everything alike."""
        self.send_response(self.code)
        self.send_header("Content-Type", self.kind)
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET  # noqa: N815  # the name http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # inherited name
        """Stay quiet."""


def serve(handler: type[_Strange]) -> Iterator[str]:
    """A server on a free port of this machine."""
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def website() -> Iterator[str]:
    """A page where a Prometheus was expected."""
    yield from serve(_Strange)


@pytest.fixture
def locked() -> Iterator[str]:
    """A server that wants to know who is asking."""

    class Locked(_Strange):
        code, body = 401, b"who are you?"

    yield from serve(Locked)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An earlier result, which must survive."""
    from analyzer.output import publish

    target = tmp_path / "latest"
    with publish(target) as folder:
        (folder / "run.json").write_text("earlier")
    return target


def unchanged(output: Path) -> bool:
    """Whether the earlier result is still there, alone."""
    return (output / "run.json").read_text() == "earlier" and {
        path.name for path in output.parent.iterdir()
    } <= {"latest", ".latest.lock"}


def test_an_unreachable_server(output: Path) -> None:
    """Nobody listens on port 1."""
    result = call("run", "-p", "http://127.0.0.1:1", "-o", output)
    assert result.exit_code == 1
    assert "127.0.0.1:1" in sentence(result)
    assert unchanged(output)


def test_a_web_page_in_the_place_of_a_prometheus(website: str, output: Path) -> None:
    """A wrong port or a login page."""
    result = call("run", "-p", website, "-o", output)
    assert result.exit_code == 1
    assert "Prometheus" in sentence(result)
    assert unchanged(output)


def test_a_server_that_refuses(locked: str, output: Path) -> None:
    """401 is not tried again, and says what to set."""
    result = call("run", "-p", locked, "-o", output)
    assert result.exit_code == 1
    assert "401" in sentence(result)
    assert unchanged(output)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run"], 2, "no source of usage is given"),
        (["run", "--source", "prometheus"], 2, "names no source"),
        (["run", "--source", "ftp:x"], 2, "names no source"),
        (["run", "--source", "recording:none"], 1, "none"),
        (["run", "--source", "recording:x", "-p", "http://x"], 2, "name two sources"),
        (["run", "--source", "recording:x", "--model", "magic"], 2, "there is no model 'magic'"),
        (["run", "--source", "recording:x", "--format", "pdf"], 2, "there is no writer 'pdf'"),
        (["run", "--source", "recording:x", "--window", "soon"], 2, "'soon' is not a duration"),
        (["run", "--source", "recording:x", "--until", "soon"], 2, "'soon' is not a time"),
        (["run", "--source", "recording:x", "--until", "1026-11-23"], 2, "between 2001 and 2100"),
        (["run", "--config", "none.yaml"], 2, "none.yaml: cannot be read"),
        (["recommend", "-n", "a", "-A", "--source", f"recording:{SAMPLE}/recording"], 2, "exclude"),
        (["recommend", "-l", "a in b", "--source", f"recording:{SAMPLE}/recording"], 2, "-l:"),
        (["explain", "a//b", "--source", f"recording:{SAMPLE}/recording"], 2, "names no workload"),
        (
            ["explain", "none/x", "--source", f"recording:{SAMPLE}/recording"],
            2,
            "no workload none/x",
        ),
        (["run", "-p", "http://me:secret@127.0.0.1:1"], 2, "holds a password"),
        (["diff", "--from", "none.json", "--repo", "."], 1, "none.json: cannot be read"),
    ],
)
def test_a_wrong_call(
    words: list[str], code: int, message: str, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2 for the call, 1 for what it found."""
    monkeypatch.chdir(output.parent)
    more = ["-o", str(output)] if words[0] == "run" else []
    result = call(*words, *more)
    assert result.exit_code == code, result.output
    assert message in sentence(result)
    assert unchanged(output)


@pytest.mark.parametrize("table", ["usage.parquet", "specs.parquet", "events.parquet", "meta.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "noise"])
def test_a_broken_recording(table: str, damage: str, tmp_path: Path, output: Path) -> None:
    """Any damaged file is named."""
    broken = tmp_path / "broken"
    shutil.copytree(SAMPLE / "recording", broken)
    content = (broken / table).read_bytes()
    (broken / table).write_bytes(
        {"cut": content[: len(content) // 2], "empty": b"", "noise": os.urandom(200)}[damage]
    )
    result = call("recommend", "--source", f"recording:{broken}")
    assert result.exit_code == 1, result.output
    assert table.partition(".")[0] in sentence(result)
    shutil.rmtree(broken)
    assert unchanged(output)


def test_an_unknown_setting(tmp_path: Path, output: Path) -> None:
    """The file, the name, and the likely name."""
    (tmp_path / "settings.yaml").write_text("source: recording:x\npolicy:\n  cpu_flor: 5m\n")
    result = call("run", "--config", tmp_path / "settings.yaml", "-o", output)
    assert result.exit_code == 2
    assert "did you mean cpu_floor?" in sentence(result)
    (tmp_path / "settings.yaml").unlink()
    assert unchanged(output)


def test_an_output_folder_with_something_else_in_it(output: Path) -> None:
    """What a person put there is not deleted, and it is said before any work."""
    (output / "notes.md").write_text("mine")
    result = call("run", "--source", f"recording:{SAMPLE}/recording", "-o", output)
    assert result.exit_code == 1
    assert "notes.md" in sentence(result)
    assert (output / "notes.md").read_text() == "mine"


def test_debug_shows_the_traceback() -> None:
    """For a bug report."""
    result = CliRunner().invoke(main, ["--debug", "run"])
    assert result.exception is not None
    assert not isinstance(result.exception, SystemExit)
