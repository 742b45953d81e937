"""The page of a run: one ``index.html`` that needs no network, and no script to be read.

The table of containers is markup, so that it is there without JavaScript; the script in
``assets/page.js`` sorts, filters and searches it, and opens what lies behind a row. Charts lie
beside the page; the small ones in it are drawn from the days of the report.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pkgutil import get_data
from typing import Any

from analyzer.models.demand import RESOURCES
from analyzer.plots.text import change_percent, counted
from analyzer.quantity import TargetName
from analyzer.recommend import TARGETS, Recommendation
from analyzer.report import (
    Landing,
    Report,
    direction,
    duration_text,
    held_back,
    tally,
    window_text,
)
from analyzer.writers.detail import TITLES, amount_text, detail, spark
from analyzer.writers.glossary import GLOSSARY
from analyzer.writers.markup import Html, element, join, table
from analyzer.writers.packing import groups
from analyzer.writers.section import JUDGED, Section, outcomes, pressure, quotas
from analyzer.writers.summary import total_change, why

SHOWN = 500
"""Rows that are there without JavaScript; the script adds the others as one scrolls."""
WITH_TRAIL = 2000
"""Containers whose steps are in the page; of more, `rightsize explain` tells them."""

_COLUMNS = ("Container", "Pods", *TITLES.values(), "Days: CPU, memory", "Why")
_WAYS = {
    "": "all",
    "changed": "to change",
    "down": "less",
    "up": "more",
    "both": "both ways",
    "limits": "limits only",
    "held": "held",
    "same": "right as it is",
}


def write_page(report: Report) -> dict[str, bytes]:
    """``index.html``: what the summary says, every container with its trail, and the charts."""
    style, script = _asset("page.css"), _asset("page.js")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Right-sizing {report.meta.cluster}"),
        element("style", style),
    )
    body = element("body", *_sections(report), element("script", script))
    page = f"<!doctype html>\n{element('html', head, body, lang='en')}\n"
    return {"index.html": page.encode()}


def _asset(name: str) -> Html:
    content = get_data("analyzer.writers", f"assets/{name}")
    if content is None:
        raise FileNotFoundError(f"the package lacks its file assets/{name}; install it again")
    return Html(content.decode())


def _policy(style: str, script: str) -> str:
    """Nothing is loaded but the charts beside the page; no other script or style runs."""
    return (
        f"default-src 'none'; img-src 'self' file: data:; style-src {_digest(style)}; "
        f"script-src {_digest(script)}; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _sections(report: Report) -> list[Html]:
    landings = {landing.ref: landing for landing in report.landings}
    ordered = sorted(report.recommendations, key=lambda r: (-r.weight, r.ref))
    return [
        element("a", "Skip to the containers", href="#containers", class_="skip"),
        element("header", *_header(report)),
        element(
            "main",
            _warnings(report),
            _containers(report, ordered, landings),
            _cluster(report),
            _section(groups(report), _picture(report, "packing", "Groups of nodes")),
            *(_section(of(report)) for of in (pressure, quotas)),
            _backtest(report),
            _section(outcomes(report)),
            _stays(report),
            _glossary(),
        ),
        element("footer", f"Made by rightsize {report.version}{_created(report)}."),
        *_templates(report, ordered, landings),
        element("dialog", id="detail", aria_label="One container"),
    ]


def _header(report: Report) -> list[Html]:
    changes = " · ".join(total_change(report, resource) for resource in RESOURCES)
    return [
        element("h1", f"Right-sizing {report.meta.cluster}"),
        element("p", changes, class_="lead"),
        element(
            "p",
            f"{tally(report.recommendations, report.skipped)}. Usage from "
            f"{window_text(report.meta)}; model {report.model}, "
            f"for the next {duration_text(report.horizon)}.",
        ),
    ]


def _created(report: Report) -> str:
    return f" on {report.created:%Y-%m-%d %H:%M} UTC" if report.created else ""


def _warnings(report: Report) -> Html:
    warnings = [*report.meta.warnings, *report.warnings]
    if not warnings:
        return join([])
    items = (element("li", warning) for warning in warnings)
    return element(
        "section", element("h2", "Partial data"), element("ul", *items), class_="warnings"
    )


def _containers(
    report: Report, ordered: Sequence[Recommendation], landings: Mapping[str, Landing]
) -> Html:
    head = [
        element("th", element("span", title), scope="col", data_sort=k)
        for k, title in enumerate(_COLUMNS)
    ]
    rest = len(ordered) - SHOWN
    more = [element("p", f"…and {rest} more.", class_="rest")] if rest > 0 else []
    return element(
        "section",
        element("h2", "Containers", id="containers"),
        _controls(report),
        element(
            "div",
            element(
                "table",
                element("caption", "Now and proposed, the largest changes first", id="count"),
                element("thead", element("tr", *head)),
                element("tbody", *_rows(report, ordered[:SHOWN], landings), id="rows"),
                id="table",
            ),
            **_SCROLLS,
            aria_label="Table of containers",
        ),
        *more,
    )


def _controls(report: Report) -> Html:
    """Search and filters; shown where the script runs."""
    spaces = sorted({r.ref.namespace for r in report.recommendations})
    options = [element("option", "all namespaces", value="")]
    options += [element("option", name, value=name) for name in spaces]
    ways = [
        ("", "all"),
        ("changed", "to change"),
        *_WAYS.items(),
        ("held", "held"),
        ("same", "right"),
    ]
    kinds = [element("option", words, value=value) for value, words in ways]
    return element(
        "form",
        element("label", "Search ", element("input", type="search", id="search", accesskey="s")),
        element("label", "Namespace ", element("select", *options, id="namespace")),
        element("label", "Change ", element("select", *kinds, id="way")),
        element("button", "Light or dark", type="button", id="theme"),
        element("p", "Keys: / searches, ↑ ↓ or j k walk, Enter opens, Esc closes.", class_="hint"),
        id="controls",
        role="search",
    )


def _rows(
    report: Report, chosen: Iterable[Recommendation], landings: Mapping[str, Landing]
) -> list[Html]:
    return [_row(report, r, landings.get(str(r.ref))) for r in chosen]


def _row(report: Report, of: Recommendation, landing: Landing | None) -> Html:
    name, ref = f"{of.ref.namespace}/{of.ref.workload}", str(of.ref)
    way = direction(of) if of.changed else ("held" if held_back(of) else "same")
    return element(
        "tr",
        element(
            "th",
            element("a", name, href=f"#{ref}"),
            element("small", of.ref.container),
            scope="row",
            data_value=ref,
        ),
        element("td", str(of.replicas), class_="number", data_value=of.replicas),
        *(_amounts(of, target) for target in TARGETS),
        element("td", *(spark(report, of, resource) for resource in RESOURCES), class_="sparks"),
        element("td", element("span", why(of))),
        data_ref=ref,
        data_namespace=of.ref.namespace,
        data_way=way,
    )


def _amounts(of: Recommendation, target: TargetName) -> Html:
    """Now and proposed, sorted by the change of all replicas."""
    now, new = getattr(of.current, target), getattr(of.proposed, target)
    value = of.change(target)
    if now == new:
        return element("td", amount_text(now), class_="number same", data_value=value)
    tone = "more" if value > 0 else "less"
    change = [element("small", change_percent(now.units, new.units))] if now and new else []
    return element(
        "td",
        f"{amount_text(now)} → ",
        element("strong", amount_text(new)),
        *change,
        class_=f"number {tone}",
        data_value=value,
    )


def _templates(
    report: Report, ordered: Sequence[Recommendation], landings: Mapping[str, Landing]
) -> list[Html]:
    """What the script shows on demand: rows beyond the first, and what lies behind each row."""
    rest = element("table", *_rows(report, ordered[SHOWN:], landings))
    details = [
        element(
            "template",
            detail(report, of, landings.get(str(of.ref)), whole=place < WITH_TRAIL),
            data_for=str(of.ref),
        )
        for place, of in enumerate(ordered)
    ]
    return [element("template", rest, id="more-rows"), *details]


def _cluster(report: Report) -> Html:
    words = " · ".join(total_change(report, resource) for resource in RESOURCES)
    picture = _picture(report, "cluster", f"The cluster: {words}")
    return element("section", element("h2", "The cluster"), picture) if picture else picture


def _picture(report: Report, which: str, words: str) -> Html:
    """A chart beside the page, where it was drawn."""
    path = report.files.get(which)
    if path is None:
        return join([])
    image = element("img", src=path, alt=words, loading="lazy", class_="chart")
    return element("a", image, href=path)


def _section(of: Section | None, picture: str = "") -> Html:
    if of is None:
        return join([])
    minds = (element("p", line, class_="note") for line in of.minds)
    rows = element("div", table(of.title, of.head, of.rows), **_SCROLLS, aria_label=of.title)
    return element("section", element("h2", of.title), element("p", of.text), picture, rows, *minds)


_SCROLLS: dict[str, object] = {"class_": "scroll", "tabindex": "0", "role": "region"}
"""What a wide table needs to be moved by keyboard, and named."""


def _backtest(report: Report) -> Html:
    if not report.verdict:
        return join([])
    parts = [
        element("h2", "How this would have done"),
        element("p", JUDGED),
        element("p", report.verdict),
    ]
    rows = _single_points(report.backtest)
    if rows:
        head = ["What", "Of", "Above it", "Asked for / used", "Reviews of containers"]
        caption = "Above it: of CPU the share of the time, of memory the share of weeks"
        parts.append(element("div", table(caption, head, rows), **_SCROLLS, aria_label=caption))
    return element("section", *parts)


def _single_points(backtest: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """What has one point and no sweep of them: this policy, what is requested now, and the like."""
    counts = Counter((row["model"], row["resource"]) for row in backtest)
    return [
        [
            str(row["model"]),
            "CPU" if row["resource"] == "cpu" else "Memory",
            _share(row[_ABOVE[row["resource"]]]),
            f"{row['footprint_to_usage']:.2f} ×" if row["footprint_to_usage"] else "–",
            str(row["container_weeks"]),
        ]
        for row in backtest
        if counts[row["model"], row["resource"]] == 1
    ]


_ABOVE = {"cpu": "overrun_sample_share", "memory": "overrun_week_share"}


def _share(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, float) else "–"


def _stays(report: Report) -> Html:
    """What was held, what was skipped, and what a person has to do in Git; each with its reason."""
    kept = (r for r in report.recommendations if not r.changed and held_back(r))
    held = [[str(r.ref), held_back(r)] for r in kept]
    skipped = [[str(s.ref), s.reason] for s in report.skipped]
    advice = [[x.ref, x.reason] for x in report.landings if x.status == "advice"]
    kinds = [("Held", held), ("Skipped", skipped), ("Left to you in Git", advice)]
    tables = [
        element(
            "details",
            element("summary", f"{title}: {counted(len(rows), 'container')}"),
            table(title, ["Container", "Why"], rows),
        )
        for title, rows in kinds
        if rows
    ]
    if not tables:
        return join([])
    return element("section", element("h2", "What was held, and why"), *tables)


def _glossary() -> Html:
    words = [
        part
        for term, meaning in GLOSSARY.items()
        for part in (element("dt", term), element("dd", meaning))
    ]
    return element("details", element("summary", "What the words mean"), element("dl", *words))
