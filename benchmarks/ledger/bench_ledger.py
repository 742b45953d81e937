"""What the ledger of a year costs: 10,000 containers, a review every week.

    python benchmarks/ledger/bench_ledger.py [CONTAINERS [WEEKS]]

Prints its size on disk, and for each thing that a run does with it the CPU seconds and the peak of
resident memory after it. What a review writes is made by the code that ships; the weeks before are
the same rows with amounts and usage that wander, so that they compress no better than real ones.
"""

from __future__ import annotations

import resource as limits
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from analyzer.evidence import Evidence, Quantiles
from analyzer.history import Histories, build_histories
from analyzer.ledger import append, episodes, read_ledger, recall, score, update
from analyzer.ledger.table import RISKS, no_ledger
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.recommend import TARGETS, Recommendation
from analyzer.tables import validate_specs
from analyzer.usage import Meta, Recording, Usage
from analyzer.workload import ContainerRef

STEP, WEEK = timedelta(hours=1), timedelta(weeks=1)
START = pd.Timestamp("2026-01-05", tz="UTC").to_pydatetime()
DECLARED = Resources(Cpu(500), None, Memory(2**30), Memory(2**31))
PROPOSED = Resources(Cpu(300), None, Memory(2**29), Memory(2**30))
MERGED = 4
"""The week in which all that was proposed is merged."""
Result = TypeVar("Result")


def made_up(count: int, weeks: int, now: Resources) -> Histories:
    """The last week of `weeks`: one pod a container, the same use all the time."""
    begin, steps = START + (weeks - 1) * WEEK, round(WEEK / STEP)
    meta = Meta("c", begin, begin + WEEK, STEP)
    refs = tuple(
        ContainerRef("c", f"n{i % 40:02d}", "Deployment", f"w{i:05d}", "m") for i in range(count)
    )
    usage = Usage(
        start=begin,
        step=STEP,
        steps=steps,
        containers=tuple(sorted(refs)),
        container=np.arange(count),
        pods=tuple(f"p{i}" for i in range(count)),
        first=np.zeros(count, dtype=np.int64),
        offset=np.arange(count + 1) * steps,
        cpu_cores=np.full(count * steps, 0.1, dtype=np.float32),
        memory_bytes=np.full(count * steps, 3e8, dtype=np.float32),
    )
    specs = pd.DataFrame(
        {
            "namespace": [ref.namespace for ref in refs],
            "workload_kind": "Deployment",
            "workload": [ref.workload for ref in refs],
            "container": "m",
            "cpu_request_cores": now.cpu_request and now.cpu_request.cores,
            "memory_request_bytes": now.memory_request and now.memory_request.bytes,
            "memory_limit_bytes": now.memory_limit and now.memory_limit.bytes,
        }
    )
    return build_histories(Recording(meta, usage, validate_specs(specs)))


def advice(histories: Histories, now: Resources) -> list[Recommendation]:
    """What holds and what is proposed for every container."""
    quantiles = Quantiles(0.1, 0.12, 0.13, 0.2)
    seen = Evidence(quantiles, replace(quantiles, max=3e8), 168, 1, 7.0, 1.0, START)
    return [
        Recommendation(
            ref=ref,
            container_type="app",
            replicas=1,
            current=now,
            proposed=PROPOSED,
            trail=dict.fromkeys(TARGETS, ()),
            stated_risk={"cpu_request": 0.05, "memory_request": 0.1, "memory_limit": 0.01},
            findings={},
            confidence=1.0,
            evidence=seen,
        )
        for ref in histories.containers
    ]


def wandering(rows: pd.DataFrame, week: int) -> pd.DataFrame:
    """`rows` as the review at the end of `week` would have written them."""
    rng = np.random.default_rng(week)
    changed = rows.assign(reviewed=START + (week + 1) * WEEK)
    if week > MERGED:
        merged = {name: rows[name.replace("_now", "_proposed")] for name in rows if "_now" in name}
        lived = {"origin": "proposed", "since": START + MERGED * WEEK, "hours": 168.0}
        lived |= {f"promised_{target}": 0.05 for target in RISKS}
        changed = changed.assign(**merged, **lived, cpu_above=0.04, memory_above=0.0, kills=0)
    for name in rows.columns:
        if rows[name].dtype.kind == "f" and rows[name].notna().any():
            changed[name] = rows[name] * rng.lognormal(0, 0.1, len(rows))
        elif name.endswith(("_proposed", "_wanted")) and rows[name].notna().any():
            factor = 1 + rng.integers(-2, 3, len(rows)) / 16
            changed[name] = (rows[name].astype("float64") * factor).round().astype("Int64")
    return changed


def timed(what: str, work: Callable[[], Result]) -> Result:
    """Do `work`, and print what it took."""
    before = time.process_time()
    result = work()
    peak = limits.getrusage(limits.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:<44}{time.process_time() - before:7.2f} CPU s   peak {peak:6.0f} MiB", flush=True)
    return result


def main(count: int = 10_000, weeks: int = 52) -> None:
    """Print a line per step."""
    first = made_up(count, 1, DECLARED)
    rows = update(no_ledger(), advice(first, DECLARED), first)
    histories = made_up(count, weeks, PROPOSED)
    recommendations = advice(histories, PROPOSED)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for week in range(weeks - 1):
            append(place, wandering(rows, week), START + (week + 1) * WEEK)
        print(f"{count} containers x {weeks} weeks", flush=True)
        ledger = timed("read", lambda: read_ledger(place))
        timed("recall what earlier reviews said", lambda: recall(ledger, histories))
        found = timed(
            "make the rows of a review", lambda: update(ledger, recommendations, histories)
        )
        timed("add them", lambda: append(place, found, START + weeks * WEEK))
        whole = ledger.plus(found)
        timed("score what was promised", lambda: score(whole))
        timed("tell the story of every proposal", lambda: episodes(whole))
        size = sum(path.stat().st_size for path in place.iterdir())
        print(
            f"{size / 2**20:.1f} MiB on disk, {size / weeks / count:.0f} bytes a container and week"
        )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
