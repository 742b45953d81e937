"""Custom resources whose operators turn a field of theirs into containers.

`operators.csv` has one row per field: which object, which workload the operator makes of it, which
container. A field is either requests and limits as Kubernetes has them, or a whole pod spec.
`scripts/refresh_operators` compares the rows with the schemas of the CRDs.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath

from analyzer.gitops.reach.runtimes import Floor, memory_floors
from analyzer.gitops.text.tree import Node, Path

TABLE = FilePath(__file__).with_name("operators.csv")
ANY = "*"
"""In place of a container: the containers are named where the pod is described."""
_PLACEHOLDER = re.compile(r"\{(?P<what>[A-Za-z][^{}]*)\}")
_PATTERN = re.compile(r"[\[\]()+*?|\\]")
_POD_SPECS = frozenset({"spec", "podSpec"})


@dataclass(frozen=True, slots=True)
class Rule:
    """What one field of a custom resource feeds, as `operators.csv` states it.

    `path` has dots, and ``[]`` after a list whose items each count on their own. `workload` and
    `container` may hold ``{name}``, the object's; ``{label:KEY}``, a label of it; ``{item.KEY}``, a
    field of the list's item; or the path of any other field. A workload is a regular expression.
    `when` is ``path=value|value``, where an empty value means that nothing is stated. `hint` says
    why a workload of that name may be another object's all the same.
    """

    group: str
    kind: str
    path: str
    workload_kind: str
    workload: str
    container: str
    namespace: str = ""
    when: str = ""
    hint: str = ""
    schema: str = ""

    @property
    def is_pod(self) -> bool:
        """Whether the field is a pod spec, and not the resources of one container."""
        return self.path.rpartition(".")[2] in _POD_SPECS

    def holds_for(self, node: Node) -> bool:
        """Whether the object makes such a workload at all, by its other settings."""
        path, _, values = self.when.partition("=")
        return not path or (node.text(*path.split(".")) or "") in values.split("|")


@dataclass(frozen=True, slots=True)
class Fed:
    """One field of one object, and the container that it decides for.

    Either `workload` is its name or `pattern` fits it. Of a pod spec, `container` is what the
    operator calls the container it makes even where none is described, or `ANY`.
    """

    rule: Rule
    workload: str | None
    pattern: re.Pattern[str] | None
    container: str
    path: Path

    @property
    def shown(self) -> str:
        """The workload as a rendering names it."""
        return workload_text(self.workload, self.pattern)


def workload_text(workload: str | None, pattern: re.Pattern[str] | None) -> str:
    """One text for a workload that is named, or whose name a pattern fits."""
    return pattern.pattern.replace("\\", "") if pattern is not None else workload or ""


def read_workload(text: str) -> tuple[str | None, re.Pattern[str] | None]:
    """A name, or the pattern of names, from what `workload_text` made of it."""
    return (None, re.compile(text)) if _PATTERN.search(text) else (text, None)


@cache
def rules() -> Mapping[tuple[str, str], tuple[Rule, ...]]:
    """Every row of the table, by group and kind."""
    found: dict[tuple[str, str], tuple[Rule, ...]] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rule = Rule(**row)
            key = (rule.group, rule.kind)
            found[key] = (*found.get(key, ()), rule)
    return found


def is_known(group: str, kind: str) -> bool:
    """Whether the table has the kind, and so every field of it that is known to decide."""
    return (group, kind) in rules()


def fed_by(group: str, kind: str, node: Node, name: str) -> Iterator[Fed]:
    """Every field of an object called `name` that decides for a container, or could."""
    for rule in rules().get((group, kind), ()):
        if not rule.holds_for(node):
            continue
        for path, item in _spots(node, rule.path):
            yield Fed(rule, *_workload(rule, name, node, item), _container(rule, name, node), path)


def _spots(node: Node, dots: str) -> list[tuple[Path, Node]]:
    """The paths that a rule's path stands for, each with the list item it leads through."""
    found: list[tuple[Path, Node]] = [((), node)]
    parts = dots.split("[].")
    for part in parts[:-1]:
        found = [
            ((*path, *part.split("."), number), below)
            for path, item in found
            for number, below in enumerate(item.sequence(*part.split(".")))
        ]
    return [((*path, *parts[-1].split(".")), item) for path, item in found]


def _workload(
    rule: Rule, name: str, node: Node, item: Node
) -> tuple[str | None, re.Pattern[str] | None]:
    if _PATTERN.search(_PLACEHOLDER.sub("", rule.workload)):
        filled = _PLACEHOLDER.sub(lambda m: re.escape(_field(m, name, node, item)), rule.workload)
        return None, re.compile(filled)
    return _PLACEHOLDER.sub(lambda m: _field(m, name, node, item), rule.workload), None


def _container(rule: Rule, name: str, node: Node) -> str:
    return _PLACEHOLDER.sub(lambda m: _field(m, name, node, node), rule.container)


def _field(match: re.Match[str], name: str, node: Node, item: Node) -> str:
    """What a placeholder stands for; ``?``, which no name holds, where nothing is stated."""
    what = match["what"]
    if what == "name":
        return name
    if what.startswith("label:"):
        return node.text("metadata", "labels", what.removeprefix("label:")) or "?"
    if what.startswith("item."):
        return item.text(what.removeprefix("item.")) or "?"
    return node.text(*what.split(".")) or "?"


def overruled_at(node: Node, fed: Fed) -> Path | None:
    """Where an object states the resources of a fed container by its name as well; else None.

    Operators merge such lists of containers over what their own fields say.
    """
    stack: list[tuple[Path, Node]] = [((), node)]
    while stack:
        path, current = stack.pop()
        for key, below in current.mapping():
            for number, item in enumerate(below.sequence()):
                here = (*path, key, number)
                named = key.endswith("ontainers") and item.text("name") == fed.container
                if named and item.at("resources") is not None:
                    return (*here, "resources")
                if item.kind == "mapping":
                    stack.append((here, item))
            if below.kind == "mapping":
                stack.append(((*path, key), below))
    return None


SIZED_BY_LIMIT = {
    ("dragonflydb.io", "Dragonfly"): (
        "its maxmemory",
        "Dragonfly takes its maxmemory from the limit",
    ),
    ("elasticsearch.k8s.elastic.co", "Elasticsearch"): (
        "its Java heap",
        "Elasticsearch takes its heap from the limit",
    ),
}
"""Programs that size themselves by their limit where no size is set: the size, and what to say."""


def floors(group: str, kind: str, settings: object) -> tuple[Floor, ...]:
    """What the settings of a custom resource, or of a container in it, ask of its memory."""
    found = memory_floors(settings)
    size, what = SIZED_BY_LIMIT.get((group, kind), (None, ""))
    if size is None or any(floor.what.startswith(size) for floor in found):
        return found
    return (*found, Floor(what))
