"""The sample repository declares what the recording ran, where ``places.csv`` says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from analyzer.quantity import Cpu, Memory

SAMPLE_DATA = Path(__file__).resolve().parents[2] / "sample-data"
GITOPS = SAMPLE_DATA / "gitops"
NAMES = ["namespace", "workload_kind", "workload", "container"]
SETTINGS = "kubernetes/flux/vars/cluster-settings.yaml"


@pytest.fixture(scope="module")
def places() -> pd.DataFrame:
    """``places.csv``, with empty text where nothing declares a container."""
    return pd.read_csv(SAMPLE_DATA / "places.csv", dtype=str, keep_default_na=False)


class Loader(yaml.SafeLoader):
    """Reads an anchor that is defined again, as YAML allows and PyYAML does not."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Forget the former anchor of the same name."""
        if not self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in its stubs
            self.anchors.pop(event.anchor, None)
        return super().compose_node(parent, index)


def documents(file: str) -> list[Any]:
    """The documents of one file of the repository."""
    return list(yaml.load_all((GITOPS / file).read_text(), Loader))


def follow(value: Any, path: str) -> Any:
    """What stands at `path`; None where it ends early. `` | `` goes on inside a block scalar."""
    head, _, inside = path.partition(" | ")
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", head):
        if value is None:
            return None
        value = value[int(index)] if index else value.get(name)
    return follow(yaml.safe_load(value), inside) if inside else value


def substituted(text: str) -> str:
    """`text` with Flux' variables filled in."""
    (settings,) = documents(SETTINGS)
    return re.sub(r"\$\{(\w+)\}", lambda found: settings["data"][found[1]], text)


def millicores(text: str) -> int:
    """Whole millicores."""
    return Cpu.parse(text).millicores


def count_bytes(text: str) -> int:
    """Whole bytes."""
    return Memory.parse(text).bytes


def effective(block: dict[str, Any] | None) -> dict[str, int | None]:
    """Millicores and bytes as Kubernetes runs them: a missing request is the limit."""
    block = block or {}
    amounts: dict[str, int | None] = {}
    for resource, parse in (("cpu", millicores), ("memory", count_bytes)):
        sides = {side: block.get(f"{side}s", {}).get(resource) for side in ("limit", "request")}
        read = {
            side: None if value is None else parse(substituted(str(value)))
            for side, value in sides.items()
        }
        amounts[f"{resource}_limit"] = read["limit"]
        amounts[f"{resource}_request"] = (
            read["limit"] if read["request"] is None else read["request"]
        )
    return amounts


def test_every_file_is_yaml() -> None:
    """All of it parses, and no document is empty."""
    files = [path for path in GITOPS.rglob("*") if path.is_file()]
    assert len(files) > 150
    for path in files:
        assert all(documents(str(path.relative_to(GITOPS))))


def test_places_cover_every_container(places: pd.DataFrame, specs: pd.DataFrame) -> None:
    """One row per container that the recording knows, no other."""
    assert not places.duplicated(NAMES).any()
    known = set(specs[NAMES].itertuples(index=False, name=None))
    assert set(places[NAMES].itertuples(index=False, name=None)) == known


def test_places_declare_what_ran(places: pd.DataFrame, specs: pd.DataFrame) -> None:
    """The block at each place, defaulted as Kubernetes does, is what the specs table has."""
    ran = specs.drop_duplicates(NAMES, keep="last").set_index(NAMES)
    for row in places[places["file"] != ""].to_dict("records"):
        block = follow(documents(row["file"])[int(row["document"])], row["path"])
        assert (block is not None) == (row["declares"] == "resources"), row
        spec = ran.loc[tuple(row[name] for name in NAMES)]
        for name, amount in effective(block).items():
            unit = "cores" if name.startswith("cpu") else "bytes"
            value = spec[f"{name}_{unit}"]
            scale = 1000 if unit == "cores" else 1
            expected = None if pd.isna(value) else round(value * scale)
            assert amount == expected, (row, name)


