"""Telling others of a run: real metrics stores, real HTTP, messages in which nothing acts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from pytest_httpserver import HTTPServer

from analyzer.errors import ConfigError, SourceError
from analyzer.history import Skipped
from analyzer.ledger import Outcome
from analyzer.models.demand import Step
from analyzer.notify.delivery import tell, tell_failure
from analyzer.notify.message import message_of
from analyzer.notify.settings import NotifySettings, When
from analyzer.report import Report
from analyzer.writers.metrics import write_metrics
from tests.samples import recommendation, ref, report, resources
from tests.sources.conftest import free_port, program, running

MOMENT = datetime.now(UTC).replace(microsecond=0)


def outcome(
    kills: int = 0, weeks: float = 1.0, promised: float = 0.1, came: float = 0.2
) -> Outcome:
    """A merged change of the container of the samples."""
    return Outcome(
        ref(), MOMENT - timedelta(days=7), "proposed", resources("1"), resources("100m"), weeks,
        {"memory_request": promised}, {"memory_request": came}, kills, 0.0,
    )  # fmt: skip


def one_down(**more: Any) -> Report:
    """A report with one change, from one core to a tenth."""
    made = report(recommendation(resources("1"), resources("100m")))
    return replace(made, created=MOMENT, **more)


def samples(of: Report) -> dict[tuple[str, ...], float]:
    """The metrics of a report: name and label values, without the cluster's, to the value."""
    families = text_string_to_metric_families(write_metrics(of)["metrics.prom"].decode())
    found = [sample for family in families for sample in family.samples]
    assert {sample.labels["cluster"] for sample in found} == {"lab"}
    return {
        (s.name.removeprefix("rightsize_"), *(v for k, v in s.labels.items() if k != "cluster")): (
            s.value
        )
        for s in found
    }


def test_metrics_say_what_became_of_the_containers_and_the_requests() -> None:
    """One container of one pod goes from a core to 100m; nothing was skipped or partial."""
    found = samples(one_down())
    assert found["containers", "change"] == 1
    assert found["containers", "skipped"] == 0
    assert found["cpu_requests_cores", "declared"] == 1
    assert found["cpu_requests_cores", "proposed"] == 0.1
    assert found["partial_reads",] == 0
    assert found["last_success_timestamp_seconds",] == MOMENT.timestamp()


def test_each_container_is_counted_once_by_what_is_said_of_it() -> None:
    """One to change, one left alone for its autoscaler, one right as it is, one skipped."""
    same = recommendation(resources("1"), resources("1"), of=ref(workload="right"))
    alone = replace(same, ref=ref(workload="held"))
    step = Step("hands off", "1", "1", "a HorizontalPodAutoscaler scales on it")
    held = replace(alone, trail={**alone.trail, "cpu_request": (step,)})
    changed = recommendation(resources("1"), resources("100m"))
    skipped = (Skipped(ref(workload="gone"), "no usage"),)
    found = samples(report(changed, same, held, skipped=skipped))
    counts = {key[1]: value for key, value in found.items() if key[0] == "containers"}
    assert counts == {"change": 1, "right": 1, "held": 1, "skipped": 1}


def test_what_was_promised_and_came_is_weighted_by_weeks() -> None:
    """One change promised 10 % for one week, another 40 % for three: 32.5 % together."""
    both = (outcome(), outcome(kills=2, weeks=3.0, promised=0.4, came=0.6))
    found = samples(one_down(outcomes=both))
    assert found["overruns_promised_ratio", "memory_request"] == pytest.approx(0.325)
    assert found["overruns_happened_ratio", "memory_request"] == pytest.approx(0.5)
    assert found["merged_changes", "killed"] == found["merged_changes", "well"] == 1


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty VictoriaMetrics."""
    url = f"http://127.0.0.1:{free_port()}"
    folder = tmp_path_factory.mktemp("pushed")
    listen = f"-httpListenAddr={url.removeprefix('http://')}"
    command = [program("victoria-metrics"), listen, f"-storageDataPath={folder}"]
    with running(
        [*command, "-loggerLevel=ERROR", "-memory.allowedBytes=100000000"], f"{url}/health"
    ):
        yield url


def exported(store: str, selector: str) -> str:
    """The one series of a store that a selector selects; waits until what was sent is to be had."""
    until = time.monotonic() + 30
    while True:
        requests.get(f"{store}/internal/force_flush", timeout=10)
        answer = requests.get(f"{store}/api/v1/export", params={"match[]": selector}, timeout=10)
        if answer.text:
            return answer.text
        assert time.monotonic() < until, f"no {selector} came to {store}"
        time.sleep(0.1)


def test_a_real_store_takes_the_metrics_that_are_pushed(victoria: str) -> None:
    """After a run the store answers with its numbers, under the job and the cluster."""
    settings = NotifySettings(
        metrics_url=f"{victoria}/api/v1/import/prometheus?extra_label=job=rightsize"
    )
    assert tell(one_down(), settings) == []
    series = json.loads(exported(victoria, 'rightsize_containers{result="change"}'))
    assert series["values"] == [1]
    assert series["metric"]["job"] == "rightsize"
    assert series["metric"]["cluster"] == "lab"


def test_a_store_that_refuses_is_named_and_the_message_goes_out_all_the_same(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    """The metrics are refused with 503, the chat gets its message."""
    httpserver.expect_request("/chat", method="POST").respond_with_data("ok")
    targets = file_of(tmp_path, f"json://{httpserver.host}:{httpserver.port}/chat")
    gateway = httpserver.url_for("/gateway")
    httpserver.expect_request("/gateway").respond_with_data("", status=503)
    (sentence,) = tell(one_down(), NotifySettings(metrics_url=gateway, targets_file=str(targets)))
    assert "503" in sentence and "notify.metrics_url" in sentence
    assert [request.path for request, _ in httpserver.log][-1] == "/chat"


def file_of(folder: Path, *addresses: str) -> Path:
    """A file with addresses, one a line, after a comment."""
    path = folder / "targets"
    path.write_text("\n".join(["# chats", "", *addresses]), encoding="utf-8")
    return path


def test_one_address_that_fails_keeps_no_other_from_its_message(
    httpserver: HTTPServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of three lines the first is no address and the second refuses; both are told by line."""
    httpserver.expect_request("/refuses").respond_with_data("", status=500)
    httpserver.expect_request("/takes").respond_with_data("ok")
    at = f"json://user:s3cret-word@{httpserver.host}:{httpserver.port}"
    targets = file_of(tmp_path, "no address s3cret-word", f"{at}/refuses", f"{at}/takes")
    failed = tell(one_down(), NotifySettings(targets_file=str(targets)))
    assert [sentence.partition(":")[0][-6:] for sentence in failed] == ["line 3", "line 4"]
    assert "s3cret-word" not in "".join(failed) + caplog.text
    sent = httpserver.log[-1][0].get_json()
    assert sent["title"] == "rightsize: lab"
    assert sent["message"].splitlines() == [
        "1 container · 1 to change (1 down)",
        "CPU requests 1 core → 100m (−90%) · memory requests stay 0 MiB",
    ]


