"""The same cluster tells the same, whatever an installation does to the labels of its series."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analyzer.shard import Shard
from analyzer.sources import PrometheusSettings, PrometheusSource
from analyzer.usage import Recording
from tests.sources import smallcluster
from tests.sources.conftest import blocks, prometheus
from tests.sources.test_prometheus import TWO_DAYS

Rewrite = Callable[[str], str]
Serve = Callable[[Rewrite, str], AbstractContextManager[str]]
_TARGET = 'namespace="monitoring",pod="ksm-0",container="ksm"'


def without(*names: str) -> Callable[[str], str]:
    """CAdvisor's series without some labels, as a labeldrop leaves them."""
    label = re.compile(rf'(?<=[{{,])(?:{"|".join(names)})="(?:[^"\\]|\\.)*",?')
    return lambda line: label.sub("", line) if line.startswith("container_") else line


def moved(line: str) -> str:
    """kube-state-metrics scraped without honorLabels: its own labels lose to the target's."""
    if not line.startswith("kube_"):
        return line
    line = re.sub(r'(?<=[{,])(namespace|pod|container)="', r'exported_\1="', line)
    return line.replace("{", f"{{{_TARGET},", 1)


def agent(line: str) -> str:
    """As Grafana's agents write it: other jobs, a cluster, no path."""
    line = line.replace('metrics_path="/metrics/cadvisor",', 'cluster="prod",')
    line = line.replace('job="kubelet"', 'job="integrations/kubernetes/cadvisor"')
    state = 'job="integrations/kubernetes/kube-state-metrics",cluster="prod"'
    return line.replace('job="kube-state-metrics"', state)


def collector(line: str) -> str:
    """Through an OpenTelemetry collector: more labels, and both exporters under their pods."""
    scope = 'otel_scope_name="receiver",k8s_cluster_name="c",server_address="10.0.0.1"'
    return line.replace("{", f"{{{scope},", 1) if "{" in line else line


@pytest.fixture(scope="module")
def relabelled(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Serves the small cluster with each line of its series rewritten."""

    def serve(rewrite: Rewrite, name: str) -> AbstractContextManager[str]:
        def text() -> str:
            return "\n".join(map(rewrite, smallcluster.openmetrics().split("\n")))

        return prometheus(blocks(shared, name, text), tmp_path_factory.mktemp(name))

    return serve


@pytest.fixture(scope="module")
def plain(small_server: str) -> Recording:
    return PrometheusSource(small_server).read(TWO_DAYS)


def assert_same(got: Recording, expected: Recording) -> None:
    """Equal in everything that recommendations rest on."""
    pd.testing.assert_frame_equal(got.usage.to_frame(), expected.usage.to_frame())
    pd.testing.assert_frame_equal(got.specs, expected.specs)
    pd.testing.assert_frame_equal(got.events, expected.events)
    pd.testing.assert_frame_equal(got.pods, expected.pods)
    assert got.meta.warnings == expected.meta.warnings


@pytest.mark.parametrize(
    ("name", "rewrite"),
    [
        ("moved", moved),
        ("imageless", without("image")),
        ("nameless", without("name")),
        ("agent", agent),
        ("collector", collector),
    ],
)
def test_other_labels_tell_the_same(
    plain: Recording,
    relabelled: Serve,
    name: str,
    rewrite: Rewrite,
) -> None:
    """Labels that do not name the container are nobody's business."""
    with relabelled(rewrite, name) as url:
        assert_same(PrometheusSource(url).read(TWO_DAYS), plain)


def test_namespaces_and_shards_are_found_where_labels_moved(
    plain: Recording, relabelled: Serve
) -> None:
    """The namespace that is asked for is that of the pods, not that of kube-state-metrics."""
    with relabelled(moved, "moved-again") as url:
        settings = PrometheusSettings(namespaces=("shop",))
        assert_same(PrometheusSource(url, settings).read(TWO_DAYS), plain)
        parts = [
            PrometheusSource(url).read(replace(TWO_DAYS, shard=Shard(index, 2))) for index in (0, 1)
        ]
    (part,) = [part for part in parts if len(part.specs)]
    pd.testing.assert_frame_equal(part.specs, plain.specs)
    pd.testing.assert_frame_equal(part.events, plain.events)


def test_without_ids_only_the_cgroups_are_not_told_apart(
    plain: Recording, relabelled: Serve
) -> None:
    """A restart in place is known by its counter, and settings and kills stay known."""
    with relabelled(without("id", "name"), "idless") as url:
        got = PrometheusSource(url).read(TWO_DAYS)
    pd.testing.assert_frame_equal(got.specs, plain.specs)
    pd.testing.assert_frame_equal(got.events, plain.events)
    pd.testing.assert_frame_equal(got.pods, plain.pods)
