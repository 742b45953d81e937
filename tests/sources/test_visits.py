"""Each pod is looked at as it begins and as it ends, and no oftener than that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.sources import PrometheusSource
from analyzer.sources.prometheus import declared
from analyzer.sources.prometheus.owners import PodName
from analyzer.sources.prometheus.visits import Life, Visits, lives_of_pods
from tests.sources.conftest import blocks, prometheus
from tests.sources.smallcluster import FIRST, LAST, Text
from tests.sources.test_prometheus import TWO_DAYS
from tests.sources.weather import Weather, proxy

MOMENTS = [10.0, 20.0, 30.0, 40.0]
A, B = ("n", "a"), ("n", "b")


def test_a_pod_is_due_at_its_first_and_its_last_moment() -> None:
    """A sees 20 to 40, b lives between two moments: worked out by hand."""
    visits = Visits(MOMENTS, {A: (12.0, 45.0), B: (21.0, 29.0)})
    due = []
    for index, pods in visits:
        due.append((index, pods))
        visits.met(pods)
    assert due == [(3, {A}), (1, {A})]
    assert [visits.alive(index) for index in range(4)] == [0, 1, 1, 1]


def test_who_was_not_met_is_asked_for_at_the_moment_before() -> None:
    """Where the exporter was away at the end, the newest word before it counts."""
    visits = Visits(MOMENTS, {A: (10.0, 40.0)})
    asked = []
    for index, pods in visits:
        asked.append(index)
        if index <= 2:
            visits.met(pods)
    assert asked == [3, 2, 0]


@given(
    st.dictionaries(
        st.text("abc", min_size=1).map(lambda name: ("n", name)),
        st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: tuple(sorted(pair))),
    )
)
def test_nobody_is_asked_for_more_than_twice(lives: dict[PodName, Life]) -> None:
    """Whoever lives at some moment is asked for once or twice, everybody else never."""
    visits = Visits(MOMENTS, lives)
    asked: Counter[PodName] = Counter()
    for index, pods in visits:
        asked.update(pods)
        assert all(lives[pod][0] <= MOMENTS[index] <= lives[pod][1] for pod in pods)
        visits.met(pods)
    for pod, (first, last) in lives.items():
        there = sum(first <= moment <= last for moment in MOMENTS)
        assert asked[pod] == min(2, there)


def test_the_life_of_a_pod_is_that_of_all_its_containers() -> None:
    lives = {("n", "a", "x"): (3.0, 5.0), ("n", "a", "y"): (1.0, 4.0)}
    assert lives_of_pods(lives) == {A: (1.0, 5.0)}


@pytest.mark.parametrize("share", [0, 1])
def test_names_or_no_names_tell_the_same(
    small_server: str, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    """Whether pods are asked for by name is a matter of cost alone."""
    expected = PrometheusSource(small_server).read(TWO_DAYS)
    monkeypatch.setattr(declared, "_MOST_NAMED", share)
    got = PrometheusSource(small_server).read(TWO_DAYS)
    pd.testing.assert_frame_equal(got.specs, expected.specs)
    pd.testing.assert_frame_equal(got.pods, expected.pods)
    pd.testing.assert_frame_equal(got.events, expected.events)


def test_no_question_that_few_fulfil_spans_days(small_server: str) -> None:
    """Settings, restarts and evictions of two days are asked for at each end of a day alone."""
    sky = Weather(lambda answer: answer, times=0)
    with proxy(small_server, sky) as url:
        PrometheusSource(url).read(TWO_DAYS)
    forms = [body.decode() for body in sky.bodies if b"step=86400" in body]
    single = ("container_info", "restarts_total", "oom_events", "Evicted")
    told = [form for form in forms if any(name in form for name in single)]
    lone = [form for form in told if "pod%3D" not in form]
    assert len(lone) >= 2 * len(single)
    for form in lone:
        assert form.partition("start=")[2].split("&")[0] == form.partition("end=")[2].split("&")[0]


RESIZED = FIRST + 30 * 3600
"""In the second of the two days."""


def resized() -> str:
    """One pod whose CPU request was doubled in place, without a restart."""
    out = Text(1)
    name = {"namespace": "shop", "pod": "grow-0", "container": "grow"}
    usage = name | {"job": "kubelet", "id": "/one", "image": "grow:1"}
    out.series("container_cpu_usage_seconds_total", usage, lambda time: (time - FIRST) * 0.1)
    out.series("container_memory_working_set_bytes", usage, lambda _: 1e6)
    state = name | {"job": "kube-state-metrics", "uid": "u1"}
    owner = {"owner_kind": "StatefulSet", "owner_name": "grow"}
    out.series("kube_pod_owner", state | owner, lambda _: 1)
    out.series("kube_pod_container_info", state | {"image_spec": "grow:1"}, lambda _: 1)
    cpu = state | {"resource": "cpu", "unit": "core"}
    out.series(
        "kube_pod_container_resource_requests", cpu, lambda time: 0.5 if time <= RESIZED else 1
    )
    return "\n".join(out.lines) + "\n# EOF\n"


@pytest.fixture(scope="module")
def resized_server(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus(blocks(shared, "resized", resized), tmp_path_factory.mktemp("resized")) as url:
        yield url


def test_what_changed_between_two_looks_is_dated_to_the_step(resized_server: str) -> None:
    """Two looks differ, so every step between them is looked at."""
    specs = PrometheusSource(resized_server).read(TWO_DAYS).specs
    assert list(specs["cpu_request_cores"]) == [0.5, 1.0]
    changed = datetime.fromtimestamp(RESIZED + 300, UTC)
    assert list(specs["first_seen"])[1].to_pydatetime() == changed
    assert list(specs["last_seen"])[1].to_pydatetime() == datetime.fromtimestamp(LAST, UTC)
