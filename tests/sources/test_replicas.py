"""Two real servers that scraped one cluster and missed different hours, read as one."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyzer.errors import SourceError
from analyzer.sources import PrometheusSettings, PrometheusSource, Window
from analyzer.sources.prometheus.address import split_urls
from analyzer.usage import Recording
from tests.sources.conftest import once, program, prometheus
from tests.sources.smallcluster import END, MIB, escape
from tests.sources.weather import Weather, hang, proxy, refuse, rewrite

WINDOW = Window(END, timedelta(hours=6))
LAST = int(END.timestamp())
FIRST = LAST - 6 * 3600
KILLED = FIRST + 5400
"""When app was killed for its memory, in the hour that the first server was away."""
AWAY = {"a": (FIRST + 3600, FIRST + 7200), "b": (FIRST + 10800, FIRST + 14400)}
LATE = {"a": 0, "b": 17}
"""Replicas scrape at seconds of their own."""
QUICK = PrometheusSettings(backoff=timedelta(milliseconds=1), attempts=2)
Value = Callable[[int], float]


def openmetrics(replica: str) -> str:
    """What `replica` scraped every minute but for the hour it was away."""
    low, high = AWAY[replica]
    times = [t + LATE[replica] for t in range(FIRST, LAST, 60) if not low <= t < high]
    of_app = {"namespace": "n", "pod": "app-0", "container": "app"}
    cgroup = {"job": "kubelet", "metrics_path": "/metrics/cadvisor", "image": "i"} | of_app
    state = {"job": "ksm", "instance": replica} | of_app
    owner = {k: v for k, v in state.items() if k != "container"}
    owner |= {"owner_kind": "StatefulSet", "owner_name": "app"}
    reason = {"reason": "OOMKilled"}
    limit = {"resource": "memory", "unit": "byte"}
    lines: list[str] = []

    def series(metric: str, labels: dict[str, str], value: Value, since: int = 0) -> None:
        inner = ",".join(f'{name}="{escape(text)}"' for name, text in labels.items())
        lines.extend(f"{metric}{{{inner}}} {value(t):.3f} {t}" for t in times if t >= since)

    series("container_cpu_usage_seconds_total", cgroup, lambda t: (t - FIRST) * 0.25)
    series("container_memory_working_set_bytes", cgroup, lambda _: 100 * MIB)
    series("kube_pod_owner", owner, lambda _: 1)
    node = {"job": "ksm", "instance": replica, "node": "one"}
    series("kube_node_status_allocatable", node | {"resource": "cpu"}, lambda _: 8)
    series("kube_node_status_allocatable", node | {"resource": "nvidia_com_gpu"}, lambda _: 1)
    series("kube_pod_container_resource_limits", state | limit, lambda _: 128 * MIB)
    series("kube_pod_container_status_restarts_total", state, lambda t: float(t >= KILLED))
    last = "kube_pod_container_status_last_terminated_reason"
    series(last, state | reason, lambda _: 1, since=KILLED)
    return "\n".join(lines) + "\n# EOF\n"


@pytest.fixture(scope="module")
def servers(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The two, each with its own gap."""
    promtool = program("promtool")
    with contextlib.ExitStack() as stack:
        urls = []
        for replica in AWAY:

            def build(folder: Path, replica: str = replica) -> None:
                folder.mkdir()
                text = folder.with_suffix(".om")
                text.write_text(openmetrics(replica))
                command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
                subprocess.run([*command, str(text), str(folder)], check=True, capture_output=True)

            blocks = once(shared, f"replica-{replica}", build)
            folder = tmp_path_factory.mktemp(replica)
            urls.append(stack.enter_context(prometheus(blocks, folder)))
        yield urls[0], urls[1]


def read(*urls: str, settings: PrometheusSettings = QUICK) -> Recording:
    return PrometheusSource(",".join(urls), settings).read(WINDOW)


def observed(recording: Recording) -> int:
    return int((~np.isnan(recording.usage.cpu_cores)).sum())


def test_each_alone_misses_an_hour(servers: tuple[str, str]) -> None:
    """The law that the next test is about would hold of one server, were there no gaps."""
    for url in servers:
        assert observed(read(url)) <= 72 - 11


