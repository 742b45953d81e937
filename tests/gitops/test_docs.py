"""The page about Git says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import Plant


def test_the_example_from_python_runs(
    repository: Path, plant: Plant, flux: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code on the page, run as it stands, writes one patch."""
    page = (repository / "docs" / "gitops.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    root = plant(flux)
    root.rename(root.parent / "cluster")
    (root.parent / "out").mkdir()
    (root.parent / "charts").mkdir()
    monkeypatch.chdir(root.parent)
    exec(compile(code, "docs/gitops.md", "exec"), {})  # noqa: S102 - our own page
    (patch,) = (root.parent / "out").iterdir()
    assert "media/sonarr" in patch.read_text()