def test_what_nothing_declares_is_left_open(places: pd.DataFrame) -> None:
    """Bare pods, deleted applications, and controllers that come from elsewhere."""
    unknown = places[places["file"] == ""]
    assert set(unknown["workload"]) == {
        "netshoot",
        "notification-controller",
        "old-wiki",
        "source-controller",
        "ttrss",
    }
    assert (unknown["declares"] == "").all()


def test_the_dead_application_is_still_in_a_folder() -> None:
    """Its manifest is there and looks right, but no kustomization leads to it."""
    assert (GITOPS / "kubernetes/apps/selfhosted/old-wiki/app/deployment.yaml").exists()
    (listed,) = documents("kubernetes/apps/selfhosted/kustomization.yaml")
    assert not [name for name in listed["resources"] if "old-wiki" in name]


def test_every_way_of_declaring_is_there(places: pd.DataFrame) -> None:
    """What an index of repositories must cope with, each at least once."""
    text = {p: p.read_text() for p in GITOPS.rglob("*.yaml")}
    everything = "\n".join(text.values())
    assert everything.count("chart: app-template") > 20
    assert everything.count("kind: OCIRepository\n    name:") + everything.count("chartRef:") > 5
    for mark in ("valuesFrom:", "memory: *memory", "${OVERSEERR_MEMORY_LIMIT}", "sops:"):
        assert mark in everything
    assert places["path"].str.contains(" | ", regex=False).sum() == 3
    assert (places["document"] == "1").sum() == 2
    assert places["path"].str.contains("defaultContainerOptions").sum() == 1


def test_nothing_in_it_is_secret() -> None:
    """Files that look encrypted hold the same made-up text everywhere."""
    for path in GITOPS.rglob("*.sops.yaml"):
        found = set(re.findall(r"ENC\[[^]]*\]", path.read_text()))
        assert found == {
            "ENC[AES256_GCM,data:bm90aGluZw==,iv:bm90aGluZw==,tag:bm90aGluZw==,type:str]"
        }


def build(kubectl: Path, folder: Path) -> list[Any]:
    """What ``kubectl kustomize`` makes of a folder."""
    done = subprocess.run(
        [str(kubectl), "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def test_every_kustomization_builds(kubectl: Path) -> None:
    """Real kubectl builds every folder, and the root lists every application once."""
    for path in sorted(GITOPS.rglob("kustomization.yaml")):
        assert build(kubectl, path.parent)
    root = build(kubectl, GITOPS / "kubernetes/apps")
    flux = [entry["metadata"]["name"] for entry in root if entry["kind"] == "Kustomization"]
    assert len(flux) == len(set(flux)) > 50


@pytest.mark.parametrize("app", ["kube-system/coredns", "selfhosted/vaultwarden"])
def test_overlays_have_the_last_word(kubectl: Path, app: str, specs: pd.DataFrame) -> None:
    """What an overlay builds is what ran, and is not what its base says."""
    folder = GITOPS / "kubernetes/apps" / app
    (built,) = build(kubectl, folder / "overlay")
    (base,) = build(kubectl, folder / "base")
    path = "spec.template.spec.containers[0].resources"
    assert follow(built, path) != follow(base, path)
    spec = specs[specs["workload"] == app.partition("/")[2]].iloc[-1]
    assert effective(follow(built, path))["memory_limit"] == spec["memory_limit_bytes"]


def test_images_are_those_that_ran_last(specs: pd.DataFrame) -> None:
    """The tag in a release is the one in the newest row of the specs table."""
    for workload in ("sonarr", "unpackerr", "plex"):
        (file,) = GITOPS.rglob(f"{workload}/app/helmrelease.yaml")
        (release,) = documents(str(file.relative_to(GITOPS)))
        image = follow(release, f"spec.values.controllers.{workload}.containers.app.image")
        rows = specs[(specs["workload"] == workload) & (specs["container"] == "app")]
        newest = rows.sort_values("last_seen").iloc[-1]
        assert f"{image['repository']}:{image['tag']}" == newest["image"]
