"""The ledger: what was proposed, what became of it, and what happened afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyzer.calibration import Tally, learn
from analyzer.cutoff import Kills
from analyzer.errors import LedgerError
from analyzer.evidence import Evidence, Quantiles
from analyzer.history import Histories, build_histories
from analyzer.ledger import (
    Ledger,
    append,
    count_open,
    decided,
    episodes,
    judged_rows,
    moves,
    no_ledger,
    read_ledger,
    recall,
    score,
    set_aside,
    tallies,
    update,
)
from analyzer.ledger.table import make_ledger
from analyzer.models.demand import RESOURCES, RISKS, Resource
from analyzer.pipeline.decision import decide, learn_demand
from analyzer.pipeline.method import Method
from analyzer.pipeline.review import review as whole_review
from analyzer.policy import Policy
from analyzer.quantity import Cpu, Memory, Resources, TargetName
from analyzer.recommend import TARGETS, Recommendation
from analyzer.recommend.case import Case, Facts, Past
from analyzer.recommend.cpu_limit import plan_cpu_limit
from analyzer.recommend.past import confirmed, lasting, refused, still_right
from analyzer.recommend.restraint import ahead, small
from analyzer.recommend.step import follow
from analyzer.report import dump_report
from analyzer.spec import Spec
from analyzer.tables import validate_events, validate_pods, validate_specs
from analyzer.usage import Meta, Recording, Usage
from analyzer.workload import ContainerRef
from analyzer.writers.promise import promises
from analyzer.writers.summary import write_summary

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
    befell: Sequence[str] = (),
) -> Histories:
    """A week of one pod that uses the same all the time, killed in its last hours.

    What `befell` it did so in the hours from the middle on.
    """
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
    events += [
        NAMES | {"pod": "web-1", "timestamp": begin + WEEK / 2 + hour * STEP, "kind": kind}
        for hour, kind in enumerate(befell)
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


def seen(memory: float | None = None) -> Evidence:
    """A week of one pod."""
    nothing = Quantiles(None, None, None, None)
    return Evidence(nothing, replace(nothing, max=memory), 168, 1, 7.0, 1.0, MONDAY)


def advice(now: Resources, proposed: Resources, ref: ContainerRef = REF) -> Recommendation:
    """A recommendation that states 5 %, 10 % and 1 %."""
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
        evidence=seen(),
    )


def review(ledger: Ledger, histories: Histories, now: Resources, proposed: Resources) -> Ledger:
    """`ledger` after one more review."""
    return ledger.plus(update(ledger, [advice(now, proposed)], histories))


def fates(ledger: Ledger) -> list[tuple[Resources, str]]:
    """What was proposed, and what became of it; as many are open as are counted."""
    told = [(episode.proposed, episode.fate) for episode in episodes(ledger)]
    assert count_open(ledger, [REF]) == sum(fate == "open" for _, fate in told)
    assert count_open(ledger, []) == 0
    return told


def test_what_is_proposed_and_then_declared_was_merged() -> None:
    """Nobody has to tell the ledger: requests that became what was proposed were merged."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    assert fates(ledger) == [(SMALLER, "open")]
    ledger = review(ledger, week(1, SMALLER), SMALLER, SMALLER)
    assert fates(ledger) == [(SMALLER, "merged")]
    [episode] = episodes(ledger)
    assert (episode.before, episode.ended) == (FIRST, MONDAY + WEEK)


def test_a_proposal_is_one_story_as_long_as_it_stays_the_same() -> None:
    """Three weeks of the same proposal are one open one; another one replaces it."""
    ledger = no_ledger()
    for number in range(3):
        ledger = review(ledger, week(number, FIRST), FIRST, SMALLER)
    assert fates(ledger) == [(SMALLER, "open")]
    ledger = review(ledger, week(3, FIRST), FIRST, LARGER)
    assert fates(ledger) == [(SMALLER, "replaced"), (LARGER, "open")]
    ledger = review(ledger, week(4, FIRST), FIRST, FIRST)
    assert fates(ledger) == [(SMALLER, "replaced"), (LARGER, "withdrawn")]


def test_what_is_declared_otherwise_was_changed_by_hand() -> None:
    """Neither as it was nor as proposed: somebody took it into their own hands."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    ledger = review(ledger, week(1, LARGER), LARGER, LARGER)
    [episode] = episodes(ledger)
    assert (episode.fate, episode.after) == ("by hand", LARGER)


def test_an_older_proposal_may_be_the_one_that_was_merged() -> None:
    """A pull request lies open while later reviews say something else: it counts as proposed."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    ledger = review(ledger, week(1, FIRST), FIRST, LARGER)
    ledger = review(ledger, week(2, SMALLER, cpu=0.25), SMALLER, SMALLER)
    [outcome] = score(ledger)
    assert outcome.origin == "proposed"
    assert outcome.promised["cpu_request"] == 0.05


