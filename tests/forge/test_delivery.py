"""The life of pull requests over several runs, with real git over HTTP behind the stand-in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analyzer.errors import GitOpsError
from analyzer.forge.act import Desk
from analyzer.forge.body import RETIRED, shortened
from analyzer.forge.cycle import NOW as NOW_LABEL
from analyzer.forge.cycle import STOP, Sight, Wanted
from analyzer.forge.delivery import Delivery, Past, deliver
from analyzer.forge.forges import FORGES
from analyzer.forge.promise import Promise, hidden, largest_move, promised
from analyzer.forge.protocol import ForgeError, Text
from analyzer.forge.remote import Access, Remote
from analyzer.forge.rest import Rest, Token
from analyzer.forge.settings import ForgeSettings
from analyzer.gitops.land.diff import Author
from analyzer.ledger.outcome import Outcome as Happened
from analyzer.quantity import Memory, Resources
from analyzer.workload import ContainerRef
from tests.forge.conftest import FILES, Git, clone
from tests.forge.standin import NOW, REPOSITORY, TOKEN, Standin

PREFIX = "rightsize/home/"
MERGED = datetime.fromisoformat(NOW)
Run = Callable[..., Delivery]
SECRET = Token(variables=("T",), environment={"T": TOKEN})


def want(app: str, memory: str, *, urgency: float = 1.0, amount: int | None = None) -> Wanted:
    """A proposal that the file of one application says `memory`."""
    file = f"apps/{app}.yaml"
    mib = amount or int(memory.removesuffix("Mi"))
    promises = (
        Promise(
            namespace="media",
            kind="Deployment",
            workload=app,
            container="app",
            after={"memory_request": mib},
            predicted={"memory": 640.0 * 2**20},
        ),
    )
    digest = f"{app}-{memory}".ljust(32, "0")
    body = f"words\n<!-- rightsize:{digest} -->\n{hidden('home', promises)}\n"
    return Wanted(
        branch=f"{PREFIX}media-{app}",
        text=Text(f"{app} to {memory}", body),
        message=f"{app} to {memory}",
        digest=digest,
        edits={file: (FILES[file], f"memory: {memory}\n")},
        promises=promises,
        urgency=(urgency,),
    )


@pytest.fixture(params=sorted(FORGES))
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of forge in turn, for what must hold on all."""
    return str(request.param)


@pytest.fixture(params=["github", "gitlab", "gitea"])
def kind_with_charts(request: pytest.FixtureRequest) -> str:
    """Each kind of forge that shows pictures of a branch."""
    return str(request.param)


def desk(forge: Standin, checkout: Path, kind: str = "github", **settings: object) -> Desk:
    """Where pull requests are handled."""
    found = FORGES[kind]
    token = Token(variables=("T",), environment={"T": TOKEN})
    rest = Rest(forge.api(kind), token, found.header, wait=lambda _seconds: None)
    remote = Remote(checkout, "origin", Author(), Access(forge.git_url, token=token))
    chosen = {"dashboard": False} | settings
    return Desk(found.make(rest, REPOSITORY), remote, msgspec.convert(chosen, ForgeSettings))


def verbs(delivery: Delivery) -> dict[str, str]:
    """What happened to each branch."""
    return {o.move.branch.removeprefix(PREFIX): o.move.verb for o in delivery.outcomes}


def test_a_week_later_nothing_is_touched(
    forge: Standin, checkout: Path, git: Git, kind: str
) -> None:
    """Opened once, with the edit alone on top of the base; the next runs change nothing."""
    wanted = [want("sonarr", "900Mi"), want("plex", "4096Mi")]
    first = deliver(wanted, "home", desk(forge, checkout, kind))
    assert verbs(first) == {"media-sonarr": "open", "media-plex": "open"} and not first.failed
    heads = forge.heads()
    assert forge.open_branches() == [f"{PREFIX}media-plex", f"{PREFIX}media-sonarr"]
    assert git(forge.bare, "show", f"{PREFIX}media-sonarr:apps/sonarr.yaml") == "memory: 900Mi"
    assert git(forge.bare, "rev-list", "--count", f"main..{PREFIX}media-sonarr") == "1"
    forge.calls.clear()
    again = deliver(wanted, "home", desk(forge, checkout, kind))
    assert verbs(again) == {"media-sonarr": "keep", "media-plex": "keep"}
    assert forge.heads() == heads and all(call.startswith("GET") for call in forge.calls)
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "branch", "--format=%(refname:short)") == "main"


