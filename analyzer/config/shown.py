"""Settings as they are shown: in the spelling in which they are read, and what each means."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Any

import msgspec

from analyzer.config.clusters import CLUSTERS
from analyzer.config.duration import spell_duration
from analyzer.config.structure import SECTIONS, Config
from analyzer.policy import Rule
from analyzer.sources.prometheus.address import redact, split_urls

_USER_INFO = re.compile(r"://.*@")


def flatten(config: Config) -> dict[str, Any]:
    """Every leaf of the configuration by its dotted path, as plain values; secrets masked.

    But for what is masked, each is read back by the file, and as `spelled` by the environment.
    """
    plain = msgspec.to_builtins(config, enc_hook=str, builtin_types=(timedelta,))
    # msgspec leaves the defaults of a dataclass in its class, and then passes them over.
    names = [field.name for field in fields(config.prometheus)]
    reader = {name: getattr(config.prometheus, name) for name in names}
    plain["prometheus"] = msgspec.to_builtins(reader, enc_hook=str, builtin_types=(timedelta,))
    shown = {
        name: spell_duration(value) if isinstance(value, timedelta) else value
        for name, value in _leaves(plain)
    }
    shown["source"] = config.source and ",".join(map(redact, split_urls(config.source)))
    shown["git.repo"] = config.git.repo and _masked(config.git.repo)
    for secret in ("headers", "parameters"):
        shown[f"prometheus.{secret}"] = dict.fromkeys(getattr(config.prometheus, secret), "***")
    shown["prometheus.proxy"] = config.prometheus.proxy and redact(config.prometheus.proxy)
    return shown


def spelled(value: Any) -> str:
    """A value of `flatten` as a variable takes it, and a flag; empty for what is not set."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return json.dumps(value, ensure_ascii=False)


def _masked(url: str) -> str:
    return _USER_INFO.sub("://***@", url)


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        dotted = f"{above}{key}"
        if isinstance(value, dict) and dotted in SECTIONS:
            yield from _leaves(value, f"{dotted}.")
        else:
            yield dotted, list(value) if isinstance(value, tuple) else value


def json_schema() -> dict[str, Any]:
    """The JSON schema of the configuration file, with what each setting means."""
    schema = msgspec.json.schema(Config, schema_hook=lambda _kind: {"type": "string"})
    for kind in (Config, Rule, *SECTIONS.values()):
        known = descriptions(kind)
        properties = schema["$defs"].get(kind.__name__, {}).get("properties", {})
        for name, description in known.items():
            if name in properties:
                properties[name]["description"] = description
        for value in properties.values():
            if value.get("format") == "duration":
                del value["format"]
                value["pattern"] = r"^(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$"
    schema["$defs"][Config.__name__]["properties"][CLUSTERS] = {
        "type": "object",
        "description": "Settings that differ, by the name of each of several clusters.",
        "additionalProperties": {"$ref": f"#/$defs/{Config.__name__}"},
    }
    return schema


def descriptions(kind: type) -> dict[str, str]:
    """What each field of a class means: the text below it in the source, on one line."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    body = node.body if isinstance(node, ast.ClassDef) else []
    found = {}
    for field, below in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found
