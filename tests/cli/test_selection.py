"""Names as people type them: found, told apart, or answered with the likely one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner, Result

from analyzer.cli import main
from analyzer.history import Skipped
from analyzer.report import dump_report, load_report
from analyzer.workload import ContainerRef
from tests.samples import recommendation, report, resources

SAMPLES = Path(__file__).resolve().parents[2] / "sample-data" / "recording"


def of(namespace: str, kind: str, workload: str, container: str = "app") -> ContainerRef:
    """A reference in the sample cluster."""
    return ContainerRef("lab", namespace, kind, workload, container)


KNOWN = [
    of("media", "Deployment", "sonarr"),
    of("media", "Deployment", "sonarr", "exporter"),
    of("media", "StatefulSet", "db"),
    of("ai", "Rollout", "ollama"),
    of("ai", "Whatever", "thing"),
]


@pytest.fixture(scope="module")
def run_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An earlier run."""
    path = tmp_path_factory.mktemp("run") / "run.json"
    rows = [
        recommendation(resources("1"), resources(f"{100 + n}m"), of=ref)
        for n, ref in enumerate(KNOWN)
    ]
    path.write_bytes(dump_report(report(*rows, skipped=(Skipped(of("kube", "Pod", "p"), "x"),))))
    return path


def call(run_json: Path, *words: str, command: str = "recommend") -> Result:
    """A command about an earlier run."""
    return CliRunner().invoke(main, [command, "-q", "--from", str(run_json), *words])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["sonarr"], KNOWN[:2]),
        (["deploy/sonarr"], KNOWN[:2]),
        (["deployment.apps/sonarr"], KNOWN[:2]),
        (["deployments.apps/sonarr"], KNOWN[:2]),
        (["media/sonarr"], KNOWN[:2]),
        (["media/sonarr/app"], KNOWN[:1]),
        (["deploy/sonarr/app"], KNOWN[:1]),
        (["media/deploy/sonarr"], KNOWN[:2]),
        (["media/Deployment/sonarr/exporter"], KNOWN[1:2]),
        (["rollouts.argoproj.io/ollama"], KNOWN[3:4]),
        (["ai/whatever/thing"], KNOWN[4:]),
        (["ai/Whatever/thing"], KNOWN[4:]),
        (["-n", "media,ai"], [*KNOWN[3:], *KNOWN[2:3], *KNOWN[:2]]),
        (["-n", "media", "-n", "ai", "ollama"], KNOWN[3:4]),
        (["-n", "media", "sts/db"], KNOWN[2:3]),
    ],
)
def test_a_reference_finds_what_it_names(
    run_json: Path, words: list[str], found: list[ContainerRef]
) -> None:
    """Every form of kubectl, with and without namespaces."""
    done = call(run_json, *words, "-o", "name")
    assert done.exit_code == 0, done.output
    assert sorted(done.stdout.splitlines()) == sorted(map(str, found))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sonar"], "no workload sonar; did you mean media/deployment/sonarr?"),
        (["media/sonnar/app"], "did you mean media/deployment/sonarr/app?"),
        (["sts/sonarr"], "did you mean media/deployment/sonarr?"),
        (["-n", "ai", "sonarr"], "no workload sonarr in ai; write NAME, KIND/NAME"),
        (["-n", "medai"], "nothing is known of a namespace medai; did you mean media?"),
        (["a/b/c/d/e"], "names no workload; write NAME"),
        (["-n", "a", "-A"], "-n and -A exclude each other"),
        (["-l", "a in b"], "-l: 'a in b' is not understood"),
        (["--sort-by", "memory"], "there is no column 'memory'; did you mean memory_"),
        (["-o", "custom-columns=A:nothing_at_all"], "there is no column 'nothing_at_all'"),
        (["-o", "tabel"], "'tabel' is none of table, wide"),
    ],
)
@pytest.mark.parametrize("command", ["recommend", "explain"])
def test_a_name_that_is_not_there_is_an_error(
    run_json: Path, words: list[str], sentence: str, command: str
) -> None:
    """Exit code 2 and the likely name; never an empty answer."""
    if command == "explain" and not {"sonar", "sonarr", "media/sonnar/app"} & {*words}:
        words = [*words, "sonarr"] if words[0] == "-n" and "-A" not in words else ["sonar"]
        sentence = sentence if words[0] == "-n" else "did you mean media/deployment/sonarr?"
    done = call(run_json, *words, command=command)
    assert done.exit_code == 2
    assert sentence in done.stderr


