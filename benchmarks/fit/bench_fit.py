"""What models, calibration and a short backtest cost: 10,000 containers, 14 days, 5 minutes.

    python benchmarks/fit/bench_fit.py [CONTAINERS [DAYS]]

Prints CPU seconds (all threads) and the peak of resident memory after each step.
"""

from __future__ import annotations

import resource as limits
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from analyzer.backtest import Walk, backtest
from analyzer.calibration import calibrate, spend
from analyzer.history import Histories, build_histories
from analyzer.models import model_named
from analyzer.usage import Meta, Recording, Usage
from analyzer.workload import ContainerRef

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "growth"))

from world import samples

HORIZON = timedelta(days=7)


def made_up(count: int, days: int) -> Histories:
    """Containers with daily rhythm and noise."""
    steps = days * 288
    cpu, memory = samples(count, steps)
    start = pd.Timestamp("2026-01-05", tz="UTC").to_pydatetime()
    step = timedelta(minutes=5)
    meta = Meta("made-up", start, start + steps * step, step)
    refs = tuple(ContainerRef("c", "a", "Deployment", f"w{i:05d}", "m") for i in range(count))
    usage = Usage(
        start=start,
        step=step,
        steps=steps,
        containers=refs,
        container=np.arange(count),
        pods=tuple(f"p{i}" for i in range(count)),
        first=np.zeros(count, dtype=np.int64),
        offset=np.arange(count + 1) * steps,
        cpu_cores=cpu,
        memory_bytes=memory,
    )
    return build_histories(Recording(meta, usage))


def report(what: str, since: float) -> float:
    now = time.process_time()
    peak = limits.getrusage(limits.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{what:<34}{now - since:8.1f} CPU s   peak {peak:5.2f} GiB", flush=True)
    return now


def main(count: int = 10_000, days: int = 14) -> None:
    now = time.process_time()
    histories = made_up(count, days)
    print(f"{count} containers x {days} d at 5 min")
    now = begin = report("(making the data up)", now)
    _ = histories.daily
    now = report("daily summaries", now)
    model = model_named("pooled")
    demand = model.fit(histories, HORIZON)
    now = report("fit", now)
    demand = calibrate(model, demand, histories)
    now = report("calibrate", now)
    spend(demand, {"cpu": 0.05, "memory": 0.1})
    now = report("spend the risk budget", now)
    backtest(histories, ("pooled", "vpa", "krr"), Walk(timedelta(days=days - 7), HORIZON))
    report("backtest, pooled + vpa + krr", now)
    report("all of it", begin)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