def test_moved_numbers_replace_the_commit(forge: Standin, checkout: Path, git: Git) -> None:
    """Still one commit, a new title and body, the same pull request."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    done = deliver([want("sonarr", "700Mi")], "home", desk(forge, checkout))
    assert verbs(done) == {"media-sonarr": "refresh"}
    (pull,) = forge.pulls
    assert pull.title == "sonarr to 700Mi"
    assert git(forge.bare, "rev-list", "--count", f"main..{PREFIX}media-sonarr") == "1"


def test_hands_off_a_persons_commit_even_from_a_fresh_clone(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path, kind: str
) -> None:
    """What a person pushed stays, and they are told so once."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout, kind))
    theirs = clone(tmp_path / "theirs", forge, git)
    git(theirs, "fetch", "-q", str(forge.bare), f"{PREFIX}media-sonarr")
    git(theirs, "checkout", "-q", "FETCH_HEAD")
    (theirs / "apps" / "sonarr.yaml").write_text("memory: 1500Mi\n")
    git(theirs, "commit", "-qam", "I know better")
    git(theirs, "push", "-q", str(forge.bare), f"HEAD:refs/heads/{PREFIX}media-sonarr")
    tip = forge.heads()[f"{PREFIX}media-sonarr"]
    fresh = clone(tmp_path / "fresh", forge, git)
    for _ in range(2):
        wanted = [want("sonarr", "700Mi"), want("plex", "4096Mi")]
        done = deliver(wanted, "home", desk(forge, fresh, kind))
        assert verbs(done)["media-sonarr"] == "hands off" and not done.failed
    assert forge.heads()[f"{PREFIX}media-sonarr"] == tip
    assert len(forge.pulls[0].comments) == 1
    assert verbs(done)["media-plex"] == "keep"


def test_an_amended_commit_is_a_persons(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path
) -> None:
    """They keep our name as the author; they are the committer."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    theirs = clone(tmp_path / "theirs", forge, git)
    git(theirs, "fetch", "-q", str(forge.bare), f"{PREFIX}media-sonarr")
    git(theirs, "checkout", "-q", "FETCH_HEAD")
    (theirs / "apps" / "sonarr.yaml").write_text("memory: 1500Mi\n")
    git(theirs, "commit", "-qa", "--amend", "--no-edit")
    git(theirs, "push", "-qf", str(forge.bare), f"HEAD:refs/heads/{PREFIX}media-sonarr")
    done = deliver([want("sonarr", "700Mi")], "home", desk(forge, checkout))
    assert verbs(done) == {"media-sonarr": "hands off"}


def test_the_most_urgent_come_first_and_the_rest_wait(forge: Standin, checkout: Path) -> None:
    """At most so many are open; the next one comes when one is merged."""
    wanted = [want("sonarr", "900Mi", urgency=3), want("plex", "9000Mi", urgency=0)]
    done = deliver(wanted, "home", desk(forge, checkout, most_open=1))
    assert verbs(done) == {"media-plex": "open", "media-sonarr": "wait"}
    forge.merge(1)
    done = deliver(wanted[:1], "home", desk(forge, checkout, most_open=1))
    assert verbs(done) == {"media-sonarr": "open"}


def test_what_a_person_closed_stays_closed_until_it_moves(
    forge: Standin, checkout: Path, git: Git, kind: str
) -> None:
    """By a quarter of an amount at least; a deleted branch changes nothing of that."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout, kind))
    forge.pulls[0].state = "closed"
    git(forge.bare, "update-ref", "-d", f"refs/heads/{PREFIX}media-sonarr")
    for memory in ("900Mi", "1100Mi"):
        done = deliver([want("sonarr", memory)], "home", desk(forge, checkout, kind))
        assert verbs(done) == {"media-sonarr": "held"}
        assert "2026-11-23" in done.outcomes[0].move.reason
    done = deliver([want("sonarr", "1200Mi")], "home", desk(forge, checkout, kind))
    assert verbs(done) == {"media-sonarr": "open"} and len(forge.pulls) == 2


def test_nothing_left_closes_and_deletes_and_is_no_rejection(
    forge: Standin, checkout: Path, kind: str
) -> None:
    """What a run closed by itself may come back with the same numbers."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout, kind))
    done = deliver([], "home", desk(forge, checkout, kind))
    assert verbs(done) == {"media-sonarr": "retire"}
    assert forge.open_branches() == [] and list(forge.heads()) == ["main"]
    done = deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout, kind))
    assert verbs(done) == {"media-sonarr": "open"}


def test_a_partial_run_closes_nothing(forge: Standin, checkout: Path) -> None:
    """What was not looked at is not gone."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    done = deliver([], "home", desk(forge, checkout), sight=Sight(complete=False))
    assert verbs(done) == {"media-sonarr": "keep"} and forge.pulls[0].state == "open"


def test_what_cannot_be_told_is_not_closed(forge: Standin, checkout: Path) -> None:
    """A container that was skipped, or not seen, or not edited this time may need its change yet.

    Once another proposal covers it, or it is settled, the pull request goes.
    """
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    unsure = Sight(settled=lambda _promise: False)
    done = deliver([], "home", desk(forge, checkout), sight=unsure)
    assert verbs(done) == {"media-sonarr": "keep"} and forge.pulls[0].state == "open"
    assert "media/Deployment/sonarr/app" in done.outcomes[0].move.reason
    elsewhere = replace(want("sonarr", "900Mi"), branch=f"{PREFIX}media")
    done = deliver([elsewhere], "home", desk(forge, checkout), sight=unsure)
    assert verbs(done) == {"media": "open", "media-sonarr": "retire"}


