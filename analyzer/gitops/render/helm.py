"""What helm makes of a release, and which of its values decide for which container.

A chart is rendered when it lies in the repository or in a folder the settings name; nothing is
downloaded.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from analyzer.gitops.reach.objects import Object
from analyzer.gitops.reach.release import Release, mapping_of
from analyzer.gitops.render.charts import Chart, Dependency, find_chart, unpacked
from analyzer.gitops.render.post_renderer import HOOK, PostRenderer
from analyzer.gitops.render.program import as_json, helm_version, run
from analyzer.gitops.render.rendering import Rendering, Sink, read_rendering
from analyzer.gitops.text.address import dotted
from analyzer.gitops.text.tree import Node, YamlError, parse, walk
from analyzer.gitops.text.tree import Path as KeyPath

_RESOURCES = re.compile(r"\w*[rR]esources")
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_PARTS = frozenset({"requests", "limits", "claims"})
"""What Kubernetes allows in a `resources` mapping."""
_REMOVAL = frozenset({"pre-delete", "post-delete"})
_DEEPEST = 12
_SENTINEL = 7_340_033
_ODD = 700_001
_APIS = ("monitoring.coreos.com/v1", "policy/v1", "networking.k8s.io/v1", "cert-manager.io/v1")


@dataclass(frozen=True, slots=True)
class Landed:
    """Where odd amounts came out: for each path its containers, and those that none reaches."""

    by_path: Mapping[KeyPath, frozenset[Sink]]
    unreached: frozenset[Sink] = frozenset()


class Helm:
    """Renders releases with one helm and the charts that are at hand."""

    def __init__(self, helm: Path, charts: Sequence[Chart], kubectl: Path | None = None) -> None:
        self._helm = helm
        self._post_renderer = PostRenderer(kubectl)
        self._charts = charts
        self._folder = tempfile.TemporaryDirectory(prefix="rightsize-")
        self._prepared: dict[tuple[Path, tuple[str, ...]], Path] = {}
        self._depends: dict[Path, list[Dependency]] = {}
        self._preparing = Lock()  # releases of one chart may be rendered side by side
        self.program = helm_version(helm)

    def chart(self, name: str, version: str | None) -> Chart | None:
        """The chart for a release, if it is at hand."""
        return find_chart(self._charts, name, version)

    def chart_of(self, release: Release, root: Path) -> Chart | None:
        """The chart of a release: the folder it names in the repository at `root`, or at hand."""
        owner = release.owner
        if owner.chart is None:
            return None
        if release.chart_folder is not None:
            return Chart(owner.chart, owner.version or "", root / release.chart_folder)
        return self.chart(owner.chart, owner.version)

    def render(
        self,
        chart: Chart,
        release: str,
        namespace: str,
        values: Mapping[str, object],
        post: Sequence[str] = (),
    ) -> Rendering:
        """What helm makes of `values`, and kustomize of that where there are post-renderers.

        Raises `RenderError` with what either said.
        """
        with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
            home = Path(folder)
            file = home / "values.json"
            file.write_text(as_json(_renderable(values)), "utf-8")
            command = [str(self._helm), "template", release, str(self._prepare(chart, values))]
            command += ["--namespace", namespace, "--values", str(file)]
            command += ["--skip-schema-validation", "--skip-tests", "--include-crds=false"]
            command += [part for api in _APIS for part in ("--api-versions", api)]
            rendered = self._post_renderer.apply(run(command, home), post)
            found = read_rendering(rendered, self.program)
            installed = tuple(item for item in found.objects if not _is_for_removal(item))
            return replace(found, objects=installed)

    def _prepare(self, chart: Chart, values: Mapping[str, object]) -> Path:
        """The chart's path, as a copy with its dependencies where these lie beside it.

        Dependencies that the values switch off need not be at hand.
        """
        if chart.path.is_file():
            return chart.path
        with self._preparing:
            missing = [each for each in self._dependencies(chart) if each.chart is None]
            off = tuple(each.name for each in missing if each.is_off(values))
            key = (chart.path, off)
            if key not in self._prepared:
                self._prepared[key] = self._with_dependencies(chart, off)
            return self._prepared[key]

    def _dependencies(self, chart: Chart) -> list[Dependency]:
        """What the chart depends on and does not contain."""
        if chart.path not in self._depends:
            about = _mapping_in(chart.path / "Chart.yaml")
            entries = [
                (entry, find_chart(self._charts, str(entry.get("name")), _text(entry, "version")))
                for entry in _entries(about.get("dependencies"))
                if not _vendored(chart.path, str(entry.get("name")))
            ]
            whole = all(found is not None for _, found in entries)
            defaults = {} if whole else _mapping_in(chart.path / "values.yaml")
            self._depends[chart.path] = [Dependency(e, defaults, found) for e, found in entries]
        return self._depends[chart.path]

    def _with_dependencies(self, chart: Chart, off: Sequence[str]) -> Path:
        target = Path(self._folder.name) / f"{len(self._prepared)}" / chart.name
        shutil.copytree(chart.path, target, ignore=_symbolic_links)
        (target / "Chart.lock").unlink(missing_ok=True)
        (target / "charts").mkdir(exist_ok=True)
        for dependency in self._dependencies(chart):
            found = dependency.chart
            if found is None:
                continue
            below = target / "charts" / found.path.name
            if found.path.is_file():
                shutil.copyfile(found.path, below)
            else:
                shutil.copytree(found.path, below, ignore=_symbolic_links, dirs_exist_ok=True)
        if off:
            about = _mapping_in(target / "Chart.yaml")
            kept = [e for e in _entries(about.get("dependencies")) if e.get("name") not in off]
            (target / "Chart.yaml").write_text(as_json({**about, "dependencies": kept}), "utf-8")
        return target

    def sentinels(
        self,
        chart: Chart,
        release: str,
        namespace: str,
        values: Mapping[str, object],
        post: Sequence[str] = (),
    ) -> Landed:
        """Which containers each candidate path among the values decides.

        Every candidate gets an odd amount of memory of its own, the chart is rendered once, and
        each amount is looked for in the output. A path that lands nowhere maps to an empty set:
        the chart ignores it, or the part it belongs to is switched off.
        """
        candidates = sorted(set(self._candidates(chart, values)), key=str)
        marked: dict[str, object] = json.loads(json.dumps(_renderable(values)))
        for number, path in enumerate(candidates):
            _put(marked, path, {"requests": {"memory": _SENTINEL + number}})
        rendered = self.render(chart, release, namespace, marked, post).sinks()
        landed: dict[KeyPath, frozenset[Sink]] = {}
        for number, path in enumerate(candidates):
            odd = str(_SENTINEL + number)
            landed[path] = frozenset(s for s, found in rendered.items() if odd in _amounts(found))
        reached = frozenset().union(*landed.values())
        return Landed(landed, frozenset(rendered) - reached)

    def marked(
        self,
        chart: Chart,
        release: str,
        namespace: str,
        values: Mapping[str, object],
        paths: Sequence[KeyPath],
        post: Sequence[str] = (),
    ) -> Rendering:
        """What helm makes of `values` with an odd number at each path: `odd_number` of its place.

        Paths may lead through lists that are there. Raises `RenderError` as `render` does.
        """
        changed: dict[str, object] = json.loads(json.dumps(_renderable(values)))
        for number, path in enumerate(paths):
            _put(changed, path, odd_number(number))
        return self.render(chart, release, namespace, changed, post)

    def default_paths(self, chart: Chart, wanted: re.Pattern[str]) -> list[KeyPath]:
        """The paths of whole numbers among a chart's own defaults whose dotted form is `wanted`."""
        with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
            file = unpacked(chart, Path(folder)) / "values.yaml"
            documents = parse(file.read_text("utf-8", "replace")) if file.is_file() else ()
            return [
                path
                for document in documents[:1]
                for path, node in walk(document.root)
                if all(isinstance(key, str) for key in path)
                and (node.is_null or node.value.isdigit())
                and wanted.search(dotted(path))
            ]

    def _candidates(self, chart: Chart, values: Mapping[str, object]) -> Iterator[KeyPath]:
        yield from _resource_keys(values)
        with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
            yield from _default_keys(unpacked(chart, Path(folder)), ())


