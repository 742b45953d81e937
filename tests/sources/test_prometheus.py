"""What comes out of a real Prometheus is what went in."""

from __future__ import annotations

import json
from datetime import timedelta
from operator import itemgetter
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest

from analyzer.errors import SourceError, UsageError
from analyzer.evidence import observe
from analyzer.history import build_histories
from analyzer.sources import (
    PrometheusSettings,
    PrometheusSource,
    Window,
    load_recording,
    open_source,
    save_recording,
)
from analyzer.tables import NAMES
from analyzer.usage import Recording
from tests.sample_server import SLICE
from tests.sources.conftest import ROOT
from tests.sources.smallcluster import END, MIB, ODD_IMAGE
from tests.sources.weather import Weather, proxy, rewrite

TWO_DAYS = Window(END, timedelta(days=2))


@pytest.fixture(scope="module")
def small(small_server: str) -> Recording:
    return PrometheusSource(small_server).read(TWO_DAYS)


def samples(recording: Recording, workload: str, pod: str | None = None) -> pd.DataFrame:
    frame = recording.usage.to_frame()
    chosen = frame["workload"] == workload
    return frame[chosen & (frame["pod"] == pod)] if pod else frame[chosen]


def spec(recording: Recording, workload: str, container: str) -> pd.DataFrame:
    specs = recording.specs
    return specs[(specs["workload"] == workload) & (specs["container"] == container)]


def test_every_container_is_found_under_its_workload(small: Recording) -> None:
    """Owner series alone tell the workload: Deployment, Rollout, CronJob, operator, bare pod."""
    assert [str(ref) for ref in small.usage.containers] == [
        "shop/Cluster/pg/postgres",
        "shop/CronJob/backup/backup",
        "shop/Deployment/web/proxy",
        "shop/Deployment/web/web",
        "shop/Pod/toolbox/a.b",
        "shop/Rollout/roll/roll",
        "shop/StatefulSet/db/db",
        "shop/StatefulSet/ha/ha",
    ]


def test_a_whole_and_sound_read_has_no_warnings(small: Recording) -> None:
    """Partial is said of partial data only."""
    assert small.meta.warnings == ()


def test_values_are_those_that_were_scraped(small: Recording) -> None:
    """CPU is the mean rate and memory the maximum of each step, for each pod in its life."""
    first = samples(small, "web", "web-1-aaaaa")
    second = samples(small, "web", "web-2-bbbbb")
    second = second[second["container"] == "web"]
    np.testing.assert_allclose(first["cpu_cores"], 0.1, rtol=1e-5)
    np.testing.assert_allclose(second["cpu_cores"], 0.2, rtol=1e-5)
    assert set(first["memory_bytes"]) == {100 * MIB}
    assert set(second["memory_bytes"]) == {150 * MIB}
    assert len(first) in (288, 289)  # one day; in backfilled data a series lingers one lookback
    assert second["timestamp"].max() == pd.Timestamp(END)


def test_a_restart_in_place_neither_doubles_nor_resets(small: Recording) -> None:
    """Two cgroups of one container: memory is their maximum, CPU never their wild sum."""
    db = samples(small, "db")
    assert db["cpu_cores"].max() < 0.6
    assert db["memory_bytes"].max() == 500 * MIB
    assert db["memory_bytes"].iloc[-1] == 300 * MIB


def test_the_halves_of_an_ha_pair_fill_each_others_gaps(small: Recording) -> None:
    """Each replica missed an hour; together they missed nothing, and nothing counts twice."""
    pair = samples(small, "ha")
    assert len(pair) == 2 * 288
    np.testing.assert_allclose(pair["cpu_cores"].dropna(), 0.25, rtol=1e-5)
    assert pair["cpu_cores"].notna().all()


def test_settings_are_periods_with_their_images(small: Recording) -> None:
    """A rollout that changes image and request begins a new period, and is an event."""
    web = spec(small, "web", "web")
    assert list(web["image"]) == ["web:1", "web:2"]
    assert list(web["cpu_request_cores"]) == [0.5, 0.25]
    changes = small.events[small.events["kind"] == "image_change"]
    assert list(changes["pod"]) == ["web-2-bbbbb"]
    db = spec(small, "db", "db").iloc[0]
    assert (db["memory_request_bytes"], db["memory_limit_bytes"]) == (256 * MIB, 512 * MIB)


