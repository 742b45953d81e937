"""What kustomize builds of a folder, from texts in memory, with nothing from the network."""

from __future__ import annotations

import copy
import json
import posixpath
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from analyzer.gitops.reach.builder import Built
from analyzer.gitops.reach.objects import objects_of
from analyzer.gitops.reach.repository import KUSTOMIZATION_FILES, Repository, inside, join
from analyzer.gitops.render.program import RenderError, as_json, kustomize_version, run
from analyzer.gitops.render.rendering import Rendering, read_rendering
from analyzer.gitops.text.tree import Node, YamlError, parse, plain, walk

_LISTS = (
    "resources", "bases", "components", "crds", "generators", "transformers", "validators",
    "configurations",
)  # fmt: skip
_WITH_PATH = ("patches", "patchesJson6902", "replacements")
_GENERATORS = ("configMapGenerator", "secretGenerator")
_READ = ("files", "envs")
"""What a generator reads from files, each as ``path`` or ``key=path``."""
_NEVER = ("helmCharts", "helmChartInflationGenerator", "openapi")
"""Parts that fetch, or start another program."""
_PLUGS = ("generators", "transformers", "validators")
_TOO_HIGH = "not in or below"
"""What kustomize says of a file above the folder that names it."""
_ORIGIN = "config.kubernetes.io/origin"


class Kustomize:
    """Builds kustomizations of a repository from texts in memory, in a copy that is thrown away.

    What a kustomization names outside the repository is left out and remembered in `left_out`.
    """

    def __init__(self, kubectl: Path, repository: Repository) -> None:
        self._kubectl = kubectl
        self._repository = repository
        self._texts = {name: source.text for name, source in repository.files.items()}
        self._folder = tempfile.TemporaryDirectory(prefix="rightsize-")
        self._copy = Path(self._folder.name) / "repository"
        self._write(self._texts)
        self._prepared: dict[str, tuple[str, ...]] = {}
        self._plugged = False
        """Whether a kustomization that was met has plug-ins of its own."""
        self.program = kustomize_version(kubectl)

    def copy(self) -> Kustomize:
        """One that builds the same in a folder of its own, for another thread."""
        other = copy.copy(self)
        other._folder = tempfile.TemporaryDirectory(prefix="rightsize-")
        other._copy = Path(other._folder.name) / "repository"
        shutil.copytree(self._copy, other._copy, symlinks=True)
        other._texts, other._prepared = dict(self._texts), dict(self._prepared)
        return other

    def build(self, folder: str, edits: Mapping[str, str], overlay: str = "{}") -> Rendering:
        """The objects of one folder, with some files replaced. Raises `RenderError`.

        `overlay` are fields of a kustomization, as JSON, that come on top of the folder's own.
        """
        return read_rendering(self._built(folder, edits, json.loads(overlay)), self.program)

    def left_out(self, folder: str) -> tuple[str, ...]:
        """What a build of the folder leaves out, as it is written there."""
        if folder not in self._prepared:
            self._prepared[folder] = tuple(dict.fromkeys(self._missing(folder, set())))
        return self._prepared[folder]

    def origins(self, folder: str, overlay: str = "{}") -> list[Built]:
        """The objects of one folder, each with the file it comes from. Raises `RenderError`."""
        added = {**json.loads(overlay), "buildMetadata": ["originAnnotations"]}
        text = self._built(folder, {}, added)
        return [
            Built(self._origin(item.node), item.node)
            for item in read_rendering(text, self.program).objects
        ]

    def _origin(self, node: Node) -> str | None:
        told = node.text("metadata", "annotations", _ORIGIN)
        if told is None:
            return None
        path = parse(told)[0].root.text("path") or ""
        normal, prefix = posixpath.normpath(path), "../repository/"
        return normal.removeprefix(prefix) if normal.startswith(prefix) else None

    def _built(self, folder: str, edits: Mapping[str, str], added: dict[str, object]) -> str:
        self.left_out(folder)
        texts = dict(edits)
        for file in {file for file in texts if PurePosixPath(file).name in KUSTOMIZATION_FILES}:
            texts[file] = self._local(file, texts[file])
        self._write(texts)
        try:
            whole = not added and self._repository.kustomization(folder) is not None
            where = self._copy / folder if whole else self._overlaid(folder, added)
            return self._run(where)
        finally:
            self._write({file: self._texts[file] for file in texts if file in self._texts})

    def _run(self, where: Path) -> str:
        """What kubectl says, which looks above the folder only where it has to, as Flux does.

        All that kustomizations name is known to lie in the repository. What a plug-in of theirs
        names is not.
        """
        command, home = [str(self._kubectl), "kustomize", str(where)], Path(self._folder.name)
        try:
            return run(command, home)
        except RenderError as err:
            if _TOO_HIGH not in str(err) or self._plugged:
                raise
        return run([*command, "--load-restrictor=LoadRestrictionsNone"], home)

    def _overlaid(self, folder: str, added: dict[str, object]) -> Path:
        """A folder beside the copy whose kustomization adds some fields to `folder`."""
        where = Path(self._folder.name) / "overlay"
        where.mkdir(exist_ok=True)
        named = added.pop("components", [])
        components = [f"../repository/{path}" for path in named] if isinstance(named, list) else []
        resources = [f"../repository/{path}" for path in self._taken(folder)]
        kustomization = {"resources": resources, "components": components}
        (where / "kustomization.yaml").write_text(as_json({**kustomization, **added}), "utf-8")
        return where

    def _taken(self, folder: str) -> Sequence[str]:
        """A folder, or what stands for it where it has no kustomization of its own."""
        if self._repository.kustomization(folder) is not None:
            return [folder]
        files, below = self._repository.without_kustomization(folder)
        return [*(f for f in files if any(objects_of(self._repository.files[f]))), *below]

    def _write(self, texts: Mapping[str, str]) -> None:
        for file, text in texts.items():
            path = self._copy / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8"))

    # --- what lies outside ---

    def _missing(self, folder: str, seen: set[str]) -> Iterator[str]:
        """What the kustomizations at and below a folder name outside of the repository.

        On the way, those that name such things are rewritten without them in the copy, and the
        plain files that generators read are put there.
        """
        file = self._repository.kustomization(folder)
        if file is None:
            for top in self._repository.without_kustomization(folder)[1]:
                yield from self._missing(top, seen)
            return
        if file in seen:
            return
        seen.add(file)
        text = self._texts[file]
        self._texts[file] = self._local(file, text)
        if self._texts[file] != text:
            self._write({file: self._texts[file]})
        for document in self._repository.files[file].documents:
            for reference in _references(document.root):
                below = join(folder, reference)
                if below is None or not self._is_here(below):
                    yield reference
                elif below not in self._texts:
                    yield from self._missing(below, seen)
            yield from (key for key in _NEVER if document.root.at(key) is not None)
            self._plugged |= any(document.root.at(key) is not None for key in _PLUGS)
            self._copy_files(folder, document.root)

    def _is_here(self, path: str) -> bool:
        if path in self._repository.folders or path in self._texts:
            return True
        real = self._repository.root / path
        return inside(self._repository.root, real) and real.is_file() and not real.is_symlink()

    def _copy_files(self, folder: str, root: Node) -> None:
        """Put into the copy whatever file is named anywhere in a kustomization."""
        for name in _words(root):
            path = join(folder, name)
            if path and path not in self._texts and self._is_here(path):
                source, target = self._repository.root / path, self._copy / path
                if source.is_file() and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)

    def _local(self, file: str, text: str) -> str:
        """A kustomization without what it names outside of the repository, as JSON; else as is."""
        try:
            documents = parse(text)
            found = plain(documents[0].root) if documents else None
        except YamlError:
            return text
        folder = str(PurePosixPath(file).parent) if "/" in file else ""
        if not isinstance(found, dict):
            return text
        kept: dict[str, object] = {
            key: _kept(key, value, lambda name: self._stays(folder, name))
            for key, value in found.items()
            if key not in _NEVER
        }
        return text if kept == found else as_json(kept)

    def _stays(self, folder: str, reference: str) -> bool:
        below = join(folder, reference)
        return below is not None and self._is_here(below)


