"""Writers: one per output format, each a pure function from a report to files.

Add one here, or by the entry point group ``rightsize.writers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from analyzer.plugin import Plugins

if TYPE_CHECKING:
    from analyzer.report import Report

Files = Mapping[str, bytes]
"""Contents by path, relative to the output folder, with forward slashes."""


class Writer(Protocol):
    """Turns a report into files. Gets what was drawn as well, where it has a place for that."""

    def __call__(self, report: Report, /) -> Files:
        """The files of one output format; reads and writes nothing itself."""
        ...


WRITERS: Plugins[Writer] = Plugins(
    "writer",
    "rightsize.writers",
    {
        "summary": "analyzer.writers.summary:write_summary",
        "html": "analyzer.writers.page:write_page",
        "csv": "analyzer.writers.table:write_csv",
        "parquet": "analyzer.writers.table:write_parquet",
        "kustomize": "analyzer.writers.kustomize:write_kustomize",
        "json6902": "analyzer.writers.json6902:write_json6902",
        "kubectl": "analyzer.writers.kubectl:write_kubectl",
        "gitdiff": "analyzer.writers.gitdiff:write_gitdiff",
        "helm": "analyzer.writers.helm:write_helm",
        "metrics": "analyzer.writers.metrics:write_metrics",
        "resize": "analyzer.writers.resize:write_resize",
        "vpa": "analyzer.writers.vpa:write_vpa",
    },
)


def writer_named(name: str) -> Writer:
    """The writer called `name`: one of `WRITERS`, or one that an installed package adds."""
    return WRITERS.named(name)
