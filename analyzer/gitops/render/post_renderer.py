"""The post-renderers of a HelmRelease: what kustomize makes of what helm rendered."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from analyzer.gitops.render.program import RenderError, as_json, run


class PostRenderer:
    """Applies post-renderers with kubectl; without one, a release that has some is not rendered."""

    def __init__(self, kubectl: Path | None) -> None:
        self._kubectl = kubectl

    def apply(self, text: str, renderers: Sequence[str]) -> str:
        """The manifests in `text` after each of `renderers`, fields of kustomizations as JSON.

        Raises `RenderError` with what kustomize said.
        """
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
