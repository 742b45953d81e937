"""What the values of a Helm release decide: by rule, by rendering, or by a table of charts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path as FilePath

from analyzer.gitops.index.block import RESOURCES, TYPO, is_block
from analyzer.gitops.index.manifests import Manifests
from analyzer.gitops.index.place import Confidence, Expectation, Finding, Leaf, Place
from analyzer.gitops.index.post_rendered import PostRendered
from analyzer.gitops.index.scaled_values import raw_scalers, rendered_scalers
from analyzer.gitops.index.scaler import Scaler
from analyzer.gitops.index.survey import Survey
from analyzer.gitops.reach.custom import read_workload
from analyzer.gitops.reach.release import Release, touches_resources
from analyzer.gitops.reach.route import Route
from analyzer.gitops.reach.runtimes import Floor, memory_floors
from analyzer.gitops.render.app_template import APP_TEMPLATE, Rendered, app_template, naming_rule
from analyzer.gitops.render.charts import Chart, charts_in
from analyzer.gitops.render.helm import Helm
from analyzer.gitops.render.program import RenderError, Tools
from analyzer.gitops.render.rendering import Rendering, Sink
from analyzer.gitops.render.well_known import ChartRule, charts, is_another
from analyzer.gitops.text.address import Address, dotted
from analyzer.gitops.text.resources import BY_FIELD, ROWS
from analyzer.gitops.text.tree import Path, walk

_CONTAINERS = ("containers", "sidecars")
_NAMES = re.compile(r"\bname:\s*[\"']?([\w.-]+)")


class Values:
    """Foretells the containers of each release, and finds blocks that decide nothing."""

    def __init__(self, survey: Survey, manifests: Manifests, tools: Tools) -> None:
        self.survey = survey
        self.manifests = manifests
        self.tools = tools

    def take(self, release: Release) -> None:
        """Find the places among the values of one release. Raises `YamlError` on alias bombs."""
        before = len(self.survey.expectations)
        rendered = self._take(release)
        self._scalers(release)
        doubt = release.overruled
        if doubt is None and not rendered and touches_resources(release.post_renderers):
            doubt = "a post-renderer of the release changes resources as well"
        if doubt is not None:
            self.survey.expectations[before:] = [
                replace(e, confidence="unproven", rule=f"{doubt}; {e.rule}")
                for e in self.survey.expectations[before:]
            ]

    def _take(self, release: Release) -> bool:
        """Whether rendering showed what the values decide, so that no rule was needed."""
        values = release.merged()
        known: set[tuple[str, Address]] = set()
        chart = None if self._is_umbrella(release) else release.owner.chart
        learned: set[tuple[str, Address]] | None = None
        if chart == APP_TEMPLATE:
            rendered = app_template(
                release.name, release.owner.version, values, release.route.expand
            )
            rule = naming_rule(release.owner.version)
            known |= self._expect_rendered(release, rendered, rule, values)
        elif (learned := self._learn(release, values)) is not None:
            known |= learned
        elif chart in charts() and not is_another(release.source):
            known |= self._expect_well_known(release, values)
        self._flux_instance_values(release)
        self._other_blocks(release, known)
        return learned is not None

    def _scalers(self, release: Release) -> None:
        """Take down the autoscalers that the release makes."""
        if release.route.reachable is False:
            return
        try:
            for found in self._scalers_of(release):
                self.survey.take_scaler(found)
        except RenderError as err:
            self.survey.reach.notes.append(f"{release.owner}: its autoscalers: {err}")

    def _scalers_of(self, release: Release) -> Iterable[Scaler]:
        """Those that rendering shows, or app-template hands on. Raises `RenderError`."""
        chart = None if self._helm is None else self._helm.chart_of(release, self._root)
        if chart is not None and self._helm is not None:
            return rendered_scalers(self._helm, chart, release, release.merged())
        return raw_scalers(release) if release.owner.chart == APP_TEMPLATE else ()

    @property
    def _root(self) -> FilePath:
        return self.survey.repository.root

    def _is_umbrella(self, release: Release) -> bool:
        """Whether the chart is one of the repository that wraps others.

        It bears a name of its own, often that of the chart it wraps, and the paths of neither.
        """
        file = f"{release.chart_folder}/Chart.yaml"
        if release.chart_folder is None or file not in self.survey.repository.files:
            return False
        documents = self.survey.repository.files[file].documents
        return any(document.root.sequence("dependencies") for document in documents)

    def _expect_rendered(
        self,
        release: Release,
        rendered: Iterable[Rendered],
        rule: str,
        values: Mapping[str, object],
    ) -> set[tuple[str, Address]]:
        known = set()
        for container in rendered:
            path = container.inherited or container.path
            found = release.locate(path)
            if found is None:
                continue
            file, address, _ = found
            place = self.survey.place(
                file, address, release.owner, container.container, release.route
            )
            known.add((file, address))
            self.survey.expectations.append(
                Expectation(
                    release.owner.namespace,
                    container.kind,
                    container.workload,
                    container.container,
                    container.container_type,
                    place,
                    rule if container.inherited is None else f"{rule}, from its defaults",
                    "certain" if container.workload is not None else "likely",
                    release.route,
                    None,
                    container.controller,
                    floors=_beside(values, container.path, release.route),
                    leaves=_leaves(release, path, place),
                )
            )
        return known

    @cached_property
    def _helm(self) -> Helm | None:
        if self.tools.helm is None:
            return None
        charts = charts_in([*self.tools.charts, self.survey.repository.root])
        return Helm(self.tools.helm, charts, self.tools.kubectl)

    def _learn(
        self, release: Release, values: Mapping[str, object]
    ) -> set[tuple[str, Address]] | None:
        """What rendering with odd amounts shows; None where the chart cannot be rendered."""
        chart = None if self._helm is None else self._helm.chart_of(release, self._root)
        if self._helm is None or chart is None:
            return None
        names, post = (release.name, release.owner.namespace), release.post_renderers
        try:
            landed = self._helm.sentinels(chart, *names, values, post)
            unoffered = _unoffered(values, landed.unreached)
            if unoffered:
                rendering = self._helm.render(chart, *names, values, post)
                self._post_rendered(release, rendering, unoffered)
        except RenderError as err:
            self.survey.reach.notes.append(f"{release.owner}: {err}")
            return None
        known = (self._landed(release, chart, values, *each) for each in landed.by_path.items())
        return {place for place in known if place is not None}

    def _landed(
        self,
        release: Release,
        chart: Chart,
        values: Mapping[str, object],
        path: Path,
        sinks: Iterable[Sink],
    ) -> tuple[str, Address] | None:
        """What the values at `path` decide for: the containers where an odd amount came out."""
        found = release.locate(path) or self._insertion(release, path)
        if found is None:
            return None
        file, address, present = found
        if not sinks:
            if present:
                self._ignored_by(release, file, address, path)
            return (file, address) if present else None
        rule = (
            f"an odd amount at {dotted(path)} landed there when {chart.name} {chart.version} "
            "was rendered"
        )
        floors = _beside(values, path, release.route)
        for sink in sorted(sinks):
            place = self.survey.place(file, address, release.owner, sink.container, release.route)
            workload, pattern = read_workload(sink.workload)
            self.survey.expectations.append(
                Expectation(
                    release.owner.namespace,
                    sink.kind,
                    workload,
                    sink.container,
                    None,
                    place,
                    rule,
                    "certain",
                    release.route,
                    pattern,
                    floors=floors,
                    leaves=_leaves(release, path, place),
                )
            )
        return file, address

    def _post_rendered(
        self, release: Release, rendering: Rendering, sinks: frozenset[Sink]
    ) -> None:
        """Take down containers that no value decides for, with the patches that do or could.

        The others are remembered, with the release that makes them.
        """
        made = list(PostRendered(self.survey, release, rendering).expectations(sinks))
        self.survey.expectations += made
        here = release.route.inside and release.route.reachable is not False
        patched = touches_resources(release.post_renderers)
        left = sinks - {Sink(e.kind, e.workload or "", e.container) for e in made}
        for sink in left if here and not patched else ():
            identity = (release.owner.namespace, sink.kind, sink.workload, sink.container)
            self.survey.unoffered.setdefault(identity, release.owner)

    def _ignored_by(self, release: Release, file: str, address: Address, path: Path) -> None:
        place = self.survey.place(file, address, release.owner, None, release.route)
        if place.declared:
            message = (
                f"the chart {release.owner.chart} ignores {dotted(path)}, "
                "or the part it is for is switched off"
            )
            self.survey.findings.append(Finding("ignored", place, message))

    def _expect_well_known(
        self, release: Release, values: Mapping[str, object]
    ) -> set[tuple[str, Address]]:
        chart = release.owner.chart or ""
        known = set()
        for rule in charts()[chart]:
            found = release.locate(rule.path) or self._insertion(release, rule.path)
            if found is None:
                continue
            file, address, _ = found
            workload, container = rule.names(release.name, chart, values)
            place = self.survey.place(file, address, release.owner, container, release.route)
            known.add((file, address))
            self.survey.expectations.append(
                Expectation(
                    release.owner.namespace,
                    rule.kind,
                    workload,
                    container,
                    None,
                    place,
                    *_trusted(rule, chart, release, place),
                    release.route,
                    floors=_beside(values, rule.path, release.route),
                    leaves=_leaves(release, rule.path, place),
                )
            )
        return known

    def _insertion(self, release: Release, path: Path) -> tuple[str, Address, bool] | None:
        """Where a path goes of which not even the parent exists: the strongest inline values."""
        if not release.values and release.home is None:
            return None
        file, address = release.home or release.values[-1][:2]
        if release.values:
            file, address, _ = release.values[-1]
        return file, address.below(*release.prefix, *path), False

    def _flux_instance_values(self, release: Release) -> None:
        for file, address, node in release.values:
            patches = node.sequence("instance", "kustomize", "patches")
            below = address.below("instance", "kustomize", "patches")
            if patches:
                self.manifests.controller_patches(
                    file, below, patches, release.owner, release.route
                )

    def _other_blocks(self, release: Release, known: set[tuple[str, Address]]) -> None:
        """Blocks among the values that no rule claims: unproven, or ignored by the chart."""
        for file, address, node in release.values:
            scope = node.at(*release.prefix) if release.prefix else node
            if scope is None:
                continue
            base = address.below(*release.prefix)
            for path, found in walk(scope):
                if not path or not is_block(str(path[-1]), found):
                    continue
                below = base.below(*path)
                if (file, below) in known or _inside_known(file, below, known):
                    continue
                place = self.survey.place(file, below, release.owner, None, release.route)
                if release.shadowed(file, below, path):
                    message = f"{dotted(path)} is stated again by stronger values, which win"
                    self.survey.findings.append(Finding("shadowed", place, message))
                else:
                    self._judge(release, place, path)

    def _judge(self, release: Release, place: Place, path: Path) -> None:
        key = str(path[-1])
        if not RESOURCES.fullmatch(key):
            fix = "a misspelling of resources" if TYPO.fullmatch(key) else "no resources key"
            message = f"{dotted(path)} is {fix}; the chart ignores it"
        elif release.owner.chart == APP_TEMPLATE and path[0] != "controllers" and len(path) < 3:
            message = (
                f"app-template ignores {dotted(path)}; "
                "resources belong to controllers.<name>.containers.<name>.resources"
            )
        else:
            return
        self.survey.findings.append(Finding("ignored", place, message))


def _unoffered(values: Mapping[str, object], unreached: Iterable[Sink]) -> frozenset[Sink]:
    """The containers for whose resources a chart has no value.

    One that the values name is theirs to declare, as extra containers are.
    """
    named = set(_named(values))
    return frozenset(
        sink
        for sink in unreached
        if sink.container not in named and read_workload(sink.workload) == (sink.workload, None)
    )


def _named(values: object, *, keys: bool = False) -> Iterable[str]:
    """What values may call a container: entries of lists, keys below `...ontainers`, and texts."""
    if isinstance(values, Mapping):
        for key, below in values.items():
            if keys:
                yield str(key)
            if key == "name" and isinstance(below, str):
                yield below
            yield from _named(below, keys=str(key).lower().endswith(_CONTAINERS))
    elif isinstance(values, list):
        for below in values:
            yield from _named(below)
    elif isinstance(values, str) and "\n" in values:
        yield from _NAMES.findall(values)


def _trusted(rule: ChartRule, chart: str, release: Release, place: Place) -> tuple[str, Confidence]:
    """By which row of the table a place decides, and how far that can be trusted.

    Of another version than those that were rendered, amounts that are stated are believed: they
    are held against what runs. Where nothing is stated, nothing would show a mistake.
    """
    version = release.owner.version
    if rule.covers(version):
        seen = f"in versions {rule.oldest} to {rule.newest}"
        return f"the chart {chart} reads it from {dotted(rule.path)} {seen}", "likely"
    seen = f"in versions {rule.oldest} to {rule.newest}" if rule.oldest else "as far as known"
    told = (
        f"the chart {chart} reads it from {dotted(rule.path)} {seen}; "
        f"{version or 'the version in use'} was not tried, name a folder with it by --charts-dir"
    )
    return told, "likely" if place.declared else "unproven"


def _leaves(release: Release, path: Path, place: Place) -> tuple[Leaf, ...] | None:
    """Every amount below `path` and where it has the last word; None where all are in one place.

    Values are merged key by key, so that stronger ones may state a part of the amounts.
    """
    found = []
    for row in ROWS:
        told = release.last_word((*path, *row.path))
        if told is not None:
            found.append(Leaf(row.field, *told))
    here = [(leaf.file, leaf.address) for leaf in found]
    at_home = [(place.file, place.address.below(*BY_FIELD[leaf.field].path)) for leaf in found]
    return None if here == at_home else tuple(found)


def _inside_known(file: str, address: Address, known: set[tuple[str, Address]]) -> bool:
    """Whether an address is below one that a rule claims."""
    return any(
        file == other
        and address.inner == claim.inner
        and address.path[: len(claim.path)] == claim.path
        for other, claim in known
    )


_FOR_SEVERAL = re.compile(r"(?i)env|conf|opt|arg|java|jvm|heap|common")
"""Names of values that hold for all parts of a chart that lie beside them."""


def _beside(values: object, path: Path, route: Route) -> tuple[Floor, ...]:
    """What the Helm values around a `resources` at `path` ask of the container's memory.

    All of what lies beside it; one step further up, and in `global`, plain texts and what by its
    name is for several parts of the chart.
    """
    shared: dict[str, object] = {}
    if isinstance(values, Mapping):
        shared["global"] = values.get("global")
    for depth, key in enumerate(path[:-1], start=1):
        if depth == len(path) - 1 and isinstance(values, Mapping):
            shared |= {str(name): of for name, of in values.items() if _for_several(str(name), of)}
        values = values.get(str(key)) if isinstance(values, Mapping) else None
    own = memory_floors(values, route.expand)
    return tuple(dict.fromkeys((*own, *memory_floors(shared, route.expand))))


def _for_several(name: str, value: object) -> bool:
    """Whether a value beside a part of a chart may be meant for that part as well."""
    return not isinstance(value, Mapping | list) or _FOR_SEVERAL.search(name) is not None
