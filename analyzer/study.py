"""A run to look into: what scripts and notebooks import as ``rightsize.run``.

    >>> import rightsize as rs
    >>> run = rs.run("recording:sample-data/recording")  # doctest: +SKIP
    >>> run["media/plex"].plot()  # doctest: +SKIP

It reads and learns as the command line does, and keeps both, so that other policies can be weighed
without reading again. It writes nothing.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analyzer.backtest import BacktestResult, Walk
from analyzer.beforehand import Beforehand
from analyzer.calibration import Learnt
from analyzer.config import load_config, parse_duration
from analyzer.errors import UsageError
from analyzer.history import Histories, build_histories
from analyzer.ledger import Ledger
from analyzer.models.forecast import Forecasts, forecasts
from analyzer.output import write_files
from analyzer.pipeline.decision import Decided, learn_demand, weigh
from analyzer.pipeline.judgement import requested, score_policy, usual_train
from analyzer.pipeline.method import Method, method_of
from analyzer.pipeline.reading import read_noting
from analyzer.pipeline.review import look_ahead, remembered, reviewed, with_told
from analyzer.placement import place
from analyzer.policy import Policies, Policy
from analyzer.presets import PRESETS
from analyzer.recommend import Recommendation
from analyzer.report import Report, tally
from analyzer.sources.window import Progress, silent
from analyzer.usage import Recording
from analyzer.workload import ContainerRef, find

if TYPE_CHECKING:
    from analyzer.plots.batch import Chart

AS_RUN, NOW = "this run", "now"
"""Rows of every comparison."""


def run(
    source: str | os.PathLike[str] | Recording | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    policy: Policy | Policies | str | None = None,
    progress: bool | Progress = False,
    **settings: Any,
) -> Study:
    """Read usage, learn demand and recommend; nothing is written.

    `source` is ``recording:DIR``, the folder of a recording, ``prometheus:URL``, a server's URL,
    or a `Recording`. `config` names a file of settings, and each of `settings` one more, as
    ``rightsize config`` lists them, with two underscores for a dot: ``window="28d"``,
    ``namespaces=["media"]``, ``prometheus__token_file="token"``. `policy` takes the place of what
    they say: a `Policy` (rules stay), `Policies`, or the name of a preset. With ``progress=True``
    each step is told on stderr.

    The backtest takes longer than all else and is left out; ``backtest=True`` adds it to the
    report, and `Study.backtest` makes it later. Raises `AnalyzerError` with one sentence.
    """
    given = {name.replace("__", "."): value for name, value in settings.items()}
    given = {"backtest": False, "ledger": "off"} | given
    if source is not None and not isinstance(source, Recording):
        given["source"] = _named_source(source)
    chosen = load_config(config, flags={n: _plain(v) for n, v in given.items()}).config
    told: Progress = _Told() if progress is True else progress or silent
    notices: tuple[str, ...] = ()
    if isinstance(source, Recording):
        recording = source
    else:
        recording, notices = read_noting(chosen, None, told)
    method = method_of(chosen)
    if policy is not None:
        method = replace(method, policies=_policies(policy, method.policies))
    known = look_ahead(build_histories(recording), chosen)
    told(0, 1, "learning demand")
    ledger = remembered(chosen)
    learnt = learn_demand(known.histories, method, ledger) if len(known.histories) else None
    basis = Basis(known, learnt, ledger, notices)
    return Study(basis, method, basis.review(method, told))


@dataclass(frozen=True, repr=False)
class Basis:
    """What was read and learnt, for any policy to be applied to.

    `learnt` is None where there was nothing to learn from; `notices` say which settings had no
    effect on what was read.
    """

    known: Beforehand
    learnt: Learnt | None
    ledger: Ledger
    notices: tuple[str, ...]

    def review(self, method: Method, progress: Progress = silent) -> Report:
        """The report by the policy of `method`; its model and horizon have been learnt by."""
        histories, bounds = self.known.histories, self.known.bounds
        if self.learnt is None:
            decided = Decided([], list(histories.skipped), {})
        else:
            decided = weigh(histories, self.learnt, method, bounds, self.ledger)
        found = reviewed(decided, histories, method, progress, self.ledger, bounds).report
        found = replace(found, notices=(*self.notices, *found.notices))
        return with_told(found, self.known, self.ledger)


def _named_source(source: str | os.PathLike[str]) -> str:
    """`source` as the settings spell it."""
    text = os.fspath(source)
    if text.startswith(("http://", "https://")):
        return f"prometheus:{text}"
    return text if isinstance(source, str) and ":" in text else f"recording:{text}"


def _plain(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _policies(policy: Policy | Policies | str, base: Policies) -> Policies:
    """`policy` with the rules of `base`, where it brings none of its own."""
    if isinstance(policy, Policies):
        return policy
    if isinstance(policy, str):
        settings = {str(name): values for name, values in PRESETS.items()}.get(policy)
        if settings is None:
            raise UsageError(f"there is no preset {policy!r}; there are {', '.join(PRESETS)}")
        policy = Policy(**settings)
    if not isinstance(policy, Policy):
        raise UsageError(f"{policy!r} is no policy; give a Policy, or the name of a preset")
    return replace(base, default=policy)


class _Told:
    """Progress as one line per step on stderr, which notebooks show as it comes."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, done: int, total: int, what: str) -> None:
        if what != self.last:
            self.last = what
            sys.stderr.write(f"{what} ({total})\n" if total > 1 else f"{what}\n")


