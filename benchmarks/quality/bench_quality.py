"""How good the numbers are: walk-forward on recorded traces and on synthetic truth.

Prints, per set: the footprint of each model relative to the best peer (`krr`, `vpa`, each with
its margin swept) at the same observed overrun, with a 90 % interval from a bootstrap over
containers; stated against observed risk; and how many clear patterns are recognised.

    RIGHTSIZE_EVALUATION=../shared/evaluation python benchmarks/quality/bench_quality.py [SET ...]

With `--every-day` a review is held on every day instead of every horizon: the weeks overlap, but
the luck of a single one counts less. A set is one Parquet file with series_id, timestamp,
cpu_cores and memory_bytes.
"""

from __future__ import annotations

import itertools
import os
import sys
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzer.backtest import BacktestResult, Row, backtest, interpolate
from analyzer.history import Histories, build_histories
from analyzer.models.demand import RESOURCES, Resource
from analyzer.models.pattern import recognise
from analyzer.usage import Meta, Recording, Usage
from analyzer.workload import ContainerRef

Array = npt.NDArray[np.float64]
POINTS: dict[Resource, tuple[float, ...]] = {
    "memory": (0.05, 0.03, 0.02, 0.01),
    "cpu": (0.02, 0.01, 0.007),
}
STATED = (0.1, 0.05, 0.02, 0.01)
MODELS = ("percentile", "trend", "pooled", "vpa", "krr", "autopilot")
OURS = ("percentile", "trend", "autopilot", "pooled-equal", "pooled")
DRAWS = 200


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
    Case("bitbrains, 14 d in, 7 d ahead", "bitbrains_faststorage", 14, 7),
    Case("bitbrains, first run: 14 d in all", "bitbrains_faststorage", 14, 7, last_days=21),
    Case("bitbrains, first run: 10 d in all", "bitbrains_faststorage", 10, 7, last_days=17),
    Case("google 2011, 5 d in, 2 d ahead", "google2011_gcd", 5, 2),
    Case("google 2011, 7 d in, 3 d ahead", "google2011_gcd", 7, 3),
    Case("crane, 8 d in, 4 d ahead", "crane_dsp", 8, 4, align=True),
    Case("google 2019, 14 d in, 7 d ahead", "google2019_borg", 14, 7, align=True),
    Case(
        "kruize, 7 d in, 3 d ahead",
        "kruize_openshift",
        7,
        3,
        step=timedelta(minutes=15),
        align=True,
    ),
)


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
    return build_histories(Recording(meta, Usage.from_frame(table, meta)))