def test_what_was_merged_and_taken_back_is_a_no(forge: Standin, checkout: Path, git: Git) -> None:
    """A revert is a person's answer; asked for by them, it is made anew on the present base."""
    one = want("sonarr", "900Mi")
    deliver([one], "home", desk(forge, checkout))
    base = forge.heads()["main"]
    forge.merge(1)
    git(checkout, "fetch", "-q", str(forge.bare), "main")
    git(checkout, "checkout", "-q", "-B", "revert", "FETCH_HEAD")
    git(checkout, "revert", "--no-edit", "HEAD")
    git(checkout, "push", "-q", str(forge.bare), "HEAD:main")
    assert git(checkout, "diff", base, "HEAD") == ""
    done = deliver([one], "home", desk(forge, checkout))
    assert verbs(done) == {"media-sonarr": "held"}
    assert "taken it back" in done.outcomes[0].move.reason
    lower = deliver([want("sonarr", "600Mi")], "home", desk(forge, checkout))
    assert verbs(lower) == {"media-sonarr": "open"}
    forge.pulls.pop()
    forge.pulls[0].labels.append(NOW_LABEL)
    done = deliver([one], "home", desk(forge, checkout))
    assert verbs(done) == {"media-sonarr": "open"} and not done.failed


def test_a_raise_after_a_merge_is_no_second_try(forge: Standin, checkout: Path) -> None:
    """What starts from the merged amount is another proposal, however small the step."""
    (promise,) = want("sonarr", "900Mi").promises
    first = replace(want("sonarr", "900Mi"), promises=(replaced(promise, before=2048),))
    first = replace(first, text=Text("t", hidden("home", first.promises)))
    deliver([first], "home", desk(forge, checkout))
    forge.merge(1)
    next_one = replace(want("sonarr", "1000Mi"), promises=(replaced(promise, before=900),))
    edits = {"apps/sonarr.yaml": ("memory: 900Mi\n", "memory: 1000Mi\n")}
    done = deliver([replace(next_one, edits=edits)], "home", desk(forge, checkout))
    assert verbs(done) == {"media-sonarr": "open"} and not done.failed


def replaced(promise: Promise, *, before: int) -> Promise:
    """The same promise, from another amount."""
    return msgspec.structs.replace(promise, before={"memory_request": before})


def test_a_spoilt_promise_does_not_bring_back_what_was_closed(
    forge: Standin, checkout: Path
) -> None:
    """A person rewrote the words and closed it: without what it promised, closed is closed."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    forge.pulls[0].state, forge.pulls[0].body = "closed", "no thanks"
    done = deliver([want("sonarr", "100Mi")], "home", desk(forge, checkout))
    assert verbs(done) == {"media-sonarr": "held"}


def test_files_below_a_folder_of_the_repository(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path
) -> None:
    """Where a folder is analysed, its paths count from there, for looking and for writing."""
    one = want("sonarr", "900Mi")
    one = replace(one, edits={"sonarr.yaml": one.edits["apps/sonarr.yaml"]})
    deliver([one], "home", desk(forge, checkout / "apps"))
    theirs = clone(tmp_path / "theirs", forge, git)
    (theirs / "apps" / "sonarr.yaml").write_text("image: new\nmemory: 2Gi\n")
    git(theirs, "commit", "-qam", "renovate")
    git(theirs, "push", "-q", str(forge.bare), "HEAD:main")
    edits = {"sonarr.yaml": ("image: new\nmemory: 2Gi\n", "image: new\nmemory: 900Mi\n")}
    done = deliver([replace(one, edits=edits)], "home", desk(forge, checkout / "apps"))
    assert verbs(done) == {"media-sonarr": "refresh"} and not done.failed


def test_what_the_checkout_is_set_to_changes_nothing(
    forge: Standin, checkout: Path, git: Git
) -> None:
    """No tag is pushed, no remote branch seen moves, and signatures stand in nobody's way."""
    git(checkout, "commit", "-q", "--allow-empty", "-m", "one more")
    git(checkout, "push", "-q", str(forge.bare), "HEAD:main")
    git(checkout, "tag", "-a", "mine", "-m", "not for the world")
    for name in ("push.followTags", "fetch.prune", "log.showSignature"):
        git(checkout, "config", name, "true")
    seen = git(checkout, "rev-parse", "origin/main")
    for _ in range(2):
        done = deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    assert verbs(done) == {"media-sonarr": "keep"} and not done.failed
    assert git(checkout, "rev-parse", "origin/main") == seen != forge.heads()["main"]
    assert git(forge.bare, "tag") == ""


