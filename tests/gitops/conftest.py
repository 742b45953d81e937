"""Small GitOps repositories, written for these tests."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Plant = Callable[[Mapping[str, str]], Path]
Git = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Write files into a fresh folder; the folder. Texts are dedented."""

    def write(files: Mapping[str, str]) -> Path:
        root = tmp_path / "repository"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(textwrap.dedent(text).lstrip("\n").encode())
        return root

    return write


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Run git in a folder as a fixed person, whatever this machine's settings are."""

    def run(
        folder: Path, *arguments: str, given: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        identity = ["-c", "user.name=A Person", "-c", "user.email=person@example.org"]
        return subprocess.run(
            ["git", *identity, "-c", "init.defaultBranch=main", *arguments],
            cwd=folder,
            input=given,
            capture_output=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"},
        )

    return run


@pytest.fixture
def committed(plant: Plant, git: Git) -> Plant:
    """As `plant`, with everything committed to a new git repository."""

    def write(files: Mapping[str, str]) -> Path:
        root = plant(files)
        assert git(root, "init", "-q").returncode == 0
        git(root, "add", "-A")
        assert git(root, "commit", "-qm", "base").returncode == 0
        return root

    return write


FLUX = {
    "kubernetes/flux/cluster.yaml": """
        apiVersion: kustomize.toolkit.fluxcd.io/v1
        kind: Kustomization
        metadata:
          name: flux-system
          namespace: flux-system
        spec:
          path: ./kubernetes/apps
          sourceRef: {kind: GitRepository, name: flux-system}
        """,
    "kubernetes/apps/media/kustomization.yaml": """
        apiVersion: kustomize.config.k8s.io/v1beta1
        kind: Kustomization
        namespace: media
        resources:
          - ./sonarr/ks.yaml
          # - ./radarr/ks.yaml
        """,
    "kubernetes/apps/media/sonarr/ks.yaml": """
        apiVersion: kustomize.toolkit.fluxcd.io/v1
        kind: Kustomization
        metadata:
          name: &app sonarr
          namespace: flux-system
        spec:
          targetNamespace: media
          path: ./kubernetes/apps/media/sonarr/app
          sourceRef: {kind: GitRepository, name: flux-system}
          postBuild:
            substitute:
              APP: *app
        """,
    "kubernetes/apps/media/sonarr/app/kustomization.yaml": """
        apiVersion: kustomize.config.k8s.io/v1beta1
        kind: Kustomization
        resources:
          - ./helmrelease.yaml
        """,
    "kubernetes/apps/media/sonarr/app/helmrelease.yaml": """
        ---
        apiVersion: helm.toolkit.fluxcd.io/v2
        kind: HelmRelease
        metadata:
          name: sonarr
        spec:
          chart:
            spec:
              chart: app-template
              version: 3.7.3
          values:
            controllers:
              sonarr:
                containers:
                  app:
                    image: {repository: example.org/sonarr, tag: "4"}
                    resources:
                      requests:
                        cpu: 250m # by feel
                      limits:
                        memory: 2Gi
                  exporter:
                    image: {repository: example.org/exporter, tag: "1"}
        """,
    "kubernetes/apps/media/radarr/ks.yaml": """
        apiVersion: kustomize.toolkit.fluxcd.io/v1
        kind: Kustomization
        metadata:
          name: radarr
          namespace: flux-system
        spec:
          targetNamespace: media
          path: ./kubernetes/apps/media/radarr/app
          sourceRef: {kind: GitRepository, name: flux-system}
        """,
    "kubernetes/apps/media/radarr/app/helmrelease.yaml": """
        apiVersion: helm.toolkit.fluxcd.io/v2
        kind: HelmRelease
        metadata:
          name: radarr
        spec:
          chart:
            spec:
              chart: app-template
              version: 3.7.3
          values:
            controllers:
              radarr:
                containers:
                  app:
                    resources:
                      limits:
                        memory: 1Gi
        """,
}


@pytest.fixture
def flux() -> dict[str, str]:
    """A Flux repository: one live application with two containers, one that nothing reaches."""
    return dict(FLUX)


DEPLOYMENT = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      template:
        spec:
          containers:
            - name: web
              image: x
              resources: {limits: {memory: 1Gi}}
    """
"""A Deployment of one container, of no namespace."""
