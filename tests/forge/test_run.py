"""Pull requests of a run: from the command line to the forge, with the sample cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer import landing
from analyzer.cli import main
from analyzer.forge.promise import promised
from analyzer.gitops.land.changes import plan_on
from analyzer.gitops.land.worktree import clone
from analyzer.report import load_report
from tests.forge.conftest import Git
from tests.forge.standin import TOKEN, Reply, Standin, serve

SAMPLE = Path(__file__).parents[2] / "sample-data"


def settings(folder: Path, forge: Standin, **more: object) -> Path:
    """A settings file that names the forge, since a host of this machine tells nothing."""
    file = folder / "settings.yaml"
    chosen = {"kind": "github", "url": forge.api("github"), "most_open": 2, **more}
    file.write_text(json.dumps({"forge": chosen}))
    return file


def pr(*arguments: object) -> Result:
    """`rightsize pr` in this process."""
    return CliRunner().invoke(main, ["pr", "-q", *map(str, arguments)])


def state(checkout: Path) -> dict[str, bytes]:
    """Every file of a checkout, those of git too."""
    files = (path for path in checkout.rglob("*") if path.is_file())
    return {str(path.relative_to(checkout)): path.read_bytes() for path in files}


def test_a_run_looks_at_its_repository_once(
    served: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is delivered is what was found: one clone, one plan, and both are proposed from."""
    done_so_far: list[str] = []

    def counted(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **more: object) -> object:
            done_so_far.append(name)
            return real(*arguments, **more)

        return call

    monkeypatch.setattr(landing, "plan_on", counted("plan", plan_on))
    monkeypatch.setattr(landing, "clone", counted("clone", clone))
    with serve(served) as forge:
        file = settings(tmp_path, forge, dashboard=False)
        given = ["run", "-q", "--source", f"recording:{SAMPLE}/recording", "-n", "ai"]
        given += ["--no-charts", "--no-backtest", "--ledger", str(tmp_path / "ledger")]
        given += ["--repo", forge.git_url, "--config", str(file), "-o", str(tmp_path / "out")]
        done = CliRunner().invoke(main, [*given, "--pr"])
        assert done.exit_code in (0, 3), done.output
        assert len(forge.pulls) == 2, done.output
        assert done_so_far == ["clone", "plan"]
        forge.pulls[0].state = "closed"
        assert CliRunner().invoke(main, [*given, "--pr"]).exit_code in (0, 3)
    told = CliRunner().invoke(main, ["history", "-o", "json", "--ledger", str(tmp_path / "ledger")])
    fates = [p["fate"] for p in json.loads(told.output)["proposals"]]
    assert "rejected" in fates, told.output


def test_settings_in_the_repository_hold_for_a_run(
    served: Standin, tmp_path: Path, git: Git
) -> None:
    """What a team wrote beside its files leaves a namespace alone; the rest is not taken."""
    git(tmp_path, "clone", "-q", str(served.bare), "theirs")
    text = "rules: [{namespace: ai, set: {direction: 'off'}}]\nforge: {kind: none}\n"
    (tmp_path / "theirs" / "rightsize.yaml").write_text(text)
    git(tmp_path / "theirs", "add", "-A")
    git(tmp_path / "theirs", "commit", "-qm", "hands off")
    git(tmp_path / "theirs", "push", "-q", str(served.bare), "main")
    with serve(served) as forge:
        file = settings(tmp_path, forge, dashboard=False)
        given = ["run", "--source", f"recording:{SAMPLE}/recording", "-n", "ai", "--no-charts"]
        given += ["--no-backtest", "--repo", forge.git_url, "--config", str(file)]
        done = CliRunner().invoke(main, [*given, "-o", str(tmp_path / "out"), "--pr"])
        assert "forge is for whoever runs this to set" in done.output, done.output
        assert forge.pulls == [] and not load_report(tmp_path / "out").changed


def test_from_a_finished_run_to_open_pull_requests(
    served: Standin, run_json: Path, tmp_path: Path, git: Git
) -> None:
    """A dry run touches nothing; then the two most urgent are opened; then nothing changes."""
    with serve(served) as forge:
        checkout = tmp_path / "checkout"
        git(tmp_path, "clone", "-q", str(forge.bare), "checkout")
        git(checkout, "remote", "set-url", "origin", forge.git_url)
        given = ["--from", run_json, "--repo", checkout, "--config", settings(tmp_path, forge)]
        (checkout / "mine.txt").write_text("not committed")
        before = state(checkout)
        dry = pr(*given, "--open", "--dry-run")
        assert state(checkout) == before
        (checkout / "mine.txt").unlink()
        assert dry.exit_code == 0, dry.output
        assert list(forge.heads()) == ["main"] and forge.pulls == [] and TOKEN not in dry.output
        sent = [line.split(" ", 5)[3:] for line in dry.output.splitlines() if "would send" in line]
        bodies = [json.loads(body)["body"] for method, _, body in sent if method == "POST"]
        assert len(bodies) == 3 and any("→" in body for body in bodies)
        done = pr(*given, "--open")
        assert done.exit_code == 0, done.output
        assert len(forge.pulls) == 2 and len(forge.issues) == 1
        assert done.output.count("\nwait ") + done.output.startswith("wait ") > 3
        recommended = load_report(run_json).recommendations
        for pull in forge.pulls:
            (promise, *_) = promised(pull.body)
            assert promise.namespace == "media" and promise.after != promise.before
            (known,) = [r for r in recommended if r.ref.workload == promise.workload]
            assert promise.predicted == pytest.approx(dict(known.predicted), rel=1e-3)
        assert any(promised(pull.body)[0].predicted for pull in forge.pulls)
        heads = forge.heads()
        assert pr(*given, "--open").exit_code == 0
        assert forge.heads() == heads and len(forge.pulls) == 2
        assert git(checkout, "status", "--porcelain") == ""