def test_short_lived_pods_keep_their_settings(small: Recording) -> None:
    """A Job that ran half an hour between two daily looks is asked for by name."""
    assert spec(small, "backup", "backup").iloc[0]["memory_request_bytes"] == 64 * MIB


def test_native_sidecars_and_init_containers_are_told_apart(small: Recording) -> None:
    """restart_policy=Always makes an init container a sidecar."""
    assert spec(small, "web", "proxy").iloc[0]["container_type"] == "sidecar"
    assert spec(small, "web", "migrate").iloc[0]["container_type"] == "init"


def test_strange_label_values_survive(small: Recording) -> None:
    """Quotes, backslashes, line breaks and umlauts come out as they went in."""
    assert spec(small, "toolbox", "a.b").iloc[0]["image"] == ODD_IMAGE


def test_replicas_hpa_labels_and_nodes_are_known(small: Recording) -> None:
    """Facts beside usage are those of the end of the window."""
    web = spec(small, "web", "web").iloc[-1]
    assert web["replicas"] == 3
    assert orjson.loads(web["labels"]) == {"app": "web-2"}
    assert orjson.loads(web["hpa"]) == {
        "name": "web",
        "min": 2,
        "max": 5,
        "metrics": [{"resource": "cpu", "type": "Utilization", "value": 80.0}],
    }
    assert web["vpa"] == "Off"
    assert small.meta.nodes == (
        {
            "name": "n1",
            "cpu_allocatable_cores": 4.0,
            "memory_allocatable_bytes": 8 * 2**30,
            "gpus": 1,
            "allocatable": {"nvidia_com_gpu": 1.0},
            "labels": {"karpenter_sh_nodepool": "general"},
            "roles": ["etcd", "worker"],
            "taints": ["dedicated=db:NoSchedule"],
        },
    )


def test_what_pods_ask_of_nodes_is_known(small: Recording, tmp_path: Path) -> None:
    """Selector, tolerations and GPUs by pod; a pod whose own there are none of bears nothing.

    All of it comes back from disk.
    """
    save_recording(small, tmp_path / "kept")
    for recording in (small, load_recording(tmp_path / "kept")):
        pods = {row["pod"]: row for row in recording.pods.to_dict("records")}
        db = pods["db-0"]
        assert (db["node"], db["priority_class"]) == ("n1", "vital")
        assert orjson.loads(db["node_selector"]) == {"disk": "ssd"}
        borne = {"key": "dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"}
        assert orjson.loads(db["tolerations"]) == [borne]
        assert orjson.loads(db["other_requests"]) == {"nvidia_com_gpu": 1.0}
        web = pods["web-2-bbbbb"]
        assert orjson.loads(web["tolerations"]) == []
        assert orjson.loads(web["other_requests"]) == {"ephemeral_storage": 2.0**30}
        assert recording.meta.nodes == small.meta.nodes
        (budget,) = recording.meta.budgets
        assert (budget["name"], budget["allowed"], budget["wanted"]) == ("db", 0, 1)


def test_a_node_that_is_gone_is_known_with_its_life(small: Recording, tmp_path: Path) -> None:
    """The node spot was there for the first of two days, by hourly looks; n1 was made before."""
    save_recording(small, tmp_path / "kept")
    for recording in (small, load_recording(tmp_path / "kept")):
        (gone,) = recording.meta.past_nodes
        assert (gone["name"], gone["cpu_allocatable_cores"]) == ("spot", 2.0)
        assert gone["memory_allocatable_bytes"] == 2**32
        assert gone["labels"] == {"karpenter_sh_nodepool": "spot"}
        assert pd.Timestamp(gone["last_seen"]) == pd.Timestamp(END) - pd.Timedelta(days=1)
        since = pd.Timestamp(END) - pd.Timedelta(days=2)
        assert pd.Timestamp(gone["first_seen"]) - since <= pd.Timedelta(hours=1)
        assert "first_seen" not in recording.meta.nodes[0]


