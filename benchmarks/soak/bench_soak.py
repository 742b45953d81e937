"""Whether runs under faults lose, corrupt or invent anything: a soak against a real Prometheus.

    python benchmarks/soak/bench_soak.py --runs 200

Every run of `rightsize run` meets one fault drawn by chance: it is killed at any moment or while it
swaps the output, starved of descriptors, memory, threads or disk, given a small budget of memory,
its server breaks or answers nonsense, its cache or ledger is damaged.
After each, what counts is held against a run in fair weather:

- exit code 0 means the very amounts of fair weather, whatever happened on the way;
- any other leaves the earlier output whole, says one sentence and shows no traceback;
- the next run in fair weather comes out as if nothing had been;
- the token is in no output, and no scratch file stays behind.

Prints a row per fault and every breach; the last line counts survivors.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "read"))

from cluster import END, Cluster, Prometheus, backfill

from tests.sources.weather import Fault, Weather, cut_off, hang, proxy, refuse, rewrite

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "s3cret-" + hashlib.sha256(b"soak").hexdigest()[:16]
FAIR = Weather(lambda answer: answer, times=0)
PATIENCE = 300
HUNG = 999
"""What stands for the exit code of a run that did not end within so many seconds."""
SCRATCH = (".writing-", ".latest.new", ".latest.previous")


@dataclass
class Place:
    """The folders of one soak, and what a run in fair weather makes of them."""

    folder: Path
    url: str
    seconds: float = 0.0
    amounts: bytes = b""

    @property
    def output(self) -> Path:
        return self.folder / "reports" / "latest"

    @property
    def kept(self) -> Path:
        return self.folder / "cache"

    def command(self, url: str) -> list[str]:
        """A run on the server at `url`."""
        until = datetime.fromtimestamp(END, UTC).isoformat()
        words = ["run", "--source", f"prometheus:{url}", "--until", until, "--no-charts"]
        words += ["--config", str(self.folder / "rightsize.yaml"), "-o", str(self.output)]
        return [sys.executable, "-m", "analyzer", *words]

    def prepare(self) -> None:
        """Settings, a token, and a first run whose amounts are those of fair weather."""
        (self.folder / "tmp").mkdir()
        (self.folder / "token").write_text(TOKEN)
        (self.folder / "rightsize.yaml").write_text(
            "prometheus:\n"
            f"  cache: {self.kept}\n  token_file: {self.folder / 'token'}\n"
            "  attempts: 2\n  backoff: 10ms\n  timeout: 20s\n"
        )
        started = time.monotonic()
        done = self.run(self.url)
        self.seconds = time.monotonic() - started
        if done.code != 0:
            raise SystemExit(f"the run in fair weather ends with {done.code}: {done.said}")
        self.amounts = self.now()

    def run(self, url: str, trouble: Trouble | None = None) -> Done:
        """One run, under `trouble` where there is some."""
        trouble = trouble or Trouble("fair weather")
        scratch = {"TMPDIR": str(self.folder / "tmp"), "PYTHONFAULTHANDLER": "1"}
        environment = {**os.environ, **scratch, **trouble.environment}
        process = subprocess.Popen(
            [*trouble.limits, *self.command(url)], text=True, cwd=ROOT, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            if trouble.signal is not None:
                while trouble.once and process.poll() is None and not self.at(trouble.once):
                    time.sleep(0.001)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(trouble.after)
                process.send_signal(trouble.signal)
            out, said = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # says where each of its threads stands
            out, said = process.communicate(timeout=PATIENCE)
            return Done(HUNG, out + said)
        finally:
            process.kill()
        return Done(process.returncode, out + said)

    def at(self, name: str) -> bool:
        """Whether there is a file or folder of that name beside the output."""
        return (self.output.parent / name).exists()

    def now(self) -> bytes:
        """The amounts of the output as it is."""
        return (self.output / "recommendations.csv").read_bytes()

    def breaches(self) -> Iterator[str]:
        """What is wrong with the folders after a run."""
        sums = self.output / "SHA256SUMS"
        if not sums.exists():
            yield "no whole output is left"
            return
        for line in sums.read_text().splitlines():
            digest, _, name = line.partition("  ")
            if hashlib.sha256((self.output / name).read_bytes()).hexdigest() != digest:
                yield f"{name} is not what was written"
        for path in self.folder.rglob("*"):
            if path.is_file() and path.name != "token" and TOKEN.encode() in path.read_bytes():
                yield f"the token is in {path.relative_to(self.folder)}"

    def left_behind(self) -> list[str]:
        """Scratch files that no run needs any more."""
        found = [path for path in self.folder.rglob("*") if path.name.startswith(SCRATCH)]
        found += list((self.folder / "tmp").iterdir())
        return [str(path.relative_to(self.folder)) for path in found]


@dataclass(frozen=True)
class Done:
    """How a run ended, and all that it said."""

    code: int
    said: str


@dataclass(frozen=True)
class Trouble:
    """What befalls one run."""

    name: str
    limits: tuple[str, ...] = ()
    signal: signal.Signals | None = None
    after: float = 0.0
    once: str = ""
    """... there is a file or folder of this name beside the output."""
    environment: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    times: int = 0
    path: str = ""
    damage: Callable[[Path], None] = lambda _: None


def troubles(chance: random.Random, seconds: float) -> list[Trouble]:
    """One trouble of each kind, its size by chance."""
    moment, shortly = chance.uniform(0, seconds), chance.choice([0.0, chance.uniform(0, 0.5)])
    budget = f"{chance.randint(150, 600)}Mi"
    answers = [
        cut_off(chance.random()),
        refuse(chance.choice([429, 500, 502, 503, 504]), "busy"),
        refuse(chance.choice([400, 401, 403, 422]), '{"status":"error","error":"no"}'),
        refuse(200, "<html>Sign in</html>"),
        rewrite(lambda body: body.replace(b"[", b"{", 1)),
        rewrite(lambda body: body[: len(body) // 2]),
        hang(chance.uniform(0, 3)),
    ]
    paths = chance.choice(["/query_range", "/query", "/series", ""])
    often = chance.choice([1, 3, 1000])
    return [
        Trouble("killed", signal=signal.SIGKILL, after=moment),
        Trouble("told to stop", signal=signal.SIGTERM, after=moment),
        Trouble("interrupted", signal=signal.SIGINT, after=moment),
        Trouble("killed in swap", signal=signal.SIGKILL, after=shortly, once=".latest.new"),
        Trouble("stopped in swap", signal=signal.SIGTERM, after=shortly, once=".latest.new"),
        Trouble("few descriptors", ("prlimit", f"--nofile={chance.randint(8, 40)}")),
        Trouble("little memory", ("prlimit", f"--as={chance.randint(200, 1200) * 2**20}")),
        Trouble("no threads", ("prlimit", f"--stack={2**33}", f"--as={2**32}")),
        Trouble("small budget", environment={"RIGHTSIZE_MEMORY_BUDGET": budget}),
        Trouble("full disk", ("prlimit", f"--fsize={chance.randint(0, 200_000)}")),
        Trouble("server", fault=chance.choice(answers), times=often, path=paths),
        Trouble("damaged cache", damage=lambda cache: spoil(days(cache), chance)),
        Trouble("damaged ledger", damage=lambda cache: spoil(remembered(cache), chance)),
    ]


def remembered(cache: Path) -> list[Path]:
    """The files of the ledger, which lies within the cache."""
    return sorted((cache / "ledger").iterdir())


def days(cache: Path) -> list[Path]:
    """The kept files that are not of the ledger."""
    aside = cache / "ledger"
    files = (path for path in cache.rglob("*") if path.is_file() and aside not in path.parents)
    return sorted(files)


def spoil(files: list[Path], chance: random.Random) -> None:
    """Flip a byte of, shorten, or remove one of the kept files."""
    path = chance.choice(files)
    content = bytearray(path.read_bytes())
    way = chance.choice(["flip", "cut", "remove"])
    if way == "remove" or not content:
        path.unlink()
    elif way == "cut":
        path.write_bytes(content[: chance.randrange(len(content))])
    else:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)


@dataclass
class Tally:
    """How the runs of each trouble ended, and every breach."""

    ends: dict[str, Counter[str]] = field(default_factory=dict)
    breaches: list[str] = field(default_factory=list)

    @property
    def runs(self) -> int:
        """How many have ended."""
        return sum(ends.total() for ends in self.ends.values())

    def count(self, name: str, code: int) -> None:
        words = {0: "well", 1: "refused", 2: "refused", 3: "partial"}
        self.ends.setdefault(name, Counter())[words.get(code, "ended")] += 1

    def __str__(self) -> str:
        head = ("well", "partial", "refused", "ended")
        rows = [f"| {'fault':16} | {' | '.join(f'{word:>7}' for word in head)} |"]
        rows.append(f"|{'-' * 18}|{'|'.join(['-' * 9] * len(head))}|")
        for name, ends in sorted(self.ends.items()):
            rows.append(f"| {name:16} | {' | '.join(f'{ends[word]:7}' for word in head)} |")
        return "\n".join(rows)


def judge(place: Place, done: Done, before: bytes) -> Iterator[str]:
    """What a run under a fault did that it must not do."""
    if done.code == HUNG:
        yield f"it hangs: {done.said.partition('Fatal Python error')[2][:2000]}"
    elif "Traceback" in done.said:
        yield f"a traceback: {done.said[-300:]}"
    if TOKEN in done.said:
        yield "the token was shown"
    if done.code in (1, 2) and not done.said.strip():
        yield "it failed without a word"
    yield from place.breaches()
    if not (place.output / "recommendations.csv").exists():
        return
    if done.code == 0 and place.now() != place.amounts:
        yield "it ended well with other amounts than in fair weather"
    if done.code not in (0, 3) and place.now() != before:
        yield "it failed and replaced the output"


def soak(place: Place, runs: int, seed: int) -> Tally:
    """Runs under faults, each kind in turn, each followed now and then by one in fair weather.

    An interrupt ends it after those that were run.
    """
    tally = Tally()
    with contextlib.suppress(KeyboardInterrupt):
        for found in faulted(place, runs, seed, tally):
            tally.breaches += found
            for breach in found:
                print(breach, flush=True)
    return tally


def faulted(place: Place, runs: int, seed: int, tally: Tally) -> Iterator[list[str]]:
    """The breaches of each run under a fault; how it ended goes into `tally`."""
    chance = random.Random(seed)
    for number in range(runs):
        kinds = troubles(chance, place.seconds)
        trouble = kinds[number % len(kinds)]
        trouble.damage(place.kept)
        before = place.now()
        sky = Weather(trouble.fault or FAIR.fault, path=trouble.path, times=trouble.times)
        with proxy(place.url, sky) as url:
            done = place.run(url, trouble)
        tally.count(trouble.name, done.code)
        found = [f"run {number}, {trouble.name}: {b}" for b in judge(place, done, before)]
        if found or number % len(kinds) == len(kinds) - 1:
            found += after(place, number)
        yield found


def after(place: Place, number: int) -> list[str]:
    """What is wrong with a run in fair weather after those under faults."""
    done = place.run(place.url)
    found = [] if done.code == 0 else [f"the run after {number} ends with {done.code}: {done.said}"]
    if place.now() != place.amounts:
        found.append(f"the run after {number} gives other amounts")
    left = place.left_behind()
    return [*found, *(f"left behind after {number}: {name}" for name in left)]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--runs", type=int, default=200)
    words.add_argument("--containers", type=int, default=12)
    words.add_argument("--seed", type=int, default=1)
    given = words.parse_args()
    # A job in the background begins with interrupts ignored, and would hand that on to every run.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        backfill(Cluster(containers=given.containers, days=6, scrape=120), folder / "data")
        (folder / "soak").mkdir()
        with Prometheus(folder / "data") as server:
            place = Place(folder / "soak", server.url)
            place.prepare()
            tally = soak(place, given.runs, given.seed)
    print(tally)
    print(f"{tally.runs} faulted runs, {len(tally.breaches)} breaches")
    sys.exit(1 if tally.breaches else 0)


if __name__ == "__main__":
    main()
