"""Options that several commands share, and the settings they add up to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from analyzer.cli.completion import complete_models, complete_namespaces
from analyzer.cli.console import Talk
from analyzer.errors import UsageError

if TYPE_CHECKING:
    from analyzer.config import Config, Settings
    from analyzer.report import Report
    from analyzer.workload import ContainerRef

Command = TypeVar("Command", bound=Callable[..., Any])

_FLAGS = {
    "source": "source",
    "cluster": "cluster",
    "window": "window",
    "step": "step",
    "until": "until",
    "horizon": "horizon",
    "model": "model",
    "output_folder": "output",
    "formats": "formats",
    "charts": "charts",
    "with_backtest": "backtest",
    "repo": "git.repo",
    "helm_charts": "git.charts",
    "entry": "git.entry",
    "revision": "git.revision",
    "ask_cluster": "kubernetes.ask",
    "context": "kubernetes.context",
    "kubeconfig": "kubernetes.kubeconfig",
    "cache": "prometheus.cache",
    "ledger": "ledger",
    "namespaces": "namespaces",
    "scheduler": "engine.scheduler",
    "shards": "engine.shards",
}
"""Command-line parameters that are settings, with the setting's dotted path."""


def source_options(command: Command) -> Command:
    """Where usage comes from, and which part of it."""
    options = [
        click.option("--config", "config_file", type=Path, help="Settings [rightsize.yaml]."),
        click.option(
            "--source",
            metavar="KIND:WHERE",
            help="prometheus:URL, cluster:CONTEXT or recording:DIR.",
        ),
        click.option("-p", "--prometheus-url", metavar="URL[,URL]", help="Short for --source."),
        click.option("--cluster", metavar="NAME", help="What to call the cluster."),
        click.option(
            "--cache", type=Path, metavar="DIR", help="Keep closed days of a server here."
        ),
        click.option("--ledger", metavar="DIR|off", help="Remember proposals and their fate here."),
        click.option("--window", metavar="35d", help="How much history to read [35d]."),
        click.option("--step", metavar="5m", help="Resolution of the history."),
        click.option("--until", metavar="TIME", help="End of the window, ISO 8601 [now]."),
        click.option("-q", "--quiet", is_flag=True, callback=_or_before, help="No talk on stderr."),
        click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=debug_in_group,
            help="Show tracebacks.",
        ),
        click.option(
            "--log-format", type=click.Choice(["text", "json"]), help="How to talk on stderr."
        ),
    ]
    return _apply(options, command)


scheduler_option = click.option(
    "--scheduler", metavar="ADDRESS", help="Dask's: tcp://HOST:PORT, tls://..., local:N [none]."
)
"""Whose workers do the work; a setting as well."""


def engine_options(command: Command) -> Command:
    """Whether workers read the cluster, and in how many parts."""
    shards = click.option(
        "--shards",
        type=int,
        metavar="N",
        help="With a scheduler: read in N parts, by namespace [one for each worker].",
    )
    return _apply([scheduler_option, shards], command)


def model_options(command: Command) -> Command:
    """How demand is learnt."""
    options = [
        click.option(
            "--model",
            metavar="NAME",
            shell_complete=complete_models,
            help="percentile, trend, pooled, vpa, krr, ...",
        ),
        click.option("--horizon", metavar="7d", help="Time until the next review."),
    ]
    return _apply(options, command)


def repository_options(command: Command) -> Command:
    """The repository that declares the workloads."""
    options = [
        click.option("--repo", metavar="DIR|URL", help="Repository that declares the workloads."),
        click.option("--revision", metavar="REV", help="What to clone of a URL."),
        click.option("--entry", metavar="DIR", help="Where Flux or Argo CD starts in it."),
        click.option("--charts-dir", "helm_charts", type=Path, help="Helm charts, for proofs."),
        click.option(
            "--ask-cluster/--no-ask-cluster",
            default=None,
            help="Ask the cluster which release owns a workload (read-only) [off].",
        ),
        click.option("--context", metavar="NAME", help="Context of the kubeconfig, to ask it."),
        click.option("--kubeconfig", type=Path, help="Kubeconfig, to ask the cluster."),
    ]
    return _apply(options, command)


