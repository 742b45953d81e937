"""Every container that a repository makes run: is it traced, edited right, refused or missed?

    python benchmarks/recall/bench_recall.py REPO... [--entry DIR] [--charts DIR] [--blind]

The truth is `live.build`: the cluster as the controllers would make it, rendered without the
product. An odd amount is asked for in every container, the plan is written into a copy, and the
cluster is built again. *Right*: the container has exactly what was asked for and nothing else
moved. *Wrong*: anything else moved, or another amount came. *Refused*: the place was found and not
edited; *missed*: it was not found. `--charts` is a folder of charts (DIR/*/Chart.yaml) for the
truth and for the product; with `--blind` the product does not get them.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from live import PODS, Cluster, Container, Doc, Settings, build

from analyzer.errors import GitOpsError
from analyzer.gitops.index.repository_index import RepositoryIndex, index_repository
from analyzer.gitops.index.trace import LiveContainer, Trace, trace
from analyzer.gitops.land.changes import plan_on
from analyzer.gitops.land.outcome import Advice, ChangePlan, DesiredChange, Edited, Unchanged
from analyzer.gitops.render.program import Tools, find_tools
from analyzer.gitops.text.resources import ROWS, Amount, amounts
from analyzer.gitops.text.spelling import read_cpu, read_memory
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.workload import ContainerRef

COLUMNS = ("files", "blocks", "live", "right", "refused", "missed", "wrong", "clean", "proven", "s")
Leaf = tuple[Any, ...]
PARENT = re.compile(r"[ -]*[\w.\"'-]+:")
RESOURCES = re.compile(r"cpu|memory|requests|limits|resources|^\W*$")
PATCH = re.compile(r"[ -]*(?:apiVersion|kind|name|patch): \S+")
"""A line of a new patch that says which object it is for."""
ROUNDED = 1.1
"""How far above what was asked for a decimal unit of two digits may lie."""


@dataclass
class Result:
    """What came of one repository."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, container: object, reason: str = "") -> None:
        """Count one container, and keep why."""
        self.counts[what] += 1
        self.reasons.setdefault(what, []).append(f"{container}: {reason}")


