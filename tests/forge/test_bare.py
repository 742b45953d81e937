"""Without a forge: branches, and what the remote itself remembers of them."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

from analyzer.errors import UsageError
from analyzer.forge.act import Desk
from analyzer.forge.bare import Bare
from analyzer.forge.delivery import Delivery, deliver
from analyzer.forge.forges import repository_of
from analyzer.forge.promise import Promise, promised
from analyzer.forge.remote import Access, Remote
from analyzer.forge.settings import ForgeSettings
from analyzer.gitops.land.diff import Author
from analyzer.ledger import no_ledger
from analyzer.ledger.table import amounts_of, ref_of
from analyzer.pull_requests import refusals
from tests.conftest import program_or_skip
from tests.forge.conftest import Git, clone
from tests.forge.standin import Standin
from tests.forge.test_delivery import MERGED, PREFIX, SECRET, verbs, want

ROOT = Path(__file__).parents[2]
SONARR, PLEX = f"{PREFIX}media-sonarr", f"{PREFIX}media-plex"


def desk(forge: Standin, checkout: Path, *, dry_run: bool = False) -> Desk:
    """Where branches are handled, and nothing else is there."""
    remote = Remote(checkout, "origin", Author(), Access(forge.git_url, token=SECRET))
    return Desk(Bare(remote, dry_run), remote, ForgeSettings(kind="none"), dry_run)


def run(forge: Standin, checkout: Path, sonarr: str = "900Mi") -> Delivery:
    """A week's run that wants two changes."""
    done = deliver([want("sonarr", sonarr), want("plex", "4096Mi")], "home", desk(forge, checkout))
    assert not done.failed
    return done


def test_a_branch_that_somebody_deleted_is_not_made_again(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path
) -> None:
    """Not from a fresh clone either; once an amount has moved by a quarter it is."""
    assert verbs(run(forge, checkout)) == {"media-sonarr": "open", "media-plex": "open"}
    assert verbs(run(forge, checkout)) == {"media-sonarr": "keep", "media-plex": "keep"}
    git(forge.bare, "update-ref", "-d", f"refs/heads/{SONARR}")
    for name in ("one", "two"):
        done = run(forge, clone(tmp_path / name, forge, git), "850Mi")
        assert verbs(done) == {"media-sonarr": "held", "media-plex": "keep"}
        assert sorted(forge.heads()) == ["main", PLEX]
    assert verbs(run(forge, checkout, "600Mi"))["media-sonarr"] == "open"
    assert verbs(run(forge, checkout, "600Mi"))["media-sonarr"] == "keep"


def test_the_ledger_learns_of_it_once(forge: Standin, checkout: Path, git: Git) -> None:
    """With the amounts that were proposed, by the name of the container."""
    run(forge, checkout)
    git(forge.bare, "update-ref", "-d", f"refs/heads/{SONARR}")
    done = run(forge, checkout)
    (rows,) = refusals(done, "home", MERGED, no_ledger())
    ledger = no_ledger().plus(rows)
    (row,) = ledger.decisions
    assert str(ref_of(row)) == "media/Deployment/sonarr/app" and row["decision"] == "closed"
    assert amounts_of(row, "proposed").memory_request is not None
    assert refusals(done, "home", MERGED, ledger) == []


@pytest.mark.parametrize("way", ["merge", "squash", "rebase"])
def test_what_was_merged_is_no_refusal(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path, way: str
) -> None:
    """However it got into the base, and although its branch is gone."""
    run(forge, checkout)
    theirs = clone(tmp_path / "theirs", forge, git)
    git(theirs, "fetch", "-q", str(forge.bare), SONARR)
    git(theirs, "commit", "-q", "--allow-empty", "-m", "meanwhile")
    if way == "merge":
        git(theirs, "merge", "-q", "--no-ff", "-m", "merge", "FETCH_HEAD")
    elif way == "squash":
        git(theirs, "merge", "-q", "--squash", "FETCH_HEAD")
        git(theirs, "commit", "-qm", "smaller (#1)")
    else:
        git(theirs, "cherry-pick", "FETCH_HEAD")
    git(theirs, "push", "-q", str(forge.bare), "HEAD:main", f":{SONARR}")
    done = deliver([want("plex", "4096Mi")], "home", desk(forge, checkout))
    assert verbs(done) == {"media-plex": "keep"}
    last = Bare(desk(forge, checkout).remote).latest(SONARR)
    assert last is not None and last.state == "merged"
    assert promised(last.text.body)[0].workload == "sonarr"


