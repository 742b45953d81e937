"""Who asks: credentials as they are configured, and no trace of them in what is shown."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from analyzer.errors import SourceError
from analyzer.sources.prometheus.cloud import Aws, Azure, Google
from analyzer.sources.prometheus.settings import PrometheusSettings

_HARMLESS_HEADERS = (
    "Accept",
    "Accept-Encoding",
    "Connection",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "X-Scope-Orgid",
)
_SHORTEST_SECRET = 6
"""A shorter value, such as true or 1, is no secret but would garble messages."""
_SENDABLE = re.compile(r"[!-~]+")


class NoAuth(AuthBase):
    """Sends nothing beside the configured headers."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _BearerFile(AuthBase):
    """A bearer token from a file, read for every request because tokens rotate."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = _read_secret(self.path, "token")
        if not _SENDABLE.fullmatch(token):
            raise SourceError(
                f"the token file {self.path} must hold visible ASCII characters only; write it "
                "anew without a byte order mark, typographic quotes or spaces"
            )
        request.headers["Authorization"] = f"Bearer {token}"
        return request


class _PasswordFile(AuthBase):
    """Basic authentication with the password in a file, read for every request."""

    def __init__(self, user: str, path: Path) -> None:
        self.user, self.path = user, path

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        password = _read_secret(self.path, "password")
        basic = HTTPBasicAuth(self.user.encode(), password.encode())
        basic(request)
        return request


def authentication(settings: PrometheusSettings, in_url: tuple[str, str] | None) -> AuthBase:
    """How requests say who asks; settings beat the user and password of a URL.

    A configured ``Authorization`` header is sent as it stands.
    """
    if settings.aws_region is not None:
        return Aws(settings.aws_region)
    if settings.sign_in is not None:
        return Google() if settings.sign_in == "google" else Azure()
    if settings.token_file is not None:
        return _BearerFile(settings.token_file)
    if settings.user is not None and settings.password_file is not None:
        return _PasswordFile(settings.user, settings.password_file)
    if in_url is not None and not settings.authorises:
        return HTTPBasicAuth(in_url[0].encode(), in_url[1].encode())
    return NoAuth()


def mask(text: str, sent: Mapping[str, str | bytes], more: Iterable[str] = ()) -> str:
    """`text` without what a request said about who asks; some servers repeat it in an error.

    `sent` are the headers of the request, `more` further values that may be secret. Each goes in
    all forms in which a server may show it: decoded, percent-encoded, as a JSON string.
    """
    secrets = set(more)
    for name, value in sent.items():
        if name.title() not in _HARMLESS_HEADERS:
            secrets.update(_parts(value if isinstance(value, bytes) else value.encode("latin-1")))
    forms = {form for secret in secrets for form in _forms(secret)}
    # The longest first: a part of it must not be taken out of it, or the rest would stay.
    for form in sorted(forms, key=lambda form: (-len(form), form)):
        if len(form) >= _SHORTEST_SECRET:
            text = text.replace(form, "***")
    return text


def _parts(header: bytes) -> Iterator[str]:
    """The secrets of a header: all of it, its credential, and what Basic encodes."""
    scheme, _, credential = header.rpartition(b" ")
    parts = [header, credential]
    if scheme.lower() == b"basic":
        with contextlib.suppress(binascii.Error):
            decoded = base64.b64decode(credential)
            parts += [decoded, decoded.partition(b":")[2]]
    for part in parts:
        yield part.decode("utf-8", "replace")
        yield part.decode("latin-1")


def _forms(secret: str) -> Iterator[str]:
    """The ways in which a server may write `secret`."""
    yield from (secret, unquote(secret))
    yield from (quote(secret, safe=""), quote(secret), quote_plus(secret))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])


def _read_secret(path: Path, what: str) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read the {what} file {path}: {error}") from error
    if not secret or "\n" in secret:
        raise SourceError(f"the {what} file {path} must hold one line, the {what}")
    return secret
