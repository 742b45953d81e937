"""Several clusters in one settings file: what they share at the top, what differs by name below.

.. code-block:: yaml

    preset: careful
    clusters:
      home: {source: "prometheus:http://prometheus.home:9090"}
      edge: {source: "prometheus:http://prometheus.edge:9090", preset: balanced}
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from analyzer.config.file import SettingsFile
from analyzer.config.value import likely

CLUSTERS = "clusters"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
RESERVED = ("fleet", "ledger", "latest")
"""Folders that lie beside the results of the clusters, which go by their names."""
_OWN = {
    "cluster": "the name of a cluster is the one it stands under",
    "output": "results go to a folder of the cluster's name, below the shared `output`",
    CLUSTERS: "clusters hold no clusters",
}


def take_clusters(file: SettingsFile) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Take the clusters out of the values of `file`: their settings by name, and what is wrong."""
    given = file.values.pop(CLUSTERS, None)
    if given is None:
        return {}, []
    if not isinstance(given, dict) or not given:
        return {}, [_at(file, (CLUSTERS,), "expected clusters by name, each with its settings")]
    problems = []
    for name, settings in given.items():
        place = (CLUSTERS, name)
        if not _NAME.fullmatch(name) or name.lower() in RESERVED:
            what = (
                f"{name!r} cannot name a cluster: a folder is called after it; use letters, "
                f"digits, dots and hyphens, and none of {', '.join(RESERVED)}"
            )
            problems.append(_at(file, place, what))
        elif settings is not None and not isinstance(settings, dict):
            problems.append(_at(file, place, f"{name}: expected settings by name"))
        else:
            problems += [
                _at(file, (*place, key), f"{key} of {name}: {_OWN[key]}")
                for key in settings or {}
                if key in _OWN
            ]
    return {name: settings or {} for name, settings in given.items()}, problems


def meant(name: str | None, known: Collection[str], file: str) -> str:
    """What is wrong with asking for the cluster `name` of `file`; empty where nothing is."""
    if name in known:
        return ""
    names = ", ".join(known)
    if name is None:
        return (
            f"{file}: holds the clusters {names}; name one with --cluster, "
            "or run all with `rightsize fleet`"
        )
    close = likely(name, list(known))
    hint = f"did you mean {close}?" if close else f"known are {names}"
    return f"{file}: has no cluster {name!r}; {hint}"


def _at(file: SettingsFile, place: tuple[str, ...], what: str) -> str:
    line = file.line_of(place)
    return f"{file.name}{f', line {line}' if line else ''}: {what}"
