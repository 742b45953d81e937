"""What each container will truly need in the week after the sample.

The analyzer never reads this; checks and reports compare its recommendations with it.
"""

from __future__ import annotations

from itertools import groupby
from math import ceil
from typing import Any

import numpy as np
import pandas as pd

from homelab.clock import SAMPLE_STEPS
from homelab.recording import NAMES, container_names
from homelab.simulation import Run

CPU_LEVELS = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def truth_file(runs: list[Run]) -> bytes:
    """``truth.csv``: a row per container that the sample knows, empty where it is not run again."""
    return truth_table(runs).to_csv(index=False, lineterminator="\n").encode()


def truth_table(runs: list[Run]) -> pd.DataFrame:
    """Next week's need per container, had nothing limited it.

    Memory: the highest peak of any pod in bytes. CPU: quantiles over samples of all pods in
    cores. The ideal request is that peak, or the CPU used up to 95 % of the time, rounded up
    to whole millicores; the ideal limit is the memory peak.
    """
    known = [run for run in runs if run.begin < SAMPLE_STEPS]
    later = [run for run in runs if run.end > SAMPLE_STEPS]
    needs = {key: _needs(list(group)) for key, group in groupby(_sorted(later), _key)}
    rows = []
    for key, group in groupby(_sorted(known), _key):
        run = next(group)
        rows.append(
            container_names(run.pod.workload, run.container)
            | {"pattern": run.container.pattern}
            | needs.get(key, {})
        )
    frame = pd.DataFrame(rows).sort_values(NAMES, ignore_index=True)
    for name in ("memory_peak_bytes", "ideal_memory_request_bytes", "ideal_memory_limit_bytes"):
        frame[name] = frame[name].astype("Int64")
    return frame


def _needs(runs: list[Run]) -> dict[str, Any]:
    cpu = np.concatenate([run.wanted_cpu[max(0, SAMPLE_STEPS - run.begin) :] for run in runs])
    memory = max(run.wanted_memory[max(0, SAMPLE_STEPS - run.begin) :].max() for run in runs)
    levels = {
        f"cpu_{name}_cores": round(float(np.quantile(cpu, level, method="higher")), 4)
        for name, level in CPU_LEVELS.items()
    }
    return {
        "memory_peak_bytes": int(memory),
        **levels,
        "cpu_max_cores": round(float(cpu.max()), 4),
        "ideal_cpu_request": f"{ceil(round(levels['cpu_p95_cores'] * 1000, 1))}m",
        "ideal_memory_request_bytes": int(memory),
        "ideal_memory_limit_bytes": int(memory),
    }


def _key(run: Run) -> tuple[str, ...]:
    return tuple(container_names(run.pod.workload, run.container).values())


def _sorted(runs: list[Run]) -> list[Run]:
    return sorted(runs, key=_key)
