"""Every recommendation as one row of a CSV or Parquet file."""

from __future__ import annotations

import io

from analyzer import parquet
from analyzer.escape import csv_cell
from analyzer.report import Report

_NAMES = ("cluster", "namespace", "kind", "workload", "container")


def write_csv(report: Report) -> dict[str, bytes]:
    """``recommendations.csv``: `Report.to_frame`, with names that nothing acts on."""
    frame = report.to_frame()
    for name in _NAMES:
        if name in frame:
            frame[name] = [csv_cell(str(value)) for value in frame[name]]
    return {"recommendations.csv": frame.to_csv(index=False).encode()}


def write_parquet(report: Report) -> dict[str, bytes]:
    """``recommendations.parquet``: `Report.to_frame` with its types; names as they are."""
    content = io.BytesIO()
    parquet.write_parquet(report.to_frame(), content)
    return {"recommendations.parquet": content.getvalue()}