def test_a_decision_that_git_tells_of_is_believed() -> None:
    """A closed pull request or a deleted branch is a rejection, whatever requests say."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    when = MONDAY + WEEK + timedelta(days=1)
    ledger = ledger.plus(decided(REF, "rejected", when, "branch deleted", SMALLER))
    [episode] = episodes(ledger)
    assert (episode.fate, episode.ended) == ("rejected", when)
    assert fates(ledger) == [(SMALLER, "rejected")]
    ledger = review(ledger, week(1, FIRST), FIRST, LARGER)
    assert fates(ledger) == [(SMALLER, "replaced"), (LARGER, "open")]


def test_promised_and_happened_are_held_against_each_other() -> None:
    """Usage of 250m and 600Mi against 200m and 512Mi promised at 5 % and 10 %: always above.

    The amounts were merged half-way through the week, so that half a week has been seen.
    """
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
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
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    for number, cpu in enumerate((0.25, 0.1, 0.1, 0.1), start=1):
        histories = week(number, SMALLER, cpu=cpu, since=MONDAY + WEEK)
        ledger = review(ledger, histories, SMALLER, SMALLER)
    [outcome] = score(ledger)
    assert outcome.weeks == 4
    assert outcome.happened["cpu_request"] == 0.25
    assert not outcome.harmed


def test_what_was_used_and_befell_it_since_is_told() -> None:
    """Only of the time since the merge: usage, restarts and evictions, week by week.

    CPU is the mean of weeks in which it stood at 100m and at 300m, memory the most of both.
    """
    ledger = review(no_ledger(), week(0, FIRST, cpu=0.9, memory=900, kills=1), FIRST, SMALLER)
    for number, cpu, memory, kinds in ((1, 0.1, 400.0, ["restart"] * 2), (2, 0.3, 300.0, [])):
        lived = week(number, SMALLER, cpu=cpu, memory=memory, since=MONDAY + WEEK, befell=kinds)
        ledger = review(ledger, lived, SMALLER, SMALLER)
    [outcome] = score(ledger)
    assert outcome.cpu_cores == pytest.approx(0.2)
    assert outcome.memory_bytes == 400 * 2**20
    assert (outcome.kills, outcome.restarts, outcome.evictions) == (0, 2, 0)
    assert outcome.harm is None


@pytest.mark.parametrize(("memory", "harm"), [(600.0, "evicted"), (500.0, None)])
def test_an_eviction_is_a_harm_of_what_used_more_than_it_asks_for(
    memory: float, harm: str | None
) -> None:
    """Of 512Mi: above it, the amounts are why it had to go first; below, they are not."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    after = week(1, SMALLER, memory=memory, since=MONDAY + WEEK, befell=["eviction"])
    [outcome] = score(review(ledger, after, SMALLER, SMALLER))
    assert (outcome.evictions, outcome.harm) == (1, harm)
    assert ("evicted from a node" in promises([outcome], {})) is (harm is not None)


def with_runs(of: Histories, hours: float) -> Histories:
    """Five runs of so many hours each, of two pods that start and end with the run."""
    rows = [
        {
            "namespace": REF.namespace,
            "workload_kind": REF.kind,
            "workload": REF.workload,
            "pod": f"web-{day}-{pod}",
            "owner": f"web-{day}",
            "started": of.meta.start + timedelta(days=day, hours=1),
            "ended": of.meta.start + timedelta(days=day, hours=1 + hours - pod / 4),
        }
        for day in range(5)
        for pod in range(2)
    ]
    return replace(of, pods=validate_pods(pd.DataFrame(rows)))


@pytest.mark.parametrize(("after", "slower"), [(1.0, False), (1.3, False), (2.0, True)])
def test_runs_that_take_longer_since_are_a_harm(after: float, slower: bool) -> None:
    """Of an hour each before: 2 hours are slower, 1.3 are within what is seen of the ends."""
    job = replace(advice(FIRST, SMALLER), evidence=replace(seen(), runs=5))
    ledger = no_ledger().plus(update(no_ledger(), [job], with_runs(week(0, FIRST), 1.0)))
    job = replace(job, current=SMALLER, proposed=SMALLER)
    later = with_runs(week(1, SMALLER, since=MONDAY + WEEK), after)
    [outcome] = score(ledger.plus(update(ledger, [job], later)))
    assert (outcome.run_hours_before, outcome.run_hours) == (1.0, after)
    assert (outcome.slower, outcome.harmed) == (slower, slower)
    assert ("runs that take 2.0 h instead of 1.0 h" in promises([outcome], {})) is slower


def test_what_was_never_changed_promises_nothing() -> None:
    """Amounts that were there before the first review are no statement of ours."""
    ledger = no_ledger()
    for number in range(3):
        ledger = review(ledger, week(number, FIRST, kills=1), FIRST, FIRST)
    assert score(ledger) == ()


def test_a_change_that_nobody_proposed_promises_nothing() -> None:
    """What a person made of it is watched, but no risk was stated for it."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, FIRST)
    ledger = review(ledger, week(1, LARGER, kills=1), LARGER, LARGER)
    [outcome] = score(ledger)
    assert (outcome.origin, outcome.promised, outcome.kills) == ("by hand", {}, 1)


def test_the_same_review_held_again_knows_nothing_of_itself() -> None:
    """A run that is repeated sees the ledger as it was before, and writes the same rows."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    once = update(ledger, [advice(SMALLER, SMALLER)], week(1, SMALLER))
    ledger = ledger.plus(once)
    again = update(ledger, [advice(SMALLER, SMALLER)], week(1, SMALLER))
    pd.testing.assert_frame_equal(once, again)
    assert len(ledger.plus(again)) == len(ledger)


def test_a_ledger_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    """Amounts exactly, times in UTC, what is not declared as nothing."""
    folder = tmp_path / "ledger"
    assert len(read_ledger(folder)) == 0
    ledger = no_ledger()
    for number in range(3):
        rows = update(ledger, [advice(FIRST, SMALLER)], week(number, FIRST))
        append(folder, rows, MONDAY + (number + 1) * WEEK)
        ledger = ledger.plus(rows)
    pd.testing.assert_frame_equal(read_ledger(folder).rows, ledger.rows)
    assert fates(read_ledger(folder)) == [(SMALLER, "open")]


def test_pandas_reads_the_folder(tmp_path: Path) -> None:
    """The ledger is plain Parquet: one table, no key needed."""
    for number in range(2):
        rows = update(no_ledger(), [advice(FIRST, SMALLER)], week(number, FIRST))
        append(tmp_path, rows, MONDAY + number * WEEK)
    frame = pd.read_parquet(tmp_path)
    assert list(frame["memory_limit_proposed"]) == [1024 * 2**20] * 2


