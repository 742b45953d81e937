"""How long the runs took of what runs now and then."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from analyzer.history import Histories

LEAST_RUNS = 3
"""Of fewer runs no usual length is told."""


def usual_run_hours(histories: Histories, index: int, since: datetime) -> float | None:
    """The median length in hours of the runs that began at `since` or later and are over.

    A run is all pods of one owner, from the first that starts to the last that ends. None where the
    source does not say when pods start and end, and of fewer than `LEAST_RUNS`.
    """
    ref, pods = histories.containers[index], histories.pods
    own = (pods["namespace"] == ref.namespace) & (pods["workload"] == ref.workload)
    own &= pods["workload_kind"] == ref.kind
    table = pods[own & pods["started"].notna()]
    if table.empty:
        return None
    owner = table["owner"].fillna(table["pod"])
    lengths = []
    for _, run in table.groupby(owner.astype(str)):
        begin, over = run["started"].min(), run["ended"].notna().all()
        if over and begin >= pd.Timestamp(since):
            lengths.append((run["ended"].max() - begin) / pd.Timedelta(hours=1))
    return float(np.median(lengths)) if len(lengths) >= LEAST_RUNS else None
