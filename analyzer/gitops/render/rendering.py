"""The proof by rendering: what the cluster would get, before an edit and after it.

`helm template` and `kubectl kustomize` run offline, in a temporary folder, without the user's
kubeconfig, plugins or repositories. A chart is rendered when it lies in the repository or in a
folder the configuration names; nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import GitOpsError
from analyzer.gitops.index.place import Release
from analyzer.gitops.reach import custom
from analyzer.gitops.reach.objects import POD_PATHS, Object, objects_of
from analyzer.gitops.reach.repository import Source
from analyzer.gitops.text.edit import FIELDS, Address, Field
from analyzer.gitops.text.spelling import amounts
from analyzer.gitops.text.tree import Node, YamlError, parse, plain, walk
from analyzer.gitops.text.tree import Path as KeyPath
from analyzer.quantity import Resources

_TIMEOUT = 120.0
_BUDGET = 5_000_000
_RESOURCES = re.compile(r"\w*[rR]esources")
_REMOTE = re.compile(r"://|^git@|^github\.com/|\?ref=")
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_SENTINEL = 7_340_033
_APIS = ("monitoring.coreos.com/v1", "policy/v1", "networking.k8s.io/v1", "cert-manager.io/v1")


class RenderError(GitOpsError):
    """A chart or kustomization could not be rendered; the text is what the program said."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs a proof may use, and the folders in which charts lie. None: not to be had."""

    kubectl: Path | None = None
    helm: Path | None = None
    charts: tuple[Path, ...] = ()


def find_tools(charts: Iterable[Path] = (), *, path: str | None = None) -> Tools:
    """The programs on `path` (the process's own by default), with the given chart folders."""
    kubectl, helm = (shutil.which(name, path=path) for name in ("kubectl", "helm"))
    return Tools(Path(kubectl) if kubectl else None, Path(helm) if helm else None, tuple(charts))


@dataclass(frozen=True, slots=True, order=True)
class Sink:
    """A container as rendered: where a `resources` mapping ends up."""

    kind: str
    workload: str
    container: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.workload}/{self.container}"


@dataclass(frozen=True)
class Rendering:
    """The objects of one rendering, and the program that made them."""

    program: str
    objects: tuple[Object, ...]

    def sinks(self) -> dict[Sink, object]:
        """The resources of every container, as plain values."""
        return {sink: None if node is None else plain(node) for sink, node in self._sinks()}

    def _sinks(self) -> Iterator[tuple[Sink, Node | None]]:
        for item in self.objects:
            if item.is_workload:
                yield from _containers(item.kind, item.name, item.node, POD_PATHS[item.kind])
            for kind, name, path in custom.pod_template(item.group, item.kind, item.node):
                yield from _containers(kind, name, item.node, path)
            for rule in custom.rules_for(item.group, item.kind):
                pattern = custom.workload_pattern(rule, item.name, item.node).pattern
                workload = pattern if rule.pattern else pattern.replace("\\", "")
                sink = Sink(rule.workload_kind, workload, rule.container)
                yield sink, item.node.at(*rule.path)

    def rest(self) -> dict[tuple[str, str, str, int], object]:
        """Every object without the resources of its containers, for comparing the remainder."""
        found: dict[tuple[str, str, str, int], object] = {}
        for item in self.objects:
            value = plain(item.node, _BUDGET)
            for path in _resource_paths(item):
                _drop(value, path)
            key = (item.kind, item.namespace or "", item.name)
            number = sum(1 for known in found if known[:3] == key)
            found[(*key, number)] = value
        return found


def _containers(
    kind: str, name: str, node: Node, path: KeyPath
) -> Iterator[tuple[Sink, Node | None]]:
    for group in ("containers", "initContainers"):
        for container in node.sequence(*path, group):
            yield Sink(kind, name, container.text("name") or ""), container.at("resources")


def _resource_paths(item: Object) -> list[KeyPath]:
    paths: list[KeyPath] = [rule.path for rule in custom.rules_for(item.group, item.kind)]
    templates = [path for _, _, path in custom.pod_template(item.group, item.kind, item.node)]
    if item.is_workload:
        templates.append(POD_PATHS[item.kind])
    for path in templates:
        for group in ("containers", "initContainers"):
            count = len(item.node.sequence(*path, group))
            paths += [(*path, group, number, "resources") for number in range(count)]
    return paths


