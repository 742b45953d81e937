"""The results of the last run of each cluster, kept in the repository itself for others to read.

A branch ``rightsize-runs/CLUSTER`` holds the ``run.json`` of one run and nothing else: it has no
history, so that a year of runs weighs what one does. A check in a forge's CI reads it, and so does
the run of a cluster whose changes come after those of another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from analyzer.config import Config
from analyzer.errors import OutputError
from analyzer.forge.remote import Remote
from analyzer.gitops.land.diff import Author
from analyzer.gitops.land.proposal import cluster_part
from analyzer.landing import access_to
from analyzer.report import Report, dump_report, parse_report

PREFIX = "published:"
"""How a command is told to read what was published: with the cluster's name behind it, or none."""

_RUNS = "rightsize-runs/"
_FILE = "run.json"


def remote_of(root: Path, config: Config, environment: Mapping[str, str]) -> Remote:
    """The remote of the checkout at `root`, as the settings let git in there."""
    settings = config.forge
    author = Author(settings.author_name, settings.author_email)
    remote = Remote(root, settings.remote, author)
    return replace(remote, access=access_to(remote.url(), config, environment))


def publish(report: Report, remote: Remote) -> None:
    """Put `report` where `read_published` finds it, in place of the one before."""
    branch = f"{_RUNS}{cluster_part(report.meta.cluster)}"
    message = f"Results of the run of {report.meta.end:%Y-%m-%d}"
    text = dump_report(report).decode("utf-8")
    remote.put_files(branch, {_FILE: text}, message, alone=True)


def published_clusters(remote: Remote) -> list[str]:
    """The clusters that have published results, by the names that branches have."""
    return [branch.removeprefix(_RUNS) for branch in sorted(remote.listed(_RUNS))]


def read_published(remote: Remote, cluster: str = "") -> Report:
    """The last published report of `cluster`; without a name, of the only cluster there is.

    Raises `OutputError` where there is none, or several to choose from.
    """
    names = published_clusters(remote)
    wanted = cluster_part(cluster) if cluster else names[0] if len(names) == 1 else ""
    if wanted not in names:
        raise OutputError(_missing(remote.name, cluster, names))
    text = remote.file(f"{_RUNS}{wanted}", _FILE)
    return parse_report(text, f"{remote.name}/{_RUNS}{wanted}:{_FILE}")


def _missing(remote: str, cluster: str, names: list[str]) -> str:
    """What to do where it is not told whose results are meant, or nobody has published them."""
    if not names:
        return (
            f"no run has published its results on the remote {remote}: set forge.publish to true "
            "for `rightsize run --pr`, or name a file with --from run.json"
        )
    known = ", ".join(f"{PREFIX}{name}" for name in names)
    if cluster:
        return f"no run of {cluster!r} has published its results; known are {known}"
    return f"several clusters have published their results; say which: {known}"
