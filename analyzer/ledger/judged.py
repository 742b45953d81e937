"""What came of each review's statements, kept for when the window shows it no more."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from analyzer.calibration import Tally
from analyzer.ledger.table import Ledger, make_rows
from analyzer.models.demand import RESOURCES, RISKS

KEPT = 12
"""So many reviews before those that the window shows are learnt from: a quarter of a year."""


def judged_rows(last: Tally | None, cluster: str, when: datetime, by: str) -> pd.DataFrame:
    """What came, until `when`, of what the model `by` had stated a horizon before."""
    if last is None:
        return make_rows([])
    about = {"cluster": cluster, "entry": "judged", "reviewed": when, "by": by}
    return make_rows(
        [
            about
            | {
                "resource": resource,
                "risk": float(risk),
                "containers": last.containers[resource],
                "exceeded": float(exceeded),
            }
            for resource in RESOURCES
            for risk, exceeded in zip(RISKS, last.exceeded[resource], strict=True)
        ]
    )


def tallies(
    ledger: Ledger, cluster: str, by: str, before: datetime, horizon: timedelta
) -> list[Tally]:
    """What came of statements of the model `by` until `before`, newest first.

    Of reviews that overlap, because they were held more often than each `horizon`, one counts.
    """
    rows = ledger.rows
    rows = rows[(rows["entry"] == "judged") & (rows["by"] == by) & (rows["cluster"] == cluster)]
    found: list[Tally] = []
    latest = pd.Timestamp(before)
    times = pd.DatetimeIndex(rows["reviewed"].unique()).sort_values(ascending=False)
    for when in times[times <= latest]:
        one = _tally(rows[rows["reviewed"] == when]) if when <= latest else None
        if one is not None and len(found) < KEPT:
            found.append(one)
            latest = when - pd.Timedelta(horizon)
    return found


def _tally(review: pd.DataFrame) -> Tally | None:
    """One review; None where it was judged at other risks than those of this version."""
    exceeded, containers = {}, {}
    for resource in RESOURCES:
        table = review[review["resource"] == resource].sort_values("risk")
        if len(table) != len(RISKS) or not np.allclose(table["risk"], RISKS):
            return None
        exceeded[resource] = table["exceeded"].to_numpy(dtype=np.float64)
        containers[resource] = int(table["containers"].max())
    return Tally(exceeded, containers)
