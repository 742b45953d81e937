"""What kustomize builds of a folder, from texts in memory."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Container, Mapping
from pathlib import Path

from analyzer.gitops.render.program import kustomize_version, run
from analyzer.gitops.render.rendering import Rendering, read_rendering
from analyzer.gitops.text.tree import parse, plain

_REMOTE = re.compile(r"://|^git@|^github\.com/|\?ref=")


class Kustomize:
    """Builds kustomizations of a repository from texts in memory, in a copy that is thrown away."""

    def __init__(self, kubectl: Path, texts: Mapping[str, str]) -> None:
        self._kubectl = kubectl
        self._texts = texts
        self._folder = tempfile.TemporaryDirectory(prefix="rightsize-")
        self._copy = Path(self._folder.name) / "repository"
        self._write(texts)
        self.program = kustomize_version(kubectl)

    def build(
        self,
        folder: str,
        edits: Mapping[str, str],
        without: Mapping[str, Container[str]] | None = None,
    ) -> Rendering:
        """The objects of one folder, with some files replaced. Raises `RenderError`.

        `without` maps kustomization files to entries that are left out, such as remote ones.
        """
        texts = dict(edits)
        for file, entries in (without or {}).items():
            texts[file] = _without(texts.get(file, self._texts[file]), entries)
        self._write(texts)
        try:
            command = [str(self._kubectl), "kustomize", str(self._copy / folder)]
            return read_rendering(run(command, Path(self._folder.name)), self.program)
        finally:
            self._write({file: self._texts[file] for file in texts if file in self._texts})

    def _write(self, texts: Mapping[str, str]) -> None:
        for file, text in texts.items():
            path = self._copy / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8"))


def _without(text: str, entries: Container[str]) -> str:
    """A kustomization without some entries of its lists, as JSON, which kustomize reads as well."""
    kustomization = plain(parse(text)[0].root)
    if not isinstance(kustomization, dict):
        return text
    kept = {
        key: [item for item in value if item not in entries]
        if isinstance(value, list) and all(isinstance(item, str) for item in value)
        else value
        for key, value in kustomization.items()
        if key not in entries
    }
    return json.dumps(kept)


def is_remote(reference: str) -> bool:
    """Whether a kustomization's reference leads to the network."""
    return _REMOTE.search(reference) is not None
