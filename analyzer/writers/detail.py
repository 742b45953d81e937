"""What lies behind one row of the page: amounts, days, the chart, every step, the place in Git."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from analyzer.models.demand import RESOURCES, Resource, Step
from analyzer.plots.text import counted, level_text, percent
from analyzer.quantity import Cpu, Memory
from analyzer.recommend import TARGETS, Recommendation
from analyzer.report import MONTHS, Landing, Report
from analyzer.writers.glossary import step_words
from analyzer.writers.markup import Html, element, join, table

TITLES = {
    "cpu_request": "CPU request",
    "cpu_limit": "CPU limit",
    "memory_request": "Memory request",
    "memory_limit": "Memory limit",
}


def detail(report: Report, of: Recommendation, landing: Landing | None, *, whole: bool) -> Html:
    """All that the report knows of one container; without its steps unless `whole`.

    Why its amounts change stands in its row already, from where the script takes it.
    """
    ref, seen = of.ref, of.evidence
    facts = f"{ref.kind} · {counted(of.replicas, 'replica')} · {counted(round(seen.days), 'day')}"
    happened = [
        counted(count, noun)
        for count, noun in ((seen.oom_kills, "OOM kill"), (seen.restarts, "restart"))
        if count
    ]
    trails = [_trail(of, target) for target in TARGETS] if whole else [_elsewhere(of)]
    return join(
        [
            element("h2", f"{ref.namespace} / {ref.workload} · {ref.container}"),
            element("p", " · ".join([facts, *happened, f"confidence {of.confidence:.0%}"])),
            _amounts_table(of),
            element(
                "div",
                *(_figure(report, of, resource) for resource in RESOURCES),
                class_="figures",
            ),
            *_chart(report, str(of.ref), f"Chart of {of.ref}"),
            *_chart(report, f"{MONTHS}{of.ref}", f"Reviews of {of.ref} over months"),
            *trails,
            *_place(landing),
        ]
    )


def _elsewhere(of: Recommendation) -> Html:
    return element("p", "Step by step: ", element("code", f"rightsize explain {of.ref}"))


def _amounts_table(of: Recommendation) -> Html:
    rows = []
    for target in TARGETS:
        now, new = getattr(of.current, target), getattr(of.proposed, target)
        risk = of.stated_risk.get(target)
        rows.append([TITLES[target], amount_text(now), amount_text(new), _risk(target, risk)])
    return table("Amounts", ["Amount", "Now", "Proposed", "Risk of more than that"], rows)


def _risk(target: str, risk: float | None) -> str:
    if risk is None:
        return "–"
    ending = "of the time" if target.startswith("cpu") else "chance until the next review"
    return f"{percent(risk)} {ending}"


def _figure(report: Report, of: Recommendation, resource: Resource) -> Html:
    drawing = spark(report, of, resource, size=(420, 110))
    if not drawing:
        return drawing
    days = report.days[str(of.ref)][resource]
    first = report.meta.end - len(days) * timedelta(days=1)
    words = f"{_spark_words(days, resource)}, {first:%d %b} to {report.meta.end:%d %b}"
    lines = "; lines: request now (dashed) and proposed"
    return element("figure", drawing, element("figcaption", words + lines))


def _chart(report: Report, key: str, words: str) -> list[Html]:
    path = report.files.get(key)
    if path is None:
        return []
    image = element("img", src=path, alt=words, loading="lazy", class_="chart")
    return [element("a", image, href=path)]


def _trail(of: Recommendation, target: str) -> Html:
    steps = of.trail.get(target, ())
    if not steps:
        return join([])
    items = [
        element(
            "li",
            element("b", step_words(step.name)),
            _from_to(step),
            element("span", step.reason),
        )
        for step in steps
    ]
    return join([element("h3", f"How the {TITLES[target]} came about"), element("ol", *items)])


def _from_to(step: Step) -> str:
    """``: before → after``, or what there is of it."""
    shown = " → ".join(filter(None, (step.before, step.after)))
    return f": {shown}" if shown else ""


def _place(landing: Landing | None) -> list[Html]:
    if landing is None:
        return []
    words = {"edited": "Edited", "advice": "Left to you", "unchanged": "Unchanged"}
    lines = [element("p", f"{words.get(landing.status, landing.status)}: {landing.reason}")]
    if landing.file:
        lines.append(element("p", element("code", landing.file), f" at {landing.path}"))
    for one in landing.besides:
        change = f"{one.before}{one.unit} → {one.after}{one.unit}"
        said = f" at {one.path}, in the same edit: {one.title} {change}"
        lines.append(element("p", element("code", one.file), said))
    return [element("h3", "In Git"), *lines]


def spark(
    report: Report, of: Recommendation, resource: Resource, size: tuple[int, int] = (96, 26)
) -> Html:
    """The value of each day as bars, under the request now and proposed."""
    days = report.days.get(str(of.ref), {}).get(resource, ())
    levels = [_level(of, f"{resource}_request", new=new) for new in (False, True)]
    top = max([0.0, *(v for v in (*days, *levels) if v is not None)]) * 1.05
    if not top or not days:
        return join([])
    width, height = size
    step = width / len(days)
    # One path of strokes: a tenth of the bytes of as many rectangles.
    bars = element(
        "path",
        d="".join(
            f"M{(k + 0.5) * step:.1f} {height}V{height * (1 - value / top):.1f}"
            for k, value in enumerate(days)
            if value is not None
        ),
        stroke_width=f"{step * 0.8:.1f}",
        class_="bars",
    )
    lines = [
        element("path", d=f"M0 {height * (1 - value / top):.1f}H{width}", class_=name)
        for name, value in zip(("now", "new"), levels, strict=True)
        if value is not None
    ]
    return element(
        "svg",
        bars,
        *lines,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=_spark_words(days, resource),
    )


def _level(of: Recommendation, target: str, *, new: bool) -> float | None:
    amount = getattr(of.proposed if new else of.current, target)
    if amount is None:
        return None
    return amount.cores if isinstance(amount, Cpu) else float(amount.bytes)


def _spark_words(days: Sequence[float | None], resource: Resource) -> str:
    seen = [value for value in days if value is not None]
    name = "CPU, p95 of each day" if resource == "cpu" else "Memory, peak of each day"
    if not seen:
        return f"{name}: not observed"
    low, high = (level_text(resource, f(seen)) for f in (min, max))
    return f"{name}: {low} to {high} in {counted(len(seen), 'day')}"


def amount_text(amount: Cpu | Memory | None) -> str:
    """The amount as manifests spell it."""
    return "none" if amount is None else str(amount)