def test_overhead_of_a_runtime_is_not_taken_for_declared(small: Recording) -> None:
    """The scheduler's sum of roll is all overhead, that of ha a core and 512Mi more.

    pg has a RuntimeClass whose overhead nobody tells: its sum is no declaration either.
    """
    pods = small.pods.set_index("pod")
    assert pods.loc["roll-abc-ddddd", "overhead_cpu_cores"] == 0.25
    assert pods.loc["roll-abc-ddddd", "overhead_memory_bytes"] == 128 * MIB
    of = [spec(small, name, c).iloc[0] for name, c in (("roll", "roll"), ("pg", "postgres"))]
    columns = [f"pod_{name}" for name in ("cpu_request_cores", "memory_request_bytes")]
    assert all(one[columns].isna().all() for one in of)
    ha = spec(small, "ha", "ha").iloc[0]
    assert ha[columns].to_list() == [1.0, 512 * MIB]


def test_an_oom_kill_is_a_restart_with_the_limit_it_hit(small: Recording) -> None:
    """One rise of the counter is one restart; the reason, up for hours, is no second kill."""
    db = small.events[small.events["workload"] == "db"]
    kills = db[db["kind"] == "oom_kill"]
    assert len(db[db["kind"] == "restart"]) == 1
    assert list(kills["value"]) == [512 * MIB]
    noon = pd.Timestamp(END) - pd.Timedelta(hours=12)
    assert pd.Timedelta(0) <= kills["timestamp"].iloc[0] - noon <= pd.Timedelta(minutes=1)


def test_throttled_steps_carry_their_share(small: Recording) -> None:
    """A tenth of the periods waited for ten minutes: two steps of 10 %."""
    events = small.events[small.events["kind"] == "throttled"]
    assert events["value"].max() == pytest.approx(0.1, rel=0.02)
    assert len(events) in (2, 3)


def test_hours_of_pressure_carry_their_share(small: Recording) -> None:
    """15 to 16 a quarter of the time waiting for CPU, then a tenth for memory; 1 % is no news."""
    events = small.events[small.events["kind"].str.endswith("_pressure")]
    found = events[["workload", "kind", "timestamp"]].to_numpy().tolist()
    day = pd.Timestamp(END) - pd.Timedelta(days=1)
    assert found == [
        ["db", "cpu_pressure", day + pd.Timedelta(hours=16)],
        ["db", "memory_pressure", day + pd.Timedelta(hours=17)],
    ]
    assert list(events["value"]) == pytest.approx([0.25, 0.1], rel=0.02)


def test_pressure_is_part_of_the_evidence(small: Recording, tmp_path: Path) -> None:
    """One hour of the two days that db was observed, before and after it was on disk."""
    save_recording(small, tmp_path / "kept")
    for recording in (small, load_recording(tmp_path / "kept")):
        histories = build_histories(recording)
        at = {ref.workload: index for index, ref in enumerate(histories.containers)}
        seen = observe(histories, at.values())
        assert seen[at["db"]].cpu_pressure == pytest.approx(1 / 48, rel=0.01)
        assert seen[at["db"]].memory_pressure == pytest.approx(1 / 48, rel=0.01)
        assert seen[at["pg"]].cpu_pressure == seen[at["pg"]].memory_pressure == 0


def test_pressure_that_nobody_tells_of_is_not_asked_for(small_server: str) -> None:
    """Small questions find out; a server that answers them with every name misleads nobody.

    The other one is of the parts of memory, for a container near its limit.
    """
    names = b'{"status":"success","data":["up","container_cpu_usage_seconds_total"]}'
    weather = Weather(rewrite(lambda _: names), path="/__name__/values", times=10**6)
    with proxy(small_server, weather) as url:
        got = PrometheusSource(url).read(TWO_DAYS)
    assert weather.met == 2
    assert not any(b"container_pressure" in body for body in weather.bodies)
    assert not got.events["kind"].str.endswith("_pressure").any()
    assert got.meta.warnings == ()