def test_two_ledgers_are_merged_by_copying_files(tmp_path: Path) -> None:
    """What both hold counts once."""
    rows = [update(no_ledger(), [advice(FIRST, SMALLER)], week(n, FIRST)) for n in range(3)]
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
    rows = update(no_ledger(), [advice(FIRST, SMALLER)], week(0, FIRST))
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


def test_a_later_file_or_one_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    """Memory that cannot be read is said, never silently taken for none."""
    path = append(tmp_path, update(no_ledger(), [advice(FIRST, SMALLER)], week(0, FIRST)), MONDAY)
    assert path is not None
    later = path.with_name(path.name.replace("-v1-", "-v9-"))
    path.rename(later)
    with pytest.raises(LedgerError, match="written by version '9'"):
        read_ledger(tmp_path)
    named_by_hand = later.rename(path.with_name("ledger-v1-mine.parquet"))
    assert len(read_ledger(tmp_path)) == 1
    named_by_hand.write_bytes(named_by_hand.read_bytes()[:-40])
    with pytest.raises(LedgerError, match=f"{named_by_hand.name}: is no table of a ledger"):
        read_ledger(tmp_path)


def test_what_cannot_be_read_now_says_what_to_do(tmp_path: Path) -> None:
    """It is not proven to be damaged, so it is neither left out nor set aside."""
    (tmp_path / "ledger-v1-20260101T000000Z-0123456789ab.parquet").mkdir()
    with pytest.raises(LedgerError, match="; let it be read, or move it away"):
        read_ledger(tmp_path)


@pytest.mark.parametrize("way", ["cut", "emptied", "one bit"])
def test_a_damaged_file_is_left_out_and_told_until_it_is_gone(tmp_path: Path, way: str) -> None:
    """Only where its digest proves it; set aside once, restored by a good copy, never deleted."""
    for number in range(2):
        rows = update(no_ledger(), [advice(FIRST, SMALLER)], week(number, FIRST))
        append(tmp_path, rows, MONDAY + number * WEEK)
    whole = read_ledger(tmp_path)
    path = sorted(tmp_path.iterdir())[0]
    good = path.read_bytes()
    bit = good[:200] + bytes([good[200] ^ 1]) + good[201:]
    path.write_bytes({"cut": good[:-40], "emptied": b"", "one bit": bit}[way])

    found = read_ledger(tmp_path)
    assert (len(found), len(whole)) == (1, 2)
    assert [(lost.path, lost.aside) for lost in found.lost] == [(path, False)]
    set_aside(found)
    (aside,) = read_ledger(tmp_path).lost
    assert aside.aside and not path.exists() and path.name in str(aside)
    assert len(pd.read_parquet(tmp_path)) == 1  # pandas leaves such a name out as well
    path.write_bytes(good)
    set_aside(found)  # what was mended meanwhile stays
    aside.path.unlink()
    pd.testing.assert_frame_equal(read_ledger(tmp_path).rows, whole.rows)
    assert read_ledger(tmp_path).lost == ()


def test_nothing_is_lost_where_containers_come_and_go() -> None:
    """A container that one review does not see keeps its past."""
    other = replace(REF, workload="other")
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    rows = update(no_ledger(), [advice(FIRST, SMALLER)], week(1, FIRST)).assign(workload="other")
    both = make_ledger([ledger.rows, rows])
    assert set(both.last) == {REF, other}
    assert np.array_equal(both.rows["workload"], ["other", "web"])


def test_the_summary_names_what_harmed_first_with_the_way_back() -> None:
    """A kill after a merge outweighs all savings: its container, since when, and the amounts."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    ledger = review(ledger, week(1, SMALLER, kills=2), SMALLER, LARGER)
    harmed = score(ledger)
    text = promises(harmed, {REF: moves(SMALLER, LARGER)})
    assert (
        "- shop/Deployment/web/app: killed 2 times since 2026-03-09 (as proposed). To take it "
        "back: CPU request 200m → 500m, memory request 512Mi → 1Gi, memory limit 1Gi → 2Gi. "
        "Proposed instead: CPU request 200m → 300m, memory request 512Mi → 768Mi, "
        "memory limit 1Gi → 1536Mi."
    ) in text
    assert "Nothing is proposed instead." in promises(harmed, {})
    assert "1 merged change, together 1.0 weeks of single containers" in text
    assert "containers were killed in 100% of weeks (1% promised)" in text


def test_after_a_kill_the_raise_stands_beside_the_way_back() -> None:
    """A run whose merged change was killed at its limit says what was before and what to do now."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    after = week(1, SMALLER, memory=1020, kills=2)
    report = whole_review(after, Method(backtest=False), ledger=ledger).report
    assert report.harmed == {REF}
    [proposed] = report.changed
    limit = proposed.proposed.memory_limit
    assert limit is not None
    assert limit > Memory(1024 * MIB)
    [text] = write_summary(report).values()
    told = text.decode()
    assert "memory limit 1Gi → 2Gi. Proposed instead: " in told
    assert f"memory limit 1Gi → {limit}." in told
    assert told.index("Proposed instead") < told.index("## Changes")


