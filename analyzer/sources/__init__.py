"""Where usage comes from: a Prometheus, or a recording on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.check import Check
from analyzer.errors import UsageError
from analyzer.sources.prometheus.settings import PrometheusSettings
from analyzer.sources.recording.importing import anonymise, import_frame, import_usage
from analyzer.sources.recording.recording import RecordingSource, load_recording, save_recording
from analyzer.sources.window import Progress, Source, Window, silent

if TYPE_CHECKING:
    from analyzer.sources.prometheus.source import PrometheusSource

Open = Callable[[str, PrometheusSettings, Progress], Source]


def _prometheus(where: str, settings: PrometheusSettings, progress: Progress) -> Source:
    from analyzer.sources.prometheus.source import PrometheusSource

    return PrometheusSource(where, settings, progress)


def _recording(where: str, settings: PrometheusSettings, progress: Progress) -> Source:
    return RecordingSource(Path(where), progress)


def __getattr__(name: str) -> Any:
    """`PrometheusSource` on first use: settings and recordings need no HTTP client."""
    if name == "PrometheusSource":
        from analyzer.sources.prometheus.source import PrometheusSource

        return PrometheusSource
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


SOURCES: Mapping[str, Open] = {"prometheus": _prometheus, "recording": _recording}
"""How to open each kind of source; the text before the first colon names it."""


def open_source(
    text: str,
    settings: PrometheusSettings | None = None,
    progress: Progress = silent,
) -> Source:
    """Open ``prometheus:URL``, ``recording:DIR`` or a bare ``http(s)://`` URL; reads nothing yet.

    Raises `UsageError` for anything else.
    """
    if text.startswith(("http://", "https://")):
        text = f"prometheus:{text}"
    kind, _, where = text.partition(":")
    if kind not in SOURCES or not where:
        raise UsageError(
            f"{text.partition(':')[0]!r} names no source; "
            "write prometheus:http://host:9090 or recording:FOLDER"
        )
    return SOURCES[kind](where, settings or PrometheusSettings(), progress)


__all__ = [
    "SOURCES",
    "Check",
    "Progress",
    "PrometheusSettings",
    "PrometheusSource",
    "RecordingSource",
    "Source",
    "Window",
    "anonymise",
    "import_frame",
    "import_usage",
    "load_recording",
    "open_source",
    "save_recording",
]