def curves(
    result: BacktestResult, resource: Resource, draws: Array
) -> dict[str, tuple[Array, Array]]:
    """Per model, overrun and footprint (draws, points of the sweep)."""
    found: dict[str, tuple[list[Array], list[Array]]] = {}
    for row in result.rows:
        if row.resource != resource:
            continue
        hits, all_ = (
            (row.overruns, row.weeks) if resource == "memory" else (row.samples_over, row.samples)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            overrun, footprint = (
                draws @ hits / (draws @ all_),
                draws @ row.footprint / (draws @ row.usage),
            )
        lists = found.setdefault(row.model, ([], []))
        lists[0].append(overrun)
        lists[1].append(footprint)
    return {m: (np.stack(o, axis=1), np.stack(f, axis=1)) for m, (o, f) in found.items()}


def compare(result: BacktestResult, resource: Resource) -> None:
    count = len(result.rows[0].weeks)
    rng = np.random.default_rng(7)
    draws = np.concatenate(
        [np.ones((1, count)), rng.multinomial(count, [1 / count] * count, DRAWS)]
    )
    lines = curves(result, resource, draws)
    at = {
        model: np.array(
            [
                [interpolate(o, f, point) for point in POINTS[resource]]
                for o, f in zip(*both, strict=True)
            ]
        )
        for model, both in lines.items()
    }
    if np.isnan(at["krr"][0]).all() and np.isnan(at["vpa"][0]).all():
        return
    best = np.fmin(at["krr"], at["vpa"])
    kind = "weeks" if resource == "memory" else "samples"
    head = " ".join(f"{f'{point:.1%}':>18}" for point in POINTS[resource])
    print(f"  {resource:<8} overrun {kind:<8}{head}   mean")
    for model in ("krr", "vpa"):
        print(f"    {model:<14}        " + " ".join(f"{x:18.2f}" for x in at[model][0]))
    for model in OURS:
        ratio = at[model] / best
        low, high = np.nanquantile(ratio[1:], [0.05, 0.95], axis=0)
        cells = " ".join(
            f"{x:5.2f} [{a:4.2f}, {b:5.2f}]" for x, a, b in zip(ratio[0], low, high, strict=True)
        )
        print(f"    {model:<14} / best {cells}   {np.nanmean(ratio[0]):.3f}")
    geometric(result, resource)


def geometric(result: BacktestResult, resource: Resource) -> None:
    """The same per container: the geometric mean, so that large ones alone do not decide."""
    frame = result.to_frame()
    column = "overrun_week_share" if resource == "memory" else "overrun_sample_share"
    at = {}
    for model in ("krr", "vpa", *OURS):
        rows = frame[(frame["model"] == model) & (frame["resource"] == resource)]
        overrun = rows[column].to_numpy(dtype=float)
        footprint = rows["footprint_geometric"].to_numpy(dtype=float)
        at[model] = np.array([interpolate(overrun, footprint, p) for p in POINTS[resource]])
    best = np.fmin(at["krr"], at["vpa"])
    for model in ("pooled-equal", "pooled"):
        cells = " ".join(f"{x:18.2f}" for x in at[model] / best)
        print(f"    {model:<14} geo.  {cells}   {np.nanmean(at[model] / best):.3f}")


def reliability(result: BacktestResult) -> None:
    """Stated against observed risk, over all reviews and at the last one."""
    frame = result.to_frame()
    for resource in RESOURCES:
        column = "overrun_week_share" if resource == "memory" else "overrun_sample_share"
        for model in ("pooled-equal", "pooled"):
            cells = []
            for risk in STATED:
                rows = frame[
                    (frame["model"] == model)
                    & (frame["resource"] == resource)
                    & (frame["stated_risk"] == risk)
                ]
                seen = float(rows[column].iloc[0])
                last = next(
                    r.by_review[-1]
                    for r in result.rows
                    if (r.model, r.resource, r.stated_risk) == (model, resource, risk)
                )
                cells.append(f"{risk:.0%}: {seen:.2%} (last {last:.2%})")
            print(f"    {resource:<7} {model:<13} stated: observed  " + "   ".join(cells))


def volatile_groups(result: BacktestResult, histories: Histories) -> None:
    """Observed overrun at a stated 10 % (memory), by how daily peaks varied before any review."""
    row = next(
        r
        for r in result.rows
        if (r.model, r.resource, r.stated_risk) == ("pooled-equal", "memory", 0.1)
    )
    past = histories.daily.memory_peak[:, : result.train // timedelta(days=1)]
    varied = np.array([np.nanstd(np.log(p)) if (p > 0).sum() > 2 else np.nan for p in past])
    known = (row.weeks > 0) & ~np.isnan(varied)
    if known.sum() < 30:
        return
    edges = np.quantile(varied[known], [0, 1 / 3, 2 / 3, 1])
    shares = []
    for low, high in itertools.pairwise(edges):
        inside = known & (varied >= low) & (varied <= high)
        shares.append(row.overruns[inside].sum() / row.weeks[inside].sum())
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


def as_histories(memory: Array) -> Histories:
    """Containers with that memory, one pod each, and CPU in proportion."""
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
    return build_histories(Recording(meta, usage))


def patterns() -> None:
    """Recognised share of clear cases; false alarms on stationary noise."""
    rng = np.random.default_rng(11)
    for days in (14, 21):
        cells = []
        for kind in ("growth", "shift", "daily", "weekly", "leak"):
            found = recognise(as_histories(synthetic(kind, rng, days)))["memory"].findings
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


def review_every_day(histories: Histories, case: Case) -> BacktestResult:
    """A backtest whose reviews end on every day of the last horizon and before, added up."""
    train, horizon = timedelta(days=case.train), timedelta(days=case.horizon)
    usage = histories.usage
    results = []
    for back in range(case.horizon):
        steps = usage.steps - back * usage.steps_per_day
        if steps >= (case.train + case.horizon) * usage.steps_per_day:
            results.append(backtest(histories.between(0, steps), MODELS, train, horizon))
    rows = [add_up(same) for same in zip(*(result.rows for result in results), strict=True)]
    return BacktestResult(tuple(rows), train, horizon, sum(r.reviews for r in results))


def add_up(rows: tuple[Row, ...]) -> Row:
    """The same point of the same sweep over several backtests."""
    summed = {
        part.name: sum(getattr(row, part.name) for row in rows)
        for part in fields(Row)
        if isinstance(getattr(rows[0], part.name), np.ndarray)
    }
    return replace(rows[0], **summed)


def main(names: list[str]) -> None:
    every_day = "--every-day" in names
    names = [name for name in names if name != "--every-day"]
    folder = Path(os.environ.get("RIGHTSIZE_EVALUATION", "../shared/evaluation"))
    if not folder.is_dir():
        sys.exit(f"{folder} holds no traces; name their folder in RIGHTSIZE_EVALUATION")
    for case in CASES:
        if names and case.file not in names:
            continue
        histories = load(case, folder)
        train, horizon = timedelta(days=case.train), timedelta(days=case.horizon)
        result = (
            review_every_day(histories, case)
            if every_day
            else backtest(histories, MODELS, train, horizon)
        )
        weeks = int(result.rows[0].weeks.sum())
        print(f"\n{case.label}: {len(histories)} series, {result.reviews} reviews, {weeks} scored")
        for resource in ("memory", "cpu"):
            compare(result, resource)
        reliability(result)
        volatile_groups(result, histories)
    if not names:
        print("\nsynthetic truth")
        patterns()


if __name__ == "__main__":
    main(sys.argv[1:])