def _drop(value: object, path: KeyPath) -> None:
    for key in path[:-1]:
        if isinstance(value, dict):
            value = value.get(str(key))
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return
    if isinstance(value, dict):
        value.pop(str(path[-1]), None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two renderings."""

    program: str
    after: Mapping[Sink, object]
    changed: frozenset[Sink]
    elsewhere: tuple[str, ...]

    def problem(self, intended: Mapping[Sink, Resources]) -> str | None:
        """What speaks against it; None where the intended containers alone changed, as meant."""
        if self.elsewhere:
            return f"{self.elsewhere[0]} changed as well"
        if self.changed != intended.keys():
            count = f"{len(self.changed)} of {len(self.after)} containers changed"
            odd = sorted(self.changed ^ intended.keys())
            return f"{count}, not as intended: {', '.join(map(str, odd[:3]))}"
        for sink, wanted in sorted(intended.items()):
            found = amounts(_stated(self.after.get(sink)))
            if found != wanted:
                return f"{sink} would get other amounts than the file states"
        return None


def _stated(resources: object) -> dict[Field, str]:
    """The requests and limits of a rendered container, as written."""
    found: dict[Field, str] = {}
    for field in FIELDS:
        part, name = field.split(".")
        amounts_of_part = resources.get(part) if isinstance(resources, Mapping) else None
        value = amounts_of_part.get(name) if isinstance(amounts_of_part, Mapping) else None
        if value is not None:
            found[field] = str(value)
    return found


def compare(before: Rendering, after: Rendering, noise: Iterable[object] = ()) -> Comparison:
    """Hold two renderings against each other.

    `noise` are keys of `Rendering.rest` that differ between two renderings of the same input,
    such as generated passwords, and so say nothing.
    """
    old, new = before.sinks(), after.sinks()
    changed = frozenset(s for s in old.keys() | new.keys() if old.get(s) != new.get(s))
    left, right, skip = before.rest(), after.rest(), set(noise)
    elsewhere = [
        "/".join(map(str, key[:3]))
        for key in sorted(left.keys() | right.keys())
        if key not in skip and left.get(key) != right.get(key)
    ]
    return Comparison(after.program, new, changed, tuple(elsewhere))


def noise_of(first: Rendering, second: Rendering) -> list[tuple[str, str, str, int]]:
    """What differs between two renderings of the same input."""
    left, right = first.rest(), second.rest()
    return [key for key in left.keys() | right.keys() if left.get(key) != right.get(key)]


# --- programs ---------------------------------------------------------------------------------


def _run(command: Sequence[str], home: Path) -> str:
    """Run one program in `home`, which is all it sees as its home. Raises `RenderError`."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "KUBECONFIG": os.devnull,
        "HELM_CACHE_HOME": str(home / "cache"),
        "HELM_CONFIG_HOME": str(home / "config"),
        "HELM_DATA_HOME": str(home / "data"),
        "HELM_PLUGINS": str(home / "plugins"),
    }
    try:
        done = subprocess.run(
            command, cwd=home, env=environment, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise RenderError(f"{Path(command[0]).name} did not finish in {_TIMEOUT:.0f} s") from err
    except OSError as err:
        raise RenderError(f"{command[0]} could not be started: {err.strerror}") from err
    if done.returncode != 0:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[-300:]
        raise RenderError(f"{Path(command[0]).name} failed: {said}")
    return done.stdout.decode("utf-8", "replace")


def _objects(text: str, program: str) -> Rendering:
    try:
        source = Source("rendered", text, parse(text))
    except YamlError as err:
        raise RenderError(f"{program} wrote something that is no YAML: {err}") from err
    return Rendering(program, tuple(objects_of(source)))


def helm_version(helm: Path) -> str:
    """The version as shown in proofs, such as ``helm 4.3.1``. Raises `RenderError`."""
    return f"helm {_version([str(helm), 'version', '--short'], '')}"


def kustomize_version(kubectl: Path) -> str:
    """As shown in proofs, such as ``kubectl kustomize 5.8.1``. Raises `RenderError`."""
    return f"kubectl kustomize {_version([str(kubectl), 'version', '--client'], 'Kustomize')}"


def kubectl_version(kubectl: Path) -> str:
    """The client's version, such as ``kubectl 1.37.0``. Raises `RenderError`."""
    return f"kubectl {_version([str(kubectl), 'version', '--client'], 'Client')}"


def _version(command: Sequence[str], after: str) -> str:
    """The first version that a program names behind the word `after`."""
    with tempfile.TemporaryDirectory(prefix="rightsize-") as home:
        said = _run(command, Path(home))
    match = re.search(rf"{after}.*?(\d+\.\d+\.\d+)", said)
    return match.group(1) if match else "of an unknown version"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart on disk: a folder with Chart.yaml, or an archive of one."""

    name: str
    version: str
    path: Path


def charts_in(folders: Iterable[Path]) -> list[Chart]:
    """Every chart in the given folders, at most four levels down, archives included."""
    found = []
    for folder in folders:
        for depth in ("", "*/", "*/*/", "*/*/*/"):
            for file in sorted(folder.glob(f"{depth}Chart.yaml")):
                found.append(_chart_at(file.parent))
            for archive in sorted(folder.glob(f"{depth}*.tgz")):
                found.append(_chart_archive(archive))
    return [chart for chart in found if chart is not None]


def _chart_at(folder: Path) -> Chart | None:
    return _chart_of((folder / "Chart.yaml").read_text("utf-8", "replace"), folder)


def _chart_archive(archive: Path) -> Chart | None:
    try:
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.name.count("/") == 1 and member.name.endswith("/Chart.yaml"):
                    stream = opened.extractfile(member)
                    text = stream.read().decode("utf-8", "replace") if stream else ""
                    return _chart_of(text, archive)
    except (tarfile.TarError, OSError):
        return None
    return None


def _chart_of(text: str, path: Path) -> Chart | None:
    try:
        root = parse(text)[0].root
    except (YamlError, IndexError):
        return None
    name, version = root.text("name"), root.text("version")
    return Chart(name, version, path) if name and version else None


def find_chart(charts: Sequence[Chart], name: str, version: str | None) -> Chart | None:
    """The chart of that name and exact version; of an open version, the only one there is."""
    named = [chart for chart in charts if chart.name == name]
    exact = [c for c in named if version and c.version.lstrip("v") == version.lstrip("v")]
    if exact:
        return exact[0]
    open_version = version is None or re.search(r"[<>=^~*x| ]", version) is not None
    versions = {chart.version for chart in named}
    return named[0] if open_version and len(versions) == 1 else None


class Helm:
    """Renders releases with one helm and the charts that are at hand."""

    def __init__(self, helm: Path, charts: Sequence[Chart]) -> None:
        self._helm = helm
        self._charts = charts
        self._folder = tempfile.TemporaryDirectory(prefix="rightsize-")
        self._prepared: dict[Path, Path] = {}
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
        self, chart: Chart, release: str, namespace: str, values: Mapping[str, object]
    ) -> Rendering:
        """What helm makes of `values`. Raises `RenderError` with what helm said."""
        with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
            home = Path(folder)
            file = home / "values.json"
            file.write_text(json.dumps(_renderable(values)), "utf-8")
            command = [str(self._helm), "template", release, str(self._prepare(chart))]
            command += ["--namespace", namespace, "--values", str(file)]
            command += ["--skip-schema-validation", "--include-crds=false"]
            command += [part for api in _APIS for part in ("--api-versions", api)]
            return _objects(_run(command, home), self.program)

    def _prepare(self, chart: Chart) -> Path:
        """The chart's path, as a copy with its dependencies where these lie beside it."""
        if chart.path not in self._prepared:
            self._prepared[chart.path] = self._with_dependencies(chart)
        return self._prepared[chart.path]

    def _with_dependencies(self, chart: Chart) -> Path:
        if chart.path.is_file():
            return chart.path
        root = parse((chart.path / "Chart.yaml").read_text("utf-8"))[0].root
        missing = [
            find_chart(self._charts, entry.text("name") or "", entry.text("version"))
            for entry in root.sequence("dependencies")
            if not _vendored(chart.path, entry.text("name") or "")
        ]
        target = Path(self._folder.name) / f"{len(self._prepared)}" / chart.name
        shutil.copytree(chart.path, target, ignore=_symbolic_links)
        (target / "Chart.lock").unlink(missing_ok=True)
        (target / "charts").mkdir(exist_ok=True)
        for dependency in missing:
            if dependency is None:
                continue
            below = target / "charts" / dependency.path.name
            if dependency.path.is_file():
                shutil.copyfile(dependency.path, below)
            else:
                shutil.copytree(dependency.path, below, ignore=_symbolic_links)
        return target

    def sentinels(
        self, chart: Chart, release: str, namespace: str, values: Mapping[str, object]
    ) -> dict[KeyPath, frozenset[Sink]]:
        """Which containers each candidate path among the values decides.

        Every candidate gets an odd amount of memory of its own, the chart is rendered once, and
        each amount is looked for in the output. A path that lands nowhere maps to an empty set:
        the chart ignores it, or the part it belongs to is switched off.
        """
        candidates = sorted(set(self._candidates(chart, values)), key=str)
        marked: dict[str, object] = json.loads(json.dumps(_renderable(values)))
        for number, path in enumerate(candidates):
            _put(marked, path, {"requests": {"memory": _SENTINEL + number}})
        rendered = self.render(chart, release, namespace, marked).sinks()
        landed: dict[KeyPath, frozenset[Sink]] = {}
        for number, path in enumerate(candidates):
            odd = str(_SENTINEL + number)
            landed[path] = frozenset(s for s, found in rendered.items() if odd in _amounts(found))
        return landed

    def _candidates(self, chart: Chart, values: Mapping[str, object]) -> Iterator[KeyPath]:
        yield from _resource_keys(values)
        with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
            yield from _default_keys(_unpacked(chart, Path(folder)), ())


def _symbolic_links(folder: str, names: list[str]) -> list[str]:
    """What not to copy: links, which may lead out of the chart."""
    return [name for name in names if (Path(folder) / name).is_symlink()]


def _vendored(chart: Path, name: str) -> bool:
    folder = chart / "charts"
    return (folder / name).is_dir() or any(folder.glob(f"{name}-*.tgz"))


def _unpacked(chart: Chart, home: Path) -> Path:
    if chart.path.is_dir():
        return chart.path
    with tarfile.open(chart.path) as archive:
        archive.extractall(home, filter="data")
    return next(file.parent for file in home.glob("*/Chart.yaml"))


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
        mapping = node.kind == "mapping" or node.is_null
        keys = bool(path) and all(isinstance(key, str) for key in path)
        if keys and mapping and _RESOURCES.fullmatch(str(path[-1])):
            yield path


def _resource_keys(values: Mapping[str, object], prefix: KeyPath = ()) -> Iterator[KeyPath]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            if _RESOURCES.fullmatch(key):
                yield (*prefix, key)
            elif len(prefix) < 12:
                yield from _resource_keys(value, (*prefix, key))


def _put(values: dict[str, object], path: KeyPath, value: object) -> None:
    scope = values
    for key in path[:-1]:
        below = scope.setdefault(str(key), {})
        if not isinstance(below, dict):
            below = scope[str(key)] = {}
        scope = below
    scope[str(path[-1])] = value


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


# --- kustomize --------------------------------------------------------------------------------


class Kustomize:
    """Builds kustomizations of a repository from texts in memory, in a copy that is thrown away."""

    def __init__(self, kubectl: Path, texts: Mapping[str, str]) -> None:
        self._kubectl = kubectl
        self._texts = texts
        self._folder = tempfile.TemporaryDirectory(prefix="rightsize-")
        self._copy = Path(self._folder.name) / "repository"
        self._write(texts)
        self.program = kustomize_version(kubectl)

    def build(
        self,
        folder: str,
        edits: Mapping[str, str],
        without: Mapping[str, Container[str]] | None = None,
    ) -> Rendering:
        """The objects of one folder, with some files replaced. Raises `RenderError`.

        `without` maps kustomization files to entries that are left out, such as remote ones.
        """
        texts = dict(edits)
        for file, entries in (without or {}).items():
            texts[file] = _without(texts.get(file, self._texts[file]), entries)
        self._write(texts)
        try:
            command = [str(self._kubectl), "kustomize", str(self._copy / folder)]
            return _objects(_run(command, Path(self._folder.name)), self.program)
        finally:
            self._write({file: self._texts[file] for file in texts if file in self._texts})

    def _write(self, texts: Mapping[str, str]) -> None:
        for file, text in texts.items():
            path = self._copy / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8"))


def _without(text: str, entries: Container[str]) -> str:
    """A kustomization without some entries of its lists, as JSON, which kustomize reads as well."""
    kustomization = plain(parse(text)[0].root)
    if not isinstance(kustomization, dict):
        return text
    kept = {
        key: [item for item in value if item not in entries]
        if isinstance(value, list) and all(isinstance(item, str) for item in value)
        else value
        for key, value in kustomization.items()
        if key not in entries
    }
    return json.dumps(kept)


def is_remote(reference: str) -> bool:
    """Whether a kustomization's reference leads to the network."""
    return _REMOTE.search(reference) is not None


__all__ = [
    "Address",
    "Chart",
    "Comparison",
    "Helm",
    "Kustomize",
    "RenderError",
    "Rendering",
    "Sink",
    "Tools",
    "charts_in",
    "compare",
    "find_chart",
    "find_tools",
    "helm_version",
    "is_remote",
    "kubectl_version",
    "kustomize_version",
    "noise_of",
]
