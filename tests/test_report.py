"""The report and its lossless JSON."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analyzer.config import Config, parse_duration
from analyzer.errors import OutputError
from analyzer.history import Skipped
from analyzer.quantity import Cpu
from analyzer.report import (
    Change,
    Landing,
    Report,
    dump_report,
    duration_text,
    load_report,
    window_text,
)
from analyzer.sources import Window
from analyzer.workload import Selector
from tests.samples import meta, recommendation, ref, report, resources


def whole() -> Report:
    """A report in which every part is present."""
    change = recommendation(resources("1", "1Gi", "2", "2Gi"), resources("100m", "512Mi"))
    same = recommendation(resources("1"), resources("1"), of=ref(workload="api"))
    return replace(
        report(change, same, skipped=(Skipped(ref("x"), 'says "why" | <b>'),)),
        created=datetime(2026, 11, 23, 6, tzinfo=UTC),
        backtest=({"model": "trend", "overrun_week_share": 0.01},),
        verdict="fine",
        landings=(Landing("shop/Deployment/web/app", "edited", "proven", file="a.yaml"),),
        changes=(Change("0001-x.patch", "b", "t", "body", "From x\n", "--- a\n"),),
        together="--- a\n",
        warnings=("partial",),
    )


def test_json_is_lossless(tmp_path: Path) -> None:
    """What is written is what is read, to the last digit, so that writers can work later."""
    path = tmp_path / "run.json"
    path.write_bytes(dump_report(whole()))
    assert load_report(path) == whole()


def test_amounts_are_text_a_person_can_read() -> None:
    """Quantities stand in Kubernetes' notation."""
    assert b'"memory_request": "512Mi"' in dump_report(whole())


@pytest.mark.parametrize("text", [b"", b"{}", b"not json", b'{"schema": "rightsize/v1"}'])
def test_what_is_no_run_is_one_sentence(tmp_path: Path, text: bytes) -> None:
    """The message says which file and what to do."""
    path = tmp_path / "run.json"
    path.write_bytes(text)
    with pytest.raises(OutputError, match=r"run\.json: not a run of this version"):
        load_report(path)


def test_a_missing_run_is_one_sentence(tmp_path: Path) -> None:
    """It names the command that makes one."""
    with pytest.raises(OutputError, match="rightsize run"):
        load_report(tmp_path / "run.json")


def test_a_run_of_another_schema_is_refused(tmp_path: Path) -> None:
    """A newer form is not guessed at."""
    path = tmp_path / "run.json"
    path.write_bytes(dump_report(replace(whole(), schema="rightsize/v9")))
    with pytest.raises(OutputError, match="rightsize/v9"):
        load_report(path)


@pytest.mark.parametrize("amount", ["-5Gi", "0", "1e30", "2Ei"])
def test_amounts_that_no_run_proposes_are_refused(tmp_path: Path, amount: str) -> None:
    """A run handed over by others is edited into Git as it stands: nonsense ends here."""
    path = tmp_path / "run.json"
    text = dump_report(report(recommendation(resources("1", "1Gi"), resources("1", "777Mi"))))
    path.write_bytes(text)
    assert load_report(path).changed
    path.write_bytes(text.replace(b"777Mi", amount.encode()))
    with pytest.raises(OutputError, match=r"run.json: shop/\S+ has a memory request of .+ no run"):
        load_report(path)


def test_what_contradicts_itself_names_the_file(tmp_path: Path) -> None:
    """Also where it is the window of a run that cannot be."""
    path = tmp_path / "run.json"
    text = re.sub(rb'"end":\s*"[^"]+"', b'"end":"1970-01-01T00:00:00Z"', dump_report(report()))
    path.write_bytes(text)
    with pytest.raises(OutputError, match=r"run.json: not a run of this version \(the window is"):
        load_report(path)


def test_totals_count_all_replicas() -> None:
    """Three pods of 1 core now and 100m proposed."""
    three = recommendation(resources("1"), resources("100m"), replicas=3)
    assert report(three).totals["cpu_request"] == (3000, 300)
    assert three.change("cpu_request") == -2700
    assert report(three).changed == (three,)


def test_selection_keeps_the_ledger_of_what_is_selected() -> None:
    """Recommended and skipped are both narrowed."""
    part = whole().select(Selector(workload="api"))
    assert [r.ref.workload for r in part.recommendations] == ["api"]
    assert not part.skipped
    assert whole().select() == whole()


def test_the_table_has_cores_and_bytes() -> None:
    """One row per container, NaN where nothing is declared."""
    frame = whole().to_frame()
    assert frame["cpu_request_now"].tolist() == [1.0, 1.0]
    assert frame["memory_limit_proposed"].isna().all()
    assert frame["memory_request_proposed"][0] == 512 * 2**20
    assert Cpu(1000).cores == frame["cpu_request_now"][0]


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(days=7), "7 days"),
        (timedelta(days=1), "1 day"),
        (timedelta(hours=12), "12 hours"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(seconds=61), "61 seconds"),
    ],
)
def test_durations_are_told_in_their_largest_whole_unit(length: timedelta, text: str) -> None:
    """No duration is rounded away."""
    assert duration_text(length) == text


def test_a_report_is_short_to_look_at() -> None:
    """One line in a terminal; in a notebook a table, in which names are inert."""
    rows = [
        recommendation(resources("1"), resources("100m"), of=ref(workload=f"w{n}"))
        for n in range(40)
    ]
    strange = recommendation(resources("9"), resources("1"), of=ref(workload="<b>"))
    many = report(*rows, strange)
    assert repr(many) == ("<Report of lab, model flat: 41 containers · 41 to change (41 down)>")
    shown = many._repr_html_()
    assert shown.count("<tr>") == 1 + 25
    assert "and 16 more to change" in shown
    assert "<b>/" not in shown
    assert "<td>1 → 100m</td>" in shown
    assert "<td>none</td>" in shown


def test_the_window_is_told_beside_what_was_asked_for() -> None:
    """What was read is what amounts rest on, however much was asked for."""
    read = meta(21)
    span = "2026-11-02 00:00 to 2026-11-23 00:00 UTC"
    assert window_text(read) == f"{span} (21 days)"
    assert window_text(replace(read, asked=timedelta(days=21))) == f"{span} (21 days)"
    asked = replace(read, asked=timedelta(days=35))
    assert window_text(asked) == f"{span} (21 days of the 35 days asked for)"


def test_every_source_is_asked_for_the_same_window() -> None:
    """One default, whoever asks: the settings, and a source by itself."""
    assert parse_duration(Config().window) == Window().length == timedelta(days=35)
