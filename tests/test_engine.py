"""Work on the workers of a real Dask scheduler: the same results, and no worker taken on trust."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import distributed
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result

from analyzer import __version__
from analyzer.by_container import by_container
from analyzer.cli import main
from analyzer.config import Config, load_config
from analyzer.engine.address import Address, parse_address
from analyzer.engine.held import Held
from analyzer.engine.settings import EngineSettings
from analyzer.engine.task import Done, Task
from analyzer.engine.workers import EngineError, workers_of
from analyzer.errors import SourceError, UsageError
from analyzer.fleet.elsewhere import environment_there
from analyzer.history import Histories, build_histories
from analyzer.pipeline.reading import read, read_shard
from analyzer.pipeline.sharing import read_by_workers
from analyzer.room import IN_MEMORY
from analyzer.shard import Shard
from analyzer.sources import load_recording
from analyzer.sources.window import silent
from analyzer.usage import Recording
from tests.sample_server import SAMPLE_DATA

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = f"recording:{SAMPLE_DATA / 'recording'}"
SECRET = "s3cret-of-a-header"
SOON = timedelta(seconds=1)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Site:
    """A scheduler that runs, and where what it and its workers log is written to."""

    address: str
    log: Path

    def settings(self, patience: timedelta = timedelta(hours=1)) -> EngineSettings:
        return EngineSettings(scheduler=self.address, patience=patience)


@contextmanager
def running(
    command: Sequence[str], log: Path, **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Dask's, which is gone with the block."""
    with log.open("ab") as out:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=log.parent)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[Site, subprocess.Popen[bytes]]]:
    """A scheduler on a free port; a task is given up when two workers have died of it."""
    told, log = folder / "scheduler.json", folder / "log.txt"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port=0"]
    command += ["--host=127.0.0.1", "--no-dashboard", f"--scheduler-file={told}"]
    with running(command, log, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1") as process:
        until(lambda: told.exists() and told.read_text().endswith("}"))
        yield Site(json.loads(told.read_text())["address"], log), process


def worker(*words: str) -> list[str]:
    """The command that starts workers."""
    return [sys.executable, "-m", "distributed.cli.dask_worker", "--no-dashboard", *words]


def bare_worker(address: str, folder: Path) -> list[str]:
    """A worker in an environment that has all but this package."""
    folder.mkdir()
    for found in Path(distributed.__file__).parent.parent.iterdir():
        if not found.name.startswith(("rightsize", "_rightsize", "__editable__")):
            (folder / found.name).symlink_to(found)
    code = (
        f"import sys; sys.path.append({str(folder)!r})\n"
        "from distributed.cli.dask_worker import main\nmain()"
    )
    # -I and -S: neither the current folder nor where Python keeps what is installed.
    return [sys.executable, "-I", "-S", "-c", code, "--no-dashboard", address]


def until(happened: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    end = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A scheduler with two workers, processes of their own, which come again when they die."""
    folder = tmp_path_factory.mktemp("dask")
    with scheduler(folder) as (site, _):
        command = worker(site.address, "--nworkers=2", "--nthreads=1")
        with running(command, site.log), workers_of(site.settings()) as workers:
            workers.client.wait_for_workers(2, timeout=120)
            yield site


def call(*words: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, [str(word) for word in words])


def outcomes(site: Site, tasks: Sequence[Task], **given: timedelta) -> dict[str, Done]:
    """What came of each of `tasks` by its name."""
    with workers_of(site.settings(**given)) as workers:
        return {task.name: done for task, done in workers.results(tasks)}


def found(folder: Path) -> dict[str, object]:
    """What a run found, but for when it was and how long it took."""
    report: dict[str, object] = json.loads((folder / "run.json").read_text())
    del report["created"], report["seconds"]
    return report


# What workers are given below; they import it from here.


def _first_time(mark: Path) -> bool:
    """Whether nobody has been here before; a folder is made by one process only."""
    try:
        mark.mkdir()
    except FileExistsError:
        return False
    return True


def die_once(mark: Path) -> str:
    if _first_time(mark):
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_and_read(config: Config, now: datetime | None, shard: Shard) -> Recording:
    die_once(Path(config.output))
    return read_shard(config, now, shard)


def fail_once(mark: Path) -> str:
    if _first_time(mark):
        raise SourceError("no answer")
    return "done"


def refuse(marks: Path) -> None:
    (marks / str(time.monotonic_ns())).touch()
    raise UsageError("asked wrongly")


def wait_once(mark: Path, end: Path) -> str:
    """Wait for `end`, whoever comes first."""
    if _first_time(mark):
        until(end.exists)
    return "done"


def nothing() -> str:
    return "done"


@by_container
def processes(histories: Histories) -> list[int]:
    return [os.getpid()] * len(histories)


@by_container
def used_above(histories: Histories, levels: Floats, *, scale: float) -> Floats:
    usage = histories.usage
    above = [
        float(np.nansum(usage.cpu_cores[usage.span(i)])) * scale - levels[i]
        for i in range(len(histories))
    ]
    return np.array(above)


@by_container
def names_of_the_dying(histories: Histories, *, mark: Path) -> list[str]:
    die_once(mark)
    return [ref.workload for ref in histories]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("tcp://dask.tools:8786", Address("tcp://dask.tools:8786", url="tcp://dask.tools:8786")),
        ("tls://[fd00::1]:8786", Address("tls://[fd00::1]:8786", url="tls://[fd00::1]:8786")),
        ("local", Address("local")),
        ("local:4", Address("local:4", local=4)),
        ("none", None),
    ],
)
def test_an_address_is_a_scheduler_or_this_machine(text: str, meant: Address | None) -> None:
    """As Dask writes them."""
    assert parse_address(text) == meant


@pytest.mark.parametrize(
    "text",
    ["", "local:0", "local:999", "http://dask:8786", "tcp://dask", "tcp://a b:1", "dask:8786"],
)
def test_anything_else_is_told_before_anything_is_read(text: str) -> None:
    """One sentence with the exit code of wrong usage."""
    done = call("recommend", "--source", SAMPLE, "--scheduler", text)
    if text:
        assert done.exit_code == 2
        assert "a scheduler is tcp://HOST:PORT" in done.stderr
    with pytest.raises(ValueError, match="a scheduler is"):
        parse_address(text)


def test_workers_find_what_this_process_finds(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that a run makes of what was read, learnt and judged elsewhere, and the same words."""
    monkeypatch.setattr("analyzer.pipeline.workers.LEAST_SAMPLES", 0)
    words = ["run", "--source", SAMPLE, "--window", "15d", "-n", "media,network,nowhere", "-q"]
    words += ["--no-charts", "--format", "csv"]
    alone = call(*words, "-o", tmp_path / "here")
    on = ["--scheduler", site.address, "--shards", "3"]
    shared = call(*words, *on, "-o", tmp_path / "there")
    assert (alone.exit_code, shared.exit_code) == (0, 0), shared.output
    assert found(tmp_path / "there") == found(tmp_path / "here")
    assert found(tmp_path / "here")["backtest"]
    assert shared.stderr == alone.stderr
    assert "nowhere" in alone.stderr  # which no shard can know


def test_a_recording_of_shards_is_the_whole(site: Site, tmp_path: Path) -> None:
    """Every sample, and what it says of itself."""
    asked = ["record", "--source", SAMPLE, "--window", "1d", "-q"]
    for name, words in (("here", ()), ("there", ("--scheduler", site.address))):
        assert call(*asked, *words, tmp_path / name).exit_code == 0
    here, there = load_recording(tmp_path / "here"), load_recording(tmp_path / "there")
    assert there.meta == here.meta
    assert there.usage.to_frame().equals(here.usage.to_frame())


def test_a_fleet_runs_where_workers_are(site: Site, tmp_path: Path) -> None:
    """The same folders; one that fails stops no other and leaves what it left before."""
    path, out = tmp_path / "rightsize.yaml", tmp_path / "out"
    path.write_text(
        "namespaces: [network]\nwindow: 2d\ncharts: false\nbacktest: false\nformats: [csv]\n"
        f"clusters:\n  one: {{source: '{SAMPLE}', preset: careful}}\n"
        f"  gone: {{source: 'recording:{tmp_path / 'nowhere'}'}}\n"
    )
    (out / "gone").mkdir(parents=True)
    alone = call("run", "--config", path, "--cluster", "one", "-o", tmp_path / "here")
    assert alone.exit_code == 0, alone.output
    fleet = call("fleet", "--config", path, "-o", out, "--scheduler", site.address)
    assert fleet.exit_code == 3, fleet.output
    assert "gone failed: there is no recording" in fleet.stderr
    assert f"one: {out / 'one'}" in fleet.stderr  # and not the worker's scratch
    assert found(out / "one") == found(tmp_path / "here")
    assert {p.name for p in (out / "one").iterdir()} == {
        p.name for p in (tmp_path / "here").iterdir()
    }
    assert list((out / "gone").iterdir()) == []


def test_a_ledger_that_workers_cannot_have_is_told_first(site: Site, tmp_path: Path) -> None:
    """It would be written beside results that are gone with the worker's scratch."""
    path = tmp_path / "rightsize.yaml"
    path.write_text("clusters: {a: {source: 'prometheus:http://127.0.0.1:1'}}\n")
    done = call("fleet", "--config", path, "-o", tmp_path / "out", "--scheduler", site.address)
    assert done.exit_code == 2
    assert "a: the ledger lies beside the results, which workers do not have" in done.stderr


def test_a_worker_that_dies_takes_nothing_along(site: Site, tmp_path: Path) -> None:
    """What it was at is done by another one."""
    tasks = [Task("a", die_once, (tmp_path / "mark",)), Task("b", nothing, ())]
    done = outcomes(site, tasks)
    assert {name: each.value for name, each in done.items()} == {"a": "done", "b": "done"}
    assert (tmp_path / "mark").exists()


def test_a_shard_whose_worker_dies_is_read_elsewhere(site: Site, tmp_path: Path) -> None:
    """And the whole is what it is anyway."""
    mark = tmp_path / "mark"
    given = {"source": SAMPLE, "window": "1d", "output": str(mark)}
    config = load_config(None, {}, {**given, "engine.scheduler": site.address}).config
    whole = read_by_workers(config, None, die_and_read, IN_MEMORY, silent)
    assert mark.exists()
    here = read(load_config(None, {}, given).config, None)
    assert whole.usage.to_frame().equals(here.usage.to_frame())


@pytest.fixture(scope="module")
def histories() -> Histories:
    """A week of some of the sample cluster."""
    whole = load_recording(SAMPLE_DATA / "recording")
    return build_histories(whole.restrict(lambda name: name in ("media", "network")))


def test_workers_that_keep_samples_answer_as_one_process(site: Site, histories: Histories) -> None:
    """Each of its own containers, in their order; of views too, and of no other usage."""
    levels = np.arange(len(histories), dtype=np.float64)
    day = histories.usage.steps_per_day
    with workers_of(site.settings()) as workers:
        workers.client.wait_for_workers(2, timeout=120)
        held = Held.of(replace(workers, names=tuple(workers.client.nthreads())), histories)
        there = replace(histories, workers=held)
        pids = processes(there)
        assert len(set(pids)) == 2
        assert os.getpid() not in pids
        view, seen = histories.between(day, 5 * day), there.between(day, 5 * day)
        views = ((histories, there), (view, seen), (view.between(0, day), seen.between(0, day)))
        for one, other in views:
            assert os.getpid() not in processes(other)
            expected, found = (used_above(each, levels, scale=2.0) for each in (one, other))
            assert found.tobytes() == expected.tobytes()
        changed = replace(there, usage=histories.usage.between(0, day))
        assert set(processes(changed)) == {os.getpid()}


def test_samples_that_die_with_a_worker_are_sent_again(
    site: Site, histories: Histories, tmp_path: Path
) -> None:
    """The answer is the same."""
    with workers_of(site.settings()) as workers:
        there = replace(histories, workers=Held.of(workers, histories))
        found = names_of_the_dying(there, mark=tmp_path / "mark")
    assert found == [ref.workload for ref in histories]
    assert (tmp_path / "mark").exists()


def test_what_fails_is_tried_again_and_what_is_wrong_is_not(site: Site, tmp_path: Path) -> None:
    """Another worker may reach what one does not; a refusal is the same everywhere."""
    (tmp_path / "refused").mkdir()
    tasks = [
        Task("flaky", fail_once, (tmp_path / "mark",)),
        Task("wrong", refuse, (tmp_path / "refused",)),
    ]
    done = outcomes(site, tasks)
    assert done["flaky"].value == "done"
    assert isinstance(done["wrong"].refusal, UsageError)
    assert len(list((tmp_path / "refused").iterdir())) == 1


def test_who_is_late_is_not_waited_for(site: Site, tmp_path: Path) -> None:
    """An idle worker does the same, and its answer counts."""
    end = tmp_path / "end"
    tasks = [Task("late", wait_once, (tmp_path / "mark", end)), Task("quick", nothing, ())]
    try:
        done = outcomes(site, tasks, patience=SOON)
        assert done["late"].value == "done"
        assert (tmp_path / "mark").exists()
    finally:
        end.touch()


def test_what_kills_every_worker_is_named(site: Site) -> None:
    """In one sentence, and the rest is done."""
    done = outcomes(site, [Task("b", nothing, ()), Task("deadly", die, ())])
    assert done["b"].value == "done"
    assert "deadly: every worker that took it died, 2 of them" in str(done["deadly"].refusal)


def test_secrets_are_in_no_log(site: Site, tmp_path: Path) -> None:
    """Dask logs a task that fails, with what it was called with: that says its name only."""
    path = tmp_path / "rightsize.yaml"
    path.write_text(
        "source: 'prometheus:http://127.0.0.1:1'\n"
        f"prometheus: {{attempts: 1, headers: {{X-Key: {SECRET}}}}}\nengine: {{retries: 0}}\n"
    )
    done = call("record", "--config", path, "--scheduler", site.address, tmp_path / "out")
    assert done.exit_code == 1
    assert re.search(r"on the worker of shard [01]/[12]:", done.stderr)
    assert "http://127.0.0.1:1 cannot be reached" in done.stderr
    log = site.log.read_text()
    assert re.search(r"Compute Failed\nKey: +shard [01]/", log)
    assert SECRET not in log + done.output
    assert not (tmp_path / "out").exists()


def test_no_scheduler_no_worker_or_another_version_is_one_sentence(tmp_path: Path) -> None:
    """Each before anything is read, with the exit code of a source that does not answer."""
    out = tmp_path / "out"
    asked = ["record", "--source", SAMPLE, "-q", out, "--scheduler"]
    soon = {"RIGHTSIZE_ENGINE__WAIT": "1s"}

    def refusal(address: str, variables: Mapping[str, str]) -> str:
        done = CliRunner().invoke(main, [*map(str, asked), address], env=variables)
        assert (done.exit_code, out.exists()) == (1, False), done.output
        (sentence,) = done.stderr.splitlines()
        return sentence

    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        assert f"{silent}: no Dask scheduler answers there" in refusal(silent, soon)
    with scheduler(tmp_path) as (site, _):
        assert "no worker has come within 1 s" in refusal(site.address, soon)
        old = tmp_path / "old" / "rightsize-0.0.1.dist-info"
        old.mkdir(parents=True)
        (old / "METADATA").write_text("Metadata-Version: 2.1\nName: rightsize\nVersion: 0.0.1\n")
        one = worker(site.address, "--no-nanny", "--name=old")
        with running(one, site.log, PYTHONPATH=str(old.parent)):
            said = refusal(site.address, {})
        assert f" has rightsize 0.0.1 and this is {__version__};" in said
        assert "the worker tcp://127.0.0.1:" in said
        with running([*bare_worker(site.address, tmp_path / "bare"), "--no-nanny"], site.log):
            assert f" has no rightsize and this is {__version__};" in refusal(site.address, {})


def test_a_scheduler_that_goes_away_ends_all_in_one_sentence(tmp_path: Path) -> None:
    """Whatever its workers were at."""
    mark, end = tmp_path / "mark", tmp_path / "end"
    with scheduler(tmp_path) as (site, process):
        one = worker(site.address, "--no-nanny", "--nthreads=2", "--death-timeout=1")
        with running(one, site.log), workers_of(site.settings()) as workers:
            given = workers.results([Task("long", wait_once, (mark, end)), Task("b", nothing, ())])
            try:
                assert next(given)[0].name == "b"
                until(mark.exists)
                process.kill()
                with pytest.raises(EngineError, match="the scheduler went away before all"):
                    next(given)
            finally:
                end.touch()


def test_without_dask_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "distributed"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = call("recommend", "--source", SAMPLE, "--scheduler", "local:2")
    assert done.exit_code == 2
    assert "pip install 'rightsize[dask]'" in done.stderr


def test_shards_without_a_scheduler_are_refused() -> None:
    """Nobody would read them, and the flag would do nothing."""
    for more in ([], ["--scheduler", "none"]):
        done = call("recommend", "--source", SAMPLE, "--shards", "3", *more)
        assert done.exit_code == 2
        assert "add --scheduler" in done.stderr


def test_an_interrupt_of_the_terminal_is_not_heard_by_workers_here() -> None:
    """It reaches every process at once, and each would print where it was."""
    with workers_of(EngineSettings(scheduler="local:1")) as workers:
        (held,) = workers.client.run(signal.pthread_sigmask, signal.SIG_BLOCK, ()).values()
    assert signal.SIGINT in held
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_run_on_a_worker_sees_nothing_that_dask_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory given back at once takes a third more CPU."""
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    found = environment_there({"RIGHTSIZE_OUTPUT": "there"})
    assert "MALLOC_TRIM_THRESHOLD_" not in found
    assert found["RIGHTSIZE_OUTPUT"] == "there"
    assert found["PATH"]
