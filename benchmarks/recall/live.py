"""The cluster that a repository makes, built as its controllers build it.

Nothing of the product is used but the programs it renders with: kustomize builds every Flux
Kustomization and Argo CD Application in place, as kustomize-controller and Argo CD do, variables
are filled in after the build, and helm renders every release whose chart lies in the repository or
in a folder of charts. What only a network, a key or an operator could add is left out.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

Doc = dict[str, Any]
FLUX, HELM, ARGO = "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io", "argoproj.io"
NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
NEVER = ("helmCharts", "helmChartInflationGenerator", "openapi", "generators", "transformers")
GENERATORS = ("configMapGenerator", "secretGenerator")
LISTS = ("resources", "bases", "components", "crds", "configurations", "patchesStrategicMerge")
APIS = ("monitoring.coreos.com/v1", "policy/v1", "networking.k8s.io/v1", "cert-manager.io/v1")
PODS = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"),
        ("spec", "template", "spec"),
    ),
}
VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?::?[=-]([^}]*))?\}")
GO_FIELD = re.compile(r"\{\{-?\s*\.?([\w.\-\[\]]+)\s*-?\}\}")


@dataclass(frozen=True, order=True)
class Container:
    """One container of the cluster, by the names it runs under."""

    namespace: str
    kind: str
    workload: str
    name: str


@dataclass(frozen=True)
class Settings:
    """What a container states: its type and its `resources`."""

    type: str
    resources: Doc


@dataclass
class Cluster:
    """What arrives in the cluster, and what could not be built."""

    objects: dict[tuple[str, str, str], Doc] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def containers(self) -> dict[Container, Settings]:
        """Every container of every workload that is no hook."""
        found = {}
        for (kind, namespace, name), doc in sorted(self.objects.items()):
            hook = "helm.sh/hook" in (doc.get("metadata", {}).get("annotations") or {})
            if kind not in PODS or hook or not _name(doc) or "${" in f"{namespace}{name}":
                continue
            for group, spec in _containers(doc, kind):
                container = Container(namespace, kind, name, str(spec.get("name")))
                found[container] = Settings(_type(group, spec), spec.get("resources") or {})
        return found

    def leaves(self) -> dict[tuple[object, ...], object]:
        """Every value of every object, by object and path; containers go by their names."""
        found: dict[tuple[object, ...], object] = {}
        for key, doc in self.objects.items():
            for path, value in _leaves(doc, ()):
                found[key, path] = value
        return found


def build(root: Path, charts: Path | None, entry: str = "", programs: str = "") -> Cluster:
    """The cluster that the folder `entry` of the repository at `root` makes."""
    with tempfile.TemporaryDirectory(prefix="live-") as folder:
        where = Path(folder).resolve() / "repository"
        shutil.copytree(root, where, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        return _Controllers(where, charts, programs or os.environ["PATH"]).run(entry)


class _Controllers:
    """Everything that turns files into objects, over a copy that may be written to."""

    def __init__(self, root: Path, charts: Path | None, path: str) -> None:
        self.root, self.path = root, path
        self.cluster = Cluster()
        self.done: set[tuple[str, str, str]] = set()
        self.releases: list[Doc] = []
        self._read: list[tuple[Path, Doc]] | None = None
        self.charts = _charts_in(charts)
        self.sources: dict[str, Doc] = {}
        self.configs: dict[str, Doc] = {}
        self._make_local()
        for _, doc in self._files(root):
            name = str(_name(doc))
            if doc.get("kind") in ("OCIRepository", "HelmChart"):
                self.sources.setdefault(name, doc)
            elif doc.get("kind") in ("ConfigMap", "Secret") and "sops" not in doc:
                self.configs.setdefault(name, doc)

    def run(self, entry: str) -> Cluster:
        """Start from what nothing else makes, then follow whatever arrives."""
        where = self.root / entry
        seeds = [(file, doc) for file, doc in self._files(where) if _is_route(doc)]
        made = {name for _, doc in seeds for name in self._makes(doc)}
        folders = [(folder, other) for _, other in seeds for folder in self._folders(other)]
        for file, doc in seeds:
            above = any(f in file.parents and other is not doc for f, other in folders)
            if (doc["kind"], str(_name(doc))) not in made and not above:
                self.arrive(copy.deepcopy(doc), "")
        if (where / "Chart.yaml").is_file():
            self.take(self._helm(where, where.name, "argocd", {}), "argocd")
        sets = [found for _, doc in self._files(where) for found in _application_sets(doc)]
        for spec in sets:
            self._attempt("an ApplicationSet among values", partial(self._set, spec))
        if not seeds and not sets and not (where / "Chart.yaml").is_file():
            self._attempt(str(where), lambda: self.take(self._folder(where), ""))
        for release in self.releases:
            self._attempt(f"HelmRelease {_name(release)}", partial(self._release, release))
        return self.cluster

    def _makes(self, doc: Doc) -> set[tuple[str, str]]:
        """The routes that another route's folder holds once it is built."""
        built: list[Doc] = []
        for folder in self._folders(doc):
            if any(_is_route(below) for _, below in self._files(folder)):
                self._attempt(str(folder), partial(self._add_folder, built, folder))
        made = {(d["kind"], str(_name(d))) for d in built if _is_route(d)}
        return made - {(doc["kind"], str(_name(doc)))}

    def _add_folder(self, built: list[Doc], folder: Path) -> None:
        built += self._folder(folder)

    def _folders(self, doc: Doc) -> list[Path]:
        """The folder of this repository that a route applies, if it is one that can be built."""
        spec = doc["spec"]
        path = str(spec.get("path") or (spec.get("source") or {}).get("path") or "")
        source = spec.get("sourceRef") or {}
        if source.get("kind") == "ExternalArtifact":
            path = self._copied_from(str(source.get("name")), path.removeprefix("./"))
        folder = (self.root / path.removeprefix("./").strip("/")).resolve()
        whole = source.get("name") == "flux-system" and path.strip("./") == ""
        named = path.strip("./") != "" and "{" not in path
        if named and not folder.is_dir():  # it counts from a folder that is packaged as a whole
            below = [found for found in self.root.glob(f"*/{path.strip('./')}") if found.is_dir()]
            folder = below[0] if len(below) == 1 else folder
        return [folder] if (named or whole) and folder.is_dir() else []

    def _copied_from(self, artifact: str, path: str) -> str:
        """The path in the repository of one in an artifact that copies some of its folders."""
        for _, doc in self._files(self.root):
            made = doc.get("spec") or {} if doc.get("kind") == "ArtifactGenerator" else {}
            for entry in made.get("artifacts") or []:
                for step in entry.get("copy") or [] if entry.get("name") == artifact else []:
                    to = str(step["to"]).removeprefix("@artifact/")
                    if f"{path}/".startswith(to):
                        origin = str(step["from"]).partition("/")[2].removesuffix("**")
                        return origin + f"{path}/".removeprefix(to)
        return ""

    def take(self, docs: Iterable[Doc], namespace: str) -> None:
        """Everything that one build made."""
        for doc in docs:
            self.arrive(doc, namespace)

    def arrive(self, doc: Doc, namespace: str) -> None:
        """One object is applied; routes among them are followed."""
        metadata = doc.setdefault("metadata", {}) or {}
        where = str(metadata.get("namespace") or namespace or "default")
        key = (str(doc.get("kind")), where, str(metadata.get("name")))
        if key in self.done and _is_route(doc):
            return
        self.done.add(key)
        self.cluster.objects[key] = doc
        group = str(doc.get("apiVersion", "")).rpartition("/")[0]
        what = "/".join(key)
        if group == FLUX and _is_route(doc):
            self._attempt(what, lambda: self._flux(doc))
        elif group == HELM and "spec" in doc:
            metadata["namespace"] = where
            self.releases.append(doc)
        elif group == ARGO and doc["kind"] == "Application" and "spec" in doc:
            self._attempt(what, lambda: self._argo(doc["spec"], str(metadata.get("name"))))
        elif group == ARGO and doc["kind"] == "ApplicationSet":
            self._attempt(what, lambda: self._set(doc["spec"]))

    def _attempt(self, what: str, work: Any) -> None:
        try:
            work()
        except _BuildError as err:
            self.cluster.problems.append(f"{what}: {err}")

    # --- Flux ---

    def _flux(self, doc: Doc) -> None:
        spec = doc["spec"]
        if spec.get("suspend"):
            return
        added: Doc = {key: spec[key] for key in ("patches", "components", "images") if key in spec}
        added |= {key: spec[key] for key in ("namePrefix", "nameSuffix") if key in spec}
        if spec.get("targetNamespace"):
            added["namespace"] = spec["targetNamespace"]
        for folder in self._folders(doc):
            text = self._kustomize(folder, added)
            self.take(self._substituted(text, spec.get("postBuild") or {}), "")

    def _substituted(self, text: str, post: Doc) -> Iterator[Doc]:
        known, closed = {}, False
        for reference in post.get("substituteFrom") or []:
            found = self.configs.get(str(reference.get("name")))
            closed |= found is None
            data = {} if found is None else {**(found.get("stringData") or {})}
            data |= {} if found is None else found.get("data") or {}
            known |= {str(key): str(value) for key, value in data.items()}
        known |= {str(key): str(value) for key, value in (post.get("substitute") or {}).items()}
        for doc in _documents(text):
            marks = doc.get("metadata") or {}
            marks = {**(marks.get("labels") or {}), **(marks.get("annotations") or {})}
            if not post or marks.get(f"{FLUX}/substitute") == "disabled":
                yield doc
            else:
                yield from _documents(_substitute(yaml.safe_dump(doc, width=10**6), known, closed))

    # --- helm ---

    def _release(self, doc: Doc) -> None:
        spec, metadata = doc["spec"], doc["metadata"]
        chart = self._chart_of(spec)
        if chart is None or spec.get("suspend"):
            raise _BuildError("its chart is not at hand" if chart is None else "it is suspended")
        values: Doc = {}
        for reference in spec.get("valuesFrom") or []:
            found = self._config(str(reference.get("name")))
            text = (found.get("data") or {}).get(reference.get("valuesKey", "values.yaml"))
            if text is not None and "targetPath" not in reference:
                values = _merged(values, next(iter(_documents(str(text))), {}))
        values = _merged(values, spec.get("values") or {})
        target = str(spec.get("targetNamespace") or metadata["namespace"])
        name = spec.get("releaseName") or "-".join(
            filter(None, (spec.get("targetNamespace"), metadata["name"]))
        )
        docs = self._helm(chart, str(name), target, values)
        for step in spec.get("postRenderers") or []:
            docs = self._post(docs, step.get("kustomize") or {})
        self.take(docs, target)

    def _config(self, name: str) -> Doc:
        found = [
            d
            for (kind, _, own), d in self.cluster.objects.items()
            if kind in ("ConfigMap", "Secret") and (own == name or own.startswith(f"{name}-"))
        ]
        return found[0] if found else {}

    def _chart_of(self, spec: Doc) -> Path | None:
        wanted = (spec.get("chart") or {}).get("spec") or {}
        name, version = wanted.get("chart"), wanted.get("version")
        if "chartRef" in spec:
            source = self.sources.get(str(spec["chartRef"].get("name")), {}).get("spec") or {}
            name = str(source.get("url") or source.get("chart") or "").rstrip("/")
            version = (source.get("ref") or {}).get("tag") or source.get("version")
        if (wanted.get("sourceRef") or {}).get("kind") == "GitRepository":
            folder = self.root / str(name)
            return folder if (folder / "Chart.yaml").is_file() else None
        return self._chart(str(name).rpartition("/")[2], version)

    def _chart(self, name: str, version: object) -> Path | None:
        wanted = str(version or "").removeprefix("v")
        named = self.charts.get(name, {})
        if wanted in named:
            return named[wanted]
        return named[""] if "" in named and re.fullmatch(r"[\dv.]*", wanted) is None else None

    def _helm(self, chart: Path, name: str, namespace: str, values: Doc) -> list[Doc]:
        with tempfile.TemporaryDirectory(prefix="live-") as home:
            file = Path(home) / "values.json"
            file.write_text(json.dumps(values, default=str, ensure_ascii=False), "utf-8")
            chart = self._with_dependencies(chart, Path(home))
            command = ["helm", "template", name[:53], str(chart), "--namespace", namespace]
            command += ["--values", str(file), "--skip-schema-validation", "--skip-tests"]
            command += [part for api in APIS for part in ("--api-versions", api)]
            return list(_documents(self._run(command)))

    def _with_dependencies(self, chart: Path, home: Path) -> Path:
        """The chart, in a copy with those of its dependencies that are at hand if some are not."""
        about = _only(chart / "Chart.yaml")
        named = about.get("dependencies") or []
        missing = [each for each in named if not list((chart / "charts").glob(f"{each['name']}*"))]
        if not missing:
            return chart
        target = home / chart.name
        shutil.copytree(chart, target)
        for each in missing:
            found = self._chart(str(each["name"]), each.get("version"))
            if found is None:
                named = [other for other in named if other is not each]
                self.cluster.problems.append(f"{chart.name}: no chart {each['name']} at hand")
            else:
                shutil.copytree(found, target / "charts" / str(each["name"]))
        (target / "Chart.lock").unlink(missing_ok=True)
        (target / "Chart.yaml").write_text(json.dumps({**about, "dependencies": named}), "utf-8")
        return target

    def _post(self, docs: Sequence[Doc], added: Doc) -> list[Doc]:
        with tempfile.TemporaryDirectory(prefix="live-") as home:
            (Path(home) / "all.yaml").write_text(yaml.safe_dump_all(docs), "utf-8")
            whole = {**added, "resources": ["all.yaml"]}
            (Path(home) / NAMES[0]).write_text(json.dumps(whole), "utf-8")
            return list(_documents(self._run(["kubectl", "kustomize", home])))

    # --- Argo CD ---

    def _argo(self, spec: Doc, name: str) -> None:
        namespace = str((spec.get("destination") or {}).get("namespace") or "default")
        sources = spec.get("sources") or [spec.get("source") or {}]
        for source in sources:
            self.take(self._source(source, name, namespace), namespace)

    def _source(self, source: Doc, name: str, namespace: str) -> list[Doc]:
        folder = self.root / str(source.get("path") or "").strip("/")
        helm, kustomize = source.get("helm") or {}, source.get("kustomize") or {}
        chart = folder if source.get("path") else None
        if source.get("chart"):
            chart = self._chart(str(source["chart"]).rpartition("/")[2], source["targetRevision"])
        if source.get("ref") or chart is None or not chart.is_dir():
            return []
        if (chart / "Chart.yaml").is_file():
            values = self._values(helm, chart)
            return self._helm(chart, str(helm.get("releaseName") or name), namespace, values)
        if _kustomization(folder) is not None:
            keys = ("patches", "images", "namePrefix", "nameSuffix", "namespace", "components")
            added = {key: kustomize[key] for key in keys if key in kustomize and key != "images"}
            return list(_documents(self._kustomize(folder, added)))
        deep = (source.get("directory") or {}).get("recurse")
        files = sorted(folder.rglob("*") if deep else folder.glob("*"))
        return [d for f in files if _is_manifest(f) for d in _documents(f.read_text("utf-8"))]

    def _values(self, helm: Doc, chart: Path) -> Doc:
        values: Doc = {}
        for file in helm.get("valueFiles") or []:
            path = self.root / str(file).partition("/")[2] if str(file)[0] == "$" else chart / file
            if path.is_file():
                values = _merged(values, next(_documents(path.read_text("utf-8")), {}))
        values = _merged(values, next(_documents(str(helm.get("values") or "")), {}))
        values = _merged(values, helm.get("valuesObject") or {})
        for parameter in helm.get("parameters") or []:
            keys = str(parameter["name"]).split(".")
            below: Any = parameter.get("value")
            for key in reversed(keys):
                below = {key: below}
            values = _merged(values, below)
        return values

    def _set(self, spec: Doc) -> None:
        for generator in spec.get("generators") or []:
            for parameters in self._generated(generator):
                template = _templated(spec["template"], parameters)
                if (template.get("metadata") or {}).get("name"):
                    head = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}
                    self.arrive({**head, **template}, "argocd")

    def _generated(self, generator: Doc) -> Iterator[dict[str, object]]:
        if "list" in generator:
            for element in generator["list"].get("elements") or []:
                yield dict(_flat(element))
        for entry in (generator.get("git") or {}).get("directories") or []:
            for path in sorted(self.root.glob(str(entry["path"]).strip("/"))):
                if path.is_dir():
                    yield self._of_path(path)
        for entry in (generator.get("git") or {}).get("files") or []:
            for path in sorted(self.root.glob(str(entry["path"]).strip("/"))):
                found = next(_documents(path.read_text("utf-8")), {})
                yield {**self._of_path(path.parent), **dict(_flat(found))}
        inner = (generator.get("matrix") or {}).get("generators") or []
        for combined in itertools.product(*(list(self._generated(each)) for each in inner)):
            if inner:
                yield {key: value for each in combined for key, value in each.items()}

    def _of_path(self, path: Path) -> dict[str, object]:
        shown = str(path.relative_to(self.root))
        parts = {f"path[{n}]": part for n, part in enumerate(path.relative_to(self.root).parts)}
        return {"path": shown, "path.path": shown, "path.basename": path.name, **parts}

    # --- kustomize ---

    def _folder(self, folder: Path) -> list[Doc]:
        return list(_documents(self._kustomize(folder, {})))

    def _kustomize(self, folder: Path, added: Doc) -> str:
        """Build a folder with fields added to its own kustomization, as Flux does it in place."""
        file = _kustomization(folder)
        before = None if file is None else file.read_bytes()
        found = self._generated_for(folder) if file is None else _only(file)
        for key in ("patches", "components", "images"):
            if key in added:
                found[key] = [*(found.get(key) or []), *added[key]]
        file = file or folder / NAMES[0]
        try:
            file.write_text(json.dumps({**added, **found} | _scalars(added), default=str), "utf-8")
            anywhere = "--load-restrictor=LoadRestrictionsNone"  # as kustomize-controller has it
            return self._run(["kubectl", "kustomize", str(folder), anywhere])
        finally:
            file.unlink() if before is None else file.write_bytes(before)

    def _generated_for(self, folder: Path) -> Doc:
        """What kustomize-controller writes where a folder has no kustomization."""
        resources = []
        for where, folders, files in os.walk(folder):
            here = Path(where)
            if here != folder and _kustomization(here) is not None:
                resources.append(str(here.relative_to(folder)))
                folders.clear()
                continue
            resources += [
                str((here / f).relative_to(folder)) for f in files if _is_manifest(here / f)
            ]
        return {"resources": sorted(resources)}

    def _make_local(self) -> None:
        """Take out of every kustomization what would be fetched or would start a program."""
        for name in NAMES:
            for file in self.root.rglob(name):
                found = _only(file)
                kept = _local(copy.deepcopy(found), file.parent)
                if kept != found:
                    file.write_text(json.dumps(kept, default=str), "utf-8")

    def _run(self, command: Sequence[str]) -> str:
        environment = {
            "PATH": self.path,
            "HOME": str(self.root),
            "HTTPS_PROXY": "http://127.0.0.1:9",
        }
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={**environment, "HTTP_PROXY": "http://127.0.0.1:9", "GIT_ALLOW_PROTOCOL": "none"},
        )
        if done.returncode:
            raise _BuildError(" ".join(done.stderr.split())[-300:])
        return done.stdout

    def _files(self, where: Path) -> list[tuple[Path, Doc]]:
        """Every document at and below a folder, with its file."""
        if self._read is None:
            files = [file for file in sorted(self.root.rglob("*")) if _is_manifest(file)]
            texts = [(file, file.read_text("utf-8", "replace")) for file in files]
            self._read = [(file, doc) for file, text in texts for doc in _documents(text)]
        return [(file, doc) for file, doc in self._read if where in file.parents]


