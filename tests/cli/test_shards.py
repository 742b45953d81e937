"""A cluster read in shards, by processes that know nothing of each other, and put together."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analyzer.cli import main
from analyzer.shard import Shard
from analyzer.sources import load_recording
from analyzer.tables import TABLES
from tests.sample_server import SAMPLE_DATA

UNTIL = "2026-11-23T00:00:00Z"
RECORD = [sys.executable, "-m", "analyzer", "record", "-q", "--window", "3d", "--until", UNTIL]


Change = Callable[[dict[str, Any]], object]


def call(*words: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, [str(word) for word in words])


def refusal(*words: object) -> str:
    """The one sentence with which the command line refuses."""
    result = call(*words)
    assert result.exit_code in (1, 2), result.output
    return result.output.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last two days of the sample cluster in three shards."""
    folder = tmp_path_factory.mktemp("sample") / "shards"
    source = ["--source", f"recording:{SAMPLE_DATA / 'recording'}", "--window", "2d", "-q"]
    for index in range(3):
        result = call("record", *source, "--shard", f"{index}/3", folder / str(index))
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def own(shards: Path, tmp_path: Path) -> Path:
    """A copy of the shards, to be spoilt."""
    return Path(shutil.copytree(shards, tmp_path / "own"))


def described(folder: Path, change: Change) -> None:
    """Change what a recording says of itself."""
    path = folder / "meta.json"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))


def told(folder: Path, out: Path) -> dict[str, object]:
    """What a run on a recording finds, but for when it ran and how long it took."""
    source = f"recording:{folder}"
    words = ["--no-charts", "--no-backtest", "--window", "3d", "-q", "-o", out]
    result = call("run", "--source", source, *words)
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads((out / "run.json").read_text())
    del found["created"], found["seconds"]
    return found


def test_processes_that_share_a_server_find_what_one_finds(
    slice_server: str, tmp_path: Path
) -> None:
    """Each reads its namespaces from a real Prometheus; merged, everything is the same.

    The recording in every table and sample, and so all that a run makes of it.
    """
    kept = ["--cache", str(tmp_path / "cache")]
    commands = [
        [*RECORD, "-p", slice_server, *kept, "--shard", f"{i}/3", str(tmp_path / "parts" / str(i))]
        for i in range(3)
    ]
    commands.append([*RECORD, "-p", slice_server, str(tmp_path / "whole")])
    for process in [subprocess.Popen(command) for command in commands]:
        assert process.wait() == 0
    assert call("merge", "-o", tmp_path / "merged", tmp_path / "parts").exit_code == 0
    whole, merged = load_recording(tmp_path / "whole"), load_recording(tmp_path / "merged")
    sizes = [len(load_recording(p).usage.containers) for p in (tmp_path / "parts").iterdir()]
    assert min(sizes) > 0
    assert max(sizes) < len(whole.usage.containers)
    assert merged.meta == whole.meta
    assert merged.usage.to_frame().equals(whole.usage.to_frame())
    for name in TABLES:
        rows = [
            sorted(map(repr, recording.tables[name].astype(object).itertuples(index=False)))
            for recording in (merged, whole)
        ]
        assert rows[0] == rows[1], name
    runs = [told(tmp_path / name, tmp_path / f"run-{name}") for name in ("merged", "whole")]
    assert runs[0] == runs[1]


def test_a_namespace_lies_in_one_shard_whoever_asks() -> None:
    """By its name alone: today, tomorrow, on any machine. These were worked out apart from it."""
    first = [name for name in ("ai", "media", "network", "storage") if Shard(0, 2).owns(name)]
    second = [name for name in ("ai", "media", "network", "storage") if Shard(1, 2).owns(name)]
    assert (first, second) == (["ai", "network", "storage"], ["media"])


def test_a_shard_without_a_namespace_is_one_of_them(slice_server: str, tmp_path: Path) -> None:
    """It holds nothing, and says of what it is a shard."""
    names = ("ai", "databases", "downloads", "home-automation", "media", "network", "selfhosted")
    index = next(i for i in range(1, 60) if not any(Shard(i, 60).owns(name) for name in names))
    words = ["--window", "1d", "--until", UNTIL, "-q", "--shard", f"{index}/60"]
    assert call("record", "-p", slice_server, *words, tmp_path / "none").exit_code == 0
    recording = load_recording(tmp_path / "none")
    assert len(recording.usage.containers) == 0
    assert recording.meta.shard is not None
    assert recording.meta.shard.shard == Shard(index, 60)


def test_a_shard_alone_is_no_cluster(shards: Path, tmp_path: Path) -> None:
    """A run on one would leave out most containers and know of no full node."""
    said = refusal("run", "--source", f"recording:{shards / '1'}", "-o", tmp_path / "out")
    assert re.search(r"1 is shard 1/3 of a cluster; .* `rightsize merge`", said)


def test_a_missing_shard_is_named(shards: Path, tmp_path: Path) -> None:
    """With the words that record it."""
    said = refusal("merge", "-o", tmp_path / "all", shards / "0", shards / "2")
    assert "shard 1/3 is missing; record it with --shard 1/3" in said
    assert UNTIL in said
    assert not (tmp_path / "all").exists()


