"""Every recommendation as one row of a CSV file."""

from __future__ import annotations

from analyzer.report import Report

_RISKY = ("=", "+", "-", "@", "\t", "\r")


def write_csv(report: Report) -> dict[str, bytes]:
    """``recommendations.csv``: `Report.to_frame`, with names that no spreadsheet runs."""
    frame = report.to_frame()
    for name in ("cluster", "namespace", "kind", "workload", "container"):
        if name in frame:
            frame[name] = ["'" + v if str(v).startswith(_RISKY) else v for v in frame[name]]
    return {"recommendations.csv": frame.to_csv(index=False).encode()}
