"""Options that several commands share, and the settings they add up to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from analyzer.cli.console import Talk
from analyzer.errors import UsageError

if TYPE_CHECKING:
    from analyzer.config import Settings

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
}
"""Command-line parameters that are settings, with the setting's dotted path."""


def source_options(command: Command) -> Command:
    """Where usage comes from, and which part of it."""
    options = [
        click.option("--config", "config_file", type=Path, help="Settings [rightsize.yaml]."),
        click.option("--source", metavar="KIND:WHERE", help="prometheus:URL or recording:DIR."),
        click.option("-p", "--prometheus-url", metavar="URL[,URL]", help="Short for --source."),
        click.option("--cluster", metavar="NAME", help="What to call the cluster."),
        click.option(
            "--cache", type=Path, metavar="DIR", help="Keep closed days of a server here."
        ),
        click.option("--ledger", metavar="DIR|off", help="Remember proposals and their fate here."),
        click.option("--window", metavar="14d", help="How much history to read."),
        click.option("--step", metavar="5m", help="Resolution of the history."),
        click.option("--until", metavar="TIME", help="End of the window, ISO 8601 [now]."),
        click.option("-q", "--quiet", is_flag=True, help="No talk on stderr."),
        click.option(
            "--log-format", type=click.Choice(["text", "json"]), help="How to talk on stderr."
        ),
    ]
    return _apply(options, command)


def model_options(command: Command) -> Command:
    """How demand is learnt."""
    options = [
        click.option("--model", metavar="NAME", help="percentile, trend, pooled, vpa, krr, ..."),
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
        click.option("-n", "--namespace", metavar="NAME", help="Only this namespace."),
        click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces [default]."),
        click.option("-l", "--selector", metavar="KEY=VALUE,...", help="Only these labels."),
    ]
    return _apply(options, command)


def _apply(options: Sequence[Callable[[Any], Any]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def settings_of(parameters: dict[str, Any]) -> Settings:
    """The effective settings of a command from its parameters, the environment and a file."""
    from analyzer.config import DEFAULT_FILE, load_config

    path = parameters.get("config_file") or os.environ.get("RIGHTSIZE_CONFIG")
    if path is None and Path(DEFAULT_FILE).exists():
        path = DEFAULT_FILE
    given = {dotted: parameters.get(name) for name, dotted in _FLAGS.items()}
    flags = {d: str(v) if isinstance(v, Path) else v for d, v in given.items()}
    if parameters.get("prometheus_url"):
        if flags["source"]:
            raise UsageError("--source and --prometheus-url name two sources; give one")
        flags["source"] = f"prometheus:{parameters['prometheus_url']}"
    settings = load_config(path, os.environ, flags)
    warnings = [*settings.warnings, *_not_yet(settings.config.until)]
    with Talk(quiet=bool(parameters.get("quiet")), log_format=parameters.get("log_format")) as talk:
        for warning in warnings:
            talk.say(warning, "warning")
    if (flags["kubernetes.context"] or flags["kubernetes.kubeconfig"]) and not (
        settings.config.kubernetes.ask
    ):
        raise UsageError("--context and --kubeconfig name the cluster to ask; add --ask-cluster")
    return settings


def _not_yet(until: str | None) -> list[str]:
    """A warning where the window ends in the future: nothing can have been used then."""
    from analyzer.config import parse_time

    if until is None or parse_time(until) <= now():
        return []
    return [f"until: {until} has not come yet, so that the end of the window is empty"]


def now() -> datetime:
    """The time. The one place that reads the clock."""
    return datetime.now().astimezone()


def label_filter(text: str | None) -> Callable[[Mapping[str, str]], bool]:
    """A test of labels from ``-l``: ``key=value``, ``key!=value``, ``key``, joined by commas.

    Keys may be written as in Kubernetes; the metrics hold them with underscores.
    """
    terms = [term.strip() for term in (text or "").split(",") if term.strip()]
    checks = [_label_check(term) for term in terms]
    return lambda labels: all(check(labels) for check in checks)


def _label_check(term: str) -> Callable[[Mapping[str, str]], bool]:
    if any(mark in term for mark in "() "):
        raise UsageError(f"-l: {term!r} is not understood; write key=value, key!=value or key")
    if "!=" in term:
        key, _, value = term.partition("!=")
        return lambda labels: labels.get(_key(key)) != value
    if "=" in term:
        key, _, value = term.replace("==", "=", 1).partition("=")
        return lambda labels: labels.get(_key(key)) == value
    return lambda labels: _key(term) in labels


def _key(text: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in text.strip())
