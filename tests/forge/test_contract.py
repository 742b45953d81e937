"""What every forge keeps, on the stand-in with real git behind it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from analyzer.forge.forges import (
    FORGES,
    access_of,
    api_of,
    kind_of,
    open_forge,
    split_address,
    token_of,
)
from analyzer.forge.protocol import Forge, ForgeError, RefusedError, Text, keep_comment
from analyzer.forge.remote import Access, Remote
from analyzer.forge.rest import Rest, Token
from analyzer.forge.settings import ForgeSettings
from analyzer.gitops.land.diff import Author
from tests.forge.conftest import Git
from tests.forge.standin import REPOSITORY, TOKEN, Pull, Reply, Standin

PREFIX = "rightsize/home/"


@pytest.fixture(params=sorted(FORGES))
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of forge in turn."""
    return str(request.param)


@pytest.fixture(params=["gitea", "github", "gitlab"])
def kind_with_issues(request: pytest.FixtureRequest) -> str:
    """Each kind of forge that has issues beside its pull requests."""
    return str(request.param)


def face(forge: Standin, kind: str, *, token: str = TOKEN) -> Forge:
    """A forge of one kind, on the stand-in, that waits for nothing."""
    found = FORGES[kind]
    secret = Token(variables=("T",), environment={"T": token})
    rest = Rest(forge.api(kind), secret, found.header, wait=lambda _seconds: None)
    return found.make(rest, REPOSITORY)


def branch(
    git: Git, checkout: Path, forge: Standin, name: str, text: str = "memory: 1Gi\n"
) -> None:
    """Push a branch with one commit."""
    git(checkout, "checkout", "-q", "-B", name, "main")
    (checkout / "apps" / "sonarr.yaml").write_text(f"{text}# {name}\n")
    git(checkout, "commit", "-qam", name)
    git(checkout, "push", "-q", "-f", str(forge.bare), name)


def test_a_pull_request_lives_from_opening_to_closing(
    forge: Standin, checkout: Path, git: Git, kind: str
) -> None:
    """Opened, found, edited, commented, closed: each step is what the forge then tells."""
    branch(git, checkout, forge, f"{PREFIX}media-sonarr")
    one = face(forge, kind)
    assert one.default_branch() == "main"
    assert one.latest(f"{PREFIX}media-sonarr") is None
    made = one.open(f"{PREFIX}media-sonarr", "main", Text("a title", "a body"), ("size", "infra"))
    assert made.text == Text("a title", "a body") and made.state == "open"
    (found,) = one.open_requests(PREFIX)
    # Bitbucket's pull requests have no labels.
    labels = set() if kind.startswith("bitbucket") else {"size", "infra"}
    assert found.number == made.number and found.labels == labels
    assert one.open_requests("rightsize/other/") == []
    one.edit(made.number, Text("new title", "new body"))
    one.comment(made.number, "hello")
    (said,) = one.comments(made.number)
    assert said.body == "hello"
    one.close(made.number)
    last = one.latest(f"{PREFIX}media-sonarr")
    assert last is not None and last.ended is not None
    assert (last.state, last.text) == ("closed", Text("new title", "new body"))


def test_one_comment_is_kept_up_to_date(
    forge: Standin, checkout: Path, git: Git, kind: str
) -> None:
    """Said once, replaced when it says something else, not sent when it says the same.

    Who writes the marker themselves does not stop it: theirs is passed over.
    """
    branch(git, checkout, forge, f"{PREFIX}media-sonarr")
    one = face(forge, kind)
    number = one.open(f"{PREFIX}media-sonarr", "main", Text("t", "b"), ()).number
    for said in ("a", "b", "b"):
        keep_comment(one, number, "<!-- mark -->", said)
    assert [c.body for c in one.comments(number)] == ["<!-- mark -->\nb"]
    one.comment(number, "<!-- mark --> mine")
    last = one.comments(number)[-1].number
    theirs = f"/{last // 10_000}/comments/1" if kind == "azure" else f"/{last}"
    forge.weather = lambda method, path: (
        (403, {"message": "Forbidden"}, {})
        if method in ("PATCH", "PUT") and path.endswith(theirs)
        else None
    )
    keep_comment(one, number, "<!-- mark -->", "c")
    bodies = [c.body for c in one.comments(number)]
    assert bodies == ["<!-- mark -->\nc", "<!-- mark --> mine"]


