"""What landing changes in Git costs: processor seconds of this process and of kubectl and helm.

Makes a repository of COUNT applications in a folder that is then gone: a Flux Kustomization for
every twenty of them, each application a kustomize folder with a Deployment, every fourth one a
HelmRelease of app-template. Reads it, plans an edit of every container, proves the edits, and
writes the series of patches. Usage: ``python benchmarks/landing/bench_landing.py [COUNT]``.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from analyzer.gitops.index.repository_index import index_repository
from analyzer.gitops.land.changes import plan_on
from analyzer.gitops.land.outcome import DesiredChange
from analyzer.gitops.land.proposal import mails, proposals
from analyzer.gitops.render.program import Tools, find_tools
from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef

GROUP = 20
T = TypeVar("T")

ROOT = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {name}, namespace: flux-system}}
spec:
  path: ./{path}
  sourceRef: {{kind: GitRepository, name: flux-system}}
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}  # one of many
  namespace: shop
spec:
  template:
    spec:
      containers:
        - name: app
          image: example.org/{name}:1.0.0
          resources:
            requests: {{cpu: 100m, memory: 256Mi}}
            limits:
              memory: 512Mi
"""
RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: shop}}
spec:
  chart: {{spec: {{chart: app-template, version: 3.7.3}}}}
  values:
    controllers:
      {name}:
        containers:
          app:
            resources:
              requests: {{memory: 256Mi}}
              limits: {{memory: 512Mi}}
"""


def main() -> None:
    """Print one line per step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=1000)
    count = parser.parse_args().count
    with TemporaryDirectory() as folder:
        files = made(Path(folder), count)
        print(f"{files} YAML files, {count} applications")
        index = spent("read and index", lambda: index_repository(Path(folder)))
        changes = [change(number) for number in range(count)]
        plan = spent("trace, edit, prove the text", lambda: plan_on(index, changes, tools=Tools()))
        tools = find_tools()
        if tools.kubectl is not None:
            plan = spent("the same, and build", lambda: plan_on(index, changes, tools=tools))
        found = spent("group into proposals", lambda: proposals(plan))
        series = spent("write the series", lambda: mails(found, plan))
        built = sum("kubectl" in str(outcome.proof) for outcome in plan.edited)
        print(f"{len(plan.edited)} edited, {built} built, {len(series)} patches")


def made(root: Path, count: int) -> int:
    """Write the repository; how many files it has."""
    texts = {"flux/root.yaml": ROOT.format(name="flux-system", path="flux")}
    for number in range(count):
        group, name = f"apps/{number // GROUP}", f"app-{number}"
        texts[f"flux/{number // GROUP}.yaml"] = ROOT.format(name=f"g{number // GROUP}", path=group)
        line = f"  - {name}\n"
        begun = texts.get(f"{group}/kustomization.yaml", "resources:\n")
        texts[f"{group}/kustomization.yaml"] = begun + line
        texts[f"{group}/{name}/kustomization.yaml"] = "resources: [app.yaml]\n"
        text = DEPLOYMENT if number % 4 else RELEASE
        texts[f"{group}/{name}/app.yaml"] = text.format(name=name)
    for file, text in texts.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text, "utf-8")
    return len(texts)


def change(number: int) -> DesiredChange:
    """Other amounts for one application."""
    return DesiredChange(
        ContainerRef("c", "shop", "Deployment", f"app-{number}", "app"),
        Resources(memory_request=Memory.parse("256Mi"), memory_limit=Memory.parse("512Mi")),
        Resources(memory_request=Memory.parse("300Mi"), memory_limit=Memory.parse("400Mi")),
    )


def spent(what: str, work: Callable[[], T]) -> T:
    """Do it, and print the processor time that it took, here and in the programs it started."""
    before = seconds()
    result = work()
    own, others = (now - then for now, then in zip(seconds(), before, strict=True))
    print(f"{what:<30} {own:8.2f} s, programs {others:8.2f} s")
    return result


def seconds() -> tuple[float, float]:
    """Processor seconds of this process, and of those it has waited for."""
    mine, theirs = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime, theirs.ru_utime + theirs.ru_stime


if __name__ == "__main__":
    main()
