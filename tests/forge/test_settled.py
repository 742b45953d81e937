"""What a report knows of containers that earlier pull requests made promises for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.forge.promise import Promise
from analyzer.history import Skipped
from analyzer.pull_requests import settled_by
from analyzer.report import Report, load_report
from analyzer.workload import ContainerRef


def about(ref: ContainerRef) -> Promise:
    """A promise for one container."""
    return Promise(
        namespace=ref.namespace, kind=ref.kind, workload=ref.workload, container=ref.container
    )


@pytest.fixture
def report(run_json: Path) -> Report:
    """A report about the namespace ``media`` alone."""
    return load_report(run_json)


def test_what_was_looked_at_and_needs_nothing_is_settled(report: Report) -> None:
    """So is a container that is gone from a namespace that was seen."""
    unchanged = next(r for r in report.recommendations if not r.changed)
    gone = replace(unchanged.ref, workload="long-gone")
    settled = settled_by(report)
    assert settled(about(unchanged.ref)) and settled(about(gone))


def test_what_is_due_skipped_or_out_of_sight_is_not(report: Report) -> None:
    """A run over one namespace knows nothing of another, and a gap is no answer."""
    due = report.changed[0].ref
    unchanged = next(r for r in report.recommendations if not r.changed)
    rest = tuple(r for r in report.recommendations if r is not unchanged)
    gap = replace(
        report, recommendations=rest, skipped=(Skipped(unchanged.ref, "too little was seen"),)
    )
    assert not settled_by(report)(about(due))
    assert not settled_by(gap)(about(unchanged.ref))
    assert not settled_by(report)(about(replace(due, namespace="elsewhere", workload="x")))