def test_what_is_merged_is_told_from_what_is_closed(
    forge: Standin, checkout: Path, git: Git, kind: str
) -> None:
    """Of several pull requests of a branch the newest counts."""
    branch(git, checkout, forge, f"{PREFIX}media-sonarr")
    one = face(forge, kind)
    first = one.open(f"{PREFIX}media-sonarr", "main", Text("one", ""), ())
    one.close(first.number)
    second = one.open(f"{PREFIX}media-sonarr", "main", Text("two", ""), ())
    forge.merge(second.number)
    last = face(forge, kind).latest(f"{PREFIX}media-sonarr")
    assert last is not None and (last.number, last.state) == (second.number, "merged")


def test_all_pages_are_read_and_forks_passed_over(forge: Standin, kind: str) -> None:
    """A fork may name its branch like ours, and its pull request is none of ours."""
    for number in range(1, 8):
        fork, gone = number in (3, 5), number == 5
        pull = Pull(number, f"{PREFIX}app-{number}", "main", "t", "", fork=fork, gone=gone)
        forge.pulls.append(pull)
    found = face(forge, kind).open_requests(PREFIX)
    assert sorted(r.number for r in found) == [1, 2, 4, 6, 7]


def test_refusals_are_one_sentence(forge: Standin, checkout: Path, git: Git, kind: str) -> None:
    """An unknown head, a second pull request of a branch: what the forge said, and no more."""
    one = face(forge, kind)
    with pytest.raises(RefusedError, match="head: invalid"):
        one.open(f"{PREFIX}nowhere", "main", Text("t", "b"), ())
    branch(git, checkout, forge, f"{PREFIX}media-sonarr")
    one.open(f"{PREFIX}media-sonarr", "main", Text("t", "b"), ())
    with pytest.raises(RefusedError, match="already exists"):
        one.open(f"{PREFIX}media-sonarr", "main", Text("t", "b"), ())


def test_the_dashboard_is_found_by_its_marker(forge: Standin, kind_with_issues: str) -> None:
    """The oldest issue that holds it, however many there are; replaced in place."""
    one = face(forge, kind_with_issues)
    for _ in range(3):
        one.write_issue(None, Text("something else", "of a person"))
    assert one.find_issue("<!-- mark -->") is None
    made = one.write_issue(None, Text("board", "<!-- mark --> 1"))
    one.write_issue(made.number, Text("board", "<!-- mark --> 2"))
    found = one.find_issue("<!-- mark -->")
    assert found is not None and found.number == made.number
    assert found.text.body == "<!-- mark --> 2" and len(forge.issues) == 4


def test_a_strangers_issue_is_no_dashboard(forge: Standin, kind_with_issues: str) -> None:
    """Whoever opened it could tick its boxes: the marker alone does not make it ours.

    Where a token may not ask who it is, people are told from bots as far as the forge does.
    """
    theirs = {"number": 1, "title": "board", "body": "<!-- mark --> [x]", "by": "stranger"}
    forge.issues.append(theirs)
    assert face(forge, kind_with_issues).find_issue("<!-- mark -->") is None
    made = face(forge, kind_with_issues).write_issue(None, Text("board", "<!-- mark -->"))
    found = face(forge, kind_with_issues).find_issue("<!-- mark -->")
    assert found is not None and found.number == made.number
    if kind_with_issues == "github":
        forge.weather = lambda _method, path: (
            (403, {"message": "Resource not accessible by integration"}, {})
            if path.endswith("/user")
            else None
        )
        assert face(forge, "github").find_issue("<!-- mark -->") is None


