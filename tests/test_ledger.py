"""The ledger: what was proposed, what became of it, and what happened afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyzer.config import Config
from analyzer.errors import LedgerError
from analyzer.evidence import Evidence, Quantiles
from analyzer.history import Histories, build_histories
from analyzer.ledger import EMPTY, Ledger, append, decided, episodes, read_ledger, score, update
from analyzer.ledger.table import make_ledger
from analyzer.pipeline import analyze_histories
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.recommend import TARGETS, Recommendation
from analyzer.report import dump_report
from analyzer.usage import Meta, Recording, Usage, validate_events, validate_specs
from analyzer.workload import ContainerRef
from analyzer.writers.promise import promises

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = timedelta(weeks=1)
REF = ContainerRef("c", "shop", "Deployment", "web", "app")
NAMES = {"namespace": "shop", "workload_kind": "Deployment", "workload": "web", "container": "app"}
STEP = timedelta(hours=1)


def amounts(cpu: int, request: int, limit: int) -> Resources:
    """Millicores and MiB."""
    return Resources(Cpu(cpu), None, Memory(request * 2**20), Memory(limit * 2**20))


FIRST, SMALLER, LARGER = amounts(500, 1024, 2048), amounts(200, 512, 1024), amounts(300, 768, 1536)


def week(
    number: int,
    now: Resources,
    cpu: float = 0.1,
    memory: float = 300.0,
    since: datetime | None = None,
    kills: int = 0,
) -> Histories:
    """A week of one pod that uses the same all the time, killed in its last hours."""
    begin = MONDAY + number * WEEK
    meta = Meta("c", begin, begin + WEEK, STEP)
    times = pd.date_range(begin + STEP, begin + WEEK, freq="h")
    usage = pd.DataFrame(
        {
            **NAMES,
            "pod": "web-1",
            "timestamp": times,
            "cpu_cores": cpu,
            "memory_bytes": memory * 2**20,
        }
    )
    spec = NAMES | {
        "cpu_request_cores": now.cpu_request and now.cpu_request.cores,
        "memory_request_bytes": now.memory_request and now.memory_request.bytes,
        "memory_limit_bytes": now.memory_limit and now.memory_limit.bytes,
        "first_seen": since or begin,
        "last_seen": begin + WEEK,
    }
    events = [
        NAMES | {"pod": "web-1", "timestamp": begin + WEEK - hour * STEP, "kind": "oom_kill"}
        for hour in range(kills)
    ]
    columns = [*NAMES, "pod", "timestamp", "kind"]
    return build_histories(
        Recording(
            meta,
            Usage.from_frame(usage, meta),
            validate_specs(pd.DataFrame([spec])),
            validate_events(pd.DataFrame(events, columns=columns)),
        )
    )


def advice(now: Resources, proposed: Resources, ref: ContainerRef = REF) -> Recommendation:
    """A recommendation that states 5 %, 10 % and 1 %."""
    nothing = Quantiles(None, None, None, None)
    return Recommendation(
        ref=ref,
        container_type="app",
        replicas=1,
        current=now,
        proposed=proposed,
        trail=dict.fromkeys(TARGETS, ()),
        stated_risk={"cpu_request": 0.05, "memory_request": 0.1, "memory_limit": 0.01},
        findings={},
        confidence=1.0,
        evidence=Evidence(nothing, nothing, 168, 1, 7.0, 1.0, MONDAY),
    )


def review(ledger: Ledger, histories: Histories, now: Resources, proposed: Resources) -> Ledger:
    """`ledger` after one more review."""
    return ledger.plus(update(ledger, [advice(now, proposed)], histories))


def fates(ledger: Ledger) -> list[tuple[Resources, str]]:
    """What was proposed, and what became of it."""
    return [(episode.proposed, episode.fate) for episode in episodes(ledger)]


def test_what_is_proposed_and_then_declared_was_merged() -> None:
    """Nobody has to tell the ledger: requests that became what was proposed were merged."""
    ledger = review(EMPTY, week(0, FIRST), FIRST, SMALLER)
    assert fates(ledger) == [(SMALLER, "open")]
    ledger = review(ledger, week(1, SMALLER), SMALLER, SMALLER)
    assert fates(ledger) == [(SMALLER, "merged")]
    [episode] = episodes(ledger)
    assert (episode.before, episode.ended) == (FIRST, MONDAY + WEEK)


def test_a_proposal_is_one_story_as_long_as_it_stays_the_same() -> None:
    """Three weeks of the same proposal are one open one; another one replaces it."""
    ledger = EMPTY
    for number in range(3):
        ledger = review(ledger, week(number, FIRST), FIRST, SMALLER)
    assert fates(ledger) == [(SMALLER, "open")]
    ledger = review(ledger, week(3, FIRST), FIRST, LARGER)
    assert fates(ledger) == [(SMALLER, "replaced"), (LARGER, "open")]
    ledger = review(ledger, week(4, FIRST), FIRST, FIRST)
    assert fates(ledger) == [(SMALLER, "replaced"), (LARGER, "withdrawn")]


def test_what_is_declared_otherwise_was_changed_by_hand() -> None:
    """Neither as it was nor as proposed: somebody took it into their own hands."""
    ledger = review(EMPTY, week(0, FIRST), FIRST, SMALLER)
    ledger = review(ledger, week(1, LARGER), LARGER, LARGER)
    [episode] = episodes(ledger)
    assert (episode.fate, episode.after) == ("by hand", LARGER)


def test_an_older_proposal_may_be_the_one_that_was_merged() -> None:
    """A pull request lies open while later reviews say something else: it counts as proposed."""
    ledger = review(EMPTY, week(0, FIRST), FIRST, SMALLER)
    ledger = review(ledger, week(1, FIRST), FIRST, LARGER)
    ledger = review(ledger, week(2, SMALLER, cpu=0.25), SMALLER, SMALLER)
    [outcome] = score(ledger)
    assert outcome.origin == "proposed"
    assert outcome.promised["cpu_request"] == 0.05


def test_a_decision_that_git_tells_of_is_believed() -> None:
    """A closed pull request or a deleted branch is a rejection, whatever requests say."""
    ledger = review(EMPTY, week(0, FIRST), FIRST, SMALLER)
    when = MONDAY + WEEK + timedelta(days=1)
    ledger = ledger.plus(decided(REF, "rejected", when, "branch deleted", SMALLER))
    [episode] = episodes(ledger)
    assert (episode.fate, episode.ended) == ("rejected", when)


def test_promised_and_happened_are_held_against_each_other() -> None:
    """Usage of 250m and 600Mi against 200m and 512Mi promised at 5 % and 10 %: always above.

    The amounts were merged half-way through the week, so that half a week has been seen.
    """
    ledger = review(EMPTY, week(0, FIRST), FIRST, SMALLER)
    merged = MONDAY + 1.5 * WEEK
    after = week(1, SMALLER, cpu=0.25, memory=600, since=merged, kills=2)
    ledger = review(ledger, after, SMALLER, LARGER)
    [outcome] = score(ledger)
    assert (outcome.merged, outcome.weeks) == (merged, 0.5)
    assert outcome.promised == {"cpu_request": 0.05, "memory_request": 0.1, "memory_limit": 0.01}
    assert outcome.happened == {"cpu_request": 1.0, "memory_request": 1.0, "memory_limit": 1.0}
    assert (outcome.kills, outcome.harmed, outcome.before) == (2, True, FIRST)


def test_weeks_after_a_merge_add_up() -> None:
    """One week above the request and three below it: a quarter of the time."""
    ledger = review(EMPTY, week(0, FIRST), FIRST, SMALLER)
    for number, cpu in enumerate((0.25, 0.1, 0.1, 0.1), start=1):
        histories = week(number, SMALLER, cpu=cpu, since=MONDAY + WEEK)
        ledger = review(ledger, histories, SMALLER, SMALLER)
    [outcome] = score(ledger)
    assert outcome.weeks == 4
    assert outcome.happened["cpu_request"] == 0.25
    assert not outcome.harmed


def test_what_was_never_changed_promises_nothing() -> None:
    """Amounts that were there before the first review are no statement of ours."""
    ledger = EMPTY
    for number in range(3):
        ledger = review(ledger, week(number, FIRST, kills=1), FIRST, FIRST)
    assert score(ledger) == ()


def test_a_change_that_nobody_proposed_promises_nothing() -> None:
    """What a person made of it is watched, but no risk was stated for it."""
    ledger = review(EMPTY, week(0, FIRST), FIRST, FIRST)
    ledger = review(ledger, week(1, LARGER, kills=1), LARGER, LARGER)
    [outcome] = score(ledger)
    assert (outcome.origin, outcome.promised, outcome.kills) == ("by hand", {}, 1)


def test_the_same_review_held_again_knows_nothing_of_itself() -> None:
    """A run that is repeated sees the ledger as it was before, and writes the same rows."""
    ledger = review(EMPTY, week(0, FIRST), FIRST, SMALLER)
    once = update(ledger, [advice(SMALLER, SMALLER)], week(1, SMALLER))
    ledger = ledger.plus(once)
    again = update(ledger, [advice(SMALLER, SMALLER)], week(1, SMALLER))
    pd.testing.assert_frame_equal(once, again)
    assert len(ledger.plus(again)) == len(ledger)


def test_a_ledger_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    """Amounts exactly, times in UTC, what is not declared as nothing."""
    folder = tmp_path / "ledger"
    assert len(read_ledger(folder)) == 0
    ledger = EMPTY
    for number in range(3):
        rows = update(ledger, [advice(FIRST, SMALLER)], week(number, FIRST))
        append(folder, rows, MONDAY + (number + 1) * WEEK)
        ledger = ledger.plus(rows)
    pd.testing.assert_frame_equal(read_ledger(folder).rows, ledger.rows)
    assert fates(read_ledger(folder)) == [(SMALLER, "open")]


def test_pandas_reads_the_folder(tmp_path: Path) -> None:
    """The ledger is plain Parquet: one table, no key needed."""
    for number in range(2):
        rows = update(EMPTY, [advice(FIRST, SMALLER)], week(number, FIRST))
        append(tmp_path, rows, MONDAY + number * WEEK)
    frame = pd.read_parquet(tmp_path)
    assert list(frame["memory_limit_proposed"]) == [1024 * 2**20] * 2


def test_two_ledgers_are_merged_by_copying_files(tmp_path: Path) -> None:
    """What both hold counts once."""
    rows = [update(EMPTY, [advice(FIRST, SMALLER)], week(n, FIRST)) for n in range(3)]
    one, other = tmp_path / "one", tmp_path / "other"
    for number in (0, 1):
        append(one, rows[number], MONDAY + number * WEEK)
    for number in (1, 2):
        append(other, rows[number], MONDAY + number * WEEK)
    for path in other.iterdir():
        (one / path.name).write_bytes(path.read_bytes())
    assert len(read_ledger(one)) == 3


def test_a_kill_while_writing_leaves_the_ledger_whole(tmp_path: Path) -> None:
    """A writer killed with -9 again and again: every file that is there is complete."""
    rows = update(EMPTY, [advice(FIRST, SMALLER)], week(0, FIRST))
    rows.to_parquet(tmp_path / "rows.parquet")
    folder = tmp_path / "ledger"
    code = (
        "import sys, itertools, datetime, pandas as pd\n"
        "from pathlib import Path\n"
        "from analyzer.ledger import append\n"
        f"rows = pd.read_parquet({str(tmp_path / 'rows.parquet')!r})\n"
        "print('ready', flush=True)\n"
        "for n in itertools.count():\n"
        "    now = datetime.datetime(2026, 3, 9, tzinfo=datetime.UTC)\n"
        "    rows['reviewed'] = now + datetime.timedelta(seconds=n)\n"
        f"    append(Path({str(folder)!r}), rows, now)\n"
        "    print(n, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    written = [process.stdout.readline() for _ in range(6)]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(read_ledger(folder)) >= int(written[-1]) + 1


def test_a_damaged_or_later_file_is_refused_by_name(tmp_path: Path) -> None:
    """Memory that cannot be read is said, never silently taken for none."""
    path = append(tmp_path, update(EMPTY, [advice(FIRST, SMALLER)], week(0, FIRST)), MONDAY)
    assert path is not None
    later = path.with_name(path.name.replace("-v1-", "-v9-"))
    path.rename(later)
    with pytest.raises(LedgerError, match="written by version '9'"):
        read_ledger(tmp_path)
    later.rename(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(LedgerError, match=f"{path.name}: is damaged"):
        read_ledger(tmp_path)


def test_nothing_is_lost_where_containers_come_and_go() -> None:
    """A container that one review does not see keeps its past."""
    other = replace(REF, workload="other")
    ledger = review(EMPTY, week(0, FIRST), FIRST, SMALLER)
    rows = update(EMPTY, [advice(FIRST, SMALLER)], week(1, FIRST)).assign(workload="other")
    both = make_ledger([ledger.rows, rows])
    assert set(both.last) == {REF, other}
    assert np.array_equal(both.rows["workload"], ["other", "web"])


def test_the_summary_names_what_harmed_first_with_the_way_back() -> None:
    """A kill after a merge outweighs all savings: its container, since when, and the amounts."""
    ledger = review(EMPTY, week(0, FIRST), FIRST, SMALLER)
    ledger = review(ledger, week(1, SMALLER, kills=2), SMALLER, LARGER)
    text = promises(score(ledger))
    assert (
        "- shop/Deployment/web/app: killed 2 times since 2026-03-09 (as proposed). To take it "
        "back: CPU request 200m → 500m, memory request 512Mi → 1Gi, memory limit 1Gi → 2Gi."
    ) in text
    assert "1 merged change, together 1.0 container-weeks" in text
    assert "containers were killed in 100% of weeks (1% promised)" in text


def test_a_run_scores_what_the_ledger_promised() -> None:
    """The report of the next review holds what came of the last one, and so does run.json."""
    ledger = review(EMPTY, week(0, FIRST), FIRST, SMALLER)
    after = week(1, SMALLER, cpu=0.25)
    report = analyze_histories(after, Config(backtest=False), ledger=ledger)
    [outcome] = report.outcomes
    assert outcome.happened["cpu_request"] == 1.0
    assert b'"happened"' in dump_report(report)
    assert analyze_histories(after, Config(backtest=False)).outcomes == ()
