"""A made-up cluster of any size: a recording of what its containers used, and the repository."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from analyzer.sources.recording.recording import save_recording
from analyzer.tables import validate_events, validate_specs
from analyzer.usage import Meta, Recording, Usage
from analyzer.workload import ContainerRef

STEP = timedelta(minutes=5)
CONTAINERS_PER_APP = 5
APPS_PER_NAMESPACE = 400
ONE_APP_IN = 10
"""... is declared nowhere in the repository."""

_APP = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  namespace: {namespace}
spec:
  replicas: 1
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      containers:
"""
_CONTAINER = """        - name: c{number}
          image: registry.example/{name}:1
          resources:
            requests:
              cpu: "1"
              memory: 1Gi
            limits:
              memory: 2Gi
"""
_KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"


def record(folder: Path, count: int, days: int, seed: int = 3) -> list[ContainerRef]:
    """Write the recording of `count` containers over `days`; the containers in order."""
    refs = sorted(_refs(count))
    save_recording(_recording(refs, days, seed), folder)
    return refs


def make_world(folder: Path, count: int, days: int) -> None:
    """Write `count` containers over `days` into ``folder/recording`` and ``folder/repository``."""
    refs = record(folder / "recording", count, days)
    _write_repository(folder / "repository", sorted({(r.namespace, r.workload) for r in refs}))


def _refs(count: int) -> list[ContainerRef]:
    found = []
    for index in range(count):
        app, number = divmod(index, CONTAINERS_PER_APP)
        namespace = f"team-{app // APPS_PER_NAMESPACE:03d}"
        found.append(
            ContainerRef("made-up", namespace, "Deployment", f"app-{app:05d}", f"c{number}")
        )
    return found


def _recording(refs: list[ContainerRef], days: int, seed: int) -> Recording:
    start = pd.Timestamp("2026-01-05", tz="UTC").to_pydatetime()
    steps = days * (timedelta(days=1) // STEP)
    cpu, memory = samples(len(refs), steps, seed)
    usage = Usage(
        start=start,
        step=STEP,
        steps=steps,
        containers=tuple(refs),
        container=np.arange(len(refs)),
        pods=tuple(f"{ref.workload}-5d9c8b7f6d-{i % 100_000:05d}" for i, ref in enumerate(refs)),
        first=np.zeros(len(refs), dtype=np.int64),
        offset=np.arange(len(refs) + 1) * steps,
        cpu_cores=cpu,
        memory_bytes=memory,
    )
    meta = Meta("made-up", start, start + steps * STEP, STEP)
    return Recording(meta, usage, specs=_specs(refs), events=_events(refs, usage))


def samples(count: int, steps: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """CPU in cores and memory in bytes of `count` containers, one after the other.

    Daily rhythm and noise around levels of every size; made row by row, to stay small itself.
    """
    rng = np.random.default_rng(seed)
    rhythm = (1 + 0.4 * np.sin(np.arange(steps) * 2 * np.pi / 288)).astype(np.float32)
    cpu = np.empty(count * steps, dtype=np.float32)
    memory = np.empty(count * steps, dtype=np.float32)
    for index in range(count):
        where = slice(index * steps, (index + 1) * steps)
        noise = rng.standard_normal(steps, dtype=np.float32)
        cpu[where] = np.exp(rng.normal(-2, 1)) * rhythm * np.exp(0.3 * noise)
        memory[where] = np.exp(rng.normal(19, 1)) * (1 + 0.05 * np.abs(noise))
    return cpu, memory


def _names(refs: list[ContainerRef]) -> dict[str, list[str]]:
    return {
        "namespace": [ref.namespace for ref in refs],
        "workload_kind": [ref.kind for ref in refs],
        "workload": [ref.workload for ref in refs],
        "container": [ref.container for ref in refs],
    }


def _specs(refs: list[ContainerRef]) -> pd.DataFrame:
    amounts = {
        "container_type": "app",
        "replicas": 1,
        "cpu_request_cores": 1.0,
        "memory_request_bytes": 2.0**30,
        "memory_limit_bytes": 2.0**31,
        "image": "registry.example/app:1",
    }
    return validate_specs(pd.DataFrame(_names(refs)).assign(**amounts))


def _events(refs: list[ContainerRef], usage: Usage) -> pd.DataFrame:
    """A restart of every tenth container and a kill of every fiftieth, some days before the end."""
    tables = []
    for kind, every in (("restart", 10), ("oom_kill", 50)):
        table = pd.DataFrame(_names(refs[::every]))
        when = pd.Timestamp(usage.end) - pd.Timedelta(days=3)
        tables.append(table.assign(pod=list(usage.pods[::every]), timestamp=when, kind=kind))
    return validate_events(pd.concat(tables, ignore_index=True).assign(value=2.0**31))


def _write_repository(root: Path, apps: list[tuple[str, str]]) -> None:
    """One file per application, one Kustomization per namespace, one above them all."""
    files: dict[str, list[str]] = {}
    for number, (namespace, name) in enumerate(apps):
        if number % ONE_APP_IN == ONE_APP_IN - 1:
            continue
        folder = root / "apps" / namespace
        folder.mkdir(parents=True, exist_ok=True)
        text = _APP.format(name=name, namespace=namespace)
        text += "".join(_CONTAINER.format(name=name, number=n) for n in range(CONTAINERS_PER_APP))
        (folder / f"{name}.yaml").write_text(text)
        files.setdefault(namespace, []).append(f"{name}.yaml")
    for namespace, names in files.items():
        _write_kustomization(root / "apps" / namespace, names)
    _write_kustomization(root / "apps", list(files))
    author = ["-c", "user.name=growth", "-c", "user.email=growth@example.com"]
    for words in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "Declare the cluster"]):
        subprocess.run(["git", "-C", str(root), *words], check=True)


def _write_kustomization(folder: Path, resources: list[str]) -> None:
    lines = "".join(f"  - {name}\n" for name in resources)
    (folder / "kustomization.yaml").write_text(_KUSTOMIZATION + lines)