class _BuildError(Exception):
    """A program could not build something; the text is what it said."""


def _is_route(doc: Doc) -> bool:
    group = str(doc.get("apiVersion", "")).rpartition("/")[0]
    kind = doc.get("kind")
    flux = group == FLUX and kind == "Kustomization"
    argo = group == ARGO and kind in ("Application", "ApplicationSet")
    return (flux or argo) and isinstance(doc.get("spec"), dict)


def _application_sets(doc: Doc) -> list[Doc]:
    """The ApplicationSets that the chart argocd-apps makes of its values."""
    for values in (doc, doc.get("argocd-apps")):
        found = values.get("applicationsets") if isinstance(values, dict) else None
        if isinstance(found, dict):
            return [spec for spec in found.values() if "generators" in spec]
    return []


def _name(doc: Doc) -> object:
    return (doc.get("metadata") or {}).get("name")


def _only(file: Path) -> Doc:
    return next(_documents(file.read_text("utf-8", "replace")), {})


def _documents(text: str) -> Iterator[Doc]:
    """The mappings among the documents of a text; nothing where it is no YAML."""
    try:
        found = [doc for doc in yaml.load_all(text, yaml.CSafeLoader) if isinstance(doc, dict)]
    except (yaml.YAMLError, ValueError):
        return
    for doc in found:
        if str(doc.get("kind", "")).endswith("List") and isinstance(doc.get("items"), list):
            yield from (item for item in doc["items"] if isinstance(item, dict))
        else:
            yield doc