def test_labels_are_chosen_as_kubectl_does(run_json: Path) -> None:
    """Sets, their complement, presence and absence."""
    from analyzer.cli.options import label_filter

    labels = {"app": "web", "tier_x": "a"}
    for text, expected in {
        "app=web": True,
        "app==web,tier.x in (a, b)": True,
        "app notin (web)": False,
        "!other": True,
        "!app": False,
        "app!=web": False,
        "other": False,
        "other notin (a)": True,
    }.items():
        assert label_filter(text)(labels) is expected, text


def test_columns_and_order_are_chosen(run_json: Path) -> None:
    """Heads and columns of the CSV, with and without a header, falling with a minus."""
    words = ["--sort-by=-cpu_request_proposed", "-o", "custom-columns=WHO:workload,:kind"]
    lines = call(run_json, *words).stdout.splitlines()
    assert lines[0].split() == ["WHO", "KIND"]
    assert [line.split()[0] for line in lines[1:]] == ["thing", "ollama", "db", "sonarr", "sonarr"]
    assert call(run_json, *words, "--no-headers").stdout.splitlines() == lines[1:]


def test_an_earlier_run_is_explained_without_its_source(run_json: Path) -> None:
    """The trail, and what a change does to the pods."""
    text = call(run_json, "ai/ollama", command="explain").stdout
    assert "ai/Rollout/ollama/app" in text
    assert "when it is changed: its pods are replaced by the steps of its strategy" in text


def test_an_earlier_run_is_written_anew(run_json: Path, tmp_path: Path) -> None:
    """Other formats from the same decisions, without charts."""
    words = ["-o", str(tmp_path / "out"), "--format", "csv"]
    assert call(run_json, *words, command="run").exit_code == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"run.json", "recommendations.csv", "SHA256SUMS"}
    assert load_report(tmp_path / "out" / "run.json") == load_report(run_json)


def test_quiet_and_debug_stand_before_and_behind(run_json: Path, tmp_path: Path) -> None:
    """Flags of every command mean the same on both sides of it."""
    words = ["recommend", "--from", str(run_json), "-o", "name"]
    behind = CliRunner().invoke(main, [*words, "-q"])
    before = CliRunner().invoke(main, ["-q", *words])
    assert before.stderr == behind.stderr == ""
    broken = ["recommend", "--from", str(tmp_path / "none.json")]
    assert CliRunner().invoke(main, broken).exception.__class__ is SystemExit
    for words in ([*broken, "--debug"], ["--debug", *broken]):
        assert type(CliRunner().invoke(main, words).exception).__name__ == "OutputError"


def rightsize(*words: str, stdout: IO[str]) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "rightsize", *words]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_behind_stdout_is_one_sentence(run_json: Path) -> None:
    """What cannot be written is said once, and is no success."""
    with open("/dev/full", "w") as full:  # noqa: PTH123  # a device
        done = rightsize("recommend", "-q", "--from", str(run_json), stdout=full)
    assert done.returncode == 1
    assert done.stderr == "Error: standard output: cannot be written (No space left on device)\n"


