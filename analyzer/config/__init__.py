"""Settings of a run: what there is, where it comes from, and how it is read back."""

from analyzer.config.duration import parse_duration, parse_time, spell_duration
from analyzer.config.layers import (
    DEFAULT_FILE,
    ENVIRONMENT_PREFIX,
    Settings,
    clusters_in,
    load_config,
)
from analyzer.config.shown import flatten, json_schema, spelled
from analyzer.config.structure import Config, GitSettings, KubernetesSettings

__all__ = [
    "DEFAULT_FILE",
    "ENVIRONMENT_PREFIX",
    "Config",
    "GitSettings",
    "KubernetesSettings",
    "Settings",
    "clusters_in",
    "flatten",
    "json_schema",
    "load_config",
    "parse_duration",
    "parse_time",
    "spell_duration",
    "spelled",
]
