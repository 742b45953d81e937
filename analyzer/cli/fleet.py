"""The command that runs many clusters and tells of all: fleet."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer import __version__
from analyzer.cli.console import Talk
from analyzer.cli.options import now, scheduler_option
from analyzer.cli.sections import command
from analyzer.errors import UsageError

if TYPE_CHECKING:
    from analyzer.config import Config
    from analyzer.fleet.run import Ended, Say
    from analyzer.fleet.state import Fleet

PARTIAL = 3
_FOLDER = "fleet"
"""Where the report of all lies, beside the folders of the clusters."""


@command()
@click.option("--config", "config_file", type=Path, help="Settings [rightsize.yaml].")
@click.option("-o", "--output", type=Path, help="A folder for the runs of all [reports].")
@click.option("--only", multiple=True, metavar="NAME,...", help="Run these clusters; tell of all.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="So many at a time."
)
@scheduler_option
@click.option("--gather", is_flag=True, help="Run none; tell of the runs that are there.")
@click.option("--pr", "deliver", is_flag=True, help="Open and refresh pull requests as well.")
@click.option("--dry-run", is_flag=True, help="With --pr: say what would be pushed and sent.")
@click.option("-q", "--quiet", is_flag=True, help="No talk on stderr.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="How to talk on stderr.")
@click.pass_context
def fleet(ctx: click.Context, /, gather: bool, deliver: bool, dry_run: bool, **given: Any) -> None:
    """Run every cluster that the settings name, and report on all of them.

    The settings hold `clusters`: by name, what differs from what all share. Each cluster runs in a
    process of its own into a folder of its name; one that fails stops no other, and keeps its
    earlier results. The report of all is in the folder `fleet` beside them.

    With --scheduler each runs where a worker of a Dask scheduler is, with the files there that the
    settings name; its results come back into the same folders.
    """
    if dry_run and not deliver:
        raise UsageError("--dry-run goes with --pr; without it nothing leaves this machine")
    if gather and (given["only"] or deliver):
        raise UsageError("--gather runs no cluster; leave out --only and --pr")
    path = _settings_file(given["config_file"])
    known, folder = _checked(path, given["output"], given["scheduler"])
    names = list(known)
    wanted = [] if gather else _chosen(given["only"], names, path)
    wishes = (("--pr", deliver), ("--dry-run", dry_run))
    flags = [flag for flag, wish in wishes if wish]
    with Talk(quiet=given["quiet"], log_format=given["log_format"]) as talk:
        said = [*flags, *(["--quiet"] if talk.quiet else [])]
        configs = {name: known[name] for name in wanted}
        problems, partial = _follow(_runs(path, configs, folder, said, given["jobs"]), talk)
        report = _tell(folder, names, problems, talk)
    click.echo(str(folder / _FOLDER / "summary.md"))
    if problems and len(problems) == len(wanted):
        ctx.exit(1)
    ctx.exit(PARTIAL if partial or report.failed else 0)


def _settings_file(given: Path | None) -> Path:
    from analyzer.config import DEFAULT_FILE

    return given or Path(os.environ.get("RIGHTSIZE_CONFIG") or DEFAULT_FILE)


def _checked(
    path: Path, output: Path | None, scheduler: str | None
) -> tuple[dict[str, Config], Path]:
    """The settings of each cluster of the file, once all are sound, and the folder for all."""
    from analyzer.config import clusters_in, load_config

    names, shared = clusters_in(path)
    configs = {}
    for name in names:
        given = {"cluster": name, "engine.scheduler": scheduler}
        configs[name] = load_config(path, os.environ, given).config
        if configs[name].source is None:
            raise UsageError(f"{path}: {name} has no source; say where its usage comes from")
    if len({config.engine for config in configs.values()}) > 1:
        raise UsageError(f"{path}: clusters differ in `engine`; one scheduler runs the whole fleet")
    return configs, output or Path(os.environ.get("RIGHTSIZE_OUTPUT") or shared or "reports")


def _chosen(only: Sequence[str], names: Sequence[str], path: Path) -> list[str]:
    from analyzer.config.clusters import meant

    wanted = [word for words in only for word in words.split(",") if word]
    for name in wanted:
        wrong = meant(name, names, str(path))
        if wrong:
            raise UsageError(wrong)
    if only and not wanted:  # as from a variable that is not set
        raise UsageError("--only names no cluster; leave it out to run all")
    return wanted or list(names)


def _runs(
    path: Path, configs: Mapping[str, Config], folder: Path, flags: Sequence[str], jobs: int
) -> Callable[[Say], Iterator[Ended]]:
    """What runs the clusters of `configs` into `folder`: workers, where they have a scheduler."""
    folders = {name: folder / name for name in configs}
    engines = {config.engine for config in configs.values() if config.engine.address is not None}
    if not engines:
        from analyzer.fleet.run import run_all

        return lambda say: run_all(path, folders, flags, jobs, say)
    from analyzer.config.layers import setting_variables
    from analyzer.fleet.elsewhere import Sent, run_by, with_ledger

    each = {name: [*flags, *with_ledger(config, folder)] for name, config in configs.items()}
    (engine,) = engines
    sent = Sent(path.read_text(encoding="utf-8"), setting_variables(os.environ))
    return lambda say: run_by(engine, sent, folders, each, say)


def _follow(runs: Callable[[Say], Iterator[Ended]], talk: Talk) -> tuple[dict[str, str], bool]:
    """See the runs to their ends; what failed with its reason, and whether any was partial."""
    problems, partial = {}, False

    def say(cluster: str, text: str, level: str) -> None:
        talk.say(f"{cluster}: {text}", level)

    for ended in runs(say):
        partial = partial or ended.code == PARTIAL
        if ended.problem:
            problems[ended.cluster] = ended.problem
            talk.say(f"{ended.cluster} failed: {ended.problem}", "warning")
    return problems, partial


def _tell(folder: Path, names: Sequence[str], problems: dict[str, str], talk: Talk) -> Fleet:
    """Write the report of all, and say it in a line."""
    from analyzer.fleet.pages import CHART, headline, write_fleet
    from analyzer.fleet.state import gather
    from analyzer.output import publish, write_files
    from analyzer.plots import encode_png
    from analyzer.plots.fleet import ClusterBar, describe_fleet, fleet_figure

    gathered = gather(folder, names, problems, now(), __version__)
    bars = [ClusterBar(c.name, c.requests) for c in gathered.fleet.clusters if c.requests]
    with publish(folder / _FOLDER) as fresh:
        write_files(fresh, write_fleet(gathered))
        if bars:
            write_files(fresh, {CHART: encode_png(fleet_figure(bars), describe_fleet(bars))})
    talk.say(headline(gathered.fleet))
    return gathered.fleet
