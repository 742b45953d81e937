"""The report: everything one run found, and its lossless form as JSON.

Writers, pull requests and later comparisons work from a `Report` alone, so that ``run.json``
written today can be turned into patches tomorrow and elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import pandas as pd

from analyzer.errors import AnalyzerError, OutputError
from analyzer.escape import html, json_text
from analyzer.gitops.land.diff import diff_of, joined
from analyzer.gitops.land.proven import Proof
from analyzer.history import Skipped
from analyzer.ledger.outcome import Outcome, moves
from analyzer.models.demand import RESOURCES, Resource
from analyzer.placement import Packing, Placement
from analyzer.quantity import Cpu, Memory, decode_quantity
from analyzer.recommend import TARGETS, Recommendation, totals
from analyzer.recommend.admission import QuotaUse
from analyzer.telemetry import Verdict
from analyzer.usage import Meta
from analyzer.workload import ContainerRef, Selector

SCHEMA = "rightsize/v1"
_SHOWN = 25
_MOST: Mapping[Resource, Cpu | Memory] = {"cpu": Cpu(10**9), "memory": Memory(2**60)}
"""A million cores and an exbibyte: the bounds of the settings too."""
_PIECE = 1 << 20


@dataclass(frozen=True)
class LandedBeside:
    """A setting that is written in the same edit as a container's amounts, and where."""

    title: str
    file: str
    path: str
    before: str
    after: str
    unit: str = ""
    """What stands behind both where people read them."""


@dataclass(frozen=True)
class Landing:
    """Where the change of one container lands in Git, or why it does not.

    `status` is ``edited`` (and proven), ``advice`` (a person has to do it) or ``unchanged``;
    `confidence` is that of the place. Runs of earlier versions have no `proven`. `besides` is what
    the same edit writes with it.
    """

    ref: str
    status: str
    reason: str
    application: str = ""
    file: str = ""
    document: int = 0
    path: str = ""
    confidence: str = ""
    proven: Proof | None = None
    besides: tuple[LandedBeside, ...] = ()


@dataclass(frozen=True)
class Change:
    """The change of one application, ready for review.

    `commit` is a mailbox file for ``git am`` and `name` its file name; the commits of a report
    stand on top of each other in order. `alone` is the diff on the base alone where that is another
    one than in `commit`, for an earlier change touches the same file; else empty.
    """

    name: str
    branch: str
    title: str
    body: str
    commit: str
    alone: str = ""

    @property
    def diff(self) -> str:
        """The change as a unified diff that stands on the base alone."""
        return self.alone or diff_of(self.commit)


