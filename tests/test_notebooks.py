"""Notebooks: executed from top to bottom, by a real kernel and on a real server."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from rightsize import Study
from tests.sample_server import DAYS
from tests.test_end_to_end import UNTIL

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
KERNEL = {"explore"}
"""Run by a kernel; the others in this process, for a kernel takes seconds to start."""


def cells_of(path: Path) -> list[Any]:
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run_here(cells: list[Any], monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[str]]:
    """What the cells leave behind, and what each shows: printed, or the value of its last line."""
    monkeypatch.chdir(NOTEBOOKS[0].parent)
    names: dict[str, Any] = {}
    shown = []
    for cell in cells:
        *statements, last = cell.source.rstrip().split("\n")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            try:
                value = compile(last, "cell", "eval")
            except SyntaxError:
                exec(cell.source, names)  # noqa: S102  # our own notebook
                shown.append(out.getvalue())
                continue
            exec("\n".join(statements), names)  # noqa: S102  # our own notebook
            shown.append(out.getvalue() + repr(eval(value, names)))  # noqa: S307  # likewise
    return names, shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_holds_outputs(path: Path) -> None:
    """What is in the repository is what a person wrote."""
    assert not any(cell.outputs or cell.execution_count for cell in cells_of(path))


def test_a_kernel_runs_a_notebook_and_shows_charts() -> None:
    """As a reader runs it: no cell fails, and the run shows itself with a chart."""
    path = next(path for path in NOTEBOOKS if path.stem in KERNEL)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    )
    client.execute()
    run = next(cell for cell in notebook.cells if "rs.run(" in cell.source)
    assert "data:image/png;base64," in run.outputs[-1].data["text/html"]


@pytest.mark.parametrize(
    "path", [p for p in NOTEBOOKS if p.stem not in KERNEL], ids=lambda p: p.stem
)
def test_notebooks_run_on_the_sample(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are, from top to bottom."""
    cells = cells_of(path)
    names, shown = run_here(cells, monkeypatch)
    assert names["run"].histories.meta.cluster == "homelab"
    assert any(shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_on_a_server_by_one_changed_cell(
    path: Path, slice_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address in the place of the sample, and nothing else."""
    cells = cells_of(path)
    (source,) = [cell for cell in cells if cell.id == "source"]
    settings = {"until": UNTIL, "window": f"{DAYS}d", "cluster": "slice"}
    source.source = f"import rightsize as rs\nsource, settings = {slice_server!r}, {settings!r}"
    names, _ = run_here(cells, monkeypatch)
    assert isinstance(names["run"], Study)
    assert names["run"].histories.meta.cluster == "slice"
