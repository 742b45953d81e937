"""Lower bounds of the need after OOM kills and under throttling."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from analyzer.models import RISKS, model_named
from analyzer.models.censoring import kill_floors, raise_above_throttling
from tests.samples import MIB, START, histories, names, steady

WEEK = timedelta(days=7)


def kill(day: float, limit: float) -> dict[str, object]:
    """An OOM kill at `limit`."""
    return {
        **names(),
        "pod": "web-1",
        "timestamp": START + timedelta(days=day),
        "kind": "oom_kill",
        "value": limit,
    }


@pytest.mark.parametrize("name", ["percentile", "trend", "pooled"])
def test_demand_exceeds_the_limit_it_was_killed_at(name: str) -> None:
    """Whatever the risk, memory demand after a kill lies above the limit."""
    of = histories(steady(memory=195 * MIB), events=[kill(3, 200 * MIB)])
    levels = model_named(name).fit(of, WEEK).levels["memory"][0]
    assert (levels > 200 * MIB).all()


def test_repeated_kills_do_not_run_away() -> None:
    """30 kills at one limit ask for half more, one for 20 %; one at a second limit, for 10 %."""
    often = histories(
        steady(memory=195 * MIB), events=[kill(1 + d / 10, 200 * MIB) for d in range(30)]
    )
    once = histories(steady(memory=195 * MIB), events=[kill(1, 200 * MIB)])
    twice = histories(steady(memory=235 * MIB), events=[kill(1, 200 * MIB), kill(8, 240 * MIB)])
    assert kill_floors(often)[0] == pytest.approx(300 * MIB)
    assert kill_floors(once)[0] == pytest.approx(240 * MIB)
    assert kill_floors(twice)[0] == pytest.approx(264 * MIB)


def test_a_kill_far_from_the_limit_came_from_elsewhere() -> None:
    """Usage never came near the limit: the node ran out, or a child process died."""
    of = histories(steady(memory=50 * MIB), events=[kill(3, 200 * MIB)])
    assert np.isnan(kill_floors(of)[0])


def test_throttling_hides_only_what_is_as_rare() -> None:
    """Throttled a tenth of the time in half of the periods: 1.75 x the limit, up to risk 10 %."""
    throttled = [
        {
            **names(),
            "timestamp": START + timedelta(minutes=50 * k + 5),
            "kind": "throttled",
            "value": 0.5,
        }
        for k in range(403)
    ]
    of = histories(steady(cpu=0.1), specs=[{**names(), "cpu_limit_cores": 0.2}], events=throttled)
    levels = raise_above_throttling(np.full((1, len(RISKS)), 0.1), of)[0]
    hidden = RISKS <= 403 / 4032
    assert levels[hidden] == pytest.approx(0.35)
    assert levels[~hidden] == pytest.approx(0.1)