def test_a_branch_may_become_a_folder_of_branches(forge: Standin, checkout: Path, git: Git) -> None:
    """What was seen of a branch that is gone is not in the way of the next."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    git(forge.bare, "update-ref", "-d", f"refs/heads/{PREFIX}media-sonarr")
    git(forge.bare, "update-ref", f"refs/heads/{PREFIX}media-sonarr/x", forge.heads()["main"])
    done = deliver([want("plex", "4096Mi")], "home", desk(forge, checkout))
    assert verbs(done)["media-plex"] == "open" and not done.failed


def test_other_clusters_are_left_alone(forge: Standin, checkout: Path) -> None:
    """Another cluster's pull requests in the same repository count for nothing here."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    done = deliver([], "homelab", desk(forge, checkout))
    assert done.outcomes == () and forge.pulls[0].state == "open"


def test_the_stop_label_is_heeded(forge: Standin, checkout: Path, kind: str) -> None:
    """Neither refreshed nor closed."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout, kind))
    forge.pulls[0].labels.append(STOP)
    if kind.startswith("bitbucket"):  # where a word in the title stands for a label
        forge.pulls[0].title = f"[{STOP}] {forge.pulls[0].title}"
    tip = forge.heads()[f"{PREFIX}media-sonarr"]
    for wanted in ([want("sonarr", "600Mi")], []):
        done = deliver(wanted, "home", desk(forge, checkout, kind))
        assert verbs(done) == {"media-sonarr": "hands off"}
    assert forge.heads()[f"{PREFIX}media-sonarr"] == tip


def test_one_that_fails_stops_no_other(forge: Standin, checkout: Path, kind: str) -> None:
    """A refused one is named, the others are made, and the next run takes it up."""
    wanted = [want("plex", "4096Mi"), want("radarr", "500Mi"), want("sonarr", "900Mi")]
    real = forge.open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forge, "open", lambda b, *a: "no" if "radarr" in b else real(b, *a))
        done = deliver(wanted, "home", desk(forge, checkout, kind))
    assert len(done.failed) == 1 and "media-radarr" in done.failed[0]
    assert forge.open_branches() == [f"{PREFIX}media-plex", f"{PREFIX}media-sonarr"]
    tip = forge.heads()[f"{PREFIX}media-radarr"]
    done = deliver(wanted, "home", desk(forge, checkout, kind))
    assert verbs(done)["media-radarr"] == "open" and not done.failed
    assert forge.heads()[f"{PREFIX}media-radarr"] == tip


def test_a_token_that_ends_half_way_is_taken_up_by_the_next_run(
    forge: Standin, checkout: Path, kind: str
) -> None:
    """What was opened before stays, the rest is named; with a fresh token all is there, once."""
    wanted = [want("plex", "4096Mi"), want("radarr", "500Mi"), want("sonarr", "900Mi")]
    real = forge.open

    def last(*arguments: str) -> Any:
        forge.tokens.clear()
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forge, "open", last)
        done = deliver(wanted, "home", desk(forge, checkout, kind, dashboard=True))
    assert len(forge.open_branches()) == 1
    assert any("renew it" in problem for problem in done.failed), done.failed
    assert all(TOKEN not in problem for problem in done.failed)
    forge.tokens.add(TOKEN)
    again = deliver(wanted, "home", desk(forge, checkout, kind, dashboard=True))
    assert not again.failed and len(forge.open_branches()) == 3
    assert sorted(verbs(again).values()) == ["keep", "open", "open"]


def test_a_base_that_changed_elsewhere_costs_no_push(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path
) -> None:
    """A commit is made anew only where the base has changed the files that it edits."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    tip = forge.heads()[f"{PREFIX}media-sonarr"]
    theirs = clone(tmp_path / "theirs", forge, git)
    (theirs / "other.yaml").write_text("x: 1\n")
    git(theirs, "add", "-A")
    git(theirs, "commit", "-qm", "elsewhere")
    git(theirs, "push", "-q", str(forge.bare), "HEAD:main")
    done = deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    assert verbs(done) == {"media-sonarr": "keep"}
    (theirs / "apps" / "sonarr.yaml").write_text("image: new\nmemory: 2Gi\n")
    git(theirs, "commit", "-qam", "renovate")
    git(theirs, "push", "-q", str(forge.bare), "HEAD:main")
    git(checkout, "pull", "-q", str(forge.bare), "main")
    moved = replace(
        want("sonarr", "900Mi"),
        edits={"apps/sonarr.yaml": ("image: new\nmemory: 2Gi\n", "image: new\nmemory: 900Mi\n")},
    )
    done = deliver([moved], "home", desk(forge, checkout))
    assert verbs(done) == {"media-sonarr": "refresh"} and not done.failed
    assert forge.heads()[f"{PREFIX}media-sonarr"] != tip
    shown = git(forge.bare, "show", f"{PREFIX}media-sonarr:apps/sonarr.yaml")
    assert shown == "image: new\nmemory: 900Mi"


def test_a_checkout_behind_its_remote_writes_nothing_old(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path
) -> None:
    """A file that changed on the base since it was analysed is named, and not overwritten."""
    theirs = clone(tmp_path / "theirs", forge, git)
    (theirs / "apps" / "sonarr.yaml").write_text("memory: 3Gi\n")
    git(theirs, "commit", "-qam", "a person raised it")
    git(theirs, "push", "-q", str(forge.bare), "HEAD:main")
    done = deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    assert len(done.failed) == 1 and "apps/sonarr.yaml differs" in done.failed[0]
    assert list(forge.heads()) == ["main"]


