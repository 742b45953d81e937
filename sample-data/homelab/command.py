"""The command line of `generate.py`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path

from homelab.catalog import WORKLOADS
from homelab.clock import STEP_SECONDS
from homelab.gitops import gitops_files
from homelab.openmetrics import FILE_SECONDS, Settings, write_openmetrics
from homelab.recording import recording_files
from homelab.simulation import simulate
from homelab.truth import truth_file

HERE = Path(__file__).resolve().parent.parent
GENERATED = ("recording", "gitops", "truth.csv", "places.csv")


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    command: str | None = options.command
    if command == "openmetrics":
        return _openmetrics(options)
    if command == "backfill":
        return _backfill(options.source, options.out, options.promtool, options.jobs)
    return _check() if options.check else _write()


def generated_files() -> dict[str, bytes]:
    """Every generated file, by its path below the sample data."""
    runs = simulate()
    files = {f"recording/{name}": content for name, content in recording_files(runs).items()}
    return files | {"truth.csv": truth_file(runs)} | gitops_files()


def differences(folder: Path, wanted: dict[str, bytes]) -> list[str]:
    """What is missing, strange or different in `folder`, one sentence each."""
    found = set(_files_in(folder))
    both = wanted.keys() & found
    missing = [f"{name} is missing" for name in wanted.keys() - found]
    strange = [f"{name} is not generated" for name in found - wanted.keys()]
    changed = [f"{name} differs" for name in both if (folder / name).read_bytes() != wanted[name]]
    return sorted(missing + strange + changed)


def _files_in(folder: Path) -> list[str]:
    roots = [folder / name for name in GENERATED]
    files = [p for root in roots for p in ([root] if root.is_file() else root.rglob("*"))]
    return [path.relative_to(folder).as_posix() for path in files if path.is_file()]


def _check() -> int:
    found = differences(HERE, generated_files())
    print("\n".join(found) or "every generated file is as the generator writes it")
    return 1 if found else 0


def _write() -> int:
    wanted = generated_files()
    for name in _files_in(HERE):
        if name not in wanted:
            (HERE / name).unlink()
    for name, content in wanted.items():
        target = HERE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    print(f"{len(wanted)} files, {sum(map(len, wanted.values())) / 1e6:.1f} MB")
    return 0


def _openmetrics(options: argparse.Namespace) -> int:
    known = sum(len(workload.containers) for workload in WORKLOADS)
    settings = Settings(
        days=options.days,
        scrape=options.scrape_interval,
        state=options.state_interval,
        copies=max(1, ceil(options.containers / known)),
        duplicate=options.duplicate_job,
    )
    for path in write_openmetrics(simulate(), options.out, settings):
        print(path)
    return 0


def _backfill(source: Path, target: Path, promtool: str, jobs: int) -> int:
    """Turn every file into blocks of a Prometheus data folder, `jobs` files at a time."""
    files = sorted(source.glob("*.om"))
    if not files:
        print(
            f"{source}: no *.om files; write them with `generate.py openmetrics`", file=sys.stderr
        )
        return 1
    target.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs) as pool:
        failed = [p for p in pool.map(lambda file: _blocks(promtool, file, target), files) if p]
    print("\n".join(failed) or f"{len(files)} files became blocks in {target}")
    return 1 if failed else 0


def _blocks(promtool: str, file: Path, target: Path) -> str:
    """Run promtool on one file; returns what went wrong, or nothing."""
    hours = FILE_SECONDS // 3600
    done = subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet",
         f"--max-block-duration={hours}h", str(file), str(target)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"{file}: {done.stderr.strip()}" if done.returncode else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Write the sample cluster: recording/, truth.csv, gitops/ and places.csv."
    )
    parser.add_argument(
        "--check", action="store_true", help="compare with what is there; 1 where it differs"
    )
    commands = parser.add_subparsers(dest="command")
    series = commands.add_parser("openmetrics", help="write it as Prometheus series")
    series.add_argument("--out", type=Path, required=True, metavar="DIR")
    series.add_argument("--days", type=float, default=21, help="the last N days (21)")
    series.add_argument(
        "--scrape-interval", type=_interval, default=60, metavar="SECONDS", help="of cAdvisor (60)"
    )
    series.add_argument(
        "--state-interval", type=_interval, default=300, metavar="SECONDS",
        help="of kube-state-metrics (300)",
    )  # fmt: skip
    series.add_argument(
        "--containers", type=int, default=1, metavar="N",
        help="at least N, by copies of all namespaces",
    )  # fmt: skip
    series.add_argument(
        "--duplicate-job", action="store_true", help="scrape cAdvisor by a second job as well"
    )
    backfill = commands.add_parser("backfill", help="turn such files into Prometheus blocks")
    backfill.add_argument("source", type=Path, help="the folder that `openmetrics` filled")
    backfill.add_argument("out", type=Path, help="Prometheus' data folder")
    backfill.add_argument("--promtool", default="promtool")
    backfill.add_argument("--jobs", type=int, default=2)
    return parser


def _interval(text: str) -> int:
    seconds = int(text)
    if seconds < 1 or STEP_SECONDS % seconds:
        raise argparse.ArgumentTypeError(f"must divide {STEP_SECONDS} seconds, found {text}")
    return seconds
