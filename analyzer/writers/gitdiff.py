"""The changes to the repository: unified diffs, and mailbox files that ``git am`` takes."""

from __future__ import annotations

from analyzer.report import Report
from analyzer.workload import slug


def write_gitdiff(report: Report) -> dict[str, bytes]:
    """One diff with everything, one per application, and one ready commit per application."""
    if not report.changes:
        return {}
    files = {"git/all.diff": "".join(change.diff for change in report.changes).encode()}
    for number, change in enumerate(report.changes, start=1):
        name = slug(*change.application.split("/"))
        files[f"git/{name}.diff"] = change.diff.encode()
        files[f"git/{number:04d}-{name}.patch"] = change.commit.encode()
    return files
