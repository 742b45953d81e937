"""A repository that people and bots work in: what it declares, and what they do in a week."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from analyzer.forge.promise import Key, Promise, promised
from analyzer.forge.promise import key_of as key_of_promise
from analyzer.quantity import Cpu, Memory, Resources
from benchmarks.loop.simulate import resources_of
from benchmarks.loop.worlds import Given, Workload
from tests.forge.standin import Pull, Standin

OURS, BOTS = "rightsize/loop/", "renovate/"
STAGING, PRODUCTION = "staging", "production"
_BODY = {"requests": ("cpu_request", "memory_request"), "limits": ("cpu_limit", "memory_limit")}
_IDENTITY = ("-c", "user.name=A Person", "-c", "user.email=person@example.org")
_CHARTED = 3
"""One in so many is declared by a release of a chart, the others by manifests."""


def git(folder: Path, *arguments: str, fails: bool = False) -> str:
    """What git prints; with `fails`, the empty text where it fails."""
    done = subprocess.run(
        ["git", *_IDENTITY, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0 and not fails:
        raise RuntimeError(f"git {arguments[0]}: {done.stderr}")
    return done.stdout.strip() if done.returncode == 0 else ""


def key_of(workload: Workload) -> Key:
    """Which container it is, as promises name it."""
    return workload.namespace, workload.kind, workload.shown, workload.container


def manifest(workload: Workload, resources: Resources) -> str:
    """What declares a workload: a manifest of its own.

    All amounts are on one line, next to the image: who changes both meets a conflict.
    """
    line = yaml.safe_dump(_amounts(resources), default_flow_style=True, sort_keys=False, width=999)
    container = {"name": workload.container, "resources": "HERE", "image": "example.org/app:1"}
    text = _yaml(
        {
            "apiVersion": "apps/v1",
            "kind": workload.kind,
            "metadata": {"name": workload.shown, "namespace": workload.namespace},
            "spec": {"template": {"spec": {"containers": [container]}}},
        }
    )
    return text.replace("HERE", line.strip(), 1)


def release(workload: Workload, resources: Resources) -> str:
    """What declares a workload: a release of a chart, whose values hold the amounts."""
    image = {"repository": "example.org/app", "tag": "1"}
    container = {"image": image, "resources": _amounts(resources)}
    controller = {"type": workload.kind.lower(), "containers": {workload.container: container}}
    source = {"kind": "HelmRepository", "name": "charts"}
    chart = {"chart": "app-template", "version": "3.0.4", "sourceRef": source}
    return _yaml(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": workload.shown, "namespace": workload.namespace},
            "spec": {
                "interval": "1h",
                "chart": {"spec": chart},
                "values": {"controllers": {"main": controller}},
            },
        }
    )


def declared(text: str) -> Resources:
    """The amounts that a file declares."""
    found = Resources()
    stated = _container(yaml.safe_load(text))["resources"]
    for kind, targets in _BODY.items():
        amounts = stated.get(kind) or {}
        for name, target in zip(("cpu", "memory"), targets, strict=True):
            if name in amounts:
                parse = Cpu.parse if name == "cpu" else Memory.parse
                found = found.with_amount(target, parse(amounts[name]))
    return found


def _container(tree: dict[str, Any]) -> dict[str, Any]:
    if tree["kind"] == "HelmRelease":
        (controller,) = tree["spec"]["values"]["controllers"].values()
        (found,) = controller["containers"].values()
    else:
        (found,) = tree["spec"]["template"]["spec"]["containers"]
    return dict(found)


def _amounts(resources: Resources) -> dict[str, dict[str, str]]:
    return {
        kind: {name: str(amount) for name, target in zip(("cpu", "memory"), targets, strict=True)
               if (amount := resources.amount(target)) is not None}
        for kind, targets in _BODY.items()
    }  # fmt: skip


def _yaml(tree: object) -> str:
    return str(yaml.safe_dump(tree, sort_keys=False))


@dataclass
class Home:
    """The repository, and what people have done to each of our branches."""

    forge: Standin
    root: Path
    chance: random.Random
    files: dict[Key, str] = field(default_factory=dict)
    edited: dict[str, str] = field(default_factory=dict)
    """Commits of persons, by branch."""
    refused: dict[str, tuple[Promise, ...]] = field(default_factory=dict)
    """What was promised when a person closed it, by branch."""
    bots: dict[str, tuple[Key, str]] = field(default_factory=dict)
    """What a bot's branch is about, and what kind of update it brings."""
    counts: Counter[str] = field(default_factory=Counter)

    def start(self, workloads: tuple[Workload, ...]) -> None:
        """A file for each workload."""
        for number, workload in enumerate(workloads):
            key = key_of(workload)
            self.files[key] = f"apps/{workload.namespace}/{workload.shown}.yaml"
            charted = number % _CHARTED == 0 and workload.kind in ("Deployment", "StatefulSet")
            write = release if charted else manifest
            self._file(key).parent.mkdir(parents=True, exist_ok=True)
            self._file(key).write_text(write(workload, resources_of(Given.of(workload))))
        self._share("the start")

    def _file(self, key: Key) -> Path:
        return self.root / self.files[key]

    def _share(self, message: str) -> None:
        """What the working tree holds becomes the base."""
        git(self.root, "add", "-A")
        git(self.root, "commit", "-qm", message)
        git(self.root, "push", "-q", "origin", "HEAD:main")

    def refresh(self) -> None:
        """The working tree becomes what the base holds."""
        git(self.root, "fetch", "-q", "origin", "main")
        git(self.root, "checkout", "-q", "-B", "main", "FETCH_HEAD")

    def declared(self) -> dict[Key, Resources]:
        """What the base declares."""
        return {key: declared(self._file(key).read_text()) for key in self.files}

    def week(self) -> None:
        """A week of people and bots: with each open pull request, and with the files."""
        for pull in self._open(OURS):
            act = self.chance.choices(
                ["merge", "close", "edit", "stop", "ignore"], [8, 2, 2, 0.3, 8]
            )[0]
            if act == "merge" and self._merge(pull):
                self._forget(pull.branch)
            elif act == "close":
                self._close(pull)
            elif act == "edit" and pull.branch not in self.edited:
                self._edit(pull)
            elif act == "stop":
                pull.labels.append("rightsize/stop")
            self.counts[act] += 1
        for pull in self._open(BOTS):
            if self.chance.random() < 0.5 and not self._merge(pull):
                self._renovate(*self.bots[pull.branch], again=pull.branch)
        self.refresh()
        for _ in range(3):
            among = self._proposed() if self.chance.random() < 0.5 else []
            key = self.chance.choice(among or sorted(self.files))
            act = self.chance.choice(["rename", "bump", "bot", "bot", "move", "by hand"])
            self._somebody(act, key)

    def _open(self, prefix: str) -> Iterator[Pull]:
        found = [p for p in self.forge.pulls if p.state == "open" and p.branch.startswith(prefix)]
        return iter(found)

    def _proposed(self) -> list[Key]:
        """What our open pull requests are about: others change the same files."""
        found = {key_of_promise(p) for pull in self._open(OURS) for p in promised(pull.body)}
        return sorted(found)

    def _somebody(self, act: str, key: Key) -> None:
        """One thing that somebody does with a file."""
        if act == "rename":
            self._rename(key)
        elif act == "by hand":
            self._by_hand(key)
        elif act == "move" and "HelmRelease" not in self._file(key).read_text():
            self._rename(key)
        elif act in ("bot", "move"):
            self._renovate(key, act)
        else:
            self._file(key).write_text(self._updated(self._file(key).read_text(), act))
            self._share(f"{act} {key[2]}")

    def _updated(self, text: str, act: str) -> str:
        """Another image, in a line near the amounts; or another chart, whose values moved."""
        number = str(self.chance.randrange(10**6))
        if act == "move":
            (old,) = yaml.safe_load(text)["spec"]["values"]["controllers"]
            text = text.replace(f"      {old}:\n", f"      c{number}:\n", 1)
            return text.replace("version: 3.", "version: 4.", 1)
        (image,) = [
            line for line in text.split("\n") if line.lstrip().startswith(("image: ", "tag: "))
        ]
        new = f"{image.rpartition(':')[0]}: '{number}'" if "tag:" in image else (
            f"{image.rpartition(':')[0]}:{number}"
        )  # fmt: skip
        return text.replace(f"{image}\n", f"{new}\n", 1)

    def _renovate(self, key: Key, act: str, again: str = "") -> None:
        """What a bot proposes on a branch of its own, made anew where it cannot be merged."""
        branch = again or f"{BOTS}{key[2]}-{self.chance.randrange(10**6)}"
        self.refresh()
        git(self.root, "checkout", "-q", "--detach")
        self._file(key).write_text(self._updated(self._file(key).read_text(), act))
        git(self.root, "commit", "-qam", f"Update {key[2]}")
        git(self.root, "push", "-qf", "origin", f"HEAD:refs/heads/{branch}")
        git(self.root, "checkout", "-q", "main")
        if not again:
            self.bots[branch] = key, act
            made = self.forge.open(branch, "main", f"Update {key[2]}", "by a bot")
            assert isinstance(made, Pull), made
        self.counts["bots: made anew" if again else "bots: opened"] += 1

    def _merge(self, pull: Pull) -> bool:
        """By the button, where it still merges; the branch is deleted."""
        self.refresh()
        git(self.root, "fetch", "-q", "origin", pull.branch)
        message = f"merge {pull.number}"
        git(self.root, "merge", "-q", "--no-ff", "-m", message, "FETCH_HEAD", fails=True)
        if git(self.root, "status", "--porcelain"):
            git(self.root, "merge", "--abort")
            self.counts["conflict"] += 1
            return False
        git(self.root, "push", "-q", "origin", "HEAD:main", f":refs/heads/{pull.branch}")
        pull.state, pull.merged = "closed", True
        return True

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

    def _rename(self, key: Key) -> None:
        new = f"apps/{key[0]}/{key[2]}-{self.chance.randrange(10**6)}.yaml"
        self._file(key).rename(self.root / new)
        self.files[key] = new
        self._share(f"move {key[2]}")

    def _by_hand(self, key: Key) -> None:
        """Somebody sets what they like, right on the base."""
        text = self._file(key).read_text()
        now = declared(text).memory_request
        if now is not None and self.chance.random() < 0.5:
            more = f"memory: {now.scale(1.5)}"
            self._file(key).write_text(text.replace(f"memory: {now}", more, 1))
            self._share(f"resize {key[2]}")
