"""Helm charts on disk: folders with a Chart.yaml, and archives of such."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analyzer.gitops.text.tree import YamlError, parse


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart on disk: a folder with Chart.yaml, or an archive of one."""

    name: str
    version: str
    path: Path


@dataclass(frozen=True, slots=True)
class Dependency:
    """What a chart depends on: its entry, the chart's own defaults, and the chart if at hand."""

    entry: Mapping[str, object]
    defaults: Mapping[str, object]
    chart: Chart | None

    @property
    def name(self) -> str:
        """As it is called in the list of dependencies."""
        return str(self.entry.get("name"))

    def is_off(self, values: Mapping[str, object]) -> bool:
        """Whether helm would leave it out: the first condition that says something, else its tags.

        Helm lets any one tag that is on decide, and takes what nothing speaks of.
        """
        conditions = str(self.entry.get("condition") or "").split(",")
        told = [self._flag(values, name.strip().split(".")) for name in conditions if name.strip()]
        decided = next((flag for flag in told if flag is not None), None)
        if decided is not None:
            return not decided
        listed = self.entry.get("tags")
        tags = listed if isinstance(listed, list) else []
        flags = [self._flag(values, ["tags", str(tag)]) for tag in tags]
        return any(flag is False for flag in flags) and not any(flags)

    def _flag(self, values: Mapping[str, object], path: Sequence[str]) -> bool | None:
        """What the values say at a path, else the chart's defaults; None for nothing."""
        for source in (values, self.defaults):
            found: object = source
            for key in path:
                found = found.get(key) if isinstance(found, Mapping) else None
            if isinstance(found, bool):
                return found
        return None


def charts_in(folders: Iterable[Path]) -> list[Chart]:
    """Every chart in the given folders, at most four levels down, archives included."""
    found = []
    for folder in folders:
        for depth in ("", "*/", "*/*/", "*/*/*/"):
            for file in sorted(folder.glob(f"{depth}Chart.yaml")):
                found.append(_chart_at(file.parent))
            for archive in sorted(folder.glob(f"{depth}*.tgz")):
                found.append(_chart_archive(archive))
    return [chart for chart in found if chart is not None]


def _chart_at(folder: Path) -> Chart | None:
    return _chart_of((folder / "Chart.yaml").read_text("utf-8", "replace"), folder)


def _chart_archive(archive: Path) -> Chart | None:
    try:
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.name.count("/") == 1 and member.name.endswith("/Chart.yaml"):
                    stream = opened.extractfile(member)
                    text = stream.read().decode("utf-8", "replace") if stream else ""
                    return _chart_of(text, archive)
    except (tarfile.TarError, OSError):
        return None
    return None


def _chart_of(text: str, path: Path) -> Chart | None:
    try:
        root = parse(text)[0].root
    except (YamlError, IndexError):
        return None
    name, version = root.text("name"), root.text("version")
    return Chart(name, version, path) if name and version else None


def find_chart(charts: Sequence[Chart], name: str, version: str | None) -> Chart | None:
    """The chart of that name and exact version; of an open version, the only one there is."""
    named = [chart for chart in charts if chart.name == name]
    exact = [c for c in named if version and c.version.lstrip("v") == version.lstrip("v")]
    if exact:
        return exact[0]
    open_version = version is None or re.search(r"[<>=^~*x| ]", version) is not None
    versions = {chart.version for chart in named}
    return named[0] if open_version and len(versions) == 1 else None


def unpacked(chart: Chart, home: Path) -> Path:
    """The folder of a chart; of an archive, unpacked into `home`."""
    if chart.path.is_dir():
        return chart.path
    with tarfile.open(chart.path) as archive:
        archive.extractall(home, filter="data")
    return next(file.parent for file in home.glob("*/Chart.yaml"))
