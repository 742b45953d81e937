"""An earlier run written anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from analyzer.config import Config
from analyzer.pipeline.run import rerun
from analyzer.report import Report, dump_report, load_report
from tests.samples import recommendation, ref, report, resources

WEB, API = ref(workload="web"), ref(workload="api")
NAMES = {
    "page": "index.html",
    "cluster": "charts/cluster.png",
    str(WEB): "charts/web.png",
    str(API): "../outside.png",
}


def earlier(folder: Path) -> Report:
    """A run of two containers in `folder`, with charts of the cluster and of one of them."""
    rows = [recommendation(resources("1"), resources("100m"), of=of) for of in (WEB, API)]
    made = replace(report(*rows), files=NAMES)
    (folder / "charts").mkdir(parents=True)
    for name in ("charts/cluster.png", "charts/web.png", "../outside.png"):
        (folder / name).write_bytes(name.encode())
    (folder / "run.json").write_bytes(dump_report(made))
    return made


def written(made: Report, beside: Path, output: Path, **settings: Any) -> tuple[Report, set[str]]:
    """The report as it is written anew, and the names of its charts."""
    config = Config(output=str(output), formats=("html",), **settings)
    rerun(made, config, beside)
    charts = {path.relative_to(output).as_posix() for path in output.rglob("*.png")}
    return load_report(output / "run.json"), charts


def test_its_charts_are_carried_over_and_linked(tmp_path: Path) -> None:
    """Those that lie beside it; a name that leads elsewhere is no chart of it."""
    made = earlier(tmp_path / "old")
    new, charts = written(made, tmp_path / "old", tmp_path / "new")
    assert charts == {"charts/cluster.png", "charts/web.png"}
    assert new.files == {key: name for key, name in NAMES.items() if key != str(API)}
    assert (tmp_path / "new" / "charts" / "web.png").read_bytes() == b"charts/web.png"
    assert written(made, tmp_path / "old", tmp_path / "none", charts=False)[1] == set()


def test_its_seconds_are_its_own(tmp_path: Path) -> None:
    """What the earlier run took to read and to learn, this one did not take."""
    made = replace(earlier(tmp_path / "old"), seconds={"read": 3600.0, "learn": 60.0})
    new, _ = written(made, tmp_path / "old", tmp_path / "new")
    assert new.seconds == {}


def test_the_cluster_is_not_drawn_for_a_part_of_it(tmp_path: Path) -> None:
    """Its chart shows what a narrowed report does not hold."""
    made = earlier(tmp_path / "old")
    part = replace(made, recommendations=made.recommendations[:1])
    assert written(part, tmp_path / "old", tmp_path / "new")[1] == {"charts/web.png"}


def test_a_run_may_replace_itself(tmp_path: Path) -> None:
    """Writing into the folder that it came from keeps what was drawn."""
    made = earlier(tmp_path / "a" / "old")
    written(made, tmp_path / "a" / "old", tmp_path / "new")
    new, charts = written(
        load_report(tmp_path / "new" / "run.json"), tmp_path / "new", tmp_path / "new"
    )
    assert charts == {"charts/cluster.png", "charts/web.png"}
    assert "cluster" in new.files
