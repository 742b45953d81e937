"""Real servers to read from: Debian's Prometheus and VictoriaMetrics, on free loopback ports."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.sources import oddcluster, smallcluster

ROOT = Path(__file__).resolve().parents[2]


def program(name: str) -> str:
    """The path of a program, from RIGHTSIZE_<NAME>, .tools/bin or PATH; skips where absent."""
    named = os.environ.get("RIGHTSIZE_" + name.upper().replace("-", "_"))
    local = ROOT / ".tools" / "bin" / name
    found = named or (str(local) if local.exists() else shutil.which(name))
    if not found:
        pytest.skip(f"needs the program {name} (make tools)")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: list[str], ready: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that answers at `ready`, ended afterwards."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while True:
            assert process.poll() is None, f"{command[0]} ended by itself"
            assert time.monotonic() < until, f"{command[0]} did not start"
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(ready, timeout=5).ok:
                    break
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def prometheus(
    blocks: Path, folder: Path, *flags: str, config: str = "global: {}\n"
) -> Iterator[str]:
    """A Prometheus over a copy of `blocks`; yields its URL."""
    data = folder / "data"
    shutil.copytree(blocks, data, copy_function=os.link)
    (folder / "prometheus.yml").write_text(config)
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=100y",
        "--log.level=error",
        *flags,
    ]
    with running(command, f"http://127.0.0.1:{port}/-/ready"):
        yield f"http://127.0.0.1:{port}"


def once(root: Path, name: str, build: Callable[[Path], None]) -> Path:
    """A folder that one of the test processes builds and all use."""
    done, lock, folder = root / f"{name}.done", root / f"{name}.lock", root / name
    try:
        lock.mkdir()
    except FileExistsError:
        until = time.monotonic() + 300
        while not done.exists():
            assert time.monotonic() < until, f"another test process did not finish {name}"
            time.sleep(0.1)
        return folder
    build(folder)
    done.touch()
    return folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def blocks(shared: Path, name: str, openmetrics: Callable[[], str]) -> Path:
    """Series as blocks of a TSDB, made once."""
    promtool = program("promtool")

    def build(folder: Path) -> None:
        folder.mkdir()
        text = folder.with_suffix(".om")
        text.write_text(openmetrics(), encoding="utf-8")
        command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
        command += ["--max-block-duration=54h", str(text), str(folder)]
        subprocess.run(command, check=True, capture_output=True)

    return once(shared, name, build)


@pytest.fixture(scope="session")
def small_blocks(shared: Path) -> Path:
    """The small cluster as blocks of a TSDB."""
    return blocks(shared, "small", smallcluster.openmetrics)


@pytest.fixture(scope="session")
def small_server(small_blocks: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that holds the small cluster."""
    with prometheus(small_blocks, tmp_path_factory.mktemp("small")) as url:
        yield url


@pytest.fixture(scope="session")
def odd_server(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that holds the cluster of oddities."""
    folder = blocks(shared, "odd", oddcluster.openmetrics)
    with prometheus(folder, tmp_path_factory.mktemp("odd")) as url:
        yield url


@pytest.fixture(scope="session")
def small_victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A VictoriaMetrics that holds the small cluster."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        program("victoria-metrics"),
        f"-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={tmp_path_factory.mktemp('victoria')}",
        "-retentionPeriod=100y",
        "-memory.allowedBytes=200000000",
        "-loggerLevel=ERROR",
    ]
    with running(command, f"{url}/health"):
        text = smallcluster.openmetrics(milliseconds=True)
        requests.post(f"{url}/api/v1/import/prometheus", data=text.encode(), timeout=60)
        requests.get(f"{url}/internal/force_flush", timeout=60)
        yield url
