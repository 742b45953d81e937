"""The post-renderers of a HelmRelease: what kustomize makes of what helm rendered."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from analyzer.gitops.render.program import RenderError, as_json, run
from analyzer.gitops.text.tree import YamlError, parse

_MARKER = re.compile(r"^---[ \t]*\r?\n", re.MULTILINE)
HOOK = ("metadata", "annotations", "helm.sh/hook")
"""Marks an object that is applied at some moments alone, apart from all others."""


def _is_hook(manifest: str) -> bool:
    """Whether one document of a rendering is a hook. What is no YAML is left to kustomize."""
    if HOOK[-1] not in manifest:
        return False
    try:
        return any(document.root.text(*HOOK) is not None for document in parse(manifest))
    except YamlError:
        return False


class PostRenderer:
    """Applies post-renderers with kubectl; without one, a release that has some is not rendered."""

    def __init__(self, kubectl: Path | None) -> None:
        self._kubectl = kubectl

    def apply(self, text: str, renderers: Sequence[str]) -> str:
        """The manifests in `text` after each of `renderers`, fields of kustomizations as JSON.

        Hooks are a stream of their own, as in Helm 4. Helm before 3.21 passes them on as they are,
        and so does this where kustomize cannot do with them. Raises `RenderError` with what
        kustomize said of all else.
        """
        if not renderers:
            return text
        pieces = [piece for piece in _MARKER.split(text) if piece.strip()]
        hooks = [piece for piece in pieces if _is_hook(piece)]
        others = self._applied_all([piece for piece in pieces if piece not in hooks], renderers)
        if hooks:
            with suppress(RenderError):
                hooks = [self._applied_all(hooks, renderers)]
        return "\n---\n".join([others, *hooks])

    def _applied_all(self, pieces: Sequence[str], renderers: Sequence[str]) -> str:
        text = "---\n".join(pieces)
        for renderer in renderers:
            text = self._applied(text, renderer)
        return text

    def _applied(self, text: str, renderer: str) -> str:
        if self._kubectl is None:
            raise RenderError("the release has post-renderers, and there is no kubectl on PATH")
        with tempfile.TemporaryDirectory(prefix="rightsize-") as folder:
            build = Path(folder) / "build"
            build.mkdir()
            (build / "all.yaml").write_text(text, "utf-8")
            kustomization = {**json.loads(renderer), "resources": ["all.yaml"]}
            (build / "kustomization.yaml").write_text(as_json(kustomization), "utf-8")
            return run([str(self._kubectl), "kustomize", str(build)], Path(folder))
