"""What was read of a source: what it holds and lacks, and what of it cannot be believed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import numpy as np

from analyzer.check import OK, PROBLEM, WARNING, Check
from analyzer.history import Histories, build_histories
from analyzer.telemetry import Verdict
from analyzer.usage import Recording, Usage

_ENOUGH_DAYS = 14
_MOST_MISSING = 0.05
_MOST_NAMED = 3


def examine_recording(recording: Recording) -> list[Check]:
    """What a recording shows over its whole window, the verdicts on each container included."""
    histories = build_histories(recording)
    return [
        _size(recording),
        deep_enough((recording.meta.end - recording.meta.start) / timedelta(days=1)),
        *_missing(recording.usage),
        *_undescribed(recording),
        *_unsized(histories),
        *(
            Check("answers", WARNING, warning, "reports from here will be marked partial")
            for warning in recording.meta.warnings
        ),
        *examine_verdicts(histories.verdicts),
    ]


def deep_enough(days: float) -> Check:
    """Whether so many days of history are enough."""
    found = f"history reaches back {days:.3g} days"
    if days >= _ENOUGH_DAYS:
        return Check("depth", OK, found)
    advice = "raise --storage.tsdb.retention.time, keep a cache, or record a longer window"
    return Check("depth", WARNING, found + "; margins are wider for it", advice)


def examine_verdicts(verdicts: Sequence[Verdict]) -> Iterator[Check]:
    """One finding for each resource of a container of which something is not believed."""
    advice = "compare with `kubectl top` and the kubelet's own /metrics/cadvisor"
    for verdict in sorted(verdicts, key=lambda v: (v.resource, v.fault, v.ref)):
        name = f"telemetry: {verdict.resource} {verdict.fault}"
        yield Check(name, WARNING, f"{verdict.ref}: {verdict.reason}", advice)


def _size(recording: Recording) -> Check:
    usage, meta = recording.usage, recording.meta
    window = f"{meta.start:%Y-%m-%d %H:%M} to {meta.end:%Y-%m-%d %H:%M} UTC"
    minutes = meta.step / timedelta(minutes=1)
    found = f"{len(usage.containers)} containers from {window} in steps of {minutes:g} minutes"
    return Check("usage", OK if usage.pods else PROBLEM, found, "" if usage.pods else "record anew")


def _missing(usage: Usage) -> Iterator[Check]:
    missing = float(np.isnan(usage.memory_bytes).mean()) if len(usage.memory_bytes) else 1.0
    if missing > _MOST_MISSING:
        found = f"{missing:.0%} of the samples are missing within the lives of pods"
        yield Check("samples", WARNING, found, "look for outages of the monitoring")


def _undescribed(recording: Recording) -> Iterator[Check]:
    if recording.specs.empty:
        found = "no requests, limits or images are known"
        yield Check("specs", WARNING, found, "changes cannot be told from what is")


def _unsized(histories: Histories) -> Iterator[Check]:
    """How many containers get no amounts, and why the first of them do not."""
    why = dict(histories.gone) | {s.ref: s.reason for s in histories.skipped}
    sized = len([ref for ref in histories if ref not in why])
    examples = [f"{ref}: {why[ref]}" for ref in sorted(why)[:_MOST_NAMED]]
    more = f"; and {len(why) - _MOST_NAMED} more" if len(why) > _MOST_NAMED else ""
    told = f"; {len(why)} get no amounts: {'; '.join(examples)}{more}" if why else ""
    yield Check("containers", OK, f"{sized} can be sized{told}")
