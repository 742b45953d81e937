"""A year of pull requests with people: whether the right ones are there after every week.

    python benchmarks/people/bench_people.py [--weeks 52] [--workloads 24] [--most-open 5]
        [--seed 1]

The worlds of `benchmarks/loop` live week by week. What a review proposes is delivered from a fresh
clone of a real repository to a forge, and people do with it what people do: merge, edit and merge
later, close, ignore. Others rename files and move charts on branches that touch the same lines.
What the base then declares is what the world lives on. After each run the laws below are checked,
and a second run of the same week has to do nothing. Printed are counts, and every breach.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import cast

import msgspec
import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))

from analyzer.config import Config
from analyzer.forge.cycle import Move
from analyzer.forge.delivery import Delivery
from analyzer.forge.promise import Promise, largest_move, promised
from analyzer.history import build_histories
from analyzer.landing import index_of, plan_on_index
from analyzer.ledger import no_ledger
from analyzer.pipeline.method import Method
from analyzer.pipeline.review import review
from analyzer.pull_requests import deliver_report, refusals
from analyzer.quantity import TARGETS, Cpu, Memory, Resources
from analyzer.report import Report
from analyzer.workload import ContainerRef
from benchmarks.loop.simulate import Plan, Proposal, Seen, resources_of, simulate
from benchmarks.loop.worlds import WORLDS, Given, Workload
from tests.forge.standin import REPOSITORY, TOKEN, Pull, Standin, serve

PREFIX = "rightsize/loop/"
REOPEN = 0.25
BODY = {"requests": ("cpu_request", "memory_request"), "limits": ("cpu_limit", "memory_limit")}
IDENTITY = ("-c", "user.name=A Person", "-c", "user.email=person@example.org")


def git(folder: Path, *arguments: str, fails: bool = False) -> str:
    """What git prints; with `fails`, the empty text where it fails."""
    done = subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0 and not fails:
        raise RuntimeError(f"git {arguments[0]}: {done.stderr}")
    return done.stdout.strip() if done.returncode == 0 else ""


def manifest(workload: Workload, resources: Resources) -> str:
    """What declares a workload."""
    amounts = {
        kind: {name: str(amount) for name, target in zip(("cpu", "memory"), targets, strict=True)
               if (amount := resources.amount(target)) is not None}
        for kind, targets in BODY.items()
    }  # fmt: skip
    container = {"name": workload.container, "image": "example.org/app:1", "resources": amounts}
    return yaml.safe_dump(
        {
            "apiVersion": "apps/v1",
            "kind": workload.kind,
            "metadata": {"name": workload.name, "namespace": "world"},
            "spec": {"template": {"spec": {"containers": [container]}}},
        },
        sort_keys=False,
    )


def declared(text: str) -> Resources:
    """The amounts that a manifest declares."""
    (container,) = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
    found = Resources()
    for kind, targets in BODY.items():
        amounts = container["resources"].get(kind) or {}
        for name, target in zip(("cpu", "memory"), targets, strict=True):
            if name in amounts:
                parse = Cpu.parse if name == "cpu" else Memory.parse
                found = found.with_amount(target, parse(amounts[name]))
    return found


@dataclass
class Home:
    """The repository, and what people have done to each of our branches."""

    forge: Standin
    root: Path
    chance: random.Random
    files: dict[str, str] = field(default_factory=dict)
    edited: dict[str, str] = field(default_factory=dict)
    """Commits of persons, by branch."""
    refused: dict[str, tuple[Promise, ...]] = field(default_factory=dict)
    """What was promised when a person closed it, by branch."""
    counts: Counter[str] = field(default_factory=Counter)

    def start(self, workloads: tuple[Workload, ...]) -> None:
        """A file for each workload."""
        (self.root / "apps").mkdir()
        for workload in workloads:
            self.files[workload.name] = f"apps/{workload.name}.yaml"
            text = manifest(workload, resources_of(Given.of(workload)))
            (self.root / self.files[workload.name]).write_text(text)
        self.share("the start")

    def share(self, message: str) -> None:
        """What the working tree holds becomes the base."""
        git(self.root, "add", "-A")
        git(self.root, "commit", "-qm", message)
        git(self.root, "push", "-q", "origin", "HEAD:main")

    def refresh(self) -> None:
        """The working tree becomes what the base holds."""
        git(self.root, "fetch", "-q", "origin", "main")
        git(self.root, "checkout", "-q", "-B", "main", "FETCH_HEAD")

    def declared(self) -> dict[str, Resources]:
        """What the base declares, by workload."""
        return {n: declared((self.root / f).read_text()) for n, f in self.files.items()}

    def people(self) -> None:
        """A week of theirs: with each open pull request, and with the files."""
        for pull in [p for p in self.forge.pulls if p.state == "open"]:
            act = self.chance.choices(
                ["merge", "close", "edit", "stop", "ignore"], [8, 2, 2, 0.3, 8]
            )[0]
            if act == "merge":
                self._merge(pull)
            elif act == "close":
                self._close(pull)
            elif act == "edit" and pull.branch not in self.edited:
                self._edit(pull)
            elif act == "stop":
                pull.labels.append("rightsize/stop")
            self.counts[act] += 1
        self.refresh()
        for _ in range(3):
            name = self.chance.choice(sorted(self.files))
            self.chance.choice([self._rename, self._bump, self._bump, self._by_hand])(name)

    def _merge(self, pull: Pull) -> None:
        """By the button, where it still merges; the branch is deleted."""
        self.refresh()
        git(self.root, "fetch", "-q", "origin", pull.branch)
        message = f"merge {pull.number}"
        git(self.root, "merge", "-q", "--no-ff", "-m", message, "FETCH_HEAD", fails=True)
        if git(self.root, "status", "--porcelain"):
            git(self.root, "merge", "--abort")
            self.counts["conflict"] += 1
            return
        git(self.root, "push", "-q", "origin", "HEAD:main", f":refs/heads/{pull.branch}")
        pull.state, pull.merged = "closed", True
        self._forget(pull.branch)

    def _close(self, pull: Pull) -> None:
        pull.state = "closed"
        git(self.root, "push", "-q", "origin", f":refs/heads/{pull.branch}")
        self._forget(pull.branch)
        self.refused[pull.branch] = promised(pull.body)

    def _forget(self, branch: str) -> None:
        self.edited.pop(branch, None)
        self.refused.pop(branch, None)

    def _edit(self, pull: Pull) -> None:
        """A person thinks that more memory is better, on our branch."""
        git(self.root, "fetch", "-q", "origin", pull.branch)
        git(self.root, "checkout", "-q", "--detach", "FETCH_HEAD")
        for file in git(self.root, "diff", "--name-only", "HEAD~1").splitlines():
            text = (self.root / file).read_text()
            more = declared(text).memory_request
            if more is not None:
                (self.root / file).write_text(text.replace(f"memory: {more}", "memory: 3000Mi", 1))
        git(self.root, "commit", "-qam", "more is better", "--allow-empty")
        git(self.root, "push", "-q", "origin", f"HEAD:refs/heads/{pull.branch}")
        self.edited[pull.branch] = git(self.root, "rev-parse", "HEAD")
        git(self.root, "checkout", "-q", "main")

    def _rename(self, name: str) -> None:
        new = f"apps/{name}-{self.chance.randrange(10**6)}.yaml"
        (self.root / self.files[name]).rename(self.root / new)
        self.files[name] = new
        self.share(f"move {name}")

    def _bump(self, name: str) -> None:
        """Another image, in the line above the amounts: what a bot merges conflicts with us."""
        file = self.root / self.files[name]
        tag = f"example.org/app:{self.chance.randrange(10**6)}"
        lines = [
            f"{line.partition('image:')[0]}image: {tag}" if "image:" in line else line
            for line in file.read_text().splitlines()
        ]
        file.write_text("\n".join(lines) + "\n")
        self.share(f"bump {name}")

    def _by_hand(self, name: str) -> None:
        """Somebody sets what they like, right on the base."""
        file = self.root / self.files[name]
        text = file.read_text()
        now = declared(text).memory_request
        if now is not None and self.chance.random() < 0.3:
            file.write_text(text.replace(f"memory: {now}", f"memory: {now.scale(1.5)}", 1))
            self.share(f"resize {name}")


class Reviews:
    """An adviser that delivers pull requests; what people merged is what it tells the world."""

    def __init__(self, home: Home, config: Config, folder: Path) -> None:
        self.home, self.config, self.folder = home, config, folder
        self.ledger = no_ledger()
        self.breaches: list[str] = []
        self.week = 0

    def __call__(self, seen: Seen) -> Mapping[ContainerRef, Proposal]:
        """One week: review, deliver twice, check, and let people act."""
        histories = build_histories(seen.recording)
        found = review(histories, Method(backtest=False), ledger=self.ledger)
        self.ledger = self.ledger.plus(found.rows)
        self.week += 1
        before, bodies = self.home.forge.heads(), self._bodies()
        done, wanted = self._deliver(found.report)
        for rows in refusals(done, "loop", found.report.meta.end, self.ledger):
            self.ledger = self.ledger.plus(rows)
        self._check(done, wanted, before, bodies)
        heads, calls = self.home.forge.heads(), len(self._writes())
        self._deliver(found.report)
        if heads != self.home.forge.heads() or len(self._writes()) != calls:
            self._breach("a second run of the same week changed something", self._writes()[calls:])
        was = self.home.declared()
        self.home.people()
        return self._merged(found.report, was)

    def _writes(self) -> list[str]:
        return [call for call in self.home.forge.calls if not call.startswith("GET")]

    def _bodies(self) -> dict[str, str]:
        return {p.branch: p.body for p in self.home.forge.pulls if p.state == "open"}

    def _merged(self, report: Report, was: Mapping[str, Resources]) -> dict[ContainerRef, Proposal]:
        now, refs = self.home.declared(), {ref.workload: ref for ref in report.refs}
        risk = {r.ref: r.stated_risk.get("memory_limit", 0.0) for r in report.recommendations}
        changed = [name for name in now if now[name] != was[name] and name in refs]
        self.home.counts["containers changed"] += len(changed)
        return {refs[n]: Proposal(now[n], risk.get(refs[n], 0.0)) for n in changed}

    def _deliver(self, report: Report) -> tuple[Delivery, dict[str, Resources]]:
        """Deliver from a clone that knows nothing; what should change, by workload."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            git(Path(name), "clone", "-q", str(self.home.forge.bare), "fresh")
            root = Path(name) / "fresh"
            config = msgspec.structs.replace(
                self.config, git=msgspec.structs.replace(self.config.git, repo=str(root))
            )
            plan = plan_on_index(report, config, index_of(root, config))
            done = deliver_report(report, plan, config, dict(os.environ)).delivery
            edited = {one.ref.workload: one.after for one in plan.edited}
        self.home.counts["edits due"] += len(edited)
        return done, edited

    def _breach(self, law: str, about: object) -> None:
        self.breaches.append(f"week {self.week}: {law}: {about}")

    def _check(
        self,
        done: Delivery,
        wanted: Mapping[str, Resources],
        before: Mapping[str, str],
        bodies: Mapping[str, str],
    ) -> None:
        """The laws of a week."""
        home, forge = self.home, self.home.forge
        opened = forge.open_branches()
        for problem in done.failed:
            self._breach("not delivered", problem)
        if len(opened) != len(set(opened)):
            self._breach("two pull requests of one branch", opened)
        moves = {outcome.move.branch: outcome.move for outcome in done.outcomes}
        home.counts.update(f"run: {move.verb}" for move in moves.values())
        if len(opened) > self.config.forge.most_open:
            self._breach("too many are open", len(opened))
        proposed = {p.workload for m in moves.values() if m.wanted for p in m.wanted.promises}
        if lost := set(wanted) - proposed:
            self._breach("a change is in no pull request and on no list", lost)
        for move in moves.values():
            self._check_place(move, before)
            if move.wanted is not None:
                self._check_content(move, move.wanted.promises, bodies)
        home.counts["open pull requests, week by week"] += len(opened)

    def _check_place(self, move: Move, before: Mapping[str, str]) -> None:
        """What waits is listed; what is left alone, a person's commit above all, has not moved."""
        home, heads = self.home, self.home.forge.heads()
        board = home.forge.issues[0]["body"] if home.forge.issues else ""
        if move.verb in ("wait", "held") and f"rightsize-ask:{move.branch} " not in board:
            self._breach("what waits is not on the dashboard", move.branch)
        if move.verb in ("keep", "hands off") and heads.get(move.branch) != before.get(move.branch):
            self._breach(f"{move.verb}, and the branch moved", move.branch)
        if heads.get(move.branch) != home.edited.get(move.branch, heads.get(move.branch)):
            self._breach("a person's commit is gone", move.branch)

    def _check_content(
        self, move: Move, promises: tuple[Promise, ...], bodies: Mapping[str, str]
    ) -> None:
        """Nobody is asked again in vain, and a branch holds what its pull request says."""
        refused = self.home.refused.pop(move.branch, None) if move.verb == "open" else None
        if refused is not None and largest_move(refused, promises) < REOPEN:
            self._breach("asked again for what was closed", move.branch)
        if move.verb == "refresh":
            self._updated(move.reason, promised(bodies.get(move.branch, "")), promises)
        if move.verb in ("open", "refresh"):
            self._check_branch(move.branch, promises)

    def _updated(self, reason: str, old: tuple[Promise, ...], new: tuple[Promise, ...]) -> None:
        """Count an update of an open pull request by its cause."""
        small = 0 < largest_move(old, new) < 0.1
        self.home.counts[f"updated: {reason}{', all by less than a tenth' * small}"] += 1
        same = [one.after for one in old] == [one.after for one in new]
        if same and "numbers" in reason and [o.before for o in old] == [o.before for o in new]:
            self.home.counts["updated: the places have moved"] += 1

    def _check_branch(self, branch: str, promises: tuple[Promise, ...]) -> None:
        """One commit on the base, that states what is promised and touches nothing else."""
        bare = self.home.forge.bare
        if git(bare, "rev-list", "--count", f"main..{branch}") != "1":
            self._breach("not one commit on the base", branch)
        files = {self.home.files[p.workload] for p in promises}
        touched = set(git(bare, "diff", "--name-only", f"main...{branch}").splitlines())
        if files != touched:
            self._breach("touches other files", touched ^ files)
        for promise in promises:
            text = git(bare, "show", f"{branch}:{self.home.files[promise.workload]}")
            amounts = declared(text)
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


