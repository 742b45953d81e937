"""Every command says the same of the same container, whatever the policy."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from analyzer.cli import main
from analyzer.forge.promise import promised
from analyzer.quantity import TARGETS, Cpu, Memory
from analyzer.sources.recording.recording import save_recording
from tests.forge.standin import TOKEN, Standin, serve
from tests.scenarios import world
from tests.scenarios.parts import nodes

SHOP = world.Scenario(
    name="shop",
    given="",
    boxes=[
        world.Box(),
        world.Box(workload="api", cpu=0.9, cpu_request="200m", cpu_limit="2"),
        world.Box(workload="big", cpu=1.4, cpu_request="500m", memory=900, memory_limit="1Gi"),
    ],
    expect={},
    why="",
    nodes=nodes(2.0, 2.0),
)
POLICIES: list[dict[str, Any]] = [
    {},
    {"memory_floor": "2Gi", "cpu_floor": "300m"},
    {"cpu_limit": "keep", "memory_limit": "request", "max_decrease": 0.2},
    {"direction": "raise", "spare_nodes": 1},
]


def call(*words: str) -> str:
    """What a command says on stdout."""
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done.stdout


def manifest(box: world.Box) -> dict[str, Any]:
    """The Deployment of a box, as Git declares it."""
    resources = world.resources_of(box).as_manifest()
    pod = {"containers": [{"name": box.name, "image": "app:1", "resources": resources}]}
    labels = {"app": box.workload}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": box.workload, "namespace": "shop"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def amounts_of(records: list[dict[str, Any]]) -> dict[str, Any]:
    """By workload, what is proposed."""
    return {record["ref"]["workload"]: record["proposed"] for record in records}


HEADINGS = ("CPU request:", "CPU limit:", "memory request:", "memory limit:")


def headings(record: dict[str, Any]) -> list[str]:
    """How `explain` heads each amount of a recommendation of ``run.json``."""
    found = []
    for heading, target in zip(HEADINGS, TARGETS, strict=True):
        now, new = (record[when].get(target) or "-" for when in ("current", "proposed"))
        found.append(f"{heading} {now}" + (f" -> {new}" if now != new else ""))
    return found


def added(diff: str) -> dict[str, set[str]]:
    """By file, the texts that a diff puts in."""
    found: dict[str, set[str]] = {}
    for line in diff.splitlines():
        if line.startswith("+++ "):
            lines = found.setdefault(Path(line[4:]).stem, set())
        elif line.startswith("+"):
            lines.add(line.rpartition(":")[2].strip().strip("'\""))
    return found


def promises(folder: Path, repository: Path, words: list[str]) -> dict[str, Any]:
    """By workload, what the pull requests of a dry run would promise, as amounts are spelt."""
    bare = folder / "served" / "team" / "cluster.git"
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-qm", "base"],
        ["clone", "-q", "--bare", str(repository), str(bare)],
    ):
        subprocess.run(["git", "-C", str(repository), *command], check=True)
    settings = yaml.safe_load((folder / "settings.yaml").read_text("utf-8"))
    with serve(Standin(bare)) as forge:
        settings["forge"] = {"kind": "github", "url": forge.api("github"), "dashboard": False}
        (folder / "forge.yaml").write_text(yaml.safe_dump(settings), "utf-8")
        given = ["--config", str(folder / "forge.yaml"), *words[2:-1], forge.git_url]
        sent = call("pr", *given, "--open", "--dry-run")
    found = [p for line in sent.splitlines() if "/pulls {" in line for p in promised(line)]
    return {p.workload: spelt(p.after) for p in found}


def spelt(amounts: dict[str, int]) -> dict[str, str]:
    """Amounts in millicores and bytes as manifests have them."""
    return {
        name: str((Cpu if name.startswith("cpu") else Memory)(amount))
        for name, amount in amounts.items()
    }


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: "-".join(policy) or "default")
def test_every_command_says_the_same_of_a_container(
    tmp_path: Path, policy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """run.json, recommend, explain, the diff of Git and the sums on nodes, each made anew."""
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    save_recording(world.recording_of([SHOP]), tmp_path / "r")
    repository = tmp_path / "git"
    repository.mkdir()
    for box in SHOP.boxes:
        (repository / f"{box.workload}.yaml").write_text(yaml.safe_dump(manifest(box)), "utf-8")
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump({"policy": policy}), "utf-8")
    words = ["--config", str(tmp_path / "settings.yaml"), "--ledger", "off", "-q"]
    words += ["--source", f"recording:{tmp_path / 'r'}", "--repo", str(repository)]
    quick = ["--no-charts", "--no-backtest", "-o", str(tmp_path / "out")]
    call("run", *words, *quick)
    run = json.loads((tmp_path / "out" / "run.json").read_text("utf-8"))
    proposed = amounts_of(run["recommendations"])
    assert set(proposed) == {"web", "api", "big"}
    told = json.loads(call("recommend", *words, "-o", "json"))
    assert amounts_of(told["recommendations"]) == proposed
    explained = call("explain", *(f"shop/{name}/app" for name in proposed), *words)
    wanted = [heading for one in run["recommendations"] for heading in headings(one)]
    said = (line.strip() for line in explained.splitlines())
    assert sorted(line for line in said if line.startswith(HEADINGS)) == sorted(wanted)
    assert promises(tmp_path, repository, words) == {
        one["ref"]["workload"]: {t: amount for t, amount in one["proposed"].items() if amount}
        for one in run["recommendations"]
        if one["proposed"] != one["current"]
    }
    edits = added(call("diff", *words))
    for one in run["recommendations"]:
        name, now = one["ref"]["workload"], one["current"]
        changed = {one["proposed"].get(t) for t in TARGETS if one["proposed"].get(t) != now.get(t)}
        assert edits.get(name, set()) == changed - {None}, name
    packed = json.loads(call("nodes", *words, "-o", "json"))["nodes"]
    cores = sum(Cpu.parse(each["cpu_request"]).cores for each in proposed.values())
    assert sum(node["cpu_after"] for node in packed) == pytest.approx(cores)