def test_splitting_changes_nothing(small: Recording, small_server: str) -> None:
    """Reading in pieces of 600 points gives what reading in one gives."""
    pieces = PrometheusSource(small_server, PrometheusSettings(max_points=600)).read(TWO_DAYS)
    assert pieces.usage.pods == small.usage.pods
    np.testing.assert_array_equal(pieces.usage.cpu_cores, small.usage.cpu_cores)
    np.testing.assert_array_equal(pieces.usage.memory_bytes, small.usage.memory_bytes)
    pd.testing.assert_frame_equal(pieces.specs, small.specs)
    pd.testing.assert_frame_equal(pieces.events, small.events)


def test_compression_changes_nothing(small: Recording, small_server: str) -> None:
    """Gzip is a matter of the line, not of the numbers."""
    zipped = PrometheusSource(small_server, PrometheusSettings(compression=True)).read(TWO_DAYS)
    np.testing.assert_array_equal(zipped.usage.cpu_cores, small.usage.cpu_cores)


def test_namespaces_can_be_left_out(small_server: str) -> None:
    """Where everything is excluded the sentence says which selector found nothing."""
    settings = PrometheusSettings(exclude_namespaces=("shop",))
    with pytest.raises(SourceError, match="namespaces"):
        PrometheusSource(small_server, settings).read(TWO_DAYS)


def test_a_window_without_data_names_the_newest_sample(small_server: str) -> None:
    """An empty window is an error that says where the data ends, found out in small questions."""
    window = Window(END - timedelta(days=300), timedelta(days=1))
    weather = Weather(rewrite(lambda body: body), path="/query")
    newest = r"newest sample is of (2026-11-22 23:5|2026-11-23 00:00)"
    with proxy(small_server, weather) as url, pytest.raises(SourceError, match=newest):
        PrometheusSource(url).read(window)
    assert not any(b"over_time" in body for body in weather.bodies)


def test_a_window_longer_than_the_history_is_no_error(small_server: str) -> None:
    """Asking for 30 days of 2 gives 2: what was never there is no part of the window."""
    recording = PrometheusSource(small_server).read(Window(END, timedelta(days=30)))
    assert recording.meta.steps == 2 * 288
    assert len(samples(recording, "pg")) == 2 * 288


def test_the_unreachable_is_one_sentence() -> None:
    """Nobody listens on port 1."""
    with pytest.raises(SourceError, match=r"cannot be reached: .*refused"):
        PrometheusSource("http://127.0.0.1:1").read(TWO_DAYS)


def test_passwords_in_urls_are_never_shown() -> None:
    """Neither the description nor the error holds what stands before the @."""
    source = PrometheusSource("http://user:secret@127.0.0.1:1")
    with pytest.raises(SourceError) as caught:
        source.read(TWO_DAYS)
    assert "secret" not in str(caught.value) + source.describe()


@pytest.mark.parametrize("text", ["nonsense", "prometheus:", "ftp://x", "recording:"])
def test_unknown_sources_are_refused(text: str) -> None:
    """The text before the colon must name a source."""
    with pytest.raises(UsageError, match="names no source"):
        open_source(text)


def test_a_url_without_a_host_is_refused() -> None:
    """prometheus:localhost:9090 lacks its http://."""
    with pytest.raises(UsageError, match="no URL of a Prometheus"):
        open_source("prometheus:localhost:9090").read(TWO_DAYS)