MONTHS = "months "
"""Before the name of a container in `Report.files`: the chart of its reviews."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Report:
    """What one run found. `partial` runs say so in `warnings`."""

    meta: Meta
    model: str
    horizon: timedelta
    recommendations: tuple[Recommendation, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    """Settings that have no effect, and which source of several counts, in one sentence each; they
    make no run partial."""
    verdicts: tuple[Verdict, ...] = ()
    """What of the usage that was read is not believed; earlier versions believed all."""
    backtest: tuple[Mapping[str, Any], ...] = ()
    """Rows of the short walk-forward test on this very history; empty where it was too short."""
    verdict: str = ""
    """The backtest in one sentence."""
    placement: Placement | None = None
    """What requests do to nodes, today and as proposed; None where no pod was seen."""
    packing: Packing | None = None
    """What each group of nodes holds, by where the pods are; None where that is not told."""
    quotas: tuple[QuotaUse, ...] = ()
    """What each quota of CPU or memory holds now, and once all that is proposed is in force."""
    landings: tuple[Landing, ...] = ()
    changes: tuple[Change, ...] = ()
    together: str = ""
    """All changes as one diff, where two of them touch the same file; else empty."""
    days: Mapping[str, Mapping[Resource, tuple[float | None, ...]]] = field(default_factory=dict)
    """Per container and resource, what each day of the window showed, the last day last: the p95
    of CPU in cores, the highest memory of any pod in bytes; None where nothing was seen."""
    files: Mapping[str, str] = field(default_factory=dict)
    """What a reader may open, relative to the output: the ``page``, the charts of the ``cluster``
    and of its ``packing`` onto nodes, by the name of each container that was drawn its chart, and
    by ``months`` and that name the one of its reviews, where a change of it was merged."""
    outcomes: tuple[Outcome, ...] = ()
    """What merged changes promised and what happened since, those that harmed first."""
    proposals_open: int | None = None
    """How many proposals, of this run or an earlier one, still wait for what declares the amounts
    to change; None in reports of earlier versions."""
    created: datetime | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each phase of the run took until this was written, where a clock was given."""
    version: str = ""
    schema: str = SCHEMA

    @property
    def diff(self) -> str:
        """All changes of the repository as one unified diff."""
        return self.together or joined(change.diff for change in self.changes) or ""

    @property
    def changed(self) -> tuple[Recommendation, ...]:
        """Recommendations that differ from what holds now."""
        return tuple(r for r in self.recommendations if r.changed)

    @property
    def harmed(self) -> frozenset[ContainerRef]:
        """The containers that were killed or throttled after a merged change."""
        return frozenset(outcome.ref for outcome in self.outcomes if outcome.harmed)

    @property
    def instead(self) -> dict[ContainerRef, str]:
        """What is proposed now for those that were harmed, in words, where anything is."""
        harmed = self.harmed
        about = (r for r in self.changed if r.ref in harmed)
        return {r.ref: moves(r.current, r.proposed) for r in about}

    @property
    def totals(self) -> dict[str, tuple[int, int]]:
        """Per target, declared now and proposed, over all replicas (millicores, bytes)."""
        return totals(self.recommendations)

    def __repr__(self) -> str:
        told = tally(self.recommendations, self.skipped)
        return f"<Report of {self.meta.cluster}, model {self.model}: {told}>"

    def _repr_html_(self) -> str:
        """What notebooks show: the tally, and the largest changes as a table."""
        shown = sorted(self.changed, key=lambda r: (-r.weight, r.ref))[:_SHOWN]
        rows = "".join(_html_row(r) for r in shown)
        rest = len(self.changed) - len(shown)
        more = f"<p>and {rest} more to change, see <code>to_frame()</code></p>" if rest else ""
        head = "".join(f"<th>{name}</th>" for name in ("container", *map(_words, TARGETS)))
        return (
            f"<p><b>{html(self.meta.cluster)}</b>: "
            f"{html(tally(self.recommendations, self.skipped))}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"
        )

    @property
    def refs(self) -> tuple[ContainerRef, ...]:
        """Every container that it tells of, skipped ones last."""
        return (*(r.ref for r in self.recommendations), *(s.ref for s in self.skipped))

    def select(self, *selectors: Selector) -> Report:
        """The same report about the selected containers only."""
        if not selectors:
            return self
        return replace(
            self,
            recommendations=tuple(
                r for r in self.recommendations if any(s.matches(r.ref) for s in selectors)
            ),
            skipped=tuple(s for s in self.skipped if any(x.matches(s.ref) for x in selectors)),
            verdicts=tuple(v for v in self.verdicts if any(s.matches(v.ref) for s in selectors)),
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per recommended container; amounts in cores and bytes, NaN where none."""
        return pd.DataFrame([_row(r) for r in self.recommendations], columns=list(COLUMNS))


Direction = Literal["down", "up", "both", "limits"]
_DIRECTIONS: dict[Direction, str] = {
    "down": "down",
    "up": "up",
    "both": "both ways",
    "limits": "in limits alone",
}
_HOLDING = (
    "keep", "covered", "few days", "throttled", "small", "unknown", "hands off", "direction",
    "quota", "nodes", "spare", "limit range",
)  # fmt: skip
"""Steps that leave an amount as it is although the demand speaks for another."""


def direction(recommendation: Recommendation) -> Direction:
    """Which way the requests of a changed container go; ``limits`` where none of them changes."""
    signs = set()
    for resource in RESOURCES:
        now = getattr(recommendation.current, f"{resource}_request")
        new = getattr(recommendation.proposed, f"{resource}_request")
        if now != new:
            signs.add((new.units if new else 0) > (now.units if now else 0))
    if not signs:
        return "limits"
    if len(signs) == 2:
        return "both"
    return "up" if True in signs else "down"


def held_back(recommendation: Recommendation) -> str:
    """Why a request stays although the demand speaks for another; empty where none does."""
    for resource in RESOURCES:
        name = "CPU" if resource == "cpu" else "Memory"
        for step in recommendation.trail.get(f"{resource}_request", ()):
            if step.name in _HOLDING and step.before != step.after:
                return f"{name} is held: {step.reason}"
            if step.name == "hands off":
                return f"{name} is left alone: {step.reason}"
    return ""


def tally(recommendations: Collection[Recommendation], skipped: Collection[Skipped]) -> str:
    """What became of every container, in one line, and the same one wherever it is told.

    For example ``9 containers · 5 to change (3 down, 2 both ways) · 3 right as they are · 1
    skipped``: directions are those of requests, and what is nought is not mentioned.
    """
    ways = Counter(direction(r) for r in recommendations if r.changed)
    told = ", ".join(f"{ways[way]} {words}" for way, words in _DIRECTIONS.items() if ways[way])
    held = sum(1 for r in recommendations if not r.changed and held_back(r))
    right = len(recommendations) - ways.total() - held
    count = len(recommendations) + len(skipped)
    parts = [
        f"{count} container{'' if count == 1 else 's'}",
        f"{ways.total()} to change" + (f" ({told})" if told else ""),
        *([f"{right} right as they are"] if right else []),
        *([f"{held} held back"] if held else []),
        *([f"{len(skipped)} skipped"] if skipped else []),
    ]
    return " · ".join(parts)


def duration_text(length: timedelta) -> str:
    """A length of time in its largest whole unit: ``7 days``, ``36 hours``, ``90 minutes``."""
    for unit in ("day", "hour", "minute"):
        count, rest = divmod(length, timedelta(**{f"{unit}s": 1}))
        if count and not rest:
            break
    else:
        unit, count = "second", round(length.total_seconds())
    return f"{count} {unit}{'' if count == 1 else 's'}"


def window_text(meta: Meta) -> str:
    """The time that was read, and how it compares with what was asked for."""
    length = meta.end - meta.start
    read = f"{meta.start:%Y-%m-%d %H:%M} to {meta.end:%Y-%m-%d %H:%M} UTC"
    of = "" if meta.asked in (None, length) else f" of the {days_text(meta.asked)} asked for"
    return f"{read} ({days_text(length)}{of})"


def days_text(length: timedelta) -> str:
    """A length of time in days of three digits, or shorter than two days exactly."""
    days = length / timedelta(days=1)
    return duration_text(length) if days < 2 else f"{days:.3g} days"


def dump_report(report: Report) -> bytes:
    """`report` as indented JSON; `load_report` reads it back to an equal object."""
    text = msgspec.json.format(msgspec.json.encode(report, enc_hook=_encode), indent=1)
    # Piece by piece: of ten thousand containers each copy of the whole takes 100 MB.
    pieces = [json_text(piece.decode()).encode() for piece in _pieces(text)]
    del text
    return b"".join([*pieces, b"\n"])


def _pieces(text: bytes) -> Iterator[bytes]:
    """`text` in pieces of a megabyte or so, each but the last up to the end of a line."""
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", begin + _PIECE) + 1 or len(text)
        yield text[begin:end]
        begin = end


def load_report(path: str | os.PathLike[str]) -> Report:
    """Read ``run.json``, or that of the folder at `path`.

    Raises `OutputError` where it is not one this version understands.
    """
    try:
        place = Path(path)
        text = (place / "run.json" if place.is_dir() else place).read_bytes()
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be read ({error.strerror}); run `rightsize run` first"
        ) from error
    return parse_report(text, str(path))


def parse_report(text: bytes, where: str) -> Report:
    """The report that the ``run.json`` found at `where` holds.

    Raises `OutputError` where it is not one this version understands.
    """
    try:
        report = msgspec.json.decode(text, type=Report, dec_hook=decode_quantity)
    except (msgspec.DecodeError, ValueError, AnalyzerError) as error:
        raise OutputError(f"{where}: not a run of this version ({error}); run it again") from error
    if report.schema != SCHEMA:
        raise OutputError(f"{where}: schema {report.schema!r}, expected {SCHEMA!r}; run it again")
    for recommendation in report.recommendations:
        _check_amounts(recommendation, where)
    return report


def _check_amounts(recommendation: Recommendation, where: str) -> None:
    """Raise `OutputError` for amounts that no run proposes, whoever wrote them down."""
    for target in TARGETS:
        now = recommendation.current.amount(target)
        new = recommendation.proposed.amount(target)
        least = 0 if new == now else 1
        most = _MOST["cpu" if target.startswith("cpu") else "memory"]
        for amount, floor in ((now, 0), (new, least)):
            if amount is not None and not floor <= amount.units <= most.units:
                raise OutputError(
                    f"{where}: {recommendation.ref} has a {target.replace('_', ' ')} of "
                    f"{amount}, which no run proposes; run it again"
                )


def to_plain(value: Any) -> Any:
    """`value` (a report or a part of one) as plain dicts, lists and text, for JSON and YAML."""
    return msgspec.to_builtins(value, enc_hook=_encode)


def _encode(value: object) -> object:
    if isinstance(value, Cpu | Memory):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


COLUMNS = (
    *("cluster", "namespace", "kind", "workload", "container", "container_type", "replicas"),
    *(f"{target}_{which}" for target in TARGETS for which in ("now", "proposed")),
    *(f"{resource}_{name}" for resource in RESOURCES for name in ("p50", "p95", "p99", "max")),
    *("days", "coverage", "oom_kills", "restarts", "throttled", "cpu_pressure", "memory_pressure"),
    *("confidence", "changed", "cpu_finding", "memory_finding"),
)
"""The columns of `Report.to_frame`."""


def _row(recommendation: Recommendation) -> dict[str, Any]:
    ref, seen = recommendation.ref, recommendation.evidence
    row: dict[str, Any] = {
        "cluster": ref.cluster,
        "namespace": ref.namespace,
        "kind": ref.kind,
        "workload": ref.workload,
        "container": ref.container,
        "container_type": recommendation.container_type,
        "replicas": recommendation.replicas,
    }
    for target in TARGETS:
        for label, resources in (
            ("now", recommendation.current),
            ("proposed", recommendation.proposed),
        ):
            row[f"{target}_{label}"] = _float(getattr(resources, target))
    for resource, quantiles in (("cpu", seen.cpu), ("memory", seen.memory)):
        for name in ("p50", "p95", "p99", "max"):
            row[f"{resource}_{name}"] = getattr(quantiles, name)
    return row | {
        "days": seen.days,
        "coverage": seen.coverage,
        "oom_kills": seen.oom_kills,
        "restarts": seen.restarts,
        "throttled": seen.throttled,
        "cpu_pressure": seen.cpu_pressure,
        "memory_pressure": seen.memory_pressure,
        "confidence": recommendation.confidence,
        "changed": recommendation.changed,
        "cpu_finding": recommendation.findings.get("cpu"),
        "memory_finding": recommendation.findings.get("memory"),
    }


def _words(target: str) -> str:
    return target.replace("_", " ")


def _html_row(recommendation: Recommendation) -> str:
    cells = [str(recommendation.ref)]
    for target in TARGETS:
        now, new = (getattr(r, target) for r in (recommendation.current, recommendation.proposed))
        texts = ["none" if amount is None else str(amount) for amount in (now, new)]
        cells.append(texts[0] if now == new else " → ".join(texts))
    return f"<tr>{''.join(f'<td>{html(cell)}</td>' for cell in cells)}</tr>"


def _float(amount: Cpu | Memory | None) -> float | None:
    if amount is None:
        return None
    return amount.cores if isinstance(amount, Cpu) else float(amount.bytes)
