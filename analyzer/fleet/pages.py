"""The report of a fleet as files: a summary, a page, a chart, and every number."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from analyzer.escape import csv_cell, markdown, markdown_table
from analyzer.fleet.state import ClusterState, Difference, Fleet, Gathered, dump_fleet
from analyzer.models.demand import RESOURCES
from analyzer.plots.text import change_percent, counted, total_text
from analyzer.writers.markup import Html, element, join, table

SHOWN = 50
"""Differences that the summary and the page list; ``fleet.json`` has all of them."""
CHART = "fleet.png"
_STYLE = Html(
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.35rem .6rem;text-align:left;"
    "vertical-align:top;border-bottom:1px solid #8885}caption{text-align:left;padding:.3rem 0}"
    "img{max-width:100%;height:auto}.scroll{overflow-x:auto}.failed{color:#d0115a}"
    "@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e8edf4}a{color:#58a6ff}"
    ".failed{color:#ff7aa8}}"
)
_STANDING = {"done": "", "partial": "partial: ", "failed": "failed: "}
_HEAD = ("Name", "CPU requests", "Memory requests", "Nodes needed", "Saved a month", "Found")
_APART = ("Container", "Resource", "Least", "Most", "Factor", "Clusters")
_WHAT_DIFFERS = (
    "The same container, by namespace, workload and name, needs at least twice as much in one "
    "cluster as in another: by its load, its settings, or the policy that holds there."
)


def write_fleet(gathered: Gathered) -> dict[str, bytes]:
    """``summary.md``, ``index.html``, ``fleet.json`` and ``recommendations.csv`` of all."""
    fleet, rows = gathered.fleet, gathered.rows.copy()
    for name in ("cluster", "namespace", "kind", "workload", "container"):
        if name in rows:
            rows[name] = [csv_cell(str(value)) for value in rows[name]]
    return {
        "summary.md": _summary(fleet).encode(),
        "index.html": _page(fleet).encode(),
        "fleet.json": dump_fleet(fleet),
        "recommendations.csv": rows.to_csv(index=False).encode(),
    }


def headline(fleet: Fleet) -> str:
    """What all clusters request now and would, in one line."""
    parts = [counted(len(fleet.clusters), "cluster")]
    for resource, (now, new) in fleet.requests.items():
        name = "CPU" if resource == "cpu" else "memory"
        change = f" ({change_percent(now, new)})" if now and now != new else ""
        parts.append(f"{name} {total_text(resource, now)} → {total_text(resource, new)}{change}")
    if fleet.saved is not None:
        parts.append(f"{fleet.saved:,.2f} a month saved by whole nodes")
    if fleet.failed:
        parts.append(f"{len(fleet.failed)} failed")
    return " · ".join(parts)


def _summary(fleet: Fleet) -> str:
    rows = [[_link(state), *(markdown(cell) for cell in _cells(state))] for state in fleet.clusters]
    parts = [
        "# Right-sizing all clusters",
        f"**{headline(fleet)}**",
        f"![The clusters]({CHART})" if _drawn(fleet) else "",
        markdown_table(_HEAD, rows),
        _differences(fleet.differences),
        f"---\n\nMade by rightsize {markdown(fleet.version)}{_created(fleet)}. Everything is in "
        "`fleet.json` and `recommendations.csv`; each cluster has a folder with its own run.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _drawn(fleet: Fleet) -> bool:
    return any(state.requests for state in fleet.clusters)


def _link(state: ClusterState) -> str:
    if not state.folder:
        return markdown(state.name)
    return f"[{markdown(state.name)}](../{quote(state.folder)}/summary.md)"


def _cells(state: ClusterState) -> list[str]:
    requests = [_change(state, place) for place in range(len(RESOURCES))]
    nodes, saved = "–", "–"
    if state.nodes is not None:
        nodes = f"{state.nodes.needed_now} → {state.nodes.needed_after} of {state.nodes.count}"
        saved = "–" if state.nodes.saved is None else f"{state.nodes.saved:,.2f}"
    return [*requests, nodes, saved, _found(state)]


def _change(state: ClusterState, place: int) -> str:
    resource = RESOURCES[place]
    if resource not in state.requests:
        return "–"
    now, new = state.requests[resource]
    if now == new:
        return total_text(resource, now)
    share = f" ({change_percent(now, new)})" if now else ""
    return f"{total_text(resource, now)} → {total_text(resource, new)}{share}"


def _found(state: ClusterState) -> str:
    """What the run found, and why it is not whole; of a failed one, what an earlier one found."""
    trouble = _STANDING[state.standing] + state.problem if state.problem else ""
    if state.standing == "failed" and state.counts:
        when = f" of {state.created:%Y-%m-%d %H:%M}" if state.created else ""
        return f"{trouble} (shown is the run{when}: {state.counts})"
    return " · ".join(part for part in (state.counts, trouble) if part)


def _rows(differences: Sequence[Difference]) -> list[list[str]]:
    return [
        [
            f"{one.namespace}/{one.kind}/{one.workload}/{one.container}",
            "CPU" if one.resource == "cpu" else "memory",
            f"{one.lowest_amount} in {one.lowest}",
            f"{one.highest_amount} in {one.highest}",
            f"× {one.factor:.1f}",
            str(one.clusters),
        ]
        for one in differences[:SHOWN]
    ]


def _differences(differences: Sequence[Difference]) -> str:
    if not differences:
        return ""
    rows = [[markdown(cell) for cell in row] for row in _rows(differences)]
    return f"## Where clusters differ\n\n{_WHAT_DIFFERS}\n\n{markdown_table(_APART, rows)}" + _more(
        differences
    )


def _more(differences: Sequence[Difference]) -> str:
    rest = len(differences) - SHOWN
    return f"\n\n…and {rest} more in `fleet.json`." if rest > 0 else ""


def _created(fleet: Fleet) -> str:
    return f" on {fleet.created:%Y-%m-%d %H:%M} UTC" if fleet.created else ""


def _page(fleet: Fleet) -> str:
    policy = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("title", "Right-sizing all clusters"),
        element("style", _STYLE),
    )
    image = element("img", src=CHART, alt=headline(fleet)) if _drawn(fleet) else join([])
    body = element(
        "body",
        element(
            "main",
            element("h1", "Right-sizing all clusters"),
            element("p", headline(fleet)),
            image,
            element("h2", "The clusters"),
            element("div", _clusters(fleet), **_SCROLLS, aria_label="The clusters"),
            _differing(fleet.differences),
        ),
        element("footer", f"Made by rightsize {fleet.version}{_created(fleet)}."),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


_SCROLLS: dict[str, object] = {"class_": "scroll", "tabindex": "0", "role": "region"}


def _clusters(fleet: Fleet) -> Html:
    rows = [
        element(
            "tr",
            element("th", _opened(state), scope="row"),
            *(element("td", cell) for cell in _cells(state)),
            class_="failed" if state.standing == "failed" else None,
        )
        for state in fleet.clusters
    ]
    head = element("tr", *(element("th", cell, scope="col") for cell in _HEAD))
    return element("table", element("thead", head), element("tbody", *rows))


def _opened(state: ClusterState) -> str:
    if not state.page:
        return state.name
    return element("a", state.name, href=f"../{quote(state.folder)}/index.html")


def _differing(differences: Sequence[Difference]) -> Html:
    if not differences:
        return join([])
    shown = table("The widest first", _APART, _rows(differences))
    rest = len(differences) - SHOWN
    return element(
        "section",
        element("h2", "Where clusters differ"),
        element("p", _WHAT_DIFFERS),
        element("div", shown, **_SCROLLS, aria_label="Where clusters differ"),
        element("p", f"…and {rest} more in fleet.json." if rest > 0 else ""),
    )