def selection_options(command: Command) -> Command:
    """Which containers to show, with the names kubectl uses."""
    options = [
        namespace_option("chosen"),
        click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces [default]."),
        click.option("-l", "--selector", metavar="KEY=VALUE,...", help="Only these labels."),
    ]
    return _apply(options, command)


def namespace_option(name: str = "namespaces") -> Callable[[Command], Command]:
    """``-n a,b -n c``: a tuple of names under the parameter `name`."""
    return click.option(
        *("-n", "--namespace", name),
        multiple=True,
        metavar="NAME,...",
        callback=_split,
        shell_complete=complete_namespaces,
        help="Only these namespaces (repeatable).",
    )


run_json_option = click.option(
    "--from",
    "run_json",
    type=Path,
    metavar="run.json",
    help="Use an earlier run (published:NAME: the one in --repo).",
)
"""An earlier run instead of a source."""


def _split(_ctx: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> Any:
    return tuple(word for value in values for word in value.split(",") if word)


def _or_before(ctx: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    """A flag that may stand before the command as well."""
    return value or bool(ctx.find_root().params.get("quiet"))


def debug_in_group(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    """A flag of the group that may stand behind a command as well."""
    if value:
        ctx.find_root().params["debug"] = True


@dataclass(frozen=True)
class Selection:
    """What the arguments, ``-n`` and ``-l`` name, once it is known to be written well."""

    references: tuple[str, ...]
    namespaces: tuple[str, ...]
    labelled: Callable[[Mapping[str, str]], bool] | None

    def check(self, known: Sequence[ContainerRef]) -> None:
        """Raise `UsageError` where something named is not among the `known` containers."""
        from analyzer.workload import find

        find(self.references, self.namespaces, known)

    def of(self, report: Report) -> Report:
        """The part of `report` that is meant."""
        from analyzer.workload import find

        report = report.select(*find(self.references, self.namespaces, report.refs))
        labelled = self.labelled
        if labelled is None:
            return report
        chosen = tuple(r for r in report.recommendations if labelled(r.labels))
        return replace(report, recommendations=chosen, skipped=())


def selection_of(references: Sequence[str], parameters: Mapping[str, Any]) -> Selection:
    """What is to be shown, checked before anything is read."""
    from analyzer.workload import readings

    namespaces = tuple(parameters.get("chosen") or ())
    if namespaces and parameters.get("all_namespaces"):
        raise UsageError("-n and -A exclude each other; give one")
    for text in references:
        readings(text)
    labels = parameters.get("selector")
    return Selection(tuple(references), namespaces, label_filter(labels) if labels else None)


def _apply(options: Sequence[Callable[[Any], Any]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def settings_of(parameters: dict[str, Any], repository: Path | None = None) -> Settings:
    """The effective settings of a command from its parameters, the environment and a file.

    Those of a checked-out `repository` lie below them.
    """
    from analyzer.config import DEFAULT_FILE, load_config

    _expect_reading(parameters)
    path = parameters.get("config_file") or os.environ.get("RIGHTSIZE_CONFIG")
    if path is None and Path(DEFAULT_FILE).exists():
        path = DEFAULT_FILE
    given = {dotted: parameters.get(name) for name, dotted in _FLAGS.items()}
    flags = {d: str(v) if isinstance(v, Path) else v for d, v in given.items()}
    if parameters.get("prometheus_url"):
        if flags["source"]:
            raise UsageError("--source and --prometheus-url name two sources; give one")
        flags["source"] = f"prometheus:{parameters['prometheus_url']}"
    settings = load_config(path, os.environ, flags, repository)
    late = _not_yet(settings.config.until) if repository is None else []
    warnings = [*settings.warnings, *late]
    with Talk(quiet=bool(parameters.get("quiet")), log_format=parameters.get("log_format")) as talk:
        for warning in warnings:
            talk.say(warning, "warning")
    if (flags["kubernetes.context"] or flags["kubernetes.kubeconfig"]) and not (
        settings.config.kubernetes.ask
    ):
        raise UsageError("--context and --kubeconfig name the cluster to ask; add --ask-cluster")
    if flags["engine.shards"] is not None and settings.config.engine.address is None:
        raise UsageError("--shards says in how many parts workers read; add --scheduler")
    return settings


_READ_ANEW = ("window", "step", "until", "model", "horizon", "scheduler", "shards")


def _expect_reading(parameters: Mapping[str, Any]) -> None:
    """Raise `UsageError` where a flag asks for what an earlier run has decided already."""
    given = [f"--{name}" for name in _READ_ANEW if parameters.get(name) is not None]
    if given and parameters.get("run_json") is not None:
        raise UsageError(
            f"{given[0]} says how usage is read and learnt from, and --from reads none; "
            "leave one of them out"
        )


def earlier_run(run_json: Path, config: Config) -> Report:
    """The report of an earlier run: in the file or folder `run_json`, or published in Git."""
    told = published_name(run_json)
    if told is not None:
        return _published(config, told)
    from analyzer.report import load_report

    return load_report(run_json)


def _published(config: Config, cluster: str) -> Report:
    """What a run has published in the repository; the checkout keeps no trace of reading it."""
    from analyzer.gitops.land.stand_in import shadow
    from analyzer.landing import checkout
    from analyzer.published import read_published, remote_of

    with checkout(config) as root, shadow(root) as place:
        return read_published(remote_of(place, config, dict(os.environ)), cluster)


def within_namespaces(report: Report, config: Config, talk: Talk) -> Report:
    """`report` of the namespaces that are asked for; one that it knows nothing of is told."""
    from analyzer.effect import idle_namespaces
    from analyzer.pipeline.reading import refuse_nothing
    from analyzer.workload import Selector

    chosen = report.select(*(Selector(namespace=name) for name in config.namespaces))
    if config.namespaces and not chosen.refs:
        refuse_nothing(config.namespaces, report.refs)
    for sentence in idle_namespaces("namespaces", config.namespaces, report.refs):
        talk.say(sentence, "warning")
    return chosen


def folder_of(run_json: Path | None) -> Path | None:
    """Where an earlier run lies with its charts; None for one that is published, or for none."""
    if run_json is None or published_name(run_json) is not None:
        return None
    return run_json if run_json.is_dir() else run_json.parent


def published_name(run_json: Path | None) -> str | None:
    """The cluster in ``--from published:CLUSTER``, empty without one; None for a file."""
    text = str(run_json) if run_json is not None else ""
    return text.removeprefix("published:") if text.startswith("published:") else None


def _not_yet(until: str | None) -> list[str]:
    """A warning where the window ends in the future: nothing can have been used then."""
    from analyzer.config import parse_time

    if until is None or parse_time(until) <= now():
        return []
    return [f"until: {until} has not come yet, so that the end of the window is empty"]


def now() -> datetime:
    """The time. The one place that reads the clock."""
    return datetime.now().astimezone()


def label_filter(text: str) -> Callable[[Mapping[str, str]], bool]:
    """A test of labels as kubectl's ``-l`` spells it, all terms joined by commas.

    Terms are ``key=value``, ``key!=value``, ``key in (a,b)``, ``key notin (a,b)``, ``key`` and
    ``!key``. Keys may be written as in Kubernetes; the metrics hold them with underscores.
    """
    terms = [term.strip() for term in _BETWEEN_TERMS.split(text) if term.strip()]
    checks = [_label_check(term) for term in terms]
    return lambda labels: all(check(labels) for check in checks)


_BETWEEN_TERMS = re.compile(r",(?![^(]*\))")
_TERM = re.compile(
    r"(?P<not>!)?(?P<key>[\w./-]+)(?:\s*(?P<equal>==?|!=)\s*(?P<value>[\w.-]*)"
    r"|\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?",
    re.ASCII,
)


def _label_check(term: str) -> Callable[[Mapping[str, str]], bool]:
    found = _TERM.fullmatch(term)
    if found is None or (found["not"] and (found["equal"] or found["set"])):
        raise UsageError(
            f"-l: {term!r} is not understood; write key=value, key!=value, key in (a,b) or key"
        )
    key = "".join(c if c.isalnum() else "_" for c in found["key"])
    if found["equal"] or found["set"]:
        values = [v.strip() for v in (found["values"] or found["value"] or "").split(",")]
        among = found["equal"] != "!=" and found["set"] != "notin"
        return lambda labels: (labels.get(key) in values) == among
    return lambda labels: (key in labels) != bool(found["not"])