def live(weeks: int, count: int, most_open: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Live `weeks` with people; the counts, and the breaches."""
    known = [w for world in WORLDS.values() for w in world]
    plain = [w for w in known if w.runs is None and w.renamed is None and not w.beside]
    apart = {w.beside for w in known}
    workloads = tuple(w for w in plain if w.name not in apart)[:count]
    with tempfile.TemporaryDirectory() as name, forge_at(Path(name)) as forge:
        folder = Path(name)
        git(folder, "clone", "-q", str(forge.bare), "people")
        git(folder / "people", "checkout", "-q", "-b", "main")
        home = Home(forge, folder / "people", random.Random(seed))
        home.start(workloads)
        settings = {
            "kind": "github", "url": forge.api("github"), "repository": REPOSITORY,
            "most_open": most_open,
        }  # fmt: skip
        os.environ["GITHUB_TOKEN"] = TOKEN
        config = msgspec.convert({"cluster": "loop", "forge": settings}, Config)
        reviews = Reviews(home, config, folder)
        plan = Plan(weeks=weeks, window=3, step=timedelta(hours=1))
        score = simulate(workloads, reviews, plan)
        home.counts |= Counter(
            {"container-weeks": score.weeks, "kills by what was merged": score.harm}
        )
        home.counts["comments on what came"] = sum(
            "rightsize-verdict" in text for pull in forge.pulls for text in pull.comments
        )
        home.counts["pull requests"] = len(forge.pulls)
        return home.counts, reviews.breaches


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=cast(str, __doc__).partition("\n")[0])
    for name, default in (("weeks", 52), ("workloads", 24), ("most-open", 5), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    counts, breaches = live(asked.weeks, asked.workloads, asked.most_open, asked.seed)
    for name, number in sorted(counts.items()):
        print(f"{name:50}{number:7}")
    for breach in breaches:
        print(f"breach: {breach}")
    print(f"{len(breaches)} breaches in {asked.weeks} weeks")


if __name__ == "__main__":
    main()