def test_the_sample_cluster_is_the_same_read_either_way(slice_server: str) -> None:
    """Prometheus and the recording give the same pods, values, settings and events."""
    window = Window(END, timedelta(days=3))
    want = open_source(f"recording:{ROOT / 'sample-data' / 'recording'}").read(window)
    settings = PrometheusSettings(cluster=want.meta.cluster)
    got = PrometheusSource(slice_server, settings).read(window)
    assert got.meta.warnings == ()
    assert {ref.workload for ref in got.usage.containers} >= SLICE - {"old-wiki"}
    left, right = (of_slice(recording.usage.to_frame()) for recording in (got, want))
    keys = [*NAMES, "pod", "timestamp"]
    assert left[keys].astype(str).equals(right[keys].astype(str))
    np.testing.assert_allclose(left["cpu_cores"], right["cpu_cores"], atol=1e-5)
    np.testing.assert_allclose(left["memory_bytes"], right["memory_bytes"], rtol=1e-6)
    columns = [*NAMES, "container_type", "replicas", "image"]
    columns += [str(c) for c in want.specs if str(c).startswith(("cpu_", "memory_"))]
    left, right = (
        of_slice(recording.specs)[columns].sort_values([*NAMES, "image"], ignore_index=True)
        for recording in (got, want)
    )
    pd.testing.assert_frame_equal(left, right, check_dtype=False)
    _same_pods_and_nodes(got, want)
    counts = [
        of_slice(recording.events).groupby(["workload", "kind"]).size().to_dict()
        for recording in (got, want)
    ]
    assert counts[0] == counts[1]
    kinds = set(of_slice(got.events)["kind"])
    assert kinds == {"oom_kill", "restart", "throttled", "image_change"}


def _same_pods_and_nodes(got: Recording, want: Recording) -> None:
    """Where pods run, what they ask of nodes and what nodes are, down to taints and GPUs."""
    assert [dict(node) for node in got.meta.nodes] == sorted(
        want.meta.nodes, key=itemgetter("name")
    )
    left, right = (of_slice(recording.pods).set_index("pod") for recording in (got, want))
    right = right.loc[left.index]
    assert len(left) > 20
    assert set(right.index[right["ended"].isna()]) == set(left.index[left["ended"].isna()])
    columns = ["namespace", "workload_kind", "workload", "node", "owner", "priority_class"]
    for column in (*columns, "ended"):
        assert left[column].astype(str).tolist() == right[column].astype(str).tolist(), column
    there = right["ended"].isna()
    assert (left["started"] == right["started"])[there].all()
    for column in ("tolerations", "other_requests"):
        found, told = (
            [json.loads(text) for text in frame.loc[there, column].dropna()]
            for frame in (left, right)
        )
        assert found == told and any(told), column


def of_slice(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the workloads that the server holds."""
    return frame[frame["workload"].isin(SLICE)].reset_index(drop=True)


def test_progress_ends_where_it_says(small_server: str) -> None:
    """Done reaches total for everything that is read."""
    heard: list[tuple[int, int, str]] = []
    PrometheusSource(small_server, progress=lambda *args: heard.append(args)).read(TWO_DAYS)
    assert heard
    assert all(done <= total for done, total, _ in heard)
    assert heard[-1][0] == heard[-1][1]


def test_the_cache_answers_for_closed_days(small_server: str, tmp_path: Path) -> None:
    """A second read gives the same, from fewer bytes of the server."""
    settings = PrometheusSettings(cache=tmp_path)
    window = Window(END + timedelta(hours=1), timedelta(days=2, hours=1))
    plain = PrometheusSource(small_server).read(window)
    sizes = []
    for _ in range(2):
        with PrometheusSource(small_server, settings).connect() as connection:
            got = PrometheusSource(small_server, settings).read_from(connection, window)
            sizes.append(connection.statistics["bytes"])
        assert got.usage.pods == plain.usage.pods
        np.testing.assert_array_equal(got.usage.cpu_cores, plain.usage.cpu_cores)
        np.testing.assert_array_equal(got.usage.memory_bytes, plain.usage.memory_bytes)
        pd.testing.assert_frame_equal(
            got.events.drop(columns="pod"), plain.events.drop(columns="pod"), check_dtype=False
        )
    assert sizes[1] < sizes[0] / 3


def test_a_cache_that_cannot_be_written_is_said_once(
    small_server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The read is whole all the same; the second day is not even tried."""
    (tmp_path / "cache").write_text("in the way")
    settings = PrometheusSettings(cache=tmp_path / "cache")
    got = PrometheusSource(small_server, settings).read(TWO_DAYS)
    assert got.meta.warnings == ()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "is not kept, reading goes on" in caplog.text