def _is_for_removal(item: Object) -> bool:
    """Whether an object is made only when its release is removed, when no amount matters."""
    hooks = item.node.text(*HOOK) or ""
    return bool(hooks) and _REMOVAL.issuperset(hook.strip() for hook in hooks.split(","))


def _symbolic_links(folder: str, names: list[str]) -> list[str]:
    """What not to copy: links, which may lead out of the chart."""
    return [name for name in names if (Path(folder) / name).is_symlink()]


def _vendored(chart: Path, name: str) -> bool:
    folder = chart / "charts"
    return (folder / name).is_dir() or any(folder.glob(f"{name}-*.tgz"))


def _mapping_in(file: Path) -> dict[str, object]:
    """The first document of a file as plain values; empty where helm will say what is wrong."""
    try:
        documents = parse(file.read_text("utf-8", "replace")) if file.is_file() else ()
        return mapping_of(documents[0].root) if documents else {}
    except YamlError:
        return {}


def _entries(value: object) -> list[dict[str, object]]:
    listed = value if isinstance(value, list) else []
    return [entry for entry in listed if isinstance(entry, dict)]


def _text(entry: Mapping[str, object], key: str) -> str | None:
    return None if entry.get(key) is None else str(entry[key])


def _default_keys(folder: Path, prefix: KeyPath) -> Iterator[KeyPath]:
    """The candidate paths among a chart's own defaults and those of its subcharts."""
    file = folder / "values.yaml"
    if file.is_file():
        documents = parse(file.read_text("utf-8", "replace"))
        for document in documents[:1]:
            yield from ((*prefix, *path) for path in _node_keys(document.root))
    for below in sorted((folder / "charts").glob("*/")):
        if (below / "values.yaml").is_file() and len(prefix) < 3:
            yield from _default_keys(below, (*prefix, below.name))


