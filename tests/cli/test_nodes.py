"""`rightsize nodes`: one set of numbers in every form, and in the summary."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from analyzer.cli import main
from analyzer.placement import GroupUse, NodeUse, Packing, Unplaced
from analyzer.report import Report, dump_report
from analyzer.schema import schemas
from analyzer.sources.recording.recording import save_recording
from analyzer.writers.summary import write_summary
from tests.samples import report
from tests.scenarios import world
from tests.scenarios.parts import nodes

GIB = 1024**3


def call(*words: str) -> Result:
    done = CliRunner().invoke(main, ["nodes", "-q", *words])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


def packed() -> Report:
    """Two groups: in one a node can go, in the other pods find no place."""
    group = GroupUse("big|pool", 2, 9, 16, 64 * GIB, 8, 4, 32 * GIB, 16 * GIB, 2, 1, 3, 7.5, 2.5)
    node = NodeUse("n1", "big|pool", 4, 8, 32 * GIB, 4, 2, 16 * GIB, 8 * GIB, can_go=True)
    full = NodeUse(
        "n2", "big|pool", 5, 8, 32 * GIB, 4, 9, 16 * GIB, 8 * GIB,
        short=("cpu",), others={"nvidia_com_gpu": (4.0, 2.0), "hugepages_2Mi": (GIB, GIB / 2)},
    )  # fmt: skip
    lost = Unplaced("shop/Deployment/web", 2, 9, GIB, "big|pool", "a node has to be added for it")
    return replace(report(), packing=Packing((group,), 1, (node, full), (lost,), 1))


@pytest.fixture
def run_json(tmp_path: Path) -> str:
    path = tmp_path / "run.json"
    path.write_bytes(dump_report(packed()))
    return str(path)


def test_every_form_holds_the_same_nodes(run_json: str) -> None:
    """JSON keeps to its schema, YAML and CSV say the same, names and columns are of nodes."""
    value = json.loads(call("--from", run_json, "-o", "json").stdout)
    Draft202012Validator(schemas()["nodes"]).validate(value)
    assert yaml.safe_load(call("--from", run_json, "-o", "yaml").stdout) == value
    rows = list(csv.DictReader(io.StringIO(call("--from", run_json, "-o", "csv").stdout)))
    assert [row["name"] for row in rows] == [node["name"] for node in value["nodes"]]
    assert call("--from", run_json, "-o", "name").stdout.split() == ["n1", "n2"]
    columns = ("-o", "custom-columns=NODE:name,GO:can_go", "--sort-by=-name")
    assert call("--from", run_json, *columns).stdout.split() == [
        "NODE",
        "GO",
        "n2",
        "False",
        "n1",
        "True",
    ]
    assert (value["spare"], value["unknown"]) == (1, 1)


def test_the_table_says_what_the_summary_says(run_json: str) -> None:
    """The same cells, of which the summary escapes what would break its table."""
    table = call("--from", run_json).stdout
    cells = ["2", "50% → 25%", "50% → 25%", "2 → 1", "3 pods without room", "7.50", "2.50"]
    assert re.split("  +", table.splitlines()[1]) == ["big|pool", *cells]
    assert "shop/Deployment/web" in table
    assert table.splitlines()[-1] == "Could go once all is in force: n1."
    (summary,) = write_summary(packed()).values()
    row = next(line for line in summary.decode().splitlines() if line.startswith("| big"))
    assert row == f"| big\\|pool | {' | '.join(cells)} |"
    assert row in call("--from", run_json, "-o", "markdown").stdout
    assert "Could go once all is in force: n1." in summary.decode()
    assert "a node has to be added for it" in summary.decode()


def test_a_wide_table_has_a_row_for_each_node(run_json: str) -> None:
    """With what else its pods ask for, and whether it could go; in the order that is asked for."""
    wide = call("--from", run_json, "-o", "wide", "--sort-by=-cpu_after").stdout.splitlines()
    first = next(n for n, line in enumerate(wide) if line.startswith("NODE "))
    assert wide[first + 1].startswith("n2") and wide[first + 1].endswith("short of cpu")
    assert "hugepages_2Mi 512Mi of 1Gi, nvidia_com_gpu 2 of 4" in wide[first + 1]
    assert wide[first + 2].endswith("can go")
    assert "there is no field" in call("--from", run_json, "--sort-by", "nme").stderr


def test_a_run_that_knows_no_nodes_says_what_is_missing(tmp_path: Path) -> None:
    """No empty table: what exports it is named; a run of an earlier version is to be made anew."""
    path = tmp_path / "run.json"
    path.write_bytes(dump_report(report()))
    done = call("--from", str(path))
    assert done.exit_code == 1 and "kube_node_status_allocatable" in done.stderr
    path.write_bytes(dump_report(replace(report(), packing=Packing(()))))
    done = CliRunner().invoke(main, ["nodes", "--from", str(path)])
    assert done.exit_code == 0 and "run it again" in done.stderr


def test_a_source_is_read_and_decided_as_by_a_run(tmp_path: Path) -> None:
    """Two nodes with 500m each, of which what an idle container does not use is freed."""
    box = world.Box(like=(1, 1), replicas=2)
    of = world.Scenario(name="n", given="", boxes=[box], expect={}, why="", nodes=nodes(4.0, 4.0))
    save_recording(world.recording_of([of]), tmp_path / "r")
    words = ("--source", f"recording:{tmp_path / 'r'}", "--ledger", "off", "-o", "json")
    value = json.loads(call(*words).stdout)
    assert [node["cpu_now"] for node in value["nodes"]] == [0.5, 0.5]
    assert all(node["cpu_after"] < 0.5 for node in value["nodes"])
    assert [(g["nodes"], g["needed_now"]) for g in value["groups"]] == [(2, 1)]
