"""Calls of a forge's REST API: who we are, what went wrong, when to try again.

The forges' client libraries were weighed: a dozen calls are used of each, and what matters here
(tokens that are read anew, no credentials from elsewhere, waiting as asked, one sentence for every
refusal, a dry run that shows each request) would have to be built around every one of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from analyzer.forge.protocol import ForgeError, RefusedError, Request

_TRIES = 4
_TIMEOUT = (10.0, 60.0)
_LONGEST_WAIT = 120.0
_SECONDARY_WAIT = 60.0
"""What GitHub asks for where a secondary limit names no time."""
_MOST_PAGES = 200
_MOST_BYTES = 64 * 1024**2
_SAFE = frozenset({"GET", "PUT", "PATCH", "DELETE"})
"""What may be sent again when nobody knows whether it arrived."""
_MOVED = frozenset({301, 302, 307, 308})
_MOST_MOVES = 3


class Secret(Protocol):
    """What lets in. It is read anew for every request, so that it may be renewed."""

    def read(self) -> str:
        """The secret itself. Raises `ForgeError` where there is none to be had."""
        ...


@dataclass(frozen=True)
class Token:
    """A token in a file or in a variable of the environment."""

    file: str | None = None
    variables: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def given(self) -> bool:
        """Whether there is one to be read at all; a public repository needs none."""
        return self.file is not None or any(self.environment.get(v) for v in self.variables)

    def read(self) -> str:
        """The token. Raises `ForgeError` that names where it was looked for."""
        if self.file is not None:
            try:
                found = Path(self.file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ForgeError(f"{self.file}: the token cannot be read from it") from error
            where = self.file
        else:
            names = [name for name in self.variables if self.environment.get(name)]
            found = self.environment[names[0]].strip() if names else ""
            where = " or ".join(self.variables) or "the settings"
        if not found or not found.isascii() or any(c.isspace() for c in found):
            raise ForgeError(
                f"no usable token in {where}; put it there, or name a file as forge.token_file"
            )
        return found


def system_authorities() -> str | bool:
    """The certificate authorities that this system was told to trust."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        if os.environ.get(name):
            return os.environ[name]
    return True


class Rest:
    """One forge's API below one address."""

    def __init__(
        self,
        base: str,
        token: Secret,
        header: Callable[[str], Mapping[str, str]],
        *,
        ca_file: str | None = None,
        dry_run: bool = False,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base = base.rstrip("/") + "/"
        self.token = token
        self.header = header
        self.dry_run = dry_run
        self.wait = wait
        self.sent: list[Request] = []
        """Every call that changes something, in order; in a dry run they were not sent."""
        self._session = requests.Session()
        # No .netrc: credentials are the ones that were configured, and no others.
        self._session.trust_env = False
        self._session.verify = ca_file or system_authorities()

    def get(self, path: str, **query: object) -> Any:
        """The decoded answer."""
        return _decoded(self._call("GET", path, query=query))

    def pages(self, path: str, **query: object) -> Iterator[Any]:
        """The items of all pages, which the server links by ``rel="next"``."""
        where: str | None = path
        for _ in range(_MOST_PAGES):
            if where is None:
                return
            answer = self._call("GET", where, query=query)
            items = _decoded(answer)
            if not isinstance(items, list):
                raise ForgeError(f"{_shown(answer.url)}: expected a list, found something else")
            yield from items
            where, query = answer.links.get("next", {}).get("url"), {}
        raise ForgeError(f"{_shown(self.base)}: more than {_MOST_PAGES} pages of answers")

    def send(self, method: str, path: str, body: dict[str, object]) -> Any:
        """Change something; the decoded answer, or an empty mapping in a dry run."""
        self.sent.append(Request(method, urljoin(self.base, path), body))
        if self.dry_run:
            return {}
        return _decoded(self._call(method, path, body=body))

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: dict[str, object] | None = None,
    ) -> requests.Response:
        url = urljoin(self.base, path)
        for attempt in range(1, _TRIES + 1):
            last = attempt == _TRIES
            try:
                answer = self._followed(method, url, query, body)
            except requests.RequestException as error:
                if last or method not in _SAFE:
                    raise ForgeError(f"{_shown(url)}: {_reason(error)}") from None
                self.wait(2.0**attempt)
                continue
            pause = _pause(answer, method)
            if pause is None:
                return _checked(answer)
            if last or pause > _LONGEST_WAIT:
                raise ForgeError(
                    f"{_shown(url)}: the forge asks to wait {pause:.0f} s (HTTP "
                    f"{answer.status_code}); run again later"
                )
            self.wait(pause)
        raise AssertionError("the last try returns or raises")

    def _followed(
        self,
        method: str,
        url: str,
        query: Mapping[str, object] | None,
        body: dict[str, object] | None,
    ) -> requests.Response:
        """The answer at the end of a few redirects, such as those of a renamed repository."""
        answer = self._once(method, url, query, body)
        for _ in range(_MOST_MOVES):
            if answer.status_code not in _MOVED:
                break
            answer = self._once(method, self._moved(answer), None, body)
        return answer

    def _once(
        self,
        method: str,
        url: str,
        query: Mapping[str, object] | None,
        body: dict[str, object] | None,
    ) -> requests.Response:
        self._same_host(url)
        headers = {"Accept": "application/json", "User-Agent": "rightsize"}
        answer = self._session.request(
            method,
            url,
            params={k: str(v) for k, v in (query or {}).items()},
            json=body,
            headers={**headers, **self.header(self.token.read())},
            timeout=_TIMEOUT,
            allow_redirects=False,
            proxies=requests.utils.get_environ_proxies(url),
            stream=True,
        )
        try:
            content = answer.raw.read(_MOST_BYTES + 1, decode_content=True)
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(error) from error
        if len(content) > _MOST_BYTES:
            raise ForgeError(f"{_shown(url)}: the answer is larger than {_MOST_BYTES} bytes")
        answer._content = content  # read above, within bounds
        return answer

    def _same_host(self, url: str) -> None:
        """The token goes to the configured host and to no other, whatever an answer links to."""
        here, there = urlsplit(self.base), urlsplit(url)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise ForgeError(
                f"{_shown(self.base)}: points to {_shown(url)}, another host; set forge.url"
            )

    def _moved(self, answer: requests.Response) -> str:
        return urljoin(answer.url, answer.headers.get("Location", ""))