def test_a_failed_run_is_told_with_its_reason(httpserver: HTTPServer, tmp_path: Path) -> None:
    """Also to those who want to hear of trouble alone."""
    httpserver.expect_request("/").respond_with_data("ok")
    targets = file_of(tmp_path, f"json://{httpserver.host}:{httpserver.port}/")
    settings = NotifySettings(targets_file=str(targets), when="trouble")
    assert tell_failure(SourceError("the server is down"), settings) == []
    assert httpserver.log[-1][0].get_json()["message"] == "the server is down"


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("always", {"same", "change", "harm"}),
        ("changes", {"change", "harm"}),
        ("trouble", {"harm"}),
    ],
)
def test_people_hear_of_what_they_asked_for(
    when: When, told: set[str], httpserver: HTTPServer, tmp_path: Path
) -> None:
    """A run without change, one with a change, one that found a kill after a merge."""
    httpserver.expect_request("/").respond_with_data("ok")
    targets = file_of(tmp_path, f"json://{httpserver.host}:{httpserver.port}/")
    settings = NotifySettings(targets_file=str(targets), when=when)
    same = replace(report(recommendation(resources("1"), resources("1"))), created=MOMENT)
    runs = {"same": same, "change": one_down(), "harm": replace(same, outcomes=(outcome(kills=1),))}
    heard = set()
    for name, run in runs.items():
        before = len(httpserver.log)
        assert tell(run, settings) == []
        if len(httpserver.log) > before:
            heard.add(name)
    assert heard == told


def test_a_message_holds_no_mention_and_no_tag() -> None:
    """A cluster called @everyone wakes nobody; harm comes before the tally."""
    of = replace(ref(), namespace="@here", workload="<!channel>")
    bad = replace(outcome(kills=1), ref=of)
    made = one_down(outcomes=(bad,), warnings=("the node\n@all is gone",))
    title, text = message_of(replace(made, meta=replace(made.meta, cluster="@everyone\x1b[2J")))
    assert "@" not in title + text and "<" not in text and "\x1b" not in title
    first, second, *_ = text.splitlines()
    assert first.startswith("Killed or slowed down after a merged change: ")
    assert second.startswith("Partial: the node")


@pytest.mark.parametrize(
    "address", ["gateway:9091", "ftp://gateway", "http://", "http://user:s3cret-word@gateway"]
)
def test_an_address_that_cannot_be_pushed_to_is_refused(address: str) -> None:
    """Before anything is read, and without the password that it may hold."""
    with pytest.raises(ValueError, match="metrics_url") as raised:
        NotifySettings(metrics_url=address)
    assert "s3cret-word" not in str(raised.value)


def test_a_missing_file_of_addresses_is_one_sentence(tmp_path: Path) -> None:
    """Nothing is sent, and the sentence names the setting."""
    settings = NotifySettings(targets_file=str(tmp_path / "none"))
    (sentence,) = tell(one_down(), settings)
    assert "notify.targets_file cannot be read" in sentence


def test_the_settings_file_takes_the_section(tmp_path: Path) -> None:
    """By name, with the line of what is wrong."""
    from analyzer.config import load_config

    file = tmp_path / "rightsize.yaml"
    file.write_text("notify:\n  when: changes\n  metrics_url: http://gateway:9091\n")
    assert load_config(file).config.notify.when == "changes"
    file.write_text("notify:\n  metrics_url: gateway\n")
    with pytest.raises(ConfigError, match="metrics_url must be an http"):
        load_config(file)
