"""Signing in as a GitHub App: its private key stays here and obtains tokens that last an hour."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from analyzer.forge.answers import Shape, moment_of, read
from analyzer.forge.protocol import ForgeError
from analyzer.forge.rest import NotFoundError, Rest

_SPARE = 300.0
"""Renewed so many seconds before its end, so that a long push does not outlive it."""
_LIFE = 540
"""GitHub takes a signature for ten minutes at most; clocks differ."""
_BEHIND = 60


@dataclass(frozen=True)
class Signature:
    """What the app itself signs in with: a JWT, signed anew with the key in `key_file`."""

    app: str
    key_file: str
    clock: Callable[[], float] = time.time

    def read(self) -> str:
        """A signed statement of who asks, good for a few minutes (RFC 7519, RS256)."""
        now = int(self.clock())
        head = {"alg": "RS256", "typ": "JWT"}
        claims = {"iat": now - _BEHIND, "exp": now + _LIFE, "iss": self.app}
        said = ".".join(_part(msgspec.json.encode(part)) for part in (head, claims))
        return f"{said}.{_part(_signed(self.key_file, said.encode('ascii')))}"


class InstallationToken:
    """The token of an app's installation on one repository, and for that one alone.

    It is obtained when it is first asked for and again shortly before its end; `rest` signs in as
    the app. Every process has its own, and none is ever written down.
    """

    def __init__(self, rest: Rest, repository: str, clock: Callable[[], float] = time.time) -> None:
        self._rest = rest
        self._repository = repository
        self._clock = clock
        self._token = ""
        self._until = 0.0

    def read(self) -> str:
        """The token. Raises `ForgeError` that says what to set where there is none to be had."""
        if self._clock() >= self._until - _SPARE:
            self._renew()
        return self._token

    def _renew(self) -> None:
        owner, _, name = self._repository.partition("/")
        try:
            found = self._rest.get(f"repos/{quote(owner)}/{quote(name)}/installation")
        except NotFoundError as error:
            raise ForgeError(
                f"the GitHub App is not installed on {self._repository}; install it there, or "
                "check forge.app_id"
            ) from error
        number = read(_Installation, found, "the installation").id
        where = f"app/installations/{number}/access_tokens"
        made = read(_Access, self._rest.send("POST", where, {"repositories": [name]}), "the token")
        until = moment_of(made.expires_at)
        if until is None or not made.token.isascii() or not made.token.isprintable():
            raise ForgeError("the token of the GitHub App's installation cannot be used")
        self._token, self._until = made.token, until.timestamp()


class _Installation(Shape):
    id: int


class _Access(Shape):
    token: str
    expires_at: str


def _signed(key_file: str, said: bytes) -> bytes:
    """The RSA signature (PKCS #1 v1.5, SHA-256) of `said`; the key is read anew each time."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise ForgeError(
            "signing in as a GitHub App needs the package cryptography; "
            "pip install 'rightsize[github-app]'"
        ) from error
    try:
        key: Any = load_pem_private_key(Path(key_file).read_bytes(), password=None)
    except OSError as error:
        raise ForgeError(
            f"{key_file}: the app's private key cannot be read ({error.strerror})"
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        # Nothing of the file is repeated, nor the parser's complaint about it.
        raise ForgeError(
            f"{key_file}: expected an RSA private key in PEM, without a passphrase, as GitHub "
            "gives it for an app"
        ) from None
    return key.sign(said, PKCS1v15(), SHA256())


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