def test_a_push_in_between_is_not_overwritten(
    forge: Standin, checkout: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is the commit that was looked at: a person who is faster wins."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    real = Remote.write

    def slow(self: Remote, *arguments: Any) -> str:
        git(forge.bare, "update-ref", f"refs/heads/{PREFIX}media-sonarr", forge.heads()["main"])
        return real(self, *arguments)

    monkeypatch.setattr(Remote, "write", slow)
    done = deliver([want("sonarr", "700Mi")], "home", desk(forge, checkout))
    assert len(done.failed) == 1 and "pushed to it meanwhile" in done.failed[0]
    assert forge.heads()[f"{PREFIX}media-sonarr"] == forge.heads()["main"]


def test_a_shallow_clone_will_do_and_a_whole_one_stays_whole(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path
) -> None:
    """The history of a checkout is not cut off by looking at branches."""
    for number in range(4):
        git(checkout, "commit", "-q", "--allow-empty", "-m", str(number))
    git(checkout, "push", "-q", str(forge.bare), "main")
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    deliver([want("sonarr", "700Mi")], "home", desk(forge, checkout))
    assert git(checkout, "rev-list", "--count", "main") == "5"
    assert git(checkout, "rev-parse", "--is-shallow-repository") == "false"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{forge.bare}", "shallow")
    shallow = tmp_path / "shallow"
    git(shallow, "remote", "set-url", "origin", forge.git_url)
    assert verbs(deliver([want("sonarr", "700Mi")], "home", desk(forge, shallow))) == {
        "media-sonarr": "keep"
    }
    assert verbs(deliver([want("sonarr", "600Mi")], "home", desk(forge, shallow))) == {
        "media-sonarr": "refresh"
    }


def test_no_hook_of_the_checkout_runs(forge: Standin, checkout: Path) -> None:
    """Neither a hook nor what the caller's environment says of git."""
    hook = checkout / ".git" / "hooks" / "pre-push"
    hook.write_text("#!/bin/sh\ntouch hooked\nexit 1\n")
    hook.chmod(0o755)
    done = deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    assert not done.failed and not (checkout / "hooked").exists()


def test_the_token_is_in_no_configuration_and_no_error(
    forge: Standin, checkout: Path, git: Git
) -> None:
    """It goes to git by a file that is gone afterwards."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    for path in (checkout / ".git").rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()
    wrong = desk(forge, checkout)
    bad = Token(variables=("T",), environment={"T": "canary-wrong"})
    wrong = replace(wrong, remote=replace(wrong.remote, access=Access(forge.git_url, token=bad)))
    with pytest.raises(Exception) as caught:
        deliver([want("sonarr", "900Mi")], "home", wrong)
    assert "canary" not in str(caught.value)


def test_the_token_is_for_its_host_alone(checkout: Path, git: Git) -> None:
    """Another address of the remote, a redirect or an LFS server is given nothing."""
    access = Access("https://me@forge.example:8443/team/cluster.git", token=SECRET)
    said = []
    with access.variables() as variables:
        for host in ("forge.example:8443", "forge.example", "evil.example:8443"):
            done = subprocess.run(
                ["git", "credential", "fill"],
                input=f"protocol=https\nhost={host}\n\n",
                cwd=checkout,
                env=os.environ | {"GIT_TERMINAL_PROMPT": "0"} | variables,
                capture_output=True,
                check=False,
                text=True,
            )
            said.append(TOKEN in done.stdout + done.stderr)
        assert TOKEN not in str(variables)
    assert said == [True, False, False]


def test_the_dashboard_says_what_waits_and_hears_a_tick(forge: Standin, checkout: Path) -> None:
    """Kept in place; written only when it changes; a ticked box opens past the limit."""
    wanted = [want("sonarr", "900Mi", urgency=3), want("plex", "9000Mi", urgency=0)]
    some = desk(forge, checkout, most_open=1, dashboard=True)
    deliver(wanted, "home", some)
    deliver(wanted, "home", some)
    (issue,) = forge.issues
    assert "### Waiting for a turn" in issue["body"] and "sonarr to 900Mi" in issue["body"]
    forge.calls.clear()
    deliver(wanted, "home", some)
    assert not [c for c in forge.calls if c.startswith(("POST", "PATCH"))]
    issue["body"] = issue["body"].replace("[ ]", "[x]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forge, "open", lambda *_: "not today")
        assert deliver(wanted, "home", some).failed and "[x]" in issue["body"]
    done = deliver(wanted, "home", some)
    assert verbs(done) == {"media-plex": "keep", "media-sonarr": "open"}


def test_a_dashboard_that_fails_is_named(forge: Standin, checkout: Path) -> None:
    """The pull requests are made all the same."""
    forge.weather = lambda method, path: (
        (410, {"message": "Issues are disabled"}, {})
        if method == "POST" and path.endswith("/issues")
        else None
    )
    done = deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout, dashboard=True))
    assert forge.open_branches() and "Issues are disabled" in done.failed[0]


def test_issues_that_cannot_be_listed_cost_no_pull_request(forge: Standin, checkout: Path) -> None:
    """Where they are switched off the pull requests are made, and no second dashboard either."""
    forge.weather = lambda method, path: (
        (410, {"message": "Issues are disabled"}, {})
        if method == "GET" and path.endswith("/issues")
        else None
    )
    done = deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout, dashboard=True))
    assert forge.open_branches() and "Issues are disabled" in done.failed[0]
    assert forge.issues == []


def test_names_from_strangers_stay_text(forge: Standin, checkout: Path) -> None:
    """On the dashboard a title mentions nobody, opens no tag and ticks no box."""
    evil = "@everyone <img src=x> [x](http://e) `x`"
    one = replace(want("sonarr", "900Mi"), text=Text(evil, "b"))
    deliver([one], "home", desk(forge, checkout, dashboard=True))
    (issue,) = forge.issues
    assert "@everyone" not in issue["body"].replace("\\@everyone", "")
    assert "<img" not in issue["body"].replace("\\<img", "")


def test_a_long_body_is_cut_and_keeps_what_is_hidden() -> None:
    """The digest and the promise survive; where the promise alone is too long, the digest does."""
    promise = hidden("home", want("sonarr", "900Mi").promises)
    body = "line\n" * 20_000 + f"<!-- rightsize:{'0' * 32} -->\n{promise}\n"
    cut = shortened(body, 5000)
    assert len(cut) <= 5000 and promised(cut) == want("sonarr", "900Mi").promises
    many = hidden("home", want("sonarr", "900Mi").promises * 500)
    cut = shortened("line\n" * 500 + f"<!-- rightsize:{'0' * 32} -->\n{many}\n", 1000)
    assert len(cut) <= 1000 and "rightsize:000" in cut


def test_a_cut_leaves_nothing_open() -> None:
    """Neither a block of code nor a folded part swallows what stands below the cut."""
    body = "<details><summary>x</summary>\n\n```promql\n" + "max(x)\n" * 500 + "```\n\n</details>\n"
    cut = shortened(f"{body}<!-- rightsize:{'0' * 32} -->\n", 1000)
    assert len(cut) <= 1000 and cut.count("```") == 2 and cut.count("</details>") == 1
    assert cut.index("</details>") < cut.index("(shortened")


def test_one_that_was_about_to_be_closed_is_whole_again(forge: Standin, checkout: Path) -> None:
    """A run was killed between the words and the closing, and now it is wanted after all."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    forge.pulls[0].body = f"{RETIRED}\n{forge.pulls[0].body}"
    done = deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    assert verbs(done) == {"media-sonarr": "refresh"} and RETIRED not in forge.pulls[0].body


def test_a_promise_survives_any_name() -> None:
    """Base64 holds what would end the comment; a spoilt one is none."""
    name = "--> <script> \u202e @x"
    one = Promise(namespace=name, kind="Deployment", workload="x", container="y", after={"m": 3})
    text = hidden(name, [one])
    assert text.count("-->") == 1 and promised(f"words {text} words") == (one,)
    assert promised(text.replace("promise:", "promise:!")) == ()
    assert promised("<!-- rightsize-promise:AAAA -->") == ()


def test_how_far_a_promise_moved() -> None:
    """The largest relative difference; another container is another matter."""
    (old,), (new,) = want("sonarr", "1000Mi").promises, want("sonarr", "750Mi").promises
    assert largest_move([old], [new]) == 0.25
    assert largest_move([old], [old]) == 0.0
    assert largest_move([], [old]) == float("inf")


def happened(app: str, mib: int, *, weeks: float, kills: int = 0) -> Happened:
    """What came of a merged change of one application."""
    return Happened(
        ref=ContainerRef("home", "media", "Deployment", app, "app"),
        merged=MERGED,
        origin="proposed",
        before=Resources(memory_request=Memory.parse("2Gi")),
        now=Resources(memory_request=Memory(mib)),
        weeks=weeks,
        promised={"memory_request": 0.1},
        happened={"memory_request": 0.0},
        kills=kills,
        throttled=0.0,
        cpu_cores=0.21,
        memory_bytes=700.0 * 2**20,
        restarts=3,
    )


def test_a_merged_one_is_told_what_came_of_it_once_a_time(
    forge: Standin, checkout: Path, kind: str
) -> None:
    """Nothing before a week; one comment after the first, one after the fourth, none between."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout, kind))
    forge.merge(1)
    comments = forge.pulls[0].comments
    for weeks, said in ((0.5, 0), (1.0, 1), (2.0, 1), (3.9, 2), (4.5, 2)):
        past = Past(MERGED + timedelta(weeks=weeks), (happened("sonarr", 900, weeks=weeks),))
        done = deliver([], "home", desk(forge, checkout, kind), past)
        assert len(comments) == said and not done.failed, weeks
    assert "After one week" in comments[0] and "After 4 weeks" in comments[1]
    assert "0.0% of the weeks, 10.0% stated" in comments[0]
    (row,) = [line for line in comments[0].splitlines() if "sonarr" in line]
    told = [cell.strip() for cell in row.replace("\\", "").strip("|").split("|")[1:]]
    assert told[:2] == ["210m, nothing predicted", "700Mi, 640Mi predicted"]
    assert told[4:] == ["0", "3", "0", "0%"]


def test_harm_is_said_at_once(forge: Standin, checkout: Path) -> None:
    """A kill does not wait for the week to end, and stands beside both ways out."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    forge.merge(1)
    came = happened("sonarr", 900, weeks=0.1, kills=2)
    instead = {came.ref: "memory limit 1Gi → 3Gi"}
    past = Past(MERGED + timedelta(days=1), (came,), instead)
    for _ in range(2):
        deliver([], "home", desk(forge, checkout, dashboard=True), past)
    (comment,) = forge.pulls[0].comments
    assert "done harm" in comment and "OOM-killed 2 times" in comment
    assert "Revert this pull request, or merge what is proposed instead" in comment
    assert "To take it back: memory request" in comment
    assert "→ 2Gi. Proposed instead: memory limit 1Gi → 3Gi." in comment
    assert "1 merged change: memory above the request: 10.0% stated, 0.0% came" in (
        forge.issues[0]["body"].replace("\\", "")
    )


def test_amounts_that_hold_no_more_are_not_judged(forge: Standin, checkout: Path) -> None:
    """Somebody has changed them since: what came is not of this promise."""
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    forge.merge(1)
    past = Past(MERGED + timedelta(weeks=2), (happened("sonarr", 1000, weeks=2, kills=1),))
    deliver([], "home", desk(forge, checkout), past)
    assert forge.pulls[0].comments == []


def test_charts_are_shown_from_a_branch_of_their_own(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path, kind_with_charts: str
) -> None:
    """Each text shows the picture of the commit it was pushed with; older pictures stay."""
    chart = tmp_path / "media--deployment--sonarr--app.png"
    commits = []
    for memory, content in (("900Mi", b"PNG one"), ("700Mi", b"PNG two")):
        chart.write_bytes(content)
        wanted = [replace(want("sonarr", memory), pictures=(chart,)), want("plex", "4096Mi")]
        assert not deliver(wanted, "home", desk(forge, checkout, kind_with_charts)).failed
        plex, sonarr = sorted(forge.pulls, key=lambda pull: pull.branch)
        body = sonarr.body
        commit = forge.heads()["rightsize-charts"]
        assert commit in body.partition("words")[0] and "/home/media--deployment" in body
        commits.append(commit)
    assert plex.body.startswith("words")
    where = f"{commits[0]}:home/{chart.name}"
    assert git(forge.bare, "cat-file", "blob", where) == "PNG one"
    assert git(forge.bare, "rev-list", "--count", "rightsize-charts") == "2"
    assert git(forge.bare, "ls-tree", "-r", "--name-only", commits[1]) == f"home/{chart.name}"


def test_charts_that_nobody_can_be_shown_are_not_pushed(
    forge: Standin, checkout: Path, tmp_path: Path
) -> None:
    """A branch of pictures is for the texts that show them."""
    chart = tmp_path / "media--deployment--sonarr--app.png"
    chart.write_bytes(b"PNG")
    wanted = [replace(want("sonarr", "900Mi"), pictures=(chart,))]
    assert not deliver(wanted, "home", desk(forge, checkout, "azure")).failed
    assert sorted(forge.heads()) == ["main", f"{PREFIX}media-sonarr"]


def test_charts_that_cannot_be_pushed_cost_no_pull_request(
    forge: Standin, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are named as missing, and the words go out without them."""
    chart = tmp_path / "x.png"
    chart.write_bytes(b"png")
    refused = ForgeError("the server refuses it")
    monkeypatch.setattr(Remote, "put_files", lambda *_: (_ for _ in ()).throw(refused))
    wanted = [replace(want("sonarr", "900Mi"), pictures=(chart,))]
    done = deliver(wanted, "home", desk(forge, checkout))
    assert forge.open_branches() and done.failed == (
        "the charts are not shown: the server refuses it",
    )


def test_a_branch_of_a_person_gets_no_charts(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path
) -> None:
    """Even by the same name: what they keep there is not built upon."""
    chart = tmp_path / "x.png"
    chart.write_bytes(b"png")
    git(checkout, "push", "-q", str(forge.bare), "main:refs/heads/rightsize-charts")
    tip = forge.heads()["rightsize-charts"]
    wanted = [replace(want("sonarr", "900Mi"), pictures=(chart,))]
    done = deliver(wanted, "home", desk(forge, checkout))
    assert "rightsize-charts is a person's" in done.failed[0]
    assert forge.heads()["rightsize-charts"] == tip and forge.pulls[0].state == "open"


def test_a_shallow_clone_keeps_the_history_it_has(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path
) -> None:
    """Looking at a branch that stands on an old commit cuts off nothing of a person's clone."""
    for number in range(5):
        git(checkout, "commit", "-q", "--allow-empty", "-m", str(number))
    git(checkout, "push", "-q", str(forge.bare), "main")
    deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    git(checkout, "commit", "-q", "--allow-empty", "-m", "later")
    git(checkout, "push", "-q", str(forge.bare), "main")
    git(tmp_path, "clone", "-q", "--depth=4", f"file://{forge.bare}", "shallow")
    shallow = tmp_path / "shallow"
    git(shallow, "remote", "set-url", "origin", forge.git_url)
    done = deliver([want("sonarr", "900Mi")], "home", desk(forge, shallow))
    assert verbs(done) == {"media-sonarr": "keep"}
    assert int(git(shallow, "rev-list", "--count", "main")) >= 4


def test_two_clusters_add_charts_at_once(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower one looks again: both are there."""
    chart = tmp_path / "x.png"
    chart.write_bytes(b"png")
    remote = desk(forge, checkout).remote
    real = Remote.push

    def slower(self: Remote, branch: str, *rest: Any) -> None:
        monkeypatch.setattr(Remote, "push", real)
        remote.put_files(branch, {"other/x.png": chart}, "theirs")
        real(self, branch, *rest)

    monkeypatch.setattr(Remote, "push", slower)
    commit = remote.put_files("rightsize-charts", {"home/x.png": chart}, "ours")
    names = git(forge.bare, "ls-tree", "-r", "--name-only", commit)
    assert names.split() == ["home/x.png", "other/x.png"]


def test_a_missing_remote_is_one_sentence(checkout: Path, forge: Standin) -> None:
    """It names the remote and what to set."""
    some = desk(forge, checkout)
    some = replace(some, remote=replace(some.remote, name="upstream"))
    with pytest.raises(Exception, match="no remote 'upstream'"):
        some.remote.url()


def test_an_unreachable_forge_is_one_sentence(forge: Standin, checkout: Path) -> None:
    """Nothing is pushed before the forge was asked."""
    some = desk(forge, checkout)
    # Every forge has it, the Protocol does not.
    some.forge.rest.base = "http://127.0.0.1:9/"  # type: ignore[attr-defined]
    with pytest.raises(ForgeError, match="cannot be reached"):
        deliver([want("sonarr", "900Mi")], "home", some)
    assert list(forge.heads()) == ["main"] and os.environ["GITHUB_TOKEN"] == TOKEN


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("This repository was archived so it is read-only.", "the repository is archived"),
        ("Write access to repository not granted.", "the token is refused, may not do this"),
    ],
)
def test_a_repository_that_takes_no_changes_is_one_sentence(
    forge: Standin, checkout: Path, said: str, told: str
) -> None:
    """Read by everybody, written by nobody: each is named, and nothing is half done."""
    forge.closed = said
    done = deliver([want("sonarr", "900Mi"), want("plex", "9000Mi")], "home", desk(forge, checkout))
    assert len(done.failed) == 2 and all(told in problem for problem in done.failed)
    assert all("\n" not in problem and TOKEN not in problem for problem in done.failed)
    assert forge.pulls == [] and list(forge.heads()) == ["main"]
    forge.closed = ""
    assert not deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout)).failed


def test_a_default_branch_that_was_renamed_is_followed(
    forge: Standin, checkout: Path, git: Git
) -> None:
    """The next run proposes to it; a base that was set by name and is gone is one sentence."""
    git(forge.bare, "branch", "-m", "main", "trunk")
    forge.default_branch = "trunk"
    done = deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout))
    assert not done.failed and forge.pulls[0].base == "trunk"
    with pytest.raises(GitOpsError, match=r"no such branch any more; check forge\.base"):
        deliver([want("sonarr", "900Mi")], "home", desk(forge, checkout, base="main"))


def test_two_runs_at_once_leave_one_pull_request_each(
    forge: Standin, checkout: Path, git: Git, tmp_path: Path
) -> None:
    """Whoever is second is told so, overwrites nothing, and the next run finds all in order."""
    other = clone(tmp_path / "other", forge, git)
    late = [want("sonarr", "800Mi"), want("plex", "9000Mi")]
    wanted = [want("sonarr", "900Mi"), late[1]]

    def meanwhile(method: str, path: str) -> None:
        if (method, path[-6:]) == ("GET", "/pulls"):
            forge.weather = lambda _method, _path: None
            assert not deliver(late, "home", desk(forge, other)).failed

    forge.weather = meanwhile
    done = deliver(wanted, "home", desk(forge, checkout))
    assert len(forge.open_branches()) == len(set(forge.open_branches())) == 2
    assert git(forge.bare, "show", f"{PREFIX}media-sonarr:apps/sonarr.yaml") == "memory: 800Mi"
    assert all("meanwhile" in problem for problem in done.failed)
    again = deliver(late, "home", desk(forge, checkout))
    assert verbs(again) == {"media-sonarr": "keep", "media-plex": "keep"}
