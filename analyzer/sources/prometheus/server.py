"""One Prometheus: what can be asked of it, and how a request is made.

Built on `PrometheusConnect` for its session, authentication and headers. Its range path is
replaced: the query travels in the body of a POST, the answer is decoded while it arrives, the
server's warnings and error texts are kept, and the retries are ours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

import requests
from prometheus_api_client import PrometheusConnect
from urllib3.util.retry import Retry

from analyzer.errors import SourceError
from analyzer.sources.prometheus import answer
from analyzer.sources.prometheus.address import follow_redirect, redact, split_credentials
from analyzer.sources.prometheus.answer import RawSeries, Sample
from analyzer.sources.prometheus.auth import mask
from analyzer.sources.prometheus.decode import Batch, MatrixDecoder
from analyzer.sources.prometheus.failure import (
    BadQueryError,
    DeniedError,
    MalformedError,
    NoRemoteReadError,
    NotFoundError,
    TimedOutError,
    TooBigError,
    classify,
    error_text,
)
from analyzer.sources.prometheus.promql import Over
from analyzer.sources.prometheus.remote_read import HEADERS, STREAMED, FrameDecoder, read_request
from analyzer.sources.prometheus.retry import Retries, seconds_asked
from analyzer.sources.prometheus.session import NamedFailures, open_session
from analyzer.sources.prometheus.settings import PrometheusSettings
from analyzer.sources.prometheus.windows import Steps, steps_of

_READ_SIZE = 1 << 20
_REDIRECTS = 3
MOST_BYTES = 256 * 2**20
"""Of one answer, unpacked: many times what is asked for at once, and no flood."""

T = TypeVar("T")
Form = Mapping[str, str | Sequence[str]]


class Server(PrometheusConnect):  # type: ignore[misc]  # the client ships no types
    """One Prometheus, with authentication, limits on time, and retries.

    Safe to use from several threads. Warnings of the server gather in `warnings`, in order and
    each once; `statistics` counts requests and bytes.
    """

    def __init__(self, url: str, settings: PrometheusSettings) -> None:
        clean, auth = split_credentials(url)
        self.settings = settings
        self.warnings: dict[str, None] = {}
        self._lock = threading.Lock()
        self._counts = {"requests": 0, "bytes": 0}
        self._retries = Retries(settings)
        self._texts: dict[bytes, bytes] = {}  # labels as remote read sends them, and as JSON
        self._closed: bool | None = None
        self._method_name = "POST"
        session = open_session(settings, auth)
        super().__init__(url=clean, session=session, retry=Retry(0, read=False), method="POST")

    @property
    def statistics(self) -> dict[str, int]:
        """How many requests were made, bytes read and waits made so far."""
        return {**self._counts, "retries": self._retries.count}

    def start_clock(self) -> None:
        """Let the deadline for the whole read begin now."""
        self._retries.start_clock()

    # -- what can be asked ------------------------------------------------------------------

    def range(
        self,
        query: str | Over,
        times: tuple[float, float, float],
        convert: Callable[[Batch], T],
    ) -> list[T]:
        """Ask a range query and return its series, each batch of them through `convert`.

        `times` are the first and last evaluation in Unix seconds and the step. Nothing is
        returned but a whole, sound answer. Raises `TooBigError` where the query should be split.
        A text is evaluated by the server; for an `Over` it sends raw samples (remote read), or
        `NoRemoteReadError` is raised.
        """
        start, end, step = times
        if isinstance(query, Over):
            asked = steps_of(query, times, closed=self._closes_windows())
            return self._retries.persist(lambda: self._decode_samples(query, asked, convert))
        form = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        # VictoriaMetrics shifts start and end for its cache unless told not to.
        form |= {"nocache": "1"}
        return self._retries.persist(lambda: self._decode_range(form, convert))

    def instant(self, query: str, at: float) -> list[Sample]:
        """The instant vector of `query` at Unix time `at`."""
        form = {"query": query, "time": f"{at:.3f}", "nocache": "1"}
        return self._warned(self._ask("/api/v1/query", form, answer.read_vector))

    def now(self) -> float:
        """The server's own clock, in Unix seconds."""
        # A bare time() is a scalar to Prometheus and a vector to VictoriaMetrics.
        form = {"query": "vector(time())", "nocache": "1"}
        return self._ask("/api/v1/query", form, answer.read_clock)

    def raw(self, query: str, at: float) -> list[RawSeries]:
        """The raw samples of a range selector (``metric{...}[1d]``) up to Unix time `at`."""
        form = {"query": query, "time": f"{at:.3f}", "nocache": "1"}
        return self._warned(self._ask("/api/v1/query", form, answer.read_series))

    def series(self, selectors: Sequence[str], start: float, end: float) -> list[dict[str, str]]:
        """The label sets of all series that `selectors` match between two Unix times."""
        form = {"match[]": list(selectors), "start": f"{start:.3f}", "end": f"{end:.3f}"}
        return self._warned(self._ask("/api/v1/series", form, answer.read_label_sets))

    def label_values(self, label: str, select: str, start: float, end: float) -> list[str]:
        """The values of `label` among the series that `select` matches between two Unix times."""
        query = {"match[]": select, "start": f"{start:.3f}", "end": f"{end:.3f}"}
        path = f"/api/v1/label/{label}/values"
        return self._warned(self._ask(path, query, answer.read_names, method="GET"))

    def status(self, name: str) -> dict[str, Any]:
        """``/api/v1/status/<name>``; empty where the server does not tell."""
        path = f"/api/v1/status/{name}"
        try:
            return self._ask(path, {}, answer.read_mapping, method="GET")
        except (NotFoundError, DeniedError, BadQueryError, MalformedError):
            return {}

    # -- how it is asked --------------------------------------------------------------------

    def _ask(self, path: str, form: Form, read: Callable[[bytes], T], method: str = "POST") -> T:
        """What `read` makes of the answer to one request, asked again while that may help."""
        return self._retries.persist(lambda: self._decode(path, form, read, method))

    def _warned(self, told: tuple[T, Sequence[str]]) -> T:
        """The first of an answer and its warnings; the warnings are kept."""
        result, warnings = told
        self._warn(warnings)
        return result

    def _decode_range(self, form: Form, convert: Callable[[Batch], T]) -> list[T]:
        decoder = MatrixDecoder()
        converted = []
        path = "/api/v1/query_range"
        with closing(self._send(path, form, "POST")) as response:
            try:
                for data in self._body(response):
                    batch = decoder.feed(data)
                    if batch is not None:
                        converted.append(convert(batch))
                warnings, rest = decoder.finish()
                if rest is not None:
                    converted.append(convert(rest))
            except MalformedError as error:
                raise self._malformed(path, error, response) from None
        self._warn(warnings)
        return converted

    def _decode_samples(self, query: Over, steps: Steps, convert: Callable[[Batch], T]) -> list[T]:
        decoder = FrameDecoder(steps, query.function, self._texts)
        body = read_request(query.metric, query.matchers, steps.begin, steps.last)
        path = "/api/v1/read"
        with closing(self._ask_for_samples(path, body)) as response:
            try:
                converted = [
                    convert(batch) for data in self._body(response) for batch in decoder.feed(data)
                ]
                return converted + [convert(batch) for batch in decoder.finish()]
            except MalformedError as error:
                raise self._malformed(path, error, response) from None

    def _ask_for_samples(self, path: str, body: bytes) -> requests.Response:
        """An answer in frames; what a server says that offers none is a `NoRemoteReadError`."""
        try:
            response = self._send(path, body, "POST")
        except (NotFoundError, BadQueryError, DeniedError) as error:
            raise NoRemoteReadError(f"no remote read: {error}") from error
        if not response.headers.get("Content-Type", "").startswith(STREAMED):
            lacking = "does not stream chunks"
        elif "Content-Length" not in response.headers and not response.raw.chunked:
            # Frames have no end of their own: what is cut off between two would look whole.
            lacking = "does not say where its answer ends; look at the proxy before it"
        else:
            return response
        response.close()
        raise NoRemoteReadError(f"no remote read: {self.url}{path} {lacking}")

    def _closes_windows(self) -> bool:
        """Whether a sample at the very begin of a window is within, as it is to Prometheus 2."""
        if self._closed is None:
            self._closed = str(self.status("buildinfo").get("version", "")).startswith("2.")
        return self._closed

    def _decode(self, path: str, form: Form, read: Callable[[bytes], T], method: str) -> T:
        with closing(self._send(path, form, method)) as response:
            text = b"".join(self._body(response))
        if text.lstrip()[:1] == b"<":
            raise NotFoundError(
                f"{self.url}{path} answered with a web page, not with Prometheus' API; is this "
                "a login page, or does the URL lack a path such as /prometheus?"
            )
        try:
            return read(text)
        except MalformedError as error:
            raise self._malformed(path, error, response) from None

    def _malformed(
        self, path: str, error: MalformedError, response: requests.Response
    ) -> MalformedError:
        """The error with its place; what it quotes of the answer may repeat a secret."""
        return MalformedError(f"{self.url}{path}: {self._mask(str(error), response)}")

    def _mask(self, text: str, response: requests.Response) -> str:
        return mask(text, response.request.headers, self.settings.parameters.values())

    def _body(self, response: requests.Response) -> Iterator[bytes]:
        """The body in pieces of about a megabyte, within the time and size for one request."""
        until = time.monotonic() + self._retries.request_seconds()
        parts: list[bytes] = []
        size = total = 0
        while True:
            with NamedFailures(self.url):
                data = response.raw.read1(_READ_SIZE, decode_content=True)
            if time.monotonic() > until:
                raise TimedOutError(
                    f"{self.url}: no complete answer within {self.settings.timeout}"
                )
            parts.append(data)
            size += len(data)
            total += len(data)
            if total > MOST_BYTES:
                raise TooBigError(
                    f"{self.url}: one answer is larger than {MOST_BYTES // 2**20} MiB; read fewer "
                    "namespaces with -n, or a shorter window"
                )
            if size >= _READ_SIZE or not data:
                with self._lock:
                    self._counts["bytes"] += size
                yield b"".join(parts)
                parts, size = [], 0
            if not data:
                return

    def _send(self, path: str, form: Form | bytes, method: str) -> requests.Response:
        """One request; returns its answer if that is a 200, unread. Bytes are sent as they are."""
        url = f"{self.url}{path}"
        as_form = not isinstance(form, bytes)
        if method == "POST" and as_form:
            method = self._method_name
        for _ in range(_REDIRECTS):
            response = self._request(method, url, form)
            if response.status_code == 405 and method == "POST" and as_form:
                response.close()
                method = self._method_name = "GET"
            elif response.is_redirect or response.status_code in (307, 308):
                response.close()
                url = follow_redirect(url, response.headers.get("Location", ""))
            elif response.status_code == 200:
                return response
            else:
                with closing(response):
                    raise self._failure(response)
        raise NotFoundError(
            f"{self.url}{path} redirects again and again, at last to "
            f"{redact(url)[:200]}; if this is a login page give a token, else check the URL"
        )

    def _request(self, method: str, url: str, form: Form | bytes) -> requests.Response:
        seconds = self._retries.request_seconds()
        query: Form = self.settings.parameters
        body: Form | bytes | None = form
        if not isinstance(form, bytes):
            form = {**query, **form}
            query, body = ({}, form) if method == "POST" else (form, None)
        with self._lock:
            self._counts["requests"] += 1
        with NamedFailures(self.url):
            response: requests.Response = self._session.request(
                method,
                url,
                data=body,
                params=query,
                headers=HEADERS if isinstance(form, bytes) else None,
                timeout=(min(10.0, seconds), seconds),
                stream=True,
                allow_redirects=False,
                verify=self._session.verify,
                cert=self._session.cert,
            )
        return response

    def _failure(self, response: requests.Response) -> SourceError:
        with NamedFailures(self.url):
            text = response.raw.read(4096, decode_content=True)
        kind, message = error_text(text, lambda said: self._mask(said, response))
        where = f"{self.url} answered {response.status_code}"
        said = f"{where}: {message}" if message else where
        wait = seconds_asked(response.headers.get("Retry-After", ""))
        return classify(response.status_code, kind, said, wait)

    def _warn(self, warnings: Sequence[str]) -> None:
        with self._lock:
            self.warnings.update(dict.fromkeys(warnings))
