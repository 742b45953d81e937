"""Signing in as a GitHub App; the stand-in checks the signature with another library."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analyzer.errors import UsageError
from analyzer.forge.forges import access_of, open_forge, token_of
from analyzer.forge.protocol import ForgeError
from analyzer.forge.remote import Remote
from analyzer.forge.settings import ForgeSettings
from analyzer.gitops.land.diff import Author
from tests.forge.standin import REPOSITORY, App, Standin

APP = "Iv23canaryclient"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key as GitHub gives it for an app, and its public half beside it."""
    folder = tmp_path_factory.mktemp("app")
    make = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", "key"]
    subprocess.run(make, cwd=folder, check=True)
    public = subprocess.run(
        ["ssh-keygen", "-e", "-m", "PKCS8", "-f", "key.pub"],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    (folder / "public.pem").write_text(public)
    return folder / "key"


@pytest.fixture
def app(forge: Standin, key: Path) -> App:
    """The app, installed on the repository of the stand-in, which knows no other token."""
    forge.app = App(APP, key.with_name("public.pem").read_text())
    forge.tokens.clear()
    return forge.app


def settings(forge: Standin, key: Path, **more: Any) -> ForgeSettings:
    """Where the app signs in."""
    found = ForgeSettings(
        kind="github", url=forge.api("github"), repository=REPOSITORY, app_id=APP,
        app_key_file=str(key),
    )  # fmt: skip
    return msgspec.structs.replace(found, **more)


def test_an_app_signs_in_for_the_api_and_for_git(
    forge: Standin, app: App, checkout: Path, key: Path
) -> None:
    """One token serves call after call; it reaches git the way any other token does."""
    chosen = settings(forge, key)
    remote = Remote(checkout, "origin", Author(), access_of(chosen, forge.git_url, {}))
    token = token_of(chosen, "github", {}, forge.git_url)
    one = open_forge(chosen, remote, token)
    assert one.default_branch() == "main" and one.open_requests("rightsize/") == []
    assert len(app.made) == 1
    assert remote.default_branch() == "main"
    assert len(app.made) == 2


def test_a_token_near_its_end_is_renewed(forge: Standin, app: App, key: Path) -> None:
    """Four minutes left are too few for a push that may take as long."""
    app.life = timedelta(minutes=4)
    token = token_of(settings(forge, key), "github", {}, forge.git_url)
    assert token is not None
    assert [token.read(), token.read()] == app.made == ["ghs_0-canary", "ghs_1-canary"]


def test_a_wrong_app_or_key_is_one_sentence(
    forge: Standin, app: App, key: Path, tmp_path: Path
) -> None:
    """Another app, another repository, a key that is none: what to check, no word of it."""
    spoilt = tmp_path / "spoilt.pem"
    spoilt.write_text("-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----\n")
    for more, said in (
        ({"app_id": 7}, "token is refused"),
        ({"repository": "team/other"}, r"not installed on team/other"),
        ({"app_key_file": str(spoilt)}, "expected an RSA private key"),
        ({"app_key_file": str(key.with_name("public.pem"))}, "expected an RSA private key"),
        ({"app_key_file": str(tmp_path / "none")}, "cannot be read"),
    ):
        token = token_of(settings(forge, key, **more), "github", {}, forge.git_url)
        assert token is not None
        with pytest.raises(ForgeError, match=said) as caught:
            token.read()
        assert "canary" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"app_id": 7}, "github", "go together"),
        ({"app_key_file": "key"}, "github", "go together"),
        ({"app_id": 7, "app_key_file": "key", "token_file": "t"}, "github", "set one of them"),
        ({"app_id": 7, "app_key_file": "key"}, "gitlab", "for GitHub"),
    ],
)
def test_half_an_app_is_refused(given: dict[str, object], kind: str, said: str) -> None:
    """A setting that would have no effect is an error."""
    with pytest.raises(UsageError, match=said):
        token_of(msgspec.convert(given, ForgeSettings), kind, {}, "https://github.com/a/b")