def _node_keys(root: Node) -> Iterator[KeyPath]:
    for path, node in walk(root):
        if not path or not all(isinstance(key, str) for key in path):
            continue
        mapping = node.kind == "mapping" or node.is_null
        if mapping and _takes_amounts(str(path[-1]), _outline(node)):
            yield path


def _outline(node: Node) -> dict[str, dict[str, None]]:
    """The keys of a mapping, and those of each mapping in it."""
    return {key: dict.fromkeys(k for k, _ in below.mapping()) for key, below in node.mapping()}


def _resource_keys(values: Mapping[str, object], prefix: KeyPath = ()) -> Iterator[KeyPath]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            path = (*prefix, key)
            if _takes_amounts(key, value):
                yield path
            elif len(prefix) < _DEEPEST:
                yield from _resource_keys(value, path)


def _takes_amounts(key: str, value: object) -> bool:
    """Whether a mapping is one of requests and limits, by its name or by what it states.

    One that is called resources may also hold such a mapping for each of several containers.
    """
    below = value.values() if isinstance(value, Mapping) else ()
    named = _RESOURCES.fullmatch(key) is not None
    return _states_amounts(value) or (named and not any(map(_states_amounts, below)))


def _states_amounts(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and _PARTS.issuperset(value)


def odd_number(place: int) -> int:
    """A number that stands nowhere else, for the path at that place of a list.

    Of six digits: Go writes larger ones of JSON with an exponent.
    """
    return _ODD + place


def _put(values: dict[str, object], path: KeyPath, value: object) -> None:
    """Set a path of keys, making the mappings on the way; lists on the way are there already."""
    scope: object = values
    for key, following in zip(path, (*path[1:], None), strict=True):
        last = following is None
        if isinstance(scope, list) and isinstance(key, int):
            if last:
                scope[key] = value
            scope = scope[key]
        elif isinstance(scope, dict):
            below = scope.get(str(key))
            if last or not isinstance(below, dict | list):
                below = scope[str(key)] = value if last else {}
            scope = below


def _amounts(found: object) -> set[str]:
    requests = found.get("requests") if isinstance(found, dict) else None
    memory = requests.get("memory") if isinstance(requests, dict) else None
    return {str(memory)}


def _renderable(value: object) -> object:
    """Values with every open ``${VARIABLE}`` replaced by a word, so that names stay valid."""
    if isinstance(value, Mapping):
        return {str(key): _renderable(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_renderable(below) for below in value]
    return _VARIABLE.sub("substituted", value) if isinstance(value, str) else value
