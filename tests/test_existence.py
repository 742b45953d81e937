"""Existence: what is gone is skipped for its true reason, and what was renamed goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from analyzer.history import Histories, build_histories
from analyzer.pipeline.method import Method
from analyzer.pipeline.review import review
from analyzer.tables import validate_events, validate_pods, validate_specs
from analyzer.usage import Meta, Recording, Usage
from analyzer.workload import ContainerRef
from tests.samples import MIB, START, STEP, meta, names, ref, steady

WINDOW = meta(14)
CHANGE = WINDOW.end - timedelta(hours=12)
BEFORE, AFTER = (WINDOW.start, CHANGE), (CHANGE, WINDOW.end)
ALWAYS = (WINDOW.start, WINDOW.end)
Life = tuple[dict[str, str], tuple[datetime, datetime], dict[str, Any]]


def life(
    container: str = "app",
    workload: str = "web",
    seen: tuple[datetime, datetime] = ALWAYS,
    kind: str = "Deployment",
    **spec: Any,
) -> Life:
    """A container that was observed and described over a stretch of the window."""
    return {**names(container, workload), "workload_kind": kind}, seen, spec


def lived(*lives: Life, pods: Iterable[dict[str, Any]] = (), specs: bool = True) -> Histories:
    """Histories of containers with such lives, one pod each; memory tells them apart."""
    frames, rows = [], []
    for number, (of, (first, last), spec) in enumerate(lives):
        table = steady(14, 0.1, (number + 1) * 100.0 * MIB).assign(**of, pod=f"pod-{number}")
        frames.append(table[(table["timestamp"] > first) & (table["timestamp"] <= last)])
        rows.append({**of, "first_seen": first, "last_seen": last, **spec})
    usage = Usage.from_frame(pd.concat(frames), WINDOW)
    event = {**lives[0][0], "pod": "pod-0", "timestamp": START + STEP, "kind": "oom_kill"}
    listed = pd.DataFrame(list(pods), columns=["namespace", "pod", "workload", "ended"])
    return build_histories(
        Recording(
            WINDOW,
            usage,
            validate_specs(pd.DataFrame(rows if specs else [of for of, _, _ in lives])),
            validate_events(pd.DataFrame([event])),
            validate_pods(listed),
        )
    )


def reasons(of: Histories) -> dict[str, str]:
    """Workload and container of what is gone, and why; each with a history or skipped for it."""
    unseen = {s.ref: s.reason for s in of.skipped}
    assert of.gone.items() >= unseen.items()
    assert of.gone.keys() <= {*unseen, *of.containers}
    return {f"{r.workload}/{r.container}": reason for r, reason in of.gone.items()}


def sized(of: Histories) -> tuple[ContainerRef, ...]:
    """What is left to size."""
    return tuple(one for one in of.containers if one not in of.gone)


def test_a_container_that_the_new_pods_do_not_have_is_gone() -> None:
    """A rollout replaced it: a patch of it would add a container without an image."""
    of = lived(life("old", seen=BEFORE, image="r/old:1"), life("new", seen=AFTER, image="r/new:1"))
    assert sized(of) == (ref("new"),)
    assert reasons(of) == {
        "web/old": "the container was renamed or removed: pods of this workload since "
        "2026-11-15 12:00 UTC have none of that name"
    }
    assert len(of.samples(of.position[sized(of)[0]])) == 144


def test_a_history_follows_a_container_to_its_new_name() -> None:
    """The same image, one gone and one come at the same time: all 14 days serve the new name."""
    of = lived(life("old", seen=BEFORE, image="r/app:1"), life("new", seen=AFTER, image="r/app:2"))
    assert sized(of) == (ref("new"),)
    assert reasons(of) == {"web/old": "it was renamed: its history goes on as new"}
    assert len(of.samples(0)) == 14 * 288
    assert of.events_of(0)["kind"].tolist() == ["oom_kill"]


def test_a_history_follows_a_workload_to_its_new_name() -> None:
    """A Deployment that another with the same image and container took over from."""
    of = lived(
        life(workload="web", seen=BEFORE, image="reg:5000/app@sha256:1"),
        life(workload="site", seen=AFTER, image="reg:5000/app:2@sha256:2"),
    )
    assert sized(of) == (ref(workload="site"),)
    assert reasons(of) == {
        "web/app": "it was renamed: its history goes on as shop/Deployment/site/app"
    }
    assert len(of.samples(0)) == 14 * 288


def test_a_history_follows_through_two_names() -> None:
    """Renamed on the fourth day and again at the end: all 14 days serve the name of now."""
    first = WINDOW.start + timedelta(days=4)
    of = lived(
        life("a", seen=(WINDOW.start, first), image="r/app:1"),
        life("b", seen=(first, CHANGE), image="r/app:2"),
        life("c", seen=AFTER, image="r/app:3"),
    )
    assert sized(of) == (ref("c"),)
    assert set(reasons(of).values()) == {"it was renamed: its history goes on as c"}
    assert len(of.samples(0)) == 14 * 288


@pytest.mark.parametrize(
    ("before", "after", "follows"),
    [
        ({"image": "docker.io/shop/app:1"}, {"image": "ghcr.io/shop/app:2"}, True),
        ({"image": "r/app:1"}, {"image": "r/other:1"}, False),
        ({}, {}, False),
    ],
    ids=["another registry", "another program", "nothing is known"],
)
def test_within_a_workload_the_program_decides(
    before: dict[str, str], after: dict[str, str], follows: bool
) -> None:
    """One container went and one came: they are one where they run the same program."""
    of = lived(life("old", seen=BEFORE, **before), life("new", seen=AFTER, **after))
    assert len(of.samples(of.position[ref("new")])) == (14 * 288 if follows else 144)


@pytest.mark.parametrize(
    ("before", "after", "follows"),
    [
        ("api", "api", True),
        ("api", "worker", False),
        (None, None, False),
    ],
    ids=["the same part", "another part", "the application alone"],
)
def test_labels_tell_a_workload_whose_image_is_not_known(
    before: str | None, after: str | None, follows: bool
) -> None:
    """The program and its part in what: all parts of an application share its name."""
    lives = []
    for name, seen, part in (("web", BEFORE, before), ("site", AFTER, after)):
        labels = {"app.kubernetes.io/name": "shop"}
        labels |= {"app.kubernetes.io/component": part} if part else {}
        lives.append(life(workload=name, seen=seen, labels=json.dumps(labels)))
    of = lived(*lives)
    assert len(of.samples(of.position[ref(workload="site")])) == (14 * 288 if follows else 144)


def test_a_name_that_two_pods_share_is_no_rename() -> None:
    """A pod that had both containers at once shows that they were two; nothing moves."""
    old, new = life("old", seen=BEFORE, image="r/app:1"), life("new", seen=AFTER, image="r/app:1")
    frames = [
        steady(14).assign(**of, pod="pod-0")[
            lambda table, seen=seen: (
                (table["timestamp"] > seen[0]) & (table["timestamp"] <= seen[1])
            )
        ]
        for of, seen, _ in (old, new)
    ]
    rows = [{**of, "first_seen": s[0], "last_seen": s[1], **spec} for of, s, spec in (old, new)]
    usage = Usage.from_frame(pd.concat(frames), WINDOW)
    of = build_histories(Recording(WINDOW, usage, validate_specs(pd.DataFrame(rows))))
    assert "renamed or removed" in reasons(of)["web/old"]


def test_no_history_follows_where_two_could_take_it() -> None:
    """Nor where the image differs, or is unknown."""
    gone = life(workload="web", seen=BEFORE, image="r/app:1")
    of = lived(gone, *(life(workload=name, seen=AFTER, image="r/app:1") for name in ("a", "b")))
    assert [len(of.samples(of.position[one])) for one in sized(of)] == [144, 144]
    of = lived(life(seen=BEFORE), life(workload="site", seen=AFTER))
    assert len(of.samples(of.position[sized(of)[0]])) == 144


@pytest.mark.parametrize(
    ("kind", "spec", "reason"),
    [
        (
            "Deployment",
            {},
            "nothing of the workload exists since 2026-11-15 12:00 UTC: it was deleted or renamed",
        ),
        (
            "Deployment",
            {"replicas": 0},
            "it is scaled to 0 replicas: nothing runs since 2026-11-15 12:00 UTC",
        ),
        ("CronJob", {"suspended": 1}, "its CronJob is suspended: nothing runs"),
        ("Pod", {}, "the pod is gone since 2026-11-15 12:00 UTC"),
    ],
)
def test_what_exists_no_more_is_skipped_for_its_true_reason(
    kind: str, spec: dict[str, Any], reason: str
) -> None:
    """Deleted, scaled to nothing, suspended or gone; another workload shows that time went on."""
    of = lived(life(workload="x", kind=kind, seen=BEFORE, **spec), life())
    assert sized(of) == (ref(),)
    assert reasons(of) == {"x/app": reason}


@pytest.mark.parametrize(
    "quiet",
    [
        life(workload="x", kind="CronJob", seen=BEFORE),
        life(workload="x", kind="Job", seen=BEFORE),
        life(workload="x", seen=(WINDOW.start, WINDOW.end - timedelta(hours=2))),
        life(workload="x", replicas=0),
        life(workload="x", seen=AFTER),
    ],
    ids=["between runs", "one run", "a gap of two hours", "still there", "new"],
)
def test_silence_is_not_the_end(quiet: Life) -> None:
    """What rests between runs, or was missed for a moment, is still sized."""
    assert len(sized(lived(quiet, life()))) == 2


def test_where_nobody_tells_what_exists_all_is_taken_to() -> None:
    """A table of usage alone says nothing of existence."""
    assert len(lived(life(workload="x", seen=BEFORE), life(), specs=False).gone) == 0


def test_a_pod_that_runs_speaks_for_its_workload() -> None:
    """Known to the cluster, though nothing of it was measured for half a day."""
    pod = {"namespace": "shop", "pod": "pod-0", "workload": "x", "ended": None}
    assert len(lived(life(workload="x", seen=BEFORE), life(), pods=[pod]).gone) == 0


def test_all_that_is_silent_at_once_is_an_outage() -> None:
    """Where nothing was seen since, nobody knows what exists: nothing is called gone."""
    of = lived(life(seen=BEFORE), life(workload="y", seen=BEFORE))
    assert len(of) == 2
    assert of.gone == {}


def test_the_window_may_be_short() -> None:
    """An hour of history cannot show that anything was renamed."""
    window = Meta("lab", START, START + timedelta(hours=1), STEP)
    table = steady(1 / 24)
    spec = {**names(), "first_seen": START, "last_seen": window.end}
    of = Recording(window, Usage.from_frame(table, window), validate_specs(pd.DataFrame([spec])))
    assert len(build_histories(of)) == 1


def test_what_is_gone_is_learnt_from_and_not_sized() -> None:
    """It is skipped with its reason, counts in no total, and a look at the past still knows it."""
    of = lived(life("old", seen=BEFORE), life("new", seen=AFTER))
    report = review(of, Method(backtest=False)).report
    assert [r.ref for r in report.recommendations] == [ref("new")]
    assert [(s.ref, s.reason) for s in report.skipped] == list(of.gone.items())
    assert of.between(0, 7 * 288).gone == {}
