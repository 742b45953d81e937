"""Requests to a Prometheus: who we are, what went wrong, when to try again.

Built on `PrometheusConnect` for its session, authentication and headers. Its range path is
replaced: the query travels in the body of a POST, the answer is decoded while it arrives, the
server's warnings and error texts are kept, and the retries are ours.
"""

from __future__ import annotations

import base64
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import orjson
import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.util.retry import Retry

from analyzer.errors import SourceError, UsageError
from analyzer.sources.prometheus.decode import (
    Batch,
    MalformedError,
    MatrixDecoder,
    read_envelope,
    read_warnings,
)
from analyzer.sources.prometheus.settings import PrometheusSettings
from analyzer.sources.prometheus.sigv4 import SigV4

_LOG = logging.getLogger(__name__)
_READ_SIZE = 1 << 20
_LONGEST_WAIT = 30.0
_REDIRECTS = 3
_LIMIT_WORDS = re.compile(
    r"too many samples|11,000 points|exceed|\blimit\b|cannot select more|too large|maximum|too long"
    r"|timed out|timeout",
    re.IGNORECASE,
)
_STORE_WORDS = re.compile(r"rpc error: code = |connection refused|unexpected EOF")
"""Thanos and Cortex answer 422 when a store behind them fails; the query is sound."""
_HANGUP_WORDS = re.compile(r"EOF occurred|reset by peer|broken pipe|aborted", re.IGNORECASE)
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
"""A shorter header value, such as true or 1, is no secret but would garble messages."""
_CLIENT_WORDS = re.compile(
    r"alert (certificate|bad certificate|unknown ca|unsupported certificate|handshake failure"
    r"|access denied)|PEM|key[ _]values[ _]mismatch|private key",
    re.IGNORECASE,
)
_SENDABLE = re.compile(r"[!-~]+")

T = TypeVar("T")
Form = Mapping[str, str | Sequence[str]]


class TooBigError(SourceError):
    """The server refused or did not finish a query because of its size; a smaller one may do."""


class TimedOutError(TooBigError):
    """No complete answer within the time for one request."""


class BusyError(SourceError):
    """The server cannot answer now but may soon; `wait` is what it asked for, in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class DeadlineError(SourceError):
    """The time for the whole read is over."""


class BadQueryError(SourceError):
    """The server does not understand the query; sending it again cannot help."""


class DeniedError(SourceError):
    """The server knows who asks, or not, and says no."""


class NotFoundError(SourceError):
    """There is no such endpoint."""


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


def _read_secret(path: Path, what: str) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read the {what} file {path}: {error}") from error
    if not secret or "\n" in secret:
        raise SourceError(f"the {what} file {path} must hold one line, the {what}")
    return secret


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant answer: its labels, time (Unix seconds) and value."""

    labels: dict[str, str]
    time: float
    value: float