def test_an_address_will_do_and_is_cloned_with_the_token(
    served: Standin, run_json: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job needs no checkout of its own: the token that opens also clones and pushes."""
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    (tmp_path / "token").write_text(TOKEN + "\n")
    with serve(served) as forge:
        file = settings(tmp_path, forge, token_file=str(tmp_path / "token"), dashboard=False)
        given = ["--from", run_json, "--repo", forge.git_url, "--config", file]
        done = pr(*given, "--open")
        assert done.exit_code == 0, done.output
        assert len(forge.pulls) == 2 and forge.issues == []


def test_what_fails_is_partial(served: Standin, run_json: Path, tmp_path: Path, git: Git) -> None:
    """One refused pull request is named, the other is made, and the exit code says so."""
    with serve(served) as forge:
        git(tmp_path, "clone", "-q", str(forge.bare), "checkout")
        git(tmp_path / "checkout", "remote", "set-url", "origin", forge.git_url)
        left: list[Reply] = [(422, {"message": "protected"}, {})]
        forge.weather = lambda method, path: (
            left.pop() if left and (method, path[-5:]) == ("POST", "pulls") else None
        )
        file = settings(tmp_path, forge)
        done = pr("--from", run_json, "--repo", tmp_path / "checkout", "--config", file, "--open")
        assert done.exit_code == 3, done.output
        assert "not delivered" in done.output and "protected" in done.output
        assert len(forge.pulls) == 1


def test_a_partial_run_makes_its_branches(
    served: Standin, run_json: Path, tmp_path: Path, git: Git
) -> None:
    """What could not be asked is named and makes exit code 3; the branches are made, as set."""
    checkout, file = tmp_path / "checkout", tmp_path / "settings.yaml"
    git(tmp_path, "clone", "-q", str(served.bare), "checkout")
    asked = {"ask": True, "kubeconfig": str(tmp_path / "nowhere")}
    author = {"author_email": "size@example.org"}
    file.write_text(json.dumps({"kubernetes": asked, "forge": author}))
    done = pr("--from", run_json, "--repo", checkout, "--config", file, "--branches")
    assert done.exit_code == 3, done.output
    shape = "--format=%(authoremail)"
    made = git(checkout, "for-each-ref", shape, "refs/heads/rightsize").splitlines()
    assert made and set(made) == {"<size@example.org>"}


@pytest.mark.parametrize("address", ["https://user:pw@host/x", "https://ghp_secret@host/x"])
def test_credentials_in_an_address_are_refused(tmp_path: Path, address: str) -> None:
    """With or without a user: it would stand in the list of processes."""
    with pytest.raises(Exception, match="holds credentials") as caught:
        clone(address, None, tmp_path / "x")
    assert "secret" not in str(caught.value)


def test_only_what_leaves_the_machine_can_be_tried_dry(tmp_path: Path) -> None:
    """A flag without effect is an error."""
    done = pr("--from", tmp_path / "run.json", "--repo", tmp_path, "--branches", "--dry-run")
    assert done.exit_code == 2 and "--dry-run goes with --open" in done.output
    words = ["--open", "--branches", "--dry-run"]
    done = pr("--from", tmp_path / "run.json", "--repo", tmp_path, *words)
    assert done.exit_code == 2 and "--dry-run makes no branches" in done.output


def test_what_waits_for_an_earlier_stage_is_on_the_dashboard(
    served: Standin, run_json: Path, tmp_path: Path
) -> None:
    """Of a stage that nothing is known of all waits, but for what was killed or throttled.

    A ticked box opens it all the same; without a ledger nothing is known of any stage.
    """
    stages = [{"name": "staging", "namespaces": ["nowhere"]}, {"name": "production"}]
    with serve(served) as forge:
        file = settings(tmp_path, forge, stages=stages, most_open=50)
        given = ["--from", run_json, "--repo", forge.git_url, "--config", file, "--open"]
        done = pr(*given, "--ledger", tmp_path / "ledger")
        assert done.exit_code == 0, done.output
        board = forge.issues[0]["body"]
        waits = "staging comes first, and no container of it is known"
        assert waits in board and forge.pulls
        urgent = len(forge.pulls)
        assert all("down" not in pull.title for pull in forge.pulls)
        forge.issues[0]["body"] = board.replace("- [ ]", "- [x]", 1)
        assert pr(*given, "--ledger", tmp_path / "ledger").exit_code == 0
        assert len(forge.pulls) == urgent + 1
        assert pr(*given).exit_code == 0
        assert "no ledger is kept" in forge.issues[0]["body"]