def test_what_a_run_took_back_itself_is_no_refusal(forge: Standin, checkout: Path) -> None:
    """It deletes what nothing asks for any more, and makes it again when something does."""
    run(forge, checkout)
    gone = deliver([want("plex", "4096Mi")], "home", desk(forge, checkout))
    assert verbs(gone)["media-sonarr"] == "retire" and SONARR not in forge.heads()
    assert verbs(run(forge, checkout))["media-sonarr"] == "open"


def test_a_run_that_was_killed_after_its_push_is_taken_up(
    forge: Standin, checkout: Path, git: Git
) -> None:
    """The branch is there and nothing is kept of it yet: kept now, and not pushed again."""
    run(forge, checkout)
    git(forge.bare, "update-ref", "-d", f"refs/rightsize/proposed/{SONARR}")
    heads = forge.heads()
    assert verbs(run(forge, checkout))["media-sonarr"] == "open"
    assert forge.heads() == heads
    git(forge.bare, "update-ref", "-d", f"refs/heads/{SONARR}")
    assert verbs(run(forge, checkout))["media-sonarr"] == "held"


def test_a_dry_run_pushes_nothing(forge: Standin, checkout: Path, git: Git) -> None:
    """No branch, and nothing that is kept beside it."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout, dry_run=True))
    assert git(forge.bare, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_amounts_that_nobody_promised_are_none() -> None:
    """Who may edit a description may write what they like: a negative amount is no promise."""
    from analyzer.forge.promise import hidden

    odd = Promise(
        namespace="a", kind="Deployment", workload="b", container="c", after={"cpu_request": -1}
    )
    assert promised(hidden("home", [odd])) == ()


def test_commits_are_signed_where_git_is_set_up_to(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path
) -> None:
    """By an ssh key here; git itself accepts the signature, and nothing else changes."""
    key, allowed = tmp_path / "key", tmp_path / "allowed"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(make, check=True)
    allowed.write_text(f"{Author().email} {key.with_suffix('.pub').read_text()}")
    for name, value in (
        ("gpg.format", "ssh"),
        ("user.signingKey", str(key)),
        ("commit.gpgSign", "true"),
    ):
        git(checkout, "config", name, value)
    run(forge, checkout)
    assert verbs(run(forge, checkout)) == {"media-sonarr": "keep", "media-plex": "keep"}
    git(forge.bare, "config", "gpg.ssh.allowedSignersFile", str(allowed))
    shown = git(forge.bare, "log", "-1", "--format=%G? %s", SONARR)
    assert shown == "G sonarr to 900Mi"


def test_commits_are_signed_by_gpg_where_git_is_set_up_to(
    forge: Standin, checkout: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a key that comes as a file, put into a keyring as the component for the cluster does it.

    The agents of both keyrings end with the test.
    """
    gpg, component = str(program_or_skip("gpg")), "deploy/components/git-signing-gpg/cronjob.yaml"
    pod = yaml.safe_load((ROOT / component).read_text("utf-8"))["spec"]["jobTemplate"]["spec"]
    (step,) = pod["template"]["spec"]["initContainers"]
    # A longer path would not do for the agent's socket.
    with tempfile.TemporaryDirectory(prefix="gpg-") as name:
        made, given, key = (Path(name) / part for part in ("made", "given", "key.asc"))
        made.mkdir(0o700)
        monkeypatch.setenv("GNUPGHOME", str(made))
        who = ["--passphrase", "", "--quick-generate-key", f"rightsize <{Author().email}>"]
        subprocess.run([gpg, "--batch", "--quiet", *who, "ed25519", "sign"], check=True)
        export = [gpg, "--batch", "--armor", "--output", str(key), "--export-secret-keys"]
        subprocess.run(export, check=True)
        subprocess.run(["gpgconf", "--kill", "all"], check=True)
        monkeypatch.setenv("GNUPGHOME", str(given))
        monkeypatch.setenv("SIGNING_KEY", str(key))
        subprocess.run(step["command"], check=True, capture_output=True)
        git(checkout, "config", "commit.gpgSign", "true")
        git(checkout, "config", "user.signingKey", Author().email)
        run(forge, checkout)
        shown = ["log", "-1", "--format=%G? %s", SONARR]
        said = subprocess.check_output(["git", *shown], cwd=forge.bare, text=True)
        subprocess.run(["gpgconf", "--kill", "all"], check=True)
    # Good, of a key that nobody has vouched for in this keyring.
    assert said.strip() == "U sonarr to 900Mi"


def test_a_repository_set_without_its_owner_is_named() -> None:
    """What is set is what is wrong, not the remote's address."""
    settings = ForgeSettings(repository="k8s")
    with pytest.raises(UsageError, match=r"forge\.repository is 'k8s'; write it as owner/name"):
        repository_of(settings, "https://git.example.org/ops/k8s.git")