def test_a_wrong_token_is_one_sentence_without_it(forge: Standin, kind: str) -> None:
    """Expired or mistyped: renew it; its value is nowhere."""
    with pytest.raises(ForgeError, match="the token is refused") as caught:
        face(forge, kind, token="not-the-token-99").default_branch()
    assert "not-the-token-99" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "tries"),
    [
        ((429, {"message": "slow down"}, {"Retry-After": "7"}), 2),
        ((403, {"message": "You have exceeded a secondary rate limit"}, {}), 2),
        ((403, {"message": "limit"}, {"X-RateLimit-Remaining": "0", "Retry-After": "1"}), 2),
        ((502, "<html>bad gateway</html>", {}), 2),
    ],
)
def test_reading_goes_on_after_bad_weather(
    forge: Standin, kind: str, answer: Reply, tries: int
) -> None:
    """A limit or a failing server is waited for, as long as it asks, and asked again."""
    left = [answer]
    forge.weather = lambda _method, _path: left.pop() if left else None
    waits: list[float] = []
    one = face(forge, kind)
    # Every forge has it, the Protocol does not.
    one.rest.wait = waits.append  # type: ignore[attr-defined]
    assert one.default_branch() == "main"
    assert len(waits) == 1 and len(forge.calls) == tries
    assert waits[0] == float(answer[2].get("Retry-After", 2 if answer[0] == 502 else 60))


def test_what_creates_is_never_sent_twice(
    forge: Standin, checkout: Path, git: Git, kind: str
) -> None:
    """A failing server may have done it all the same: the next run looks."""
    branch(git, checkout, forge, f"{PREFIX}media-sonarr")
    one = face(forge, kind)
    forge.weather = lambda method, _path: (500, {}, {}) if method == "POST" else None
    with pytest.raises(ForgeError, match="HTTP 500"):
        one.open(f"{PREFIX}media-sonarr", "main", Text("t", "b"), ())
    assert sum(call.startswith("POST") for call in forge.calls) == 1


def always(answer: Reply) -> Callable[[str, str], Reply]:
    """Weather in which every call gets `answer`."""
    return lambda _method, _path: answer


def test_html_and_odd_answers_are_one_sentence(forge: Standin, kind: str) -> None:
    """A login page, a list where an object belongs, a field of another type."""
    for odd in ("<html>sign in</html>", ["a"], {"default_branch": 3, "full_name": 4, "id": "x"}):
        answer: Reply = (200, odd, {})
        forge.weather = always(answer)
        with pytest.raises(ForgeError) as caught:
            face(forge, kind).default_branch()
        assert "\n" not in str(caught.value)


def test_an_answer_cut_short_is_one_sentence(forge: Standin, kind: str) -> None:
    """A connection that breaks within the answer is a forge that cannot be reached."""
    cut = {"Content-Length": "9999", "Connection": "close"}
    forge.weather = lambda _method, _path: (200, {"half": 1}, cut)
    with pytest.raises(ForgeError, match="cannot be reached"):
        face(forge, kind).default_branch()


def test_a_limit_far_away_ends_the_call(forge: Standin, kind: str) -> None:
    """Nobody waits for an hour: it says how long, and to run later."""
    forge.weather = lambda _method, _path: (429, {}, {"Retry-After": "3600"})
    with pytest.raises(ForgeError, match="asks to wait 3600 s"):
        face(forge, kind).default_branch()


def test_the_token_goes_to_no_other_host(forge: Standin, kind: str) -> None:
    """Neither a redirect nor a link of a page can lead it away."""
    elsewhere = "http://localhost:9/evil"
    forge.weather = lambda _method, _path: (302, {}, {"Location": elsewhere})
    with pytest.raises(ForgeError, match="another host"):
        face(forge, kind).default_branch()
    link = {"Link": f'<{elsewhere}>; rel="next"'}
    forge.weather = lambda _method, _path: (200, [], link)
    # Azure DevOps counts its pages, Bitbucket's name the next one: no link is followed there.
    with pytest.raises(ForgeError, match=r"another host|a list from the forge cannot be used"):
        face(forge, kind).open_requests(PREFIX)


