"""A year of weekly reviews in worlds that answer, for the policy that ships and for its peers.

    python benchmarks/loop/bench_loop.py [--weeks 52] [--worlds all] [--policy rightsize,krr,vpa]
        [--merge all] [--window 2] [--seed 0] [--format markdown|json]

Every workload's need is known (`worlds.py`), and usage answers to what is merged: pods are killed
and throttled at their limits, caches and heaps fill what they are given, autoscalers count by the
request. Columns: containers times weeks; weeks with a kill, with one that the first limit would
have survived (harm), and as stated; share of the time in which the worst pod wanted more CPU than
it requested; requests over what foresight would have given, as they are and once one factor for all
lets 5 % of container-weeks need more, which compares at equal risk; changes and reversals per
container and month; share of container-weeks that change from the seventh week on; most reversals
within half a year of one container, and of one of its amounts. From the fifth week of a container
on the largest request over the need of its week, weeks with one above three times that, those of
them above three times what any week so far needed or held, and those of these above three times the
busiest hour of any pod as well. Largest limit over need; amounts above the node; limits lowered
below one that killed; open proposals that change in a week. `--culprits` names who makes which
figure. `--worlds random` draws workloads by `--seed` (`unseen.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.loop.advisers import ADVISERS, Remembering
from benchmarks.loop.simulate import MERGES, Adviser, Plan, Score, simulate
from benchmarks.loop.unseen import random_world
from benchmarks.loop.worlds import WORLDS, Workload

COLUMNS = {
    "container_weeks": ("weeks", "{:.0f}"),
    "kill_weeks": ("killed", "{:.0f}"),
    "harmful_kill_weeks": ("harm", "{:.0f}"),
    "stated_kill_weeks": ("stated", "{:.1f}"),
    "above_request": ("above", "{:.1%}"),
    "cpu_to_need": ("CPU", "{:.2f} x"),
    "memory_to_need": ("memory", "{:.2f} x"),
    "cpu_at_equal_risk": ("CPU at 5 %", "{:.2f} x"),
    "memory_at_equal_risk": ("memory at 5 %", "{:.2f} x"),
    "changes_a_month": ("changes", "{:.2f}"),
    "changes_settled": ("settled", "{:.1%}"),
    "reversals_a_month": ("turns", "{:.2f}"),
    "most_reversals": ("most", "{:.0f}"),
    "most_of_one_amount": ("of one amount", "{:.0f}"),
    "largest_request_over_need": ("request", "{:.1f} x"),
    "too_large_weeks": ("above 3 x", "{:.0f}"),
    "too_large_for_any_week": ("of any week", "{:.0f}"),
    "too_large_for_any_hour": ("of any hour", "{:.0f}"),
    "largest_limit_over_need": ("limit", "{:.1f} x"),
    "above_node": ("node", "{:.0f}"),
    "below_kill": ("below a kill", "{:.0f}"),
    "open_changes": ("reworded", "{:.1%}"),
}


def markdown(rows: list[tuple[str, str, dict[str, float]]]) -> str:
    """A table of all figures."""
    lines = [["policy", "world", *(head for head, _ in COLUMNS.values())]]
    lines.append(["---"] * len(lines[0]))
    for policy, world, figures in rows:
        cells = [form.format(figures[name]) for name, (_, form) in COLUMNS.items()]
        lines.append([policy, world, *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def total(scores: list[Score]) -> Score:
    """The scores of several worlds in sum."""
    result = Score()
    for score in scores:
        for name, value in vars(score).items():
            mine = getattr(result, name)
            if name.startswith("most_"):
                setattr(result, name, max(mine, value))
            elif isinstance(value, dict):
                setattr(result, name, mine | value)
            else:
                setattr(result, name, mine + value)
    return result


def _worlds(words: str, seed: int) -> dict[str, Sequence[Workload]]:
    if words == "random":
        return {f"random {seed}": random_world(seed)}
    names = list(WORLDS) if words == "all" else words.split(",")
    return {name: WORLDS[name] for name in names}


def _adviser(policy: str, merge: str) -> Adviser:
    if policy == "rightsize" and merge == "rejected":
        return Remembering(rejected=True)
    return ADVISERS[policy]()


def _blame(policy: str, world: str, score: Score) -> None:
    """Name on stderr which containers make the figures."""
    for what in ("changed_by", "turned_by", "too_large_by", "unexplained_by", "harmed_by"):
        worst = sorted(getattr(score, what).items(), key=lambda item: -item[1])
        print(
            policy, world, what, [(name, round(count, 1)) for name, count in worst], file=sys.stderr
        )


def main() -> None:
    """Print what the arguments ask for."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--worlds", default="all", help="all, random, or names with commas between")
    parser.add_argument("--seed", type=int, default=0, help="of random worlds")
    parser.add_argument("--policy", default="rightsize,memoryless,krr,vpa,foresight")
    parser.add_argument("--merge", choices=MERGES, default="all")
    parser.add_argument("--window", type=int, default=2, help="weeks that an adviser is shown")
    parser.add_argument("--step", type=float, default=30, help="minutes")
    parser.add_argument("--format", choices=("markdown", "json"), default="markdown")
    parser.add_argument("--culprits", action="store_true", help="who makes the figures, on stderr")
    words = parser.parse_args()
    plan = Plan(words.weeks, words.window, timedelta(minutes=words.step), words.merge)
    worlds = _worlds(words.worlds, words.seed)
    rows = []
    for policy in words.policy.split(","):
        scores = []
        for world, workloads in worlds.items():
            scores.append(simulate(workloads, _adviser(policy, words.merge), plan))
            rows.append((policy, world, scores[-1].summary()))
            if words.culprits:
                _blame(policy, world, scores[-1])
        rows.append((policy, "all", total(scores).summary()))
    if words.format == "json":
        entries = [{"policy": p, "world": w, **figures} for p, w, figures in rows]
        print(msgspec.json.format(json.dumps(entries)))
    else:
        print(markdown(rows))


if __name__ == "__main__":
    main()
