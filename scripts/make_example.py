"""Take the example out of a run: make_example.py RUN EXAMPLE.

A handful of files: the summary, the chart of the cluster, those of three containers, one change of
Git with its description. Links to what is left out become plain words. The time of the run and the
version are left out too, so that the same code makes the same files.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

CHARTS = (
    "cluster.png",
    "ai--deployment--comfyui--app.png",  # usage moved to another level
    "media--deployment--bazarr--app.png",  # a leak that its limit cuts off
    "kube-system--daemonset--cilium--cilium-agent.png",  # one pod unlike the others
)
CHANGE = "ai-comfyui"
"""Part of the name of the change that is shown; its number and its amounts may change."""


def main(run: Path, example: Path) -> None:
    """Replace `example` by what is taken out of `run`."""
    shutil.rmtree(example, ignore_errors=True)
    (example / "charts").mkdir(parents=True)
    (example / "git").mkdir()
    for name in CHARTS:
        shutil.copyfile(run / "charts" / name, example / "charts" / name)
    for ending in ("md", "patch"):
        (path,) = (run / "git").glob(f"*-{CHANGE}-*.{ending}")
        target = example / "git" / f"{CHANGE}.{ending}"
        target.write_text(undated(path.read_text("utf-8")), encoding="utf-8")
    summary = (run / "summary.md").read_text("utf-8")
    (example / "summary.md").write_text(kept_links(undated(summary), example), encoding="utf-8")


def undated(text: str) -> str:
    """`text` without the version and the time of its run, and without its place among others."""
    text = re.sub(r"Made by rightsize \S+( on [\d :-]+UTC)?\.", "Made by rightsize.", text)
    return re.sub(r"^Subject: \[PATCH \d+/\d+\]", "Subject: [PATCH]", text, flags=re.MULTILINE)


def kept_links(text: str, folder: Path) -> str:
    """`text` with links to files that are not in `folder` as plain words."""

    def shown(link: re.Match[str]) -> str:
        there = "://" in link[2] or (folder / link[2]).exists()
        return link[0] if there else link[1]

    return re.sub(r"\[((?:[^\]\\]|\\.)*)\]\(([^)\s]+)\)", shown, text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