def test_a_shard_that_comes_twice_is_named(shards: Path, tmp_path: Path) -> None:
    """Its containers would count double."""
    said = refusal("merge", "-o", tmp_path / "all", shards, shards / "1")
    assert said.endswith("are both shard 1/3; give each once")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m["shard"].update(version="0.0.9"), "of versions 0.1.0 and 0.0.9"),
        (lambda m: m["shard"].update(count=4), "one is of 3 shards, the other of 4"),
        (lambda m: m.update(end="2026-11-22T00:00:00+00:00"), "the other at 2026-11-22 00:00"),
        (lambda m: m.update(cluster="other"), "of the clusters 'homelab' and 'other'"),
        (lambda m: m["shard"].update(known="0"), "different namespaces (digests"),
    ],
    ids=["version", "count", "window", "cluster", "namespaces"],
)
def test_shards_that_do_not_go_together_are_refused(
    own: Path, tmp_path: Path, change: Change, words: str
) -> None:
    """In one sentence that names both and says what differs."""
    described(own / "2", change)
    said = refusal("merge", "-o", tmp_path / "all", own)
    assert words in said
    assert f"{own / '0'} and {own / '2'} do not go together" in said


def test_shards_of_another_version_are_refused(own: Path, tmp_path: Path) -> None:
    """Though they agree with one another: what they left out, nobody knows."""
    for path in own.iterdir():
        described(path, lambda meta: meta["shard"].update(version="9.0.0"))
    said = refusal("merge", "-o", tmp_path / "all", own)
    assert "was recorded by version 9.0.0, and this is" in said


def test_shards_of_last_week_are_no_shards_of_this_one(shards: Path, tmp_path: Path) -> None:
    """Where none of a job's pods has recorded, those of the week before are still there."""
    said = refusal("merge", "--max-age", "1h", "-o", tmp_path / "all", shards)
    assert "longer ago than is allowed" in said


@pytest.fixture
def silent_server() -> Iterator[tuple[str, socket.socket]]:
    """A server that takes a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", server


def test_a_shard_that_is_killed_is_missing(
    own: Path, tmp_path: Path, silent_server: tuple[str, socket.socket]
) -> None:
    """In the midst of its read: what was there before stays, and nothing half is left."""
    url, server = silent_server
    shutil.rmtree(own / "1")
    command = [*RECORD, "-p", url, "--shard", "1/3", str(own / "1")]
    with subprocess.Popen(command) as process:
        server.accept()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert sorted(path.name for path in own.iterdir()) == ["0", "2"]
    said = refusal("merge", "-o", tmp_path / "all", *(own / str(i) for i in range(3)))
    assert f"there is no shard {own / '1'}" in said


@pytest.mark.parametrize("text", ["4/4", "0/0", "1", "a/b", "-1/4", "1/2/3", "0/1001"])
def test_what_is_no_shard_is_a_usage_error(text: str, tmp_path: Path) -> None:
    """With an example of what is one."""
    source = f"recording:{SAMPLE_DATA / 'recording'}"
    result = call("record", "--source", source, "--shard", text, tmp_path / "x")
    assert result.exit_code == 2
    assert "such as 0/4 to 3/4" in result.output


def test_pseudonyms_of_shards_would_not_meet(tmp_path: Path) -> None:
    """Each shard would give its nodes and labels names of its own."""
    words = ["--source", "recording:x", "--anonymise", "--shard", "0/2"]
    assert "merge first" in refusal("record", *words, tmp_path / "x")


def test_shards_of_two_choices_of_namespaces_are_refused(own: Path, tmp_path: Path) -> None:
    """Of a recording as of a server: the namespaces that one was not asked for would be missing."""
    source = ["--source", f"recording:{SAMPLE_DATA / 'recording'}", "--window", "2d", "-q"]
    for index in (1, 2):
        words = [*source, "-n", "media", "--shard", f"{index}/3", own / str(index)]
        assert call("record", *words).exit_code == 0
    said = refusal("merge", "-o", tmp_path / "all", own)
    assert "they knew or were asked for different namespaces" in said
    assert f"{own / '0'} and {own / '1'} do not go together" in said
    words = [*source, "-n", "media", "--shard", "0/3", own / "0"]
    assert call("record", *words).exit_code == 0
    assert call("merge", "-o", tmp_path / "all", own).exit_code == 0
    merged = load_recording(tmp_path / "all")
    assert {ref.namespace for ref in merged.usage.containers} == {"media"}


def test_the_whole_never_replaces_a_shard(own: Path) -> None:
    """A folder of shards is easily taken for one of them; merging again would find none there."""
    before = (own / "0" / "usage.parquet").read_bytes()
    assert f"{own / '0'} is a shard; give another folder" in refusal("merge", "-o", own / "0", own)
    assert (own / "0" / "usage.parquet").read_bytes() == before


def test_a_file_of_another_shard_is_noticed(own: Path, tmp_path: Path) -> None:
    """Copied into the wrong folder it would count twice, and its place would stay empty."""
    shutil.copy(own / "2" / "usage.parquet", own / "1" / "usage.parquet")
    said = refusal("merge", "-o", tmp_path / "all", own)
    assert f"{own / '1'} is shard 1/3 and holds usage of namespace" in said
