"""The options of a command in sections: its own first, then those that many commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_SECTIONS = {
    "Usage and model": (
        "source", "prometheus_url", "run_json", "cluster", "cache", "ledger", "window", "step",
        "until", "model", "horizon",
    ),
    "Repository and cluster": (
        "repo", "revision", "entry", "helm_charts", "ask_cluster", "context", "kubeconfig",
    ),
    "Settings and talk": ("config_file", "quiet", "debug", "log_format"),
}  # fmt: skip
_OWN = "Options"


class Sectioned(click.Command):
    """A command whose help tells its own options apart from those of all."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options by section, in the order in which they are declared."""
        sections: dict[str, list[tuple[str, str]]] = {_OWN: [], **{name: [] for name in _SECTIONS}}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections[_section(parameter)].append(record)
        for name, records in sections.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


def _section(parameter: click.Parameter) -> str:
    found = (name for name, members in _SECTIONS.items() if parameter.name in members)
    return next(found, _OWN)


def command(name: str | None = None) -> Callable[[Callable[..., Any]], Sectioned]:
    """Make a function a command, as `click.command` does."""
    return click.command(name, cls=Sectioned)
