"""The changes to the repository: unified diffs, and mailbox files that ``git am`` takes."""

from __future__ import annotations

from analyzer.escape import markdown
from analyzer.report import Report


def write_gitdiff(report: Report) -> dict[str, bytes]:
    """One diff with everything, and per application a diff, a commit and a description."""
    if not report.changes:
        return {}
    files = {"git/all.diff": report.diff.encode()}
    for change in report.changes:
        stem = change.name.removesuffix(".patch")
        files[f"git/{stem}.patch"] = change.commit.encode()
        files[f"git/{stem}.diff"] = change.diff.encode()
        files[f"git/{stem}.md"] = f"# {markdown(change.title)}\n\n{change.body}".encode()
    return files
