"""The chart of one container over months: what the ledger says, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from analyzer.config import Config
from analyzer.ledger import Ledger, append, score
from analyzer.ledger.table import columns_of, key_of, make_ledger, make_rows
from analyzer.pipeline.chart import draw, drawn_before, name_files
from analyzer.plots import describe_months, encode_png, months_figure
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.report import MONTHS as MONTHS_OF
from analyzer.sources.window import silent
from analyzer.workload import ContainerRef
from tests.cli.test_history import call
from tests.plots.scenes import SCENES, lines_of
from tests.samples import report

REF = ContainerRef("lab", "media", "Deployment", "plex", "app")
START = datetime(2026, 6, 1, tzinfo=UTC)
GIB = 2**30


def amounts(cpu: int, request: int, limit: int) -> Resources:
    """Millicores and GiB."""
    return Resources(Cpu(cpu), None, Memory(request * GIB), Memory(limit * GIB))


BEFORE, AFTER = amounts(1000, 4, 8), amounts(300, 2, 3)


def review(week: int, **values: Any) -> dict[str, Any]:
    """A weekly review; the change of 1 cpu to 300m and 4 GiB to 2 GiB is merged in the fifth."""
    now = BEFORE if week < 5 else AFTER
    merged = START + timedelta(weeks=4, days=2)
    promised = {"promised_cpu_request": 0.05, "promised_memory_request": 0.1} if week >= 5 else {}
    return {
        **key_of(REF),
        **columns_of(now, "now"),
        **columns_of(AFTER, "proposed"),
        **columns_of(AFTER, "wanted"),
        **columns_of(BEFORE, "before"),
        **promised,
        "entry": "review",
        "origin": "proposed" if week >= 5 else "declared",
        "reviewed": START + timedelta(weeks=week),
        "since": merged if week >= 5 else START,
        "cpu_p95_cores": 0.2 + 0.01 * week,
        "memory_max_bytes": (1.2 + 0.05 * week) * GIB,
        "kills": 2 if week == 7 else 0,
        "oom_kills": 0,
        "hours": 24.0 * 7 * max(0, week - 4),
        "cpu_above": 0.03,
        "memory_above": 0.0,
        "throttled_since": 0.0,
    } | values


def ledger(*rows: dict[str, Any]) -> Ledger:
    return make_ledger([make_rows(list(rows))])


MONTHS = ledger(*(review(week) for week in range(14)))


def texts(of: Ledger) -> list[str]:
    """What is written on the chart."""
    return [text.get_text() for text in lines_of(months_figure(of, REF))]


def test_a_change_its_date_and_its_promise_are_told() -> None:
    """300m promised 5 % of the time above it; 3 % came of it since the day of the merge."""
    shown = texts(MONTHS)
    assert "since 2026-07-01 above the CPU request for 3% of the time, 5% promised" in shown
    assert "since 2026-07-01 above the memory request in 0% of the weeks, 10% promised" in shown
    assert shown.count("changed") == 2
    assert "2 killed" in shown
    assert any(
        text.startswith("Deployment · 14 reviews from 2026-06-01 to 2026-08-31") for text in shown
    )
    assert "changed on 2026-07-01" in describe_months(MONTHS, REF)


def test_what_is_declared_changes_where_it_came_into_force() -> None:
    """The request falls from 1 to 0.3 on day 30 (1 July), not at the review on day 35."""
    panel = months_figure(MONTHS, REF).axes[0]
    drawn = [np.asarray(line.get_xydata(), dtype=float) for line in panel.lines]
    (request,) = [line for line in drawn if line[:, 1].max() == 1.0]
    assert request[request[:, 1] < 1, 0].min() == 30.0


def test_each_line_is_named_with_its_last_value() -> None:
    """Usage, request, proposal and limit; a CPU limit that never was is not named."""
    shown = texts(MONTHS)
    for name in ("p95 used 330m", "request 300m", "proposed 300m", "limit 3Gi"):
        assert name in shown
    assert sum(text.startswith("limit") for text in shown) == 1


def test_one_review_and_nothing_declared_are_drawn() -> None:
    """No line has two points then, and no amount any."""
    nothing = Resources()
    bare = {**columns_of(nothing, "now"), **columns_of(nothing, "proposed")}
    only = ledger(review(0, **bare, cpu_p95_cores=None))
    assert {"highest used 1.2Gi", "neither observed nor declared"} <= set(texts(only))
    assert "Deployment · 1 review on 2026-06-01 · cluster lab" in texts(only)
    assert not any("request" in text for text in texts(only))
    with pytest.raises(ValueError, match="no review"):
        months_figure(make_ledger([]), REF)


def test_dark_is_another_picture_and_bytes_do_not_change() -> None:
    """The same ledger gives the same bytes."""
    light, again, dark = (
        encode_png(months_figure(MONTHS, REF, dark=dark), "months") for dark in (False, False, True)
    )
    assert light == again != dark


def test_the_command_line_draws_it(tmp_path: Path) -> None:
    """Of one container; of several it says which to name."""
    other = {**review(0), **key_of(ContainerRef("lab", "media", "Deployment", "plex", "exporter"))}
    append(tmp_path / "ledger", make_rows([*(review(w) for w in range(3)), other]), START)
    where = ("--ledger", str(tmp_path / "ledger"), "--chart", str(tmp_path / "months.png"))
    call("history", "media/plex/app", *where)
    assert Image.open(tmp_path / "months.png").size == (1240, 800)
    call("history", "media/plex", *where, code=2)


def test_a_run_draws_the_months_of_what_was_merged(tmp_path: Path) -> None:
    """Beside the other charts, by a name that the page links; nothing of what nobody changed."""
    of, made = SCENES["lowered"]()
    outcome = replace(score(MONTHS)[0], ref=made.ref)
    rows = [review(week, **key_of(made.ref)) for week in range(8)]
    found = replace(report(made), outcomes=(outcome,))
    files = name_files(found, Config())
    name = files[f"{MONTHS_OF}{made.ref}"]
    draw(replace(found, files=files), of, ledger(*rows), tmp_path, silent)
    assert Image.open(tmp_path / name).size == (1240, 800)
    assert drawn_before(replace(found, files=files), tmp_path).keys() == files.keys() - {"page"}
    assert not any(key.startswith(MONTHS_OF) for key in name_files(report(made), Config()))
