"""What a program is told of its memory, lowered together with its limit.

A heap is part of what its container was seen to use. So a setting that is no less than the limit
which usage alone asks for is no more likely to be reached than that limit. A heap may fill up all
the same, as it may today: the new limit holds the full setting, and beside it all that the
container ever used, for nothing that lies outside of the heap can have been more. It is also no
less than what keeps the setting's share of it. Where that lowers nothing, nothing is touched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from analyzer.policy import round_up
from analyzer.quantity import Memory, Resources
from analyzer.recommend.bounds import room_above_peak
from analyzer.recommend.case import Bound, Facts, RuntimeSetting
from analyzer.recommend.recommendation import Companion

_SPELLED = re.compile(r"(?P<count>[1-9]\d{0,14})(?P<unit>[kKmMgGtT]?)(?P<rest>(?:iB)?)", re.ASCII)
_POWERS = "kmgt"
_COARSE = Fraction(17, 16)
"""An amount is not rounded up by more than a sixteenth to keep its unit."""


def together(
    facts: Facts, ref: str, decide: Callable[[Facts], Resources]
) -> tuple[Facts, tuple[Companion, ...]]:
    """The facts with which a setting and the limit that it holds up are lowered, and its change.

    The facts as they are, and no change, where the policy keeps settings, where they hold nothing
    up, or where the container was killed: then what it needs was not seen.
    """
    held = [b for b in facts.bounds if b.setting is not None]
    settings = list(dict.fromkeys(b.setting for b in held if b.setting is not None))
    limit = facts.current.memory_limit
    if facts.policy.runtime_settings != "together" or limit is None or len(settings) != 1:
        return facts, ()
    setting = settings[0]
    if setting.problem:
        return _told(facts, f"; it cannot change with the limit: {setting.problem}"), ()
    if facts.kills.at_limit or facts.kills.elsewhere or facts.past.killed_at:
        return _told(facts, "; it was killed, so neither is lowered"), ()
    others = tuple(b for b in facts.bounds if b.setting is None)
    alone = decide(replace(facts, bounds=others)).memory_limit
    if alone is None or alone >= limit or setting.size > limit:
        return facts, ()
    lower = _lowered(setting, max(alone, round_up(room_above_peak(facts))))
    if lower is None or lower.size >= setting.size:
        return facts, ()
    bounds = _bounds(facts, setting, lower, limit)
    moved = replace(facts, bounds=(*others, *bounds))
    found = decide(moved).memory_limit
    if found is None or not bounds[1].least <= found < limit:  # a node may be too small for both
        return facts, ()
    return moved, (_companion(setting, lower, (limit, found), ref),)


def _told(facts: Facts, more: str) -> Facts:
    """The facts with a word more on each amount that a setting holds up."""
    bounds = (b if b.setting is None else replace(b, reason=b.reason + more) for b in facts.bounds)
    return replace(facts, bounds=tuple(bounds))


def _bounds(
    facts: Facts, setting: RuntimeSetting, lower: RuntimeSetting, limit: Memory
) -> tuple[Bound, Bound]:
    """What the lowered setting asks of the request and of the limit."""
    share = Memory(-(-lower.size.bytes * limit.bytes // setting.size.bytes))
    beside = lower.size + Memory.from_bytes(facts.evidence.memory.max or 0.0)
    request = facts.current.memory_request
    least = lower.size if request is None else min(lower.size, request)
    why = f"{setting.name} goes from {setting.amount} to {lower.amount} with it"
    return (
        Bound("memory_request", least, f"{why}, and it reserves as much"),
        Bound(
            "memory_limit",
            max(round_up(max(share, beside, room_above_peak(facts))), lower.size),
            f"{why}: the limit holds that and all that it ever used beside it",
        ),
    )


def _companion(
    before: RuntimeSetting, after: RuntimeSetting, limits: tuple[Memory, Memory], ref: str
) -> Companion:
    """The change of a setting that goes with a limit from one amount to another."""
    now, new = limits
    return Companion(
        kind="setting",
        name=before.name,
        resource="memory",
        before=before.amount,
        after=after.amount,
        reason=(
            f"{before.name} goes from {before.amount} to {after.amount} with the memory limit "
            f"({now} to {new}), in one commit: no less than the limit that usage alone asks for, "
            "and the limit holds it beside all that was ever used"
        ),
        along=(ref,),
        place=before.place,
    )


def _lowered(setting: RuntimeSetting, least: Memory) -> RuntimeSetting | None:
    """The setting at no less than `least`, in its own spelling; None where that is not known.

    Its unit stays where that adds at most a sixteenth, and is the next smaller one otherwise. A
    number without a unit counts what it counted before.
    """
    found = _SPELLED.fullmatch(setting.amount)
    if found is None or setting.size.bytes % int(found["count"]):
        return None
    unit, size = found["unit"], setting.size.bytes // int(found["count"])
    power = _POWERS.find(unit.lower()) if unit else 0
    count = math.ceil(Fraction(least.bytes, size))
    while power > 0 and count * size > least.bytes * _COARSE:
        power, size = power - 1, size // 1024
        count = math.ceil(Fraction(least.bytes, size))
    letter = _POWERS[power] if unit.islower() else _POWERS[power].upper()
    spelled = f"{count}{letter if unit else ''}{found['rest']}"
    return replace(setting, amount=spelled, size=Memory(count * size))
