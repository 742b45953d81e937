"""Where usage comes from: a Prometheus, that of a cluster, or a recording on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from analyzer.check import Check
from analyzer.errors import UsageError
from analyzer.sources.prometheus.settings import PrometheusSettings
from analyzer.sources.window import Progress, Source, Window, silent

if TYPE_CHECKING:
    from analyzer.sources.prometheus.source import PrometheusSource
    from analyzer.sources.recording.importing import anonymise, import_frame, import_usage
    from analyzer.sources.recording.recording import (
        RecordingSource,
        load_recording,
        save_recording,
    )

S = TypeVar("S")


@dataclass(frozen=True)
class SourceKind(Generic[S]):
    """One kind of source: the settings that it takes, and how it is opened with them."""

    settings: type[S]
    open: Callable[[str, S, Progress], Source]


@dataclass(frozen=True)
class RecordingSettings:
    """What can be set about reading a recording: nothing."""


def _prometheus(where: str, settings: PrometheusSettings, progress: Progress) -> Source:
    from analyzer.sources.prometheus.source import PrometheusSource

    return PrometheusSource(where, settings, progress)


def _cluster(where: str, settings: PrometheusSettings, progress: Progress) -> Source:
    from analyzer.sources.cluster import ClusterSource

    return ClusterSource(where, settings, progress)


def _recording(where: str, settings: RecordingSettings, progress: Progress) -> Source:
    from analyzer.sources.recording.recording import RecordingSource

    return RecordingSource(Path(where), progress)


_HOME = {
    "PrometheusSource": "prometheus.source",
    "RecordingSource": "recording.recording",
    "anonymise": "recording.importing",
    "import_frame": "recording.importing",
    "import_usage": "recording.importing",
    "load_recording": "recording.recording",
    "save_recording": "recording.recording",
}
"""Where what is imported on first use stands: settings need no HTTP client and no Parquet."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


SOURCES: Mapping[str, SourceKind[Any]] = {
    "prometheus": SourceKind(PrometheusSettings, _prometheus),
    "cluster": SourceKind(PrometheusSettings, _cluster),
    "recording": SourceKind(RecordingSettings, _recording),
}
"""Each kind of source; the text before the first colon names it."""


def open_source(text: str, settings: object = None, progress: Progress = silent) -> Source:
    """Open ``prometheus:URL``, ``cluster:CONTEXT``, ``recording:DIR`` or a bare ``http(s)://`` URL.

    Nothing is read yet; without a context, ``cluster:`` is the current one of the kubeconfig.

    `settings` are those of the kind of source, its defaults by default. Raises `UsageError` for
    anything else.
    """
    kind, where = split_source(text)
    chosen = kind.settings() if settings is None else settings
    if not isinstance(chosen, kind.settings):
        raise UsageError(
            f"{text.partition(':')[0]} takes {kind.settings.__name__}, "
            f"found {type(settings).__name__}"
        )
    return kind.open(where, chosen, progress)


def split_source(text: str) -> tuple[SourceKind[Any], str]:
    """The kind of source that `text` names, and where it is. Raises `UsageError` for no source."""
    if text.startswith(("http://", "https://")):
        text = f"prometheus:{text}"
    name, _, where = text.partition(":")
    if name not in SOURCES or (not where and text != "cluster:"):
        raise UsageError(
            f"{name!r} names no source; write prometheus:http://host:9090, cluster:CONTEXT or "
            "recording:FOLDER"
        )
    return SOURCES[name], where


__all__ = [
    "SOURCES",
    "Check",
    "Progress",
    "PrometheusSettings",
    "PrometheusSource",
    "RecordingSettings",
    "RecordingSource",
    "Source",
    "SourceKind",
    "Window",
    "anonymise",
    "import_frame",
    "import_usage",
    "load_recording",
    "open_source",
    "save_recording",
    "split_source",
]