def test_a_renamed_repository_is_followed(forge: Standin, kind_with_issues: str) -> None:
    """Within the same host, and for calls that change something too."""
    kind = kind_with_issues
    left: list[str] = []

    def moved(_method: str, path: str) -> Reply | None:
        if "old" not in path:
            return None
        left.append(path)
        return 301, {}, {"Location": path.replace("team/old", REPOSITORY)}

    forge.weather = moved
    one = face(forge, kind)
    # Every forge has it, the Protocol does not.
    found = FORGES[kind].make(one.rest, "team/old")  # type: ignore[attr-defined]
    if kind != "gitlab":
        assert found.open_requests(PREFIX) == []
        found.write_issue(None, Text("t", "b"))
        assert left and len(forge.issues) == 1


def test_credentials_come_from_nowhere_else(
    forge: Standin, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A .netrc of the user is not read."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password canary-netrc\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    face(forge, kind).open_requests(PREFIX)
    sent = str(forge.headers)
    assert forge.headers and "canary-netrc" not in sent
    assert base64.b64encode(b"eve:canary-netrc").decode() not in sent


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://github.com/me/home.git", ("github.com", "me/home")),
        ("git@github.com:me/home.git", ("github.com", "me/home")),
        ("ssh://git@git.example.org:2222/me/home", ("git.example.org", "me/home")),
        ("https://gitlab.example.org/group/sub/home.git", ("gitlab.example.org", "group/sub/home")),
        ("/srv/git/home.git", ("", "")),
        ("../home", ("", "")),
    ],
)
def test_an_address_tells_host_and_name(url: str, found: tuple[str, str]) -> None:
    """Every form that git takes; a folder tells neither."""
    assert split_address(url) == found


@pytest.mark.parametrize(
    ("repository", "root"),
    [
        ("org/My%20Project/_git/home", "org/My%20Project/_apis/git/repositories/home"),
        ("v3/org/project/home", "org/project/_apis/git/repositories/home"),
        ("org/_git/home", "org/home/_apis/git/repositories/home"),
        ("tfs/collection/project/_git/home", "tfs/collection/project/_apis/git/repositories/home"),
    ],
)
def test_every_address_of_azure_leads_to_its_api(
    forge: Standin, repository: str, root: str
) -> None:
    """Over HTTPS and SSH, hosted and one's own, with and without the project."""
    rest = Rest(
        forge.root, Token(variables=("T",), environment={"T": TOKEN}), FORGES["azure"].header
    )
    rest.wait = lambda _seconds: None
    with pytest.raises(ForgeError):
        FORGES["azure"].make(rest, repository).default_branch()
    assert forge.calls == [f"GET /{unquote(root)}"]


def test_bitbucket_hides_what_is_for_the_next_run(forge: Standin, checkout: Path, git: Git) -> None:
    """Its Markdown shows a comment of HTML as text, so it is written otherwise, and read back."""
    branch(git, checkout, forge, f"{PREFIX}media-sonarr")
    one = face(forge, "bitbucket")
    folded = "<details><summary>More</summary>\n\nof it\n\n</details>"
    body = f"words\n\n{folded}\n\n<!-- rightsize:0a -->\n<!-- rightsize-promise:e30= -->\n"
    one.open(f"{PREFIX}media-sonarr", "main", Text("t", body), ())
    told = forge.pulls[0].body
    assert "<" not in told and "[//]: # (rightsize:0a)" in told and "**More**" in told
    (found,) = one.open_requests(PREFIX)
    assert found.text.body.endswith("<!-- rightsize:0a -->\n<!-- rightsize-promise:e30= -->\n")


def test_bitbucket_server_overwrites_nothing_it_has_not_seen(
    forge: Standin, checkout: Path, git: Git
) -> None:
    """Somebody edits between the look and the change: refused, and the next run looks again.

    Addresses for HTTP begin with another step than those for SSH, and both lead there.
    """
    kind, name = FORGES["bitbucket-server"], f"{PREFIX}media-sonarr"
    secret = Token(variables=("T",), environment={"T": TOKEN})
    rest = Rest(forge.api("bitbucket-server"), secret, kind.header, wait=lambda _seconds: None)
    one = kind.make(rest, split_address(f"https://b.example.org/scm/{REPOSITORY}.git")[1])
    branch(git, checkout, forge, name)
    number = one.open(name, "main", Text("t", "b"), ()).number

    def meanwhile(method: str, _path: str) -> None:
        forge.pull(number).version += method == "PUT"

    forge.weather = meanwhile
    with pytest.raises(RefusedError, match=r"out-of-date information$"):
        one.edit(number, Text("mine", "b"))
    assert forge.pull(number).title == "t"