class Server(PrometheusConnect):  # type: ignore[misc]  # the client ships no types
    """One Prometheus, with authentication, limits on time, and retries.

    Safe to use from several threads. Warnings of the server gather in `warnings`, in order and
    each once; `statistics` counts requests and bytes.
    """

    def __init__(self, url: str, settings: PrometheusSettings) -> None:
        clean, auth = split_credentials(url)
        self.settings = settings
        self.warnings: dict[str, None] = {}
        self.statistics = {"requests": 0, "bytes": 0, "retries": 0}
        self._lock = threading.Lock()
        self._reached = False
        self._method_name = "POST"
        self._until = time.monotonic() + settings.deadline.total_seconds()
        session = _session(settings, auth)
        super().__init__(url=clean, session=session, retry=Retry(0, read=False), method="POST")

    def start_clock(self) -> None:
        """Let the deadline for the whole read begin now."""
        self._until = time.monotonic() + self.settings.deadline.total_seconds()

    # -- what can be asked ------------------------------------------------------------------

    def range(
        self, query: str, times: tuple[float, float, float], convert: Callable[[Batch], T]
    ) -> list[T]:
        """Ask a range query and return its series, each batch of them through `convert`.

        `times` are the first and last evaluation in Unix seconds and the step. Nothing is
        returned but a whole, sound answer. Raises `TooBigError` where the query should be split.
        """
        start, end, step = times
        form = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        # VictoriaMetrics shifts start and end for its cache unless told not to.
        form |= {"nocache": "1"}
        return self._persist(lambda: self._decode_range(form, convert))

    def instant(self, query: str, at: float) -> list[Sample]:
        """The instant vector of `query` at Unix time `at`."""
        form = {"query": query, "time": f"{at:.3f}", "nocache": "1"}
        body = self._persist(lambda: self._decode_json("/api/v1/query", form))
        self._warn(read_envelope(body, "vector").warnings)
        return [
            Sample(series["metric"], float(series["value"][0]), float(series["value"][1]))
            for series in body["data"]["result"]
        ]

    def now(self) -> float:
        """The server's own clock, in Unix seconds."""
        # A bare time() is a scalar to Prometheus and a vector to VictoriaMetrics.
        form = {"query": "vector(time())", "nocache": "1"}
        body = self._persist(lambda: self._decode_json("/api/v1/query", form))
        read_envelope(body, "vector")
        return float(body["data"]["result"][0]["value"][1])

    def raw(self, query: str, at: float) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """The raw samples of a range selector (``metric{...}[1d]``) up to Unix time `at`."""
        form = {"query": query, "time": f"{at:.3f}", "nocache": "1"}
        body = self._persist(lambda: self._decode_json("/api/v1/query", form))
        self._warn(read_envelope(body, "matrix").warnings)
        return [
            (series["metric"], [(float(t), float(v)) for t, v in series.get("values", ())])
            for series in body["data"]["result"]
        ]

    def series(self, selectors: Sequence[str], start: float, end: float) -> list[dict[str, str]]:
        """The label sets of all series that `selectors` match between two Unix times."""
        form = {"match[]": list(selectors), "start": f"{start:.3f}", "end": f"{end:.3f}"}
        body = self._persist(lambda: self._decode_json("/api/v1/series", form))
        self._warn(read_warnings(body))
        return [dict(labels) for labels in _list(body)]

    def label_values(self, label: str, select: str, start: float, end: float) -> list[str]:
        """The values of `label` among the series that `select` matches between two Unix times."""
        query = {"match[]": select, "start": f"{start:.3f}", "end": f"{end:.3f}"}
        path = f"/api/v1/label/{label}/values"
        body = self._persist(lambda: self._decode_json(path, query, method="GET"))
        self._warn(read_warnings(body))
        return [str(value) for value in _list(body)]

    def status(self, name: str) -> dict[str, Any]:
        """``/api/v1/status/<name>``; empty where the server does not tell."""
        path = f"/api/v1/status/{name}"
        try:
            body = self._persist(lambda: self._decode_json(path, {}, method="GET"))
        except (NotFoundError, DeniedError, BadQueryError, MalformedError):
            return {}
        data = body.get("data")
        return data if isinstance(data, dict) else {}

    # -- how it is asked --------------------------------------------------------------------

    def remaining(self) -> float:
        """Seconds until the deadline of the whole read."""
        return self._until - time.monotonic()

    def _persist(self, ask: Callable[[], T]) -> T:
        """Call `ask`, again with growing waits while the server is busy or the line breaks."""
        attempts = self.settings.attempts if self._reached else min(2, self.settings.attempts)
        for attempt in range(1, attempts + 1):
            try:
                answer = ask()
            except (BusyError, MalformedError) as error:
                if isinstance(error, BusyError) and error.wait is not None:
                    attempts = self.settings.attempts
                if attempt >= attempts:
                    raise
                self._sleep(attempt, error)
            else:
                self._reached = True
                return answer
        raise AssertionError("the last attempt returns or raises")

    def _sleep(self, attempt: int, error: SourceError) -> None:
        wait = self.settings.backoff.total_seconds() * 2.0 ** (attempt - 1)
        wait *= random.uniform(0.5, 1.5)  # noqa: S311  # jitter, not a secret
        asked = error.wait if isinstance(error, BusyError) else None
        wait = min(_LONGEST_WAIT, max(wait, asked or 0.0))
        if wait > self.remaining():
            raise DeadlineError(
                f"the deadline of {self.settings.deadline} is over; the last answer was: {error}"
            ) from error
        with self._lock:
            self.statistics["retries"] += 1
        time.sleep(wait)

    def _decode_range(self, form: Form, convert: Callable[[Batch], T]) -> list[T]:
        decoder = MatrixDecoder()
        converted = []
        with closing(self._send("/api/v1/query_range", form, "POST")) as response:
            for data in self._body(response):
                batch = decoder.feed(data)
                if batch is not None:
                    converted.append(convert(batch))
        envelope, rest = decoder.finish()
        self._warn(envelope.warnings)
        return converted if rest is None else [*converted, convert(rest)]

    def _decode_json(self, path: str, form: Form, method: str = "POST") -> dict[str, Any]:
        with closing(self._send(path, form, method)) as response:
            text = b"".join(self._body(response))
        try:
            body = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            if text.lstrip()[:1] == b"<":
                raise NotFoundError(
                    f"{self.url}{path} answered with a web page, not with Prometheus' API; is this "
                    "a login page, or does the URL lack a path such as /prometheus?"
                ) from error
            raise MalformedError(
                f"{self.url}{path}: the answer is cut off or not JSON: {text[:80]!r}"
            ) from error
        if not isinstance(body, dict):
            raise MalformedError(f"{self.url}{path}: expected a JSON object, found {text[:80]!r}")
        return body

    def _body(self, response: requests.Response) -> Iterator[bytes]:
        """The body in pieces of about a megabyte, within the time for one request."""
        until = time.monotonic() + self._request_seconds()
        parts: list[bytes] = []
        size = 0
        while True:
            with _naming_failures(self.url):
                data = response.raw.read1(_READ_SIZE, decode_content=True)
            if time.monotonic() > until:
                raise TimedOutError(
                    f"{self.url}: no complete answer within {self.settings.timeout}"
                )
            parts.append(data)
            size += len(data)
            if size >= _READ_SIZE or not data:
                with self._lock:
                    self.statistics["bytes"] += size
                yield b"".join(parts)
                parts, size = [], 0
            if not data:
                return

    def _request_seconds(self) -> float:
        remaining = self.remaining()
        if remaining <= 0:
            raise DeadlineError(f"the deadline of {self.settings.deadline} is over")
        return min(self.settings.timeout.total_seconds(), remaining)

    def _send(self, path: str, form: Form, method: str) -> requests.Response:
        """One request; returns its answer if that is a 200, unread."""
        url = f"{self.url}{path}"
        form = {**self.settings.parameters, **form}
        if method == "POST":
            method = self._method_name
        for _ in range(_REDIRECTS):
            response = self._request(method, url, form)
            if response.status_code == 405 and method == "POST":
                response.close()
                method = self._method_name = "GET"
            elif response.is_redirect or response.status_code in (307, 308):
                response.close()
                url = _redirected(url, response.headers.get("Location", ""))
            elif response.status_code == 200:
                return response
            else:
                with closing(response):
                    raise self._failure(response)
        raise NotFoundError(
            f"{self.url}{path} redirects again and again, at last to {url[:200]}; if this is a "
            "login page give a token, else check the URL"
        )

    def _request(self, method: str, url: str, form: Form) -> requests.Response:
        seconds = self._request_seconds()
        with self._lock:
            self.statistics["requests"] += 1
        with _naming_failures(self.url):
            response: requests.Response = self._session.request(
                method,
                url,
                data=form if method == "POST" else None,
                params=form if method == "GET" else None,
                timeout=(min(10.0, seconds), seconds),
                stream=True,
                allow_redirects=False,
                verify=self._session.verify,
                cert=self._session.cert,
            )
        return response

    def _failure(self, response: requests.Response) -> SourceError:
        with _naming_failures(self.url):
            text = response.raw.read(4096, decode_content=True)
        kind, message = _error_text(_without_secrets(text, response.request.headers))
        where = f"{self.url} answered {response.status_code}"
        said = f"{where}: {message}" if message else where
        return classify(response.status_code, kind, said, _retry_after(response))

    def _warn(self, warnings: Sequence[str]) -> None:
        with self._lock:
            self.warnings.update(dict.fromkeys(warnings))


