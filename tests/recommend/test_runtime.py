"""A runtime setting lowered together with the limit that it holds up."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from analyzer.cutoff import NO_KILLS, Kills
from analyzer.models import RESOURCES
from analyzer.policy import Policy
from analyzer.quantity import Memory, Resources
from analyzer.recommend import Bound
from analyzer.recommend.bounds import room_above_peak
from analyzer.recommend.case import Facts, RuntimeSetting
from analyzer.recommend.decide import decide_amounts
from analyzer.recommend.runtime import together
from tests.recommend.test_laws import LEARNED, cases
from tests.samples import MIB

Mode = Literal["keep", "together"]
UNITS = {"MiB": MIB, "M": MIB, "m": MIB, "GiB": 1024 * MIB, "g": 1024 * MIB, "k": 1024, "": 1}


def decided(facts: Facts) -> Resources:
    """What is decided of a container."""
    return decide_amounts(facts, {r: () if r in facts.unknown else LEARNED[r] for r in RESOURCES})[
        0
    ]


def held(facts: Facts, setting: RuntimeSetting, limit: Memory, policy: Mode = "together") -> Facts:
    """The facts of a container whose setting holds its limit up."""
    bounds = (
        Bound("memory_request", min(setting.size, limit), "heap", setting=setting),
        Bound("memory_limit", limit, "heap", setting=setting),
    )
    current = replace(facts.spec.resources, memory_request=limit, memory_limit=limit)
    calm = replace(facts.evidence, starts=True, days=14.0)
    return replace(
        facts,
        bounds=bounds,
        spec=replace(facts.spec, resources=current),
        evidence=calm,
        kills=NO_KILLS,
        unknown={},
        policy=Policy(runtime_settings=policy, memory_floor=facts.policy.memory_floor),
    )


@given(cases(), st.integers(1, 64), st.sampled_from(sorted(UNITS)), st.integers(0, 4))
def test_no_setting_falls_below_what_usage_asks_for(
    facts: Facts, count: int, unit: str, more: int
) -> None:
    """A lowered setting holds the highest peak; its limit holds the setting and all else used."""
    size = count * UNITS[unit] * {"": 64 * MIB, "k": 65536}.get(unit, 1)
    spelled = f"{size // UNITS[unit]}{unit}"
    setting = RuntimeSetting("-Xmx", spelled, Memory(size))
    limit = Memory(size + more * size // 4)
    asked = held(facts, setting, limit)
    moved, companions = together(asked, "web", decided)
    for one in companions:
        lower = Memory(int(one.after.rstrip("kMmGgiB")) * _unit(one.after))
        new = decided(moved).memory_limit
        assert new is not None
        assert room_above_peak(asked) <= lower < setting.size
        assert lower + Memory.from_bytes(asked.evidence.memory.max or 0) <= new < limit
        assert lower.bytes * limit.bytes <= new.bytes * setting.size.bytes
    if not companions:
        kept = decided(moved).memory_limit
        assert kept == decided(held(facts, setting, limit, "keep")).memory_limit


def _unit(text: str) -> int:
    return next(UNITS[u] for u in sorted(UNITS, key=len, reverse=True) if text.endswith(u) or not u)


@given(cases())
def test_settings_are_kept_unless_asked(facts: Facts) -> None:
    """By default no setting changes."""
    setting = RuntimeSetting("GOMEMLIMIT", "2GiB", Memory(2048 * MIB))
    asked = held(facts, setting, Memory(4096 * MIB), "keep")
    assert together(asked, "web", decided) == (asked, ())


@given(cases())
def test_what_was_killed_keeps_both(facts: Facts) -> None:
    """What it needs was not seen, so neither is lowered, and that is said."""
    setting = RuntimeSetting("GOMEMLIMIT", "2GiB", Memory(2048 * MIB))
    killed = Kills(at_limit=1, elsewhere=0, slow=0, limits=(4096.0 * MIB,), repeated=None)
    asked = replace(held(facts, setting, Memory(4096 * MIB)), kills=killed)
    moved, companions = together(asked, "web", decided)
    assert companions == ()
    assert all("neither is lowered" in bound.reason for bound in moved.bounds)