def main() -> None:
    """Print one row per repository, and the reasons where asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--entry", default="")
    parser.add_argument("--charts", type=Path)
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--reasons", nargs="*", default=["wrong"])
    given = parser.parse_args()
    print(f"{'':<34}" + "".join(f"{name:>8}" for name in COLUMNS))
    for root in given.repositories:
        charts = () if given.blind or given.charts is None else (given.charts,)
        result = measured(root, given.entry, given.charts, find_tools(charts))
        row = "".join(f"{result.counts[name]:>8}" for name in COLUMNS)
        print(f"{f'{root.name}:{given.entry}'.rstrip(':')[-34:]:<34}{row}", flush=True)
        for what in given.reasons:
            for reason in result.reasons.get(what, []):
                print(f"  {what}: {reason}")


def measured(root: Path, entry: str, charts: Path | None, tools: Tools) -> Result:
    """Ask for an odd amount in every container of a repository, and build before and after."""
    result = Result()
    before = build(root, charts, entry)
    for problem in before.problems:
        result.add("unbuilt", "", problem)
    live = before.containers()
    began = _seconds()
    index = index_repository(root, entry=entry or None, tools=tools)
    plan = plan_on(index, _wanted(live, index), tools=tools, live=[_ref(each) for each in live])
    result.counts["s"] = round(_seconds() - began)
    result.counts["files"] = len(index.repository.files)
    result.counts["blocks"] = len(index.places)
    result.counts["live"] = len(live)
    with tempfile.TemporaryDirectory(prefix="recall-") as folder:
        after = build(_edited(root, Path(folder) / root.name, plan), charts, entry)
    _judge(plan, before, after, result)
    if list(_strays(before, after, set())):
        # What a chart makes anew each time, such as certificates, is nobody's doing.
        again = [build(root, charts, entry).leaves() for _ in range(2)]
        was = before.leaves()
        noise = {
            key
            for found in again
            for key in was.keys() | found.keys()
            if was.get(key) != found.get(key)
        }
        for stray in _strays(before, after, noise):
            result.add("wrong", stray, "moved as well")
    for file, (old, new) in plan.edits.items():
        strange = list(_strange(old, new))
        result.add("clean" if not strange else "unclean", file, "; ".join(strange[:2]))
    return result


def _wanted(live: Mapping[Container, Settings], index: RepositoryIndex) -> list[DesiredChange]:
    """An odd amount for every container, the same for all that one place decides for."""
    running = [
        LiveContainer(_ref(each), {}, settings.type, _stated(settings.resources))
        for each, settings in live.items()
    ]
    keys = [_place(traced) for traced in trace(running, index)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    largest: dict[object, Resources] = {}
    for key, each in zip(keys, running, strict=True):
        largest[key] = _larger(largest.get(key, Resources()), each.current or Resources())
    return [
        DesiredChange(
            each.ref,
            each.current or Resources(),
            _odd(largest[key], numbers[key]),
            container_type=each.container_type or "app",
        )
        for key, each in zip(keys, running, strict=True)
    ]


def _place(traced: Trace) -> object:
    if traced.expectation is None:
        return traced.ref
    return tuple(traced.expectation.leaf(row.field) for row in ROWS)


def _larger(one: Resources, other: Resources) -> Resources:
    found = {}
    for row in ROWS:
        both = [a for a in (row.of(one), row.of(other)) if a is not None]
        found[row.attribute] = max(both, default=None)
    return Resources(**found)


def _odd(now: Resources, number: int) -> Resources:
    """Amounts that nobody writes, above all that is there: no floor and no limit is in the way."""
    memory = max(a.bytes for a in (now.memory_request, now.memory_limit, Memory(2**28)) if a)
    cpu = max(a.millicores for a in (now.cpu_request, now.cpu_limit, Cpu(100)) if a)
    asked = Memory(memory + (2 * number + 1) * 2**20)
    return Resources(
        cpu_request=Cpu(cpu + number + 1),
        cpu_limit=None if now.cpu_limit is None else Cpu(cpu + number + 1),
        memory_request=asked,
        memory_limit=Memory(asked.bytes + 2**24),
    )


def _edited(root: Path, where: Path, plan: ChangePlan) -> Path:
    shutil.copytree(root, where, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    for file, (_, text) in plan.edits.items():
        (where / file).write_bytes(text.encode("utf-8"))
    return where


def _judge(plan: ChangePlan, before: Cluster, after: Cluster, result: Result) -> None:
    """Hold what came against what was asked for, container by container, then all the rest."""
    was, now = before.containers(), after.containers()
    for outcome in plan.outcomes:
        container = _container(outcome.ref)
        old, new = was[container].resources, now[container].resources if container in now else {}
        if isinstance(outcome, Edited):
            problem = _differs(outcome, old, new)
            result.add("wrong" if problem else "right", container, problem)
            if outcome.proof.rendered_with:
                result.add("proven", container, outcome.proof.rendering)
            else:
                result.add("unproven", container, outcome.proof.rendering)
        elif old != new:
            result.add("wrong", container, f"{old} became {new} unasked")
        elif isinstance(outcome, Unchanged):
            result.add("right", container, "as asked for already")
        elif isinstance(outcome, Advice) and outcome.trace.expectation is not None:
            result.add("refused", container, outcome.reason)
        else:
            result.add("missed", container, outcome.reason)


def _differs(outcome: Edited, was: Doc, now: Doc) -> str:
    """What came other than asked for; empty where nothing did."""
    wanted = {row.path: row.of(outcome.change.proposed) for row in ROWS}
    for path in {*_paths(was), *_paths(now), *wanted}:
        text, asked = _at(now, path), wanted.get(path)
        if asked is None and text != _at(was, path):
            return f"{'.'.join(map(str, path))} became {text}, which nobody asked for"
        if asked is not None and not _is(asked, text):
            return f"{'.'.join(map(str, path))} became {text}, not {asked} ({outcome.place.where})"
    return ""


def _paths(resources: Doc) -> Iterator[tuple[str, ...]]:
    for key, below in resources.items():
        yield from ((key, name) for name in below) if isinstance(below, dict) else [(key,)]


def _at(resources: Doc, path: Sequence[str]) -> object:
    found: object = resources
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _is(asked: Amount, text: object) -> bool:
    if text is None:
        return False
    if isinstance(asked, Cpu):
        return read_cpu(str(text)) == asked
    read = read_memory(str(text))
    return read is not None and asked.bytes <= read.bytes <= asked.bytes * ROUNDED


def _strays(before: Cluster, after: Cluster, noise: set[Leaf]) -> Iterator[str]:
    """Values that moved outside of the resources of containers, and what carries these."""
    old, new = before.leaves(), after.leaves()
    carriers = ("HelmRelease", "ConfigMap", "Secret", "Application", "ApplicationSet", "HelmChart")
    told = set()
    for key in old.keys() | new.keys():
        (kind, namespace, name), path = key[0], key[1]
        if old.get(key) == new.get(key) or key in noise:
            continue
        if kind in carriers or (kind in PODS and "resources" in path):
            continue
        shown = f"{kind}/{namespace}/{name}"
        if shown not in told:
            told.add(shown)
            yield f"{shown} {'.'.join(map(str, path))}: {old.get(key)} -> {new.get(key)}"[:300]


def _strange(old: str, new: str) -> Iterator[str]:
    """Lines that differ and do not speak of resources, nor of what new ones stand below."""
    lines, fresh = Counter(old.splitlines()), Counter(new.splitlines())
    yield from (line for line in lines - fresh if not RESOURCES.search(line))
    for line in fresh - lines:
        known = (RESOURCES.search(line), PARENT.fullmatch(line), PATCH.fullmatch(line))
        if not any(known):
            yield line


def _stated(resources: Doc) -> Resources:
    found = {row.field: _at(resources, row.path) for row in ROWS}
    return amounts({name: str(text) for name, text in found.items() if text is not None})


def _ref(each: Container) -> ContainerRef:
    return ContainerRef("live", each.namespace, each.kind, each.workload, each.name)


def _container(ref: ContainerRef) -> Container:
    return Container(ref.namespace, ref.kind, ref.workload, ref.container)


def _seconds() -> float:
    """Processor seconds of this process and of the programs it waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


if __name__ == "__main__":
    try:
        main()
    except GitOpsError as err:
        sys.exit(str(err))
