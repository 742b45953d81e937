"""The stand-in is understood by the forges' own client libraries, so what it says is no fancy."""

from __future__ import annotations

from pathlib import Path

import github
import gitlab
import pytest

from tests.forge.conftest import Git
from tests.forge.standin import REPOSITORY, TOKEN, Standin

BRANCH = "rightsize/home/media-sonarr"


@pytest.fixture
def pushed(forge: Standin, checkout: Path, git: Git) -> Standin:
    """The forge with a branch that nobody has proposed yet."""
    git(checkout, "checkout", "-q", "-b", BRANCH)
    (checkout / "apps" / "sonarr.yaml").write_text("memory: 1Gi\n")
    git(checkout, "commit", "-qam", "smaller")
    git(checkout, "push", "-q", str(forge.bare), BRANCH)
    return forge


def test_pygithub_lives_a_pull_request_through(pushed: Standin) -> None:
    """Opened, refused twice, edited, commented, labelled, found by head and state, closed."""
    client = github.Github(auth=github.Auth.Token(TOKEN), base_url=pushed.api("github"))
    repository = client.get_repo(REPOSITORY)
    assert repository.default_branch == "main"
    pull = repository.create_pull(base="main", head=BRANCH, title="a", body="b")
    with pytest.raises(github.GithubException) as refused:
        repository.create_pull(base="main", head=BRANCH, title="a", body="b")
    assert refused.value.status == 422
    pull.edit(title="new", body="text")
    pull.create_issue_comment("hello")
    pull.add_to_labels("size")
    (found,) = repository.get_pulls(state="all", head=f"team:{BRANCH}")
    assert (found.title, found.body, found.state) == ("new", "text", "open")
    assert [label.name for label in found.labels] == ["size"]
    assert [c.body for c in found.get_issue_comments()] == ["hello"]
    found.edit(state="closed")
    assert list(repository.get_pulls(state="open")) == []
    issue = repository.create_issue("board", body="x")
    issue.edit(title="board", body="y")
    assert [i.body for i in repository.get_issues(state="open")] == ["y"]


def test_python_gitlab_lives_a_merge_request_through(pushed: Standin) -> None:
    """The same, in GitLab's words."""
    client = gitlab.Gitlab(pushed.root, private_token=TOKEN)
    project = client.projects.get(REPOSITORY)
    assert project.default_branch == "main"
    wanted = {"source_branch": BRANCH, "target_branch": "main", "title": "a", "description": "b"}
    request = project.mergerequests.create({**wanted, "labels": "size"})
    with pytest.raises(gitlab.GitlabCreateError) as refused:
        project.mergerequests.create(wanted)
    assert refused.value.response_code == 409
    request.title, request.description = "new", "text"
    request.save()
    request.notes.create({"body": "hello"})
    (found,) = project.mergerequests.list(state="all", source_branch=BRANCH, get_all=True)
    assert (found.title, found.description, found.state) == ("new", "text", "opened")
    assert found.labels == ["size"]
    assert [note.body for note in found.notes.list(get_all=True)] == ["hello"]
    found.state_event = "close"
    found.save()
    assert project.mergerequests.list(state="opened", get_all=True) == []
    project.issues.create({"title": "board", "description": "x"})
    assert [i.description for i in project.issues.list(state="opened", get_all=True)] == ["x"]
