"""k3s, RKE2 and k0s: charts that the distribution itself installs, with values in a block scalar.

A HelmChart is installed by the controller of k3s and RKE2, and a HelmChartConfig of its name adds
values, also to the charts that the distribution brings along. k0s keeps charts in its own
configuration, or as Chart objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from analyzer.gitops.reach.route import Arrival, HelmSource
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.tree import Key, Node

HELM_CHART = "HelmChart"
CONFIG = "HelmChartConfig"
_K3S = "helm.cattle.io"
_K0S_CHART = "helm.k0sproject.io/Chart"
_K0S_CHARTS: dict[str, tuple[Key, ...]] = {
    "k0s.k0sproject.io/ClusterConfig": ("spec", "extensions", "helm", "charts"),
    "k0sctl.k0sproject.io/Cluster": (
        "spec", "k0s", "config", "spec", "extensions", "helm", "charts",
    ),
}  # fmt: skip
Values = tuple[str, Address]


def sources(arrivals: Sequence[Arrival]) -> Iterator[HelmSource]:
    """The releases that the objects of these distributions make."""
    configs = [a for a in arrivals if (a.object.group, a.object.kind) == (_K3S, CONFIG)]
    charts = [a for a in arrivals if (a.object.group, a.object.kind) == (_K3S, HELM_CHART)]
    named = {(chart.namespace, chart.name) for chart in charts}
    for arrival in charts:
        yield _chart(arrival, [c for c in configs if _same(c, arrival)])
    for config in configs:
        # Of a chart that no object here installs, the distribution brings it along.
        if (config.namespace, config.name) not in named:
            yield _bundled(config)
    for arrival in arrivals:
        key = f"{arrival.object.group}/{arrival.object.kind}"
        if key == _K0S_CHART:
            yield from _k0s_chart(arrival)
        for number, entry in enumerate(arrival.object.node.sequence(*_K0S_CHARTS.get(key, ("-",)))):
            yield from _k0s_entry(arrival, (*_K0S_CHARTS[key], number), entry)


def _same(config: Arrival, chart: Arrival) -> bool:
    """Whether a configuration is that of a chart on the same way to a cluster."""
    named = (config.namespace, config.name) == (chart.namespace, chart.name)
    return named and config.route.entry == chart.route.entry


def _chart(arrival: Arrival, configs: Sequence[Arrival]) -> HelmSource:
    spec = arrival.object.node.at("spec") or arrival.object.node
    expand = arrival.route.expand
    values = [each for one in (arrival, *configs) for each in _content(one)]
    return HelmSource(
        owner=HELM_CHART,
        release=arrival.name,
        namespace=expand(spec.text("targetNamespace") or arrival.namespace),
        chart=_chart_name(expand(spec.text("chart") or "")),
        version=expand(spec.text("version") or "") or None,
        chart_folder=None,
        values=tuple(values),
        route=arrival.route,
        overruled=_overruled(arrival, spec, configs),
        source=f"{spec.text('repo') or ''} {spec.text('chart') or ''}",
    )


def _bundled(config: Arrival) -> HelmSource:
    return HelmSource(
        owner=HELM_CHART,
        release=config.name,
        namespace=config.namespace,
        chart=config.name,
        version=None,
        chart_folder=None,
        values=tuple(_content(config)),
        route=config.route,
        overruled=_patched(config),
    )


def _content(arrival: Arrival) -> Iterator[Values]:
    """The YAML in a block scalar, or the mapping that newer versions take as well."""
    item = arrival.object
    inline = item.node.at("spec", "valuesContent")
    if inline is not None and inline.kind == "scalar":
        yield item.file, item.address.below("spec", "valuesContent").into(Address(0, ()))
    if item.node.at("spec", "values") is not None:
        yield item.file, item.address.below("spec", "values")


def _overruled(arrival: Arrival, spec: Node, configs: Sequence[Arrival]) -> str | None:
    """What has a hand in the resources of a chart beside its values."""
    touching = [key for key, _ in spec.mapping("set") if "resources" in key.lower()]
    if touching:
        return f"the HelmChart sets {touching[0][:80]} on its own"
    return next(filter(None, map(_patched, (arrival, *configs))), None)


def _patched(arrival: Arrival) -> str | None:
    """What to say of values that a patch replaces: kustomize cannot merge into a block scalar."""
    for patch in arrival.route.patches:
        if not patch.applies_to(arrival.object, arrival.namespace):
            continue
        paths = [operation.resolved.text("path") or "" for operation in patch.node.items]
        stated = not patch.is_json and patch.node.at("spec", "valuesContent") is not None
        if stated or any(path.startswith(("/spec/values", "/spec/set")) for path in paths):
            return f"the patch in {patch.file} replaces its values"
    return None


def _chart_name(chart: str) -> str:
    """The name of a chart that is given as ``repo/name``, as an address or as an archive."""
    return PurePosixPath(chart.partition("?")[0].rstrip("/") or "?").name.removesuffix(".tgz")


def _k0s_chart(arrival: Arrival) -> Iterator[HelmSource]:
    spec = arrival.object.node.at("spec")
    if spec is not None:
        base = arrival.object.address.below("spec")
        name = spec.text("releaseName") or arrival.name
        yield _k0s(arrival, base, spec, name, spec.text("chartName") or "")


def _k0s_entry(arrival: Arrival, path: tuple[Key, ...], entry: Node) -> Iterator[HelmSource]:
    base = arrival.object.address.below(*path)
    chart = entry.text("chartname") or entry.text("chartName") or ""
    yield _k0s(arrival, base, entry, entry.text("name") or "", chart)


def _k0s(arrival: Arrival, base: Address, entry: Node, release: str, chart: str) -> HelmSource:
    values = entry.at("values")
    block = values is not None and values.kind == "scalar"
    address = base.below("values").into(Address(0, ())) if block else base.below("values")
    return HelmSource(
        owner="k0s",
        release=release,
        namespace=entry.text("namespace") or "default",
        chart=_chart_name(chart),
        version=entry.text("version"),
        chart_folder=None,
        source=chart,
        values=((arrival.object.file, address),) if values is not None else (),
        route=arrival.route,
    )
