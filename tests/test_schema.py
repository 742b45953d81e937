"""What is written for programs is what its schema says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from analyzer.backtest import Walk, backtest
from analyzer.cli import main
from analyzer.cli.formats import as_json
from analyzer.ledger import append
from analyzer.report import dump_report
from analyzer.schema import ScoreRow, schemas
from tests.plots.test_months import MONTHS, START
from tests.samples import histories, meta, recommendation, ref, report, resources, steady

ROOT = Path(__file__).resolve().parent.parent
GITOPS = ROOT / "sample-data" / "gitops"


def validate(value: Any, name: str) -> None:
    """Raise where `value` is not what the published schema says."""
    schema = json.loads((ROOT / "docs" / "schema" / f"{name}.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(value, schema)


def answer(*words: str | Path) -> Any:
    """What a command prints as JSON."""
    done = CliRunner().invoke(main, [*map(str, words), "-o", "json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_every_schema_is_published() -> None:
    """One file per name, and no others."""
    assert {path.stem for path in (ROOT / "docs" / "schema").iterdir()} == set(schemas())


@pytest.mark.parametrize("name", schemas())
def test_a_schema_refuses_what_is_something_else(name: str) -> None:
    """A schema that takes everything would prove nothing."""
    with pytest.raises(jsonschema.ValidationError):
        validate([], name)


def test_a_run_is_what_its_schema_says(tmp_path: Path) -> None:
    """And what recommend prints of it as well."""
    path = tmp_path / "run.json"
    path.write_bytes(dump_report(report(recommendation(resources("1"), resources("100m")))))
    validate(json.loads(path.read_bytes()), "run")
    found = answer("recommend", "-q", "--from", path)
    validate(found, "recommend")
    del found["recommendations"][0]["changed"]
    with pytest.raises(jsonschema.ValidationError):
        validate(found, "recommend")


def test_places_and_settings_are_what_their_schemas_say() -> None:
    """Every key that is printed is described, and the other way round."""
    found = answer("index", GITOPS)
    validate(found, "index")
    described = schemas()["index"]["$defs"]["PlaceRow"]["properties"]
    assert {frozenset(place) for place in found["places"]} == {frozenset(described)}
    validate(answer("config"), "config")


def test_traces_are_what_their_schema_says(tmp_path: Path) -> None:
    """Of a container that has a place in the repository, and of one that has none."""
    refs = [ref("app", "sonarr"), ref("app", "elsewhere")]
    refs = [replace(one, namespace="media") for one in refs]
    found = report(*(recommendation(resources("1"), resources("100m"), of=one) for one in refs))
    (tmp_path / "run.json").write_bytes(dump_report(found))
    told = answer("trace", "-q", "--from", tmp_path / "run.json", "--repo", GITOPS)
    validate(told, "trace")
    assert [bool(row["file"]) for row in told["traces"]] == [True, False]


def test_proposals_are_what_their_schema_says(tmp_path: Path) -> None:
    """With what merged changes promised and what came of them."""
    append(tmp_path, MONTHS.rows, START)
    told = answer("history", "--ledger", tmp_path)
    validate(told, "history")
    assert told["proposals"] and told["outcomes"]


def test_findings_are_what_their_schema_says() -> None:
    """Of the doctor, for a recording."""
    found = answer("doctor", "-q", "--source", f"recording:{ROOT}/sample-data/recording")
    validate(found, "doctor")


def test_scores_are_what_their_schema_says() -> None:
    """Every number of the backtest is described."""
    of = histories(steady(21), window=meta(21))
    rows = backtest(of, models=("krr",), walk=Walk()).to_dicts()
    head = {"train_days": 14.0, "horizon_days": 7.0, "reviews": 1}
    validate(json.loads(as_json({**head, "results": rows})), "backtest")
    assert {frozenset(row) for row in rows} == {frozenset(ScoreRow.__annotations__)}


def test_a_schema_is_printed_by_name() -> None:
    """And a mistyped name is answered with the likely one."""
    done = CliRunner().invoke(main, ["schema", "recommend"])
    published = ROOT / "docs" / "schema" / "recommend.json"
    assert json.loads(done.stdout) == json.loads(published.read_text("utf-8"))
    wrong = CliRunner().invoke(main, ["schema", "recomend"])
    assert wrong.exit_code == 2
    assert "did you mean recommend?" in wrong.stderr