def _containers(doc: Doc, kind: str) -> Iterator[tuple[str, Doc]]:
    spec: Any = doc
    for key in PODS[kind]:
        spec = (spec or {}).get(key)
    for group in ("containers", "initContainers"):
        yield from ((group, each) for each in (spec or {}).get(group) or [])


def _type(group: str, spec: Doc) -> str:
    if group == "containers":
        return "app"
    return "sidecar" if spec.get("restartPolicy") == "Always" else "init"


def _leaves(value: object, path: tuple[object, ...]) -> Iterator[tuple[tuple[object, ...], object]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    elif isinstance(value, list) and value:
        named = all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in value)
        for number, item in enumerate(value):
            yield from _leaves(item, (*path, item["name"] if named else number))
    else:
        yield path, value


def _substitute(text: str, known: Mapping[str, str], closed: bool) -> str:
    """Fill variables in; those that only a closed source may know stay as they are."""

    def filled(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name in known or default is not None or not closed:
            return known.get(name) or default or ""
        return match.group()

    return VARIABLE.sub(filled, text)


def _templated(value: Any, parameters: Mapping[str, object]) -> Any:
    if isinstance(value, dict):
        return {key: _templated(below, parameters) for key, below in value.items()}
    if isinstance(value, list):
        return [_templated(below, parameters) for below in value]
    if not isinstance(value, str):
        return value
    return GO_FIELD.sub(lambda match: str(parameters.get(match.group(1), match.group())), value)


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, below in value.items():
        if isinstance(below, dict):
            yield from _flat(below, f"{prefix}{key}.")
        yield f"{prefix}{key}", below


def _merged(values: Doc, over: Doc) -> Doc:
    """Helm's merge: mappings are merged, anything else is replaced."""
    result = copy.copy(values)
    for key, value in over.items():
        before = result.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        result[key] = _merged(before, value) if both and isinstance(before, dict) else value
    return result


def _scalars(added: Doc) -> Doc:
    return {key: value for key, value in added.items() if not isinstance(value, list)}


def _kustomization(folder: Path) -> Path | None:
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def _is_manifest(file: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.parts if part not in (".", ".."))
    suffix = file.suffix in (".yaml", ".yml") and file.name not in NAMES
    return suffix and not hidden and file.is_file()


def _local(kustomization: Doc, folder: Path) -> Doc:
    """A kustomization without what is not in its repository."""
    kept = {key: value for key, value in kustomization.items() if key not in NEVER}
    for key in LISTS:
        if isinstance(kept.get(key), list):
            kept[key] = [entry for entry in kept[key] if _is_local(folder, str(entry))]
    for entry in (each for key in GENERATORS for each in kept.get(key) or []):
        for key in ("files", "envs"):
            if isinstance(entry.get(key), list):
                paths = [(str(e).partition("=")[2] or str(e), e) for e in entry[key]]
                entry[key] = [e for path, e in paths if _is_local(folder, path)]
    return kept


def _is_local(folder: Path, entry: str) -> bool:
    return "\n" in entry or (folder / entry).exists()


def _charts_in(folder: Path | None) -> dict[str, dict[str, Path]]:
    """Charts by name and version; "" is the only version of one that is there once."""
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.glob("*/Chart.yaml")) if folder is not None else []:
        about = _only(file)
        version = str(about.get("version")).removeprefix("v")
        found.setdefault(str(about.get("name")), {})[version] = file.parent
    return {
        name: {**by, **({"": next(iter(by.values()))} if len(by) == 1 else {})}
        for name, by in found.items()
    }