def classify(status: int, kind: str, said: str, wait: float | None = None) -> SourceError:
    """What an answer other than 200 means: split it, wait, or give up with this sentence.

    `kind` is Prometheus' ``errorType``, `said` the sentence about the answer.
    """
    text = said.partition(": ")[2]
    limited = bool(_LIMIT_WORDS.search(text)) and "parse error" not in text
    if status in (408, 413, 504) or (status in (400, 422, 500) and limited):
        return TooBigError(f"{said}; the query is larger than the server allows")
    if status == 503 and (kind == "timeout" or "timed out" in said):
        return TooBigError(f"{said}; raise --query.timeout of the server, or read a shorter window")
    if status in (429, 500, 502, 503):
        return BusyError(f"{said}; the server is overloaded or starting", wait)
    if status == 422 and _STORE_WORDS.search(text):
        return BusyError(f"{said}; a store behind the server failed", wait)
    if status == 401:
        return DeniedError(f"{said}; give a token or user that may query (token_file, user)")
    if status == 403:
        return DeniedError(f"{said}; this token, user or tenant may not query here")
    if status == 404:
        return NotFoundError(f"{said}; there is no Prometheus API at this URL, check host and path")
    return BadQueryError(said)


def _error_text(text: bytes) -> tuple[str, str]:
    """The errorType and the message of an error answer, whatever it looks like."""
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        plain = re.sub(r"<[^>]*>", " ", text.decode("utf-8", "replace"))
        return "", " ".join(plain.split())[:200]
    if not isinstance(body, dict):
        return "", ""
    message = body.get("error") or body.get("message") or ""
    return str(body.get("errorType", "")), " ".join(str(message).split())[:300]


