"""The run as metrics: what a Prometheus keeps of it from week to week, and alerts on.

The text format of Prometheus, for the textfile collector of the node exporter, a Pushgateway or
VictoriaMetrics. One series per cluster and group, none per container: a report is the place for
those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

from analyzer.history import SkipCode
from analyzer.ledger.outcome import Harm, overruns
from analyzer.report import Report, held_back

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Gauge

RESULTS = ("change", "right", "held", "skipped")
"""What becomes of a container."""


def write_metrics(report: Report) -> dict[str, bytes]:
    """``metrics.prom``: when the run was, what became of the containers, what was promised."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    _Gauges(registry, report.meta.cluster).fill(report)
    return {"metrics.prom": generate_latest(registry)}


class _Gauges:
    """The gauges of one run."""

    def __init__(self, registry: CollectorRegistry, cluster: str) -> None:
        self._registry, self._cluster = registry, cluster

    def fill(self, report: Report) -> None:
        """Set every gauge that `report` has a number for."""
        self._run(report)
        self._containers(report)
        self._requests(report)
        self._landings(report)
        if report.seconds:
            text = "How long each phase of the last run took, until its results were written."
            self._by("phase_seconds", text, "phase", report.seconds)
        self._outcomes(report)

    def _run(self, report: Report) -> None:
        if report.created is not None:
            text = "When the last run ended that wrote its results."
            self._one("last_success_timestamp_seconds", text, report.created.timestamp())
        text = "The end of the usage that the last run learnt from."
        self._one("history_end_timestamp_seconds", text, report.meta.end.timestamp())
        text = "What the last run could not read; 0 when all was there."
        self._one("partial_reads", text, len([*report.meta.warnings, *report.warnings]))

    def _containers(self, report: Report) -> None:
        results = dict.fromkeys(RESULTS, 0) | Counter(_results(report))
        text = "Containers by what the last run says of them."
        self._by("containers", text, "result", results)
        codes = dict.fromkeys(get_args(SkipCode), 0) | Counter(one.code for one in report.skipped)
        text = "Containers without a recommendation, by why they have none."
        self._by("containers_skipped", text, "reason", codes)
        if report.proposals_open is not None:
            text = "Proposals that wait for what declares the amounts to change."
            self._one("proposals_open", text, report.proposals_open)

    def _landings(self, report: Report) -> None:
        if report.landings:
            statuses = dict.fromkeys(("edited", "advice", "unchanged"), 0)
            statuses |= Counter(landing.status for landing in report.landings)
            text = "Containers by what became of their place in Git."
            self._by("landings", text, "status", statuses)

    def _requests(self, report: Report) -> None:
        for name, text, target, scale in (
            ("cpu_requests_cores", "CPU requests over all replicas.", "cpu_request", 1000),
            ("memory_requests_bytes", "Memory requests over all replicas.", "memory_request", 1),
        ):
            now, new = report.totals[target]
            self._by(name, text, "amount", {"declared": now / scale, "proposed": new / scale})

    def _outcomes(self, report: Report) -> None:
        outcomes = report.outcomes
        harmed = {harm: sum(o.harm == harm for o in outcomes) for harm in get_args(Harm)}
        harmed["well"] = sum(not o.harmed for o in outcomes)
        self._by("merged_changes", "Changes that hold, by what followed them.", "outcome", harmed)
        promised, happened = overruns(outcomes)
        if promised:
            text = "The share of overruns, of the time for CPU and of weeks for memory, that "
            self._by(
                "overruns_promised_ratio", f"{text}merged changes promised.", "target", promised
            )
            self._by("overruns_happened_ratio", f"{text}came since.", "target", happened)

    def _one(self, name: str, text: str, value: float) -> None:
        self._gauge(name, text, []).labels(self._cluster).set(value)

    def _by(self, name: str, text: str, label: str, values: Mapping[str, float]) -> None:
        gauge = self._gauge(name, text, [label])
        for key, value in values.items():
            gauge.labels(self._cluster, key).set(value)

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        from prometheus_client import Gauge

        return Gauge(f"rightsize_{name}", text, ["cluster", *labels], registry=self._registry)


def _results(report: Report) -> list[str]:
    """One word of `RESULTS` per container of `report`."""
    words = []
    for recommendation in report.recommendations:
        if recommendation.changed:
            words.append("change")
        else:
            words.append("held" if held_back(recommendation) else "right")
    return [*words, *("skipped" for _ in report.skipped)]
