"""Reasons that a reviewer reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from analyzer.evidence.hours import BusyHour
from analyzer.models.demand import Step
from analyzer.quantity import Memory
from analyzer.reason import reasons
from tests.samples import recommendation, resources


def test_every_amount_that_changes_has_its_sentence() -> None:
    """What stays is not spoken of; what goes says why, from the trail."""
    found = recommendation(resources("1", "2Gi", "2", "4Gi"), resources("100m", "1Gi", None, "4Gi"))
    trail = {"cpu_limit": (Step("remove", "2", "", "a limit only throttles"),)}
    said = reasons(replace(found, trail={**found.trail, **trail}))
    assert [line.partition(":")[0] for line in said] == [
        "CPU request 1 → 100m",
        "CPU limit 2 → none",
        "memory request 2Gi → 1Gi",
    ]
    assert said[1].endswith(": a limit only throttles")


def test_kills_and_throttling_come_before_what_was_used() -> None:
    """A kill elsewhere does not count; the date is said where an earlier level does not."""
    found = recommendation(resources("1", "1Gi"), resources("2", "2Gi"))
    seen = replace(found.evidence, throttled=0.25, oom_kills=3, oom_elsewhere=1)
    seen = replace(seen, oom_limit=Memory.parse("1Gi"))
    cpu, memory = reasons(replace(found, evidence=seen))
    assert cpu.endswith("throttled at its limit for 25% of the time")
    assert memory.endswith("it was OOM-killed 2 times at its limit of 1Gi")
    seen = replace(seen, oom_elsewhere=3, memory_since=datetime(2026, 11, 9, tzinfo=UTC))
    assert "since 9 Nov it used" in reasons(replace(found, evidence=seen))[1]


def test_an_hour_far_above_the_new_request_is_said_where_it_is_asked_for() -> None:
    """Three times the request of 100m is 300m: more is told, and less is not."""
    found = recommendation(resources("1"), resources("100m"))
    for cores, told in ((0.31, True), (0.29, False)):
        hour = BusyHour(cores, "every day from 02:00")
        seen = replace(found.evidence, busy_hour=hour)
        (line,) = reasons(replace(found, evidence=seen))
        assert line.endswith("; every day from 02:00 UTC it uses 310m for an hour") is told


def test_a_memory_limit_says_what_was_seen_and_what_is_risked() -> None:
    """A limit that moves is judged by peaks; one that goes has the reason of its rule."""
    found = recommendation(resources("1", "1Gi", None, "2Gi"), resources("1", "1Gi", None, "512Mi"))
    (said,) = reasons(found)
    assert said == (
        "memory limit 2Gi → 512Mi: in 14 days it used 100Mi at most; more than 512Mi has a chance "
        "of 5% until the next review"
    )
    (gone,) = reasons(replace(found, proposed=resources("1", "1Gi")))
    assert gone == "memory limit 2Gi → none: for the test"