def _kept(key: str, value: object, stays: Callable[[str], bool]) -> object:
    """One field of a kustomization without the entries that name what is not here."""
    if not isinstance(value, list):
        return value
    if key in _LISTS or key == "patchesStrategicMerge":
        return [item for item in value if "\n" in str(item) or stays(str(item))]
    if key in _WITH_PATH:
        return [item for item in value if _path_stays(item, stays)]
    if key in _GENERATORS:
        return [_read_here(item, stays) for item in value]
    return value


def _read_here(item: object, stays: Callable[[str], bool]) -> object:
    """A generator without the files that are not here."""
    if not isinstance(item, Mapping):
        return item
    return {
        key: [entry for entry in value if stays(_path_of(str(entry)))]
        if key in _READ and isinstance(value, list)
        else value
        for key, value in item.items()
        if key != "env" or stays(str(value))
    }


def _path_of(entry: str) -> str:
    return entry.partition("=")[2] or entry


def _path_stays(item: object, stays: Callable[[str], bool]) -> bool:
    path = item.get("path") if isinstance(item, Mapping) else None
    return path is None or stays(str(path))


def _references(root: Node) -> list[str]:
    """Every file, folder or address that a kustomization names, inline texts aside."""
    plain_ones = [
        item.value
        for key in (*_LISTS, "patchesStrategicMerge")
        for item in root.sequence(key)
        if item.kind == "scalar" and "\n" not in item.value
    ]
    paths = [entry.text("path") for key in _WITH_PATH for entry in root.sequence(key)]
    read = [
        _path_of(item.value)
        for key in _GENERATORS
        for entry in root.sequence(key)
        for part in _READ
        for item in entry.sequence(part)
    ]
    return [*plain_ones, *read, *(path for path in paths if path is not None)]


def _words(root: Node) -> Iterator[str]:
    """Every text on one line that may name a file, ``key=file`` taken apart."""
    for _, node in walk(root):
        if node.kind == "scalar" and node.value and "\n" not in node.value:
            yield node.value.rpartition("=")[2]
