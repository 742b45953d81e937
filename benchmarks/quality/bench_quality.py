"""How good the numbers are: walk-forward on recorded traces and on synthetic truth.

Prints, per set: the footprint of each model, of each peer at every setting its users have, of
plain rules and of perfect foresight, at the same observed overrun; the score, (ours - foresight) /
(best fair peer - foresight), with a 90 % interval that knows that containers share weeks; what the
policy would have caused exactly as a run ships it; stated against observed risk; how often the
largest tenth overran; and how many clear patterns are recognised.

    RIGHTSIZE_EVALUATION=../shared/evaluation python benchmarks/quality/bench_quality.py [SET ...]

With `--every-day` a review is held on every day instead of every horizon: the weeks overlap, but
the luck of a single one counts less. A set is one Parquet file with series_id, timestamp,
cpu_cores and memory_bytes.
"""

from __future__ import annotations

import itertools
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.backtest import (
    AS_IT_COMES,
    CURRENT,
    DAILY,
    FAIR_PEERS,
    FORESIGHT,
    POLICY,
    BacktestResult,
    By,
    Walk,
    interpolate,
    measure,
)
from analyzer.backtest.score import LEAST_WEEKS, curve_of, drawn_shares, weights
from analyzer.history import Histories, build_histories
from analyzer.models import DEFAULT_MODEL
from analyzer.models.demand import RESOURCES, Resource
from analyzer.models.pattern import recognise
from analyzer.pipeline.judgement import score_policy
from analyzer.pipeline.method import Method
from analyzer.placement import pressure, slots_of
from analyzer.tables import NAMES, validate_events, validate_specs
from analyzer.usage import Meta, Recording, Usage
from analyzer.workload import ContainerRef

Array = npt.NDArray[np.float64]
POINTS: dict[Resource, tuple[float, ...]] = {
    "memory": (0.1, 0.05, 0.03, 0.02, 0.01),
    "cpu": (0.05, 0.02, 0.01, 0.007),
}
SHOWN: dict[Resource, tuple[float, float]] = {"memory": (0.1, 0.05), "cpu": (0.05, 0.02)}
STATED = (0.1, 0.05, 0.02, 0.01)
PEERS = (*FAIR_PEERS, DAILY)
OURS = ("percentile", "trend", "pooled")
PODS_PER_NODE = 40
LEAST_ROOM = 0.05
"""Where peers are this near to hindsight, there is nothing to win, and a score says nothing."""


@dataclass(frozen=True)
class Case:
    """One set, cut and scored in one way."""

    label: str
    file: str
    train: int
    horizon: int
    step: timedelta = timedelta(minutes=5)
    last_days: int | None = None
    align: bool = False
    """Whether every series is moved so that all end together; for sets of unrelated series."""


CASES = (
    Case("Borg jobs of 2011, 5 d in, 2 d ahead", "google2011_gcd", 5, 2),
    Case("Borg jobs of 2011, 7 d in, 3 d ahead", "google2011_gcd", 7, 3),
    Case("Borg tasks of 2019, 14 d in, 7 d ahead", "google2019_borg", 14, 7, align=True),
    Case("Crane, 8 d in, 4 d ahead", "crane_dsp", 8, 4, align=True),
    Case(
        "Kruize on OpenShift, 7 d in, 3 d ahead",
        "kruize_openshift",
        7,
        3,
        step=timedelta(minutes=15),
        align=True,
    ),
    Case("machines of bitbrains, 14 d in, 7 d ahead", "bitbrains_faststorage", 14, 7),
    Case("machines of bitbrains, 7 d in, 7 d ahead", "bitbrains_faststorage", 7, 7),
)
"""Containers first; machines are a stress test."""


