"""A year of pull requests with people and bots: whether the right ones are there after every week.

    python benchmarks/people/bench_people.py [--weeks 52] [--workloads 24] [--most-open 5]
        [--seeds 1 2 3] [--staged 4]

The worlds of `benchmarks/loop` live week by week; some workloads live twice, in staging and in
production. What a review proposes is delivered from a fresh clone of a real repository to a forge,
and people do with it what people do: merge, edit and merge later, close, ignore. Others rename
files, and a bot proposes images and charts, whose values move, on branches that touch the same
lines. What the base then declares is what the world lives on. After each run the laws below are
checked, and a second run of the same week has to do nothing. Printed are counts, and every breach.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2]))

from analyzer.config import Config
from analyzer.forge.cycle import Move
from analyzer.forge.delivery import Delivery
from analyzer.forge.promise import Key, Promise, key_of, largest_move, promised
from analyzer.history import build_histories
from analyzer.landing import index_of, plan_on_index
from analyzer.ledger import no_ledger
from analyzer.pipeline.method import Method
from analyzer.pipeline.review import review
from analyzer.pull_requests import Found, deliver_found, refusals
from analyzer.quantity import TARGETS, Resources
from analyzer.report import Report
from analyzer.workload import ContainerRef
from benchmarks.loop.simulate import Plan, Proposal, Seen, simulate
from benchmarks.loop.worlds import WORLDS, Workload
from benchmarks.people.home import BOTS, OURS, PRODUCTION, STAGING, Home, declared, git
from tests.forge.standin import REPOSITORY, TOKEN, Standin, serve

REOPEN = 0.25


def named(ref: ContainerRef) -> Key:
    """Which container it is, as promises name it."""
    return ref.namespace, ref.kind, ref.workload, ref.container


class Reviews:
    """An adviser that delivers pull requests; what people merged is what it tells the world."""

    def __init__(self, home: Home, config: Config, folder: Path) -> None:
        self.home, self.config, self.folder = home, config, folder
        self.ledger = no_ledger()
        self.breaches: list[str] = []
        self.week = 0
        self.heads: dict[str, str] = {}
        self.bodies: dict[str, str] = {}

    def __call__(self, seen: Seen) -> Mapping[ContainerRef, Proposal]:
        """One week: review, deliver twice, check, and let people act."""
        histories = build_histories(seen.recording)
        found = review(histories, Method(backtest=False), ledger=self.ledger)
        self.ledger = self.ledger.plus(found.rows)
        self.week += 1
        self.heads = self.home.forge.heads()
        opened = [pull for pull in self.home.forge.pulls if pull.state == "open"]
        self.bodies = {pull.branch: pull.body for pull in opened}
        done, due = self._deliver(found.report)
        for rows in refusals(done, "loop", found.report.meta.end, self.ledger):
            self.ledger = self.ledger.plus(rows)
        self._check(done, due, found.report)
        self._deliver_again(found.report)
        was = self.home.declared()
        self.home.week()
        return self._merged(found.report, was)

    def _deliver(self, report: Report) -> tuple[Delivery, set[Key]]:
        """Deliver from a clone that knows nothing; the containers that should change."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            git(Path(name), "clone", "-q", str(self.home.forge.bare), "fresh")
            root = Path(name) / "fresh"
            config = msgspec.structs.replace(
                self.config, git=msgspec.structs.replace(self.config.git, repo=str(root))
            )
            plan = plan_on_index(report, config, index_of(root, config))
            done = deliver_found(Found(report, plan), config, dict(os.environ)).delivery
            due = {named(one.ref) for one in plan.edited}
        self.home.counts["edits due"] += len(due)
        self.home.counts["changes left to a person"] += len(plan.advice)
        return done, due

    def _deliver_again(self, report: Report) -> None:
        heads, calls = self.home.forge.heads(), len(self._writes())
        self._deliver(report)
        if heads != self.home.forge.heads() or len(self._writes()) != calls:
            self._breach("a second run of the same week changed something", self._writes()[calls:])

    def _writes(self) -> list[str]:
        return [call for call in self.home.forge.calls if not call.startswith("GET")]

    def _merged(self, report: Report, was: Mapping[Key, Resources]) -> dict[ContainerRef, Proposal]:
        now, refs = self.home.declared(), {named(ref): ref for ref in report.refs}
        risk = {r.ref: r.stated_risk.get("memory_limit", 0.0) for r in report.recommendations}
        changed = [key for key in now if now[key] != was[key] and key in refs]
        self.home.counts["containers changed"] += len(changed)
        return {refs[n]: Proposal(now[n], risk.get(refs[n], 0.0)) for n in changed}

    # --- the laws of a week

    def _breach(self, law: str, about: object) -> None:
        self.breaches.append(f"week {self.week}: {law}: {about}")
        print(f"breach: {self.breaches[-1]}", flush=True)

    def _check(self, done: Delivery, due: set[Key], report: Report) -> None:
        home, forge = self.home, self.home.forge
        opened = [branch for branch in forge.open_branches() if branch.startswith(OURS)]
        for problem in done.failed:
            self._breach("not delivered", problem)
        if len(opened) != len(set(opened)):
            self._breach("two pull requests of one branch", opened)
        moves = {outcome.move.branch: outcome.move for outcome in done.outcomes}
        home.counts.update(f"run: {move.verb}" for move in moves.values())
        if len(opened) > self.config.forge.most_open:
            self._breach("too many are open", len(opened))
        proposed = {key_of(p) for m in moves.values() if m.wanted for p in m.wanted.promises}
        if lost := due - proposed:
            self._breach("a change is in no pull request and on no list", lost)
        self._check_bots(forge.heads())
        for move in moves.values():
            self._check_place(move)
            self._check_stage(move, due, report)
            if move.wanted is not None:
                self._check_content(move, move.wanted.promises)
        home.counts["open pull requests, week by week"] += len(opened)

    def _check_bots(self, heads: Mapping[str, str]) -> None:
        """Branches of others are theirs."""
        were, are = ({b: h for b, h in all_.items() if b.startswith(BOTS)} for all_ in
                     (self.heads, heads))  # fmt: skip
        if were != are:
            self._breach("a bot's branch has moved", were.keys() ^ are.keys())

    def _check_place(self, move: Move) -> None:
        """What waits is listed; what is left alone, a person's commit above all, has not moved.

        What is open and not a person's can be merged: nothing else has touched its lines.
        """
        home, heads = self.home, self.home.forge.heads()
        board = home.forge.issues[0]["body"] if home.forge.issues else ""
        if move.verb in ("wait", "held") and f"rightsize-ask:{move.branch} " not in board:
            self._breach("what waits is not on the dashboard", move.branch)
        stays = heads.get(move.branch) == self.heads.get(move.branch)
        if move.verb in ("keep", "hands off") and not stays:
            self._breach(f"{move.verb}, and the branch moved", move.branch)
        if heads.get(move.branch) != home.edited.get(move.branch, heads.get(move.branch)):
            self._breach("a person's commit is gone", move.branch)
        if move.verb in ("open", "refresh", "keep") and move.branch in heads:
            merged = ("merge-tree", "--write-tree", "main", move.branch)
            if not git(home.forge.bare, *merged, fails=True):
                self._breach("cannot be merged", move.branch)

    def _check_stage(self, move: Move, due: set[Key], report: Report) -> None:
        """Production is not asked for what staging is still due for, unless it is in need."""
        if move.verb != "open" or move.wanted is None or move.wanted.urgency[0] <= 0:
            return
        for promise in move.wanted.promises:
            before = (STAGING, *key_of(promise)[1:])
            if promise.namespace == PRODUCTION and before in due:
                self._breach("production was opened before staging was done", move.branch)
        harmed = {named(ref) for ref in report.harmed}
        first = {(STAGING, *key_of(p)[1:]) for p in move.wanted.promises} & harmed
        if first and any(p.namespace == PRODUCTION for p in move.wanted.promises):
            self._breach("production was opened though staging was harmed", move.branch)

    def _check_content(self, move: Move, promises: tuple[Promise, ...]) -> None:
        """Nobody is asked again in vain, and a branch holds what its pull request says."""
        refused = self.home.refused.pop(move.branch, None) if move.verb == "open" else None
        if refused is not None and largest_move(refused, promises) < REOPEN:
            self._breach("asked again for what was closed", move.branch)
        if move.verb == "refresh":
            self._updated(move, promised(self.bodies.get(move.branch, "")), promises)
        if move.verb in ("open", "refresh"):
            self._check_branch(move.branch, promises)

    def _updated(self, move: Move, old: tuple[Promise, ...], new: tuple[Promise, ...]) -> None:
        """Count an update of an open pull request by its cause; without one it is a breach."""
        small = 0 < largest_move(old, new) < 0.1
        self.home.counts[f"updated: {move.reason}{', all by less than a tenth' * small}"] += 1
        same = [(one.before, one.after) for one in old] == [(one.before, one.after) for one in new]
        before = self.heads.get(move.branch)
        if not same or before is None:
            return
        bare = self.home.forge.bare
        files = git(bare, "diff", "--name-only", f"{before}^", before).splitlines()
        if not git(bare, "diff", "--name-only", f"{before}^", "main", "--", *files):
            self._breach("updated without a cause", move.branch)

    def _check_branch(self, branch: str, promises: tuple[Promise, ...]) -> None:
        """One commit on the base, that states what is promised and touches nothing else."""
        bare, files = self.home.forge.bare, self.home.files
        if git(bare, "rev-list", "--count", f"main..{branch}") != "1":
            self._breach("not one commit on the base", branch)
        expected = {files[key_of(promise)] for promise in promises}
        touched = set(git(bare, "diff", "--name-only", f"main...{branch}").splitlines())
        if expected != touched:
            self._breach("touches other files", touched ^ expected)
        for promise in promises:
            amounts = declared(git(bare, "show", f"{branch}:{files[key_of(promise)]}"))
            said = {t: amounts.amount(t) for t in TARGETS}
            if {t: a.units for t, a in said.items() if a is not None} != promise.after:
                self._breach("the branch does not state what is promised", branch)


