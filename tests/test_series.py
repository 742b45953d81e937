"""Series: runs under generated names are one workload, and other workloads keep their names."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from analyzer.history import Histories, build_histories
from analyzer.pipeline.review import analyze
from analyzer.series import stem, unite
from analyzer.tables import validate_pods, validate_specs
from analyzer.usage import Recording, Usage
from tests.samples import MIB, START, meta, names, ref, steady

WINDOW = meta(21)


def run(
    workload: str, day: int, kind: str = "Job", labels: Any = None, image: str | None = "r/i:1"
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Forty minutes of one run, and how it was described."""
    of = {**names(workload=workload), "workload_kind": kind}
    begin = START + timedelta(days=day)
    table = steady(40 / 1440, 0.5, (100.0 + day) * MIB).assign(**of, pod=f"{workload}-xyzab")
    table["timestamp"] += pd.Timedelta(days=day)
    text = None if labels is None else json.dumps(labels)
    seen = {"first_seen": begin, "last_seen": begin + timedelta(hours=1)}
    return table, {**of, "labels": text, "image": image, "memory_request_bytes": 2.0**28, **seen}


def recorded(*runs: tuple[pd.DataFrame, dict[str, Any]]) -> Recording:
    """A recording of runs and of one Deployment that is always there."""
    always = steady(21)
    spec = {**names(), "first_seen": START, "last_seen": WINDOW.end}
    usage = Usage.from_frame(pd.concat([always, *(table for table, _ in runs)]), WINDOW)
    specs = validate_specs(pd.DataFrame([spec, *(row for _, row in runs)]))
    return Recording(WINDOW, usage, specs)


def workloads(of: Histories) -> list[str]:
    """What there is beside the Deployment."""
    return [one.workload for one in of.containers if one.kind != "Deployment"]


def test_jobs_with_counted_names_are_one_series() -> None:
    """Six runs of eight samples each are sized from all 48, and the report says of what."""
    runs = [run(f"report-{1000 + k}", 3 * k) for k in range(6)]
    report = analyze(recorded(*runs))
    (found,) = [r for r in report.recommendations if r.ref.kind == "Job"]
    assert found.ref == ref(workload="report", kind="Job")
    assert (found.evidence.samples, found.evidence.pods) == (48, 6)
    assert found.evidence.memory.max == 115 * MIB
    assert "6 runs of one series, from report-1000 to report-1005" in found.notes
    assert not [s for s in report.skipped if s.ref.kind == "Job"]


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("report-1000", "report"),
        ("0e4b1f6a-9c3d-4b7e-8a21-5d6f7a8b9c0d", ""),
        ("report-20260105", "report"),
        ("nightly-29471520", "nightly"),
        ("hello-world-x7k2j", "hello-world"),
        ("migrate-v12", "migrate"),
        ("spark-pi-6f1c2ab94d0e-exec-3", "spark-pi-exec"),
        ("runner-ab12cd34-project-4711-concurrent-0-gdr4x", "runner-project-concurrent"),
        ("build-0b1c9ab2-7d3e-4e5f-8a9b-0123456789ab", "build"),
        ("build-0b1c9ab2-7d3e-4e5f-8a9b-0123456789ab-main", "build-main"),
        ("report", ""),
        ("postgres-backup", ""),
        ("smoke-tests", ""),
        ("12345", ""),
    ],
)
def test_a_stem_is_what_was_not_generated(name: str, series: str) -> None:
    """Words stay; counters, dates, digests and the endings of Kubernetes go."""
    assert stem(name, counted=True) == series


def test_short_numbers_are_names_where_no_image_speaks() -> None:
    """``backup-2`` may be the second of two backups."""
    assert stem("backup-2", counted=False) == ""
    assert stem("backup-2024", counted=False) == "backup"


@pytest.mark.parametrize(
    ("labels", "series"),
    [
        ({"workflows.argoproj.io/cron-workflow": "nightly"}, "nightly"),
        ({"dag_id": "sales", "task_id": "load"}, "sales-load"),
        ({"tekton_dev_pipeline": "ci", "tekton_dev_pipelineTask": "test"}, "ci-test"),
        ({"spark-app-name": "pi", "spark-role": "executor"}, "pi-executor"),
    ],
)
def test_a_makers_label_names_the_series(labels: dict[str, str], series: str) -> None:
    """However the runs are called, and as kube-state-metrics spells labels too."""
    runs = [run(name, day, "Pod", labels) for name, day in (("first", 1), ("other", 2))]
    assert workloads(build_histories(recorded(*runs))) == [series]


def test_a_stranger_controller_s_runs_are_a_series() -> None:
    """A Workflow owns its pods without a Job between; a day of rest is not its end."""
    of = build_histories(recorded(*(run(f"etl-{10**9 + k}", k, "Workflow") for k in (1, 5))))
    assert workloads(of) == ["etl"]
    assert of.gone == {}


@pytest.mark.parametrize(
    "runs",
    [
        [run("report-1000", 1)],
        [run("report-1000", 1), run("report-1001", 2, image="r/other:1")],
        [run("web-7d4f9", 1, "Deployment"), run("web-7d4f8", 2, "Deployment")],
        [run("a", 1), run("b", 2)],
    ],
    ids=["one run", "two images", "no runs", "two names"],
)
def test_others_keep_their_names(runs: list[tuple[pd.DataFrame, dict[str, Any]]]) -> None:
    """One run, another image, or a kind that does not run now and then: nothing moves."""
    of = recorded(*runs)
    assert unite(of)[0] is of


def test_every_table_follows() -> None:
    """Specs and pods are those of the series; the newest settings hold."""
    runs = [run(f"report-{1000 + k}", k) for k in range(3)]
    of = recorded(*runs)
    rows = [
        {"namespace": "shop", "pod": f"report-{1000 + k}-xyzab", "workload_kind": "Job",
         "workload": f"report-{1000 + k}"}
        for k in range(3)
    ]  # fmt: skip
    united, series = unite(replace(of, pods=validate_pods(pd.DataFrame(rows))))
    assert set(united.specs["workload"]) == {"web", "report"}
    assert set(united.pods["workload"]) == {"report"}
    assert series == {ref(workload="report", kind="Job"): tuple(r["workload"] for r in rows)}
    histories = build_histories(united)
    spec = histories.spec(histories.position[ref(workload="report", kind="Job")])
    assert spec.first_seen == START + timedelta(days=2)
