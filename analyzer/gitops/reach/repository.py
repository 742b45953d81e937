"""A GitOps repository on disk: which YAML files it has, read once, never outside its real path."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from analyzer.errors import GitOpsError
from analyzer.gitops.reach.checkout import git_environment
from analyzer.gitops.reach.foreign import TEMPLATE, concerns_clusters, has_marker, is_ytt, tool_of
from analyzer.gitops.text.tree import Document, Node, YamlError, parse, walk
from analyzer.kinds import KINDS

KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MAX_BYTES = 1024 * 1024
_SUFFIXES = (".yaml", ".yml")
_JSON_MANIFEST = ('"apiVersion"', '"kind"')
_SKIPPED_FOLDERS = frozenset({".git", ".venv", "node_modules", ".terraform", ".idea", ".vscode"})
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Source:
    """One YAML file, as text and as documents. `file` is relative to the repository, with `/`."""

    file: str
    text: str
    documents: tuple[Document, ...]


@dataclass(frozen=True)
class Repository:
    """The readable YAML of a repository, and why the rest was left out.

    `files` holds every YAML file by its name; `unread` maps the others to the reason. `foreign`
    are files that may declare workloads in another language, each with what it is.
    """

    root: Path
    files: Mapping[str, Source]
    unread: Mapping[str, str] = field(default_factory=dict)
    foreign: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds a YAML file, and those above it; the root is ``""``."""
        found = {""}
        for file in self.files:
            parent = str(PurePosixPath(file).parent)
            while parent != ".":
                found.add(parent)
                parent = str(PurePosixPath(parent).parent)
        return frozenset(found)

    def without_kustomization(self, folder: str) -> tuple[list[str], list[str]]:
        """What kustomize-controller takes of a folder that has no kustomization of its own.

        The YAML files at and below it, JSON being left out (`scan` in fluxcd/pkg/kustomize), and
        the outermost folders below that are kustomizations.
        """
        prefix = f"{folder}/" if folder else ""
        names = [n for n in self.files if n.startswith(prefix) and not n.endswith(".json")]
        nested = sorted(
            str(PurePosixPath(name).parent)
            for name in names
            if PurePosixPath(name).name in KUSTOMIZATION_FILES
        )
        tops = [f for f in nested if not any(f.startswith(f"{other}/") for other in nested)]
        plain = [n for n in names if not any(n.startswith(f"{top}/") for top in tops)]
        return plain, tops

    def kustomization(self, folder: str) -> str | None:
        """The file that makes a folder a kustomization; None where it has none."""
        files = (f"{folder}/{name}" if folder else name for name in KUSTOMIZATION_FILES)
        return next((file for file in files if file in self.files), None)

    def text(self, file: str) -> str:
        """The text of a file that is here, templates that do not parse included; else ""."""
        if file in self.files:
            return self.files[file].text
        path = self.root / file
        known = file in self.unread or file in self.foreign
        if not known or path.is_symlink() or not inside(self.root, path):
            return ""
        return path.read_bytes()[:MAX_BYTES].decode("utf-8", "replace")

    def named(self, file: str) -> str:
        """The text of a file that a kustomization names, of any language; "" where it is none."""
        path = self.root / file
        if path.is_symlink() or not inside(self.root, path) or not path.is_file():
            return ""
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES).decode("utf-8", "replace")

    @cached_property
    def addresses(self) -> frozenset[str]:
        """Where this checkout comes from, as `bare_address` has it; empty where git says none."""
        git = shutil.which("git")
        if git is None or not (self.root / ".git").exists():
            return frozenset()
        command = [git, "config", "--get-regexp", r"^remote\..*\.url$"]
        try:
            done = subprocess.run(
                command,
                cwd=self.root,
                env=git_environment(),
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as err:
            raise GitOpsError(f"git did not tell the remotes of {self.root} in time") from err
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        return frozenset(bare_address(line.partition(" ")[2]) for line in lines)


def bare_address(url: str) -> str:
    """The address of a git repository without what differs between https, ssh and scp spellings."""
    rest = url.strip().partition("://")[2] or url.strip().replace(":", "/", 1)
    host, _, path = rest.rpartition("@")[2].partition("/")
    return f"{host.partition(':')[0]}/{path.strip('/').removesuffix('.git')}".lower()


def expect_folder(root: Path) -> Path:
    """The real path of the folder `root`. Raises `GitOpsError` where there is none."""
    real = root.resolve()
    if not real.is_dir():
        raise GitOpsError(f"expected a folder with a repository, found none at {root}")
    return real


def load_repository(root: Path) -> Repository:
    """Read every YAML file below `root`. Raises `GitOpsError` when `root` is no folder.

    In a git work tree the files are those git tracks or would track; elsewhere all but hidden
    tool folders. Symbolic links are never followed, so nothing outside `root` is read.
    """
    real = expect_folder(root)
    files: dict[str, Source] = {}
    unread: dict[str, str] = {}
    names = sorted(_names(real))
    for name in filter(_may_declare, names):
        outcome = _read(real, name)
        if isinstance(outcome, Source):
            files[name] = outcome
        elif outcome is not None:
            unread[name] = outcome
    return Repository(real, files, unread, dict(_foreign(real, names)))


def _names(root: Path) -> list[str]:
    listed = _listed_by_git(root)
    return _walked(root) if listed is None else listed


def _foreign(root: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The files of other tools, each with what it is."""
    for name in names:
        tool, path = tool_of(name), root / name
        if tool is None or path.is_symlink() or not inside(root, path) or not path.is_file():
            continue
        if concerns_clusters(tool, path.read_bytes()[:MAX_BYTES].decode("utf-8", "replace")):
            yield name, tool


def _may_declare(name: str) -> bool:
    """Whether a file may hold manifests, values or a kustomization, by its name."""
    return name.endswith((*_SUFFIXES, ".json")) or PurePosixPath(name).name == "Kustomization"


def _listed_by_git(root: Path) -> list[str] | None:
    """What git tracks or would track below `root`; None where it is no work tree of git's."""
    git = shutil.which("git")
    if git is None or not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return None
    # fsmonitor is a program a repository's own configuration may name: never start it.
    command = [git, "-c", "core.fsmonitor=false", "ls-files", "-z"]
    command += ["--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env=git_environment(),
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise GitOpsError(f"git did not list the files of {root} in {_TIMEOUT:.0f} s") from err
    if done.returncode != 0:
        return None
    return [os.fsdecode(name) for name in set(done.stdout.split(b"\0")) if name]


def _walked(root: Path) -> list[str]:
    found = []
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = [name for name in folders if name not in _SKIPPED_FOLDERS]
        relative = Path(folder).relative_to(root)
        found += [(relative / name).as_posix() for name in names]
    return found


def _read(root: Path, name: str) -> Source | str | None:
    """The file, or the reason why it is left out; None for JSON that is no manifest."""
    path = root / name
    if path.is_symlink() or not inside(root, path):
        return "a symbolic link, or below one, which may lead outside the repository"
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            return f"{size} bytes, more than any manifest written by hand"
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return "not UTF-8 text"
    except OSError as err:
        return f"cannot be read: {err.strerror}"
    return _parsed(name, text)


def kind_of(reason: str) -> str:
    """Why a file was left out, without what is particular to it."""
    if reason.startswith("expected YAML"):
        return "not YAML"
    return "too large" if "bytes, more" in reason else reason.partition(",")[0]


def _parsed(name: str, text: str) -> Source | str | None:
    if name.endswith(".json") and not all(word in text for word in _JSON_MANIFEST):
        return None
    try:
        documents = parse(text)
    except YamlError as err:
        if is_ytt(text):
            return "a template of ytt"
        return TEMPLATE if has_marker(text) else str(err)
    if is_ytt(text):
        return "a template of ytt"
    marked = has_marker(text)
    if marked and any(_has_action(each) or _is_template(each.root) for each in documents):
        return TEMPLATE
    return Source(name, text, documents)


def _has_action(document: Document) -> bool:
    """Whether a document holds a bare ``{{ ... }}``, which YAML takes for a mapping as a key.

    A line that is ``${{ ... }}:`` is a plain key to YAML.
    """
    return any(
        (node.flow and key.kind == "mapping") or key.value.startswith("${{")
        for _, node in walk(document.root)
        if node.kind == "mapping"
        for key, _ in node.entries
    )


def _is_template(node: Node) -> bool:
    """Whether an object has a marker where the API takes none: in its name or an image.

    A bare ``[[ ... ]]`` is a list in a list to YAML.
    """
    kind = node.text("kind")
    if kind is None or node.text("apiVersion") is None:
        return False
    found = [node.at("metadata", key) for key in ("name", "namespace")]
    for pod in (known.pod_path for known in KINDS if known.name == kind and known.pod_path):
        for group in ("containers", "initContainers"):
            found += [each.at("image") for each in node.sequence(*pod, group)]
    return any(
        each.kind == "sequence" or has_marker(each.value) for each in found if each is not None
    )


def is_templated(file: str, repository: Repository) -> bool:
    """Whether the file is a chart's template, which nobody applies as it stands."""
    parts = PurePosixPath(file).parts
    return any(
        part == "templates" and "/".join((*parts[:depth], "Chart.yaml")) in repository.files
        for depth, part in enumerate(parts)
    )


def inside(root: Path, path: Path) -> bool:
    """Whether `path`, every symbolic link followed, is still below `root`."""
    return path.resolve().is_relative_to(root.resolve())


def join(folder: str, reference: str) -> str | None:
    """The repository path that `reference` means, seen from `folder`; None when it leaves it.

    ``.`` and ``..`` are resolved on paper only; a leading ``/`` means the repository's root.
    """
    parts: list[str] = []
    start = [] if reference.startswith("/") else folder.split("/")
    for part in [*start, *reference.split("/")]:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