class Text(str):
    """Text that a console and a notebook show as it is, with its lines."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Charts(tuple["Chart", ...]):
    """Charts, which a notebook shows one below the other."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return "".join(chart._repr_html_() for chart in self)

    def save(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write one chart into the file ``path.png``, or all of them into the folder `path`."""
        target = Path(path)
        files = {chart.name: chart.content for chart in self}
        if target.suffix == ".png":
            if len(self) != 1:
                raise UsageError(f"{target}: there are {len(self)} charts; name a folder for them")
            files = {target.name: self[0].content}
            target = target.parent
        write_files(target, files)
        return [target / name for name in files]


@dataclass(frozen=True, repr=False)
class Study:
    """A run in memory: its report, what was read, and what was learnt of it.

    ``run[REF]`` is the part of one workload or container, by any form the command line takes.
    """

    basis: Basis
    method: Method
    report: Report
    """What was found; what writers and `dump_report` take."""

    @property
    def histories(self) -> Histories:
        """All usage that was read, by container."""
        return self.basis.known.histories

    def __repr__(self) -> str:
        report = self.report
        return f"<run of {report.meta.cluster}: {tally(report.recommendations, report.skipped)}>"

    def _repr_html_(self) -> str:
        """What notebooks show: the tally, the largest changes, and the chart of the cluster."""
        return self.report._repr_html_() + (
            self.plot()._repr_html_() if len(self.histories) else ""
        )

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[str]:
        return (str(ref) for ref in self._known)

    def __contains__(self, reference: object) -> bool:
        try:
            return bool(find([str(reference)], (), self._known))
        except UsageError:
            return False

    def __getitem__(self, reference: str | ContainerRef) -> Part:
        """The part that `reference` names. Raises `UsageError` with the likely name."""
        chosen = find([_reference_text(reference)], (), self._known)
        return Part(self, self.report.select(*chosen))

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    @cached_property
    def _known(self) -> tuple[ContainerRef, ...]:
        return tuple(sorted(set(self.report.refs)))

    @cached_property
    def forecasts(self) -> Forecasts:
        """What the coming days of each container are expected to show, for charts."""
        return forecasts(self.histories, self.method.horizon)

    def to_frame(self) -> pd.DataFrame:
        """One row per recommended container; amounts in cores and bytes, NaN where none."""
        return self.report.to_frame()

    def plot(self, *, dark: bool = False) -> Charts:
        """The chart of the cluster."""
        from analyzer.plots import cluster_figure, describe_cluster, encode_png
        from analyzer.plots.batch import Chart

        told = (self.report.recommendations, self.report.skipped, self.histories)
        text = describe_cluster(*told)
        content = encode_png(cluster_figure(*told, dark=dark), text)
        cluster = ContainerRef(self.histories.meta.cluster, "", "", "", "")
        return Charts([Chart(cluster, "cluster.png", content, text)])

    def compare(self, *policies: Policy | Policies | str, **named: Policy | Policies) -> Comparison:
        """What other policies would ask for, without reading or learning again.

        A policy is a `Policy`, `Policies`, or the name of a preset, which is then its name in the
        comparison; others are named as they are passed, or numbered.
        """
        asked: dict[str, Policy | Policies | str] = {}
        for number, policy in enumerate(policies, start=1):
            asked[policy if isinstance(policy, str) else f"policy {number}"] = policy
        asked |= named
        if len(asked) < len(policies) + len(named):
            raise UsageError("two policies go by one name; name each by a word of its own")
        if AS_RUN in asked or NOW in asked:
            raise UsageError(f"{AS_RUN!r} and {NOW!r} are there already; name the policy otherwise")
        method = replace(self.method, backtest=False)
        reports = {
            name: self.basis.review(replace(method, policies=_policies(policy, method.policies)))
            for name, policy in asked.items()
        }
        return Comparison(self, {AS_RUN: self.report, **reports})

    def tune(self) -> Any:
        """Sliders for the risks of the policy, with what each choice means, in a notebook.

        Needs the extra ``rightsize[notebook]``.
        """
        from analyzer.tuner import tune

        return tune(self.method.policies.default, lambda p: self.compare(chosen=p).to_frame())

    def backtest(
        self,
        models: Iterable[str] = (),
        *,
        train: str | None = None,
        progress: bool | Progress = False,
    ) -> BacktestResult:
        """This policy, its peers and further `models` on the past; ``to_frame()`` has the numbers.

        At each review only what was known `train` before is seen (as in a run, unless given), and
        the time until the next is held against it. It takes minutes on large clusters.
        """
        told: Progress = _Told() if progress is True else progress or silent
        horizon = self.method.horizon
        before = _length(train) if train else usual_train(self.histories, horizon)
        walk = Walk(before, horizon)
        return score_policy(
            self.histories, self.method, walk, tuple(models), told, self.basis.known.bounds
        )


def _reference_text(reference: str | ContainerRef) -> str:
    if isinstance(reference, ContainerRef):
        return str(reference)
    if not isinstance(reference, str):
        raise UsageError(f"name a workload or a container as text, not {reference!r}")
    return reference


def _length(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"train: {error}") from error


@dataclass(frozen=True, repr=False)
class Part:
    """A workload or a container of a run."""

    study: Study
    report: Report

    @property
    def recommendations(self) -> tuple[Recommendation, ...]:
        """What is recommended for each of its containers."""
        return self.report.recommendations

    def __repr__(self) -> str:
        told = [repr(r) for r in self.recommendations]
        told += [f"<{s.ref}: skipped, {s.reason}>" for s in self.report.skipped]
        return "\n".join(told)

    def _repr_html_(self) -> str:
        """What notebooks show: the amounts, and the chart of each container."""
        charts = self.plot()._repr_html_() if self.recommendations else ""
        return self.report._repr_html_() + charts

    def plot(self, *, dark: bool = False) -> Charts:
        """The chart of each container. Raises `UsageError` where there is nothing to draw."""
        from analyzer.plots import workload_charts

        if not self.recommendations:
            raise UsageError(f"there is nothing to draw: {self!r}")
        forecaster = self.study.forecasts.of
        return Charts(
            workload_charts(
                self.study.histories, self.recommendations, forecaster=forecaster, dark=dark
            )
        )

    def explain(self) -> Text:
        """How the amounts came about, step by step."""
        from analyzer.writers.explanation import explanation

        return Text(explanation(self.report))

    def samples(self) -> pd.DataFrame:
        """What was observed: a row per container, pod and time, in cores and bytes.

        Containers of several workloads that share a name are told by their whole reference.
        """
        histories = self.study.histories
        refs = [r.ref for r in self.recommendations]
        alike = len({ref.container for ref in refs}) < len(refs)
        tables = {
            str(ref) if alike else ref.container: histories.samples(histories.position[ref])
            for ref in refs
        }
        return pd.concat(tables, names=["container"]) if tables else pd.DataFrame()

    def to_frame(self) -> pd.DataFrame:
        """One row per recommended container; amounts in cores and bytes, NaN where none."""
        return self.report.to_frame()


@dataclass(frozen=True, repr=False)
class Comparison:
    """Policies beside each other, and beside what is requested now."""

    study: Study
    reports: Mapping[str, Report]

    def __repr__(self) -> str:
        return f"<comparison of {', '.join(self.reports)}>"

    def _repr_html_(self) -> str:
        return str(self.to_frame().round(2).to_html())

    def __getitem__(self, name: str) -> Report:
        if name not in self.reports:
            raise UsageError(f"there is no policy {name!r}; there are {', '.join(self.reports)}")
        return self.reports[name]

    @cached_property
    def _nodes(self) -> dict[str, int]:
        """How many of the cluster's common nodes each way of requesting fills."""
        histories = self.study.histories
        ways = {n: requested(histories, r.recommendations) for n, r in self.reports.items()}
        found = place(histories, {NOW: requested(histories), **ways}) if len(histories) else None
        return {} if found is None else {way.name: way.nodes for way in found.ways}

    def to_frame(self) -> pd.DataFrame:
        """A row per policy, and one of what is requested now.

        CPU and memory requests over all replicas in cores and GiB, containers that change, nodes,
        and what is expected until the next review as each recommendation states it: the share of
        the time that a container's CPU is above its request, and how many containers pass their
        memory request and their limit, as averages and sums over all that state it. With prices
        in the settings also the money of a month: no longer asked for, and saved by whole nodes.
        """
        first = next(iter(self.reports.values()))
        rows = {NOW: _sums(first, 0)}
        rows |= {n: _sums(r, 1) | _expected(r) | _money(r) for n, r in self.reports.items()}
        table = pd.DataFrame.from_dict(rows, orient="index")
        table.insert(2, "nodes", [self._nodes.get(name) for name in table.index])
        return table

    def containers(self, target: str = "memory_request") -> pd.DataFrame:
        """One amount of every container under each policy, in cores or bytes; a row each."""
        tables = {n: r.to_frame() for n, r in self.reports.items()}
        names = ["namespace", "kind", "workload", "container"]
        column = f"{target}_proposed"
        if any(len(table) and column not in table for table in tables.values()):
            raise UsageError(f"there is no amount {target!r}; name cpu_request or the like")
        return pd.DataFrame(
            {
                NOW: tables[AS_RUN].set_index(names)[f"{target}_now"],
                **{name: table.set_index(names)[column] for name, table in tables.items()},
            }
        )


def _sums(report: Report, which: int) -> dict[str, float]:
    totals = report.totals
    return {
        "CPU requested, cores": totals["cpu_request"][which] / 1000,
        "memory requested, GiB": totals["memory_request"][which] / 2**30,
    }


def _expected(report: Report) -> dict[str, float]:
    stated = {
        target: [r.stated_risk[target] for r in report.recommendations if target in r.stated_risk]
        for target in ("cpu_request", "memory_request", "memory_limit")
    }
    cpu = stated["cpu_request"]
    return {
        "containers to change": len(report.changed),
        "time above the CPU request": sum(cpu) / len(cpu) if cpu else math.nan,
        "containers above the memory request": sum(stated["memory_request"]),
        "containers killed at the limit": sum(stated["memory_limit"]),
    }


def _money(report: Report) -> dict[str, float]:
    """What the groups of nodes free and save; nothing where none has a price."""
    groups = report.packing.groups if report.packing is not None else ()
    priced = [(g.freed, g.saved) for g in groups if g.freed is not None and g.saved is not None]
    if not priced:
        return {}
    freed, saved = (sum(amounts) for amounts in zip(*priced, strict=True))
    return {"freed a month": freed, "saved a month": saved}
