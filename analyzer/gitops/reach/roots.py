"""Where a repository begins: what its controllers were told to apply, and what nobody applies."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from analyzer.gitops.reach import fleet, k3s
from analyzer.gitops.reach.builder import Builder, NoBuilder
from analyzer.gitops.reach.fleet import Fleet
from analyzer.gitops.reach.helmfile import Helmfiles, is_helmfile
from analyzer.gitops.reach.objects import Object, all_objects
from analyzer.gitops.reach.repository import (
    KUSTOMIZATION_FILES,
    Repository,
    is_templated,
    join,
)
from analyzer.gitops.reach.route import Arrival, Reach, Route
from analyzer.gitops.reach.walk import Walker
from analyzer.gitops.text.address import Address

_OTHER_TOOLS = frozenset({"helmfile.yaml", "helmfile.yml", "fleet.yaml", "skaffold.yaml"})
"""Files by which another tool takes what lies beside them."""


def find_reach(
    repository: Repository, entry: str | None = None, builder: Builder | None = None
) -> Reach:
    """Follow the repository from its roots. `entry` names the folder of those that are asked for.

    Roots are, in this order: what a Flux bootstrap or FluxInstance names, Flux Kustomizations
    that lead to others, Argo CD Applications that no other one creates. Those outside of `entry`
    are followed as well, as other clusters: what they take is not this one's alone.
    """
    return _Roots(repository, entry, builder or NoBuilder()).follow()


class _Roots:
    """Finds the roots of a repository, and hands them to a walker."""

    def __init__(self, repository: Repository, entry: str | None, builder: Builder) -> None:
        self.repository = repository
        self.entry = entry.strip("/") if entry else None
        self.objects = all_objects(repository)
        self.folders = repository.folders
        self.walker = Walker(repository, self.objects, builder)
        self.reach = self.walker.reach
        self.flux = self.walker.flux

    def follow(self) -> Reach:
        """Follow the roots, then look at what none of them leads to."""
        roots = [*self._bootstraps(), *self._synced_folders()]
        for path, file in sorted(roots, key=lambda root: not self._is_root(root[0])):
            self._flux_root(path, file)
        if not self.reach.rooted:
            self._flux_by_shape()
        self.reach.governed |= {file.partition("/")[0] for file in self.reach.files if "/" in file}
        self.reach.others = frozenset(
            str(PurePosixPath(file).parent)
            for file in self.repository.files
            if PurePosixPath(file).name in _OTHER_TOOLS
        )
        self._argo_roots()
        self._other_tools()
        self._leftovers()
        self.reach.helm += k3s.sources(self.reach.arrivals)
        return self.reach

    def _other_tools(self) -> None:
        """What Fleet and helmfile would install, if somebody runs them."""
        helmfiles = Helmfiles(self.repository, self.reach)
        for file in self.repository.files:
            if PurePosixPath(file).name in fleet.FILES:
                Fleet(self.walker.kustomizations).follow(file, self._within(file))
            elif is_helmfile(file):
                helmfiles.follow(file, self._within(file))

    def _flux_root(self, path: str, file: str | None) -> None:
        inside = self._is_root(path)
        self.reach.rooted |= inside
        if file is not None:
            self.walker.take_file(file, Route("Flux", entry=path or ".", inside=inside), 0)
        else:
            route = Route(f"Flux at {path or '.'}", entry=path or ".", inside=inside)
            self.flux.take_folder(path, route, 0)

    def _within(self, path: str) -> bool:
        return self.entry is None or path == self.entry or path.startswith(f"{self.entry}/")

    def _is_root(self, path: str) -> bool:
        """Whether a root that applies `path` is one of those that are asked for."""
        prefix = f"{path}/" if path else ""
        return self.entry is None or self._within(path) or self.entry.startswith(prefix)

    def _is_here(self, path: str | None) -> bool:
        return path is not None and (path in self.folders or path in self.repository.files)

    def _bootstraps(self) -> list[tuple[str, str | None]]:
        """What `flux bootstrap` writes, a Kustomization that applies its own folder: path, file."""
        found = [
            (join("", item.node.text("spec", "path") or ""), file)
            for file, objects in self.objects.items()
            for item in objects
            if item.is_flux_kustomization and item.name == "flux-system"
        ]
        there = [(path, file) for path, file in found if path is not None]
        return sorted((path, file) for path, file in there if self._is_here(path))

    def _synced_folders(self) -> list[tuple[str, str | None]]:
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
        there = [path for path in paths if path is not None]
        return [(path, None) for path in sorted(there) if self._is_here(path)]

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
            if item.is_flux_kustomization and item.file not in self.reach.files
        ]
        files = {item.file for item in flux}
        below: dict[str, set[str]] = {file: set() for file in files}
        for item in flux:
            if not self.flux.is_foreign(item.node):
                below[item.file] |= (self._files_below(item) & files) - {item.file}
        included = set().union(*below.values()) if below else set()
        free = sorted(files - included, key=lambda file: (not self._within(file), file))
        leading = {PurePosixPath(file).parent for file in free if below[file]}
        for file in free:
            if PurePosixPath(file).parent in leading or not included:
                inside = self._within(file)
                self.reach.rooted |= inside
                entry = str(PurePosixPath(file).parent)
                self.walker.take_file(file, Route("Flux", entry=entry, inside=inside), 0)

    def _files_below(self, item: Object) -> set[str]:
        """The files that a Flux Kustomization applies itself, those of others not followed."""
        folder = join("", item.node.text("spec", "path") or "")
        if folder is None:
            return set()
        probe = Walker(self.repository, self.objects, NoBuilder(), follow=False)
        probe.flux.take_folder(folder, Route("probe"), 0)
        return probe.reach.files

    def _argo_roots(self) -> None:
        files = [file for file in self.objects if not is_templated(file, self.repository)]
        made = self._made_by_applications(files)
        arrived, looked = set[int](), 0
        for file in sorted(files, key=lambda file: (not self._within(file), file in made)):
            inside, entry = self._within(file), str(PurePosixPath(file).parent)
            arrived |= {id(arrival.object) for arrival in self.reach.arrivals[looked:]}
            looked = len(self.reach.arrivals)
            if any(item.is_application and id(item) not in arrived for item in self.objects[file]):
                self.reach.rooted |= inside
                self.walker.take_file(file, Route("Argo CD", entry=entry, inside=inside), 0)
            if "generators:" not in self.repository.files[file].text:
                continue
            for number, document in enumerate(self.repository.files[file].documents):
                for scope in ((), ("argocd-apps",)):
                    root, address = document.root.at(*scope), Address(number, scope)
                    if root is not None:
                        follow = self.walker.applications.values_of_argocd_apps
                        self.reach.rooted |= follow(file, address, root, inside) and inside
        self._charts_of_applications()

    def _charts_of_applications(self) -> None:
        """Charts that make Applications and that somebody installs by hand, if anybody does."""
        for file in self.repository.files:
            if PurePosixPath(file).name != "Chart.yaml" or "/charts/" in file:
                continue
            folder = str(PurePosixPath(file).parent)
            asked_for = True if folder == self.entry else None
            route = Route("Argo CD", entry=folder, inside=self._within(folder), reachable=asked_for)
            self.walker.applications.follow_chart(folder, route)

    def _made_by_applications(self, files: Iterable[str]) -> set[str]:
        """The files that Applications of other files apply: these are followed from there."""
        probe = Walker(self.repository, self.objects, NoBuilder(), follow=False)
        made: set[str] = set()
        for file in files:
            probe.reach.files.clear()
            probe.reach.arrivals.clear()
            for item in self.objects[file]:
                if item.is_application:
                    probe.applications.follow(Arrival(item, Route("probe", entry=file)), 0)
            made |= probe.reach.files - {file}
        return made

    def _leftovers(self) -> None:
        """What no root leads to: dead where that is certain, else undecided."""
        reached = set(self.reach.files)
        for item in [i for objects in self.objects.values() for i in objects]:
            if item.is_flux_kustomization and item.file not in reached:
                self.flux.follow(Arrival(item, self._unmet(item.file, "nothing applied")), 0)
        own = self._of_the_entry()
        for folder in self._top_kustomizations():
            file = self.repository.kustomization(folder) or folder
            route = self._unmet(file, f"kustomization {folder}")
            if own and folder != self.entry and own & self._made_in(folder):
                route = replace(route, inside=False)
            self.walker.kustomizations.take_folder(folder, route, 0)
        for file in self.repository.files:
            if file not in self.reach.files and not is_templated(file, self.repository):
                self.walker.take_file(file, self._unmet(file, "a file of its own"), 0)
        if self.reach.rooted:
            self.reach.files = reached

    def _of_the_entry(self) -> set[Hashable]:
        """What the entry's own kustomization makes, where nothing else says what is applied.

        A kustomization below the entry that makes the same is a variant of it, which somebody else
        applies or a test; one that makes other things may well be applied beside it.
        """
        if self.reach.rooted or not self.entry or not self.repository.kustomization(self.entry):
            return set()
        return self._made_in(self.entry)

    def _made_in(self, folder: str) -> set[Hashable]:
        """What a kustomization makes that runs, by what it is called on the cluster."""
        probe = Walker(self.repository, self.objects, NoBuilder(), follow=False)
        probe.kustomizations.take_folder(folder, Route("probe"), 0)
        return {
            (arrival.object.kind, arrival.namespace, arrival.name)
            for arrival in probe.reach.arrivals
            if arrival.object.is_workload or arrival.object.is_helm_release
        }

    def _unmet(self, file: str, root: str) -> Route:
        folder = str(PurePosixPath(file).parent)
        inside = self.reach.rooted or self._within(folder) or self._within(file)
        return Route(root, reachable=self.reach.unmet(file), entry=folder, inside=inside)

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
