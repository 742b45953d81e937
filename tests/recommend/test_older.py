"""Older peaks: what summaries tell of the time before the window holds a decrease."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyzer.pipeline.review import analyze
from analyzer.quantity import Memory
from analyzer.recommend import Recommendation
from analyzer.tables import validate_days, validate_specs
from analyzer.usage import Recording, Usage
from tests.samples import MIB, START, meta, names, steady

GIB = 1024 * MIB


def sized(
    peaks: dict[int, float], days: list[dict[str, Any]] | None = None, **changes: Any
) -> Recommendation:
    """250 MiB over a fortnight, and the peaks of so many days before it, or these summaries."""
    window = meta(14)
    spec = {**names(), "memory_request_bytes": 6.0 * GIB, "memory_limit_bytes": 8.0 * GIB}
    days = days or [
        {**names(), "day": START - timedelta(days=back), "memory_peak_bytes": peak}
        for back, peak in peaks.items()
    ]
    columns = [*names(), "day", "memory_peak_bytes", "start_peak_bytes"]
    recording = Recording(
        window,
        Usage.from_frame(steady(14, 0.1, 250.0 * MIB), window),
        validate_specs(pd.DataFrame([spec | changes])),
        days=validate_days(pd.DataFrame(days, columns=columns)),
    )
    (found,) = analyze(recording).recommendations
    return found


def reasons(of: Recommendation, target: str = "memory_request") -> str:
    """Why the amount is what it is."""
    return " | ".join(step.reason for step in of.trail[target])


QUIET = dict.fromkeys(range(1, 29), 250.0 * MIB)


def test_the_last_start_before_the_window_holds_the_limit() -> None:
    """3 GiB at the start five weeks ago, 250 MiB since: the change itself starts it again.

    1.2 x 3 GiB are kept, though one day of that week is known only; an earlier start counts no
    more.
    """
    limit = sized({}).proposed.memory_limit
    assert limit == Memory.parse("8Gi")  # no start is known
    starts = {60: 7.0 * GIB, 35: 3.0 * GIB}
    days = [
        {
            **names(),
            "day": START - timedelta(days=back),
            "memory_peak_bytes": peak,
            "start_peak_bytes": peak,
        }
        for back, peak in starts.items()
    ]
    found = sized({}, days=days)
    assert found.proposed.memory_limit is not None
    assert 3.6 * GIB <= found.proposed.memory_limit.bytes <= 4 * GIB
    assert "its last start, before the window, took 3Gi" in reasons(found, "memory_limit")


def test_a_monthly_peak_before_the_window_is_covered() -> None:
    """5 GiB on one day of six weeks: at 10 % a week none of six may lie above."""
    found = sized(QUIET | {20: 5.0 * GIB})
    assert found.proposed.memory_request == Memory.parse("5Gi")
    assert found.proposed.memory_limit is not None
    assert found.proposed.memory_limit > Memory.parse("5Gi")
    assert "an older peak: 5Gi in the week from 2026-10-12 on; 6 weeks are known" in reasons(found)


def test_without_an_older_peak_nothing_is_held() -> None:
    """Weeks like those of the window change no amount."""
    assert sized(QUIET).proposed == sized({}).proposed
    assert sized(QUIET).proposed.memory_request == sized({}).proposed.memory_request
    assert sized({}).proposed.memory_request < Memory.parse("1Gi")


def test_one_week_of_many_is_within_the_risk() -> None:
    """One week of 22 is less than one in ten: the request may lie below it, the limit may not."""
    year = dict.fromkeys(range(1, 141), 250.0 * MIB) | {100: 5.0 * GIB}
    found = sized(year)
    assert found.proposed.memory_request == sized({}).proposed.memory_request
    assert found.proposed.memory_limit is not None
    assert found.proposed.memory_limit > Memory.parse("5Gi")


def test_a_level_that_was_left_holds_nothing() -> None:
    """Whole weeks of 3 GiB before a change of the program are no peaks."""
    left = dict.fromkeys(range(8, 29), 3.0 * GIB) | dict.fromkeys(range(1, 8), 250.0 * MIB)
    assert sized(left).proposed == sized({}).proposed


@pytest.mark.parametrize("wrong", [0.0, 2.0**63, 2.0**64, -1.0, float("inf")])
def test_a_faulty_summary_holds_nothing(wrong: float) -> None:
    """A wrapped sample of last month is no more a peak than one of today."""
    assert sized(QUIET | {20: wrong}).proposed == sized({}).proposed


def test_an_older_peak_raises_nothing() -> None:
    """It was survived with what is declared: less than the peak stays as it is."""
    found = sized(QUIET | {20: 5.0 * GIB}, memory_request_bytes=1.0 * GIB)
    assert found.proposed.memory_request == Memory.parse("1Gi")


def test_a_rare_peak_within_the_window_is_covered_too() -> None:
    """Six hours at 5 GiB twenty days ago, of 35 that were read: one of five weeks."""
    window = meta(35)
    memory = np.full(35 * 288, 250.0 * MIB)
    memory[15 * 288 : 15 * 288 + 72] = 5.0 * GIB
    spec = {**names(), "memory_request_bytes": 6.0 * GIB, "memory_limit_bytes": 6.0 * GIB}
    usage = Usage.from_frame(steady(35, 0.1, memory), window)
    report = analyze(Recording(window, usage, validate_specs(pd.DataFrame([spec]))))
    (found,) = report.recommendations
    assert found.proposed.amount("memory_request") >= Memory.parse("5Gi")
    assert "an older peak: 5Gi in the week from 2026-11-16 on; 5 weeks" in reasons(found)