@contextmanager
def forge_at(folder: Path) -> Iterator[Standin]:
    """A forge with an empty repository."""
    bare = folder / "served" / "team" / "cluster.git"
    bare.mkdir(parents=True)
    git(bare, "init", "-q", "--bare", "-b", "main")
    with serve(Standin(bare)) as forge:
        yield forge


def workloads_of(count: int, staged: int) -> tuple[Workload, ...]:
    """So many that run all the time, of which so many live in two stages."""
    known = [w for world in WORLDS.values() for w in world]
    plain = [w for w in known if w.runs is None and w.renamed is None and not w.beside]
    apart = {w.beside for w in known}
    chosen = [w for w in plain if w.name not in apart]
    twice = [
        replace(w, name=f"{w.name}-{stage}", called=w.name, namespace=stage)
        for w in chosen[: min(staged, count // 2)]
        for stage in (STAGING, PRODUCTION)
    ]
    return (*twice, *chosen[len(twice) // 2 : count - len(twice) // 2])


def live(
    weeks: int, workloads: tuple[Workload, ...], most_open: int, seed: int
) -> tuple[Counter[str], list[str]]:
    """Live `weeks` with people; the counts, and the breaches."""
    with tempfile.TemporaryDirectory() as name, forge_at(Path(name)) as forge:
        folder = Path(name)
        git(folder, "clone", "-q", str(forge.bare), "people")
        git(folder / "people", "checkout", "-q", "-b", "main")
        home = Home(forge, folder / "people", random.Random(seed))
        home.start(workloads)
        settings = {
            "kind": "github", "url": forge.api("github"), "repository": REPOSITORY,
            "most_open": most_open,
            "stages": [{"name": STAGING, "namespaces": [STAGING]},
                       {"name": PRODUCTION, "namespaces": [PRODUCTION]}],
        }  # fmt: skip
        os.environ["GITHUB_TOKEN"] = TOKEN
        # That a ledger is kept is all that is asked of its folder here.
        given = {"cluster": "loop", "forge": settings, "ledger": str(folder / "ledger")}
        reviews = Reviews(home, msgspec.convert(given, Config), folder)
        plan = Plan(weeks=weeks, window=3, step=timedelta(hours=1))
        score = simulate(workloads, reviews, plan)
        home.counts |= Counter(
            {"container-weeks": score.weeks, "kills by what was merged": score.harm}
        )
        home.counts["comments on what came"] = sum(
            "rightsize-verdict" in text for pull in forge.pulls for text in pull.comments
        )
        home.counts["pull requests"] = sum(pull.branch.startswith(OURS) for pull in forge.pulls)
        return home.counts, reviews.breaches


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=cast(str, __doc__).partition("\n")[0])
    for name, default in (("weeks", 52), ("workloads", 24), ("most-open", 5), ("staged", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    asked = parser.parse_args()
    workloads, breaches = workloads_of(asked.workloads, asked.staged), 0
    for seed in asked.seeds:
        print(f"seed {seed}", flush=True)
        counts, broken = live(asked.weeks, workloads, asked.most_open, seed)
        breaches += len(broken)
        for name, number in sorted(counts.items()):
            print(f"{name:70}{number:7}", flush=True)
    print(f"{breaches} breaches in {asked.weeks * len(asked.seeds)} weeks")


if __name__ == "__main__":
    main()
