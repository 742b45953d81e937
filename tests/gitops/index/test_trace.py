"""From live containers to their places, never to a wrong one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from analyzer.gitops.index.repository_index import RepositoryIndex, index_repository
from analyzer.gitops.index.trace import LiveContainer, Trace, trace, trace_one
from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef
from tests.gitops.conftest import Plant

LABELS = {
    "app_kubernetes_io_instance": "sonarr",
    "app_kubernetes_io_component": "sonarr",
    "helm_toolkit_fluxcd_io_name": "sonarr",
    "helm_toolkit_fluxcd_io_namespace": "media",
}


def live(container: str = "app", workload: str = "sonarr", **labels: str) -> LiveContainer:
    return LiveContainer(ContainerRef("home", "media", "Deployment", workload, container), labels)


@pytest.fixture
def index(plant: Plant, flux: dict[str, str]) -> RepositoryIndex:
    return index_repository(plant(flux))


def test_a_container_is_found_with_and_without_labels(index: RepositoryIndex) -> None:
    """Static rules suffice; labels confirm and are named in the reason."""
    bare, labelled = trace([live(), live(**LABELS)], index)
    assert bare.place == labelled.place
    assert bare.place is not None and bare.place.path.endswith("containers.app.resources")
    assert "HelmRelease sonarr" in labelled.reason


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("app_kubernetes_io_instance", "other"),
        ("app_kubernetes_io_component", "other"),
        ("helm_toolkit_fluxcd_io_name", "other"),
        ("kustomize_toolkit_fluxcd_io_name", "other"),
    ],
)
def test_a_label_that_disagrees_outweighs_a_name_that_fits(
    index: RepositoryIndex, label: str, value: str
) -> None:
    """A name alone never overrules what a label says of the release."""
    found = trace_one(live(**{**LABELS, label: value}), index)
    assert found.place is None
    assert "other" in found.reason


def test_a_name_left_open_needs_a_label(plant: Plant, flux: dict[str, str]) -> None:
    """Where a template decides the workload's name, only the release's label vouches for it."""
    name = "kubernetes/apps/media/sonarr/app/helmrelease.yaml"
    flux[name] = flux[name].replace(
        "              sonarr:\n",
        '              sonarr:\n                nameOverride: "{{ .Values.x }}"\n',
        1,
    )
    index = index_repository(plant(flux))
    assert trace_one(live(workload="sonarr-any"), index).place is None
    assert trace_one(live(workload="sonarr-any", **LABELS), index).confidence == "likely"


def test_dead_declarations_are_no_places(index: RepositoryIndex) -> None:
    """A container whose only declaration nothing reaches gets the reason, not the place."""
    found = trace_one(live(workload="radarr"), index)
    assert found.place is None
    assert "nothing reaches it" in found.reason


def test_what_nothing_declares_is_said_so(index: RepositoryIndex) -> None:
    """Untraced is a result with a reason."""
    found = trace_one(live(workload="stray"), index)
    assert (found.place, found.confidence) == (None, None)
    assert "nothing in the repository" in found.reason


def test_two_fitting_places_are_one_too_many(plant: Plant, flux: dict[str, str]) -> None:
    """Where the same release is declared twice, neither is chosen."""
    text = flux["kubernetes/apps/media/sonarr/app/helmrelease.yaml"]
    flux["kubernetes/apps/media/sonarr/app/second.yaml"] = text
    name = "kubernetes/apps/media/sonarr/app/kustomization.yaml"
    flux[name] = flux[name].rstrip() + "\n          - ./second.yaml\n"
    found = trace_one(live(), index_repository(plant(flux)))
    assert found.place is None
    assert "2 places fit" in found.reason


def test_an_app_container_is_not_an_init_container(index: RepositoryIndex) -> None:
    """Same name, other type: another container."""
    container = LiveContainer(live().ref, {}, "init")
    assert trace_one(container, index).place is None


def test_an_unknown_chart_gives_a_hint_at_most(plant: Plant, flux: dict[str, str]) -> None:
    """A block that states what runs now is shown as unproven, which is never edited."""
    name = "kubernetes/apps/media/sonarr/app/helmrelease.yaml"
    flux[name] = """
        apiVersion: helm.toolkit.fluxcd.io/v2
        kind: HelmRelease
        metadata: {name: sonarr}
        spec:
          chart: {spec: {chart: homemade, version: 1.0.0}}
          values: {server: {resources: {limits: {memory: 2Gi}}}}
        """
    index = index_repository(plant(flux))
    amount = Memory.parse("2Gi")
    current = Resources(memory_request=amount, memory_limit=amount)
    found = trace_one(LiveContainer(live().ref, LABELS, "app", current), index)
    assert found.confidence == "unproven"
    assert found.place is not None and found.place.path == "spec.values.server.resources"


def test_the_sample_repository_is_traced_without_a_wrong_place(repository: Path) -> None:
    """Every declared container of the sample leads to its true place; the rest to none."""
    sample = repository / "sample-data"
    truth = list(csv.DictReader((sample / "places.csv").open()))
    specs = pd.read_parquet(sample / "recording" / "specs.parquet")
    known = {(s.namespace, s.workload_kind, s.workload, s.container): s for s in specs.itertuples()}
    containers = []
    for row in truth:
        key = (row["namespace"], row["workload_kind"], row["workload"], row["container"])
        spec = known[key]
        labels = json.loads(spec.labels) if isinstance(spec.labels, str) else {}
        containers.append(
            LiveContainer(ContainerRef("homelab", *key), labels, str(spec.container_type))
        )
    traces = trace(containers, index_repository(sample / "gitops"))
    wrong = [str(t.ref) for t, row in zip(traces, truth, strict=True) if _wrong(t, row)]
    assert wrong == []
    found = sum(t.place is not None for t in traces)
    declared = sum(bool(row["file"]) for row in truth)
    assert found >= 0.95 * declared


def _wrong(found: Trace, row: dict[str, str]) -> bool:
    if found.place is None:
        return False
    place = (found.place.file, str(found.place.address.document), found.place.path)
    return place != (row["file"], row["document"], row["path"])