def _without_secrets(text: bytes, sent: Mapping[str, str | bytes]) -> bytes:
    """`text` without what the request said about who asks; some servers repeat it in an error."""
    for name, value in sent.items():
        if name.title() in _HARMLESS_HEADERS:
            continue
        secret = value if isinstance(value, bytes) else value.encode("latin-1")
        scheme, _, credential = secret.rpartition(b" ")
        parts = [secret, credential]
        if scheme == b"Basic":
            parts.append(base64.b64decode(credential).partition(b":")[2])
        for part in parts:
            if len(part) >= _SHORTEST_SECRET:
                text = text.replace(part, b"***")
    return text


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())


def _redirected(url: str, location: str) -> str:
    """Where a redirect leads; to another origin it is refused, credentials stay home.

    Another port is another server; only from http to https may the usual ports change.
    """
    try:
        target = urljoin(url, location)
        here, there = _origin(url), _origin(target)
    except ValueError as error:
        raise NotFoundError(f"{url} redirects to {location[:200]!r}, which is no URL") from error
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


class _naming_failures:  # noqa: N801  # reads as a phrase: with _naming_failures(url)
    """Turn the exceptions of requests and urllib3 into ours."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case requests.exceptions.SSLError() | urllib3.exceptions.SSLError():
                reason = _reason(error)
                raise SourceError(
                    f"{self.url}: the TLS connection failed: {reason}; {_tls_advice(reason)}"
                ) from error
            case requests.exceptions.ConnectTimeout() | urllib3.exceptions.ConnectTimeoutError():
                raise BusyError(f"{self.url} cannot be reached: nobody answers there") from error
            case requests.exceptions.InvalidHeader():
                # The text of the original holds the value, which may be a secret.
                raise SourceError(
                    f"{self.url}: a configured header holds characters that may not be sent"
                ) from None
            case requests.exceptions.Timeout() | urllib3.exceptions.TimeoutError():
                raise TimedOutError(f"{self.url}: no answer in time; is it overloaded?") from error
            case requests.exceptions.ConnectionError() | urllib3.exceptions.HTTPError():
                reason = _reason(error)
                # Since TLS 1.3 a refused client certificate may show as a reset only.
                over_tls = self.url.startswith("https:") and _HANGUP_WORDS.search(reason)
                advice = f"; {_tls_advice(reason)}" if over_tls else ""
                raise BusyError(f"{self.url} cannot be reached: {reason}{advice}") from error
            case UnicodeEncodeError():
                raise SourceError(
                    f"{self.url}: a configured header holds characters that may not be sent; "
                    "use ASCII"
                ) from None
            case requests.exceptions.RequestException() | OSError():
                raise SourceError(f"{self.url}: {_reason(error)}") from error


def _tls_advice(reason: str) -> str:
    """What to do about a failed handshake, from OpenSSL's words for it."""
    if "wrong version number" in reason.lower():
        return "this port speaks no TLS; write http:// in the URL, or name the port that does"
    if _CLIENT_WORDS.search(reason):
        return (
            "the server asks who you are: check client_certificate_file and client_key_file, "
            "a certificate that its authority signed and the key of it"
        )
    if _HANGUP_WORDS.search(reason):
        return (
            "the server hung up: it may want a client certificate (client_certificate_file and "
            "client_key_file), or speak no TLS at this port"
        )
    if "mismatch" in reason.lower():
        return "use the name in the URL that the server's certificate is for"
    return "name the right certificate authority with ca_file"


