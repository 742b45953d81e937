"""The doctor says what is there, what is missing, and what to do; it never raises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

import orjson
import pandas as pd
import pytest

from analyzer.check import Check
from analyzer.cli.formats import checklist
from analyzer.sources import (
    PrometheusSettings,
    PrometheusSource,
    Window,
    import_frame,
    open_source,
    save_recording,
)
from analyzer.sources.prometheus.examine import examine_prometheus
from analyzer.sources.prometheus.server import Server
from tests.samples import steady
from tests.sources.conftest import ROOT
from tests.sources.smallcluster import END
from tests.sources.weather import Answer, Weather, proxy, refuse, rewrite


def examine(url: str, **settings: object) -> dict[str, Check]:
    # Keywords of several types.
    source = PrometheusSource(url, PrometheusSettings(**settings))  # type: ignore[arg-type]
    return {finding.check: finding for finding in source.examine(Window(END, timedelta(days=2)))}


class Lacking(Weather):
    """A server that has never heard of `metric`."""

    def __init__(self, metric: str) -> None:
        super().__init__(nothing)
        self.metric = metric.encode()

    def applies(self, path: str, body: bytes) -> bool:
        return self.metric in body and path.endswith(("/query", "/query_range"))


def nothing(answer: Answer) -> Answer:
    kind = b"matrix" if b'"matrix"' in answer.body else b"vector"
    answer.body = b'{"status":"success","data":{"resultType":"%s","result":[]}}' % kind
    return answer


def test_a_sound_server_has_no_problem(small_server: str) -> None:
    """Everything that a run needs is found in the small cluster."""
    findings = examine(small_server)
    assert {f.check for f in findings.values() if f.status == "problem"} == set()
    assert findings["usage"].status == findings["owners"].status == "ok"
    assert "every 60 s" in findings["interval"].found
    assert "query.max-samples 50000000" in findings["limits"].found


def test_short_history_is_a_warning(small_server: str) -> None:
    """Two days are fewer than the fortnight that margins like."""
    depth = examine(small_server)["depth"]
    assert depth.status == "warning"
    assert "retention" in depth.advice


@pytest.mark.parametrize(
    ("metric", "check", "status", "advice"),
    [
        ("kube_pod_owner", "kube_pod_owner", "problem", "kube-state-metrics"),
        ("kube_pod_labels", "kube_pod_labels", "warning", "allowlist"),
        ("container_memory_working_set_bytes", "container_memory_working_set_bytes", "problem", ""),
        ("container_cpu_usage_seconds_total", "usage", "problem", ""),
    ],
)
def test_what_is_missing_is_named_with_advice(
    metric: str, check: str, status: str, advice: str, small_server: str
) -> None:
    """Each missing family has its own line."""
    with proxy(small_server, Lacking(metric)) as url:
        finding = examine(url)[check]
    assert finding.status == status
    assert advice in finding.advice


@pytest.fixture(params=[401, 403, 404, 500])
def refusing(request: pytest.FixtureRequest, small_server: str) -> Iterator[str]:
    with proxy(small_server, Weather(refuse(request.param), path="", times=10**6)) as url:
        yield url


def test_a_server_that_refuses_is_one_problem(refusing: str) -> None:
    """The first thing to fix stands alone."""
    findings = examine(refusing, backoff=timedelta(milliseconds=1))
    assert [f.status for f in findings.values()] == ["problem"]


def test_a_clock_that_is_off_is_seen(small_server: str) -> None:
    """A server an hour ahead."""

    def ahead(body: bytes) -> bytes:
        answer = orjson.loads(body)
        value = answer["data"]["result"][0]["value"]
        value[1] = str(float(value[1]) + 3600)
        return orjson.dumps(answer)

    with proxy(small_server, Weather(rewrite(ahead), path="/query", times=1)) as url:
        assert examine(url)["clock"].status == "warning"


def test_recordings_are_examined_too(tmp_path: Path) -> None:
    """A sound one, and none at all."""
    sample = open_source(f"recording:{ROOT / 'sample-data' / 'recording'}").examine(Window())
    assert {f.status for f in sample} == {"ok"}
    nothing = open_source(f"recording:{tmp_path / 'nothing'}").examine(Window())
    assert [f.status for f in nothing] == ["problem"]


def test_a_recording_names_what_cannot_be_believed(tmp_path: Path) -> None:
    """One finding for each container, by name."""
    zero = [steady(1, 0.1, 0.0, workload=name) for name in ("a", "b")]
    save_recording(import_frame(pd.concat(zero), cluster="c"), tmp_path / "r")
    checks = open_source(f"recording:{tmp_path / 'r'}").examine(Window())
    found = [f for f in checks if f.check == "telemetry: memory zero"]
    assert [f.status for f in found] == ["warning"] * 2
    assert found[0].found.startswith(
        "shop/Deployment/a/app: 288 of 288 memory samples read exactly 0"
    )


def test_a_server_is_judged_by_its_whole_window(odd_server: str) -> None:
    """What cannot be believed and what gets no amounts is told for each container."""
    checks = PrometheusSource(odd_server).examine(Window(END, timedelta(days=1)))
    (told,) = (f for f in checks if f.check == "containers")
    assert "get no amounts" in told.found
    found = [f for f in checks if f.check.startswith("telemetry: ")]
    assert [(f.check, f.found) for f in found] == [
        (
            "telemetry: memory zero",
            "nought/Deployment/nought/nought: 288 of 288 memory samples read exactly 0 "
            "bytes, which no running container uses; that counts as not observed",
        )
    ]


def test_a_metric_that_was_away_within_the_window_is_named(odd_server: str) -> None:
    """One look at the end would not have met it: nodes are told of since noon."""
    checks = PrometheusSource(odd_server).examine(Window(END, timedelta(days=1)))
    (found,) = (f for f in checks if f.check == "kube_node_status_allocatable")
    assert found.status == "warning"
    assert found.found.endswith(
        "missing at 6 of 12 looks, such as 2026-11-22 10:00 and 2026-11-22 12:00 UTC"
    )


def test_of_many_alike_the_first_are_shown() -> None:
    """Five of a kind and how many more; what to do about them once."""
    alike = [Check("gate", "warning", f"pod {k}", "mend it") for k in range(7)]
    lines = checklist([*alike, Check("clock", "ok", "right")], 100).splitlines()
    assert [line.split("   ")[-1].strip() for line in lines] == [
        *(f"pod {k}" for k in range(5)),
        "and 2 more, see -o json",
        "-> mend it",
        "right",
    ]


class Crowded(Weather):
    """A server of which every namespace holds 200,000 series."""

    def __init__(self) -> None:
        super().__init__(rewrite(lambda body: re.sub(rb'"\d+"\]', b'"200000"]', body)))

    def applies(self, path: str, body: bytes) -> bool:
        return b"count+by+%28namespace%29+" in body


@pytest.mark.parametrize(("read", "told"), [("query", True), ("remote", False)])
def test_many_samples_are_a_case_for_remote_read(
    small_server: str, read: Literal["query", "remote"], told: bool
) -> None:
    """It is spoken of where it would spare the server something, and not where it is set."""
    settings = PrometheusSettings(read=read)
    window = Window(END, timedelta(days=2))
    costs = []
    with proxy(small_server, Crowded()) as crowded:
        for url in (small_server, crowded):
            with Server(url, settings) as server:
                found = {f.check: f for f in examine_prometheus(server, settings, window)}
            costs.append("prometheus.read: remote" in found["cost"].found)
    assert costs == [False, told]