class NotFoundError(ForgeError):
    """There is no such thing, or the token may not see it."""


def _pause(answer: requests.Response, method: str) -> float | None:
    """How long to wait before asking again; None where asking again would change nothing."""
    status = answer.status_code
    limited = status == 429 or (status == 403 and _is_limit(answer))
    if limited:
        return _asked_for(answer)
    if status >= 500 and method in _SAFE:
        return _asked_for(answer) if "Retry-After" in answer.headers else 2.0
    return None


def _is_limit(answer: requests.Response) -> bool:
    return (
        "Retry-After" in answer.headers
        or answer.headers.get("X-RateLimit-Remaining") == "0"
        or b"secondary rate limit" in answer.content
    )


def _asked_for(answer: requests.Response) -> float:
    """What the answer asks to wait: seconds, or the time at which a limit is lifted."""
    after = answer.headers.get("Retry-After", "")
    if after.isdecimal():
        return float(after)
    reset = answer.headers.get("X-RateLimit-Reset") or answer.headers.get("RateLimit-Reset") or ""
    if reset.isdecimal():
        return max(1.0, float(reset) - time.time())
    return _SECONDARY_WAIT


def _checked(answer: requests.Response) -> requests.Response:
    """`answer` where it is a success; else the error that says what to do."""
    status, where = answer.status_code, _shown(answer.url)
    if status in (401, 203):  # Azure DevOps answers 203 and the page to sign in at
        raise ForgeError(f"{where}: the token is refused (HTTP {status}); renew it")
    if status < 300:
        return answer
    said = _said(answer)
    if status == 404:
        raise NotFoundError(
            f"{where}: not found (HTTP 404){said}; check forge.repository, and that the token may "
            "see it"
        )
    if status in (400, 403, 405, 409, 410, 422):
        raise RefusedError(f"{where}: refused (HTTP {status}){said}")
    raise ForgeError(f"{where}: failed (HTTP {status}){said}")


def _said(answer: requests.Response) -> str:
    """What a forge says of its refusal, on one line, and never what it echoes of our headers."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    error = body.get("error")
    if isinstance(error, dict):  # as Bitbucket says it
        error = error.get("message")
    parts = [body.get("message"), error, _each(body.get("errors"))]
    text = "; ".join(str(part) for part in parts if part)
    plain = "".join(c if c.isprintable() else " " for c in text)
    return f": {plain[:300]}" if plain else ""


def _each(errors: object) -> object:
    """The messages of a list of errors, as Bitbucket Data Center has it; else all there is."""
    if not isinstance(errors, list):
        return errors
    told = [one.get("message") for one in errors if isinstance(one, dict)]
    return "; ".join(map(str, told)) if all(told) else errors


def _decoded(answer: requests.Response) -> Any:
    if answer.status_code == 204 or not answer.content:
        return {}
    try:
        return answer.json()
    except ValueError:
        kind = answer.headers.get("Content-Type", "no type").partition(";")[0][:40]
        raise ForgeError(
            f"{_shown(answer.url)}: expected JSON, found {kind}; is forge.url the API's address?"
        ) from None


def _shown(url: str) -> str:
    """An address without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted; name its authority as forge.ca_file"
    if isinstance(error, requests.Timeout):
        return "did not answer in time"
    return "cannot be reached"
