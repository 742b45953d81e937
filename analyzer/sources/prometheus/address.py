"""The URL of a server: taken apart, made fit to be shown, and kept to when it leads elsewhere."""

from __future__ import annotations

import re
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from analyzer.errors import UsageError
from analyzer.sources.prometheus.failure import DeniedError, NotFoundError

_BETWEEN = re.compile(r",\s*(?=https?://)")
_USER_INFO = re.compile(r"//.*@", re.DOTALL)
_BEHIND_PATH = re.compile(r"[?#].*", re.DOTALL)


def split_urls(text: str) -> list[str]:
    """The URLs of replicas, as they are named: ``http://a:9090,http://b:9090``."""
    return _BETWEEN.split(text)


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return the URL without user, password and trailing slash, and the credentials.

    Raises `UsageError` for what is no URL, and for one with a query, which would not be sent.
    """
    no_url = f"{redact(url)!r} is no URL of a Prometheus; write http://host:9090"
    try:
        parts = urlsplit(url)
    except ValueError:
        # The original may quote a part of the password.
        raise UsageError(no_url) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(no_url)
    _refuse_extras(url, parts.netloc)
    try:
        port = parts.port
    except ValueError:
        raise UsageError(
            f"{redact(url)!r} has a port that is no number below 65536; if that is a part of a "
            "password, give user and password_file"
        ) from None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    netloc = host if port is None else f"{host}:{port}"
    auth = None
    if parts.username is not None:
        auth = (unquote(parts.username), unquote(parts.password or ""))
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", "")), auth


def _refuse_extras(url: str, netloc: str) -> None:
    """Raise where something behind the host is no path."""
    behind = url.partition(netloc)[2]
    path = _BEHIND_PATH.sub("", behind)
    if "@" in path:
        raise UsageError(
            f"{redact(url)!r} has an @ behind its host; if user or password hold a slash give them "
            "with user and password_file, and write an @ in a path as %40"
        )
    if path != behind:
        raise UsageError(
            f"{redact(url)!r} has something behind a ? or #, which is not sent; give parameters "
            "of queries in prometheus.parameters, a token in token_file or prometheus.headers, "
            "and a password that holds such a character in password_file"
        )


def redact(url: str) -> str:
    """`url` without user, password and query, fit for messages.

    Everything up to the last @ goes, and everything from the first ? or #: a password may hold
    what should have been encoded. Where the two overlap nothing but the scheme is left.
    """
    shown = _BEHIND_PATH.sub("", url)
    if "@" in url[len(shown) :]:
        return f"{url.partition('//')[0]}//***"
    mark = "?***" if shown != url else ""
    return _USER_INFO.sub("//", shown) + mark


def follow_redirect(url: str, location: str) -> str:
    """Where a redirect leads; to another origin it is refused, credentials stay home.

    Another port is another server; only from http to https may the usual ports change.
    """
    try:
        target = urljoin(url, location)
        here, there = _origin(url), _origin(target)
    except ValueError as error:
        raise NotFoundError(f"{url} redirects to what is no URL") from error
    upgraded = here[:2] == there[:2] or (here[0], there[0]) == ("http", "https")
    ports = here[2] == there[2] or (here[2], there[2]) == (80, 443)
    if not (upgraded and ports and here[1] == there[1]):
        raise DeniedError(
            f"{_authority(url)} redirects to {_authority(target)}; if this is a login page give "
            "a token, if Prometheus moved give its new URL"
        )
    return target


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or usual


def _authority(url: str) -> str:
    parts = urlsplit(redact(url))
    return f"{parts.scheme}://{parts.netloc}"
