"""Files that declare workloads in other languages than YAML: told apart, named, and left alone."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

TEMPLATE = "a template, not YAML until it is rendered"
_BY_ENDING = {
    ".jsonnet": "jsonnet", ".libsonnet": "jsonnet", ".cue": "CUE", ".k": "KCL", ".pkl": "Pkl",
    ".dhall": "Dhall", ".star": "Starlark", ".tf": "Terraform", ".tofu": "Terraform",
    ".j2": "a jinja template", ".jinja": "a jinja template", ".jinja2": "a jinja template",
    ".gotmpl": "a Go template", ".tmpl": "a template", ".tpl": "a template",
}  # fmt: skip
_BY_NAME = {
    "cdk8s.yaml": "cdk8s", "Pulumi.yaml": "Pulumi", ".kapitan": "kapitan", "Tiltfile": "Tilt",
    "skaffold.yaml": "skaffold", "devspace.yaml": "DevSpace",
}  # fmt: skip
_YTT = re.compile(r"^[ \t]*#@(?:[ \t]|overlay/|data/|ytt:|schema/|library/)|:[ \t]+#@[ \t]", re.M)
_MARKER = re.compile(r"\{\{|\{%|<%|\[\[-?\s")
"""How a template begins an instruction: Go's and jinja's, ERB's, Go's with square brackets.

``${{ }}`` of CI and scaffolding is among them, ``${NAME}`` of Flux is none.
"""
_TERRAFORM = re.compile(r"\b(?:helm_release|kubernetes_\w+|kubectl_\w+)\b")


def tool_of(file: str) -> str | None:
    """What a file is written in or for, by its name; None for YAML and what declares nothing."""
    path = PurePosixPath(file)
    return _BY_NAME.get(path.name) or _BY_ENDING.get(path.suffix)


def concerns_clusters(tool: str, text: str) -> bool:
    """Whether a file of that tool says anything of a cluster; Terraform mostly does not."""
    return tool != "Terraform" or _TERRAFORM.search(text) is not None


def has_marker(text: str) -> bool:
    """Whether something in a text looks like an instruction of a template."""
    return _MARKER.search(text) is not None


def is_ytt(text: str) -> bool:
    """Whether YAML is a template of ytt, whose instructions stand in comments."""
    return "#@" in text and _YTT.search(text) is not None


def made_by(file: str, folders: frozenset[str], names: frozenset[str]) -> str | None:
    """What to say of a file that another file of the repository makes; None for none.

    `folders` and `names` are all of the repository's folders and the files that tools leave.
    """
    parts = PurePosixPath(file).parts
    for depth, part in enumerate(parts[:-1]):
        above = "/".join(parts[:depth])
        prefix = f"{above}/" if above else ""
        if part == "compiled" and (f"{prefix}inventory" in folders or f"{prefix}.kapitan" in names):
            return "kapitan compiles this file; change its inventory"
        if part == "dist" and f"{prefix}cdk8s.yaml" in names:
            return "cdk8s writes this file; change its program"
    return None