def test_a_run_scores_what_the_ledger_promised() -> None:
    """The report of the next review holds what came of the last one, and so does run.json."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    after = week(1, SMALLER, cpu=0.25)
    report = whole_review(after, Method(backtest=False), ledger=ledger).report
    [outcome] = report.outcomes
    assert outcome.happened["cpu_request"] == 1.0
    assert b'"happened"' in dump_report(report)
    assert whole_review(after, Method(backtest=False)).report.outcomes == ()


# What the next review is told


def recalled(ledger: Ledger, histories: Histories, settings: str = "") -> Past:
    """What the ledger says of the one container."""
    return recall(ledger, histories, settings)[REF]


def wants(ledger: Ledger, number: int, now: Resources, wanted: Resources) -> Ledger:
    """A review that wants something, and proposes nothing."""
    histories = week(number, now)
    return ledger.plus(update(ledger, [advice(now, now)], histories, {REF: wanted}))


def test_the_most_that_was_wanted_lately_is_recalled() -> None:
    """Each amount on its own, of the last five weeks; what is older has passed."""
    ledger = wants(no_ledger(), 0, FIRST, LARGER)
    for number in range(1, 5):
        ledger = wants(ledger, number, FIRST, SMALLER)
    past = recalled(ledger, week(5, FIRST))
    assert (past.wanted["cpu_request"], past.span) == (Cpu(300), timedelta(weeks=5))
    past = recalled(ledger, week(6, FIRST))
    assert past.wanted["cpu_request"] == Cpu(200)


def test_what_turned_around_is_lowered_after_half_a_year() -> None:
    """Down and up again once: the next way down takes 26 quiet weeks."""
    ledger, now = no_ledger(), (FIRST, SMALLER, LARGER)
    for number, held in enumerate(now):
        ledger = wants(ledger, number, held, FIRST if number == 0 else SMALLER)
    past = recalled(ledger, week(12, LARGER))
    assert (past.wanted["cpu_request"], past.span) == (Cpu(500), timedelta(weeks=26))


def test_what_was_lowered_first_and_raised_then_has_turned() -> None:
    """The first proposal counts as well: 500m declared, 200m proposed and merged, then 300m."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    ledger = review(ledger, week(1, SMALLER), SMALLER, LARGER)
    assert recalled(ledger, week(2, LARGER)).span == timedelta(weeks=26)
    once = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    assert recalled(once, week(1, SMALLER)).span == timedelta(weeks=5)


def test_a_turn_is_remembered_for_a_year_after_it() -> None:
    """However long before it the first move was: a flap has no right to come back each quarter."""
    ledger = wants(no_ledger(), 0, FIRST, FIRST)
    ledger = wants(ledger, 1, SMALLER, SMALLER)
    ledger = wants(ledger, 40, LARGER, LARGER)
    assert recalled(ledger, week(80, LARGER)).span == timedelta(weeks=26)
    assert recalled(ledger, week(93, LARGER)).span == timedelta(weeks=5)


def test_a_raise_is_wanted_as_long_as_any_other_wish() -> None:
    """What is raised further than demand alone asks for is not lowered a week later."""
    found = update(
        no_ledger(), [advice(SMALLER, LARGER)], week(0, SMALLER), {REF: amounts(250, 600, 900)}
    )
    past = recalled(no_ledger().plus(found), week(1, LARGER))
    assert past.wanted["cpu_request"] == Cpu(300)
    lower = update(
        no_ledger(), [advice(LARGER, SMALLER)], week(0, LARGER), {REF: amounts(250, 600, 900)}
    )
    assert recalled(no_ledger().plus(lower), week(1, LARGER)).wanted["cpu_request"] == Cpu(250)


def test_growth_is_seen_from_review_to_review() -> None:
    """600 MiB and 3 % more each week, too slow for one window; CPU that stays the same is none."""
    ledger = no_ledger()
    for number in range(10):
        one = replace(advice(FIRST, FIRST), evidence=seen(memory=600 * MIB * 1.03**number))
        ledger = ledger.plus(update(ledger, [one], week(number, FIRST)))
    growth = recalled(ledger, week(10, FIRST)).growth
    assert growth == {"memory": pytest.approx(np.log(1.03) / 7)}
    assert recalled(ledger, week(5, FIRST)).growth == {}


def test_limits_that_killed_are_recalled_with_the_kill_that_filled_them() -> None:
    """Killed at 2048 MiB and, after a raise, at 3072: both are known, oldest first."""
    ledger, larger = no_ledger(), amounts(500, 1024, 3072)
    for number, (held, limit) in enumerate([(FIRST, 2048), (larger, 3072)]):
        histories = week(number, held, memory=limit - 1, kills=1)
        ledger = ledger.plus(update(ledger, [advice(held, held)], histories))
    past = recalled(ledger, week(2, larger))
    assert (past.fills_since, past.killed_at) == (None, (2048 * MIB, 3072 * MIB))


def test_a_ledger_without_the_later_columns_is_read(tmp_path: Path) -> None:
    """What the first version wrote stays good: what it did not know is null."""
    rows = update(no_ledger(), [advice(FIRST, SMALLER)], week(0, FIRST))
    early = rows.drop(columns=["killed_limit", "fills", "leaks", "run_hours"])
    early.to_parquet(tmp_path / "ledger-v1-early.parquet")
    ledger = read_ledger(tmp_path)
    assert len(ledger) == 1
    assert ledger.rows["killed_limit"].isna().all()


def test_peaks_are_remembered_for_a_quarter() -> None:
    """A quarter's end leaves the window of two weeks long before it comes back."""
    histories = week(0, FIRST)
    high = replace(advice(FIRST, FIRST), evidence=seen(memory=1800 * 2**20))
    ledger = no_ledger().plus(update(no_ledger(), [high], histories))
    assert recalled(ledger, week(13, FIRST)).peak == Memory(1800 * 2**20)
    assert recalled(ledger, week(16, FIRST)).peak is None


def test_a_proposal_is_open_until_something_else_holds_or_settings_change() -> None:
    """Merged, it is none any more; under another policy it would be another one."""
    ledger = no_ledger().plus(
        update(no_ledger(), [advice(FIRST, SMALLER)], week(0, FIRST), settings="a")
    )
    assert recalled(ledger, week(1, FIRST), "a").open == SMALLER
    assert recalled(ledger, week(1, FIRST), "b").open is None
    assert recalled(ledger, week(1, SMALLER), "a").open is None