def test_together_they_miss_nothing_and_nothing_doubles(servers: tuple[str, str]) -> None:
    """Every step is observed, steady usage stays steady, and there is one pod of one container."""
    for urls in (servers, servers[::-1]):
        got = read(*urls)
        assert [str(ref) for ref in got.usage.containers] == ["n/StatefulSet/app/app"]
        assert got.usage.pods == ("app-0",)
        assert observed(got) >= 71  # the first step has no rate yet
        np.testing.assert_allclose(got.usage.cpu_cores[1:], 0.25, rtol=1e-3)
        assert set(got.usage.memory_bytes) == {100 * MIB}
        assert got.meta.warnings == ()
        assert got.meta.step == timedelta(minutes=5)


def test_nodes_that_both_tell_of_count_once(servers: tuple[str, str]) -> None:
    """A node has as many GPUs as either server says, and not as both say together."""
    (node,) = read(*servers).meta.nodes
    assert (node["cpu_allocatable_cores"], node["gpus"]) == (8, 1)


def test_a_kill_that_one_of_them_missed_counts_once(servers: tuple[str, str]) -> None:
    """At the time of the one that was there, not when the other came back; with its limit."""
    got = read(*servers)
    for kind in ("restart", "oom_kill"):
        events = got.events[got.events["kind"] == kind]
        moment = pd.Timestamp(KILLED, unit="s", tz="UTC")
        assert len(events) == 1
        assert pd.Timedelta(0) <= events["timestamp"].item() - moment <= pd.Timedelta(minutes=1)
    assert events["value"].item() == 128 * MIB
    assert len(got.specs) == 1


@pytest.mark.parametrize(
    "weather",
    [
        Weather(refuse(503, "starting"), path="", times=10**6),
        Weather(refuse(401, "who?"), path="", times=10**6),
        Weather(refuse(500, "broken"), times=10**6),
        Weather(hang(2), path="/query", times=10**6),
        Weather(rewrite(lambda body: body[: len(body) // 2]), times=10**6),
    ],
    ids=["starting", "unauthorised", "range queries fail", "hangs", "truncated"],
)
def test_one_that_fails_is_left_out_and_named(servers: tuple[str, str], weather: Weather) -> None:
    """The other is read whole, and the result is honestly partial, whichever it is."""
    with proxy(servers[0], weather) as broken:
        settings = PrometheusSettings(
            backoff=timedelta(milliseconds=1), attempts=2, timeout=timedelta(seconds=1)
        )
        for urls in ((broken, servers[1]), (servers[1], broken)):
            got = read(*urls, settings=settings)
            assert observed(got) == observed(read(servers[1]))
            assert len(got.meta.warnings) == 1
            assert got.meta.warnings[0].startswith(f"{broken} was left out as it failed")


def test_a_query_too_big_for_one_is_asked_of_both_in_halves(servers: tuple[str, str]) -> None:
    """A limit is no failure: nothing is lost."""
    too_big = '{"status":"error","errorType":"execution","error":"too many samples"}'
    with proxy(servers[0], Weather(refuse(422, too_big), times=2)) as limited:
        got = read(limited, servers[1])
    assert observed(got) >= 71
    assert got.meta.warnings == ()


def test_when_all_fail_the_first_one_says_why() -> None:
    """No answer at all is an error, as with one server."""
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:1 cannot be reached"):
        read("http://127.0.0.1:1", "http://127.0.0.1:2")


def test_each_is_examined(servers: tuple[str, str]) -> None:
    """The doctor numbers its findings, and one that is away hides nothing of the other."""
    source = PrometheusSource(f"http://127.0.0.1:1,{servers[1]}", QUICK)
    found = {
        finding.check: finding.status for finding in source.examine(Window(END, timedelta(days=2)))
    }
    assert found["reach (1)"] == "problem"
    assert found["usage (2)"] == "ok"


def test_no_password_of_any_url_is_shown() -> None:
    """Each URL loses its own; a comma in a password is none between URLs."""
    urls = ["http://u:p,a@one:9090", "https://v:s3cret@two/prometheus"]
    assert split_urls(",".join(urls)) == split_urls(", ".join(urls)) == urls
    shown = PrometheusSource(",".join(urls)).describe()
    assert shown == "prometheus:http://one:9090,https://two/prometheus"