@pytest.mark.parametrize(
    ("sent", "code", "words"),
    [
        (signal.SIGINT, 130, "interrupted\n"),
        (signal.SIGTERM, 143, "told to stop; earlier results are as they were\n"),
    ],
)
def test_a_signal_ends_it_in_order(
    tmp_path: Path, sent: signal.Signals, code: int, words: str
) -> None:
    """As a shell and Kubernetes expect it: it hears the signal itself and is not killed by it.

    The first process of a container would never hear it otherwise.
    """
    pipe = tmp_path / "run.json"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "rightsize", "recommend", "--from", str(pipe)],
        stderr=subprocess.PIPE,
        text=True,
    )
    # The command has begun once it opens the pipe, which is when this returns.
    with pipe.open("wb"):
        process.send_signal(sent)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (code, words)


_IGNORED = """
import os, signal
from analyzer.cli.stopping import stoppable
signal.signal(signal.SIGINT, signal.SIG_IGN)
with stoppable():
    os.kill(os.getpid(), signal.SIGINT)
print("went on")
"""


def test_an_interrupt_that_is_ignored_stays_so() -> None:
    """A shell has jobs in the background ignore it: Ctrl-C is meant for another."""
    words = [sys.executable, "-c", _IGNORED]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "went on\n")


_HANGS = """
import os, signal, threading
from concurrent.futures import ThreadPoolExecutor
from analyzer.cli import stopping
stopping.PATIENCE = 0.1
with stopping.stoppable(), ThreadPoolExecutor(1) as pool:
    pool.submit(threading.Event().wait)
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_what_hangs_does_not_keep_it_from_ending() -> None:
    """A thread that waits for ever is left behind, within the time that Kubernetes grants."""
    done = subprocess.run([sys.executable, "-c", _HANGS], timeout=60, check=False)
    assert done.returncode == 143


def test_json_names_its_schema(run_json: Path) -> None:
    """Whoever reads it can tell what it is."""
    value = json.loads(call(run_json, "sonarr", "-o", "json").stdout)
    assert value["schema"] == "rightsize/v1"
    assert len(value["recommendations"]) == 2


def test_an_earlier_run_is_narrowed_to_namespaces_by_every_command(
    run_json: Path, tmp_path: Path
) -> None:
    """What is written and proposed is what ``-n`` names; a name that nothing goes by is told."""
    words = ["run", "--from", str(run_json), "--output", str(tmp_path / "out"), "-n", "ai,aj"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "nothing is known of a namespace aj; there are ai, kube, media" in done.output
    found = load_report(tmp_path / "out" / "run.json")
    assert {ref.namespace for ref in found.refs} == {"ai"}


@pytest.mark.parametrize(
    "source", [["--source", f"recording:{SAMPLES}"], ["--from", "run.json"]], ids=["usage", "run"]
)
def test_a_run_on_nothing_is_an_error(source: list[str], run_json: Path, tmp_path: Path) -> None:
    """A misspelt namespace makes no empty report that a job would call a success."""
    words = [str(run_json) if word == "run.json" else word for word in source]
    done = CliRunner().invoke(main, ["run", *words, "-n", "mediaa", "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "nothing is known of a namespace mediaa; did you mean media?" in done.stderr
    assert not (tmp_path / "out" / "run.json").exists()


@pytest.mark.parametrize("flag", ["--window=3d", "--step=1m", "--until=2026-11-01", "--model=krr"])
@pytest.mark.parametrize("command", ["run", "recommend", "diff"])
def test_flags_of_reading_and_an_earlier_run_exclude_each_other(
    run_json: Path, command: str, flag: str
) -> None:
    """Nobody takes the amounts of an earlier run for those of another window or model."""
    done = call(run_json, flag, command=command)
    assert done.exit_code == 2
    assert f"{flag.split('=', maxsplit=1)[0]} says how usage is read and learnt from" in done.output


def test_a_run_is_dry_only_where_something_would_be_sent(run_json: Path, tmp_path: Path) -> None:
    """Without ``--pr`` the flag would promise that nothing is written."""
    done = call(run_json, "--dry-run", f"--output={tmp_path / 'out'}", command="run")
    assert done.exit_code == 2 and "--dry-run goes with --pr" in done.output
    assert not (tmp_path / "out").exists()