def test_what_was_refused_is_recalled_for_a_quarter() -> None:
    """By a decision, or by other amounts than those proposed; with who and when."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    when = MONDAY + WEEK
    told = ledger.plus(decided(REF, "rejected", when, "pull request 7 closed", SMALLER))
    past = recalled(told, week(2, FIRST))
    wished = {target: SMALLER.amount(target) for target in TARGETS}
    changed = {t: (amount,) for t, amount in wished.items() if amount != FIRST.amount(t)}
    assert past.rejected == changed
    assert past.refused.startswith("rejected (pull request 7 closed) on 2026-03-09")
    assert recalled(told, week(15, FIRST)).rejected == {}
    by_hand = review(ledger, week(1, LARGER), LARGER, LARGER)
    past = recalled(by_hand, week(2, LARGER))
    assert past.rejected["cpu_request"] == (Cpu(200),)
    assert past.refused.startswith("changed by hand on 2026-03-09")


def test_a_later_refusal_forgets_no_earlier_one() -> None:
    """CPU was refused, then memory beside the CPU as it is, then other CPU: all stay silent."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    cpu = replace(FIRST, cpu_request=Cpu(200))
    memory = replace(FIRST, memory_request=SMALLER.memory_request)
    other = replace(FIRST, cpu_request=Cpu(300))
    for place, proposed in enumerate((cpu, memory, other), start=1):
        when = MONDAY + place * WEEK
        ledger = ledger.plus(decided(REF, "rejected", when, "closed", proposed))
    rejected = recalled(ledger, week(4, FIRST)).rejected
    assert rejected["cpu_request"] == (Cpu(200), Cpu(300))
    assert rejected["memory_request"] == (SMALLER.memory_request,)


def test_a_renamed_container_keeps_what_is_remembered_of_it() -> None:
    """Refused as ``old``: silent as ``app``, also once the window shows ``old`` no more."""
    old = replace(REF, container="old")
    told = replace(advice(FIRST, SMALLER), evidence=seen(700.0 * MIB))
    rows = update(no_ledger(), [told], week(1, FIRST)).assign(container="old")
    ledger = no_ledger().plus(rows)
    ledger = ledger.plus(decided(old, "rejected", MONDAY + 2 * WEEK, "closed", SMALLER))
    other = ContainerRef("c", "shop", "Deployment", "api", "app")
    ledger = ledger.plus(decided(other, "rejected", MONDAY + 2 * WEEK, "closed", LARGER))
    first = replace(week(2, FIRST), renamed={old: REF})
    assert recalled(ledger, first).rejected["cpu_request"] == (Cpu(200),)
    ledger = ledger.plus(update(ledger, [advice(FIRST, FIRST)], first))
    past = recalled(ledger, week(3, FIRST))
    assert past.rejected["cpu_request"] == (Cpu(200),)
    assert past.peak == Memory(700 * MIB)
    assert other not in {ref for ref, _ in ledger.reviews_of_each(ledger.last)}


def test_what_was_merged_is_no_refusal() -> None:
    """Amounts that nobody proposed anything for were nobody's refusal either."""
    ledger = review(no_ledger(), week(0, FIRST), FIRST, SMALLER)
    merged = review(ledger, week(1, SMALLER), SMALLER, SMALLER)
    assert recalled(merged, week(2, SMALLER)).rejected == {}
    own = review(no_ledger(), week(0, FIRST), FIRST, FIRST)
    own = review(own, week(1, LARGER), LARGER, LARGER)
    assert recalled(own, week(2, LARGER)).rejected == {}


def test_a_kill_far_below_the_limit_and_a_start_are_recalled() -> None:
    """A node's kill is told of for five weeks, a start for as long as its peak is: fifteen."""
    of = week(0, FIRST, memory=300.0, kills=1)  # 300 of 2048 MiB: no kill at the limit
    ledger = no_ledger().plus(update(no_ledger(), [advice(FIRST, FIRST)], of))
    past = recalled(ledger, week(5, FIRST))
    assert past.killed_elsewhere == past.started == MONDAY + WEEK
    assert recalled(ledger, week(6, FIRST)).killed_elsewhere is None
    assert recalled(ledger, week(15, FIRST)).started == MONDAY + WEEK
    assert recalled(ledger, week(16, FIRST)).started is None


def test_a_request_is_not_lowered_below_what_the_last_start_took() -> None:
    """The change makes it start again: of 1024 MiB not to 600 where starts took 800."""
    past = Past(start_peak=Memory(800 * MIB))
    after, reason = lasting(case(past, "memory_request"), Memory(600 * MIB))
    assert after == Memory(800 * MIB)
    assert "a start took as much" in reason


def test_what_a_start_took_is_recalled() -> None:
    """300 MiB at the restart of Sunday evening; a week without a start says nothing else."""
    of = week(0, FIRST, memory=300.0, kills=2)
    ledger = no_ledger().plus(update(no_ledger(), [advice(FIRST, FIRST)], of))
    ledger = wants(ledger, 1, FIRST, FIRST)
    assert recalled(ledger, week(2, FIRST)).start_peak == Memory(300 * MIB)
    assert recalled(ledger, week(17, FIRST)).start_peak is None
    scraped_late = week(2, FIRST, memory=40.0, kills=2)
    ledger = ledger.plus(update(ledger, [advice(FIRST, FIRST)], scraped_late))
    assert recalled(ledger, week(4, FIRST)).start_peak == Memory(300 * MIB)


# What came of each review's statements


def came(share: float, containers: int = 12) -> Tally:
    """A review after which `share` times as much as stated came, of CPU and memory."""
    exceeded = containers * np.minimum(RISKS * share, 1.0)
    return Tally(dict.fromkeys(RESOURCES, exceeded), dict.fromkeys(RESOURCES, containers))


