"""Weeks in the life of a repository: people merge, edit, close, ignore and move files about."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from analyzer.forge.cycle import Wanted
from analyzer.forge.delivery import Delivery, deliver
from analyzer.forge.promise import Promise, hidden
from analyzer.forge.protocol import Text
from tests.forge.conftest import Git, clone
from tests.forge.standin import Standin
from tests.forge.test_delivery import PREFIX, desk

APPS = ("bazarr", "jellyfin", "plex", "radarr", "sonarr", "tautulli")
MOST_OPEN = 3
WEEKS = 14


@dataclass
class Home:
    """A repository with a file per application, what each needs, and what people have done."""

    forge: Standin
    checkout: Path
    git: Git
    chance: random.Random
    files: dict[str, str] = field(default_factory=dict)
    needs: dict[str, int] = field(default_factory=dict)
    closed_at: dict[str, int] = field(default_factory=dict)
    """The amount that was proposed when somebody closed it."""
    theirs: dict[str, str] = field(default_factory=dict)
    """Commits of persons on our branches, by branch."""
    done: Counter[str] = field(default_factory=Counter)

    def start(self) -> None:
        """One file per application, each asking for much more than it needs."""
        for app in APPS:
            self.files[app], self.needs[app] = f"apps/{app}.yaml", self.chance.randrange(200, 900)
            (self.checkout / self.files[app]).write_text("memory: 2000\n")
        self.push("the start")

    def push(self, message: str) -> None:
        """What the working tree holds becomes the base."""
        self.git(self.checkout, "add", "-A")
        self.git(self.checkout, "commit", "-qm", message)
        self.git(self.checkout, "push", "-q", str(self.forge.bare), "HEAD:main")

    def refresh(self) -> None:
        """The working tree becomes what the base holds."""
        self.git(self.checkout, "fetch", "-q", str(self.forge.bare), "main")
        self.git(self.checkout, "reset", "-q", "--hard", "FETCH_HEAD")

    def declared(self, app: str) -> int:
        """What the base asks for."""
        text = (self.checkout / self.files[app]).read_text()
        return int(text.splitlines()[0].removeprefix("memory: "))

    def wanted(self) -> list[Wanted]:
        """What a run would propose now: all that is off by more than a tenth."""
        apps = [a for a in APPS if abs(self.declared(a) - self.needs[a]) > 0.1 * self.needs[a]]
        return [self._wanted(app) for app in apps]

    def _wanted(self, app: str) -> Wanted:
        file, need = self.files[app], self.needs[app]
        text = (self.checkout / file).read_text()
        new = text.replace(f"memory: {self.declared(app)}", f"memory: {need}", 1)
        promise = Promise(
            namespace="media", kind="Deployment", workload=app, container="app",
            before={"memory_request": self.declared(app)}, after={"memory_request": need},
        )  # fmt: skip
        digest = f"{app}-{need}-{file}".replace("/", "-").ljust(32, "0")
        body = f"words\n<!-- rightsize:{digest} -->\n{hidden('home', [promise])}\n"
        gain = float(need - self.declared(app))
        title = f"{app} to {need}"
        branch = f"{PREFIX}media-{app}"
        text_of = Text(title, body)
        return Wanted(branch, text_of, title, digest, {file: (text, new)}, (promise,), (gain,))

    def people(self) -> None:
        """Each open pull request meets somebody, or nobody; somebody else moves files about."""
        for pull in [p for p in self.forge.pulls if p.state == "open"]:
            app = pull.branch.removeprefix(f"{PREFIX}media-")
            act = self.chance.choice(["merge", "close", "edit", "ignore", "ignore", "ignore"])
            if act == "merge":
                self._merge(pull.number, app)
            elif act == "close":
                pull.state = "closed"
                self.closed_at[app] = int(pull.title.rpartition(" ")[2])
                self.git(self.forge.bare, "update-ref", "-d", f"refs/heads/{pull.branch}")
                self.theirs.pop(pull.branch, None)
            elif act == "edit" and pull.branch not in self.theirs:
                self._edit(pull.branch, app)
            self.done[act] += 1
        self.refresh()
        if self.chance.random() < 0.4:
            self._move(self.chance.choice(APPS))
        for app in APPS:
            if self.chance.random() < 0.15:
                self.needs[app] = max(100, round(self.needs[app] * self.chance.uniform(0.5, 2)))

    def _merge(self, number: int, app: str) -> None:
        """By the button, where it still merges without a conflict; the branch is deleted."""
        branch = self.forge.pull(number).branch
        self.refresh()
        self.git(self.checkout, "fetch", "-q", str(self.forge.bare), branch)
        try:
            self.git(self.checkout, "merge", "-q", "--no-ff", "-m", f"merge {number}", "FETCH_HEAD")
        except AssertionError:  # a conflict: left for the next run to rebase
            self.git(self.checkout, "merge", "--abort")
            self.done["conflict"] += 1
            return
        where = str(self.forge.bare)
        self.git(self.checkout, "push", "-q", where, "HEAD:main", f":refs/heads/{branch}")
        self.forge.pull(number).state, self.forge.pull(number).merged = "closed", True
        self.closed_at.pop(app, None)
        self.theirs.pop(branch, None)

    def _edit(self, branch: str, app: str) -> None:
        """A person commits to our branch."""
        self.git(self.checkout, "fetch", "-q", str(self.forge.bare), branch)
        self.git(self.checkout, "checkout", "-q", "--detach", "FETCH_HEAD")
        (self.checkout / f"apps/{app}.txt").write_text("I know better\n")
        self.git(self.checkout, "add", "-A")
        self.git(self.checkout, "commit", "-qm", "I know better")
        self.git(self.checkout, "push", "-q", str(self.forge.bare), f"HEAD:refs/heads/{branch}")
        self.theirs[branch] = self.git(self.checkout, "rev-parse", "HEAD")
        self.git(self.checkout, "checkout", "-q", "main")

    def _move(self, app: str) -> None:
        """A file is renamed, or a line is added to it as a bot that follows charts would."""
        old = self.checkout / self.files[app]
        if self.chance.random() < 0.5:
            self.files[app] = f"apps/{app}-{self.chance.randrange(10**6)}.yaml"
            old.rename(self.checkout / self.files[app])
        else:
            old.write_text(f"{old.read_text()}# chart {self.chance.randrange(10**6)}\n")
        self.push("something else")


def test_weeks_with_people_lose_nothing_and_churn_nothing(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path
) -> None:
    """After each week, from a fresh clone: every change is somewhere, a person's work stays.

    Nobody is asked again for what they closed, few are open, and what did not move is not touched:
    a second run of the same week does nothing at all.
    """
    git(checkout, "rm", "-q", "-r", "apps")
    (checkout / "apps").mkdir(exist_ok=True)
    home = Home(forge, checkout, git, random.Random(20261123))
    home.start()
    for week in range(WEEKS):
        fresh = clone(tmp_path / f"week-{week}", forge, git)
        before, wanted = forge.heads(), home.wanted()
        done = deliver(wanted, "home", desk(forge, fresh, most_open=MOST_OPEN))
        check_week(home, done, wanted, before)
        heads = forge.heads()
        again = deliver(wanted, "home", desk(forge, fresh, most_open=MOST_OPEN))
        assert {o.move.verb for o in again.outcomes} <= {"keep", "hands off", "held", "wait"}
        assert forge.heads() == heads
        home.people()
    acts = ("merge", "close", "edit", "ignore")
    verbs = ("open", "refresh", "keep", "hands off", "held", "wait", "retire")
    assert [what for what in (*acts, *verbs) if not home.done[what]] == [], "a test of less"


def check_week(home: Home, done: Delivery, wanted: list[Wanted], before: dict[str, str]) -> None:
    """What must hold after every run."""
    forge, verbs = home.forge, {o.move.branch: o.move.verb for o in done.outcomes}
    home.done.update(verbs.values())
    assert not done.failed and len(verbs) == len(done.outcomes)
    opened = forge.open_branches()
    assert len(opened) == len(set(opened)) <= MOST_OPEN + len(home.theirs)
    heads = forge.heads()
    for branch, commit in home.theirs.items():
        assert heads[branch] == commit, "a person's commit is gone"
    for one in wanted:
        verb = verbs[one.branch]
        assert (one.branch in opened) == (verb in ("open", "refresh", "keep", "hands off")), verb
        app = one.branch.removeprefix(f"{PREFIX}media-")
        moved = abs(home.needs[app] - home.closed_at.get(app, 10**9)) / home.closed_at.get(app, 1)
        if verb == "held":
            assert app in home.closed_at and moved < 0.25
        if verb == "open" and app in home.closed_at:
            assert moved >= 0.25
            del home.closed_at[app]
        if verb in ("open", "refresh", "keep"):
            file, (_, new) = next(iter(one.edits.items()))
            assert home.git(forge.bare, "show", f"{one.branch}:{file}") == new.strip()
            assert home.git(forge.bare, "rev-list", "--count", f"main..{one.branch}") == "1"
        if verb == "keep":
            assert heads[one.branch] == before[one.branch]