def load(case: Case, folder: Path) -> Histories:
    frame = pd.read_parquet(folder / f"{case.file}.parquet")
    end = frame["timestamp"].max()
    if case.align:
        last = frame.groupby("series_id")["timestamp"].transform("max")
        frame["timestamp"] += end - last
    start = max(frame["timestamp"].min(), end - pd.Timedelta(days=31))
    if case.last_days is not None:
        start = end - pd.Timedelta(days=case.last_days)
    steps = -(-(end - start) // case.step)
    table = pd.DataFrame(
        {
            "namespace": case.file,
            "workload_kind": "Deployment",
            "workload": frame["series_id"],
            "container": "main",
            "pod": "0",
            "timestamp": frame["timestamp"],
            "cpu_cores": frame["cpu_cores"],
            "memory_bytes": frame["memory_bytes"],
        }
    )
    close = end.to_pydatetime()
    meta = Meta(case.file, close - steps * case.step, close, case.step)
    usage = Usage.from_frame(table, meta)
    return build_histories(Recording(meta, usage, specs=declared(case, folder)))


def declared(case: Case, folder: Path) -> pd.DataFrame:
    """The last requests of each series, where the set has them; for "leave it as it is"."""
    names = {"namespace": case.file, "workload_kind": "Deployment", "container": "main"}
    extra = folder / f"{case.file}.extra.parquet"
    columns = ["cpu_request_cores", "memory_request_bytes"]
    frame = pd.read_parquet(extra) if extra.is_file() else pd.DataFrame()
    if not set(columns) <= set(frame):
        return validate_specs(pd.DataFrame(columns=[*names, "workload"]).astype(object))
    last = frame.sort_values("timestamp").groupby("series_id")[columns].last().reset_index()
    return validate_specs(last.rename(columns={"series_id": "workload"}).assign(**names))


def compare(result: BacktestResult, resource: Resource, by: By) -> list[str]:
    """One table: every sweep at a few overruns, and where ours lies between hindsight and peers.

    Returns the cells of a line for the documentation; none where the set lacks the resource.
    """
    if not any(row.judged.any() for row in result.named(FORESIGHT, resource)):
        return []
    points = POINTS[resource]
    what = _WHAT[resource, by]
    weeks = int(result.named(FORESIGHT, resource)[0].judged.sum())
    head = " ".join(f"{point:>9.1%}" for point in points)
    print(f"  {resource} / usage, {weeks} container-weeks; {what:<24}{head}")

    def along(name: str) -> Array:
        return np.array([result.footprint_at(name, resource, p, by) for p in points])

    lines = {name: along(name) for name in (FORESIGHT, *PEERS, *OURS)}
    best = np.array([result.best_peer_at(resource, point, by) for point in points])
    told = np.array([result.tells(resource, point) for point in points])
    for name, values in lines.items():
        print(f"    {name:<52}" + " ".join(f"{x:9.2f}" for x in values))
    ours, hindsight = lines[DEFAULT_MODEL], lines[FORESIGHT]
    print(f"    {'best fair peer':<52}" + " ".join(f"{x:9.2f}" for x in best))
    scores, between = score(ours, hindsight, best), intervals(result, resource, by)
    for label, values in ((f"{DEFAULT_MODEL} / best fair peer", ours / best), ("score", scores)):
        cells = (_told(x, enough) for x, enough in zip(values, told, strict=True))
        print(f"    {label:<52}" + " ".join(cells))
    print(
        f"    {'90 % interval of the ratio':<52}" + " ".join(f"{a:.2f}-{b:.2f}" for a, b in between)
    )
    return [
        f"{resource}, by {by}",
        *(
            _cell(at, (hindsight, best, ours, scores), between[at], told[at])
            for at in _shown(resource)
        ),
    ]


_WHAT: dict[tuple[Resource, By], str] = {
    ("memory", "container"): "overrun weeks",
    ("memory", "use"): "bytes in overrun weeks",
    ("cpu", "container"): "samples above",
    ("cpu", "use"): "cores' time above",
}


def _shown(resource: Resource) -> list[int]:
    """Where in `POINTS` the overruns of the documentation are."""
    return [POINTS[resource].index(point) for point in SHOWN[resource]]


def _cell(at: int, values: tuple[Array, ...], between: tuple[float, float], told: bool) -> str:
    if not told:
        return "too few"
    hindsight, best, ours, scored = (float(value[at]) for value in values)
    text = f"{hindsight:.2f} / {best:.2f} / **{ours:.2f}**"
    if np.isnan(ours / best):
        return f"{text}: not reached"
    scoring = "no room" if np.isnan(scored) else f"score {scored:.2f}"
    return f"{text} = {ours / best:.2f} ({between[0]:.2f} to {between[1]:.2f}), {scoring}"


def _told(value: float, enough: bool) -> str:
    return f"{value:9.2f}" if enough else "  too few"


def score(ours: Array, foresight: Array, best: Array) -> Array:
    """0: as cheap as hindsight; 1: as dear as the best fair peer; NaN where peers reach it too."""
    room = best - foresight
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(room > LEAST_ROOM * foresight, (ours - foresight) / room, np.nan)


def intervals(result: BacktestResult, resource: Resource, by: By) -> list[tuple[float, float]]:
    """90 % intervals of ours to the best fair peer, from draws of workloads, and of weeks where
    there are enough. In each draw the peers have the setting that is best in it.
    """
    models = (DEFAULT_MODEL, *FAIR_PEERS)
    rows = [row for row in result.rows if row.resource == resource and row.model in models]
    rows = [row for row in rows if row.judged.any()]
    drawn = weights(rows[0].came)
    curves: dict[tuple[str, str], list[tuple[Array, Array]]] = {}
    for row in rows:
        of = (row.model, curve_of(row.point))
        curves.setdefault(of, []).append(drawn_shares(row, drawn, by))
    stacked = [
        (of[0], *(np.stack(part) for part in zip(*c, strict=True))) for of, c in curves.items()
    ]
    found = []
    for wanted in POINTS[resource]:
        at = {model: np.full(len(drawn), np.inf) for model in models}
        for model, over, size in stacked:
            sizes = [interpolate(over[:, d], size[:, d], wanted) for d in range(len(drawn))]
            at[model] = np.fmin(at[model], sizes)
        best = np.min([at[peer] for peer in FAIR_PEERS], axis=0)[1:]
        ours = at[DEFAULT_MODEL][1:]
        reached = np.isfinite(ours) & np.isfinite(best)
        ends = (
            np.quantile(ours[reached] / best[reached], [0.05, 0.95])
            if reached.any()
            else [np.nan] * 2
        )
        found.append((float(ends[0]), float(ends[1])))
    return found


def reliability(result: BacktestResult) -> None:
    """Stated against observed risk, over all reviews, and by week."""
    for resource in RESOURCES:
        for model in OURS:
            cells = []
            for risk in STATED:
                rows = [r for r in result.named(model, resource) if r.stated_risk == risk]
                if not rows or not rows[0].judged.any():
                    continue
                found = measure(rows[0])
                cells.append(
                    f"{risk:.0%}: {found.overrun:.2%} [{found.overrun_low:.1%}, "
                    f"{found.overrun_high:.1%}]"
                )
            if cells:
                print(f"    {resource:<7}{model:<11} stated: observed  " + "   ".join(cells))


def as_shipped(result: BacktestResult) -> None:
    """The points that stand for themselves: this policy, requests now, peers as they come."""
    names = (POLICY, CURRENT, *(f"{peer}{AS_IT_COMES}" for peer in ("krr", "vpa")))
    for resource in RESOURCES:
        for name in names:
            rows = [r for r in (*result.rows, *result.peers) if r.model == name]
            rows = [r for r in rows if r.resource == resource and r.judged.any()]
            if rows:
                found = measure(rows[0])
                print(
                    f"    {resource:<7}{name:<18} {found.overrun:6.2%} [{found.overrun_low:.1%}, "
                    f"{found.overrun_high:.1%}] over, at {found.footprint:.2f} x usage "
                    f"[{found.footprint_low:.2f}, {found.footprint_high:.2f}]"
                )


def largest_tenth(result: BacktestResult) -> None:
    """How often the tenth of the containers that uses most overran, with this policy and KRR's.

    A rule may look cheap because it leaves those short.
    """
    for resource in RESOURCES:
        cells = []
        for name in (POLICY, f"krr{AS_IT_COMES}", f"vpa{AS_IT_COMES}"):
            rows = [r for r in (*result.rows, *result.peers) if r.model == name]
            row = next(r for r in rows if r.resource == resource)
            if not row.judged.any():
                continue
            hits, of, footprint, used = row.terms()
            edge = np.nanquantile(np.where(row.judged, used, np.nan), 0.9, axis=1, keepdims=True)
            large = row.judged & (used >= edge)
            over, size = hits[large].sum() / of[large].sum(), footprint[large].sum()
            cells.append(f"{name} {over:.1%} at {size / used[large].sum():.2f} x")
        if cells:
            print(f"    {resource:<7}largest tenth over: " + ", ".join(cells))


def nodes(result: BacktestResult, histories: Histories) -> None:
    """What the requests of the last review did to nodes in the horizon that followed.

    A node holds forty times what a container uses on average; pods are packed by the scheduler's
    rules. Sets without memory or with few series are left out.
    """
    last = histories.usage.steps - round(result.horizon / histories.usage.step)
    ahead = histories.between(last, histories.usage.steps)
    mean = [float(np.nanmean(v)) for v in (ahead.usage.cpu_cores, ahead.usage.memory_bytes)]
    if len(ahead) < PODS_PER_NODE or np.isnan(mean).any():
        return
    node = (PODS_PER_NODE * mean[0], PODS_PER_NODE * mean[1])
    names = (POLICY, *(f"{peer}{AS_IT_COMES}" for peer in ("krr", "vpa")))
    for name in names:
        both = {
            row.resource: row.level[-1].astype(np.float64)
            for row in (*result.rows, *result.peers)
            if row.model == name
        }
        found = pressure(name, slots_of(ahead), (both["cpu"], both["memory"]), node)
        needed = ", ".join(f"{n} at {float(share):.1%}" for share, n in found.needed.items())
        print(
            f"    nodes   {name:<18} {found.nodes} nodes, CPU above {found.cpu_time:.2%} of "
            f"node-time, memory on {found.memory_weeks:.0%} of nodes; needed: {needed}"
        )


def volatile_groups(result: BacktestResult, histories: Histories) -> None:
    """Observed overrun at a stated 10 % (memory), by how daily peaks varied before any review."""
    row = next(
        r
        for r in result.rows
        if (r.model, r.resource, r.stated_risk) == (DEFAULT_MODEL, "memory", 0.1)
    )
    past = histories.daily.memory_peak[:, : result.train // timedelta(days=1)]
    varied = np.array([np.nanstd(np.log(p)) if (p > 0).sum() > 2 else np.nan for p in past])
    weeks, overruns = row.judged.sum(axis=0), np.nansum(row.over(), axis=0)
    known = (weeks > 0) & ~np.isnan(varied)
    if known.sum() < 30:
        return
    edges = np.quantile(varied[known], [0, 1 / 3, 2 / 3, 1])
    shares = []
    for low, high in itertools.pairwise(edges):
        inside = known & (varied >= low) & (varied <= high)
        shares.append(overruns[inside].sum() / weeks[inside].sum())
    cells = ", ".join(f"{share:.1%}" for share in shares)
    print(f"    calm, middle and restless third of the past, at stated 10 %: {cells}")


def synthetic(kind: str, rng: np.random.Generator, days: int, count: int = 400) -> Array:
    """Memory of `count` containers at five minutes with one known pattern, (count, steps)."""
    steps = days * 288
    time = np.arange(steps) / 288
    noise = autoregressive(rng, count, steps, 0.98, 0.04)
    course = {
        "growth": np.log(1.2) / 7 * time,
        "shift": np.where(time > 0.6 * days, np.log(1.5), 0.0),
        "daily": 0.3 * np.sin(2 * np.pi * time),
        "weekly": np.where(time.astype(int) % 7 >= 5, -0.5, 0.0),
        "leak": np.log1p(0.6 * (time % 4) / 4),
    }.get(kind)
    if kind == "leak":
        noise *= 0.3
    return 3e8 * np.exp(noise if course is None else course + noise)


def autoregressive(
    rng: np.random.Generator, count: int, steps: int, memory: float, spread: float
) -> Array:
    """Stationary AR(1) noise with Student-t innovations of three degrees of freedom."""
    from scipy.signal import lfilter

    shocks = rng.standard_t(3, (count, steps + 500)) * spread * np.sqrt((1 - memory**2) / 3)
    return np.asarray(lfilter([1.0], [1.0, -memory], shocks, axis=1)[:, 500:])


def as_histories(memory: Array, restarted_every: int = 0) -> Histories:
    """Containers with that memory, one pod each, and CPU in proportion.

    `restarted_every` so many days, or never.
    """
    count, steps = memory.shape
    start = pd.Timestamp("2026-01-05", tz="UTC").to_pydatetime()
    step = timedelta(minutes=5)
    meta = Meta("synthetic", start, start + steps * step, step)
    usage = Usage(
        start=start,
        step=step,
        steps=steps,
        containers=tuple(
            ContainerRef("synthetic", "a", "Deployment", f"w{i:04d}", "main") for i in range(count)
        ),
        container=np.arange(count),
        pods=tuple(f"p{i}" for i in range(count)),
        first=np.zeros(count, dtype=np.int64),
        offset=np.arange(count + 1) * steps,
        cpu_cores=(memory / 1e10).astype(np.float32).ravel(),
        memory_bytes=memory.astype(np.float32).ravel(),
    )
    days = range(restarted_every, steps // 288, restarted_every) if restarted_every else ()
    restarts = [
        {
            **dict(zip(NAMES, (c.namespace, c.kind, c.workload, c.container), strict=True)),
            "pod": pod,
            "timestamp": start + timedelta(days=day),
            "kind": "restart",
        }
        for c, pod in zip(usage.containers, usage.pods, strict=True)
        for day in days
    ]
    if not restarts:
        return build_histories(Recording(meta, usage))
    return build_histories(Recording(meta, usage, events=validate_events(pd.DataFrame(restarts))))


def patterns() -> None:
    """Recognised share of clear cases; false alarms on stationary noise."""
    rng = np.random.default_rng(11)
    for days in (14, 21):
        cells = []
        for kind in ("growth", "shift", "daily", "weekly", "leak"):
            of = as_histories(synthetic(kind, rng, days), 4 if kind == "leak" else 0)
            found = recognise(of)["memory"].findings
            cells.append(f"{kind} {np.mean([word == kind for word in found]):.1%}")
        print(f"  {days} days, recognised: " + "  ".join(cells))
        alarms = {"growth", "decline", "shift", "leak", "weekly", "daily"}
        for memory, spread in ((0.9, 0.05), (0.98, 0.1), (0.99, 0.2), (0.998, 0.05)):
            noise = autoregressive(rng, 1000, days * 288, memory, spread)
            found = recognise(as_histories(3e8 * np.exp(noise)))
            shares = [np.mean([word in alarms for word in found[r].findings]) for r in RESOURCES]
            print(
                f"  {days} days, false alarms on noise (AR {memory:g}, sd {spread:g}, t3): "
                f"cpu {shares[0]:.1%}  memory {shares[1]:.1%}"
            )


def main(names: list[str]) -> None:
    every = timedelta(days=1) if "--every-day" in names else None
    names = [name for name in names if name != "--every-day"]
    folder = Path(os.environ.get("RIGHTSIZE_EVALUATION", "../shared/evaluation"))
    if not folder.is_dir():
        sys.exit(f"{folder} holds no traces; name their folder in RIGHTSIZE_EVALUATION")
    lines = []
    for case in CASES:
        if names and case.file not in names:
            continue
        histories = load(case, folder)
        walk = Walk(timedelta(days=case.train), timedelta(days=case.horizon), every, daily=True)
        result = score_policy(histories, Method(horizon=timedelta(days=case.horizon)), walk, OURS)
        few = ", too few to tell how weeks differ" if result.reviews < LEAST_WEEKS else ""
        what = f"{len(histories)} series, {result.reviews} reviews{few}"
        print(f"\n{case.label}: {what}", flush=True)
        for resource, by in itertools.product(("memory", "cpu"), ("container", "use")):
            cells = compare(result, resource, by)
            lines += [[case.label, *cells]] if cells else []
        as_shipped(result)
        reliability(result)
        largest_tenth(result)
        nodes(result, histories)
        volatile_groups(result, histories)
    print("\n| set | | memory at 10 %, CPU at 5 % | memory at 5 %, CPU at 2 % |")
    print("|---|---|---|---|")
    for cells in lines:
        print(f"| {' | '.join(cells)} |")
    if not names:
        print("\nsynthetic truth")
        patterns()


if __name__ == "__main__":
    main(sys.argv[1:])
