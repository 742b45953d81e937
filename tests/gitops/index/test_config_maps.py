"""What ConfigMaps put into containers holds their memory up like their own settings."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from analyzer.gitops.index.repository_index import index_repository
from tests.gitops.conftest import Plant

FROM = "envFrom: [{configMapRef: {name: web}}]"
KEY = "env: [{name: JAVA_OPTS, valueFrom: {configMapKeyRef: {name: web, key: java}}}]"
MOUNT = "volumeMounts: [{name: files, mountPath: /etc/web}]"
VOLUME = "volumes: [{name: files, configMap: {name: web}}]"
PROJECTED = "volumes: [{name: files, projected: {sources: [{configMap: {name: web}}]}}]"


def workload(container: str, pod: str = "") -> str:
    """A Deployment with this in its container, and that in its pod."""
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop}}
spec:
  template:
    spec:
      {pod}
      containers:
        - name: app
          {container}
          resources: {{limits: {{memory: 4Gi}}}}
"""


def config_map(data: str, namespace: str = "shop") -> str:
    """A ConfigMap with this data."""
    metadata = f"{{name: web, namespace: {namespace}}}"
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}\ndata:\n  {data}\n"


def floors(plant: Plant, files: Mapping[str, str]) -> list[str]:
    """Why memory is held, of the one container."""
    (one,) = index_repository(plant(dict(files))).expectations
    return [floor.reason for floor in one.floors]


@pytest.mark.parametrize(
    ("container", "pod", "data", "told"),
    [
        (FROM, "", "GOMEMLIMIT: 1500MiB", "its GOMEMLIMIT is 1500Mi"),
        (KEY, "", 'java: "-Xmx2g"', "its Java heap is 2Gi"),
        (KEY, "", 'java: "-XX:MaxRAMPercentage=75"', "its Java heap is a share of the limit"),
        (MOUNT, VOLUME, 'redis.conf: "port 1\\nmaxmemory 1gb\\n"', "its maxmemory is 1Gi"),
        (MOUNT, PROJECTED, 'pg.conf: "shared_buffers = 1GB"', "its shared_buffers is 1Gi"),
    ],
)
def test_what_a_config_map_states_holds_memory(
    plant: Plant, container: str, pod: str, data: str, told: str
) -> None:
    """As variables, one of them, or files that are mounted; the ConfigMap is named."""
    files = {"web.yaml": workload(container, pod), "map.yaml": config_map(data)}
    (reason,) = floors(plant, files)
    assert reason.startswith(f"{told} (by the ConfigMap web)")


@pytest.mark.parametrize(
    ("container", "pod", "text"),
    [
        (FROM, "", config_map("GOMEMLIMIT: 1500MiB", namespace="other")),
        (FROM, "", config_map("GOMEMLIMIT: 1500MiB").replace("ConfigMap", "Secret")),
        (KEY, "", config_map('other: "-Xmx2g"')),
        ("image: web", VOLUME, config_map('redis.conf: "maxmemory 1gb"')),
        (MOUNT, VOLUME, config_map('pg.conf: "# shared_buffers = 1GB"')),
        (FROM, "", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: shop}\n"),
    ],
)
def test_what_does_not_arrive_holds_nothing(
    plant: Plant, container: str, pod: str, text: str
) -> None:
    """Of another namespace, secret, another key, not mounted, a comment, empty."""
    assert floors(plant, {"web.yaml": workload(container, pod), "map.yaml": text}) == []


@pytest.mark.parametrize(
    "generated",
    ["literals: [GOMEMLIMIT=1500MiB]", "envs: [web.env]", "env: web.env"],
)
def test_what_kustomize_generates_holds_memory(plant: Plant, generated: str) -> None:
    """Each build its own: what another overlay generates under the same name does not count."""
    generator = f"configMapGenerator: [{{name: web, {generated}}}]\n"
    files = {
        "a/kustomization.yaml": f"resources: [web.yaml]\n{generator}",
        "a/web.yaml": workload(FROM),
        "a/web.env": "# sizes\nGOMEMLIMIT=1500MiB\n",
        "b/kustomization.yaml": "configMapGenerator: [{name: web, literals: [GOMEMLIMIT=3GiB]}]\n",
    }
    (reason,) = floors(plant, files)
    assert reason.startswith("its GOMEMLIMIT is 1500Mi (by the ConfigMap web)")


def test_a_generated_file_counts_and_a_link_out_of_the_repository_does_not(plant: Plant) -> None:
    """A file may be of any language, and lies in the repository."""
    generator = "configMapGenerator: [{name: web, files: [redis.conf]}]\n"
    files = {
        "app/kustomization.yaml": f"resources: [web.yaml]\n{generator}",
        "app/web.yaml": workload(MOUNT, VOLUME),
        "app/redis.conf": "maxmemory 1gb\n",
    }
    root = plant(files)
    (one,) = index_repository(root).expectations
    assert [floor.what for floor in one.floors] == ["its maxmemory"]
    outside = root.parent / "outside.conf"
    outside.write_text("maxmemory 2gb\n")
    (root / "app" / "redis.conf").unlink()
    (root / "app" / "redis.conf").symlink_to(outside)
    (one,) = index_repository(root).expectations
    assert one.floors == ()
