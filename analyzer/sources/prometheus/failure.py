"""What can go wrong between a server and us, and what each answer other than a result means."""

from __future__ import annotations

import re
from collections.abc import Callable

import orjson

from analyzer.errors import SourceError

_LIMIT_WORDS = re.compile(
    r"too many samples|11,000 points|exceed|\blimit\b|cannot select more|too large|maximum|too long"
    r"|timed out|timeout",
    re.IGNORECASE,
)
_STORE_WORDS = re.compile(r"rpc error: code = |connection refused|unexpected EOF")
"""Thanos and Cortex answer 422 when a store behind them fails; the query is sound."""


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


class NoRemoteReadError(SourceError):
    """The server sends no raw samples in frames; queries may work all the same."""


class MalformedError(SourceError):
    """An answer that is cut off, or is not what the API promises."""


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


def error_text(text: bytes, hide: Callable[[str], str]) -> tuple[str, str]:
    """The errorType and the message of an error answer, whatever it looks like.

    `hide` takes out what may not be shown, before the rest is cut to a readable length.
    """
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        plain = re.sub(r"<[^>]*>", " ", text.decode("utf-8", "replace"))
        return "", " ".join(hide(plain).split())[:200]
    if not isinstance(body, dict):
        return "", ""
    message = hide(str(body.get("error") or body.get("message") or ""))
    return hide(str(body.get("errorType", "")))[:80], " ".join(message.split())[:300]