def test_the_host_tells_the_kind_and_else_one_is_asked_for(checkout: Path) -> None:
    """A host of one's own says nothing, and the settings win always."""
    assert kind_of(ForgeSettings(), "git@github.com:a/b.git") == "github"
    assert kind_of(ForgeSettings(), "https://gitlab.com/a/b") == "gitlab"
    assert kind_of(ForgeSettings(), "https://codeberg.org/a/b") == "gitea"
    assert kind_of(ForgeSettings(), "https://me@dev.azure.com/org/project/_git/b") == "azure"
    assert kind_of(ForgeSettings(), "git@bitbucket.org:org/b.git") == "bitbucket"
    assert kind_of(ForgeSettings(), "git@ssh.dev.azure.com:v3/org/project/b") == "azure"
    assert kind_of(ForgeSettings(kind="gitea"), "https://github.com/a/b") == "gitea"
    with pytest.raises(Exception, match="Bitbucket Data Center has another API"):
        api_of(ForgeSettings(), "bitbucket", "https://bitbucket.example.org/scm/a/b.git")
    for host in ("git.example.org", "github.com.evil.example", "gitlab.example.org"):
        with pytest.raises(Exception, match=r"set forge\.kind"):
            kind_of(ForgeSettings(), f"https://{host}/a/b")


def test_a_token_of_the_environment_goes_to_its_own_forge_alone() -> None:
    """A repository of a stranger is read without it, whatever its host is called."""
    environment = {"GITHUB_TOKEN": TOKEN, "GITLAB_TOKEN": TOKEN}
    found = access_of(ForgeSettings(), "https://github.com/a/b", environment)
    assert found.token is not None
    for url in ("https://github.evil.example/a/b", "https://git.example.org/gitlab/b"):
        assert access_of(ForgeSettings(), url, environment).token is None
    own = access_of(ForgeSettings(kind="github"), "https://git.example.org/a/b", environment)
    assert own.token is not None


def test_a_token_is_read_anew_and_a_missing_one_named(tmp_path: Path) -> None:
    """A renewed file counts at once; a missing, empty or spoilt one is one sentence."""
    file = tmp_path / "token"
    settings = ForgeSettings(kind="github", token_file=str(file))
    token = token_of(settings, "github", {})
    assert token is not None
    with pytest.raises(ForgeError, match="cannot be read"):
        token.read()
    for text, fine in (("one\n", True), ("two", True), ("", False), ("a b", False), ("ü", False)):
        file.write_text(text)
        if fine:
            assert token.read() == text.strip()
        else:
            with pytest.raises(ForgeError, match="no usable token"):
                token.read()


def test_a_dry_run_says_each_call_and_sends_none(forge: Standin, checkout: Path) -> None:
    """What would change something is kept; what only reads is asked for real."""
    remote = Remote(checkout, "origin", Author(), Access())
    settings = ForgeSettings(
        kind="github", url=forge.api("github"), repository=REPOSITORY, token_file=None
    )
    token = Token(variables=("T",), environment={"T": TOKEN})
    one = open_forge(settings, remote, token, dry_run=True)
    one.open("b", "main", Text("t", "x"), ("size",))
    one.comment(3, "hello")
    # Every forge has it, the Protocol does not.
    sent = [(r.method, r.url.removeprefix(forge.root)) for r in one.rest.sent]  # type: ignore[attr-defined]
    assert sent == [
        ("POST", "/api/v3/repos/team/cluster/pulls"),
        ("POST", "/api/v3/repos/team/cluster/issues/{number}/labels"),
        ("POST", "/api/v3/repos/team/cluster/issues/3/comments"),
    ]
    assert not any(call.startswith("POST") for call in forge.calls)
