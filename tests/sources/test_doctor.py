"""The doctor says what is there, what is missing, and what to do; it never raises."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pandas as pd
import pytest

from analyzer.check import Check
from analyzer.sources import (
    PrometheusSettings,
    PrometheusSource,
    import_frame,
    open_source,
    save_recording,
)
from tests.samples import steady
from tests.sources.conftest import ROOT
from tests.sources.smallcluster import END
from tests.sources.weather import Answer, Fault, Weather, proxy, refuse, rewrite


def examine(url: str, **settings: object) -> dict[str, Check]:
    source = PrometheusSource(url, PrometheusSettings(**settings))  # type: ignore[arg-type]
    return {finding.check: finding for finding in source.examine(END)}


def without(metric: str) -> Fault:
    """A server that has never heard of `metric`."""

    def fault(answer: Answer) -> Answer:
        answer.body = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
        return answer

    fault.__name__ = metric
    return fault


class Lacking(Weather):
    """Every question about one metric has an empty answer."""

    def applies(self, path: str, body: bytes) -> bool:
        return self.fault.__name__.encode() in body and path.endswith("/query")


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
    with proxy(small_server, Lacking(without(metric))) as url:
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
    sample = open_source(f"recording:{ROOT / 'sample-data' / 'recording'}").examine()
    assert {f.status for f in sample} == {"ok"}
    nothing = open_source(f"recording:{tmp_path / 'nothing'}").examine()
    assert [f.status for f in nothing] == ["problem"]


def test_a_recording_names_what_cannot_be_believed(tmp_path: Path) -> None:
    """One finding a fault, with the number of containers and one of them by name."""
    zero = [steady(1, 0.1, 0.0, workload=name) for name in ("a", "b")]
    save_recording(import_frame(pd.concat(zero), cluster="c"), tmp_path / "r")
    found = {f.check: f for f in open_source(f"recording:{tmp_path / 'r'}").examine()}
    assert found["telemetry: memory zero"].status == "warning"
    assert found["telemetry: memory zero"].found.startswith(
        "2 containers, for example shop/Deployment/a/app: 288 of 288 memory samples read exactly 0"
    )
