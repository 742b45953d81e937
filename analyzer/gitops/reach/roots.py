"""Where a repository begins: what its controllers were told to apply, and what nobody applies."""

from __future__ import annotations

from pathlib import PurePosixPath

from analyzer.gitops.reach.objects import Object, all_objects
from analyzer.gitops.reach.repository import KUSTOMIZATION_FILES, Repository, join
from analyzer.gitops.reach.route import Arrival, Reach, Route
from analyzer.gitops.reach.walk import Walker
from analyzer.gitops.text.address import Address


def find_reach(repository: Repository, entry: str | None = None) -> Reach:
    """Follow the repository from its roots. `entry` restricts the roots to one folder.

    Roots are, in this order: what a Flux bootstrap or FluxInstance names, Flux Kustomizations
    that lead to others, Argo CD Applications that no other one creates.
    """
    return _Roots(repository, entry).follow()


class _Roots:
    """Finds the roots of a repository, and hands them to a walker."""

    def __init__(self, repository: Repository, entry: str | None) -> None:
        self.repository = repository
        self.entry = entry.strip("/") if entry else None
        self.objects = all_objects(repository)
        self.folders = repository.folders
        self.walker = Walker(repository, self.objects)
        self.reach = self.walker.reach
        self.flux = self.walker.flux

    def follow(self) -> Reach:
        """Follow the roots, then look at what none of them leads to."""
        for file in self._bootstraps():
            self.reach.rooted = True
            self.walker.take_file(file, Route("Flux"), 0)
        for folder in self._synced_folders():
            self.reach.rooted = True
            self.flux.take_folder(folder, Route(f"Flux at {folder or '.'}"), 0)
        if not self.reach.rooted:
            self._flux_by_shape()
        self._argo_roots()
        self._leftovers()
        return self.reach

    def _within(self, path: str) -> bool:
        return self.entry is None or path == self.entry or path.startswith(f"{self.entry}/")

    def _is_root(self, path: str | None) -> bool:
        if path is None or (path not in self.folders and path not in self.repository.files):
            return False
        return self.entry is None or self._within(path) or self.entry.startswith(path)

    def _bootstraps(self) -> list[str]:
        """The files that `flux bootstrap` writes: a Kustomization that applies its own folder."""
        return sorted(
            file
            for file, objects in self.objects.items()
            for item in objects
            if item.is_flux_kustomization
            and item.name == "flux-system"
            and self._is_root(join("", item.node.text("spec", "path") or ""))
        )

    def _synced_folders(self) -> list[str]:
        """The folders that a FluxInstance, or the chart that makes one, syncs from."""
        found: list[str | None] = []
        for file, objects in self.objects.items():
            for item in objects:
                spec = item.node.at("spec")
                if spec is None:
                    continue
                if item.kind == "FluxInstance":
                    found.append(spec.text("sync", "path"))
                elif item.kind == "HelmRelease":
                    found.append(spec.text("values", "instance", "sync", "path"))
            # The values of the flux-instance chart may lie in a file beside its release.
            if "sync:" in self.repository.files[file].text:
                documents = self.repository.files[file].documents
                found += [d.root.text("instance", "sync", "path") for d in documents]
        paths = {self._synced(path) for path in found if path is not None}
        return sorted(path for path in paths if path is not None and self._is_root(path))

    def _synced(self, path: str) -> str | None:
        """The folder behind a sync path, also where only a part of the repository is packaged."""
        wanted = join("", path)
        if wanted is None or wanted in self.folders:
            return wanted
        fitting = [folder for folder in self.folders if folder.endswith(f"/{wanted}")]
        if len(fitting) != 1:
            return None
        self.flux.bases.append(fitting[0].removesuffix(f"/{wanted}"))
        return fitting[0]

    def _flux_by_shape(self) -> None:
        """Without a bootstrap: the Kustomizations that nothing includes and that lead to others.

        What lies beside such a one in its folder was applied along with it.
        """
        flux = [
            item
            for objects in self.objects.values()
            for item in objects
            if item.is_flux_kustomization and self._within(item.file)
        ]
        files = {item.file for item in flux}
        below: dict[str, set[str]] = {file: set() for file in files}
        for item in flux:
            if not self.flux.is_foreign(item.node):
                below[item.file] |= (self._files_below(item) & files) - {item.file}
        included = set().union(*below.values()) if below else set()
        free = sorted(files - included)
        leading = {PurePosixPath(file).parent for file in free if below[file]}
        for file in free:
            if PurePosixPath(file).parent in leading or not included:
                self.reach.rooted = True
                self.walker.take_file(file, Route("Flux"), 0)

    def _files_below(self, item: Object) -> set[str]:
        """The files that a Flux Kustomization applies itself, those of others not followed."""
        folder = join("", item.node.text("spec", "path") or "")
        if folder is None:
            return set()
        probe = Walker(self.repository, self.objects, follow=False)
        probe.flux.take_folder(folder, Route("probe"), 0)
        return probe.reach.files

    def _argo_roots(self) -> None:
        arrived = {id(arrival.object) for arrival in self.reach.arrivals}
        for file, objects in self.objects.items():
            if not self._within(file) or self._templated(file):
                continue
            for item in objects:
                if item.is_application and id(item) not in arrived:
                    self.reach.rooted = True
                    self.walker.take_file(file, Route("Argo CD"), 0)
                    break
            for number, document in enumerate(self.repository.files[file].documents):
                for scope in ((), ("argocd-apps",)):
                    root, address = document.root.at(*scope), Address(number, scope)
                    if root is not None and "generators:" in self.repository.files[file].text:
                        self.reach.rooted |= self.walker.applications.values_of_argocd_apps(
                            file, address, root
                        )

    def _templated(self, file: str) -> bool:
        """Whether the file is a chart's template, which nobody applies as it stands."""
        parts = PurePosixPath(file).parts
        return any(
            part == "templates"
            and "/".join((*parts[:depth], "Chart.yaml")) in self.repository.files
            for depth, part in enumerate(parts)
        )

    def _leftovers(self) -> None:
        """What no root leads to: dead where there is a root, undecided where there is none."""
        reachable = self.reach.unmet
        reached = set(self.reach.files)
        for item in [i for objects in self.objects.values() for i in objects]:
            if item.is_flux_kustomization and item.file not in reached:
                route = Route("nothing that is applied", reachable=reachable)
                self.flux.follow(Arrival(item, route), 0)
        for folder in self._top_kustomizations():
            self.walker.kustomizations.take_folder(
                folder, Route(f"kustomization {folder}", reachable=reachable), 0
            )
        for file in self.repository.files:
            if file not in self.reach.files and not self._templated(file):
                self.walker.take_file(file, Route("a file of its own", reachable=reachable), 0)
        if self.reach.rooted:
            self.reach.files = reached

    def _top_kustomizations(self) -> list[str]:
        """Kustomize folders that were not followed yet and that no other one includes."""
        left: dict[str, set[str]] = {}
        for file in self.repository.files:
            path = PurePosixPath(file)
            if path.name not in KUSTOMIZATION_FILES or file in self.reach.files:
                continue
            folder = "" if str(path.parent) == "." else str(path.parent)
            left[folder] = set()
            for document in self.repository.files[file].documents:
                if document.root.text("kind") == "Component":
                    left.pop(folder, None)
                    break
                for key in ("resources", "bases"):
                    names = [i.value for i in document.root.sequence(key) if "://" not in i.value]
                    left[folder] |= {path for path in (join(folder, n) for n in names) if path}
        included = set().union(*left.values()) if left else set()
        return sorted(folder for folder in left if folder not in included)