def _reason(error: BaseException) -> str:
    """The innermost cause, without the objects that urllib3 prints around it."""
    inner: Any = error
    while True:
        further = getattr(inner, "reason", None) or next(
            (argument for argument in inner.args if isinstance(argument, BaseException)), None
        )
        if not isinstance(further, BaseException):
            break
        inner = further
    text = re.sub(r"^\S*Connection(Pool)?\([^)]*\): |^<[^>]*>: ", "", str(inner))
    return " ".join(text.split())[:200] or type(inner).__name__


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return the URL without user, password, query and trailing slash, and the credentials."""
    no_url = f"{redact(url)!r} is no URL of a Prometheus; write http://host:9090"
    try:
        parts = urlsplit(url)
    except ValueError:
        # The original may quote a part of the password.
        raise UsageError(no_url) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(no_url)
    if "@" in url.partition(parts.netloc)[2]:
        raise UsageError(
            f"{redact(url)!r} has an @ behind its host; if user or password hold a slash give them "
            "with user and password_file, and write an @ in a path as %40"
        )
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


def redact(url: str) -> str:
    """`url` without user and password, fit for messages.

    Everything up to the last @ goes: a password may hold what should have been encoded.
    """
    return re.sub(r"//.*@", "//", url, flags=re.DOTALL)


class _Session(requests.Session):
    """A session that leaves redirects alone, for we follow them or not; requests parses them."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _session(settings: PrometheusSettings, auth: tuple[str, str] | None) -> requests.Session:
    session = _Session()
    session.headers.update(settings.headers)
    session.headers["Accept"] = "application/json"
    session.headers["Accept-Encoding"] = "gzip" if settings.compression else "identity"
    if settings.tenant is not None:
        session.headers["X-Scope-OrgID"] = settings.tenant
    if settings.aws_region is not None:
        session.auth = SigV4(settings.aws_region, _clock)
    elif settings.token_file is not None:
        session.auth = _BearerFile(settings.token_file)
    elif settings.user is not None and settings.password_file is not None:
        session.auth = _PasswordFile(settings.user, settings.password_file)
    elif auth is not None:
        session.auth = HTTPBasicAuth(auth[0].encode(), auth[1].encode())
    session.verify = not settings.insecure
    if settings.insecure:
        # Said once per connection; a warning per request would say nothing new.
        _LOG.info("insecure: the certificate of the server is not verified")
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if settings.ca_file is not None and not settings.insecure:
        session.verify = str(_existing(settings.ca_file, "certificate authority"))
    if settings.client_certificate_file is not None:
        certificate = str(_existing(settings.client_certificate_file, "client certificate"))
        key = settings.client_key_file
        session.cert = (certificate, str(_existing(key, "client key"))) if key else certificate
    return session


def _clock() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def _existing(path: Path, what: str) -> Path:
    if not path.is_file():
        raise SourceError(f"the {what} file {path} does not exist")
    return path


def _list(body: Mapping[str, Any]) -> list[Any]:
    data = body.get("data")
    if body.get("status") != "success" or not isinstance(data, list):
        raise MalformedError(f"expected a list, found {str(body)[:200]}")
    return data