def judged(reviews: Mapping[int, Tally], by: str = "pooled, 168 h") -> Ledger:
    """A ledger of what came by the end of some weeks."""
    ledger = no_ledger()
    for number, one in reviews.items():
        ledger = ledger.plus(judged_rows(one, "c", MONDAY + number * WEEK, by))
    return ledger


def kept(ledger: Ledger, before: int = 99, by: str = "pooled, 168 h") -> list[Tally]:
    """What is remembered of the weeks until `before`."""
    return tallies(ledger, "c", by, MONDAY + before * WEEK, WEEK)


def test_what_came_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Newest first, through the files; of later reviews and of other models nothing."""
    ledger = judged({1: came(1.0), 2: came(2.0)})
    append(tmp_path, ledger.rows, MONDAY)
    first, second = kept(read_ledger(tmp_path))
    np.testing.assert_allclose(first.exceeded["cpu"], came(2.0).exceeded["cpu"])
    np.testing.assert_allclose(second.exceeded["memory"], came(1.0).exceeded["memory"])
    assert first.containers == {"cpu": 12, "memory": 12}
    assert len(kept(ledger, before=1)) == 1
    assert (
        kept(ledger, by="vpa, 168 h") == tallies(ledger, "d", "pooled, 168 h", MONDAY, WEEK) == []
    )


def test_reviews_that_overlap_count_once() -> None:
    """Held daily, eight reviews judge two weeks: the newest, and the one a horizon before it."""
    ledger = no_ledger()
    for day in range(8):
        at = MONDAY + timedelta(days=day)
        ledger = ledger.plus(judged_rows(came(day), "c", at, "pooled, 168 h"))
    newest, oldest = kept(ledger)
    assert (newest.exceeded["cpu"] > 0).all()
    assert (oldest.exceeded["cpu"] == 0).all()


def test_a_quarter_of_a_year_is_remembered() -> None:
    """Of twenty weeks the last twelve."""
    assert len(kept(judged({number: came(1.0) for number in range(20)}))) == 12


@pytest.mark.parametrize("resource", RESOURCES)
def test_promises_that_were_broken_widen_the_margins(resource: Resource) -> None:
    """Twice as many overruns as stated, for a quarter of a year: 5 % is read below 3.5 %."""
    at = int(np.searchsorted(RISKS, 0.05))
    broken = kept(judged({number: came(2.0) for number in range(12)}))
    as_stated = kept(judged({number: came(1.0) for number in range(12)}))
    assert learn([], broken).read_at[resource][at] < 0.035
    assert learn([], as_stated).read_at[resource][at] == pytest.approx(0.05)


def test_a_review_reads_further_out_where_promises_were_broken() -> None:
    """The same usage asks for more CPU after a quarter of twice as many overruns as stated.

    After a quarter in which as many came as stated it asks for the same, and so it does where
    another model had stated them.
    """
    histories, method = week(20, FIRST), Method(backtest=False)

    def asked(ledger: Ledger) -> float:
        return float(learn_demand(histories, method, ledger).demand.at("cpu", 0.05)[0])

    plain, weeks = asked(no_ledger()), range(8, 21)
    assert asked(judged({number: came(2.0) for number in weeks})) > 1.01 * plain
    assert asked(judged({number: came(1.0) for number in weeks})) == pytest.approx(plain)
    assert asked(judged({number: came(2.0) for number in weeks}, by="vpa, 168 h")) == plain


def test_few_outcomes_change_little() -> None:
    """One container that broke every promise twice, and one that kept all of them, in one week."""
    at = int(np.searchsorted(RISKS, 0.1))
    for share in (0.0, 2.0):
        read_at = learn([], kept(judged({1: came(share, containers=1)}))).read_at
        assert read_at["memory"][at] == pytest.approx(0.1, rel=0.05)
        assert read_at["cpu"][at] == pytest.approx(0.1, rel=0.15)


# What the steps make of it


def case(past: Past, target: TargetName, now: Resources = FIRST) -> Case:
    """The case of one amount, with nothing but a past."""
    facts = Facts(
        kind="Deployment",
        policy=Policy(),
        spec=Spec(resources=now),
        evidence=seen(),
        demand={},
        risk={},
        unknown={},
        findings={},
        node=Resources(),
        past=past,
    )
    return Case(facts, target, now)


MIB = 2**20


@pytest.mark.parametrize(
    ("wanted", "amount", "expected"),
    [
        (400, 200, 400),  # lowered to what was wanted
        (600, 200, 500),  # never raised by it
        (150, 200, 200),  # lower wishes say nothing
        (400, 700, 700),  # raises come at once
    ],
)
def test_nothing_is_lowered_below_what_was_wanted_lately(
    wanted: int, amount: int, expected: int
) -> None:
    """Of 500m now: the larger of the amount and the wish, at most what holds."""
    past = Past(wanted={"cpu_request": Cpu(wanted)}, span=timedelta(weeks=5))
    after, reason = lasting(case(past, "cpu_request"), Cpu(amount))
    assert after == Cpu(expected)
    assert bool(reason) == (expected != amount)
    assert not reason or "the last 5 weeks" in reason


@pytest.mark.parametrize(("amount", "expected"), [(400, 450), (300, 300)])
def test_a_small_decrease_outlasts_more_than_a_large_one(amount: int, expected: int) -> None:
    """Of 500m, with 450m wanted within half a year: a fifth less waits, two fifths do not."""
    past = Past(wanted_longer={"cpu_request": Cpu(450)}, longer_span=timedelta(weeks=26))
    after, reason = lasting(case(past, "cpu_request"), Cpu(amount))
    assert after == Cpu(expected)
    assert ("within the last 26 weeks" in reason) == (amount == 400)


@pytest.mark.parametrize(
    ("before", "used", "amount", "expected"),
    [
        (480, 0.25, 550, 500),  # nobody wanted it a week ago, and nothing used as much
        (520, 0.25, 550, 550),  # wanted twice in a row
        (480, 0.51, 550, 550),  # used above what is declared
        (480, 0.25, 700, 700),  # no small raise
    ],
)
def test_a_small_raise_of_cpu_is_asked_for_twice(
    before: int, used: float, amount: int, expected: int
) -> None:
    """Of 500m; memory, below which something is killed, never waits."""
    past = Past(wanted_last={"cpu_request": Cpu(before)})
    one = case(past, "cpu_request")
    quantiles = replace(one.facts.evidence.cpu, p95=used)
    evidence = replace(one.facts.evidence, cpu=quantiles)
    one = replace(one, facts=replace(one.facts, evidence=evidence))
    assert confirmed(one, Cpu(amount))[0] == Cpu(expected)
    memory = case(Past(wanted_last={"memory_request": Memory(MIB)}), "memory_request")
    assert confirmed(memory, Memory(1100 * MIB)) == (Memory(1100 * MIB), "")


def growing(open_: Resources | None = None, per_week: float = 0.05) -> Case:
    """The memory request of 1024 MiB of something that grows."""
    return case(
        Past(growth={"memory": float(np.log1p(per_week)) / 7}, open=open_), "memory_request"
    )


def test_a_raise_that_growth_calls_for_lasts_for_three_more_weeks() -> None:
    """5 % a week are 1.05 cubed, 15.8 % more; nothing that is no raise moves; a fifth at most."""
    after, reason = ahead(growing(), Memory(1200 * MIB))
    assert after == Memory(1200 * MIB).scale(1.05**3)
    assert "grows 5.0% a week: 16% more lasts for 3.0 weeks longer" in reason
    assert ahead(growing(), Memory(1000 * MIB)) == (Memory(1000 * MIB), "")
    assert ahead(growing(per_week=0.5), Memory(1200 * MIB))[0] == Memory(1440 * MIB)
    assert ahead(case(Past(), "memory_request"), Memory(1200 * MIB)) == (Memory(1200 * MIB), "")


def test_an_open_raise_stays_as_long_as_it_covers_the_next_review() -> None:
    """1280 MiB lie open: they cover 1200 and 1250, and not 1300."""
    of = growing(Resources(memory_request=Memory(1280 * MIB)))
    for amount in (1200, 1250):
        assert ahead(of, Memory(amount * MIB))[0] == Memory(1280 * MIB)
    assert ahead(of, Memory(1300 * MIB))[0] > Memory(1300 * MIB)


def test_growth_comes_along_with_another_change() -> None:
    """1000 MiB of 1024 are no raise yet; where CPU changes anyway, three weeks more are: 1158."""
    alone = growing()
    along = replace(alone, settled=alone.settled.with_amount("cpu_request", Cpu(300)))
    assert ahead(alone, Memory(1000 * MIB)) == (Memory(1000 * MIB), "")
    assert ahead(along, Memory(1000 * MIB))[0] == Memory(1000 * MIB).scale(1.05**3)


def test_a_little_more_comes_along_where_anything_grows() -> None:
    """Memory grows and is raised: 530m of 500m come along, though CPU's growth is not seen yet.

    Alone, or where nothing grows, 6 % more are worth no restart, and nothing is lowered so.
    """
    raised = FIRST.with_amount("memory_request", Memory(1280 * MIB))
    of = case(Past(growth={"memory": 0.01}, accepted=True), "cpu_request")
    along = replace(of, settled=raised)
    still = replace(along, facts=replace(along.facts, past=Past(accepted=True)))
    for one, amount, expected in (
        (along, 520, 520), (of, 520, 500), (still, 520, 500), (along, 490, 500),
    ):  # fmt: skip
        assert small(one, Cpu(amount))[0] == Cpu(expected)


def test_a_limit_keeps_room_above_every_peak_remembered() -> None:
    """1.2 x 1200 MiB are 1440, of which a person writes 1472 (a step of 64); now are 2048."""
    past = Past(peak=Memory(1200 * MIB))
    after, reason = lasting(case(past, "memory_limit"), Memory(900 * MIB))
    assert after == Memory(1472 * MIB)
    assert "the highest peak remembered" in reason
    assert lasting(case(past, "memory_request"), Memory(900 * MIB)) == (Memory(900 * MIB), "")


def judged_case(
    target: TargetName, open_: Resources, demand: float, right: tuple[float, float], **more: Any
) -> Case:
    """One amount of an open proposal, with what demand is at the risk allowed and around it."""
    one = case(Past(open=open_), target)
    risk, levels = {target: 0.05}, {target: demand}
    facts = replace(one.facts, demand=levels, risk=risk, right={target: right}, **more)
    return replace(one, facts=facts)


@pytest.mark.parametrize(
    ("amount", "demand", "right", "expected"),
    [
        (340, 0.33, (0.29, 0.40), 300),  # more is wanted, at less than twice the risk
        (340, 0.33, (0.31, 0.40), 340),  # its risk has more than doubled
        (325, 0.32, (0.31, 0.40), 300),  # but less than a tenth more is wanted
        (370, 0.29, (0.20, 0.40), 300),  # something else than demand asks for less than a quarter
        (380, 0.29, (0.20, 0.40), 380),  # and for more than a quarter
        (245, 0.24, (0.20, 0.28), 300),  # 300 is less than a quarter above 245
        (200, 0.19, (0.15, 0.32), 300),  # it is far above, but not at a quarter of the risk
        (200, 0.19, (0.15, 0.25), 200),  # far above, and far too safe
    ],
)
def test_an_open_proposal_changes_only_once_it_is_wrong(
    amount: int, demand: float, right: tuple[float, float], expected: int
) -> None:
    """300m of 500m are proposed; `right` are the levels at twice and at a quarter of the risk."""
    of = judged_case("cpu_request", Resources(Cpu(300)), demand, right)
    assert still_right(of, Cpu(amount))[0] == Cpu(expected)


def test_what_an_open_proposal_left_alone_stays_alone() -> None:
    """Memory lies open, CPU does not: a small raise of CPU waits, one at twice the risk comes."""
    open_ = Resources(Cpu(500), None, Memory(700 * MIB))
    for least, expected in ((0.45, 500), (0.51, 560)):
        of = judged_case("cpu_request", open_, 0.55, (least, 0.7))
        assert still_right(of, Cpu(560))[0] == Cpu(expected)


def test_an_open_proposal_is_lowered_only_below_what_lately_was_wanted() -> None:
    """300m lie open, 200m are enough now; three weeks ago 280m were not."""
    of = judged_case("cpu_request", Resources(Cpu(300)), 0.19, (0.15, 0.25))
    past = replace(of.facts.past, wanted={"cpu_request": Cpu(280)})
    of = replace(of, facts=replace(of.facts, past=past))
    assert still_right(of, Cpu(200))[0] == Cpu(300)


def test_page_cache_makes_no_cpu_too_much_and_no_memory_scarce() -> None:
    """600 of 800 MiB are cache, half of which counts: 62.5 % of memory, and all of the CPU.

    A request of 1000 MiB is no longer too safe where the limit of 1200 leaves 750 to be used.
    """
    cached = replace(seen(800.0 * MIB), resident_peak=200.0 * MIB)
    now = Resources(Cpu(500), None, Memory(1000 * MIB), Memory(1200 * MIB))

    def cached_case(target: TargetName, level: float, right: tuple[float, float]) -> Case:
        one = case(Past(accepted=True), target, now)
        facts = replace(one.facts, demand={target: level}, right={target: right}, evidence=cached)
        return replace(one, facts=facts)

    cpu = cached_case("cpu_request", 0.3, (0.25, 0.6))
    memory = cached_case("memory_request", 900.0 * MIB, (800.0 * MIB, 2000.0 * MIB))
    assert still_right(cpu, Cpu(300))[0] == Cpu(500)
    assert still_right(memory, Memory(600 * MIB))[0] == Memory(600 * MIB)


def test_an_open_limit_keeps_its_room_and_follows_a_kill() -> None:
    """1000 MiB lie open: 1090 wait, 1110 do not, and after a kill 1060 do not either."""
    open_ = Resources(memory_limit=Memory(1000 * MIB))
    calm = judged_case("memory_limit", open_, 800.0 * MIB, (700.0 * MIB, 900.0 * MIB))
    for amount, expected in ((1090, 1000), (1110, 1110)):
        assert still_right(calm, Memory(amount * MIB))[0] == Memory(expected * MIB)
    killed = replace(calm, facts=replace(calm.facts, kills=Kills(at_limit=1)))
    assert still_right(killed, Memory(1060 * MIB))[0] == Memory(1060 * MIB)


def test_a_refused_change_is_silent_until_it_moves() -> None:
    """200m and 320m refused of 500m: 190m, 220m, 300m are the same story, 150m, 250m, 600m not."""
    past = Past(rejected={"cpu_request": (Cpu(200), Cpu(320))}, refused="rejected on 2026-03-09")
    for amount in (190, 220, 300):
        assert refused(case(past, "cpu_request"), Cpu(amount)) == (Cpu(500), past.refused)
    for amount in (150, 250, 600):
        assert refused(case(past, "cpu_request"), Cpu(amount)) == (Cpu(amount), "")


def test_a_limit_whose_removal_was_refused_stays() -> None:
    """Only a refusal of just that counts: where other amounts were refused, it goes."""
    now = Resources(Cpu(500), Cpu(800))
    this = case(Past(rejected={"cpu_limit": (None,)}, refused="rejected"), "cpu_limit", now)
    assert follow(plan_cpu_limit(this), this)[0] == Cpu(800)
    other = Past(rejected={"cpu_request": (Cpu(200),)}, refused="rejected")
    assert (
        follow(plan_cpu_limit(case(other, "cpu_limit", now)), case(other, "cpu_limit", now))[0]
        is None
    )


def test_without_a_ledger_the_history_is_asked_what_it_would_have_said() -> None:
    """Six weeks of 100m with two hours of 400m daily in the third: the request stays above it.

    The last fortnight alone knows nothing of that week, but the review after it would have.
    """
    end = MONDAY + 6 * WEEK
    times = pd.date_range(MONDAY + STEP, end, freq="h")
    cpu = np.full(len(times), 0.1)
    third = (times > pd.Timestamp(MONDAY + 3 * WEEK)) & (times <= pd.Timestamp(MONDAY + 4 * WEEK))
    cpu[third & (times.hour % 12 == 0)] = 0.4
    usage = pd.DataFrame(
        {**NAMES, "pod": "w", "timestamp": times, "cpu_cores": cpu, "memory_bytes": 3e8}
    )
    spec = pd.DataFrame([NAMES | {"cpu_request_cores": 1.0, "memory_request_bytes": 2.0**30}])
    meta = Meta("c", MONDAY, end, STEP)
    recording = Recording(meta, Usage.from_frame(usage, meta), validate_specs(spec))
    [found] = decide(build_histories(recording), Method(backtest=False)).recommendations
    assert any(step.name == "lasting" for step in found.trail["cpu_request"])
    proposed = found.proposed.cpu_request
    assert proposed is not None
    assert Cpu(300) < proposed < Cpu(1000)
