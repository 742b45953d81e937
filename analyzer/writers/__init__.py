"""Writers: one per output format, each a pure function from a report to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points

from analyzer.errors import UsageError
from analyzer.report import Report
from analyzer.writers.gitdiff import write_gitdiff
from analyzer.writers.helm import write_helm
from analyzer.writers.json6902 import write_json6902
from analyzer.writers.kubectl import write_kubectl
from analyzer.writers.kustomize import write_kustomize
from analyzer.writers.page import write_page
from analyzer.writers.resize import write_resize
from analyzer.writers.summary import write_summary
from analyzer.writers.table import write_csv
from analyzer.writers.vpa import write_vpa

Files = Mapping[str, bytes]
"""Contents by path, relative to the output folder, with forward slashes."""

Writer = Callable[[Report], Files]

WRITERS: dict[str, Writer] = {
    "summary": write_summary,
    "html": write_page,
    "csv": write_csv,
    "kustomize": write_kustomize,
    "json6902": write_json6902,
    "kubectl": write_kubectl,
    "gitdiff": write_gitdiff,
    "helm": write_helm,
    "resize": write_resize,
    "vpa": write_vpa,
}

ENTRY_POINTS = "rightsize.writers"


def writer_named(name: str) -> Writer:
    """The writer called `name`: one of `WRITERS`, or one that an installed package adds."""
    if name in WRITERS:
        return WRITERS[name]
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        writer: Writer = entry.load()
        return writer
    raise UsageError(f"there is no writer {name!r}; there are {', '.join(WRITERS)}")
